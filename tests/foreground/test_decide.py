"""Whether a run may be recorded: any opt-out takes precedence, and the first reason is shown."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._foreground import consent, destination, sinks
from click_telemetry._foreground.consent import REASONS
from click_telemetry._instrument import opt_out_variable
from click_telemetry._recorder import (
    CLIENT,
    LOG,
    OFF,
    OFFERED,
    PERSONAL,
    SEND,
    SHOWN,
    WATCH,
    Directories,
    decide,
    directories_of,
    is_other_user,
    is_storable,
    is_test_run,
    was_shown,
)
from click_telemetry.testing import RecordingClient

from ..harness.declared import acme
from ..harness.facts import ANONYMOUS
from ..harness.interpreter import environment, python
from ..harness.processes import Home

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
root = pytest.mark.skipif(not ROOT, reason="becoming another user needs root")
no_root = pytest.mark.skipif(ROOT, reason="root may write everywhere")

OTHER_USER = 65534
_LOADED = (consent, destination, sinks)
WATCHED = {"CLICK_TELEMETRY_WATCH": "http://127.0.0.1:4711"}


class Stderr(io.StringIO):
    """Standard error, a terminal or not."""

    def __init__(self, *, at_terminal: bool) -> None:
        super().__init__()
        self._at_terminal = at_terminal

    def isatty(self) -> bool:
        return self._at_terminal


class OwnClient:
    """A client that is no test double."""

    def record(self, message: dict[str, Any], /) -> None: ...

    def close(self) -> None: ...


class Machine:
    """A home, an environment and a declaration that permit sending, until a test changes them.

    Attributes:
        environ: the environment.
        options: what the application declares besides its name.
        at_terminal: whether standard error is a terminal.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.environ = {
            "HOME": str(home.path),
            "XDG_CONFIG_HOME": str(home.path / ".config"),
            "XDG_STATE_HOME": str(home.path / ".local/state"),
            "XDG_CONFIG_DIRS": str(home.path.parent / "xdg"),
        }
        self.options: dict[str, Any] = {}
        self.at_terminal = True
        home.state().mkdir(parents=True, mode=0o700)
        self.notice.write_bytes(SHOWN)

    @property
    def notice(self) -> Path:
        """The notice's marker."""
        return self.home.state() / "notice"

    def save(self, content: str) -> None:
        """Save a setting."""
        self.home.choice().parent.mkdir(parents=True, exist_ok=True)
        self.home.choice().write_text(content)

    def decide(self) -> tuple[str, str, str]:
        """The mode, the reason and its detail, as outside a test."""
        assert _LOADED  # pytest's import hook would load pytest again
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(sys.modules, "_pytest")
            patch.setattr(sys, "stderr", Stderr(at_terminal=self.at_terminal))
            directories = directories_of("acme", self.environ)
            found = decide(acme(**self.options), self.environ, directories, io.StringIO())
        waits = found.reason in ("not_opted_in", "notice_not_shown")
        sends = (waits and self.options.get("client") is None) or found.mode == SEND
        assert (found.destination is not None) is sends
        return found.mode, found.reason, found.detail


@pytest.fixture
def machine(home: Home) -> Machine:
    """A machine where a run is sent."""
    return Machine(home)


def variable(name: str, value: str = "1") -> Callable[[Machine], None]:
    """Set a variable."""

    def change(machine: Machine) -> None:
        machine.environ[name] = value

    return change


def option(name: str, value: Any) -> Callable[[Machine], None]:
    """Declare an option."""

    def change(machine: Machine) -> None:
        machine.options[name] = value

    return change


def setting(content: str) -> Callable[[Machine], None]:
    """Save a setting."""
    return lambda machine: machine.save(content)


def for_all(content: str) -> Callable[[Machine], None]:
    """Save an administrator's setting."""

    def change(machine: Machine) -> None:
        path = Path(machine.environ["XDG_CONFIG_DIRS"], "acme", "telemetry.json")
        path.parent.mkdir(parents=True)
        path.write_text(content)

    return change


def other_user(machine: Machine) -> None:
    """HOME belongs to another user."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs users")
    if ROOT:
        os.chown(machine.home.path, OTHER_USER, OTHER_USER)
    else:
        machine.environ["HOME"] = "/"


Case = tuple[str, Callable[[Machine], None]]

OPT_OUTS: list[Case] = [
    ("variable DO_NOT_TRACK", variable("DO_NOT_TRACK")),
    ("variable NO_ANALYTICS", variable("NO_ANALYTICS")),
    ("variable CLICK_TELEMETRY_OFF", variable("CLICK_TELEMETRY_OFF")),
    ("variable ACME_NO_TELEMETRY", variable("ACME_NO_TELEMETRY")),
    ("variable ACME_TELEMETRY", variable("ACME_TELEMETRY", "0")),
    ("administrator", for_all('{"enabled": false}')),
    ("setting", setting('{"enabled": false}')),
    ("unreadable_setting", setting('{"enab')),
    ("other_user", other_user),
]
"""A person's opt-outs, in the order in which they are shown."""


def outside_sample(machine: Machine) -> None:
    """The application samples, and the stored ID is one of those that are left out."""
    option("sample", 0.5)(machine)
    stored = machine.home.state() / "id"
    stored.write_text(f"{ANONYMOUS[:-12]}{'f' * 12}\n")
    stored.chmod(0o600)


CIRCUMSTANCES: list[Case] = [
    ("test_run", variable("PYTEST_VERSION", "8")),
    ("ci", variable("CI", "true")),
    ("no_destination", option("write_key", None)),
    ("not_storable", lambda machine: machine.home.state().chmod(0o777)),
    ("not_opted_in", option("consent", "opt-in")),
    ("notice_not_shown", lambda machine: machine.notice.unlink()),
    ("not_sampled", outside_sample),
]
"""The circumstances that permit no recording, in the order in which they are shown."""

OVERRIDES: list[Case] = [
    (LOG, variable("ACME_TELEMETRY", "log")),
    (CLIENT, option("client", RecordingClient())),
    (WATCH, lambda machine: machine.environ.update(WATCHED)),
]
"""What overrides every circumstance, in the order in which it applies."""


def off(reason: str) -> tuple[str, str, str]:
    """The decision for a reason; that of a variable has its name."""
    reason, _, detail = reason.partition(" ")
    return OFF, reason, detail


def named(case: Any) -> str | None:
    """A case's name."""
    return case[0] if isinstance(case, tuple) else None


def test_run_is_sent_unless_something_is_against_it(machine: Machine) -> None:
    """The notice was shown, and nothing opts out."""
    assert machine.decide() == (SEND, "", "")


@pytest.mark.parametrize("case", OPT_OUTS + CIRCUMSTANCES, ids=named)
def test_each_reason_alone_is_enough(case: Case, machine: Machine) -> None:
    """One opt-out, or one circumstance, and nothing is recorded."""
    case[1](machine)
    assert machine.decide() == off(case[0])


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"enabled": "no"}', '{"enabled": 0}', "\0"])
def test_administrators_setting_that_is_no_setting_disables(content: str, machine: Machine) -> None:
    """Whoever put it there meant something."""
    for_all(content)(machine)
    assert machine.decide() == off("administrator")


def test_administrators_setting_enables_nothing(machine: Machine) -> None:
    """It switches off, or does nothing: a person's opt-out and the circumstances hold."""
    for_all('{"enabled": true}')(machine)
    assert machine.decide() == (SEND, "", "")
    setting('{"enabled": false}')(machine)
    assert machine.decide() == off("setting")


@pytest.mark.parametrize("kind", ["directory", "dangling link", "FIFO"])
def test_administrators_setting_that_is_no_file_disables(kind: str, machine: Machine) -> None:
    """It is not waited for, either."""
    path = Path(machine.environ["XDG_CONFIG_DIRS"], "acme", "telemetry.json")
    path.parent.mkdir(parents=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    assert machine.decide() == off("administrator")


def test_file_in_the_place_of_the_administrators_directory_is_no_setting(machine: Machine) -> None:
    """Another program's file at `/etc/xdg/acme`."""
    path = Path(machine.environ["XDG_CONFIG_DIRS"], "acme")
    path.parent.mkdir()
    path.touch()
    assert machine.decide() == (SEND, "", "")


PAIRS = [
    (first, second)
    for first, second in combinations(OPT_OUTS + CIRCUMSTANCES, 2)
    if (first[0], second[0]) != ("setting", "unreadable_setting")  # there is one saved setting
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=named)
def test_first_reason_of_two_is_shown(first: Case, second: Case, machine: Machine) -> None:
    """A person's opt-out comes before any circumstance, always in the same order."""
    second[1](machine)
    first[1](machine)
    assert machine.decide() == off(first[0])


@pytest.mark.parametrize("case", OPT_OUTS + CIRCUMSTANCES, ids=named)
def test_client_of_the_application_obeys_every_reason(case: Case, machine: Machine) -> None:
    """It is a destination like any other, but needs no write key."""
    machine.options["client"] = OwnClient()
    assert machine.decide() == (CLIENT, "", "")
    case[1](machine)
    expected = (CLIENT, "", "") if case[0] == "no_destination" else off(case[0])
    assert machine.decide() == expected


@pytest.mark.parametrize("override", OVERRIDES[::2], ids=named)
def test_log_mode_and_watch_precede_a_client_of_the_application(
    override: Case, machine: Machine
) -> None:
    """Nothing leaves the machine in either, so the client receives nothing."""
    machine.options["client"] = OwnClient()
    override[1](machine)
    assert machine.decide() == (override[0], "", "")


@pytest.mark.parametrize("override", OVERRIDES, ids=named)
@pytest.mark.parametrize("opt_out", OPT_OUTS, ids=named)
def test_opt_out_cannot_be_overridden(opt_out: Case, override: Case, machine: Machine) -> None:
    """Not by log mode, `watch`, or a test double."""
    override[1](machine)
    opt_out[1](machine)
    assert machine.decide() == off(opt_out[0])


@pytest.mark.parametrize("override", OVERRIDES, ids=named)
@pytest.mark.parametrize("circumstance", CIRCUMSTANCES, ids=named)
def test_log_mode_test_double_and_watch_override_every_circumstance(
    circumstance: Case, override: Case, machine: Machine
) -> None:
    """A maintainer sees events in a test run, in CI, without a key and before the notice."""
    circumstance[1](machine)
    override[1](machine)
    assert machine.decide() == (override[0], "", "")


@pytest.mark.parametrize(("first", "second"), list(combinations(OVERRIDES, 2)), ids=named)
def test_log_mode_precedes_a_test_double_and_that_precedes_watch(
    first: Case, second: Case, machine: Machine
) -> None:
    """Messages are shown or passed on once."""
    second[1](machine)
    first[1](machine)
    assert machine.decide() == (first[0], "", "")


@pytest.mark.parametrize("consent", ["opt-in", "opt-out"])
@pytest.mark.parametrize("shown", [True, False])
def test_enabled_setting_needs_no_notice(consent: str, shown: bool, machine: Machine) -> None:
    """It is consent, however the application asks."""
    machine.save('{"enabled": true}')
    machine.options["consent"] = consent
    if not shown:
        machine.notice.unlink()
    assert machine.decide() == (SEND, "", "")


def test_opt_in_application_records_nothing_before_it_is_enabled(machine: Machine) -> None:
    """The notice is no consent there, nor is `notice=False`."""
    machine.options.update(consent="opt-in", notice=False)
    assert machine.decide() == off("not_opted_in")


@pytest.mark.parametrize("circumstance", CIRCUMSTANCES[:4], ids=named)
def test_enabled_setting_overrides_no_other_circumstance(
    circumstance: Case, machine: Machine
) -> None:
    """I enable telemetry for my own runs, not for my test suite or my build server."""
    machine.save('{"enabled": true}')
    circumstance[1](machine)
    assert machine.decide() == off(circumstance[0])


def test_ci_may_be_labelled_instead(machine: Machine) -> None:
    """`ci="label"` records builds, with a label on them."""
    machine.environ["CI"] = "true"
    machine.options["ci"] = "label"
    assert machine.decide() == (SEND, "", "")


@pytest.mark.parametrize("client", [None, OwnClient()], ids=["sender", "client"])
def test_labelled_ci_without_a_terminal_does_not_wait_for_the_notice(
    client: Any, machine: Machine
) -> None:
    """A container of CI is always new: the notice would never have been shown there."""
    machine.environ["CI"] = "true"
    machine.options.update(ci="label", client=client)
    machine.notice.unlink()
    machine.at_terminal = False
    assert machine.decide() == (CLIENT if client else SEND, "", "")
    machine.options["consent"] = "opt-in"
    assert machine.decide() == off("not_opted_in")
    machine.options["consent"] = "opt-out"
    machine.at_terminal = True
    assert machine.decide() == off("notice_not_shown")
    machine.environ["CI"] = "false"
    machine.at_terminal = False
    assert machine.decide() == off("notice_not_shown")


def test_information_how_to_enable_permits_nothing(machine: Machine) -> None:
    """An application that was opt-in shows its notice before it records."""
    machine.notice.write_bytes(OFFERED)
    assert machine.decide() == off("notice_not_shown")


@pytest.mark.parametrize("notice", [True, "We count commands."])
@pytest.mark.parametrize("content", [b"", b"claimed\n", b"shown", SHOWN * 2])
def test_only_a_notice_that_was_shown_permits_recording(
    notice: Any, content: bytes, machine: Machine
) -> None:
    """A marker that is torn or only claimed does not count."""
    machine.options["notice"] = notice
    machine.notice.write_bytes(content)
    assert machine.decide() == off("notice_not_shown")


def test_application_that_informs_its_users_itself_needs_no_marker(machine: Machine) -> None:
    """`notice=False` states that it does."""
    machine.notice.unlink()
    machine.options["notice"] = False
    assert machine.decide() == (SEND, "", "")


@pytest.mark.parametrize("address", ["", "1", "https://events.example.com"])
def test_only_a_receiver_on_this_machine_is_one(address: str, machine: Machine) -> None:
    """A foreign variable neither sends events elsewhere nor overrides CI."""
    machine.environ.update({"CLICK_TELEMETRY_WATCH": address, "CI": "1"})
    assert machine.decide() == off("ci")


@pytest.mark.parametrize("value", [None, "", "jane", "."])
def test_without_an_absolute_home_nothing_is_sent(value: str | None, machine: Machine) -> None:
    """Nothing is looked up or stored in the current directory."""
    machine.environ.clear()
    if value is not None:
        machine.environ["HOME"] = value
    assert machine.decide() == off("not_storable")
    machine.environ["ACME_TELEMETRY"] = "log"
    assert machine.decide() == (LOG, "", "")


class Untouched:
    """Directories that must not be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked up, although the decision was known")


def untouched() -> Any:
    """Directories, or an application's function, that must not be used."""
    return Untouched()


@pytest.mark.parametrize("opt_out", OPT_OUTS[:5], ids=named)
def test_opt_out_variable_reads_no_file(opt_out: Case, machine: Machine) -> None:
    """Opting out costs nothing."""
    opt_out[1](machine)
    found = decide(acme(), machine.environ, untouched(), None)
    assert (found.mode, found.reason, found.detail) == off(opt_out[0])


def test_host_is_requested_for_a_run_that_may_be_sent_alone(machine: Machine) -> None:
    """A function of the application's is not called in CI, or after an opt-out."""

    def never() -> str:
        raise AssertionError("called")

    machine.options.update(host=never, auth=never)
    for _, change in (CIRCUMSTANCES[1], OPT_OUTS[5], OPT_OUTS[0]):
        change(machine)
        assert machine.decide()[0] == OFF


def test_decision_is_made_from_the_given_environment(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from nothing that the process's own environment has by then."""
    for name, value in {"CI": "true", "DO_NOT_TRACK": "1", **WATCHED}.items():
        monkeypatch.setenv(name, value)
    assert machine.decide() == (SEND, "", "")


@pytest.mark.parametrize("case", [None, *CIRCUMSTANCES[:3], CIRCUMSTANCES[4]], ids=named)
def test_decision_writes_nothing(case: Case | None, home: Home) -> None:
    """A home is the same before and after."""
    machine = Machine(home)
    if case is not None:
        case[1](machine)
    before = home.files()
    machine.decide()
    assert home.files() == before


# Any combination ----------------------------------------------------------------------------------

FALSE = ["", "0", "false", "no", "off"]
TRUE = ["1", "true", "yes", "on"]
CHOICES = {"enabled": '{"enabled": true}', "setting": '{"enabled": false}', "none": "", "bad": "x"}


def documented(environ: dict[str, str], conditions: set[str], saved: str) -> tuple[str, str, str]:
    """The documented rules as a list of sentences; the first true one decides."""

    def value(name: str) -> str | None:
        return environ[name].strip().lower() if name in environ else None

    sentences: list[tuple[bool, tuple[str, str, str]]] = []
    for name in ("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF", "ACME_NO_TELEMETRY"):
        sentences.append((value(name) not in (None, *FALSE), (OFF, "variable", name)))
    telemetry = value("ACME_TELEMETRY")
    known = telemetry in (None, "log", *TRUE)
    sentences += [
        (not known, (OFF, "variable", "ACME_TELEMETRY")),
        (saved == "setting", off("setting")),
        (saved == "bad", off("unreadable_setting")),
        ("other_user" in conditions, off("other_user")),
        (telemetry == "log", (LOG, "", "")),
        (CLIENT in conditions, (CLIENT, "", "")),
        (WATCH in conditions, (WATCH, "", "")),
        ("test_run" in conditions, off("test_run")),
        ("ci" in conditions, off("ci")),
        ("no_destination" in conditions and "own client" not in conditions, off("no_destination")),
        ("not_storable" in conditions, off("not_storable")),
        ("not_opted_in" in conditions and saved != "enabled", off("not_opted_in")),
        ("notice_not_shown" in conditions and saved != "enabled", off("notice_not_shown")),
        ("not_sampled" in conditions, off("not_sampled")),
        ("own client" in conditions, (CLIENT, "", "")),
        (True, (SEND, "", "")),
    ]
    return next(decision for applies, decision in sentences if applies)


OWN: Case = ("own client", lambda machine: machine.options.setdefault("client", OwnClient()))
CHANGES = dict([*OPT_OUTS[-1:], *OVERRIDES[1:], *CIRCUMSTANCES, OWN])
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            *("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF", "ACME_NO_TELEMETRY"),
            "ACME_TELEMETRY",
        ),
        st.sampled_from([*FALSE, *TRUE, "log", " LOG ", "2", "x"]),
    ),
)


@pytest.mark.extended
@posix
@given(ENVIRONMENTS, st.sets(st.sampled_from(sorted(CHANGES))), st.sampled_from(sorted(CHOICES)))
def test_every_decision_is_the_documented_one(
    environ: dict[str, str], conditions: set[str], saved: str
) -> None:
    """Whatever comes together, the first rule that applies decides."""
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(Home(Path(directory) / "home"))
        machine.environ.update(environ)
        if CHOICES[saved]:
            machine.save(CHOICES[saved])
        for name in sorted(conditions):  # a test double before any other client
            CHANGES[name](machine)
        assert machine.decide() == documented(environ, conditions, saved)


@given(st.dictionaries(st.text(max_size=20), st.text(st.characters(exclude_categories=()))))
def test_no_environment_raises(environ: dict[str, str]) -> None:
    """Whatever is in it, my command runs."""
    environ["ACME_TELEMETRY"] = next(iter(environ.values()), "")
    environ.pop("HOME", None)
    assert decide(acme(), environ, None, None).mode in (OFF, LOG)


# Variables ----------------------------------------------------------------------------------------


def spellings(words: list[str]) -> list[str]:
    """Words in capitals, with blanks around them, and so on."""
    return [
        variant
        for word in words
        for variant in (word, word.upper(), word.title(), f"  {word}\t", f"{word}\n")
    ]


NO_VARIABLES = ("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF", "ACME_NO_TELEMETRY")


@pytest.mark.parametrize("name", NO_VARIABLES)
@pytest.mark.parametrize("value", spellings(FALSE))
def test_opt_out_variable_with_an_off_value_opts_out_of_nothing(name: str, value: str) -> None:
    """`DO_NOT_TRACK=0` and an empty one mean it (consoledonottrack.com)."""
    assert opt_out_variable({name: value}, "ACME") is None


@pytest.mark.parametrize("name", NO_VARIABLES)
@pytest.mark.parametrize(
    "value", [*spellings(TRUE), "2", "-1", "00", "nope", "falsch", "\x00", "\u217cog"]
)
def test_opt_out_variable_with_any_other_value_opts_out(name: str, value: str) -> None:
    """Whatever was meant by it."""
    assert opt_out_variable({name: value}, "ACME") == name


@pytest.mark.parametrize("value", spellings([*TRUE, "log"]))
def test_telemetry_variable_with_an_on_value_or_log_opts_out_of_nothing(value: str) -> None:
    """`ACME_TELEMETRY=1` neither opts out nor consents; `log` only shows."""
    assert opt_out_variable({"ACME_TELEMETRY": value}, "ACME") is None
    assert opt_out_variable({}, "ACME") is None


@pytest.mark.parametrize(
    "value",
    [*spellings(FALSE), "2", "logs", "enabled", "disabled", "y", "n", "none", "\x00", "\u217cog"],
)
def test_telemetry_variable_with_any_other_value_opts_out(value: str) -> None:
    """An unknown value is an opt-out, and so is an empty one."""
    assert opt_out_variable({"ACME_TELEMETRY": value}, "ACME") == "ACME_TELEMETRY"


@pytest.mark.parametrize("value", spellings(["log"]))
def test_every_spelling_of_log_is_log_mode(value: str, machine: Machine) -> None:
    """`ACME_TELEMETRY=LOG` is log mode."""
    machine.environ["ACME_TELEMETRY"] = value
    assert machine.decide() == (LOG, "", "")


@pytest.mark.parametrize(
    "environ",
    [
        {"OTHER_NO_TELEMETRY": "1"},
        {"NO_TELEMETRY": "1"},
        {"acme_no_telemetry": "1"},
        {"ACME_CLI_NO_TELEMETRY": "1"},
        {"OTHER_TELEMETRY": "0"},
        {"TELEMETRY": "0"},
    ],
)
def test_variable_of_another_application_opts_out_of_nothing(
    environ: dict[str, str], machine: Machine
) -> None:
    """Each application has its own name in its variables."""
    machine.environ.update(environ)
    assert machine.decide() == (SEND, "", "")


# Conditions ---------------------------------------------------------------------------------------


class TestOtherUser:
    """Whether the process acts as another user."""

    @pytest.mark.parametrize("value", [None, "", "/nowhere/at/all"])
    def test_missing_home_is_no_other_users(self, value: str | None) -> None:
        """Whether anything can be stored there is another question."""
        assert is_other_user({} if value is None else {"HOME": value}) is False

    def test_own_home_is_no_other_users(self, home: Home) -> None:
        """The ordinary case."""
        assert is_other_user({"HOME": str(home.path)}) is False

    @no_root
    def test_roots_home_is_another_users(self) -> None:
        """Nothing is stored in it."""
        assert is_other_user({"HOME": "/"}) is True

    @root
    def test_home_of_the_user_who_called_sudo_is_another_users(self, home: Home) -> None:
        """`sudo -E acme` would leave files in my home that I cannot remove."""
        os.chown(home.path, OTHER_USER, OTHER_USER)
        assert is_other_user({"HOME": str(home.path)}) is True

    @root
    @pytest.mark.parametrize("below", ["", "deeper/still"])
    def test_state_directory_of_another_user_counts_too(self, home: Home, below: str) -> None:
        """Through `su` my XDG_STATE_HOME is root's: the nearest directory that exists decides."""
        state = home.path / "state"
        state.mkdir()
        environ = {"HOME": str(home.path), "XDG_STATE_HOME": str(state / below)}
        assert is_other_user(environ) is False
        os.chown(state, OTHER_USER, OTHER_USER)
        assert is_other_user(environ) is True

    @root
    def test_setuid_program_is_another_user(self) -> None:
        """It acts with another user's rights."""
        source = """
import os
from click_telemetry._recorder import is_other_user
before = is_other_user({})
os.seteuid(65534)
print(before, is_other_user({}))
"""
        done = subprocess.run(
            python(source), env=environment(), capture_output=True, text=True, check=True
        )
        assert done.stdout == "False True\n"

    def test_windows_has_no_other_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """There is nothing to compare there."""
        monkeypatch.setattr(os, "name", "nt")
        assert is_other_user({"HOME": "/"}) is False


class TestTestRun:
    """Whether a test suite runs the command."""

    def test_every_run_under_pytest_is_a_test_run(self) -> None:
        """The test suites of applications record nothing."""
        assert is_test_run({}, io.StringIO()) is True

    def test_test_run_is_recognised_without_pytest(self) -> None:
        """A test's child process and Click's and Typer's runners are test runs; a shell is none."""
        source = """
import io, json
from click_telemetry._recorder import is_test_run
def stream(module):
    return type("_NamedTextIOWrapper", (io.TextIOWrapper,), {"__module__": module})(io.BytesIO())
print(json.dumps([
    is_test_run({}, sys.stdout),
    is_test_run({}, None),
    is_test_run({}, stream("acme.testing")),
    is_test_run({"PYTEST_ADDOPTS": "-q", "PYTEST": "1"}, None),
    is_test_run({}, stream("click.testing")),
    is_test_run({}, stream("pip._vendor.click.testing")),
    is_test_run({}, stream("typer.testing")),
    is_test_run({"PYTEST_CURRENT_TEST": "test_a.py::test_b (call)"}, None),
    is_test_run({"PYTEST_VERSION": ""}, None),
]))
"""
        done = subprocess.run(
            python(source), env=environment(), capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout) == [False] * 4 + [True] * 5

    def test_clicks_runner_is_the_one_that_is_recognised(self) -> None:
        """The class of its stdout is still defined in `click.testing`."""
        with CliRunner().isolation():
            assert type(sys.stdout).__module__ == "click.testing"


def directories_in(home: Home) -> Directories:
    """The application's directories."""
    return Directories(str(home.choice().parent), str(home.state()), "/nowhere")


class TestStorable:
    """Whether the state directory can be used; it is not created for that."""

    def test_empty_home_can_be_used(self, home: Home) -> None:
        """Everything below it can be created."""
        assert is_storable(directories_in(home)) is True
        assert home.files() == []

    def test_existing_directory_can_be_used(self, home: Home) -> None:
        """It is private."""
        home.state().mkdir(parents=True, mode=0o700)
        assert is_storable(directories_in(home)) is True

    def test_directory_below_a_file_cannot_be_used(self, home: Home) -> None:
        """Nor does it raise."""
        (home.path / ".local").write_text("a file")
        assert is_storable(directories_in(home)) is False

    @posix
    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
    def test_directory_that_others_may_write_to_cannot_be_used(self, home: Home, mode: int) -> None:
        """Others could plant files in it."""
        home.state().mkdir(parents=True)
        home.state().chmod(mode)
        assert is_storable(directories_in(home)) is False

    @posix
    @pytest.mark.parametrize("problem", ["others may write", "link", "file"])
    def test_spool_that_is_not_private_cannot_be_used(
        self, home: Home, tmp_path: Path, problem: str
    ) -> None:
        """Every level below the state directory is checked."""
        spool = home.state() / "spool"
        home.state().mkdir(parents=True, mode=0o700)
        if problem == "link":
            spool.symlink_to(tmp_path)
        elif problem == "file":
            spool.touch()
        else:
            spool.mkdir()
            spool.chmod(0o777)
        assert is_storable(directories_in(home)) is False

    @posix
    def test_linked_directory_cannot_be_used(self, home: Home, tmp_path: Path) -> None:
        """A link's target is not ours."""
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        home.state().parent.mkdir(parents=True)
        home.state().symlink_to(tmp_path / "elsewhere")
        assert is_storable(directories_in(home)) is False

    @root
    def test_another_users_directory_cannot_be_used(self, home: Home) -> None:
        """Not even by root."""
        home.state().mkdir(parents=True, mode=0o700)
        os.chown(home.state(), OTHER_USER, OTHER_USER)
        assert is_storable(directories_in(home)) is False

    @no_root
    def test_read_only_home_cannot_be_used(self, home: Home) -> None:
        """Nothing can be created in it."""
        home.path.chmod(0o500)
        try:
            assert is_storable(directories_in(home)) is False
        finally:
            home.path.chmod(0o700)


@posix
def test_marker_that_is_a_link_does_not_count(tmp_path: Path) -> None:
    """It may have come with another user's dotfiles."""
    (tmp_path / "elsewhere").write_bytes(SHOWN)
    (tmp_path / "notice").symlink_to(tmp_path / "elsewhere")
    assert was_shown(str(tmp_path / "elsewhere")) is True
    assert was_shown(str(tmp_path / "notice")) is False
    assert was_shown(str(tmp_path)) is False


# Words --------------------------------------------------------------------------------------------


def test_names_of_the_modes_never_change() -> None:
    """`watch` and `status` pass them to programs."""
    assert (SEND, LOG, CLIENT, WATCH, OFF) == ("send", "log", "client", "watch", "off")


def test_every_reason_has_a_sentence() -> None:
    """`status` shows each reason in words."""
    reasons = [reason.partition(" ")[0] for reason, _ in OPT_OUTS + CIRCUMSTANCES]
    assert set(REASONS) == {*reasons, "excluded", "flag"}
    assert all(REASONS.values())


def test_every_opt_out_applies_to_what_a_run_starts() -> None:
    """The personal reasons are those of the opt-outs, and the flag."""
    assert set(PERSONAL) == {"flag", *(reason.partition(" ")[0] for reason, _ in OPT_OUTS)}
