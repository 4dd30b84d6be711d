"""A refused token is known again, and cannot be read from what is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from click_telemetry.delivery import NOT_BEFORE
from click_telemetry.delivery.launcher import too_early
from click_telemetry.delivery.refusal import FILE, FORGOTTEN_AFTER, forget, is_refused, remember


@pytest.fixture
def spool(tmp_path: Path) -> str:
    """An identified spool."""
    return str(tmp_path)


def put_off(spool: str, seconds: float) -> None:
    path = Path(spool, NOT_BEFORE)
    path.touch()
    until = time.time() + seconds
    os.utime(path, (until, until))


def test_nothing_is_known_of_a_token_at_first(spool: str) -> None:
    """The first request with a token is made."""
    assert is_refused(spool, "one") is None
    assert not too_early(spool, "one")


def test_the_refused_token_is_known_and_others_are_not_it(spool: str) -> None:
    """A rotated token goes out at once."""
    remember(spool, "one")
    assert is_refused(spool, "one") is True
    others = [is_refused(spool, f"token {n}") for n in range(200)]
    assert others.count(True) <= 2  # one in 65,536, each


def test_a_fresh_token_does_not_wait_and_the_refused_one_does(spool: str) -> None:
    """Whatever the put-off says."""
    remember(spool, "one")
    assert too_early(spool, "one")
    put_off(spool, 3600)
    assert too_early(spool, "one")
    assert not too_early(spool, "two")


def test_without_a_refusal_every_token_waits(spool: str) -> None:
    """A server that is down is down for everybody."""
    put_off(spool, 3600)
    assert too_early(spool, "one")
    assert too_early(spool)


def test_forgotten_it_is_as_if_it_had_never_been(spool: str) -> None:
    """Twice is harmless."""
    remember(spool, "one")
    forget(spool)
    forget(spool)
    assert is_refused(spool, "one") is None


def test_two_refusals_of_one_token_look_different(tmp_path: Path) -> None:
    """What is kept of a token cannot be looked up in a table, or compared between machines."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        remember(str(tmp_path / name), "one")
    assert (tmp_path / "a" / FILE).read_bytes() != (tmp_path / "b" / FILE).read_bytes()


@pytest.mark.parametrize("age", [FORGOTTEN_AFTER + 60, -3600])
def test_after_a_day_a_token_is_tried_again(spool: str, age: float) -> None:
    """A server may have been wrong about it; a clock may have been wrong about the day."""
    remember(spool, "one")
    then = time.time() - age
    os.utime(Path(spool, FILE), (then, then))
    assert is_refused(spool, "one") is None


@pytest.mark.parametrize("content", [b"", b"zz", b"00", b"\0" * 36, b"ab" * 40, b"\xff" * 36])
def test_a_damaged_note_is_none(spool: str, content: bytes) -> None:
    """Torn, zeroed or foreign: the token is simply tried."""
    Path(spool, FILE).write_bytes(content)
    assert is_refused(spool, "one") is None


def test_a_directory_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    """The put-off alone then keeps the token from being tried."""
    remember(str(tmp_path / "missing"), "one")
    assert is_refused(str(tmp_path / "missing"), "one") is None
