"""The installation: directories, files and search paths that are not Linux's, and the version.

The directories of an application on macOS and Windows come from platformdirs. Files on Windows are
opened so that other processes can rename and remove them, and locked. The sender of an unpacked
PEX, `pip install --target`, Bazel or Nix gets the program's search path: its client is neither next
to this package nor in Python's own site-packages.

Written for Windows and macOS from their documentation; it has not been run there yet.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._recorder import MAX_VERSION, Directories

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCKED_BYTE = 0x7FFF0000
"""Beyond the end of every file of ours, because a lock keeps other processes from the bytes under
it, and within the 31 bits of the C library's `_locking`."""

LK_UNLCK = 0
LK_NBLCK = 2

GENERIC_READ = 0x80000000
GENERIC_WRITE = 0x40000000
FILE_SHARE_ALL = 0x00000007
"""FILE_SHARE_READ, FILE_SHARE_WRITE and FILE_SHARE_DELETE. Python's own `open` omits the last one,
so that an open file can be neither renamed nor removed."""
CREATE_NEW, OPEN_EXISTING, OPEN_ALWAYS = 1, 3, 4
FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000
"""Opens a symlink itself, where O_NOFOLLOW would raise; it is not a regular file then."""


def open_shared(path: str, flags: int) -> int:
    """As `os.open`, for a file that other processes may rename and remove meanwhile.

    Args:
        path: an absolute path.
        flags: of `os.open`; a file is created exclusively only with O_EXCL.

    Raises:
        OSError: it cannot be opened.
    """
    winapi: Any = __import__("_winapi")
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    disposition = OPEN_EXISTING
    if flags & os.O_CREAT:
        disposition = CREATE_NEW if flags & os.O_EXCL else OPEN_ALWAYS
    handle = winapi.CreateFile(
        path,
        GENERIC_READ | GENERIC_WRITE if writes else GENERIC_READ,
        FILE_SHARE_ALL,
        0,
        disposition,
        FILE_FLAG_OPEN_REPARSE_POINT,
        0,
    )
    kept = os.O_RDWR | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        descriptor: int = _runtime().open_osfhandle(handle, flags & kept)
    except BaseException:
        winapi.CloseHandle(handle)
        raise
    return descriptor


def try_lock(descriptor: int) -> bool:
    """Lock an open file; False if another open file holds the lock.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        _locking(descriptor, LK_NBLCK)
    except PermissionError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release a lock.

    Raises:
        OSError: there was none.
    """
    _locking(descriptor, LK_UNLCK)


def _locking(descriptor: int, mode: int) -> None:
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        _runtime().locking(descriptor, mode, 1)
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)


def _runtime() -> Any:
    return __import__("msvcrt")


def platform_directories(app: str, environ: Mapping[str, str]) -> Directories | None:
    """What platformdirs answers; None where it finds no absolute path.

    Args:
        app: a valid application name.
        environ: the process's environment.
    """
    platform: str = sys.platform  # mypy would call what follows unreachable
    if platform != "win32" and not environ.get("HOME", "").startswith("/"):
        # It would ask the user database instead, which may open a socket to nscd.
        return None
    import platformdirs

    try:
        config = platformdirs.user_config_dir(app, appauthor=False)
        state = platformdirs.user_state_dir(app, appauthor=False)
        site = platformdirs.site_config_dir(app, appauthor=False)
    except (OSError, RuntimeError):  # what platformdirs raises where it finds no home
        return None
    if os.path.isabs(config) and os.path.isabs(state):
        return Directories(config, os.path.join(state, "telemetry"), site)
    return None


DIST_INFO = ".dist-info"


def installed_version(package: str) -> str | None:
    """The version of the distribution that a package is installed from, by one listing.

    The directory of the metadata is named `<name>-<version>.dist-info`; it is next to the package,
    and has its name. Among 300 distributions this takes 1.4 million instructions (0.4 ms);
    `importlib.metadata` takes tens of milliseconds to import.

    Args:
        package: the application's, as `package_of` gives it.

    Returns:
        None if no distribution of this name is there, as for an editable installation, or several.
    """
    module = sys.modules.get(package)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not os.path.isabs(file):
        return None
    folder = os.path.dirname(file)
    if hasattr(module, "__path__"):  # the package's own folder; a module is next to the metadata
        folder = os.path.dirname(folder)
    for _ in range(package.count(".")):  # a package in a namespace package
        folder = os.path.dirname(folder)
    wanted = normalize(package)
    begins = (wanted[:1], wanted[:1].upper())  # of hundreds of distributions few are left
    try:
        names = [
            name
            for name in os.listdir(folder)
            if name.startswith(begins) and name.endswith(DIST_INFO)
        ]
    except OSError as error:  # in a zip, for example
        pass_on(error)
        return None
    found = [name[: -len(DIST_INFO)].rpartition("-") for name in names]
    versions = [version for name, _, version in found if normalize(name) == wanted]
    version = versions[0] if len(versions) == 1 else ""
    valid = 0 < len(version) <= MAX_VERSION and version.isprintable()
    return version if valid else None


def normalize(name: str) -> str:
    """A distribution's name in its one spelling: lower case, runs of `-`, `_`, `.` as one `-`.

    (packaging.python.org/specifications/name-normalization)
    """
    return "-".join(
        part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part
    )


MAX_PATHS = 60
"""A longer search path is cut down to what the sender needs: its job has to fit in a pipe."""

DEPENDENCIES = (
    *("segment", "requests", "urllib3", "certifi", "idna", "charset_normalizer", "chardet"),
    *("backoff", "dateutil", "six.py", "jwt", "cryptography", "cffi", "platformdirs", "click"),
)
"""Packages that the Segment client and the sender import."""


def installed() -> list[str]:
    """The directories that this program imports from, but not the cwd or the script's.

    What is in those two was not installed.
    """
    script = os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else ""
    try:
        excluded = {script, os.getcwd(), os.path.abspath(os.environ.get("PWD", script))}
    except OSError:
        excluded = {script}
    found = [
        path
        for path in sys.path
        if os.path.isabs(path) and os.path.isdir(path) and path not in excluded
    ]
    if len(found) <= MAX_PATHS:
        return found
    return [path for path in found if _has_dependency(path)][:MAX_PATHS]


def _has_dependency(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, name)) for name in DEPENDENCIES)
