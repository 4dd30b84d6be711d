"""Why a saved setting cannot be read, in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._commands.application import setting_problem
from click_telemetry._recorder import read_setting

CONTENTS = {
    b"": "is empty",
    b" \n": "is empty",
    b"{": "is not JSON (line 1, column 2)",
    b'{"enabled": tru': "is not JSON (line 1, column 13)",
    b"enabled = false": "is not JSON (line 1, column 1)",
    b'{"enabled": true}}': "is not JSON (line 1, column 18)",
    b'\xef\xbb\xbf{"enabled": true}': "is not JSON (line 1, column 1)",
    b'\xff\xfe{"enabled": true}': "is not UTF-8 text",
    b"[true]": "is not a JSON object",
    b"false": "is not a JSON object",
    b"null": "is not a JSON object",
    b"{}": 'has no key "enabled"',
    b'{"Enabled": false}': 'has no key "enabled"',
    b'{"enabled": true, "enabled": false}': "contains the key 'enabled' twice",
    b'{"enabled": true, "a": {"b": 1, "b": 2}}': "contains the key 'b' twice",
    **{
        b'{"enabled": %s}' % wrong: 'has a value for "enabled" that is neither true nor false'
        for wrong in (b'"false"', b"0", b"1", b"null", b"[]", b"{}", b'""')
    },
}


def test_a_deeply_nested_file_is_explained(tmp_path: Path) -> None:
    """Before Python 3.14 `json` gives up on it; from then on it finds where the text ends."""
    path = tmp_path / "telemetry.json"
    path.write_bytes(b"[" * 20_000)
    assert read_setting(str(path)) == "unreadable"
    assert setting_problem(str(path)) in (
        "is not readable JSON",
        "is not JSON (line 1, column 20001)",
    )


@pytest.mark.parametrize(("content", "problem"), CONTENTS.items(), ids=range(len(CONTENTS)))
def test_a_setting_that_cannot_be_read_is_explained(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """Telemetry is off, and status shows what is wrong with the file."""
    path = tmp_path / "telemetry.json"
    path.write_bytes(content)
    assert read_setting(str(path)) == "unreadable"
    assert setting_problem(str(path)) == problem


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


def loop(path: Path) -> None:
    path.symlink_to(path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 2**20)


def foreign(path: Path) -> None:
    path.write_text('{"enabled": true}')
    os.chown(path, 65534, 65534)


def locked(path: Path) -> None:
    path.write_text('{"enabled": true}')
    path.chmod(0)


def is_root() -> bool:
    return not hasattr(os, "geteuid") or os.geteuid() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="owners, FIFOs and links as POSIX has them")
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (directory, "is a directory"),
        (fifo, "is not a regular file"),
        (device, "is not a regular file"),
        (loop, "cannot be opened (Too many levels of symbolic links)"),
        (huge, "is larger than 64 KB"),
        pytest.param(
            foreign,
            "belongs to another user (uid 65534)",
            marks=pytest.mark.skipif(not is_root(), reason="needs root, to give a file away"),
        ),
        pytest.param(
            locked,
            "cannot be opened (Permission denied)",
            marks=pytest.mark.skipif(is_root(), reason="root reads everything"),
        ),
    ],
)
def test_a_file_that_is_not_a_regular_one_of_mine_is_explained(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    """It is neither waited for nor read to its end."""
    path = tmp_path / "telemetry.json"
    make(path)
    assert read_setting(str(path)) == "unreadable"
    assert setting_problem(str(path)) == problem


def test_no_setting_is_no_problem(tmp_path: Path) -> None:
    """Nothing is there."""
    path = str(tmp_path / "none" / "telemetry.json")
    assert (read_setting(path), setting_problem(path)) == ("none", "")


def test_setting_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    """Below a plain file, and behind a link to nothing."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for path, problem in (
        (tmp_path / "file" / "telemetry.json", "is below something that is no directory"),
        (tmp_path / "link", "is behind a link to nothing"),
        (tmp_path / "link" / "telemetry.json", "is behind a link to nothing"),
    ):
        assert read_setting(str(path)) == "unreadable"
        assert setting_problem(str(path)) == problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["enabled", "a", ""]), inner, max_size=3)
    ),
    max_leaves=6,
).map(lambda value: __import__("json").dumps(value).encode())


@given(content=st.binary(max_size=40) | JSON)
def test_exactly_what_cannot_be_read_has_a_problem(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The explanation and the decision never disagree, whatever the file holds."""
    path = tmp_path_factory.mktemp("setting") / "telemetry.json"
    path.write_bytes(content)
    assert bool(setting_problem(str(path))) == (read_setting(str(path)) == "unreadable")
