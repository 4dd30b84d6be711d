"""Where an application's telemetry lives: the answers of platformdirs, and nothing in the cwd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from click_telemetry.privacy import directories as module
from click_telemetry.privacy.directories import (
    Directories,
    destination_digest,
    directories,
    plain_directories,
    platform_directories,
)

from .racing import environment, python

PLATFORMDIRS = tuple(int(part) for part in platformdirs.__version__.split(".")[:3])

linux = pytest.mark.skipif(sys.platform != "linux", reason="XDG's rules are asked on Linux alone")

ALWAYS = (4, 4, 0)
ABSOLUTE_ONLY = (4, 12, 0)
"""The first platformdirs that ignores a relative XDG directory, as the specification has it."""
UNSTRIPPED = (4, 14, 3)
"""The first one that takes a directory literally again, blanks and all."""

Row = tuple[dict[str, str], tuple[str, str] | None, tuple[int, int, int]]

TABLE: list[Row] = [
    ({}, None, ALWAYS),
    ({"HOME": ""}, None, ALWAYS),
    ({"HOME": "jane"}, None, ALWAYS),
    ({"HOME": "./jane"}, None, ALWAYS),
    ({"HOME": "~"}, None, ALWAYS),
    ({"HOME": " /home/jane"}, None, ALWAYS),
    ({"HOME": "", "XDG_CONFIG_HOME": "/c"}, None, ALWAYS),
    ({"XDG_STATE_HOME": "/s"}, None, ALWAYS),
    ({"HOME": "jane", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "s"}, None, ALWAYS),
    ({"HOME": "/home/jane"}, ("/home/jane/.config", "/home/jane/.local/state"), ALWAYS),
    ({"HOME": "/home/jane/"}, ("/home/jane/.config", "/home/jane/.local/state"), ALWAYS),
    ({"HOME": "/home/jane//"}, ("/home/jane/.config", "/home/jane/.local/state"), ALWAYS),
    ({"HOME": "//home/jane"}, ("//home/jane/.config", "//home/jane/.local/state"), ALWAYS),
    ({"HOME": "/home/../jane"}, ("/home/../jane/.config", "/home/../jane/.local/state"), ALWAYS),
    ({"HOME": "/home/j ane "}, ("/home/j ane /.config", "/home/j ane /.local/state"), ALWAYS),
    ({"HOME": "/home/~"}, ("/home/~/.config", "/home/~/.local/state"), ALWAYS),
    ({"HOME": "/home/$USER"}, ("/home/$USER/.config", "/home/$USER/.local/state"), ALWAYS),
    ({"HOME": "/home/jäne"}, ("/home/jäne/.config", "/home/jäne/.local/state"), ALWAYS),
    ({"HOME": "/"}, ("/.config", "/.local/state"), ALWAYS),
    ({"HOME": "///"}, ("/.config", "/.local/state"), ALWAYS),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, ("/c", "/h/.local/state"), ALWAYS),
    ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, ("/h/.config", "/s"), ALWAYS),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "/c/", "XDG_STATE_HOME": "/s//"}, ("/c/", "/s//"), ALWAYS),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "/", "XDG_STATE_HOME": "/"}, ("/", "/"), ALWAYS),
    ({"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, ("/c", "/s"), ALWAYS),
    ({"HOME": "", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, ("/c", "/s"), ALWAYS),
    ({"HOME": "jane", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, ("/c", "/s"), ALWAYS),
    ({"HOME": "/h", "XDG_CONFIG_HOME": ""}, ("/h/.config", "/h/.local/state"), ALWAYS),
    ({"HOME": "/h", "XDG_STATE_HOME": " "}, ("/h/.config", "/h/.local/state"), ALWAYS),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "c"}, ("/h/.config", "/h/.local/state"), ABSOLUTE_ONLY),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "~/c"}, ("/h/.config", "/h/.local/state"), ABSOLUTE_ONLY),
    ({"HOME": "/h", "XDG_STATE_HOME": "../s"}, ("/h/.config", "/h/.local/state"), ABSOLUTE_ONLY),
    ({"HOME": "/h", "XDG_STATE_HOME": "."}, ("/h/.config", "/h/.local/state"), ABSOLUTE_ONLY),
    ({"HOME": "/h", "XDG_STATE_HOME": " /s"}, ("/h/.config", "/h/.local/state"), UNSTRIPPED),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "/c "}, ("/c ", "/h/.local/state"), UNSTRIPPED),
    ({"HOME": "/h", "XDG_CONFIG_HOME": "/c\n"}, ("/c\n", "/h/.local/state"), UNSTRIPPED),
]
"""An environment, where the two directories are (None: nowhere), and since when platformdirs
answers the same."""


def places(app: str, found: tuple[str, str] | None) -> tuple[str, str] | None:
    if found is None:
        return None
    return os.path.join(found[0], app), os.path.join(found[1], app, "telemetry")


def pair(found: Directories | None) -> tuple[str, str] | None:
    return None if found is None else (found.config, found.state)


@linux
@pytest.mark.parametrize(("environ", "expected", "since"), TABLE)
def test_directories_are_xdg_s_on_linux(
    environ: dict[str, str], expected: tuple[str, str] | None, since: tuple[int, int, int]
) -> None:
    """My variables are followed where they are absolute, else HOME, else nothing is stored."""
    assert pair(directories("acme", environ)) == places("acme", expected)


@linux
@pytest.mark.parametrize(
    ("environ", "expected", "since"), [row for row in TABLE if row[1] and row[2] <= PLATFORMDIRS]
)
def test_our_own_answer_is_the_one_of_platformdirs(
    environ: dict[str, str],
    expected: tuple[str, str] | None,
    since: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An application that asks platformdirs finds its own choice file where we left it."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = platform_directories("acme")
    assert pair(found) == pair(plain_directories("acme", environ))


LOCATIONS = st.none() | st.sampled_from(
    ["", "/", "//", "/h", "/h/", "/h/ i", "/h/../i", "h", ".", "~", "~/h", "$HOME", "/h\\", "/h:/i"]
)


@linux
@given(home=LOCATIONS, config=LOCATIONS, state=LOCATIONS)
def test_what_platformdirs_says_of_any_environment_we_say_or_refuse(
    home: str | None, config: str | None, state: str | None
) -> None:
    """There is one answer, or none; never a second place for a person's choice."""
    given_ = {"HOME": home, "XDG_CONFIG_HOME": config, "XDG_STATE_HOME": state}
    environ = {name: value for name, value in given_.items() if value is not None}
    ours = directories("acme", environ)
    if ours is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        theirs = platform_directories("acme")
    for our, their in ((ours.config, theirs.config), (ours.state, theirs.state)):
        assert os.path.isabs(our)
        # An old platformdirs follows a relative directory, into whatever is the cwd.
        assert our == their or not (os.path.isabs(their) or PLATFORMDIRS >= ABSOLUTE_ONLY)


@pytest.mark.parametrize("home", [None, "", "jane", "."])
@pytest.mark.parametrize("platform", ["linux", "darwin", "freebsd14"])
def test_without_an_absolute_home_there_are_no_directories(
    home: str | None, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No user database is asked, no network name service started, nothing written to the cwd."""
    monkeypatch.setattr(sys, "platform", platform)
    environ = {} if home is None else {"HOME": home}
    assert directories("acme", environ) is None


@linux
def test_nothing_but_the_standard_library_is_loaded_on_linux(tmp_path: Path) -> None:
    """Finding two directories costs no import."""
    source = """
import os, sys
from click_telemetry.privacy.directories import directories
assert directories("acme", os.environ) is not None
assert directories("acme", {"HOME": "jane"}) is None
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"__main__"})
"""
    found = subprocess.run(
        python(source),
        env=environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "click_telemetry\n"
    assert list(tmp_path.iterdir()) == []


def test_directories_are_named_and_not_made(tmp_path: Path) -> None:
    """Asking where something would be leaves no trace."""
    home = str(tmp_path)
    found = directories("acme", {"HOME": home}) or platform_directories("acme")
    found.spool("https://api.segment.io", "key")
    assert list(tmp_path.iterdir()) == []


def test_the_choice_is_configuration_and_all_else_is_state() -> None:
    """People commit their dotfiles: an ID or an event must not travel with them."""
    found = Directories("/c/acme", "/s/acme/telemetry")
    assert found.choice == "/c/acme/telemetry.json"
    assert found.anonymous_id == "/s/acme/telemetry/id"
    assert found.notice == "/s/acme/telemetry/notice"
    assert found.spool("https://a.example", "key").startswith("/s/acme/telemetry/spool/")


def test_two_applications_share_no_directory() -> None:
    """One application's choice says nothing about another."""
    acme, other = (plain_directories(app, {"HOME": "/h"}) for app in ("acme", "acme-cli"))
    assert acme is not None
    assert other is not None
    assert acme.config != other.config
    assert acme.state != other.state


def test_each_destination_has_a_spool_of_its_own() -> None:
    """No run can deliver what was meant for another server, or under another key."""
    found = Directories("/c", "/s")
    assert found.spool("https://a.example", "key") == found.spool("https://a.example", "key")
    spools = {
        found.spool(host, key)
        for host in ("https://a.example", "https://b.example", "https://a.example:8443")
        for key in ("key", "Key", "")
    }
    assert len(spools) == 9


@given(
    st.text(st.characters(exclude_characters="\0")), st.text(st.characters(exclude_characters="\0"))
)
def test_a_token_s_spool_is_never_another_s(host: str, key: str) -> None:
    """Whatever host and key: who has no token never finds what was said with one."""
    assert destination_digest(host, key) != destination_digest(host, key, identified=True)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
@example("https://a.example", "\ud800")
def test_a_digest_is_sixteen_hexadecimal_digits_of_any_text(host: str, key: str) -> None:
    """Whatever a host and a key are, they name a directory on every system."""
    digest = destination_digest(host, key)
    assert len(digest) == 16
    assert set(digest) <= set("0123456789abcdef")


def test_a_digest_is_the_same_in_every_process_and_every_release() -> None:
    """What one version spooled, the next one delivers."""
    assert destination_digest("https://api.segment.io", "key") == "38f0122b5bed05f6"


@pytest.mark.parametrize(
    ("platform", "environ"),
    [("darwin", {"HOME": "/Users/jane"}), ("freebsd14", {"HOME": "/home/jane"}), ("win32", {})],
)
@pytest.mark.parametrize(
    ("config", "state", "usable"),
    [("/c", "/s", True), ("c", "/s", False), ("/c", "s", False), ("~/c", "~/s", False)],
)
def test_elsewhere_platformdirs_is_asked_and_must_be_absolute(
    platform: str,
    environ: dict[str, str],
    config: str,
    state: str,
    usable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS and Windows its answer is the application's own; a relative one is no place."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda app, appauthor: f"{config}/{app}")
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda app, appauthor: f"{state}/{app}")
    expected = ("/c/acme", "/s/acme/telemetry") if usable else None
    assert pair(directories("acme", environ)) == expected


def test_a_home_that_platformdirs_gives_up_on_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no directory can be told, nothing is stored and nothing raises."""

    def lost(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(sys, "platform", "freebsd14")
    monkeypatch.setattr(platformdirs, "user_config_dir", lost)
    assert module.directories("acme", {"HOME": "/home/jane"}) is None
