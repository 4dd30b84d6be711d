"""Files on Windows, with a stand-in that does by POSIX what Windows does.

It has not been run on Windows: the tests follow Microsoft's and Python's documentation.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from click_telemetry import _storage as storage
from click_telemetry._foreground import platforms
from click_telemetry._sender.queue import claim, oldest_names

from .harness.facts import file_name, head, lines, pair
from .harness.windows import Runtime, pretend

SHARED = platforms.FILE_SHARE_ALL


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """What Windows would be called with."""
    return pretend(monkeypatch)


def test_files_are_opened_so_that_others_may_rename_and_remove_them(
    runtime: Runtime, tmp_path: Path
) -> None:
    """Each disposition, and a link itself instead of its target."""
    path = str(tmp_path / "file")
    both = platforms.GENERIC_READ | platforms.GENERIC_WRITE
    for flags in (
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND,
        os.O_RDWR | os.O_CREAT,
        os.O_RDWR,
        os.O_RDONLY,
    ):
        os.close(platforms.open_shared(path, flags))
    link = platforms.FILE_FLAG_OPEN_REPARSE_POINT
    assert runtime.opened == [
        (both, SHARED, platforms.CREATE_NEW, link),
        (both, SHARED, platforms.OPEN_ALWAYS, link),
        (both, SHARED, platforms.OPEN_EXISTING, link),
        (platforms.GENERIC_READ, SHARED, platforms.OPEN_EXISTING, link),
    ]


def test_existing_file_is_not_created_again(runtime: Runtime, tmp_path: Path) -> None:
    """Nor is a missing one opened."""
    path = str(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        platforms.open_shared(path, os.O_RDWR)
    Path(path).touch()
    with pytest.raises(FileExistsError):
        platforms.open_shared(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def test_handle_is_closed_when_it_becomes_no_descriptor(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that is out of descriptors does not run out of handles too."""

    def full(handle: int, flags: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(sys.modules["msvcrt"], "open_osfhandle", full)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="too many"):
        platforms.open_shared(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    assert len(os.listdir("/dev/fd")) == before


def test_lock_is_of_a_byte_beyond_every_file(runtime: Runtime, tmp_path: Path) -> None:
    """Held by one open file, refused to another, free after its release."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    one, two = (storage.open_private(str(path), os.O_RDWR) for _ in range(2))
    os.lseek(one, 4, os.SEEK_SET)
    assert storage.try_lock(one)
    assert os.read(one, 2) == b"45"
    assert not storage.try_lock(two)
    storage.unlock(one)
    assert storage.try_lock(two)
    os.close(one)
    os.close(two)
    assert [(position, nbytes) for position, _, nbytes in runtime.locked] == [
        (platforms.LOCKED_BYTE, 1)
    ] * 4
    assert platforms.LOCKED_BYTE < 2**31


def test_share_without_locks_raises_its_own_error(runtime: Runtime, tmp_path: Path) -> None:
    """Nothing is recorded there."""
    runtime.broken = True
    descriptor = storage.open_private(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    with pytest.raises(storage.NoLocks):
        storage.try_lock(descriptor)
    os.close(descriptor)


def test_file_is_held_claimed_and_removed(runtime: Runtime, tmp_path: Path) -> None:
    """By the same code as on other systems."""
    path = tmp_path / file_name()
    path.write_bytes(lines([head(), *pair()]))
    writer = storage.open_private(str(path), os.O_WRONLY)
    assert storage.try_lock(writer)
    assert oldest_names(str(tmp_path)) == [path.name]
    assert claim(str(tmp_path), path.name) is None
    storage.unlock(writer)
    os.close(writer)
    taken = claim(str(tmp_path), path.name)
    assert taken is not None
    assert len(taken.messages) == 2
    taken.acknowledge()
    assert list(tmp_path.iterdir()) == []
    assert {share for _, share, _, _ in runtime.opened} == {SHARED}


def test_small_files_are_read_and_replaced_while_they_are_open(
    runtime: Runtime, tmp_path: Path
) -> None:
    """A reader of the state does not keep the sender from replacing it."""
    path = str(tmp_path / "state.json")
    storage.replace_file(path, b"{}")
    assert storage.read_small(path, limit=10) == b"{}"
    assert stat.S_ISREG(os.lstat(path).st_mode)
    assert {share for _, share, _, _ in runtime.opened} == {SHARED}


def test_time_is_set_by_name_where_it_cannot_be_by_descriptor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows' `utime` takes no descriptor."""
    path = tmp_path / "not-before"
    path.touch()
    descriptor = os.open(path, os.O_RDWR)
    for supported in (os.supports_fd, os.supports_fd - {os.utime}):
        monkeypatch.setattr(os, "supports_fd", supported)
        at = 1_000_000.0 + len(supported)
        storage.set_time(descriptor, str(path), at)
        assert path.stat().st_mtime == at
    os.close(descriptor)
