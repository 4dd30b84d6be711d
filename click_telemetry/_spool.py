"""Spools facts: an invocation's files, and the hand-over to a detached sender at its end.

The directory is the queue, one for each destination. A file is locked while it is written; a file
whose lock is free has no writer any more. The foreground never waits for the sender: whoever holds
the sender's lock examines the spool again before it ends, so a lock that is held means that nothing
is left to do. While a failure postpones delivery, one run in a hundred starts a sender that only
keeps the spool within its bounds. docs/format.md describes the files.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from time import monotonic_ns, time, time_ns
from typing import TYPE_CHECKING, Any

from . import _instrument
from ._instrument import SCOPES, pass_on
from ._recorder import check_private_directory, encode, is_leaving

if TYPE_CHECKING:
    from ._recorder import Destination, Directories, Fact, Invocation, Settings

FILE_LIMIT = 512 * 1024  # bytes; the sender reads no larger file
NEXT = b'{"next":true}\n'  # the last line of a file that another one continues
RESERVED = 96 * 1024  # bytes of a file that only begin and end lines may fill
LINE_LIMIT = 32 * 1024
PUBLISH_AFTER = 5_000_000_000  # nanoseconds between two publications of a long-lived invocation
LOWEST_DESCRIPTOR = 10  # shell scripts and daemons close and reuse lower ones by number

PACKAGE = os.path.dirname(os.path.abspath(__file__))  # however the program changes its directory
GUARD = "CLICK_TELEMETRY_SENDER"  # set in the sender's environment: it must never start itself
LOCK = "lock"  # the sender's, in the spool; never unlinked while it may be held
NOT_BEFORE = "not-before"  # in the spool; its mtime is the time before which no sender delivers
MAX_WAIT = 24 * 3600.0  # seconds; a not-before further ahead comes from a clock that was wrong
TRIM_PROBABILITY = 0.01  # of a sender that only trims, while delivery is postponed


# Files --------------------------------------------------------------------------------------------

if sys.platform == "win32":
    from ._storage import open_private, try_lock, unlock
else:
    import fcntl

    def open_private(path: str, flags: int) -> int:
        """Open a file of ours for writing, on a descriptor that no program expects to be free.

        Args:
            path: an absolute path in a private directory.
            flags: of `os.open`, in addition to those that keep it private.

        Raises:
            OSError: it cannot be opened, or what is there is not ours.
        """
        flags |= os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW
        low = descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(low)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise OSError(errno.EPERM, "not a file of this user", path)
            if low < LOWEST_DESCRIPTOR:
                descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
                os.close(low)
            if found.st_mode & 0o600 != 0o600:
                os.fchmod(descriptor, 0o600)  # a umask of 0777 would hide it from the sender
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this open file alone; False when another process holds it.

        Raises:
            OSError: the file system has no working locks.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pass_on(error)
            return False
        except OSError as error:
            pass_on(error)
            raise OSError(errno.ENOLCK, "the file system has no locks") from error
        return True

    def unlock(descriptor: int) -> None:
        """Unlock a file, for every process that inherited it too."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class SpoolFile:
    """One file of the spool while it is written: open, and locked by its writer.

    Args:
        path: a new file's.

    Raises:
        OSError: it cannot be made, or the file system has no locks; nothing is left of it.
    """

    __slots__ = ("_identity", "_torn", "descriptor", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._torn = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.descriptor = descriptor = open_private(path, flags)
        try:
            locked = try_lock(descriptor)
            found = os.fstat(descriptor)
            if not locked or not found.st_nlink:
                raise OSError(errno.EAGAIN, "a sender took the file before it was locked", path)
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        self._identity = (found.st_dev, found.st_ino)

    def links(self) -> int:
        """How many names the file has; 0 if it is deleted.

        Raises:
            OSError: the descriptor is not this file's any more: the command has closed it.
        """
        found = os.fstat(self.descriptor)
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError(errno.EBADF, "the descriptor is another file's", self.path)
        return found.st_nlink

    def append(self, lines: bytes) -> None:
        """Write whole lines, in one call if the disk takes them.

        Raises:
            OSError: not all of it was written, and what was is removed again. Where that fails,
                too, the next write ends the line that was cut short, so that only it is lost.
        """
        if self._torn:
            lines = b"\n" + lines
        written = 0
        try:
            while written < len(lines):
                written += os.write(self.descriptor, lines[written:])
            self._torn = False
        except OSError:
            if written:
                torn, self._torn = self._torn, True
                os.ftruncate(self.descriptor, self.size)
                self._torn = torn
                written = 0
            raise
        finally:
            self.size += written

    def release(self) -> None:
        """Unlock and close: a sender may read the file from now on.

        It is unlocked first: a forked child that inherited the descriptor would keep the lock.
        """
        try:
            if self.links() and not self.size:
                os.unlink(self.path)  # no write succeeded
            unlock(self.descriptor)
            os.close(self.descriptor)
        except OSError as error:
            pass_on(error)

    def discard(self) -> None:
        """Release it as if nothing had been written to it."""
        os.ftruncate(self.descriptor, 0)
        self.size = 0
        self.release()


def lines_of(facts: list[Fact]) -> bytes:
    """Facts as they are in a file.

    Raises:
        OSError: a line is too long.
    """
    lines = b""
    for fact in facts:
        line = encode(fact).encode("ascii") + b"\n"
        if len(line) > LINE_LIMIT:
            raise OSError(errno.EMSGSIZE, "the line is too long")
        lines += line
    return lines


class Spool:
    """Writes the facts of an invocation to files of its own, each write at once.

    Args:
        settings: what the application declared.
        directories: the application's.
        destination: where the events go.
        anonymous_id: the ID that a sender identifies once, or None for a temporary one.
        delivers: whether senders are started.
    """

    # begun: begin facts of the runs without an end, by number, as the files have them.
    # deliver: whether the sender may post; otherwise it only trims.
    # file: the current one; None before the first and between two.
    # last_at, last_n: of the last fact that was written.
    # stopped: nothing more is written: the command has closed our descriptor, or the person has
    #   deleted what was recorded.
    # unsent: whether something was written since the last hand-over.
    # unwritten: facts with a begin, an end or a sign-out that a full disk or file did not take.
    # user: who is signed in, as the files have it.
    __slots__ = (
        *("anonymous_id", "begun", "deliver", "delivers", "destination", "directories"),
        *("directory", "file", "user"),
        *("last_at", "last_n", "named", "part", "pid", "publication", "published_at", "settings"),
        *("stopped", "unsent", "unwritten"),
    )

    read_only = False

    def __init__(
        self,
        settings: Settings,
        directories: Directories,
        destination: Destination,
        anonymous_id: str | None,
        *,
        delivers: bool = True,
    ) -> None:
        self.settings = settings
        self.directories = directories
        self.directory = os.path.join(directories.spool, destination.digest)
        self.destination = destination
        self.anonymous_id = anonymous_id
        self.delivers = self.deliver = delivers
        self.file: SpoolFile | None = None
        self.last_at = self.last_n = self.named = self.part = self.publication = 0
        self.pid = os.getpid()
        self.published_at = monotonic_ns()
        self.stopped = self.unsent = False
        self.begun: dict[int, Fact] = {}
        self.unwritten: list[Fact] = []
        self.user: str | None = None

    @property
    def state_directory(self) -> str:
        """The directory of everything that is stored for the application."""
        return self.directories.state

    def write(self, invocation: Invocation, facts: list[Fact], lifecycle: bool) -> None:
        """Append facts; they survive the death of this process from then on.

        A begin, an end or a sign-out is kept if it cannot be written, until the next one is.

        Raises:
            OSError: they could not be written, and are not kept.
        """
        facts = [*self.unwritten, *facts]
        lines = lines_of(facts)
        try:
            self.append(invocation, lines, lifecycle)
            self.unwritten = []
        except OSError as error:
            self.stopped = self.stopped or error.errno == errno.ENOLCK
            if lifecycle and not self.stopped and len(lines) <= RESERVED:
                self.unwritten = facts
            elif "identify" in facts[-1]:
                from ._foreground import rotation

                rotation.sign_out_later(self, facts[-1])
            else:
                raise
            pass_on(error)
            return
        for fact in facts:
            self.last_at = fact["at"]
            self.last_n = fact.get("n", self.last_n)
            if "command" in fact:
                self.begun[fact["run"]] = fact
            elif "identify" in fact:
                self.user = fact["identify"]
            elif "event" not in fact:
                self.begun.pop(fact["run"], None)
        if monotonic_ns() - self.published_at >= PUBLISH_AFTER:
            self.publish(invocation)

    def append(self, invocation: Invocation, lines: bytes, lifecycle: bool) -> None:
        """Append lines to the current file, or to a new one.

        Raises:
            OSError: they could not be written.
        """
        if self.stopped:
            raise OSError(errno.EBADF, "recording has stopped")
        if self.file is not None:
            try:
                self.stopped = not self.file.links()
            except OSError as error:
                self.stopped = error.errno == errno.EBADF
                raise
            if self.stopped:
                raise OSError(errno.ENOENT, "the file is deleted", self.file.path)
            limit = FILE_LIMIT - len(NEXT) if lifecycle else FILE_LIMIT - RESERVED
            if self.file.size + len(lines) > limit:
                from ._foreground import rotation

                rotation.make_room(invocation, self, len(lines), lifecycle=lifecycle)
        if self.file is None:
            self.file = self.new_file(invocation)
        if not self.file.size:
            lines = self.head(invocation) + lines
        self.file.append(lines)
        self.unsent = True

    def head(self, invocation: Invocation) -> bytes:
        """The first line of a new file."""
        head = invocation.head
        if self.part > 1:
            from ._foreground import rotation

            head = rotation.head(invocation, self)
        return encode(head).encode("ascii") + b"\n"

    def new_file(self, invocation: Invocation) -> SpoolFile:
        """The next part's file, empty and locked.

        Raises:
            OSError: it cannot be made; nothing is left of it.
        """
        try:
            check_private_directory(self.directories.spool)
            check_private_directory(self.directory)
        except FileNotFoundError as error:
            pass_on(error)
            self.stopped = self.part > 0  # the person has deleted what was recorded
            if self.stopped:
                raise
            from ._storage import make_private_directory  # for a first run

            make_private_directory(self.directory)
        # Later than the last one's name, even if the clock was set back: parts are read in order.
        self.named = max(time_ns(), self.named + 1)
        name = f"{self.named:020d}-{invocation.digits}-{self.part + 1:04d}.facts"
        made = SpoolFile(os.path.join(self.directory, name))
        self.part += 1
        return made

    def publish(self, invocation: Invocation) -> None:
        """Let a sender have what is written so far."""
        if not self.unwritten:
            from ._foreground import rotation

            rotation.publish(invocation, self)

    def close(self, invocation: Invocation) -> None:
        """The invocation has ended: release its file, and have it delivered."""
        if self.unwritten:
            try:
                self.append(invocation, lines_of(self.unwritten), lifecycle=True)
            except OSError as error:
                pass_on(error)  # it is lost: no event is left to report it
        if self.file is not None:
            self.file.release()
        if self.unsent and not self.stopped:
            self.hand_over(leaving=is_leaving())

    # The sender -----------------------------------------------------------------------------------

    def hand_over(self, *, leaving: bool) -> None:
        """Have a sender started.

        Args:
            leaving: whether the process ends soon; then it is started at the very end.

        Raises:
            OSError: none could be started; the spool keeps everything for the next invocation.
        """
        if not self.delivers:
            return
        # Not at exit: Python 3.12 starts no thread there, which is how a frozen program delivers.
        if self.pid == 1 or not can_start_python():
            from ._foreground import inline

            inline.deliver(self)
        elif leaving:
            _instrument.at_exit.append(self.start)
        else:
            from . import _launcher  # only what starts a sender needs it

            # Where the application handles SIGCHLD in Python, no child of ours may end before it.
            if _launcher.handles_children():
                _instrument.at_exit.append(self.start)
            else:
                self.start(away=True)
        self.unsent = False

    def start(self, *, away: bool = False) -> None:
        """Start a sender, unless one is alive or it is too early.

        Args:
            away: whether this program goes on, and must never meet a child that is not its own.

        Raises:
            OSError: none could be started.
        """
        try:
            lock = self.take_lock() if os.getpid() == self.pid else None
        except OSError as error:
            pass_on(error)
            from . import _storage  # for a lock that is a directory, a link or a FIFO

            lock = _storage.open_null_for(os.path.join(self.directory, LOCK))
        if lock is not None:
            from . import _launcher  # likewise

            _launcher.start(self, lock, away=away)

    def take_lock(self) -> int | None:
        """The sender's lock, held; None where another sender is alive or it is too early.

        Raises:
            OSError: it cannot be opened, or the file system has no locks.
        """
        if GUARD in os.environ:
            return None
        self.deliver = True
        try:
            left = os.stat(os.path.join(self.directory, NOT_BEFORE)).st_mtime - time()
            self.deliver = not 0 < left <= MAX_WAIT
        except OSError as error:
            pass_on(error)
        if not self.deliver and os.urandom(1)[0] >= TRIM_PROBABILITY * 256:
            return None
        lock = open_private(os.path.join(self.directory, LOCK), os.O_RDWR | os.O_CREAT)
        locked = False
        try:
            locked = try_lock(lock)
        finally:
            if not locked:
                os.close(lock)
        return lock if locked else None


def can_start_python() -> bool:
    """Whether a child of this interpreter is a Python that finds this package.

    Frozen, or embedded in another program, `sys.executable` is that program: it would run the
    application again. In a zipapp there is no file that the child could be pointed to.
    """
    executable = sys.executable or ""
    return (
        not getattr(sys, "frozen", False)
        and os.path.isabs(executable)
        and "py" in os.path.basename(executable).lower()
        and os.path.isfile(os.path.join(PACKAGE, "__init__.py"))
    )


def _close_in_child() -> None:
    """Close a forked child's copies of our descriptors: they would keep the parent's locks."""
    for scope in SCOPES:
        sink: Any = getattr(scope.invocation, "sink", None)
        file = getattr(sink, "file", None)
        if file is not None:
            sink.file = None
            try:
                file.links()
                os.close(file.descriptor)
            except OSError:
                continue  # the command has closed it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
