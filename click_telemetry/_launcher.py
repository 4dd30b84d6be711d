"""Starts the sender: a detached process that sleeps first, and knows only its job.

It is isolated from the application: nothing from the cwd, an allow-listed environment, no stream,
no descriptor of the application's, its own session.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ._instrument import pass_on
from ._recorder import encode
from ._spool import GUARD, PACKAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._spool import Spool

LOCK_DESCRIPTOR = 3  # of the sender
JOB_DESCRIPTOR = 4

KEPT_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR"),  # without them Windows starts no Python
)
SHELL = "/bin/sh"

# By number: the module `signal` takes 1 ms. An ignored signal would stay ignored otherwise. 9 and
# 19 (17 elsewhere) are SIGKILL and SIGSTOP; 32 to 34 are the C library's, and Python warns of them.
_FIXED_SIGNALS = (9, 19, 32, 33, 34) if sys.platform == "linux" else (9, 17)
_LAST_SIGNAL = 65 if sys.platform == "linux" else 32

DELAY = 1  # seconds that the sender sleeps first, so that a burst of commands joins one request

# OLDPWD would name the person's directory. The script's name, `$0`, is the delay.
SCRIPT = 'cd /; unset PWD OLDPWD; sleep "$0"; exec "$@"'
# Where the program goes on, the subshell is orphaned: its parent ends at once and is reaped, so
# that no `wait` of the application meets a child of ours. A shell gives a background command an
# empty standard input, so the job is named by number.
DETACHED_SCRIPT = 'cd /; unset PWD OLDPWD; { sleep "$0"; exec "$@"; } <&4 4<&- &'

# Finds this very package by its path, whatever else is installed, and nothing in the cwd. Unloading
# the client would take 30 ms, for which no command waits.
BOOT = """\
import json, os, sys
import importlib.util as util
job = json.loads(sys.stdin.buffer.readline())
sys.path += [path for path in job["paths"] if path not in sys.path]
spec = util.spec_from_file_location(
    "click_telemetry", job["package"] + "/__init__.py",
    submodule_search_locations=[job["package"]])
sys.modules["click_telemetry"] = module = util.module_from_spec(spec)
spec.loader.exec_module(module)
from click_telemetry._sender.main import main
status = main(job)
job.get("after") is None or os._exit(status)
sys.exit(status)
"""


def start(spool: Spool, lock: int, *, away: bool) -> None:
    """Start a sender that outlives this process.

    Args:
        spool: what is delivered.
        lock: the sender's lock, held; it is closed here.
        away: whether this program goes on, and must never meet a child that is not its own.

    Raises:
        OSError: none could be started.
    """
    try:
        delay = DELAY
        given = os.environ.get(spool.settings.prefix + "_TELEMETRY_DELAY")
        if given is not None:
            from ._foreground import destination

            delay = destination.delay_of(given, spool.destination.host, DELAY)
        if hasattr(os, "posix_spawn") and os.access(SHELL, os.X_OK):
            script = DETACHED_SCRIPT if away else SCRIPT
            child = spawn(spool, lock, [SHELL, "-c", script, str(delay), *command_line()])
            if away:
                os.waitpid(child, 0)
        else:
            from ._foreground import inline

            inline.start(spool, lock, away=away, delay=delay)
    except ChildProcessError as error:
        pass_on(error)  # the application has reaped it, or wants to hear of no child
    finally:
        os.close(lock)  # never unlocked: that would free the child's lock too


def handles_children() -> bool:
    """Whether the application handles SIGCHLD in Python."""
    signal = sys.modules.get("signal")  # a handler was set by this module
    child = getattr(signal, "SIGCHLD", None)
    return signal is not None and child is not None and callable(signal.getsignal(child))


def command_line() -> list[str]:
    """How the sender is started: isolated from the cwd and from Python's variables."""
    return [sys.executable, "-I", "-c", BOOT]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the sender sees of the environment: proxies, certificates and nothing private."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    path = "/usr/bin:/bin:/usr/sbin:/sbin"
    return {**kept, "PATH": path, "NETRC": os.devnull, GUARD: "1"}


def package_roots() -> list[str]:
    """What the sender needs on its path in addition to what Python itself puts there."""
    roots = [os.path.dirname(PACKAGE)]
    site = sys.modules.get("site")
    user_site = getattr(site, "USER_SITE", None)
    if getattr(site, "ENABLE_USER_SITE", False) and user_site in sys.path:
        roots.insert(0, str(user_site))
    for path in (*roots, *sys.path):
        searched = path in roots or path.startswith(sys.prefix + os.sep)
        if searched and os.path.isdir(os.path.join(path, "segment", "analytics")):
            return roots
    from ._foreground import platforms

    return [*roots, *platforms.installed()]


def _inheritable() -> list[int]:
    """The application's descriptors that a child would keep open: a lock, a pipe's end."""
    found = []
    try:
        for name in os.listdir("/dev/fd"):
            number = int(name)
            try:
                if number > JOB_DESCRIPTOR and os.get_inheritable(number):
                    found.append(number)
            except OSError as error:  # the listing's own descriptor
                pass_on(error)
    except OSError as error:
        pass_on(error)
    return found


def job(spool: Spool, after: str | None = None) -> bytes:
    """What the sender needs to know, as one line: never in argv, environment or on disk.

    If `after` is a text, a command waits for the sender, which first waits until the file of this
    path has no writer; if it is empty, for none.
    """
    line = {
        "spool": spool.directory,
        "host": spool.destination.host,
        "write_key": spool.destination.write_key,
        "setting": spool.directories.setting,
        "site_setting": spool.directories.site_setting,
        "anonymous_id": spool.anonymous_id,
        "token": spool.destination.token,
        "transport": spool.destination.transport,
        "deliver": spool.deliver,
        "after": after,
        "package": PACKAGE,
        "paths": package_roots(),
    }
    return encode(line).encode("ascii") + b"\n"


def spawn(spool: Spool, lock: int, command: list[str], after: str | None = None) -> int:
    """Start a child with the job on its standard input and the held lock; gives its process ID.

    Args:
        spool: what is delivered.
        lock: the sender's lock, held; it stays open here.
        command: the command line, its first word an absolute path.
        after: as for `job`.

    Raises:
        OSError: it could not be started.
    """
    reader, writer = os.pipe()
    try:
        # A pipe holds 64 KB, and less for a user with many: rather no child than a wait.
        os.set_blocking(writer, False)
        content = job(spool, after)
        if os.write(writer, content) < len(content):
            raise BlockingIOError
        spare = lock + 1  # the pipe may have one of the small numbers
        actions: list[Any] = [
            # The child has the job (0 and 4), two null devices, the lock (3), and no other.
            (os.POSIX_SPAWN_DUP2, reader, spare),
            (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
            (os.POSIX_SPAWN_DUP2, spare, JOB_DESCRIPTOR),
            (os.POSIX_SPAWN_DUP2, spare, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable() if number != spare),
            (os.POSIX_SPAWN_CLOSE, spare),
        ]
        return os.posix_spawn(
            command[0],
            command,
            environment(os.environ),
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=[n for n in range(1, _LAST_SIGNAL) if n not in _FIXED_SIGNALS],
        )
    finally:
        os.close(reader)
        os.close(writer)
