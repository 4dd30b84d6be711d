"""`click-telemetry doctor` explains whether a command would send, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._recorder import Destination

from ..harness.processes import APP, Cli, Home
from ..harness.senders import wait_until
from ..harness.server import Reply, Server
from ..harness.setups import ANSWERS, BIN, SETUPS, answer, prepared

if sys.platform != "win32":
    import fcntl

pytestmark = pytest.mark.contract

MakeCli = Callable[..., Cli]

NOTED = """
import atexit, os, click
from typing import Literal
from click_telemetry import Event, exclude, instrumented_group, track

def note(word):
    with open(os.environ["NOTED"], "a") as file:
        file.write(word + " ")

class PlanChanged(Event):
    plan: Literal["free", "pro"]

def token():
    note("asked")
    return None

@instrumented_group(app="acme", version="2.1.0", {options})
@click.group()
@click.pass_context
def cli(ctx):
    note("group")
    ctx.call_on_close(lambda: note("closed"))

@cli.command()
def deploy():
    note("deploy")
    track(PlanChanged(plan="pro"))
    track("Invoice Exported", {{"format": "pdf"}})

@exclude
@cli.command()
def hidden(): note("hidden")

atexit.register(lambda: note("exit"))
cli()
"""


class Doctor:
    """Runs doctor in an empty home, with a temporary directory of its own."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home = home
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.noted = directory / "noted"
        self.directory = directory

    def script(self, source: str = NOTED, options: str = 'write_key="key", notice=False') -> str:
        """An application written for a test."""
        path = self.directory / "acme.py"
        path.write_text(source.replace("{options}", options).replace("{{", "{").replace("}}", "}"))
        return str(path)

    def run(
        self, *args: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; nothing is left behind."""
        before = self.home.digest()
        done = subprocess.run(
            [str(BIN / "click-telemetry"), "doctor", *args],
            env={
                **self.home.environ,
                "TMPDIR": str(self.temporary),
                "NOTED": str(self.noted),
                "COLUMNS": "80",
                **(env or {}),
            },
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home.path,
            check=False,
        )
        assert os.listdir(self.temporary) == []
        assert self.home.digest() == before
        return done

    def json(self, *args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        """The object that `--json` prints."""
        found: dict[str, Any] = json.loads(self.run("--json", *args, env=env).stdout)
        return found

    def notes(self) -> list[str]:
        """What the application noted, in order."""
        return self.noted.read_text().split() if self.noted.exists() else []


@pytest.fixture
def doctor(home: Home, tmp_path: Path) -> Doctor:
    """A doctor of an application in an empty home."""
    return Doctor(home, tmp_path)


FORMS = [(name, form) for name in SETUPS for form in ("txt", "json")]


@pytest.mark.parametrize(("name", "form"), FORMS, ids=["-".join(one) for one in FORMS])
@pytest.mark.sample(0)
def test_a_broken_setup_has_one_answer(name: str, form: str, home: Home) -> None:
    """The whole answer is what I read in `tests/golden/doctor`: verdict, reason, fix, details."""
    try:
        with prepared(name, home) as run:
            assert answer(name, form, run) == (ANSWERS / f"{name}.{form}").read_text()
    except OSError as error:
        pytest.skip(str(error))


@pytest.mark.extended
def test_a_command_ends_before_its_work(doctor: Doctor) -> None:
    """The group's callback runs, contexts are closed, the command's own callback does not run."""
    found = doctor.json("--", sys.executable, doctor.script(), "deploy")
    assert found["would_send"] is True
    assert found["command"] == "acme deploy"
    assert doctor.notes() == ["group", "closed", "exit"]


def test_with_run_it_does_its_work_and_its_events_are_named(doctor: Doctor) -> None:
    """`--run` lists the events, and which of them are tracked by name only."""
    found = doctor.json("--run", "--", sys.executable, doctor.script(), "deploy")
    assert doctor.notes() == ["group", "deploy", "closed", "exit"]
    assert found["events"] == [
        *("Command Invoked", "Plan Changed", "Invoice Exported", "Command Completed"),
    ]
    assert [note["detail"].split(" is ")[0] for note in found["notes"]] == ["Invoice Exported"]


def test_every_reason_is_listed_in_the_order_of_consent(doctor: Doctor) -> None:
    """I fix all of them at once, not one after the other."""
    source = NOTED.replace("@cli.command()\ndef deploy", "@exclude\n@cli.command()\ndef deploy")
    script = doctor.script(source, "")
    env = {
        "DO_NOT_TRACK": "1",
        "NO_ANALYTICS": "1",
        "ACME_TELEMETRY": "0",
        "CI": "1",
        "PYTEST_VERSION": "8",
    }
    doctor.home.choice().parent.mkdir(parents=True)
    doctor.home.choice().write_text('{"enabled": false}')
    done = doctor.run("--json", "--", sys.executable, script, "deploy", "--no-telemetry", env=env)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert [one["reason"] for one in found["reasons"]] == [
        *("flag", "variable", "variable", "variable", "setting", "excluded", "test_run", "ci"),
        *("no_destination", "notice_not_shown"),
    ]
    assert [one["reason"] for one in found["production"]["reasons"]] == [
        *("flag", "excluded", "no_destination"),
    ]
    assert all(one["detail"] and one["fix"] for one in found["reasons"])


@pytest.mark.extended
def test_an_opt_out_applies_under_doctor(doctor: Doctor) -> None:
    """With DO_NOT_TRACK not even the names of events are collected."""
    script = doctor.script()
    done = doctor.run(
        "--run", "--json", "--", sys.executable, script, "deploy", env={"DO_NOT_TRACK": "1"}
    )
    assert json.loads(done.stdout)["events"] == []
    assert (done.returncode, doctor.notes()[1]) == (1, "deploy")


def test_log_mode_hides_no_other_reason_and_prints_no_event(doctor: Doctor) -> None:
    """It overrides circumstances; I fix those too. With `--run` its events are named."""
    script = doctor.script()
    env = {"ACME_TELEMETRY": "log", "CI": "1"}
    done = doctor.run("--run", "--json", "--", sys.executable, script, "deploy", env=env)
    found = json.loads(done.stdout)
    assert [one["reason"] for one in found["reasons"]] == ["ci", "log"]
    assert (found["mode"], done.stderr, done.returncode) == ("log", "", 1)
    assert found["events"][1:3] == ["Plan Changed", "Invoice Exported"]


@pytest.mark.extended
def test_a_queue_that_cannot_be_used_is_a_reason(doctor: Doctor) -> None:
    """The directory of the destination is checked as those above it are."""
    spool = doctor.home.state() / "spool" / Destination("https://api.segment.io", "key").digest
    spool.parent.mkdir(parents=True)
    spool.parent.chmod(0o700)
    spool.parent.parent.chmod(0o700)
    spool.mkdir()
    spool.chmod(0o777)
    (reason,) = doctor.json("--", sys.executable, doctor.script(), "deploy")["reasons"]
    assert reason["reason"] == "not_storable"
    assert spool.name in reason["detail"]


@pytest.mark.extended
def test_a_host_function_without_an_answer_is_not_taken_for_a_missing_key(doctor: Doctor) -> None:
    """The reason names the function that failed."""
    script = doctor.script(options='write_key="key", notice=False, host=lambda: 1 / 0')
    (reason,) = doctor.json("--", sys.executable, script, "deploy")["reasons"]
    assert reason["detail"] == "the function of host= failed, or returned no https origin"


@pytest.mark.extended
def test_the_queue_of_another_destination_is_no_reason(doctor: Doctor) -> None:
    """A lock that is damaged, and a key that was rejected, concern their own queue."""
    spools = doctor.home.state() / "spool"
    (spools / "0123456789abcdef" / "lock").mkdir(parents=True)
    for directory in (spools.parent, spools, *spools.iterdir()):
        directory.chmod(0o700)
    assert doctor.json("--", sys.executable, doctor.script(), "deploy")["reasons"] == []
    (own,) = spools.iterdir()
    own.rename(spools / Destination("https://api.segment.io", "key").digest)
    found = doctor.json("--", sys.executable, doctor.script(), "deploy")
    assert [one["reason"] for one in found["reasons"]] == ["no_locks"]
    next(spools.glob("*/lock")).rmdir()


@pytest.mark.extended
def test_the_applications_functions_are_called_once(doctor: Doctor) -> None:
    """A token is asked for as often as in an ordinary run."""
    options = 'auth=token, host="https://events.example.com", notice=False'
    found = doctor.json("--", sys.executable, doctor.script(options=options), "deploy")
    assert [one["reason"] for one in found["reasons"]] == ["no_destination"]
    assert doctor.notes().count("asked") == 1


@pytest.mark.extended
def test_a_rejected_key_is_a_reason_until_it_is_accepted(
    doctor: Doctor, server: Server, make_cli: MakeCli
) -> None:
    """The host answered 401 to my application's sender: doctor shows that, here and everywhere."""
    server.reply = Reply(401)
    cli = make_cli(APP)
    env = {"ACME_TELEMETRY_HOST": server.url}
    assert cli.run("deploy", env=env).returncode == 0
    wait_until(lambda: any(doctor.home.state().glob("spool/*/not-before")))
    found = doctor.json("--connect", "--", *cli.command("deploy"), env=env)
    (reason,) = found["reasons"]
    assert (reason["reason"], found["delivery"]["last_error"]) == ("delivery_failed", "http_401")
    assert found["production"]["would_send"] is False
    assert found["queue"]["messages"] == 2
    assert found["destination"]["connection"]["status"] == 501  # of Python's own server, for HEAD


@pytest.mark.extended
@pytest.mark.parametrize(
    ("env", "sends", "verdict"),
    [
        ({}, True, "Here: would pass its events to its own client. In production: would pass"),
        ({"CI": "1"}, False, "Here: would not send. In production: would pass its events to"),
    ],
)
def test_a_client_of_its_own_obeys_circumstances(
    env: dict[str, str], sends: bool, verdict: str, doctor: Doctor
) -> None:
    """There is no host, and what is true of a key is not asked for."""
    source = NOTED.replace(
        "def token",
        "class Own:\n    def record(self, message): note('sent')\n"
        "    def close(self): pass\n\ndef token",
    )
    command = [sys.executable, doctor.script(source, "client=Own(), notice=False"), "deploy"]
    found = doctor.json("--run", "--", *command, env=env)
    assert (found["would_send"], found["destination"]["host"]) == (sends, None)
    assert "sent" not in doctor.notes()
    shown = doctor.run("--", *command, env=env).stdout
    assert shown.startswith(f"\n{verdict}")
    assert "the application's own client" in shown


# What cannot be examined --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("deploy", "--bad"), "usage_error"),
        (("--help",), "no_command"),
        (("-c", "print('plain')"), "not_instrumented"),
        (("no-such-command",), "not_started"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
@pytest.mark.sample(1)
def test_what_cannot_be_examined_is_unknown(
    args: tuple[str, ...], reason: str, doctor: Doctor
) -> None:
    """The exit status is 2, and one sentence gives the cause and the fix."""
    command = [sys.executable, doctor.script(), *args]
    if args[0] == "-c":
        command = [sys.executable, *args]
    elif args[0] == "no-such-command":
        command = [*args]
    done = doctor.run("--json", "--", *command)
    found = json.loads(done.stdout)
    assert (done.returncode, found["would_send"], found["known"]) == (2, False, False)
    assert [one["reason"] for one in found["reasons"]] == [reason]
    assert found["reasons"][0]["fix"]


@pytest.mark.extended
def test_a_group_that_never_runs_is_found(doctor: Doctor) -> None:
    """The decorator made another object than the one that is called: that is detected."""
    source = NOTED.replace("\ncli()\n", "\nclick.Group('main', commands=[deploy])()\n")
    done = doctor.run("--json", "--", sys.executable, doctor.script(source), "deploy")
    assert [one["reason"] for one in json.loads(done.stdout)["reasons"]] == ["not_used"]


@pytest.mark.extended
def test_two_applications_of_one_name_are_found(doctor: Doctor) -> None:
    """They would share a queue and a setting."""
    other = 'other = instrumented_group(app="acme", write_key="two")(click.Group("two"))'
    source = NOTED.replace("\ncli()\n", f"\n{other}\ncli()\n")
    found = doctor.json("--", sys.executable, doctor.script(source), "deploy")
    assert [one["note"] for one in found["notes"]] == ["same_name"]


@pytest.mark.extended
def test_a_nested_group_under_another_name_is_no_second_application(doctor: Doctor) -> None:
    """One note has the fix, whatever name the group was added by."""
    group = 'other = instrumented_group(app="acme")(click.Group("two"))'
    source = NOTED.replace("\ncli()\n", f"\n{group}\ncli.add_command(other, 'more')\ncli()\n")
    found = doctor.json("--", sys.executable, doctor.script(source), "deploy")
    assert [one["note"] for one in found["notes"]] == ["nested_group"]


@pytest.mark.extended
def test_an_application_with_another_version_is_unknown(doctor: Doctor) -> None:
    """A tool of another environment explains that, and does not guess."""
    other = "import click_telemetry; click_telemetry.__version__ = '0.9.0'"
    command = ("--", sys.executable, doctor.script(f"{other}\n{NOTED}"), "deploy")
    done = doctor.run(*command)
    assert done.returncode == 2
    assert "it has click_telemetry 0.9.0, and" in " ".join(done.stdout.split())
    assert "Run the click-telemetry that is installed with the application." in done.stdout


@pytest.mark.extended
def test_a_command_that_does_not_recognise_the_doctor_is_unknown(doctor: Doctor) -> None:
    """As another user it trusts no directory of mine: it does its work, and I read that."""
    line = f"chmod 777 $CLICK_TELEMETRY_WATCH_STATE; {sys.executable} {doctor.script()} deploy"
    done = doctor.run("--json", "--", "sh", "-c", line)
    assert [one["reason"] for one in json.loads(done.stdout)["reasons"]] == ["not_stopped"]
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.extended
def test_a_key_that_a_variable_has_is_noted(doctor: Doctor) -> None:
    """Here it would be sent; the variable may be set on my machine alone."""
    script = doctor.script(options='notice=False, write_key=os.environ["ACME_KEY"]')
    command = ("--", sys.executable, script, "deploy")
    found = doctor.json(*command, env={"ACME_KEY": "0123456789"})
    (note,) = found["notes"]
    assert (found["would_send"], note["note"]) == (True, "key_from_variable")
    assert "of the variable ACME_KEY:" in note["detail"]
    assert "0123456789" not in json.dumps(found)


@pytest.mark.extended
def test_a_command_whose_attributes_raise_is_left_out(doctor: Doctor) -> None:
    """It may load what is not installed; the command that I examine is another one."""
    lazy = "class Lazy(click.Command): callback = property(lambda self: 1 / 0, lambda *_: None)"
    source = NOTED.replace("\ncli()\n", f"\n{lazy}\ncli.add_command(Lazy('lazy'))\ncli()\n")
    found = doctor.json("--", sys.executable, doctor.script(source), "deploy")
    assert (found["would_send"], found["notes"]) == (True, [])


# Production ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["nothing", "unlocked", "another directory", "writable by others"])
def test_a_variable_alone_never_stops_a_command(case: str, home: Home, make_cli: MakeCli) -> None:
    """What a doctor leaves in an environment has no effect on my command (row 106)."""
    state = home.path.parent / "state"
    state.mkdir(mode=0o700)
    order = state / "doctor"
    named = "/elsewhere" if case == "another directory" else str(state)
    if case != "nothing":
        order.write_text(json.dumps({"directory": named, "run": False}))
    if case == "writable by others":
        state.chmod(0o777)
    cli = make_cli(APP)
    env = {
        "CLICK_TELEMETRY_WATCH": "http://127.0.0.1:9",
        "CLICK_TELEMETRY_WATCH_STATE": str(state),
    }
    if case in ("nothing", "unlocked"):
        ran = cli.run("deploy", env=env)
    else:
        with order.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            ran = cli.run("deploy", env=env)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("deployed\n", "", 0)


def test_only_a_living_doctor_stops_a_command(home: Home, make_cli: MakeCli) -> None:
    """The same file, locked by a living process, does: the test above cannot fail otherwise."""
    state = home.path.parent / "state"
    state.mkdir(mode=0o700)
    (state / "doctor").write_text(json.dumps({"directory": str(state), "run": False}))
    env = {
        "CLICK_TELEMETRY_WATCH": "http://127.0.0.1:9",
        "CLICK_TELEMETRY_WATCH_STATE": str(state),
    }
    with (state / "doctor").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = make_cli(APP).run("deploy", env=env)
    assert (ran.stdout, ran.returncode) == ("", 0)
