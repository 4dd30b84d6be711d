"""Starts the sender, detached, at the end of an invocation; owns the hand-over and nothing else.

The foreground never waits for it: whoever holds the sender's lock will look at the spool again, so
a busy lock means that all is done. Where a failure has put off delivery a sender is started all the
same, once in a while, to keep the spool within its bounds; it then opens no connection.
"""

from __future__ import annotations

import os
import sys
from time import time
from typing import TYPE_CHECKING, Any

from ..events.text import encode
from ..storage import NoLocks, open_private, try_lock, write_all
from .spool import LOCK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..events.text import Json

GUARD = "CLICK_TELEMETRY_SENDER"
"""Set in the sender's environment: it must never start itself."""

LOCK_DESCRIPTOR = 3
LETTER_DESCRIPTOR = 4

NOT_BEFORE = "not-before"
"""A file in the spool whose mtime is the time before which no sender may be started."""
LONGEST_WAIT = 24 * 3600.0
"""Seconds; a not-before further ahead is a clock that was wrong."""

TALLY = "tally"
"""A file in the spool with a byte for each page that was put by while delivery is put off."""
PAGE = 4096
TRIM_AFTER = 100
"""Pages; a tenth of the files, and of the bytes, that may wait at most."""

KEPT_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR"),  # without them Windows starts no Python
)
SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

SHELL = "/bin/sh"

_CLIENT = os.path.join("segment", "analytics")

# By number, since the module `signal` costs 1 ms. An ignored signal would stay ignored otherwise.
# SIGKILL and SIGSTOP are nobody's; 32 to 34 are the C library's (musl's three, glibc's two), and
# Python warns about those.
_FIXED_SIGNALS = (9, 19, 32, 33, 34) if sys.platform == "linux" else (9, 17)
_LAST_SIGNAL = 65 if sys.platform == "linux" else 32

# OLDPWD would name the person's directory.
SCRIPT = 'cd /; unset PWD OLDPWD; sleep 1; exec "$@"'
# Where the program goes on, the subshell is given away: its parent ends at once and is reaped, so
# that no `wait` of the application's ever sees a child of ours. In it the letter is named by
# number, since a shell gives what runs in its background an empty standard input.
SCRIPT_AWAY = 'cd /; unset PWD OLDPWD; { sleep 1; exec "$@"; } <&4 4<&- &'

# The same where there is no shell; giving the child away is 12 ms of Python's life then.
WITHOUT_SHELL = "import time\ntime.sleep(1)\n"
WITHOUT_SHELL_AWAY = "import os\nos.fork() and os._exit(0)\n" + WITHOUT_SHELL

# Finds this very package by its place, whatever else is installed, and nothing in the cwd.
BOOT = """\
import json, sys
import importlib.util as util
letter = json.loads(sys.stdin.buffer.readline())
sys.path += [path for path in letter["paths"] if path not in sys.path]
spec = util.spec_from_file_location(
    "click_telemetry", letter["package"] + "/__init__.py",
    submodule_search_locations=[letter["package"]])
sys.modules["click_telemetry"] = module = util.module_from_spec(spec)
spec.loader.exec_module(module)
from click_telemetry.delivery.sender.main import main
sys.exit(main(letter))
"""


class Letter:
    """What the sender is told on its standard input: never in argv, environment or on disk.

    Args:
        spool: the destination's spool.
        host: an origin.
        write_key: Segment's write key.
        choice: the file with the person's choice; the sender asks again before each request.
        anonymous_id: the ID to identify once, or None for an ID of the moment.
        token: what to authorise with instead of the write key, or None.

    Attributes:
        deliver: whether the sender may speak to the server; else it keeps the bounds and ends.
    """

    __slots__ = ("anonymous_id", "choice", "deliver", "host", "spool", "token", "write_key")

    def __init__(
        self,
        spool: str,
        host: str,
        write_key: str,
        choice: str | None,
        anonymous_id: str | None,
        token: str | None = None,
    ) -> None:
        self.spool = spool
        self.host = host
        self.write_key = write_key
        self.choice = choice
        self.anonymous_id = anonymous_id
        self.token = token
        self.deliver = True

    def written(self) -> bytes:
        """One line of JSON, with where the sender finds its own code."""
        package = package_directory()
        paths: list[Json] = [*package_roots(package)]
        letter: dict[str, Json] = {
            "spool": self.spool,
            "host": self.host,
            "write_key": self.write_key,
            "choice": self.choice,
            "anonymous_id": self.anonymous_id,
            "token": self.token,
            "deliver": self.deliver,
            "package": package,
            "paths": paths,
        }
        return encode(letter).encode("ascii") + b"\n"


def command_line(before: str = "") -> list[str]:
    """How the sender is started: isolated from the cwd and from Python's variables.

    Args:
        before: lines that it runs first.
    """
    return [sys.executable, "-I", "-c", before + BOOT]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the sender may see of the environment: proxies, certificates and nothing private."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    return {**kept, "PATH": SYSTEM_PATH, "NETRC": os.devnull, GUARD: "1"}


def package_directory() -> str:
    """Where this package lies."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def package_roots(package: str) -> list[str]:
    """What the sender needs on its path beside what Python itself puts there."""
    root = os.path.dirname(package)
    site = sys.modules.get("site")
    user_site = getattr(site, "USER_SITE", None)
    if not getattr(site, "ENABLE_USER_SITE", False) or user_site not in sys.path:
        user_site = None
    roots = [root] if user_site is None else [user_site, root]
    pythons_own = [path for path in sys.path if path.startswith(sys.prefix + os.sep)]
    if any(os.path.isdir(os.path.join(path, _CLIENT)) for path in (*roots, *pythons_own)):
        return roots
    from .scattered import scattered_roots

    return [*roots, *scattered_roots()]


def can_start() -> bool:
    """Whether a child of this interpreter would be a Python that finds this package.

    Frozen, or embedded in another program, `sys.executable` is that program: starting it would run
    the application again. In a zipapp there is nothing that the child could be pointed to.
    """
    executable = sys.executable or ""
    return (
        not getattr(sys, "frozen", False)
        and os.path.isabs(executable)
        and "py" in os.path.basename(executable).lower()
        and os.path.isfile(os.path.join(package_directory(), "__init__.py"))
    )


def hand_off(letter: Letter, written: int = 0, *, leaving: bool = False) -> None:
    """Have the spool delivered: start a sender, unless one is alive or it is too early.

    Args:
        letter: what the sender is told.
        written: bytes that were added to the spool since the last call.
        leaving: whether the process is about to end. Then that is awaited: nobody is left who
            could `wait` for a child, which saves giving it away (1.7 ms of a shell's life).

    Raises:
        OSError: none could be started; the spool keeps everything for the next invocation.
    """
    if leaving:
        import atexit

        atexit.register(_leave, letter, written, os.getpid())
    else:
        _start(letter, written, away=True)


def _leave(letter: Letter, written: int, pid: int) -> None:
    """As the process ends; what goes wrong here would be printed, and it waits in the spool."""
    if os.getpid() == pid:
        try:
            _start(letter, written, away=False)
        except BaseException:  # no memory, no process, a Ctrl-C: the next invocation starts one
            return


def _start(letter: Letter, written: int, *, away: bool) -> None:
    lock = turn(letter, written)
    if lock is None:
        return
    try:
        if not spawns():
            from .portable import start

            start(letter)
            return
        if os.access(SHELL, os.X_OK):
            script = SCRIPT_AWAY if away else SCRIPT
            child = spawn(letter, lock, [SHELL, "-c", script, "sh", *command_line()])
        else:
            script = WITHOUT_SHELL_AWAY if away else WITHOUT_SHELL
            child = spawn(letter, lock, command_line(script))
    finally:
        os.close(lock)  # never unlocked: that would free the child's lock too
    if not away:
        return
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return  # the application has reaped it, or wants to hear of no child


def too_early(spool: str, token: str | None = None) -> bool:
    """Whether a failure has put off the next attempt: with this token, where there is one."""
    if token is not None:
        from .refusal import is_refused

        refused = is_refused(spool, token)
        if refused is not None:
            return refused  # a fresh token does not wait for the sake of the one before
    try:
        until = os.stat(os.path.join(spool, NOT_BEFORE)).st_mtime
    except OSError:
        return False
    return 0 < until - time() <= LONGEST_WAIT


def trim_is_due(spool: str, written: int) -> bool:
    """Whether so much was put by, since this was last true, that the bounds may be exceeded.

    A byte is added to a file for each page, so that nobody has to count what waits.

    Raises:
        OSError: it cannot be told.
    """
    tally = open_private(os.path.join(spool, TALLY), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        write_all(tally, b"." * (written // PAGE + 1))
        if os.fstat(tally).st_size < TRIM_AFTER:
            return False
        os.ftruncate(tally, 0)
        return True
    finally:
        os.close(tally)


def turn(letter: Letter, written: int = 0) -> int | None:
    """The sender's lock, held, when it is our turn to start one.

    Raises:
        OSError: the lock cannot be opened, or there is none and no mark can be made instead.
    """
    if GUARD in os.environ:
        return None
    letter.deliver = not too_early(letter.spool, letter.token)
    if not letter.deliver and not trim_is_due(letter.spool, written):
        return None
    lock = open_private(os.path.join(letter.spool, LOCK), os.O_RDWR | os.O_CREAT)
    try:
        if try_lock(lock):
            return lock
    except NoLocks:
        from .unlocked import take_turn

        try:
            take_turn(letter.spool)
        except OSError:
            os.close(lock)
            raise
        return lock
    os.close(lock)
    return None


def spawns() -> bool:
    """Whether posix_spawn is there, and can give a child a session of its own.

    Windows has none; before macOS 10.15 it takes no `setsid`, as Darwin 19's kernel is called.
    """
    if not hasattr(os, "posix_spawn"):
        return False
    platform: str = sys.platform  # mypy would call what follows unreachable
    if platform != "darwin":
        return True
    release = os.uname().release.partition(".")[0]
    return release.isdigit() and int(release) >= 19


def spawn(letter: Letter, lock: int, command: list[str]) -> int:
    """Start a child with the letter on its standard input and the held lock; gives its pid.

    Args:
        letter: what the sender is told.
        lock: the sender's lock, held; it stays open here.
        command: the command line, its first word an absolute path.

    Raises:
        OSError: it could not be started.
    """
    reader, writer = os.pipe()
    try:
        # A pipe holds 64 KB, and the letter a few hundred bytes or a large token; where it holds
        # less (a user with many pipes gets 4 KB each), rather none is started than we wait.
        os.set_blocking(writer, False)
        write_all(writer, letter.written())
        os.close(writer)
        writer = -1
        return os.posix_spawn(
            command[0],
            command,
            environment(os.environ),
            file_actions=_file_actions(lock, reader),
            setsid=True,
            setsigmask=(),
            setsigdef=[n for n in range(1, _LAST_SIGNAL) if n not in _FIXED_SIGNALS],
        )
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


def _file_actions(lock: int, reader: int) -> list[Any]:
    """The child's descriptors: the letter (0 and 4), two null devices, the lock (3), no other."""
    spare = lock + 1  # the pipe may have got one of the small numbers
    return [
        (os.POSIX_SPAWN_DUP2, reader, spare),
        (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
        (os.POSIX_SPAWN_DUP2, spare, LETTER_DESCRIPTOR),
        (os.POSIX_SPAWN_DUP2, spare, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable() if number != spare),
        (os.POSIX_SPAWN_CLOSE, spare),
    ]


def _inheritable() -> list[int]:
    """The application's descriptors that a child would keep open: a lock, a pipe's end."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return []
    found = []
    for number in numbers:
        try:
            if number > LETTER_DESCRIPTOR and os.get_inheritable(number):
                found.append(number)
        except OSError:
            continue  # the listing's own descriptor
    return found
