"""What is the case: each fact is told from a home, an environment and what was declared."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from click_telemetry.privacy import choice
from click_telemetry.privacy.facts import RealFacts, destination
from click_telemetry.privacy.notice import _SHOWN
from click_telemetry.privacy.settings import Settings
from click_telemetry.testing import RecordingClient

from ..harness.processes import Home
from .racing import environment, python

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becoming another user needs root"
)
no_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere"
)

HOST = "https://api.segment.io"


def declare(**options: Any) -> Settings:
    return Settings("acme", "", {"app": "acme", "write_key": "key", **options})


def facts(home: Home, environ: dict[str, str] | None = None, **options: Any) -> RealFacts:
    found = {"HOME": str(home.path), **(environ or {})}
    return RealFacts(declare(**options), found, io.StringIO())


class TestChoice:
    """The stored choice, where the environment says it is."""

    @pytest.mark.parametrize(
        ("content", "found"),
        [(None, "none"), (b'{"enabled": true}', "enabled"), (b'{"enabled": false}', "disabled")],
    )
    def test_my_choice_is_found(self, home: Home, content: bytes | None, found: str) -> None:
        """What is stored in my home is what counts."""
        if content is not None:
            home.choice().parent.mkdir(parents=True)
            home.choice().write_bytes(content)
        assert facts(home).choice == found

    def test_a_damaged_choice_is_unreadable(self, home: Home) -> None:
        """A torn file is told from none."""
        home.choice().parent.mkdir(parents=True)
        home.choice().write_bytes(b'{"enab')
        assert facts(home).choice == "unreadable"

    def test_xdg_s_directory_is_followed(self, home: Home, tmp_path: Path) -> None:
        """My choice may live where my other configuration lives."""
        choice.write(str(tmp_path / "xdg" / "acme" / "telemetry.json"), enabled=False)
        assert facts(home, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).choice == "disabled"
        assert facts(home).choice == "none"

    def test_without_a_home_there_is_no_choice(self, home: Home) -> None:
        """Nothing is looked for in the current directory."""
        assert facts(home, {"HOME": ""}).choice == "none"
        assert facts(home, {"HOME": "jane"}).choice == "none"


class TestForeignUser:
    """Whether the process acts for somebody else (row 96)."""

    def test_my_own_home_is_mine(self, home: Home) -> None:
        """The ordinary case."""
        assert facts(home).foreign_user is False

    @pytest.mark.parametrize("value", ["", "/nowhere/at/all"])
    def test_a_home_that_is_not_there_is_nobody_s(self, home: Home, value: str) -> None:
        """Whether anything can be stored there is another question."""
        assert facts(home, {"HOME": value}).foreign_user is False

    def test_on_windows_no_user_is_foreign(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There is nothing to compare there."""
        monkeypatch.delattr(os, "geteuid", raising=False)
        assert facts(home, {"HOME": "/"}).foreign_user is False

    @no_root
    def test_root_s_home_is_not_mine(self, home: Home) -> None:
        """HOME that belongs to another user is not written to."""
        assert facts(home, {"HOME": "/"}).foreign_user is True

    @root
    def test_sudo_in_my_home_is_a_foreign_user(self, home: Home) -> None:
        """`sudo -E acme` would leave files in my home that I cannot remove."""
        os.chown(home.path, 65534, 65534)
        assert facts(home).foreign_user is True

    @root
    def test_a_setuid_program_is_a_foreign_user(self, home: Home) -> None:
        """A program that acts with another's rights records nobody."""
        source = """
import io, os
from click_telemetry.privacy.facts import RealFacts
from click_telemetry.privacy.settings import Settings
settings = Settings("acme", "", {})
before = RealFacts(settings, {}, None).foreign_user
os.seteuid(65534)
print(before, RealFacts(settings, {}, None).foreign_user)
"""
        done = subprocess.run(
            python(source), env=environment(), capture_output=True, text=True, check=True
        )
        assert done.stdout == "False True\n"


class TestTestRun:
    """Whether a test suite runs the command."""

    def test_under_pytest_every_run_is_a_test_run(self, home: Home) -> None:
        """My users' test suites record nothing."""
        assert facts(home).test_run is True

    def test_a_test_run_is_told_without_pytest_too(self) -> None:
        """A child of a test, or Click's own runner, is a test run; a shell is none."""
        source = """
import io, json, sys
from click_telemetry.privacy.facts import RealFacts
from click_telemetry.privacy.settings import Settings
settings = Settings("acme", "", {})
def stream(module):
    return type("_NamedTextIOWrapper", (io.TextIOWrapper,), {"__module__": module})(io.BytesIO())
print(json.dumps([
    RealFacts(settings, {}, sys.stdout).test_run,
    RealFacts(settings, {}, None).test_run,
    RealFacts(settings, {}, stream("acme.testing")).test_run,
    RealFacts(settings, {}, stream("click.testing")).test_run,
    RealFacts(settings, {}, stream("pip._vendor.click.testing")).test_run,
    RealFacts(settings, {"PYTEST_CURRENT_TEST": "test_a.py::test_b (call)"}, None).test_run,
    RealFacts(settings, {"PYTEST_VERSION": "8.3.3"}, None).test_run,
]))
"""
        done = subprocess.run(
            python(source), env=environment(), capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout) == [False, False, False, True, True, True, True]

    def test_click_s_runner_is_the_one_that_is_looked_for(self) -> None:
        """The class that holds stdout there still comes from `click.testing`."""
        with CliRunner().isolation():
            assert type(sys.stdout).__module__ == "click.testing"


@pytest.mark.parametrize(
    ("environ", "option", "ci"),
    [
        ({}, "off", False),
        ({"CI": "true"}, "off", True),
        ({"CI": "false"}, "off", False),
        ({"CI": "true"}, "label", False),
    ],
)
def test_ci_counts_unless_it_is_only_labelled(
    home: Home, environ: dict[str, str], option: str, ci: bool
) -> None:
    """`ci="label"` records builds, with a label on them."""
    assert facts(home, environ, ci=option).ci is ci


@pytest.mark.parametrize(
    ("address", "watched"),
    [
        (None, False),
        ("", False),
        ("1", False),
        ("http://127.0.0.1:4711", True),
        ("http://localhost:4711", True),
        ("http://[::1]:4711/", True),
        ("https://events.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1:4711/path", False),
        ("http://127.0.0.1:" + "9" * 5000, False),
    ],
)
def test_only_a_watcher_on_this_machine_is_one(
    home: Home, address: str | None, watched: bool
) -> None:
    """No variable in a stray `.env` sends my events anywhere (row 90)."""
    environ = {} if address is None else {"CLICK_TELEMETRY_WATCH": address}
    assert facts(home, environ).watched is watched


def test_a_client_of_the_application_s_own_is_one(home: Home) -> None:
    """`client=` is told from none."""
    assert facts(home).client is False
    assert facts(home, client=RecordingClient()).client is True


def test_opt_in_is_what_was_declared(home: Home) -> None:
    """`consent="opt-in"` asks first."""
    assert facts(home).opt_in is False
    assert facts(home, consent="opt-in").opt_in is True


class TestStorable:
    """Whether the state directory can be used, told without making it."""

    def test_an_empty_home_can_be_used(self, home: Home) -> None:
        """Everything below it can be made."""
        assert facts(home).storable is True
        assert home.files() == []

    def test_the_directory_itself_can_be_used(self, home: Home) -> None:
        """Once it is there, it is looked at itself."""
        home.state().mkdir(parents=True, mode=0o700)
        assert facts(home).storable is True

    @pytest.mark.parametrize("value", ["", "jane"])
    def test_no_home_is_no_place(self, home: Home, value: str) -> None:
        """HOME empty or relative (row 16)."""
        assert facts(home, {"HOME": value}).storable is False

    def test_a_home_that_is_a_file_is_no_place(self, home: Home, tmp_path: Path) -> None:
        """Row 16."""
        (tmp_path / "file").touch()
        for value in (tmp_path / "file", tmp_path / "file" / "jane"):
            assert facts(home, {"HOME": str(value)}).storable is False

    def test_a_file_in_the_way_is_no_place(self, home: Home) -> None:
        """A file where a directory belongs stops us, not the command."""
        (home.path / ".local").write_text("in the way")
        assert facts(home).storable is False

    @posix
    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
    def test_a_directory_that_others_may_write_to_is_no_place(self, home: Home, mode: int) -> None:
        """Row 20."""
        home.state().mkdir(parents=True)
        home.state().chmod(mode)
        assert facts(home).storable is False

    @posix
    def test_a_linked_directory_is_no_place(self, home: Home, tmp_path: Path) -> None:
        """Row 20."""
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        home.state().parent.mkdir(parents=True)
        home.state().symlink_to(tmp_path / "elsewhere")
        assert facts(home).storable is False

    @root
    def test_a_directory_of_somebody_else_is_no_place(self, home: Home) -> None:
        """Row 20."""
        home.state().mkdir(parents=True, mode=0o700)
        os.chown(home.state(), 65534, 65534)
        assert facts(home).storable is False

    @no_root
    def test_a_home_that_may_not_be_written_to_is_no_place(self, home: Home) -> None:
        """Row 81."""
        home.path.chmod(0o500)
        try:
            assert facts(home).storable is False
        finally:
            home.path.chmod(0o700)


class TestNotice:
    """Whether the person has been told."""

    @pytest.mark.parametrize(
        ("content", "shown"), [(None, False), (b"claimed\n", False), (_SHOWN, True)]
    )
    @pytest.mark.parametrize("notice", [True, "We count commands."])
    def test_who_has_seen_it_was_told(
        self, home: Home, content: bytes | None, shown: bool, notice: Any
    ) -> None:
        """Only what was shown counts."""
        if content is not None:
            home.state().mkdir(parents=True, mode=0o700)
            (home.state() / "notice").write_bytes(content)
        assert facts(home, notice=notice).notice_shown is shown

    def test_an_application_that_tells_its_users_itself_needs_no_mark(self, home: Home) -> None:
        """`notice=False` takes it on itself."""
        assert facts(home, notice=False).notice_shown is True

    def test_without_a_home_nobody_was_told(self, home: Home) -> None:
        """Where nothing can be remembered, nothing was shown."""
        assert facts(home, {"HOME": ""}).notice_shown is False


def fails() -> str:
    raise LookupError("no configuration yet")


DESTINATIONS: list[tuple[dict[str, str], dict[str, Any], tuple[str, str] | None]] = [
    ({}, {}, (HOST, "key")),
    ({}, {"write_key": None}, None),
    ({}, {"write_key": ""}, None),
    ({}, {"write_key": " "}, None),
    ({}, {"host": "https://a.example:8443/"}, ("https://a.example:8443", "key")),
    ({}, {"host": "http://127.0.0.1:4711"}, ("http://127.0.0.1:4711", "key")),
    # the key: from the environment only where the code gives none
    ({"ACME_TELEMETRY_WRITE_KEY": "mine"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_WRITE_KEY": "mine"}, {"write_key": None}, (HOST, "mine")),
    ({"ACME_TELEMETRY_WRITE_KEY": " mine\n"}, {"write_key": None}, (HOST, "mine")),
    ({"ACME_TELEMETRY_WRITE_KEY": ""}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": " "}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": "a\nb"}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": "a\udc80"}, {"write_key": None}, None),
    ({"OTHER_TELEMETRY_WRITE_KEY": "mine"}, {"write_key": None}, None),
    # the host: from the environment only on loopback
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1:1"}, {}, ("http://127.0.0.1:1", "key")),
    ({"ACME_TELEMETRY_HOST": "http://localhost"}, {}, ("http://localhost", "key")),
    ({"ACME_TELEMETRY_HOST": "http://[::1]:1/"}, {}, ("http://[::1]:1", "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1"}, {"host": fails}, ("http://127.0.0.1", "key")),
    ({"ACME_TELEMETRY_HOST": "https://b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1@b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1.b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1/v1"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://0.0.0.0"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1:" + "9" * 5000}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": ""}, {}, (HOST, "key")),
    ({"OTHER_TELEMETRY_HOST": "http://127.0.0.1"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1"}, {"write_key": None}, None),
    # a function for the host
    ({}, {"host": lambda: "https://a.example/"}, ("https://a.example", "key")),
    ({}, {"host": lambda: "http://localhost:1"}, ("http://localhost:1", "key")),
    ({}, {"host": fails}, None),
    ({}, {"host": lambda: None}, None),
    ({}, {"host": lambda: ""}, None),
    ({}, {"host": lambda: 42}, None),
    ({}, {"host": lambda: b"https://a.example"}, None),
    ({}, {"host": lambda: "http://a.example"}, None),
    ({}, {"host": lambda: "https://a.example/v1"}, None),
    ({}, {"host": lambda: "https://user@a.example"}, None),
    ({}, {"host": lambda needed: needed}, None),
    ({"ACME_TELEMETRY_HOST": "https://b.example"}, {"host": fails}, None),
]


@pytest.mark.parametrize(("environ", "options", "expected"), DESTINATIONS)
def test_events_go_where_the_code_says_or_to_this_machine(
    home: Home,
    environ: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str, str] | None,
) -> None:
    """Nothing in my environment moves my events to another server."""
    assert destination(declare(**options), environ) == expected
    found = facts(home, environ, **options)
    assert found.write_key is (expected is not None)
    assert found.destination == expected


def test_a_host_is_asked_for_once(home: Home) -> None:
    """What was decided on is where events go, though the answer changes meanwhile."""
    answers = iter(["https://a.example", "https://b.example"])
    found = facts(home, host=lambda: next(answers))
    assert found.write_key is True
    assert found.write_key is True
    assert found.destination == ("https://a.example", "key")


def test_a_host_is_not_asked_for_before_it_is_needed(home: Home) -> None:
    """A function of mine is not called for a run that is not recorded."""

    def never() -> str:
        raise AssertionError("asked")

    found = facts(home, {"CI": "true"}, host=never)
    assert found.ci is True
    assert found.storable is True


@pytest.mark.parametrize("package", ["", "__main__"])
def test_a_script_without_a_name_has_no_destination(package: str) -> None:
    """Two scripts called `cli` must not share an ID: a nameless one never sends."""
    environ = {"CLI_TELEMETRY_WRITE_KEY": "mine", "CLI_TELEMETRY_HOST": "http://127.0.0.1"}
    assert destination(Settings(package, "cli", {"write_key": "key"}), environ) is None
    named = Settings(package, "cli", {"write_key": "key", "app": "cli"})
    assert destination(named, environ) == ("http://127.0.0.1", "key")


def test_variables_are_read_from_the_environment_that_was_given(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts are of one mapping, whatever the process's own environment is by now."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("ACME_TELEMETRY_HOST", "http://127.0.0.1")
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH", "http://127.0.0.1")
    found = facts(home)
    assert (found.ci, found.watched) == (False, False)
    assert found.destination == (HOST, "key")


def test_looking_at_a_home_leaves_it_as_it_was(home: Home) -> None:
    """Asking every question writes nothing."""
    found = facts(home)
    for name in dir(found):
        getattr(found, name)
    assert home.files() == []
