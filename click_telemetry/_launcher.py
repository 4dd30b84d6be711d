"""Hands the spool over to a sender: its lock, its job, and the detached process that sleeps first.

The foreground never waits for it. Whoever holds the sender's lock examines the spool again before
it ends, so a lock that is held means that nothing is left to do. While a failure postpones
delivery, one run in a hundred starts a sender that only keeps the spool within its bounds.
"""

from __future__ import annotations

import os
import sys
from time import time
from typing import TYPE_CHECKING, Any

from . import _instrument
from ._instrument import pass_on
from ._recorder import LOWEST_DESCRIPTOR as LOWEST_DESCRIPTOR
from ._recorder import encode, open_private, try_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._recorder import Settings
    from ._recorder import Destination

PACKAGE = os.path.dirname(os.path.abspath(__file__))
"""The package's directory, however the program changes its own later."""

GUARD = "CLICK_TELEMETRY_SENDER"
"""Set in the sender's environment: it must never start itself."""
LOCK = "lock"
"""The sender's lock, in the spool; never unlinked while it may be held."""
NOT_BEFORE = "not-before"
"""A file in the spool whose mtime is the time before which no sender delivers."""
MAX_WAIT = 24 * 3600.0
"""Seconds; a not-before that is further ahead comes from a clock that was wrong."""
TRIM_PROBABILITY = 0.01
"""Of a sender that only trims, while delivery is postponed."""

LOCK_DESCRIPTOR = 3
JOB_DESCRIPTOR = 4

KEPT_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR"),  # without them Windows starts no Python
)
SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
SHELL = "/bin/sh"

# By number: the module `signal` takes 1 ms. An ignored signal would stay ignored otherwise. 9 and
# 19 (17 elsewhere) are SIGKILL and SIGSTOP; 32 to 34 are the C library's, and Python warns of them.
_FIXED_SIGNALS = (9, 19, 32, 33, 34) if sys.platform == "linux" else (9, 17)
_LAST_SIGNAL = 65 if sys.platform == "linux" else 32

# OLDPWD would name the person's directory.
SCRIPT = 'cd /; unset PWD OLDPWD; sleep 1; exec "$@"'
# Where the program goes on, the subshell is orphaned: its parent ends at once and is reaped, so
# that no `wait` of the application meets a child of ours. A shell gives a background command an
# empty standard input, so the job is named by number.
DETACHED_SCRIPT = 'cd /; unset PWD OLDPWD; { sleep 1; exec "$@"; } <&4 4<&- &'

# Finds this very package by its path, whatever else is installed, and nothing in the cwd.
BOOT = """\
import json, sys
import importlib.util as util
job = json.loads(sys.stdin.buffer.readline())
sys.path += [path for path in job["paths"] if path not in sys.path]
spec = util.spec_from_file_location(
    "click_telemetry", job["package"] + "/__init__.py",
    submodule_search_locations=[job["package"]])
sys.modules["click_telemetry"] = module = util.module_from_spec(spec)
spec.loader.exec_module(module)
from click_telemetry._sender.main import main
sys.exit(main(job))
"""


class SenderJob:
    """What a sender needs to know; on its standard input, never in argv, environment or on disk.

    Args:
        settings: what the application declared.
        spool: the destination's directory.
        destination: where the events go.
        setting: the file with the saved setting; the sender reads it before each request.
        anonymous_id: the ID to identify once, or None for a temporary one.
    """

    __slots__ = (
        *("anonymous_id", "deliver", "host", "pid", "setting", "settings", "spool", "token"),
        "write_key",
    )

    def __init__(
        self,
        settings: Settings,
        spool: str,
        destination: Destination,
        setting: str | None,
        anonymous_id: str | None,
    ) -> None:
        self.settings = settings
        self.spool = spool
        self.host = destination.host
        self.write_key = destination.write_key
        self.token = destination.token
        self.setting = setting
        self.anonymous_id = anonymous_id
        self.deliver = True
        self.pid = os.getpid()

    @property
    def is_detachable(self) -> bool:
        """Whether a detached child can be started here, and would survive this process.

        The first process of a container takes its children with it. Frozen, or embedded in another
        program, `sys.executable` is that program: it would run the application again. In a zipapp
        there is no file that the child could be pointed to.
        """
        executable = sys.executable or ""
        return (
            self.pid != 1
            and not getattr(sys, "frozen", False)
            and os.path.isabs(executable)
            and "py" in os.path.basename(executable).lower()
            and os.path.isfile(os.path.join(PACKAGE, "__init__.py"))
        )

    def start(self, *, away: bool = False) -> None:
        """Start a sender, unless one is alive or it is too early.

        Args:
            away: whether this program goes on, and must never meet a child that is not its own.

        Raises:
            OSError: none could be started; the spool keeps everything for the next invocation.
        """
        if os.getpid() != self.pid:
            return
        if away and _handles_children():
            _instrument.at_exit.append(self.start)
            return
        lock = self.take_lock()
        if lock is None:
            return
        try:
            if hasattr(os, "posix_spawn") and os.access(SHELL, os.X_OK):
                script = DETACHED_SCRIPT if away else SCRIPT
                child = spawn(self, lock, [SHELL, "-c", script, "sh", *command_line()])
                if away:
                    os.waitpid(child, 0)
            else:
                from ._foreground import portable

                portable.start(self, lock, away=away)
        except ChildProcessError as error:
            pass_on(error)  # the application has reaped it, or wants to hear of no child
        finally:
            os.close(lock)  # never unlocked: that would free the child's lock too

    def take_lock(self) -> int | None:
        """The sender's lock, held; None where another sender is alive or it is too early.

        Raises:
            OSError: it cannot be opened, or the file system has no locks.
        """
        if GUARD in os.environ:
            return None
        self.deliver = not is_postponed(self.spool)
        if not self.deliver and os.urandom(1)[0] >= TRIM_PROBABILITY * 256:
            return None
        lock = open_private(os.path.join(self.spool, LOCK), os.O_RDWR | os.O_CREAT)
        try:
            if try_lock(lock):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def encode(self) -> bytes:
        """The job as one line of JSON, with where the sender finds its own code."""
        line = {
            "spool": self.spool,
            "host": self.host,
            "write_key": self.write_key,
            "setting": self.setting,
            "anonymous_id": self.anonymous_id,
            "token": self.token,
            "deliver": self.deliver,
            "package": PACKAGE,
            "paths": package_roots(),
        }
        return encode(line).encode("ascii") + b"\n"


def is_postponed(spool: str) -> bool:
    """Whether a failure has postponed the next attempt."""
    try:
        until = os.stat(os.path.join(spool, NOT_BEFORE)).st_mtime
    except OSError as error:
        pass_on(error)
        return False
    return 0 < until - time() <= MAX_WAIT


def _handles_children() -> bool:
    """Whether the application handles SIGCHLD in Python: then no child of ours may end before it."""
    signal = sys.modules.get("signal")  # a handler was set by this module
    child = getattr(signal, "SIGCHLD", None)
    return signal is not None and child is not None and callable(signal.getsignal(child))


def command_line() -> list[str]:
    """How the sender is started: isolated from the cwd and from Python's variables."""
    return [sys.executable, "-I", "-c", BOOT]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the sender sees of the environment: proxies, certificates and nothing private."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    return {**kept, "PATH": SYSTEM_PATH, "NETRC": os.devnull, GUARD: "1"}


def package_roots() -> list[str]:
    """What the sender needs on its path in addition to what Python itself puts there."""
    root = os.path.dirname(PACKAGE)
    site = sys.modules.get("site")
    user_site = getattr(site, "USER_SITE", None)
    roots = [root]
    if getattr(site, "ENABLE_USER_SITE", False) and user_site in sys.path:
        roots.insert(0, str(user_site))
    for path in (*roots, *sys.path):
        if path in roots or path.startswith(sys.prefix + os.sep):
            if os.path.isdir(os.path.join(path, "segment", "analytics")):
                return roots
    from ._foreground import search_path

    return [*roots, *search_path.installed()]


def spawn(job: SenderJob, lock: int, command: list[str]) -> int:
    """Start a child with the job on its standard input and the held lock; gives its process ID.

    Args:
        job: what it needs to know.
        lock: the sender's lock, held; it stays open here.
        command: the command line, its first word an absolute path.

    Raises:
        OSError: it could not be started.
    """
    reader, writer = os.pipe()
    try:
        # A pipe holds 64 KB, and less for a user with many pipes: no child rather than a wait.
        os.set_blocking(writer, False)
        content = job.encode()
        if os.write(writer, content) < len(content):
            raise BlockingIOError
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
    """The child's descriptors: the job (0 and 4), two null devices, the lock (3), no other."""
    spare = lock + 1  # the pipe may have one of the small numbers
    return [
        (os.POSIX_SPAWN_DUP2, reader, spare),
        (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
        (os.POSIX_SPAWN_DUP2, spare, JOB_DESCRIPTOR),
        (os.POSIX_SPAWN_DUP2, spare, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable() if number != spare),
        (os.POSIX_SPAWN_CLOSE, spare),
    ]


def _inheritable() -> list[int]:
    """The application's descriptors that a child would keep open: a lock, a pipe's end."""
    found = []
    try:
        for name in os.listdir("/dev/fd"):
            number = int(name)
            if number > JOB_DESCRIPTOR:
                try:
                    if os.get_inheritable(number):
                        found.append(number)
                except OSError as error:  # the listing's own descriptor
                    pass_on(error)
    except OSError as error:
        pass_on(error)
    return found
