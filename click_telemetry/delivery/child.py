"""The sender's process: its command line, environment and descriptors. Owns no decision.

It sees nothing of the application's but proxies and certificates, and keeps nothing open of it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..events.text import encode
from ..storage import write_all
from . import GUARD, PACKAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..events.text import Json
    from .launcher import Letter

LOCK_DESCRIPTOR = 3
LETTER_DESCRIPTOR = 4

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


def written(letter: Letter) -> bytes:
    """A letter as one line of JSON, with where the sender finds its own code."""
    paths: list[Json] = [*package_roots()]
    line: dict[str, Json] = {
        "spool": letter.spool,
        "host": letter.host,
        "write_key": letter.write_key,
        "choice": letter.choice,
        "anonymous_id": letter.anonymous_id,
        "token": letter.token,
        "deliver": letter.deliver,
        "package": PACKAGE,
        "paths": paths,
    }
    return encode(line).encode("ascii") + b"\n"


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


def package_roots() -> list[str]:
    """What the sender needs on its path beside what Python itself puts there."""
    root = os.path.dirname(PACKAGE)
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


def start(letter: Letter, lock: int, *, away: bool) -> None:
    """Start a sender that sleeps first, and outlives this process.

    Args:
        letter: what it is told.
        lock: the sender's lock, held; it stays open here.
        away: whether this program goes on, and must never meet a child that is not its own.

    Raises:
        OSError: it could not be started.
    """
    if os.access(SHELL, os.X_OK):
        script = SCRIPT_AWAY if away else SCRIPT
        child = spawn(letter, lock, [SHELL, "-c", script, "sh", *command_line()])
    else:
        script = WITHOUT_SHELL_AWAY if away else WITHOUT_SHELL
        child = spawn(letter, lock, command_line(script))
    if away:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            return  # the application has reaped it, or wants to hear of no child


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
        write_all(writer, written(letter))
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
