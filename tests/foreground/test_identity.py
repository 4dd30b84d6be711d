"""The anonymous ID: random, one per installation and application, created once."""

from __future__ import annotations

import errno
import json
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

from click_telemetry import _storage as storage
from click_telemetry._foreground.identity import (
    parse,
    random_id,
    read,
    read_or_create,
    replace,
)
from click_telemetry._recorder import is_random_id

from ..harness.interpreter import open_descriptors, race
from ..harness.processes import Cli, Home

RFC_4122 = "specified in RFC 4122"
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
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def stored(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(content)
    return str(path)


def at_once(count: int, path: Path, *, repairing: bool = False) -> list[str]:
    """What so many threads get at once; one that repairs an ID may give up waiting for the lock."""
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
    assert repairing or not gave_up
    assert all("by another process" in str(busy) for busy in gave_up)
    return found


def test_first_run_creates_the_id_and_every_later_one_reads_it(path: Path) -> None:
    """My installation keeps one ID."""
    assert read(str(path)) is None
    made = read_or_create(str(path))
    assert UUID(made).version == 4
    assert path.read_bytes() == made.encode() + b"\n"
    assert read(str(path)) == read_or_create(str(path)) == made
    assert os.listdir(path.parent) == ["id"]


def test_reading_creates_no_id(path: Path) -> None:
    """Log mode and `status` leave none."""
    assert read(str(path)) is None
    assert not path.parent.exists()


def test_two_installations_have_two_ids(tmp_path: Path) -> None:
    """The ID contains nothing of the machine or the user."""
    found = {read_or_create(str(tmp_path / f"home{n}" / "id")) for n in range(20)}
    assert len(found) == 20
    assert len({UUID(one).node for one in found}) == 20


def test_temporary_id_is_a_new_one_each_time() -> None:
    """It links no run to another one."""
    assert len({random_id() for _ in range(100)}) == 100
    assert all(parse(random_id().encode()) for _ in range(100))


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
def test_only_a_random_id_in_its_canonical_form_is_an_id(content: bytes, found: str | None) -> None:
    """An address, a machine's ID or a foreign line is never sent as one."""
    assert parse(content) == found


@given(st.binary(max_size=100))
def test_no_content_raises(content: bytes) -> None:
    """Whatever the file contains, my command runs."""
    found = parse(content)
    assert found is None or UUID(found).version == 4


INVALID = {
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


@pytest.mark.parametrize("case", INVALID)
def test_invalid_id_is_replaced_once(path: Path, case: str) -> None:
    """The new one is kept."""
    invalid = stored(path, INVALID[case])
    assert read(invalid) is None
    repaired = read_or_create(invalid)
    assert path.read_bytes() == repaired.encode() + b"\n"
    assert read(invalid) == read_or_create(invalid) == repaired
    assert repaired.encode() not in INVALID[case]
    assert os.listdir(path.parent) == ["id"]


def test_200_threads_agree_on_the_first_id(path: Path) -> None:
    """However many commands run at first, there is one ID."""
    assert len(set(at_once(200, path))) == 1
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("case", ["empty", "torn", "too long"])
def test_50_threads_agree_on_the_replaced_id(path: Path, case: str) -> None:
    """It is replaced once, however many find it invalid."""
    stored(path, INVALID[case])
    assert len(set(at_once(50, path, repairing=True))) == 1


ASK = """
try:
    print(read_or_create(sys.argv[1]))
except OSError as error:
    print(error)
"""
IMPORT = "from click_telemetry._foreground.identity import read_or_create"
NO_LINKS = """
import os
def link(*_, **__):
    raise PermissionError(1, "no hard links here")
os.link = link
"""


@pytest.mark.extended
def test_20_processes_agree_on_the_first_id(path: Path) -> None:
    """A script that runs my commands in parallel creates one ID."""
    assert Counter(race(20, IMPORT, ASK, path)) == {path.read_text(): 20}
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.sample(1)
@pytest.mark.parametrize(("preamble", "content"), [(IMPORT, b"invalid"), (NO_LINKS + IMPORT, None)])
def test_20_processes_never_have_two_ids(path: Path, preamble: str, content: bytes | None) -> None:
    """Where a lock is needed, a process that waited too long has no ID for once."""
    if content is not None:
        stored(path, content)
    found = Counter(race(20, preamble, ASK, path))
    assert set(found) <= {path.read_text(), f"{path} is being repaired by another process\n"}
    assert found[path.read_text()]
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS])
def test_file_system_without_hard_links_has_one_id_too(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On exFAT and some network drives the first runs agree as well."""

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    found = at_once(100, path, repairing=True)
    assert len(set(found)) == 1
    assert path.read_text() == found[0] + "\n"
    assert os.listdir(path.parent) == ["id"]


@pytest.mark.parametrize("content", [None, b"invalid"])
def test_system_without_positioned_reads_has_one_id_too(
    path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `pread`."""
    for name in ("pread", "pwrite"):
        monkeypatch.delattr(os, name, raising=False)
    if content is not None:
        stored(path, content)
    made = read_or_create(str(path))
    assert read_or_create(str(path)) == made


def test_invalid_id_is_replaced_without_locks_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one stays."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    made = read_or_create(stored(path, b"invalid"))
    assert path.read_bytes() == made.encode() + b"\n"
    assert read_or_create(str(path)) == made


def test_lock_that_is_never_released_does_not_block(path: Path) -> None:
    """A process that was stopped while it repaired the ID does not stop my command."""
    fcntl = pytest.importorskip("fcntl")
    with open(stored(path, b"invalid"), "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        started = monotonic()
        with pytest.raises(storage.Unusable, match="by another process"):
            read_or_create(str(path))
        assert monotonic() - started < 5
        assert path.read_bytes() == b"invalid"
    assert read_or_create(str(path)) == read(str(path))


@posix
@pytest.mark.parametrize("umask", [0, 0o022, 0o777], indirect=True)
def test_id_is_private(path: Path, umask: None) -> None:
    """Files 0600, directory 0700, whatever the umask."""
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
@pytest.mark.parametrize("content", [AN_ID.encode() + b"\n", b"invalid", None])
def test_symlink_is_not_followed(path: Path, tmp_path: Path, content: bytes | None) -> None:
    """No ID is read from its target, and its target is not overwritten."""
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
def test_path_that_is_not_a_file_is_left_alone(path: Path, kind: str) -> None:
    """A FIFO neither blocks nor is replaced."""
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
def test_another_users_id_is_not_used(path: Path) -> None:
    """The file is neither read nor written."""
    stored(path, AN_ID.encode())
    os.chown(path, 65534, 65534)
    assert read(str(path)) is None
    with pytest.raises(OSError, match="another user"):
        read_or_create(str(path))
    assert path.read_bytes() == AN_ID.encode()


@posix
def test_directory_that_others_may_write_to_gets_no_id(path: Path) -> None:
    """Others could plant files there."""
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o777)
    with pytest.raises(storage.Unusable):
        read_or_create(str(path))
    assert os.listdir(path.parent) == []


def test_id_that_cannot_be_stored_raises(tmp_path: Path) -> None:
    """There is none, rather than a new one at each run."""
    (tmp_path / "acme").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        read_or_create(str(tmp_path / "acme" / "id"))
    assert (tmp_path / "acme").read_text() == "in the way"


def test_id_appears_complete(path: Path) -> None:
    """A reader finds nothing, or all of it."""
    done = threading.Event()
    seen: set[str | None] = set()

    def watch() -> None:
        while not done.is_set():
            seen.add(path.read_text() if path.exists() else None)

    watcher = threading.Thread(target=watch)
    watcher.start()
    made = at_once(20, path)[0]
    done.set()
    watcher.join()
    assert seen <= {None, made + "\n"}


def test_id_is_not_derived_from_the_machine() -> None:
    """It is random: no clock, network card or name is in it."""
    assert {UUID(random_id()).version for _ in range(50)} == {uuid4().version}


def test_ids_are_canonical_random_uuids() -> None:
    """Version 4, variant of RFC 9562, as the module `uuid` reads them."""
    for text in (random_id() for _ in range(1000)):
        found = UUID(text)
        assert (str(found), found.version, found.variant) == (text, 4, RFC_4122)


@given(st.uuids())
def test_uuid_of_version_4_and_no_other_is_recognised(found: UUID) -> None:
    """As the module `uuid` has it."""
    assert is_random_id(str(found)) is (found.version == 4 and found.variant == RFC_4122)
    assert is_random_id(str(uuid4()))


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-fA-F-]{36}", fullmatch=True))
def test_recognised_text_is_canonical(text: str) -> None:
    """Any other text is refused, and none raises."""
    if is_random_id(text):
        assert str(UUID(text)) == text


def test_reset_replaces_a_stored_id_and_creates_none(path: Path) -> None:
    """An invalid one is replaced as well."""
    assert replace(str(path)) is None
    assert not path.parent.exists()
    before = read_or_create(str(path))
    after = replace(str(path))
    assert after is not None
    assert after != before
    assert read(str(path)) == after
    path.write_bytes(b"invalid")
    assert replace(str(path)) == read(str(path))
    assert os.listdir(path.parent) == ["id"]


COPIES = {
    "uppercase": AN_ID.upper().encode() + b"\n",
    "another variant": b"8b6f1f1e-0f6c-4f0e-0d6e-6a1c5f0b2a77\n",
    "an address": b"jane.doe@work.4cme.example.com, 2026",
    "without dashes": b"8b6f1f1e00f6c04f0e09d6e06a1c5f0b2a77",
    "not hexadecimal": b"xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx",
}


@pytest.mark.usefixtures("default_delay")
@pytest.mark.contract
@pytest.mark.parametrize("case", COPIES)
def test_invalid_id_is_never_recorded(case: str, cli: Cli, home: Home) -> None:
    """A command that finds one in the file replaces it, as long as it may be."""
    assert len(COPIES[case].strip()) == 36
    assert COPIES[case][14:15] == b"4"
    stored(home.state() / "id", COPIES[case])
    cli.run("deploy")
    (file,) = home.spooled()
    head = json.loads(file.read_text().splitlines()[0])
    assert is_random_id(head["id"])
    assert (home.state() / "id").read_text() == head["id"] + "\n"
