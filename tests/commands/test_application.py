"""The switches: complete, in the order in which they are evaluated, and as `decide`.

And why a saved setting cannot be read.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._commands.application import NO_EFFECT, OPTS_IN, OPTS_OUT, setting_problem
from click_telemetry._foreground.consent import REASONS
from click_telemetry._recorder import CLIENT, LOG, OFF, SEND, read_setting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets the XDG variables")

# Switches -----------------------------------------------------------------------------------------

VARIABLES = (
    *("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"),
    *("ACME_NO_TELEMETRY", "ACME_TELEMETRY"),
)
SETTINGS = {
    "none": None,
    "enabled": '{"enabled": true}',
    "disabled": '{"enabled": false}',
    "unreadable": "{",
}
HOST = "https://events.example"

# A process without pytest, which is a condition itself.
PROGRAM = """
import json, os, shutil, sys
from click_telemetry._commands.application import decisive, examine, switches
from click_telemetry._instrument import CommandState
from click_telemetry._foreground.declaration import declare
from click_telemetry._instrument import KEY
from click_telemetry._recorder import Settings, SHOWN
from click_telemetry.testing import RecordingClient
import click

class Client(RecordingClient):
    test_double = False

def settings_of(options, client):
    if client is None:
        return Settings(CommandState("acme", options), options)
    client = RecordingClient() if client == "double" else Client()
    command = click.Command("acme", callback=settings_of)
    declare(command, {"app": "acme", "client": client, **options})
    return command.__dict__[KEY].settings

for line in sys.stdin:
    case = json.loads(line)
    root = case["root"]
    shutil.rmtree(root, ignore_errors=True)
    state = os.path.join(root, "state", "acme", "telemetry")
    os.makedirs(state, 0o700)
    os.makedirs(os.path.join(root, "config", "acme"))
    if case["setting"] is not None:
        with open(os.path.join(root, "config", "acme", "telemetry.json"), "w") as file:
            file.write(case["setting"])
    if case["notice_shown"]:
        with open(os.path.join(state, "notice"), "wb") as file:
            file.write(SHOWN)
    found = examine(
        settings_of(case["options"], case["client"]),
        case["environ"], sys.stdout, flag=case["flag"], group="acme telemetry",
    )
    result = [found.decision.mode, decisive(found.decision), [list(s) for s in switches(found)]]
    print(json.dumps(result), flush=True)
"""


class Examined(NamedTuple):
    """What a process found of a case.

    Attributes:
        mode: of the decision.
        decisive: the key of the switch that decides.
        switches: key, name, value and effect of each.
    """

    mode: str
    decisive: str
    switches: list[list[Any]]

    def switch(self, key: str) -> tuple[str, str]:
        """Value and effect of one switch."""
        ((value, effect),) = [
            (value, effect) for one, _, value, effect in self.switches if one == key
        ]
        return value, effect


class Examiner:
    """Examines cases in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self._process = process
        self._path = path

    def __call__(
        self,
        environ: dict[str, str] | None = None,
        *,
        flag: bool = False,
        setting: str = "none",
        other_user: bool = False,
        test_run: bool = False,
        ci: bool = False,
        label: bool = False,
        write_key: bool = True,
        storable: bool = True,
        opt_in: bool = False,
        notice_shown: bool = True,
        client: str | None = None,
    ) -> Examined:
        """An application in which every condition is favourable but the given ones."""
        root = self._path / "root"
        home = self._path
        if other_user:
            home = self._path / "other"
            home.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(home, 65534, 65534)
            else:
                home = Path("/")
        case = {
            "root": str(root),
            "flag": flag,
            "setting": SETTINGS[setting],
            "notice_shown": notice_shown,
            "client": client,
            "options": {
                "host": HOST,
                **({"write_key": "key"} if write_key else {}),
                **({"consent": "opt-in"} if opt_in else {}),
                **({"ci": "label"} if label else {}),
            },
            "environ": {
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(root / "config"),
                "XDG_STATE_HOME": str(root / "state") if storable else "/dev/null",
                **({"PYTEST_VERSION": "8"} if test_run else {}),
                **({"CI": "true"} if ci else {}),
                **(environ or {}),
            },
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        return Examined(*json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="module")
def examine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examiner]:
    """Examines cases in a process without pytest."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # not a terminal
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    yield Examiner(process, tmp_path_factory.mktemp("switches"))
    process.communicate()


def test_by_default_no_switch_has_an_effect(examine: Examiner) -> None:
    """There are fifteen, and none decides."""
    found = examine()
    assert [(key, value, effect) for key, _, value, effect in found.switches] == [
        ("flag", None, NO_EFFECT),
        *((name, None, NO_EFFECT) for name in VARIABLES),
        ("administrator", "none", NO_EFFECT),
        ("setting", "none", NO_EFFECT),
        ("other_user", "you", NO_EFFECT),
        ("test_run", "none", NO_EFFECT),
        ("ci", "none", NO_EFFECT),
        ("no_destination", HOST, NO_EFFECT),
        ("not_storable", "can be used", NO_EFFECT),
        ("not_opted_in", "not required", NO_EFFECT),
        ("notice_not_shown", "shown", NO_EFFECT),
    ]
    assert (found.mode, found.decisive) == (SEND, "")


def test_every_reason_has_a_switch(examine: Examiner) -> None:
    """`status --why` has a line for whatever decides; an excluded command is not this one."""
    keys = {key for key, *_ in examine().switches}
    declared = {"not_sampled"}  # a switch only where the application samples
    assert set(REASONS) - {"variable", "excluded", "unreadable_setting"} - declared <= keys
    assert examine(setting="unreadable").switch("unreadable_setting") == (
        "cannot be read",
        OPTS_OUT,
    )


@pytest.mark.parametrize("name", VARIABLES[:4])
def test_the_opt_out_variables_have_one_grammar(name: str, examine: Examiner) -> None:
    """Set, and not one of empty, 0, false, no, off: that opts out."""
    for values, effect, mode in (
        (("1", "true", "TRUE", "yes", "on", "2", "anything", " 1 ", "-"), OPTS_OUT, OFF),
        (("", "0", "false", "False", "no", "NO", "off", " off "), NO_EFFECT, SEND),
    ):
        for value in values:
            found = examine({name: value})
            assert found.switch(name) == (value, effect)
            assert (found.mode, found.decisive) == (mode, name if mode == OFF else "")


@pytest.mark.parametrize(
    ("values", "effect", "mode"),
    [
        (("1", "true", "True", "yes", "on", " ON "), NO_EFFECT, SEND),
        (("log", "LOG", " log "), LOG, LOG),
        (("", "0", "false", "no", "off", "2", "logs", "disabled", " "), OPTS_OUT, OFF),
    ],
)
def test_an_unknown_value_of_the_application_s_own_variable_opts_out(
    values: tuple[str, ...], effect: str, mode: str, examine: Examiner
) -> None:
    """1, true, yes, on have no effect; log prints; any other value opts out, the empty one too."""
    for value in values:
        found = examine({"ACME_TELEMETRY": value})
        assert found.switch("ACME_TELEMETRY") == (value, effect)
        assert found.mode == mode


@pytest.mark.parametrize(
    ("conditions", "key", "value"),
    [
        ({"flag": True}, "flag", "given"),
        ({"setting": "disabled"}, "setting", "disabled"),
        ({"setting": "unreadable"}, "unreadable_setting", "cannot be read"),
        ({"other_user": True}, "other_user", "HOME or XDG_STATE_HOME belongs to another user"),
        ({"test_run": True}, "test_run", "PYTEST_VERSION"),
        ({"ci": True}, "ci", "CI"),
        ({"write_key": False}, "no_destination", "none: no write key"),
        ({"storable": False}, "not_storable", "cannot be used"),
        ({"opt_in": True}, "not_opted_in", "required, not enabled"),
        ({"notice_shown": False}, "notice_not_shown", "not shown yet"),
    ],
)
def test_each_condition_opts_out_with_its_own_reason(
    conditions: dict[str, Any], key: str, value: str, examine: Examiner
) -> None:
    """It is the one that decides if no other applies."""
    found = examine(**conditions)
    assert found.switch(key) == (value, OPTS_OUT)
    assert found.decisive == key


@pytest.mark.parametrize(
    ("conditions", "mode"),
    [({"environ": {"ACME_TELEMETRY": "log"}}, LOG), ({"client": "double"}, CLIENT)],
    ids=["log mode", "test double"],
)
def test_what_is_overridden_is_not_shown_as_off(
    conditions: dict[str, Any], mode: str, examine: Examiner
) -> None:
    """No "off" stands below "on": what would count otherwise is shown, without an effect."""
    found = examine(**conditions, test_run=True, ci=True, write_key=False, notice_shown=False)
    assert found.mode == mode
    assert found.switch("notice_not_shown") == ("not shown yet", NO_EFFECT)
    assert [effect for *_, effect in found.switches if effect == OPTS_OUT] == []


def test_client_of_the_application_needs_no_write_key(examine: Examiner) -> None:
    """It is the destination; the notice applies to it as to any other."""
    found = examine(client="own", write_key=False)
    assert (found.mode, found.decisive) == (CLIENT, "")
    assert found.switch("no_destination") == ("the application's own client", NO_EFFECT)
    found = examine(client="own", write_key=False, notice_shown=False)
    assert (found.mode, found.decisive) == (OFF, "notice_not_shown")


def test_labelled_ci_needs_no_notice(examine: Examiner) -> None:
    """This process has no terminal."""
    found = examine(ci=True, label=True, notice_shown=False)
    assert found.mode == SEND
    assert found.switch("notice_not_shown") == ("not required: CI without a terminal", NO_EFFECT)


def test_opt_in_is_one_condition_and_not_two(examine: Examiner) -> None:
    """Whoever enables it needs no notice, so that a missing one is not shown as off."""
    found = examine(opt_in=True, notice_shown=False)
    assert found.decisive == "not_opted_in"
    assert found.switch("notice_not_shown") == ("not required: opt-in", NO_EFFECT)


def test_enabling_replaces_the_notice_and_the_opt_in(examine: Examiner) -> None:
    """A saved setting that enables telemetry is enough."""
    found = examine(setting="enabled", opt_in=True, notice_shown=False)
    assert found.switch("setting") == ("enabled", OPTS_IN)
    assert found.switch("not_opted_in") == ("required, enabled", NO_EFFECT)
    assert found.switch("notice_not_shown") == ("not required: enabled", NO_EFFECT)
    assert found.mode == SEND


def test_the_ci_service_is_named(examine: Examiner) -> None:
    """The variables that identify it are listed."""
    assert examine({"GITHUB_ACTIONS": "true"}, ci=True).switch("ci") == (
        "CI, GITHUB_ACTIONS",
        OPTS_OUT,
    )
    assert examine(ci=True, label=True).switch("ci") == ("CI (recorded, with a label)", NO_EFFECT)


BOOLEANS = (
    *("flag", "other_user", "test_run", "ci", "label", "write_key", "storable", "opt_in"),
    "notice_shown",
)


@pytest.mark.extended
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.fixed_dictionaries(
        {}, optional={n: st.sampled_from(["", "0", "1", "off", "log", "x"]) for n in VARIABLES}
    ),
    setting=st.sampled_from([*SETTINGS]),
    conditions=st.fixed_dictionaries(
        {"client": st.sampled_from([None, "own", "double"])},
        optional={name: st.booleans() for name in BOOLEANS},
    ),
)
def test_the_first_switch_that_is_off_decides(
    values: dict[str, str], setting: str, conditions: dict[str, Any], examine: Examiner
) -> None:
    """In every combination the list and the decision agree."""
    found = examine(values, setting=setting, **conditions)
    off = [key for key, _, _, effect in found.switches if effect == OPTS_OUT]
    if found.mode == OFF:
        assert off[0] == found.decisive
    else:
        assert off == []


def test_every_pair_of_switches_keeps_the_order(examine: Examiner) -> None:
    """Of two that opt out, the earlier one is the reason that is shown."""
    cases: list[tuple[str, dict[str, Any]]] = [
        ("flag", {"flag": True}),
        *((name, {"environ": {name: "1"}}) for name in VARIABLES[:4]),
        ("ACME_TELEMETRY", {"environ": {"ACME_TELEMETRY": "0"}}),
        ("setting", {"setting": "disabled"}),
        ("other_user", {"other_user": True}),
        ("test_run", {"test_run": True}),
        ("ci", {"ci": True}),
        ("no_destination", {"write_key": False}),
        ("not_storable", {"storable": False}),
        ("not_opted_in", {"opt_in": True}),
        ("notice_not_shown", {"notice_shown": False}),
    ]  # fmt: skip
    for (first, one), (_, other) in itertools.combinations(cases, 2):
        environ = {**one.get("environ", {}), **other.get("environ", {})}
        assert examine(**{**one, **other, "environ": environ}).decisive == first


# Why the saved setting cannot be read -------------------------------------------------------------

CONTENTS = {
    b"": "is empty",
    b" \n": "is empty",
    b"{": "is not JSON (line 1, column 2)",
    b'{"enabled": tru': "is not JSON (line 1, column 13)",
    b"enabled = false": "is not JSON (line 1, column 1)",
    b'{"enabled": true}}': "is not JSON (line 1, column 18)",
    b'\xef\xbb\xbf{"enabled": true}': "is not JSON (line 1, column 1)",
    b'\xff\xfe{"enabled": true}': "is not UTF-8 text",
    b"[" * 20_000: (
        "is not readable JSON"
        if sys.version_info < (3, 14)  # from then on json nests as deep as the stack allows
        else "is not JSON (line 1, column 20001)"
    ),
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
def test_a_setting_that_is_not_a_regular_file_of_the_user_is_explained(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    """Reading it neither blocks nor takes long."""
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
        (tmp_path / "file" / "telemetry.json", "is below a file that is not a directory"),
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
).map(lambda value: json.dumps(value).encode())


@pytest.mark.extended
@given(content=st.binary(max_size=40) | JSON)
def test_exactly_what_cannot_be_read_has_a_problem(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The explanation and the decision never disagree, whatever the file holds."""
    path = tmp_path_factory.mktemp("setting") / "telemetry.json"
    path.write_bytes(content)
    assert bool(setting_problem(str(path))) == (read_setting(str(path)) == "unreadable")
