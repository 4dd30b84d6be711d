"""Our own files: private, never followed, never waited for; what is not ours is left alone."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from click_telemetry.storage import (
    LOWEST_DESCRIPTOR,
    NoLocks,
    TooLarge,
    Unusable,
    can_be_made,
    check_private_directory,
    make_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
    unlock,
    write_all,
)

from .privacy.opened import descriptors
from .privacy.racing import environment, python

fcntl = pytest.importorskip("fcntl")
root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")

STRANGER = 65534
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@pytest.fixture(params=[0, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def obstacles(directory: Path) -> dict[str, Path]:
    """What may lie in a file's place, each at a path of its own."""
    found = {name: directory / name for name in ("link", "dangling", "loop", "fifo", "directory")}
    (directory / "target").write_bytes(b"mine")
    found["link"].symlink_to(directory / "target")
    found["dangling"].symlink_to(directory / "nowhere")
    found["loop"].symlink_to(found["loop"])
    os.mkfifo(found["fifo"])
    found["directory"].mkdir()
    return found


class TestDirectories:
    def test_a_directory_is_private_with_all_that_was_missing_above(
        self, tmp_path: Path, umask: int
    ) -> None:
        """Mode 0700 whatever the umask (row 25); what was there keeps its own."""
        tmp_path.chmod(0o755)
        made = tmp_path / "a" / "b" / "c"
        make_private_directory(str(made))
        assert [mode(path) for path in (made, made.parent, made.parent.parent)] == [0o700] * 3
        assert mode(tmp_path) == 0o755

    def test_a_directory_that_is_there_is_used_as_it_is(self, tmp_path: Path) -> None:
        """Making it again changes nothing."""
        tmp_path.chmod(0o755)
        make_private_directory(str(tmp_path))
        assert mode(tmp_path) == 0o755

    @pytest.mark.parametrize("writable", [0o720, 0o702, 0o777, 0o1777])
    def test_a_directory_that_others_may_write_to_is_refused(
        self, tmp_path: Path, writable: int
    ) -> None:
        """Row 20."""
        tmp_path.chmod(writable)
        with pytest.raises(Unusable, match="others may write"):
            make_private_directory(str(tmp_path))
        with pytest.raises(Unusable, match="others may write"):
            check_private_directory(str(tmp_path))
        assert not can_be_made(str(tmp_path))
        assert mode(tmp_path) == writable

    @root
    def test_a_directory_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        """Row 20."""
        theirs = tmp_path / "theirs"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, STRANGER, STRANGER)
        with pytest.raises(Unusable, match="belongs to others"):
            make_private_directory(str(theirs))
        assert not can_be_made(str(theirs))

    @pytest.mark.parametrize("kind", ["link", "dangling", "loop", "fifo", "file", "to a directory"])
    def test_what_is_no_directory_is_refused(self, tmp_path: Path, kind: str) -> None:
        """Not even a link to a private directory is followed (row 20)."""
        found = obstacles(tmp_path)
        (tmp_path / "file").touch()
        (tmp_path / "to a directory").symlink_to(found["directory"])
        path = tmp_path / kind
        with pytest.raises(Unusable, match="not a directory"):
            make_private_directory(str(path))
        assert not can_be_made(str(path))
        assert (tmp_path / "target").read_bytes() == b"mine"
        assert list(found["directory"].iterdir()) == []

    def test_a_directory_below_what_is_none_cannot_be_made(self, tmp_path: Path) -> None:
        """A file or a link to nowhere on the way is an answer, not an error of ours."""
        found = obstacles(tmp_path)
        for above in (tmp_path / "target", found["dangling"], found["loop"], found["fifo"]):
            with pytest.raises(OSError, match=r"\["):
                make_private_directory(str(above / "a" / "b"))
            assert not can_be_made(str(above / "a" / "b"))

    @pytest.mark.parametrize("path", ["", "a", "a/b", "./a", "../a", "~/a"])
    def test_nothing_is_made_in_the_current_directory(
        self, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A path that is not absolute is refused (row 16)."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(Unusable, match="current directory"):
            make_private_directory(path)
        assert list(tmp_path.iterdir()) == []

    def test_fifty_first_runs_make_it_together(self, tmp_path: Path) -> None:
        """Whoever comes second finds what the first one made."""
        barrier = threading.Barrier(50)
        made = tmp_path / "a" / "b" / "c"
        failed: list[OSError] = []

        def make() -> None:
            barrier.wait()
            try:
                make_private_directory(str(made))
            except OSError as error:
                failed.append(error)

        threads = [threading.Thread(target=make) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert mode(made) == 0o700

    @pytest.mark.parametrize("planted", ["open to all", "link", "file"])
    def test_what_somebody_plants_meanwhile_is_refused(
        self, tmp_path: Path, planted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever makes it first, it is looked at again before it is used."""
        path = tmp_path / "ours"

        def too_late(*_: object) -> None:
            if planted == "open to all":
                make(path, 0o700)
                path.chmod(0o777)
            elif planted == "link":
                path.symlink_to(tmp_path)
            else:
                path.touch()
            raise FileExistsError(errno.EEXIST, "File exists")

        make = os.mkdir
        monkeypatch.setattr(os, "mkdir", too_late)
        with pytest.raises(Unusable):
            make_private_directory(str(path))

    def test_whether_it_can_be_made_is_told_without_making_it(self, tmp_path: Path) -> None:
        """Asking leaves no trace."""
        assert can_be_made(str(tmp_path)) is True
        assert can_be_made(str(tmp_path / "a" / "b" / "c")) is True
        assert can_be_made("") is False
        assert can_be_made("a/b") is False
        assert list(tmp_path.iterdir()) == []

    @no_root
    def test_where_nothing_may_be_written_nothing_can_be_made(self, tmp_path: Path) -> None:
        """Row 81."""
        tmp_path.chmod(0o500)
        try:
            assert not can_be_made(str(tmp_path))
            assert not can_be_made(str(tmp_path / "a" / "b"))
        finally:
            tmp_path.chmod(0o700)

    def test_a_directory_that_is_not_there_is_told_from_one_that_is_not_ours(
        self, tmp_path: Path
    ) -> None:
        """A missing directory is no fault."""
        with pytest.raises(FileNotFoundError):
            check_private_directory(str(tmp_path / "a"))


@pytest.mark.usefixtures("no_descriptor_is_left")
class TestReading:
    @pytest.mark.parametrize("content", [b"", b"a", b"a\r\nb\x1a\0\xff", b"x" * 100])
    def test_a_file_is_read_as_it_is(self, tmp_path: Path, content: bytes) -> None:
        """Every byte, to the limit."""
        path = tmp_path / "file"
        path.write_bytes(content)
        assert read_small(str(path), limit=100) == content

    def test_a_file_over_the_limit_is_refused(self, tmp_path: Path) -> None:
        """One byte more is too large, and 100 MB are not read."""
        path = tmp_path / "file"
        path.write_bytes(b"x" * 101)
        with pytest.raises(TooLarge):
            read_small(str(path), limit=100)
        os.truncate(path, 100 * 1024 * 1024)
        with pytest.raises(TooLarge):
            read_small(str(path), limit=100)

    def test_a_file_is_read_whole_however_many_reads_it_takes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network drive may give it in pieces."""
        path = tmp_path / "file"
        path.write_bytes(b"telemetry")
        whole = os.read
        monkeypatch.setattr(os, "read", lambda descriptor, size: whole(descriptor, min(size, 2)))
        assert read_small(str(path), limit=9) == b"telemetry"
        with pytest.raises(TooLarge):
            read_small(str(path), limit=8)

    def test_links_are_followed_only_where_they_are_welcome(self, tmp_path: Path) -> None:
        """Dotfiles may be links; state may not."""
        found = obstacles(tmp_path)
        assert read_small(str(found["link"]), limit=100, follow=True) == b"mine"
        with pytest.raises(OSError, match="symbolic links"):
            read_small(str(found["link"]), limit=100)
        with pytest.raises(FileNotFoundError):
            read_small(str(found["dangling"]), limit=100, follow=True)
        with pytest.raises(OSError, match="symbolic links"):
            read_small(str(found["dangling"]), limit=100)
        for follow in (True, False):
            with pytest.raises(OSError, match="symbolic links"):
                read_small(str(found["loop"]), limit=100, follow=follow)

    @pytest.mark.parametrize("follow", [True, False])
    @pytest.mark.parametrize("path", ["fifo", "directory", "/dev/null", "/dev/zero"])
    def test_what_is_no_file_is_neither_read_nor_waited_for(
        self, tmp_path: Path, path: str, follow: bool
    ) -> None:
        """A pipe, a directory, a device (row 19)."""
        obstacles(tmp_path)
        with pytest.raises(Unusable, match="not a regular file"):
            read_small(str(tmp_path / path), limit=100, follow=follow)

    @root
    @pytest.mark.parametrize("follow", [True, False])
    def test_somebody_else_s_file_is_not_read(self, tmp_path: Path, follow: bool) -> None:
        """Row 19."""
        path = tmp_path / "file"
        path.write_bytes(b"theirs")
        os.chown(path, STRANGER, STRANGER)
        with pytest.raises(Unusable, match="another user"):
            read_small(str(path), limit=100, follow=follow)

    def test_a_missing_file_is_told_from_one_that_is_not_ours(self, tmp_path: Path) -> None:
        """No file is no fault."""
        with pytest.raises(FileNotFoundError):
            read_small(str(tmp_path / "file"), limit=100)


class TestOpening:
    @pytest.fixture(autouse=True)
    def clean(self, no_descriptor_is_left: None) -> None:
        """Whatever happens, no descriptor stays open."""

    def test_a_file_is_mine_alone(self, tmp_path: Path, umask: int) -> None:
        """Mode 0600 whatever the umask (row 25)."""
        path = tmp_path / "file"
        os.close(open_private(str(path), NEW))
        assert mode(path) == 0o600

    def test_descriptors_stay_out_of_the_way(self, tmp_path: Path) -> None:
        """Numbers that scripts use are not ours, and no child inherits one."""
        opened = [open_private(str(tmp_path / str(n)), NEW) for n in range(5)]
        assert min(opened) >= LOWEST_DESCRIPTOR == 10
        assert not any(os.get_inheritable(descriptor) for descriptor in opened)
        for descriptor in opened:
            os.close(descriptor)

    def test_closed_standard_streams_are_not_taken(self, tmp_path: Path) -> None:
        """With `<&- >&- 2>&-` our file does not become the command's stdout (row 72)."""
        source = """
import os
from click_telemetry.storage import open_private
os.close(0); os.close(1); os.close(2)
descriptor = open_private(sys.argv[1], os.O_WRONLY | os.O_CREAT)
free = []
for number in range(3):
    try:
        os.fstat(number)
    except OSError:
        free.append(number)
os.write(descriptor, repr((descriptor >= 10, free)).encode())
"""
        subprocess.run(python(source, tmp_path / "file"), env=environment(), check=True)
        assert (tmp_path / "file").read_text() == "(True, [0, 1, 2])"

    @pytest.mark.parametrize("flags", [NEW, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_WRONLY])
    @pytest.mark.parametrize("kind", ["link", "dangling", "loop", "fifo", "directory"])
    def test_what_is_no_file_of_mine_is_left_alone(
        self, tmp_path: Path, kind: str, flags: int
    ) -> None:
        """Nothing is followed, waited for or written (row 19)."""
        path = obstacles(tmp_path)[kind]
        with pytest.raises(OSError, match=str(path)):
            open_private(str(path), flags)
        assert (tmp_path / "target").read_bytes() == b"mine"
        assert not (tmp_path / "nowhere").exists()

    def test_what_is_there_is_not_opened_as_new(self, tmp_path: Path) -> None:
        """A name that is taken is taken."""
        (tmp_path / "file").write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            open_private(str(tmp_path / "file"), NEW)
        assert (tmp_path / "file").read_bytes() == b"mine"

    @root
    def test_somebody_else_s_file_is_not_opened(self, tmp_path: Path) -> None:
        """Row 19."""
        path = tmp_path / "file"
        path.touch(mode=0o666)
        os.chown(path, STRANGER, STRANGER)
        with pytest.raises(Unusable, match="another user"):
            open_private(str(path), os.O_RDWR)
        assert path.stat().st_uid == STRANGER

    def test_no_descriptor_is_left_where_none_is_free_above(self, tmp_path: Path) -> None:
        """At the limit of open files we give up, and give back (row 15)."""
        source = """
import errno, os, resource
from click_telemetry.storage import open_private
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))
try:
    open_private(sys.argv[1], os.O_WRONLY | os.O_CREAT)
except OSError as error:
    print(free < 10, errno.errorcode[error.errno])
print(os.dup(0) == free)
"""
        done = subprocess.run(
            python(source, tmp_path / "file"),
            stdin=subprocess.DEVNULL,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout in ("True EMFILE\nTrue\n", "True EINVAL\nTrue\n")

    def test_a_line_s_end_is_one_byte(self, tmp_path: Path) -> None:
        """What is written is what is read, on every system."""
        descriptor = open_private(str(tmp_path / "file"), NEW)
        write_all(descriptor, b"a\nb\r\n\x1a")
        os.close(descriptor)
        assert (tmp_path / "file").read_bytes() == b"a\nb\r\n\x1a"


@pytest.mark.usefixtures("no_descriptor_is_left")
class TestReplacing:
    def test_a_file_is_replaced_whole(self, tmp_path: Path, umask: int) -> None:
        """A new file, private, and nothing beside it."""
        path = tmp_path / "file"
        for content in (b"old", b"newer", b""):
            replace_file(str(path), content)
            assert mode(path) == 0o600
            path.chmod(0o644)
            assert path.read_bytes() == content
        assert os.listdir(tmp_path) == ["file"]

    def test_readers_see_the_old_or_the_new_file(self, tmp_path: Path) -> None:
        """Never a mixture, never nothing."""
        path = tmp_path / "file"
        contents = [bytes([65 + n]) * 20_000 for n in range(20)]
        replace_file(str(path), contents[0])
        seen: set[bytes] = set()
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                seen.add(path.read_bytes())

        watcher = threading.Thread(target=watch)
        writers = [threading.Thread(target=replace_file, args=(str(path), c)) for c in contents]
        watcher.start()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        done.set()
        watcher.join()
        assert seen <= set(contents)
        assert os.listdir(tmp_path) == ["file"]

    def test_on_a_full_disk_the_old_file_stands(self, tmp_path: Path) -> None:
        """What could not be written whole is not there at all (row 13)."""
        pytest.importorskip("resource")
        source = """
import errno, resource
from click_telemetry.storage import replace_file
replace_file(sys.argv[1], b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (5, resource.RLIM_INFINITY))
try:
    replace_file(sys.argv[1], b"new and longer")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
        done = subprocess.run(
            python(source, tmp_path / "file"),
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "EFBIG\n"
        assert (tmp_path / "file").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["file"]

    @pytest.mark.parametrize("call", ["close", "replace"])
    def test_when_the_last_step_fails_the_old_file_stands(
        self, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network drive may refuse at the very end; nothing is left beside the file."""
        path = tmp_path / "file"
        path.write_bytes(b"old")
        whole = getattr(os, call)

        def fail(*args: object) -> None:
            if call == "close":
                whole(*args)
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="quota"):
                replace_file(str(path), b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["file"]

    def test_a_directory_is_not_replaced(self, tmp_path: Path) -> None:
        """Row 19."""
        (tmp_path / "file").mkdir()
        with pytest.raises(IsADirectoryError):
            replace_file(str(tmp_path / "file"), b"new")
        assert os.listdir(tmp_path) == ["file"]


class TestWriting:
    def test_every_byte_is_written_however_many_calls_it_takes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write may be short; none of it is lost or twice (row 14)."""
        whole = os.write
        calls: list[int] = []

        def short(descriptor: int, content: bytes) -> int:
            calls.append(len(content))
            return whole(descriptor, content[:3])

        descriptor = open_private(str(tmp_path / "file"), NEW)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", short)
            write_all(descriptor, b"telemetry!")
            write_all(descriptor, b"")
        os.close(descriptor)
        assert calls == [10, 7, 4, 1]
        assert (tmp_path / "file").read_bytes() == b"telemetry!"


class TestLocks:
    def opened(self, tmp_path: Path) -> int:
        return open_private(str(tmp_path / "lock"), os.O_RDWR | os.O_CREAT)

    def test_one_open_file_at_a_time_has_the_lock(self, tmp_path: Path) -> None:
        """The second is told at once; it has the lock as soon as the first gives it back."""
        first, second = self.opened(tmp_path), self.opened(tmp_path)
        assert try_lock(first) is True
        assert try_lock(second) is False
        assert try_lock(first) is True
        unlock(first)
        assert try_lock(second)
        os.close(second)
        assert try_lock(first)
        os.close(first)

    def test_a_lock_ends_with_the_process_that_held_it(self, tmp_path: Path) -> None:
        """The kernel tells the living from the dead: no lock is stale (row 31)."""
        source = """
import os
from click_telemetry.storage import open_private, try_lock
print(try_lock(open_private(sys.argv[1], os.O_RDWR | os.O_CREAT)), flush=True)
sys.stdin.read()
"""
        holder = subprocess.Popen(
            python(source, tmp_path / "lock"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"True\n"
            descriptor = self.opened(tmp_path)
            assert not try_lock(descriptor)
            holder.kill()
        assert try_lock(descriptor)
        os.close(descriptor)

    def test_a_lock_is_given_back_for_every_process_that_inherited_it(self, tmp_path: Path) -> None:
        """A forked child that lives on does not keep our file locked (row 103)."""
        first = self.opened(tmp_path)
        assert try_lock(first)
        inherited = os.dup(first)
        unlock(first)
        os.close(first)
        second = self.opened(tmp_path)
        assert try_lock(second)
        os.close(second)
        os.close(inherited)

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
    def test_a_file_system_without_locks_says_so(
        self, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No lock is told from a lock that somebody holds (row 23)."""

        def flock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        descriptor = self.opened(tmp_path)
        with pytest.raises(NoLocks) as caught:
            try_lock(descriptor)
        assert caught.value.errno == number
        os.close(descriptor)


def test_every_fault_is_an_os_error() -> None:
    """Whoever stores something catches one kind of error."""
    for fault in (Unusable, TooLarge, NoLocks):
        assert issubclass(fault, OSError)


def test_loading_the_module_needs_little_and_does_nothing(tmp_path: Path) -> None:
    """Every command pays for this import."""
    source = """
import click_telemetry.storage
dear = {"json", "logging", "pathlib", "shutil", "socket", "subprocess", "tempfile"}
print(*dear & set(sys.modules))
"""
    done = subprocess.run(
        python(source),
        env=environment(HOME=str(tmp_path)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"
    assert list(tmp_path.iterdir()) == []
