"""Our own files: private, no link's target, no blocking open; foreign ones are left alone."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from click_telemetry import _spool
from click_telemetry._foreground.consent import DISABLED, ENABLED, NONE, UNREADABLE
from click_telemetry._recorder import SETTING_LIMIT, read_setting
from click_telemetry._storage import (
    LOWEST_DESCRIPTOR,
    NoLocks,
    TooLarge,
    Unusable,
    can_create,
    check_private_directory,
    make_private_directory,
    open_private,
    purge,
    read_small,
    replace_file,
    try_lock,
    unlock,
    write_all,
)

from .harness.interpreter import environment, open_descriptors, python

fcntl = pytest.importorskip("fcntl")
root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")

OTHER_USER = 65534
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@pytest.fixture(params=[0, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def obstacles(directory: Path) -> dict[str, Path]:
    """What may have a file's name, each at a path of its own."""
    found = {name: directory / name for name in ("link", "dangling", "loop", "fifo", "directory")}
    (directory / "target").write_bytes(b"ours")
    found["link"].symlink_to(directory / "target")
    found["dangling"].symlink_to(directory / "nowhere")
    found["loop"].symlink_to(found["loop"])
    os.mkfifo(found["fifo"])
    found["directory"].mkdir()
    return found


class TestDirectories:
    def test_directory_is_private_with_its_missing_parents(
        self, tmp_path: Path, umask: int
    ) -> None:
        """Mode 0700 whatever the umask; existing parents keep their mode."""
        tmp_path.chmod(0o755)
        made = tmp_path / "a" / "b" / "c"
        make_private_directory(str(made))
        assert [mode(path) for path in (made, made.parent, made.parent.parent)] == [0o700] * 3
        assert mode(tmp_path) == 0o755

    def test_existing_directory_is_used_as_it_is(self, tmp_path: Path) -> None:
        """A second call changes nothing."""
        tmp_path.chmod(0o755)
        make_private_directory(str(tmp_path))
        assert mode(tmp_path) == 0o755

    @pytest.mark.parametrize("writable", [0o720, 0o702, 0o777, 0o1777])
    def test_directory_that_others_may_write_to_is_refused(
        self, tmp_path: Path, writable: int
    ) -> None:
        """Its mode is not changed."""
        tmp_path.chmod(writable)
        with pytest.raises(Unusable, match="other users may write"):
            make_private_directory(str(tmp_path))
        with pytest.raises(Unusable, match="other users may write"):
            check_private_directory(str(tmp_path))
        assert not can_create(str(tmp_path))
        assert mode(tmp_path) == writable

    @root
    def test_directory_of_another_user_is_refused(self, tmp_path: Path) -> None:
        """It may belong to an attacker."""
        other = tmp_path / "other"
        other.mkdir(mode=0o700)
        os.chown(other, OTHER_USER, OTHER_USER)
        with pytest.raises(Unusable, match="belongs to another user"):
            make_private_directory(str(other))
        assert not can_create(str(other))

    @pytest.mark.parametrize("kind", ["link", "dangling", "loop", "fifo", "file", "to a directory"])
    def test_path_that_is_not_a_directory_is_refused(self, tmp_path: Path, kind: str) -> None:
        """Not even a link to a private directory is followed."""
        found = obstacles(tmp_path)
        (tmp_path / "file").touch()
        (tmp_path / "to a directory").symlink_to(found["directory"])
        path = tmp_path / kind
        with pytest.raises(Unusable, match="not a directory"):
            make_private_directory(str(path))
        assert not can_create(str(path))
        assert (tmp_path / "target").read_bytes() == b"ours"
        assert list(found["directory"].iterdir()) == []

    def test_directory_below_a_file_cannot_be_created(self, tmp_path: Path) -> None:
        """Nor below a dangling link; it is an OSError, and no error of ours."""
        found = obstacles(tmp_path)
        for above in (tmp_path / "target", found["dangling"], found["loop"], found["fifo"]):
            with pytest.raises(OSError, match=r"\["):
                make_private_directory(str(above / "a" / "b"))
            assert not can_create(str(above / "a" / "b"))

    @pytest.mark.parametrize("path", ["", "a", "a/b", "./a", "../a", "~/a"])
    def test_nothing_is_created_in_the_current_directory(
        self, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A path that is not absolute is refused."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(Unusable, match="current directory"):
            make_private_directory(path)
        assert list(tmp_path.iterdir()) == []

    def test_fifty_first_runs_create_it_together(self, tmp_path: Path) -> None:
        """The second one uses the directory of the first."""
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
    def test_path_that_another_user_creates_meanwhile_is_refused(
        self, tmp_path: Path, planted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is checked again before it is used."""
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

    def test_can_create_creates_nothing(self, tmp_path: Path) -> None:
        """It only inspects what exists."""
        assert can_create(str(tmp_path)) is True
        assert can_create(str(tmp_path / "a" / "b" / "c")) is True
        assert can_create("") is False
        assert can_create("a/b") is False
        assert list(tmp_path.iterdir()) == []

    @no_root
    def test_read_only_directory_permits_no_new_one(self, tmp_path: Path) -> None:
        """Nothing is written."""
        tmp_path.chmod(0o500)
        try:
            assert not can_create(str(tmp_path))
            assert not can_create(str(tmp_path / "a" / "b"))
        finally:
            tmp_path.chmod(0o700)

    def test_missing_directory_differs_from_a_foreign_one(self, tmp_path: Path) -> None:
        """A missing one is not an error of the user's."""
        with pytest.raises(FileNotFoundError):
            check_private_directory(str(tmp_path / "a"))


@pytest.mark.usefixtures("no_descriptor_is_left")
class TestReading:
    @pytest.mark.parametrize("content", [b"", b"a", b"a\r\nb\x1a\0\xff", b"x" * 100])
    def test_file_is_read_byte_by_byte(self, tmp_path: Path, content: bytes) -> None:
        """Every byte, to the limit."""
        path = tmp_path / "file"
        path.write_bytes(content)
        assert read_small(str(path), limit=100) == content

    def test_file_over_the_limit_is_refused(self, tmp_path: Path) -> None:
        """One byte more is too large, and 100 MB are not read."""
        path = tmp_path / "file"
        path.write_bytes(b"x" * 101)
        with pytest.raises(TooLarge):
            read_small(str(path), limit=100)
        os.truncate(path, 100 * 1024 * 1024)
        with pytest.raises(TooLarge):
            read_small(str(path), limit=100)

    def test_file_is_read_in_as_many_reads_as_it_takes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network drive may return it in pieces."""
        path = tmp_path / "file"
        path.write_bytes(b"telemetry")
        whole = os.read
        monkeypatch.setattr(os, "read", lambda descriptor, size: whole(descriptor, min(size, 2)))
        assert read_small(str(path), limit=9) == b"telemetry"
        with pytest.raises(TooLarge):
            read_small(str(path), limit=8)

    def test_links_are_followed_only_on_request(self, tmp_path: Path) -> None:
        """Dotfiles may be links; state may not."""
        found = obstacles(tmp_path)
        assert read_small(str(found["link"]), limit=100, follow=True) == b"ours"
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
    def test_path_that_is_not_a_file_is_not_read(
        self, tmp_path: Path, path: str, follow: bool
    ) -> None:
        """A pipe, which would block, a directory, a device."""
        obstacles(tmp_path)
        with pytest.raises(Unusable, match="not a regular file"):
            read_small(str(tmp_path / path), limit=100, follow=follow)

    @root
    @pytest.mark.parametrize("follow", [True, False])
    def test_another_users_file_is_not_read(self, tmp_path: Path, follow: bool) -> None:
        """It may be a trap."""
        path = tmp_path / "file"
        path.write_bytes(b"other")
        os.chown(path, OTHER_USER, OTHER_USER)
        with pytest.raises(Unusable, match="another user"):
            read_small(str(path), limit=100, follow=follow)

    def test_missing_file_differs_from_a_foreign_one(self, tmp_path: Path) -> None:
        """A missing one is not an error of the user's."""
        with pytest.raises(FileNotFoundError):
            read_small(str(tmp_path / "file"), limit=100)


class TestOpening:
    @pytest.fixture(autouse=True)
    def clean(self, no_descriptor_is_left: None) -> None:
        """No descriptor stays open."""

    def test_file_is_private(self, tmp_path: Path, umask: int) -> None:
        """Mode 0600 whatever the umask."""
        path = tmp_path / "file"
        os.close(open_private(str(path), NEW))
        assert mode(path) == 0o600

    def test_descriptors_are_high_and_not_inherited(self, tmp_path: Path) -> None:
        """Scripts use low numbers."""
        opened = [open_private(str(tmp_path / str(n)), NEW) for n in range(5)]
        assert min(opened) >= LOWEST_DESCRIPTOR == 10
        assert not any(os.get_inheritable(descriptor) for descriptor in opened)
        for descriptor in opened:
            os.close(descriptor)

    def test_numbers_of_closed_standard_streams_are_not_used(self, tmp_path: Path) -> None:
        """With `<&- >&- 2>&-` our file does not become the command's stdout."""
        source = """
import os
from click_telemetry._storage import open_private
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
    def test_path_that_is_not_a_file_is_not_opened(
        self, tmp_path: Path, kind: str, flags: int
    ) -> None:
        """No link is followed, nothing blocks, nothing is written."""
        path = obstacles(tmp_path)[kind]
        with pytest.raises(OSError, match=str(path)):
            open_private(str(path), flags)
        assert (tmp_path / "target").read_bytes() == b"ours"
        assert not (tmp_path / "nowhere").exists()

    def test_existing_file_is_not_opened_as_new(self, tmp_path: Path) -> None:
        """Exclusive creation is exclusive."""
        (tmp_path / "file").write_bytes(b"ours")
        with pytest.raises(FileExistsError):
            open_private(str(tmp_path / "file"), NEW)
        assert (tmp_path / "file").read_bytes() == b"ours"

    @root
    def test_another_users_file_is_not_opened(self, tmp_path: Path) -> None:
        """It is not changed."""
        path = tmp_path / "file"
        path.touch(mode=0o666)
        os.chown(path, OTHER_USER, OTHER_USER)
        with pytest.raises(Unusable, match="another user"):
            open_private(str(path), os.O_RDWR)
        assert path.stat().st_uid == OTHER_USER

    def test_no_descriptor_is_left_when_no_high_one_is_free(self, tmp_path: Path) -> None:
        """At the limit of open files it raises and closes."""
        source = """
import errno, os, resource
from click_telemetry._storage import open_private
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

    def test_end_of_a_line_is_one_byte(self, tmp_path: Path) -> None:
        """On every system."""
        descriptor = open_private(str(tmp_path / "file"), NEW)
        write_all(descriptor, b"a\nb\r\n\x1a")
        os.close(descriptor)
        assert (tmp_path / "file").read_bytes() == b"a\nb\r\n\x1a"


@pytest.mark.usefixtures("no_descriptor_is_left")
class TestReplacing:
    def test_file_is_replaced_in_full(self, tmp_path: Path, umask: int) -> None:
        """A new file, private, and no temporary one is left."""
        path = tmp_path / "file"
        for content in (b"old", b"newer", b""):
            replace_file(str(path), content)
            assert mode(path) == 0o600
            path.chmod(0o644)
            assert path.read_bytes() == content
        assert os.listdir(tmp_path) == ["file"]

    def test_readers_see_the_old_or_the_new_content(self, tmp_path: Path) -> None:
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

    def test_full_disk_leaves_the_old_file_unchanged(self, tmp_path: Path) -> None:
        """A new file that could not be written in full is removed."""
        pytest.importorskip("resource")
        source = """
import errno, resource
from click_telemetry._storage import replace_file
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
    def test_failure_of_the_last_step_leaves_the_old_file_unchanged(
        self, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network drive may fail at the very end; no temporary file is left."""
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

    def test_directory_is_not_replaced(self, tmp_path: Path) -> None:
        """It may contain something."""
        (tmp_path / "file").mkdir()
        with pytest.raises(IsADirectoryError):
            replace_file(str(tmp_path / "file"), b"new")
        assert os.listdir(tmp_path) == ["file"]


class TestWriting:
    def test_every_byte_is_written_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write may be short."""
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
        """The second attempt fails at once, and succeeds after the release."""
        first, second = self.opened(tmp_path), self.opened(tmp_path)
        assert try_lock(first) is True
        assert try_lock(second) is False
        assert try_lock(first) is True
        unlock(first)
        assert try_lock(second)
        os.close(second)
        assert try_lock(first)
        os.close(first)

    def test_lock_ends_with_the_process_that_held_it(self, tmp_path: Path) -> None:
        """The kernel releases it: no lock is stale."""
        source = """
import os
from click_telemetry._storage import open_private, try_lock
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

    def test_lock_is_released_for_every_process_that_inherited_it(self, tmp_path: Path) -> None:
        """A forked child does not keep our file locked."""
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
    def test_file_system_without_locks_raises_its_own_error(
        self, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It differs from a lock that is held."""

        def flock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        descriptor = self.opened(tmp_path)
        with pytest.raises(NoLocks) as caught:
            try_lock(descriptor)
        assert caught.value.errno == number
        os.close(descriptor)


def test_every_error_is_an_os_error() -> None:
    """Callers catch one class."""
    for error in (Unusable, TooLarge, NoLocks):
        assert issubclass(error, OSError)


def test_import_is_cheap_and_has_no_effect(tmp_path: Path) -> None:
    """The foreground may load it."""
    source = """
import click_telemetry._storage
expensive = {"json", "logging", "pathlib", "shutil", "socket", "subprocess", "tempfile"}
print(*expensive & set(sys.modules))
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


# Purging, the saved setting ----------------------------------------------------------


def test_purge_deletes_the_state_and_its_empty_parent(tmp_path: Path) -> None:
    """A second purge has nothing to delete."""
    state = tmp_path / "acme" / "telemetry"
    make_private_directory(str(state / "spool" / "destination"))
    (state / "spool" / "destination" / "lock").touch()
    (state / "id").touch()
    assert purge(str(state)) is True
    assert list(tmp_path.iterdir()) == []
    assert purge(str(state)) is False


def test_purge_keeps_what_is_not_ours(tmp_path: Path) -> None:
    """The application's own files next to it; a link's target, which it reports."""
    state, elsewhere = tmp_path / "acme" / "telemetry", tmp_path / "elsewhere"
    make_private_directory(str(state))
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (state.parent / "own").touch()
    (state / "spool").symlink_to(elsewhere)
    with pytest.raises(Unusable, match="was a link"):
        purge(str(state))
    assert not state.exists()
    assert (elsewhere / "file").exists()
    assert (state.parent / "own").exists()
    state.symlink_to(elsewhere)
    with pytest.raises(Unusable, match="not a directory"):
        purge(str(state))


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        (b'{"enabled": true}\n', ENABLED),
        (b'{"enabled": false}\n', DISABLED),
        (b'{"enabled": true, "comment": "kept"}', ENABLED),
        (b'{"enabled": 1}', UNREADABLE),
        (b'{"enabled": "false"}', UNREADABLE),
        (b'{"enabled": null}', UNREADABLE),
        (b'{"enabled": true, "enabled": false}', UNREADABLE),
        (b"{}", UNREADABLE),
        (b"[]", UNREADABLE),
        (b"", UNREADABLE),
        (b"\xef\xbb\xbf{}", UNREADABLE),
        (b"\xff", UNREADABLE),
        (b"[" * 9999, UNREADABLE),
        (b" " * (SETTING_LIMIT + 1), UNREADABLE),
    ],
)
def test_setting_that_cannot_be_read_is_not_enabled(
    content: bytes, setting: str, tmp_path: Path
) -> None:
    """Only a plain true or false is one."""
    path = tmp_path / "telemetry.json"
    path.write_bytes(content)
    assert read_setting(str(path)) == setting
    (tmp_path / "link").symlink_to(path)
    assert read_setting(str(tmp_path / "link")) == setting


def test_missing_setting_is_none_and_a_foreign_one_unreadable(tmp_path: Path) -> None:
    """A FIFO does not block."""
    assert read_setting(str(tmp_path / "telemetry.json")) == NONE
    found = obstacles(tmp_path)
    for name in ("loop", "fifo", "directory"):
        assert read_setting(str(found[name])) == UNREADABLE


def test_lowest_descriptor_is_the_same_in_the_foreground() -> None:
    """Its modules do not load this one."""
    assert _spool.LOWEST_DESCRIPTOR == LOWEST_DESCRIPTOR
