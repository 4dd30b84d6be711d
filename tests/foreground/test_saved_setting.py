"""The person's stored choice: what cannot be understood counts as no, and nothing is lost."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.privacy import choice
from click_telemetry.privacy.choice import DISABLED, ENABLED, LIMIT, NONE, UNREADABLE, parse

root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="giving files away needs root"
)
no_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything"
)
posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs and symlinks")

STRANGER = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "telemetry.json"


def stored(path: Path, content: bytes) -> str:
    """What is read of a file with some content."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return choice.read(str(path))


def promptly(function: Callable[[], str]) -> str:
    """A function's answer, which must not take long."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(function()), daemon=True)
    thread.start()
    thread.join(10)
    assert answers, "no answer after 10 seconds"
    return answers[0]


def test_without_a_file_there_is_no_choice(path: Path) -> None:
    """Who never said anything has no stored choice."""
    assert choice.read(str(path)) == NONE
    path.parent.mkdir()
    assert choice.read(str(path)) == NONE
    assert list(path.parent.iterdir()) == []


def test_a_file_where_a_directory_should_be_is_no_choice(path: Path) -> None:
    """A path that cannot exist holds no choice."""
    path.parent.write_text("not a directory")
    assert choice.read(str(path)) == NONE


@pytest.mark.parametrize("enabled", [True, False])
def test_a_choice_is_read_as_it_was_written(path: Path, enabled: bool) -> None:
    """What I chose is what counts from then on, and I may change it."""
    for said in (enabled, not enabled, enabled):
        choice.write(str(path), enabled=said)
        assert choice.read(str(path)) == (ENABLED if said else DISABLED)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"enabled": true}\n', ENABLED),
        (b'{"enabled": false}\n', DISABLED),
        (b'{"enabled": true}', ENABLED),
        (b'{"enabled":false}', DISABLED),
        (b'\r\n\t {\r\n"enabled" : false }\r\n', DISABLED),
        (b'{"colour": "red", "enabled": true}', ENABLED),
        (b'{"enabled": false, "nested": {"enabled": true}}', DISABLED),
        (b'{"\\u0065nabled": false}', DISABLED),
        ('{"enabled": true, "note": "ü"}'.encode(), ENABLED),
    ],
)
def test_a_choice_may_be_written_by_hand(path: Path, content: bytes, found: str) -> None:
    """Any JSON that says `enabled` plainly is understood."""
    assert stored(path, content) == found


MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "truncated": b'{"enabled": tr',
    "truncated at the end": b'{"enabled": false',
    "two objects": b'{"enabled": true}{"enabled": true}',
    "rest": b'{"enabled": true}\nx',
    "byte order mark": b'\xef\xbb\xbf{"enabled": true}',
    "UTF-16": '{"enabled": true}'.encode("utf-16"),
    "Latin-1": '{"enabled": true, "note": "ü"}'.encode("latin-1"),
    "NUL": b'{"enabled": true}\0',
    "NULs": b"\0" * 18,
    "duplicate": b'{"enabled": true, "enabled": true}',
    "contradiction": b'{"enabled": false, "enabled": true}',
    "nested duplicate": b'{"enabled": true, "a": {"b": 1, "b": 2}}',
    "no object": b"true",
    "list": b'["enabled"]',
    "null": b"null",
    "number": b"1",
    "text": b'"enabled"',
    "nothing said": b"{}",
    "something else": b'{"Enabled": true, "telemetry": true}',
    "TOML": b"enabled = true\n",
    "single quotes": b"{'enabled': true}",
    "comment": b'{"enabled": true} // mine',
    "trailing comma": b'{"enabled": true,}',
    "NaN": b'{"enabled": NaN}',
    "deep": b'{"enabled": true, "a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_counts_as_no(path: Path, case: str) -> None:
    """A file that somebody damaged switches nothing on (row 77)."""
    assert stored(path, MALFORMED[case]) == UNREADABLE


@pytest.mark.parametrize(
    "value", ['"false"', '"true"', "0", "1", "1.0", "[]", "[true]", "{}", "null", '""', '"no"']
)
def test_a_choice_of_the_wrong_type_counts_as_no(path: Path, value: str) -> None:
    """`"false"` in quotes is true to Python; it is no to us (row 78)."""
    assert stored(path, f'{{"enabled": {value}}}'.encode()) == UNREADABLE


@given(st.binary(max_size=200) | st.text().map(lambda text: f'{{"enabled": true, {text}'.encode()))
def test_no_content_makes_reading_raise(content: bytes) -> None:
    """Whatever lies there, my command runs; only a plain yes is a yes."""
    found = parse(content)
    if found is not None:
        assert json.loads(content)["enabled"] is found["enabled"]


def test_a_file_that_is_too_large_counts_as_no_and_is_not_read(path: Path) -> None:
    """A file of 100 MB costs no time and no memory (row 81)."""
    assert stored(path, b'{"enabled": true}' + b" " * (LIMIT - 17)) == ENABLED
    assert stored(path, b'{"enabled": true}' + b" " * (LIMIT - 16)) == UNREADABLE
    with path.open("r+b") as file:
        file.truncate(100 * 1024 * 1024)
    assert promptly(lambda: choice.read(str(path))) == UNREADABLE


@posix
def test_a_fifo_counts_as_no_and_is_not_waited_for(path: Path) -> None:
    """A pipe in the file's place does not hang my command (row 81)."""
    path.parent.mkdir()
    os.mkfifo(path)
    assert promptly(lambda: choice.read(str(path))) == UNREADABLE


@posix
@pytest.mark.parametrize("target", ["/dev/null", "/dev/zero", "."])
def test_a_link_to_what_is_no_file_counts_as_no(path: Path, target: str) -> None:
    """Linking it to /dev/null is a way to say no."""
    path.parent.mkdir()
    path.symlink_to(target)
    assert promptly(lambda: choice.read(str(path))) == UNREADABLE


def test_a_directory_in_its_place_counts_as_no(path: Path) -> None:
    """A directory holds no yes."""
    path.mkdir(parents=True)
    assert choice.read(str(path)) == UNREADABLE


@posix
def test_a_link_that_leads_round_in_circles_counts_as_no(path: Path) -> None:
    """What cannot be read is no yes."""
    path.parent.mkdir()
    path.symlink_to(path)
    assert choice.read(str(path)) == UNREADABLE


@posix
def test_a_linked_dotfile_is_followed(path: Path, tmp_path: Path) -> None:
    """My choice may live in a repository of dotfiles."""
    real = tmp_path / "dotfiles" / "acme.json"
    real.parent.mkdir()
    real.write_bytes(b'{"enabled": false}')
    path.parent.mkdir()
    path.symlink_to(real)
    assert choice.read(str(path)) == DISABLED


@posix
def test_a_link_to_a_file_that_is_gone_is_no_choice(path: Path, tmp_path: Path) -> None:
    """Dotfiles that are not checked out yet say nothing."""
    path.parent.mkdir()
    path.symlink_to(tmp_path / "dotfiles" / "acme.json")
    assert choice.read(str(path)) == NONE


@root
def test_a_file_of_somebody_else_counts_as_no(path: Path) -> None:
    """Nobody else can say yes for me."""
    assert stored(path, b'{"enabled": true}') == ENABLED
    os.chown(path, STRANGER, STRANGER)
    assert choice.read(str(path)) == UNREADABLE


@no_root
def test_a_file_that_may_not_be_read_counts_as_no(path: Path) -> None:
    """A choice behind closed doors is not a yes."""
    assert stored(path, b'{"enabled": true}') == ENABLED
    path.chmod(0)
    assert choice.read(str(path)) == UNREADABLE


def test_what_else_a_file_holds_is_kept(path: Path) -> None:
    """Disabling telemetry does not lose the application's own settings (row 79)."""
    others = {"colour": "red", "nested": {"a": [1, 2.5, None]}, "ü": "\u2028\ud800"}
    stored(path, json.dumps({"first": 1, **others, "enabled": True}).encode())
    choice.write(str(path), enabled=False)
    assert json.loads(path.read_bytes()) == {"first": 1, **others, "enabled": False}
    choice.write(str(path), enabled=True)
    assert json.loads(path.read_bytes()) == {"first": 1, **others, "enabled": True}


@pytest.mark.parametrize(
    "said", ["", '"enabled": "false", ', '"enabled": null, ', '"enabled": 0, ']
)
def test_what_else_a_file_holds_is_kept_though_its_choice_is_none(path: Path, said: str) -> None:
    """A choice that cannot be understood is replaced, and it alone."""
    assert stored(path, f'{{{said}"colour": "red"}}'.encode()) == UNREADABLE
    choice.write(str(path), enabled=False)
    assert json.loads(path.read_bytes()) == {"colour": "red", "enabled": False}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_can_be_replaced(path: Path, case: str) -> None:
    """Whatever happened to the file, I can say yes or no again."""
    stored(path, MALFORMED[case])
    choice.write(str(path), enabled=False)
    assert choice.read(str(path)) == DISABLED


def test_a_file_that_is_too_large_can_be_replaced(path: Path) -> None:
    """Disabling works whatever lies there, as long as it is my own file."""
    stored(path, b" " * (LIMIT + 1))
    choice.write(str(path), enabled=False)
    assert choice.read(str(path)) == DISABLED


@posix
def test_the_first_choice_makes_a_private_directory_and_a_private_file(path: Path) -> None:
    """Nobody else learns what I chose."""
    choice.write(str(path), enabled=False)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["telemetry.json"]


@posix
def test_the_application_s_own_directory_is_used_as_it_is(path: Path) -> None:
    """The directory is the application's; its mode is not ours to change."""
    path.parent.mkdir(mode=0o755)
    choice.write(str(path), enabled=False)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_writing_through_a_linked_dotfile_keeps_the_link(
    path: Path, tmp_path: Path, existing: bool
) -> None:
    """My repository of dotfiles gets the new choice, and the link stays."""
    real = tmp_path / "dotfiles" / "acme.json"
    real.parent.mkdir()
    if existing:
        real.write_bytes(b'{"enabled": true, "colour": "red"}')
    path.parent.mkdir()
    path.symlink_to(real)
    choice.write(str(path), enabled=False)
    assert path.is_symlink()
    assert path.readlink() == real
    assert json.loads(real.read_bytes())["enabled"] is False
    assert os.listdir(real.parent) == ["acme.json"]


@posix
def test_a_linked_directory_of_dotfiles_is_followed(path: Path, tmp_path: Path) -> None:
    """The whole configuration directory may be a link as well."""
    (tmp_path / "dotfiles").mkdir()
    path.parent.symlink_to(tmp_path / "dotfiles")
    choice.write(str(path), enabled=False)
    assert choice.read(str(tmp_path / "dotfiles" / "telemetry.json")) == DISABLED


@posix
@pytest.mark.parametrize("kind", ["fifo", "directory", pytest.param("device", marks=root)])
def test_what_is_no_file_of_mine_is_left_alone(path: Path, tmp_path: Path, kind: str) -> None:
    """Choosing never replaces a pipe, a directory or what /dev/null is; it says so (row 19)."""
    target = tmp_path / kind
    if kind == "device":
        os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # never the system's own
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.mkdir()
    path.parent.mkdir()
    path.symlink_to(target)
    before = os.stat(path)
    with pytest.raises(OSError, match=kind):
        choice.write(str(path), enabled=False)
    after = os.stat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert sorted(os.listdir(tmp_path)) == sorted(["acme", kind])


@root
def test_somebody_else_s_file_is_left_alone(path: Path) -> None:
    """`sudo acme telemetry disable` in my home does not take my file away from me."""
    stored(path, b'{"enabled": true}')
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(OSError, match="another user"):
        choice.write(str(path), enabled=False)
    assert path.stat().st_uid == STRANGER
    assert path.read_bytes() == b'{"enabled": true}'


def test_a_choice_that_cannot_be_stored_raises(tmp_path: Path) -> None:
    """I am told when my choice could not be kept; the old one stands."""
    (tmp_path / "acme").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        choice.write(str(tmp_path / "acme" / "telemetry.json"), enabled=False)
    assert (tmp_path / "acme").read_text() == "in the way"


def test_readers_see_the_old_choice_or_the_new_one(path: Path) -> None:
    """A hundred writers at a time never leave a mixture (row 80)."""
    note = {"note": "x" * 5_000}
    stored(path, json.dumps({"enabled": True, **note}).encode())
    seen: set[str] = set()
    kept: list[object] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(choice.read(str(path)))
            kept.append(json.loads(path.read_bytes())["note"])

    watcher = threading.Thread(target=watch)
    writers = [
        threading.Thread(target=choice.write, args=(str(path),), kwargs={"enabled": n % 2 == 0})
        for n in range(100)
    ]
    watcher.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    watcher.join()
    assert seen <= {ENABLED, DISABLED}
    assert set(kept) == {note["note"]}
    assert os.listdir(path.parent) == ["telemetry.json"]
