"""What `auth` gives, and what of it is a token."""

from __future__ import annotations

import pytest

from click_telemetry.privacy.token import LONGEST, ask, is_token

TOKENS = ["t", "ghp_16C7e42F", "eyJhbGciOiJIUzI1NiJ9.e30.-_~+/==", "x" * LONGEST]
NO_TOKENS = [
    *(
        "",
        " ",
        "a b",
        "a\n",
        "\na",
        "a\r\nX: 1",
        "a\0",
        "\x1b[31m",
        "\x7f",
        "tök",
        "тoken",
        "\udc80",
    ),
    *("x" * (LONGEST + 1), None, True, 42, b"t", ["t"], object()),
]


@pytest.mark.parametrize("token", TOKENS)
def test_visible_ascii_is_a_token(token: str) -> None:
    """All that servers give out."""
    assert is_token(token)
    assert ask(lambda: token) == token


@pytest.mark.parametrize("found", NO_TOKENS)
def test_anything_else_is_none(found: object) -> None:
    """Nothing that could end a header, or begin another one."""
    assert not is_token(found)
    assert ask(lambda: found) is None


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, RecursionError, KeyError("token")])
def test_an_auth_that_raises_gives_no_token(error: type[BaseException]) -> None:
    """Whatever is wrong with it, the command goes on."""

    def auth() -> str:
        raise error

    assert ask(auth) is None


def test_ctrl_c_in_auth_is_the_person_s() -> None:
    """Who wants to end the command ends it."""

    def auth() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(auth)


def test_a_text_of_another_class_is_no_token() -> None:
    """Its own code would run whenever it is looked at."""

    class Odd(str):
        pass

    assert ask(lambda: Odd("t")) is None
