"""The anonymous ID: random, one per installation and application, made once."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry import storage
from click_telemetry.privacy.identity import fresh, parse, read, read_or_create

from .opened import descriptors
from .racing import race

AN_ID = "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77"

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs, symlinks and modes")
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="giving files away needs root"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "telemetry" / "id"


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def stored(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(content)
    return str(path)


def together(count: int, path: Path, *, mending: bool = False) -> list[str]:
    """What so many threads get that ask at once; one that mends may give up waiting."""
    barrier = threading.Barrier(count)
    found: list[str] = []
    gave_up: list[storage.Unusable] = []

    def ask() -> None:
        barrier.wait()
        try:
            found.append(read_or_create(str(path)))
        except storage.Unusable as busy:
            gave_up.append(busy)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) + len(gave_up) == count
    assert found
    assert mending or not gave_up
    assert all("by another process" in str(busy) for busy in gave_up)
    return found


def test_the_first_run_makes_an_id_and_every_later_one_finds_it(path: Path) -> None:
    """My installation keeps one ID."""
    assert read(str(path)) is None
    made = read_or_create(str(path))
    assert UUID(made).version == 4
    assert path.read_bytes() == made.encode() + b"\n"
    assert read(str(path)) == read_or_create(str(path)) == made
    assert os.listdir(path.parent) == ["id"]


def test_reading_an_id_makes_none(path: Path) -> None:
    """Log mode, status and tests look for an ID without leaving one."""
    assert read(str(path)) is None
    assert not path.parent.exists()


def test_two_installations_have_two_ids(tmp_path: Path) -> None:
    """The ID is random: nothing of the machine or the user is in it."""
    found = {read_or_create(str(tmp_path / f"home{n}" / "id")) for n in range(20)}
    assert len(found) == 20
    assert len({UUID(one).node for one in found}) == 20


def test_a_fresh_id_is_stored_nowhere_and_never_the_same() -> None:
    """An ID of the moment links nothing to anything."""
    assert len({fresh() for _ in range(100)}) == 100
    assert all(parse(fresh().encode()) for _ in range(100))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (AN_ID.encode(), AN_ID),
        (AN_ID.encode() + b"\n", AN_ID),
        (AN_ID.encode() + b"\n\n", None),
        (AN_ID.encode() + b"\r\n", None),
        (b" " + AN_ID.encode(), None),
        (AN_ID.upper().encode(), None),
        (AN_ID.replace("-", "").encode(), None),
        (b"{" + AN_ID.encode() + b"}", None),
        (b"urn:uuid:" + AN_ID.encode(), None),
        (AN_ID.encode()[:-1], None),
        (AN_ID.encode() + b"7", None),
        (AN_ID.encode() + b"\n" + AN_ID.encode(), None),
        (AN_ID.encode("utf-16"), None),
        (b"\xef\xbb\xbf" + AN_ID.encode(), None),
        (b"\0" * 36, None),
        (b"", None),
        (b"\n", None),
        (b"jane@example.com", None),
        (b"00000000-0000-0000-0000-000000000000", None),
        (b"ffffffff-ffff-ffff-ffff-ffffffffffff", None),
        (b"c232ab00-9414-11ec-b3c8-9f6bdeced846", None),
        (str(uuid5(UUID(int=0), "jane")).encode(), None),
        (b"8b6f1f1e-0f6c-4f0e-0d6e-6a1c5f0b2a77", None),
        ("8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a7\u0667".encode(), None),
    ],
)
def test_only_a_random_id_in_its_one_spelling_is_an_id(content: bytes, found: str | None) -> None:
    """An address, a machine's ID or a copied line is never sent as mine (row 82)."""
    assert parse(content) == found


@given(st.binary(max_size=100))
def test_no_content_makes_reading_an_id_raise(content: bytes) -> None:
    """Whatever lies there, my command runs."""
    found = parse(content)
    assert found is None or UUID(found).version == 4


JUNK = {
    "empty": b"",
    "torn": AN_ID.encode()[:20],
    "NULs": b"\0" * 37,
    "two": (AN_ID + "\n").encode() * 2,
    "an address": b"jane@example.com\n",
    "by the machine": b"c232ab00-9414-11ec-b3c8-9f6bdeced846\n",
    "long": b"x" * 255,
    "too long": b"x" * 100_000,
    "valid and more": AN_ID.encode() + b"\n" * 300,
}


@pytest.mark.parametrize("case", JUNK)
def test_an_invalid_id_is_mended_once(path: Path, case: str) -> None:
    """Junk in its place gives a new ID, and that one stays (row 82)."""
    junk = stored(path, JUNK[case])
    assert read(junk) is None
    mended = read_or_create(junk)
    assert path.read_bytes() == mended.encode() + b"\n"
    assert read(junk) == read_or_create(junk) == mended
    assert mended.encode() not in JUNK[case]
    assert os.listdir(path.parent) == ["id"]


def test_200_threads_agree_on_the_first_id(path: Path) -> None:
    """However many commands run at first, there is one ID (row 38)."""
    assert len(set(together(200, path))) == 1
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("case", ["empty", "torn", "too long"])
def test_50_threads_agree_on_the_mended_id(path: Path, case: str) -> None:
    """Mending is done once, however many find the junk."""
    stored(path, JUNK[case])
    assert len(set(together(50, path, mending=True))) == 1


ASK = """
try:
    print(read_or_create(sys.argv[1]))
except OSError as error:
    print(error)
"""
IMPORT = "from click_telemetry.privacy.identity import read_or_create"
NO_LINKS = """
import os
def link(*_, **__):
    raise PermissionError(1, "no hard links here")
os.link = link
"""


def test_20_processes_agree_on_the_first_id(path: Path) -> None:
    """A script that starts my commands in parallel makes one ID (row 38)."""
    assert Counter(race(20, IMPORT, ASK, path)) == {path.read_text(): 20}
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize(("preamble", "junk"), [(IMPORT, b"junk"), (NO_LINKS + IMPORT, None)])
def test_20_processes_never_have_two_ids(path: Path, preamble: str, junk: bytes | None) -> None:
    """Where it takes a lock, one that waited too long goes without an ID for once."""
    if junk is not None:
        stored(path, junk)
    found = Counter(race(20, preamble, ASK, path))
    assert set(found) <= {path.read_text(), f"{path} is being mended by another process\n"}
    assert found[path.read_text()]
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS])
def test_a_file_system_without_hard_links_keeps_one_id_too(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On exFAT and some network drives the first runs still agree."""

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    found = together(100, path, mending=True)
    assert len(set(found)) == 1
    assert path.read_text() == found[0] + "\n"
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("junk", [None, b"junk"])
def test_a_system_without_positioned_reads_keeps_its_id(
    path: Path, junk: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `pread`, no `flock` and no `O_NOFOLLOW`."""
    for name in ("pread", "pwrite"):
        monkeypatch.delattr(os, name, raising=False)
    if junk is not None:
        stored(path, junk)
    made = read_or_create(str(path))
    assert read_or_create(str(path)) == made


def test_without_locks_junk_is_mended_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system whose locks do not work still gets an ID (row 23)."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    made = read_or_create(stored(path, b"junk"))
    assert path.read_bytes() == made.encode() + b"\n"
    assert read_or_create(str(path)) == made


def test_a_lock_that_is_not_given_back_is_not_waited_for_long(path: Path) -> None:
    """Somebody who was stopped while mending does not stop my command, and gives me no other ID."""
    fcntl = pytest.importorskip("fcntl")
    with open(stored(path, b"junk"), "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        started = monotonic()
        with pytest.raises(storage.Unusable, match="by another process"):
            read_or_create(str(path))
        assert monotonic() - started < 5
        assert path.read_bytes() == b"junk"
    assert read_or_create(str(path)) == read(str(path))


@posix
@pytest.mark.parametrize("umask", [0, 0o022, 0o777], indirect=True)
def test_an_id_is_mine_alone_to_read(path: Path, umask: None) -> None:
    """Files 0600, directory 0700, whatever the umask (row 25)."""
    read_or_create(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for directory in (path.parent, path.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    path.unlink()
    path.touch()
    path.chmod(0o600)
    assert parse(path.read_bytes()) is None
    assert read_or_create(str(path)) == read(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("content", [AN_ID.encode() + b"\n", b"junk", None])
def test_a_symlink_in_its_place_is_not_followed(
    path: Path, tmp_path: Path, content: bytes | None
) -> None:
    """An ID is not taken from elsewhere, and nothing elsewhere is overwritten (row 19)."""
    target = tmp_path / "elsewhere"
    if content is not None:
        target.write_bytes(content)
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(target)
    assert read(str(path)) is None
    with pytest.raises(OSError, match="symbolic links"):
        read_or_create(str(path))
    assert path.is_symlink()
    assert (target.read_bytes() if target.exists() else None) == content
    assert os.listdir(path.parent) == ["id"]


@posix
@pytest.mark.parametrize("kind", ["fifo", "directory", "socket"])
def test_what_is_no_file_is_left_alone(path: Path, kind: str) -> None:
    """A pipe in its place is neither waited for nor replaced (row 19)."""
    path.parent.mkdir(parents=True, mode=0o700)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    before = path.lstat()
    assert read(str(path)) is None
    with pytest.raises(OSError, match=r"not a regular file|No such device"):
        read_or_create(str(path))
    assert path.lstat().st_ino == before.st_ino
    assert os.listdir(path.parent) == ["id"]


@root
def test_somebody_else_s_id_is_not_mine(path: Path) -> None:
    """A file that another user put there is neither read nor written."""
    stored(path, AN_ID.encode())
    os.chown(path, 65534, 65534)
    assert read(str(path)) is None
    with pytest.raises(OSError, match="another user"):
        read_or_create(str(path))
    assert path.read_bytes() == AN_ID.encode()


@posix
def test_a_directory_that_others_may_write_to_gets_no_id(path: Path) -> None:
    """Where anybody could plant files, nothing of mine is stored (row 20)."""
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o777)
    with pytest.raises(storage.Unusable):
        read_or_create(str(path))
    assert os.listdir(path.parent) == []


def test_an_id_that_cannot_be_stored_raises(tmp_path: Path) -> None:
    """Without a place for it there is no ID, rather than a new one at each run."""
    (tmp_path / "acme").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        read_or_create(str(tmp_path / "acme" / "id"))
    assert (tmp_path / "acme").read_text() == "in the way"


def test_no_half_an_id_is_ever_seen(path: Path) -> None:
    """Whoever reads while it is made finds nothing, or all of it."""
    done = threading.Event()
    seen: set[str | None] = set()

    def watch() -> None:
        while not done.is_set():
            seen.add(path.read_text() if path.exists() else None)

    watcher = threading.Thread(target=watch)
    watcher.start()
    made = together(20, path)[0]
    done.set()
    watcher.join()
    assert seen <= {None, made + "\n"}


def test_an_id_is_unlike_every_uuid_that_a_machine_gives_away() -> None:
    """No ID is made of a clock, a network card or a name."""
    assert {UUID(fresh()).version for _ in range(50)} == {uuid4().version}
