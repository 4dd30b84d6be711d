"""Windows' ways with files, asked of a stand-in that does with POSIX what Windows would do.

Nothing of this has been run on Windows: what is held to is Microsoft's and Python's documentation.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from click_telemetry import storage, windows
from click_telemetry.delivery.locked import locked_file
from click_telemetry.delivery.sender.waiting import claim, waiting

from .harness.windows import Runtime, pretend

SHARED = windows.FILE_SHARE_ALL


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """What Windows would be asked for."""
    return pretend(monkeypatch)


def test_files_are_opened_so_that_others_may_rename_and_remove_them(
    runtime: Runtime, tmp_path: Path
) -> None:
    """Each disposition, and the file itself where a link lies."""
    path = str(tmp_path / "file")
    both = windows.GENERIC_READ | windows.GENERIC_WRITE
    for flags in (
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND,
        os.O_RDWR | os.O_CREAT,
        os.O_RDWR,
        os.O_RDONLY,
    ):
        os.close(windows.open_shared(path, flags))
    link = windows.FILE_FLAG_OPEN_REPARSE_POINT
    assert runtime.opened == [
        (both, SHARED, windows.CREATE_NEW, link),
        (both, SHARED, windows.OPEN_ALWAYS, link),
        (both, SHARED, windows.OPEN_EXISTING, link),
        (windows.GENERIC_READ, SHARED, windows.OPEN_EXISTING, link),
    ]


def test_what_is_there_is_not_made_again(runtime: Runtime, tmp_path: Path) -> None:
    """Exclusively means so, and what is missing is missing."""
    path = str(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        windows.open_shared(path, os.O_RDWR)
    Path(path).touch()
    with pytest.raises(FileExistsError):
        windows.open_shared(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def test_handle_is_given_back_when_it_becomes_no_descriptor(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that is out of descriptors does not run out of handles too."""

    def full(handle: int, flags: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(sys.modules["msvcrt"], "open_osfhandle", full)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="too many"):
        windows.open_shared(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    assert len(os.listdir("/dev/fd")) == before


def test_lock_is_of_a_byte_that_nobody_reads(runtime: Runtime, tmp_path: Path) -> None:
    """Held by one open file, refused to another, free when it is given back."""
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
        (windows.LOCKED_BYTE, 1)
    ] * 4
    assert windows.LOCKED_BYTE < 2**31


def test_without_locks_it_says_so(runtime: Runtime, tmp_path: Path) -> None:
    """A share that has none is used as any file system without them."""
    runtime.broken = True
    descriptor = storage.open_private(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    with pytest.raises(storage.NoLocks):
        storage.try_lock(descriptor)
    os.close(descriptor)


def test_spool_file_is_written_held_claimed_and_removed(runtime: Runtime, tmp_path: Path) -> None:
    """The whole life of one, through the same code as everywhere."""
    name = "00000000000000000001-0123456789abcdef.jsonl"
    file = locked_file(str(tmp_path / name))
    assert file is not None
    file.write(b'{"type":"track","event":"E","messageId":"m","anonymousId":"a","properties":{}}\n')
    assert waiting(str(tmp_path)) == [name]
    assert claim(str(tmp_path), name) is None
    file.release()
    taken = claim(str(tmp_path), name)
    assert taken is not None
    assert [message["messageId"] for message in taken.messages] == ["m"]
    taken.acknowledge()
    assert list(tmp_path.iterdir()) == []
    assert {share for _, share, _, _ in runtime.opened} == {SHARED}


def test_small_files_are_read_shared_and_exchanged(runtime: Runtime, tmp_path: Path) -> None:
    """Who reads the standing does not keep another from replacing it."""
    path = str(tmp_path / "standing.json")
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
