"""An application's directories: the answers of platformdirs, and none in the cwd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from click_telemetry._foreground.platforms import platform_directories
from click_telemetry._recorder import Destination, Directories, directories_of

from ..harness.interpreter import environment, python

PLATFORMDIRS = tuple(int(part) for part in platformdirs.__version__.split(".")[:3])

linux = pytest.mark.skipif(sys.platform != "linux", reason="the XDG rules apply on Linux")

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
"""An environment, the two directories in it (None: there are none), and the first platformdirs
with the same answer."""


def places(app: str, found: tuple[str, str] | None) -> tuple[str, str] | None:
    if found is None:
        return None
    return os.path.join(found[0], app), os.path.join(found[1], app, "telemetry")


def pair(found: Directories | None) -> tuple[str, str] | None:
    return None if found is None else (os.path.dirname(found.setting), found.state)


def digest(host: str, key: str, token: str | None = None) -> str:
    return Destination(host, key, token).digest


@linux
@pytest.mark.parametrize(("environ", "expected", "since"), TABLE)
def test_xdg_variables_are_followed_on_linux(
    environ: dict[str, str], expected: tuple[str, str] | None, since: tuple[int, int, int]
) -> None:
    """Where they are absolute; else HOME; else nothing is stored."""
    assert pair(directories_of("acme", environ)) == places("acme", expected)


@linux
@pytest.mark.parametrize(
    ("environ", "expected", "since"), [row for row in TABLE if row[1] and row[2] <= PLATFORMDIRS]
)
def test_platformdirs_has_the_same_answer(
    environ: dict[str, str],
    expected: tuple[str, str] | None,
    since: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An application finds the saved setting in its own directory."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert pair(platform_directories("acme", {"HOME": "/"})) == pair(
        directories_of("acme", environ)
    )


LOCATIONS = st.none() | st.sampled_from(
    ["", "/", "//", "/h", "/h/", "/h/ i", "/h/../i", "h", ".", "~", "~/h", "$HOME", "/h\\", "/h:/i"]
)


@linux
@given(home=LOCATIONS, config=LOCATIONS, state=LOCATIONS)
def test_any_environment_has_the_answer_of_platformdirs_or_none(
    home: str | None, config: str | None, state: str | None
) -> None:
    """There is never a second place for a saved setting."""
    given_ = {"HOME": home, "XDG_CONFIG_HOME": config, "XDG_STATE_HOME": state}
    environ = {name: value for name, value in given_.items() if value is not None}
    ours = directories_of("acme", environ)
    if ours is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        theirs = platform_directories("acme", {"HOME": "/"})
    for our, their in zip(pair(ours) or (), pair(theirs) or ("", ""), strict=True):
        assert os.path.isabs(our)
        # An old platformdirs follows a relative directory, into whatever is the cwd.
        assert our == their or not (os.path.isabs(their) or PLATFORMDIRS >= ABSOLUTE_ONLY)


@pytest.mark.parametrize("home", [None, "", "jane", "."])
@pytest.mark.parametrize("platform", ["linux", "darwin", "freebsd14"])
def test_without_an_absolute_home_there_are_no_directories(
    home: str | None, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user database is not read, which may open a socket; nothing is written to the cwd."""
    monkeypatch.setattr(sys, "platform", platform)
    environ = {} if home is None else {"HOME": home}
    assert directories_of("acme", environ) is None


@linux
def test_only_the_standard_library_is_loaded_on_linux(tmp_path: Path) -> None:
    """Platformdirs takes 9 ms."""
    source = """
import os, sys
from click_telemetry._recorder import directories_of
assert directories_of("acme", os.environ) is not None
assert directories_of("acme", {"HOME": "jane"}) is None
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


def test_directories_are_named_and_not_created(tmp_path: Path) -> None:
    """The question leaves no trace."""
    assert platform_directories("acme", {"HOME": str(tmp_path)}) is not None
    directories_of("acme", {"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_saved_setting_is_configuration_and_the_rest_is_state() -> None:
    """People commit their dotfiles: an ID or an event must not be among them."""
    found = Directories("/c/acme", "/s/acme/telemetry", "/etc/xdg/acme")
    assert found.setting == "/c/acme/telemetry.json"
    assert found.anonymous_id == "/s/acme/telemetry/id"
    assert found.notice == "/s/acme/telemetry/notice"
    assert found.spool == "/s/acme/telemetry/spool"


@linux
@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        (None, "/etc/xdg"),
        ("", "/etc/xdg"),
        ("/site", "/site"),
        ("/site:/other", "/site"),
        ("site:/other", "/other"),
        ("site", "/etc/xdg"),
        (":/other", "/other"),
    ],
)
def test_administrators_setting_is_in_the_first_site_directory(
    variable: str | None, folder: str
) -> None:
    """As the XDG specification orders them; one that is not absolute is ignored."""
    environ = {"HOME": "/h"} if variable is None else {"HOME": "/h", "XDG_CONFIG_DIRS": variable}
    found = directories_of("acme", environ)
    assert found is not None
    assert found.site_setting == f"{folder}/acme/telemetry.json"


@linux
def test_administrators_directory_is_that_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems platformdirs answers."""
    for environ in ({}, {"XDG_CONFIG_DIRS": "/site"}):
        monkeypatch.delenv("XDG_CONFIG_DIRS", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        found = directories_of("acme", {"HOME": "/h", **environ})
        assert found is not None
        expected = platformdirs.site_config_dir("acme", appauthor=False)
        assert os.path.dirname(found.site_setting) == expected


@linux
def test_two_applications_share_no_directory() -> None:
    """A setting for one of them does not apply to the other."""
    acme, other = (pair(directories_of(app, {"HOME": "/h"})) for app in ("acme", "acme-cli"))
    assert acme is not None
    assert other is not None
    assert not set(acme) & set(other)


def test_each_destination_has_its_own_spool() -> None:
    """No event reaches another server, or goes under another key."""
    assert digest("https://a.example", "key") == digest("https://a.example", "key")
    spools = {
        digest(host, key)
        for host in ("https://a.example", "https://b.example", "https://a.example:8443")
        for key in ("key", "Key", "")
    }
    assert len(spools) == 9


@given(
    st.text(st.characters(exclude_characters="\0")), st.text(st.characters(exclude_characters="\0"))
)
def test_signed_in_users_spool_is_never_anothers(host: str, key: str) -> None:
    """A run without a token never sends what was recorded with one; tokens may change."""
    assert digest(host, key) != digest(host, key, "token")
    assert digest(host, key, "token") == digest(host, key, "another")


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
@example("https://a.example", "\ud800")
def test_digest_is_sixteen_hexadecimal_digits_of_any_text(host: str, key: str) -> None:
    """It names a directory on every system."""
    found = digest(host, key)
    assert len(found) == 16
    assert set(found) <= set("0123456789abcdef")


def test_digest_is_the_same_in_every_process_and_every_release() -> None:
    """The next version delivers what this one spooled."""
    assert digest("https://api.segment.io", "key") == "38f0122b5bed05f6"


@pytest.mark.parametrize(
    ("platform", "environ"),
    [("darwin", {"HOME": "/Users/jane"}), ("freebsd14", {"HOME": "/home/jane"}), ("win32", {})],
)
@pytest.mark.parametrize(
    ("config", "state", "usable"),
    [("/c", "/s", True), ("c", "/s", False), ("/c", "s", False), ("~/c", "~/s", False)],
)
def test_other_systems_use_platformdirs_if_its_answer_is_absolute(
    platform: str,
    environ: dict[str, str],
    config: str,
    state: str,
    usable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS and Windows; nothing is stored in a relative directory."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda app, appauthor: f"{config}/{app}")
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda app, appauthor: f"{state}/{app}")
    expected = ("/c/acme", "/s/acme/telemetry") if usable else None
    assert pair(directories_of("acme", environ)) == expected


def test_error_of_platformdirs_means_that_nothing_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And it does not reach the command."""

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(sys, "platform", "freebsd14")
    monkeypatch.setattr(platformdirs, "user_config_dir", fail)
    assert directories_of("acme", {"HOME": "/home/jane"}) is None
