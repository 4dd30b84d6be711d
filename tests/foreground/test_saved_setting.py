"""The saved setting: one that cannot be read is an opt-out, and no other key is lost."""

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

from click_telemetry._foreground.consent import (
    DISABLED,
    ENABLED,
    NONE,
    UNREADABLE,
    parse,
    write,
)
from click_telemetry._recorder import SETTING_LIMIT as LIMIT
from click_telemetry._recorder import read_setting

root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="giving files away needs root"
)
no_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything"
)
posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs and symlinks")

OTHER_USER = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "telemetry.json"


def read(path: Path) -> str:
    """The setting, which the foreground and the sender read alike."""
    return read_setting(str(path))


def stored(path: Path, content: bytes) -> str:
    """The setting that a file with this content has."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return read(path)


def promptly(function: Callable[[], str]) -> str:
    """What a function returns, which must not take long."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(function()), daemon=True)
    thread.start()
    thread.join(10)
    assert answers, "no answer after 10 seconds"
    return answers[0]


def test_missing_file_is_no_setting(path: Path) -> None:
    """Nothing was saved, and reading creates nothing."""
    assert read(path) == NONE
    path.parent.mkdir()
    assert read(path) == NONE
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("enabled", [True, False])
def test_setting_is_read_as_it_was_saved(path: Path, enabled: bool) -> None:
    """It applies from then on, and can be changed."""
    for value in (enabled, not enabled, enabled):
        write(str(path), enabled=value)
        assert read(path) == (ENABLED if value else DISABLED)


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
def test_setting_may_be_written_by_hand(path: Path, content: bytes, found: str) -> None:
    """Any JSON object with a plain `enabled`."""
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
    "no setting": b"{}",
    "something else": b'{"Enabled": true, "telemetry": true}',
    "TOML": b"enabled = true\n",
    "single quotes": b"{'enabled': true}",
    "comment": b'{"enabled": true} // comment',
    "trailing comma": b'{"enabled": true,}',
    "NaN": b'{"enabled": NaN}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file_is_an_opt_out(path: Path, case: str) -> None:
    """A damaged file enables nothing."""
    assert stored(path, MALFORMED[case]) == UNREADABLE


@pytest.mark.parametrize(("value", "setting"), [(b"true", ENABLED), (b"false", DISABLED)])
def test_deeply_nested_file_raises_nothing(path: Path, value: bytes, setting: str) -> None:
    """Before Python 3.14 `json` cannot read it, which is an opt-out; from then on it can."""
    deep = b"[" * 20_000 + b"]" * 20_000
    found = stored(path, b'{"enabled": ' + value + b', "a": ' + deep + b"}")
    assert found in (UNREADABLE, setting)


@pytest.mark.parametrize(
    "value", ['"false"', '"true"', "0", "1", "1.0", "[]", "[true]", "{}", "null", '""', '"no"']
)
def test_setting_of_the_wrong_type_is_an_opt_out(path: Path, value: str) -> None:
    """`"false"` in quotes is true to Python; here it is an opt-out."""
    assert stored(path, f'{{"enabled": {value}}}'.encode()) == UNREADABLE


@given(st.binary(max_size=200) | st.text().map(lambda text: f'{{"enabled": true, {text}'.encode()))
def test_no_content_raises(content: bytes) -> None:
    """Whatever the file contains, my command runs."""
    found = parse(content)
    if found != UNREADABLE:
        assert json.loads(content)["enabled"] is (found == ENABLED)


def test_file_that_is_too_large_is_an_opt_out_and_is_not_read(path: Path) -> None:
    """A file of 100 MB costs no time and no memory."""
    assert stored(path, b'{"enabled": true}' + b" " * (LIMIT - 17)) == ENABLED
    assert stored(path, b'{"enabled": true}' + b" " * (LIMIT - 16)) == UNREADABLE
    with path.open("r+b") as file:
        file.truncate(100 * 1024 * 1024)
    assert promptly(lambda: read(path)) == UNREADABLE


@posix
def test_fifo_is_an_opt_out_and_does_not_block(path: Path) -> None:
    """My command does not hang."""
    path.parent.mkdir()
    os.mkfifo(path)
    assert promptly(lambda: read(path)) == UNREADABLE


@posix
@pytest.mark.parametrize("target", ["/dev/null", "/dev/zero", "."])
def test_link_to_a_device_is_an_opt_out(path: Path, target: str) -> None:
    """A link to /dev/null opts out."""
    path.parent.mkdir()
    path.symlink_to(target)
    assert promptly(lambda: read(path)) == UNREADABLE


def test_directory_of_its_name_is_an_opt_out(path: Path) -> None:
    """It cannot be read."""
    path.mkdir(parents=True)
    assert read(path) == UNREADABLE


@posix
def test_link_to_itself_is_an_opt_out(path: Path) -> None:
    """It cannot be read."""
    path.parent.mkdir()
    path.symlink_to(path)
    assert read(path) == UNREADABLE


@posix
def test_linked_dotfile_is_followed(path: Path, tmp_path: Path) -> None:
    """My setting may be in a repository of dotfiles."""
    real = tmp_path / "dotfiles" / "acme.json"
    real.parent.mkdir()
    real.write_bytes(b'{"enabled": false}')
    path.parent.mkdir()
    path.symlink_to(real)
    assert read(path) == DISABLED


@posix
@pytest.mark.parametrize("level", [0, 1, 2], ids=["file", "folder", "configuration"])
def test_setting_behind_a_dangling_link_cannot_be_read(tmp_path: Path, level: int) -> None:
    """Dotfiles that are not mounted may hold an opt-out: off, not on."""
    path = tmp_path / "config" / "acme" / "telemetry.json"
    link = [path, path.parent, path.parent.parent][level]
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "nowhere")
    assert read(path) == UNREADABLE
    (tmp_path / "nowhere").mkdir()
    assert read(path) == (UNREADABLE if level == 0 else NONE)


def test_setting_below_a_plain_file_cannot_be_read(path: Path) -> None:
    """Nothing can be saved there, and something may have been."""
    path.parent.write_text("")
    assert read(path) == UNREADABLE


@root
def test_another_users_file_is_an_opt_out(path: Path) -> None:
    """Another user cannot consent for me."""
    assert stored(path, b'{"enabled": true}') == ENABLED
    os.chown(path, OTHER_USER, OTHER_USER)
    assert read(path) == UNREADABLE


@no_root
def test_file_without_read_permission_is_an_opt_out(path: Path) -> None:
    """It cannot be read."""
    assert stored(path, b'{"enabled": true}') == ENABLED
    path.chmod(0)
    assert read(path) == UNREADABLE


def test_other_keys_are_kept(path: Path) -> None:
    """The application may have settings of its own in the file."""
    others = {"colour": "red", "nested": {"a": [1, 2.5, None]}, "ü": "\u2028\ud800"}
    stored(path, json.dumps({"first": 1, **others, "enabled": True}).encode())
    write(str(path), enabled=False)
    assert json.loads(path.read_bytes()) == {"first": 1, **others, "enabled": False}
    write(str(path), enabled=True)
    assert json.loads(path.read_bytes()) == {"first": 1, **others, "enabled": True}


@pytest.mark.parametrize(
    "setting", ["", '"enabled": "false", ', '"enabled": null, ', '"enabled": 0, ']
)
def test_other_keys_are_kept_in_a_file_without_a_usable_setting(path: Path, setting: str) -> None:
    """Only `enabled` is replaced."""
    assert stored(path, f'{{{setting}"colour": "red"}}'.encode()) == UNREADABLE
    write(str(path), enabled=False)
    assert json.loads(path.read_bytes()) == {"colour": "red", "enabled": False}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file_can_be_replaced(path: Path, case: str) -> None:
    """Whatever happened to the file, I can enable or disable again."""
    stored(path, MALFORMED[case])
    write(str(path), enabled=False)
    assert read(path) == DISABLED


def test_file_that_is_too_large_can_be_replaced(path: Path) -> None:
    """Disabling works with any file of my own."""
    stored(path, b" " * (LIMIT + 1))
    write(str(path), enabled=False)
    assert read(path) == DISABLED


@posix
def test_new_directory_and_file_are_private(path: Path) -> None:
    """No other user can read my setting."""
    write(str(path), enabled=False)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["telemetry.json"]


@posix
def test_applications_own_directory_is_used_as_it_is(path: Path) -> None:
    """Its mode is the application's."""
    path.parent.mkdir(mode=0o755)
    write(str(path), enabled=False)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_link_is_kept_and_its_target_replaced(path: Path, tmp_path: Path, existing: bool) -> None:
    """The new setting is in my repository of dotfiles."""
    real = tmp_path / "dotfiles" / "acme.json"
    real.parent.mkdir()
    if existing:
        real.write_bytes(b'{"enabled": true, "colour": "red"}')
    path.parent.mkdir()
    path.symlink_to(real)
    write(str(path), enabled=False)
    assert path.is_symlink()
    assert path.readlink() == real
    assert json.loads(real.read_bytes())["enabled"] is False
    assert os.listdir(real.parent) == ["acme.json"]


@posix
def test_linked_directory_is_followed(path: Path, tmp_path: Path) -> None:
    """The whole configuration directory may be a link."""
    (tmp_path / "dotfiles").mkdir()
    path.parent.symlink_to(tmp_path / "dotfiles")
    write(str(path), enabled=False)
    assert read(tmp_path / "dotfiles" / "telemetry.json") == DISABLED


@posix
@pytest.mark.parametrize("kind", ["fifo", "directory", pytest.param("device", marks=root)])
def test_target_that_is_not_a_file_is_left_alone(path: Path, tmp_path: Path, kind: str) -> None:
    """Saving raises, and replaces no FIFO, no directory and no device."""
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
        write(str(path), enabled=False)
    after = os.stat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert sorted(os.listdir(tmp_path)) == sorted(["acme", kind])


@root
def test_another_users_file_is_left_alone(path: Path) -> None:
    """`sudo acme telemetry disable` in my home leaves my file mine."""
    stored(path, b'{"enabled": true}')
    os.chown(path, OTHER_USER, OTHER_USER)
    with pytest.raises(OSError, match="another user"):
        write(str(path), enabled=False)
    assert path.stat().st_uid == OTHER_USER
    assert path.read_bytes() == b'{"enabled": true}'


def test_setting_that_cannot_be_saved_raises(tmp_path: Path) -> None:
    """The old one is unchanged."""
    (tmp_path / "acme").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        write(str(tmp_path / "acme" / "telemetry.json"), enabled=False)
    assert (tmp_path / "acme").read_text() == "in the way"


def test_readers_see_the_old_setting_or_the_new_one(path: Path) -> None:
    """A hundred writers at a time never leave a mixture."""
    note = {"note": "x" * 5_000}
    stored(path, json.dumps({"enabled": True, **note}).encode())
    seen: set[str] = set()
    kept: list[object] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(read_setting(str(path)))
            kept.append(json.loads(path.read_bytes())["note"])

    watcher = threading.Thread(target=watch)
    writers = [
        threading.Thread(target=write, args=(str(path),), kwargs={"enabled": n % 2 == 0})
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
