"""`acme telemetry …` in whole processes: what is printed, and what is left on the disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._commands.sender_process import SenderJob, SenderProcess
from click_telemetry._recorder import is_random_id

from ..harness.faults import needs_strace
from ..harness.processes import WITH_COMMANDS, Cli, Home, as_root
from ..harness.senders import is_alive, lock_of, sender_processes, wait_for_end, wait_until
from ..harness.server import Reply, Request, Server
from ..harness.terminal import Terminal, run_in_terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="needs locks and a pseudo-terminal"),
]

OTHER_USER = 65534


@pytest.fixture
def acme(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application with the telemetry commands, sending to the server."""
    made = make_cli(WITH_COMMANDS)
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


@pytest.fixture
def offline(acme: Cli) -> Cli:
    """The same, with a server that does not listen."""
    acme.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    return acme


def status(cli: Cli, *args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    run = cli.run(*args, "telemetry", "status", "--json", env=env)
    assert (run.returncode, run.stderr) == (0, "")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def record(cli: Cli, home: Home, *args: str) -> None:
    """Run a command that is recorded, and wait for the end of its sender."""
    assert cli.run(*(args or ("deploy",))).returncode == 0
    wait_for_end(home)


# Nothing is recorded of them -----------------------------------------------------------------

EVERY = (
    ("status",), ("status", "--why"), ("status", "--json"), ("show",), ("show", "--json"),
    ("enable",), ("disable",), ("purge",), ("reset-id",), ("flush",), ("--help",), (),
)  # fmt: skip


def test_the_telemetry_commands_are_never_recorded(acme: Cli, server: Server, home: Home) -> None:
    """Reading about telemetry, or disabling it, is not recorded."""
    for words in EVERY:
        acme.run("telemetry", *words)
    assert home.files() == [".config", ".config/acme", ".config/acme/telemetry.json"]
    assert server.requests == []


@pytest.mark.extended
def test_status_and_show_change_nothing(offline: Cli, home: Home) -> None:
    """`status` and `show` read; the tree is the same to the byte, with and without anything."""
    for _ in range(2):
        before = home.digest()
        for words in EVERY[:5]:
            assert offline.run("telemetry", *words).returncode == 0
        assert home.digest() == before
        record(offline, home)


# status --------------------------------------------------------------------------------------

KEYS = [
    "app", "mode", "reason", "detail", "reason_text", "switches", "setting", "setting_problem",
    "notice_shown", "anonymous_id", "in_container", "paths", "queue", "delivered", "rejected",
    "dropped", "hosts", "delivery_problem", "destinations",
]  # fmt: skip
DESTINATION_KEYS = [
    "directory", "current", "kind", "host", "identified", "sending", "files", "messages", "oldest",
    "delivered", "delivered_at", "rejected", "dropped", "failures", "failed_at", "last_error",
    "last_error_in_words", "not_before",
]  # fmt: skip


def test_status_shows_what_is_queued_and_why(offline: Cli, home: Home) -> None:
    """The ID, the paths, what is queued since when, the last error and the next attempt."""
    record(offline, home)
    found = status(offline)
    assert list(found) == KEYS
    (destination,) = found["destinations"]
    assert list(destination) == DESTINATION_KEYS
    assert found["mode"] == "send"
    assert found["anonymous_id"] == (home.state() / "id").read_text().strip()
    assert found["paths"] == {"setting": str(home.choice()), "state": str(home.state())}
    assert (found["queue"]["files"], found["queue"]["messages"]) == (1, 2)
    assert found["queue"]["oldest"] == destination["oldest"]
    assert destination["host"] == "http://127.0.0.1:9"
    assert (destination["failures"], destination["last_error"]) == (1, "ConnectionError")
    assert destination["not_before"] > destination["failed_at"]
    assert found["hosts"] == ["http://127.0.0.1:9"]
    assert found["delivery_problem"] == "the server could not be reached"
    text = offline.run("telemetry", "status").stdout
    for part in (
        "Telemetry for acme is on: commands are recorded, and cannot be delivered now.",
        "  Destination    http://127.0.0.1:9\n",
        f"  Anonymous ID   {found['anonymous_id']}\n"
        "                 give it to acme's maintainers to have sent data deleted\n",
        "2 messages in 1 file",
        "could not be reached",
        "not before",
        "~/.local/state/acme/telemetry",
    ):
        assert part in text


def test_status_shows_what_was_delivered(acme: Cli, server: Server, home: Home) -> None:
    """How many, and when the last ones were."""
    acme.run("deploy")
    server.wait_for(2)
    wait_for_end(home)
    found = status(acme)
    assert (found["delivered"], found["queue"]["files"]) == (3, 0)  # and one identify
    assert (found["hosts"], found["delivery_problem"]) == ([server.url], None)
    text = acme.run("telemetry", "status").stdout
    assert "Telemetry for acme is on: commands are recorded and sent.\n" in text
    assert "Delivered      3 messages, the last at" in text


@pytest.mark.extended
def test_status_never_states_that_events_are_sent_while_they_are_not(
    acme: Cli, server: Server, home: Home
) -> None:
    """A rejected key, then a lock that cannot be used, then neither, then no write key."""
    server.reply = Reply(401)
    record(acme, home)
    assert (
        status(acme)["delivery_problem"] == "the server does not accept the application's key (401)"
    )
    assert "recorded and sent" not in acme.run("telemetry", "status").stdout
    server.reply = Reply(200)
    acme.run("telemetry", "flush")
    assert status(acme)["delivery_problem"] is None
    (lock,) = home.state().glob("spool/*/lock")
    lock.unlink()
    lock.symlink_to("/dev/null")
    assert status(acme)["delivery_problem"] == "the spool cannot be locked"
    text = acme.run("telemetry", "status").stdout
    assert "recorded and sent" not in text
    assert "Last error     the spool cannot be locked\n" in text
    acme.script.write_text(acme.script.read_text().replace('write_key="key"', "write_key=None"))
    found = status(acme)
    assert (found["reason"], found["hosts"], found["delivery_problem"]) == (
        "no_destination",
        [],
        None,
    )
    assert "  Destination    none\n" in acme.run("telemetry", "status").stdout


def test_status_names_a_destination_that_is_not_segment_once(acme: Cli, home: Home) -> None:
    """Its kind, and where it is."""
    source = acme.script.read_text()
    path = home.path / "events.jsonl"
    head = "from click_telemetry.destinations import File\n"
    changed = source.replace('write_key="key"', f"destination=File({str(path)!r})")
    assert changed != source
    acme.script.write_text(head + changed)
    acme.run("deploy")
    lines = acme.run("telemetry", "status").stdout.splitlines()
    (line,) = [line for line in lines if "Destination" in line]
    assert line.startswith("  Destination    file, file:///")


def test_status_shows_what_was_rejected(acme: Cli, server: Server, home: Home) -> None:
    """Messages that the server rejects are counted, with a description of its response."""
    server.reply = Reply(400)
    acme.run("deploy")
    wait_until(lambda: not home.spooled())
    wait_for_end(home)
    found = status(acme)
    assert found["rejected"] == 3
    assert (
        found["destinations"][0]["last_error_in_words"] == "the server rejected the request (400)"
    )
    assert "Rejected       3 messages" in acme.run("telemetry", "status").stdout


def test_status_why_lists_every_switch_and_the_one_that_decides(acme: Cli) -> None:
    """In their order, each with its value; one of them decides."""
    run = acme.run("telemetry", "status", "--why", env={"NO_ANALYTICS": "1", "CI": "true"})
    names = [line[2:23].strip() for line in run.stdout.splitlines() if line.startswith("  ")]
    switches = names[names.index("--no-telemetry") :]
    assert switches == [
        "--no-telemetry", "DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF",
        "ACME_NO_TELEMETRY", "ACME_TELEMETRY", "administrator", "saved setting", "user", "test run",
        "CI",
        "destination", "state directory", "opt-in", "notice",
    ]  # fmt: skip
    (decides,) = [line for line in run.stdout.splitlines() if "decides" in line and "<-" in line]
    assert decides.split() == ["NO_ANALYTICS", "1", "off", "<-", "decides"]
    assert ["CI", "CI", "off"] in [line.split() for line in run.stdout.splitlines()]


def test_status_sees_the_flag_of_its_own_line(acme: Cli) -> None:
    """It shows what is decided about a command with this flag."""
    for args in (["--no-telemetry"], []):
        found = status(acme, *args)
        assert found["reason"] == ("flag" if args else None)


@pytest.mark.extended
def test_status_works_where_home_is_odd(acme: Cli, home: Home) -> None:
    """No HOME, an empty one, a relative one, a file, one that is not there."""
    (home.path / "file").write_text("")
    for odd in ("", "relative", str(home.path / "file"), str(home.path / "missing")):
        run = acme.run("telemetry", "status", "--json", env={"HOME": odd})
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout)
        absolute = os.path.isabs(odd)
        assert (found["paths"]["setting"] is None) is not absolute
        if odd == str(home.path / "file"):
            assert found["reason"] == "unreadable_setting"
        elif odd != str(home.path / "missing"):
            assert found["reason"] == "not_storable"
        assert acme.run("telemetry", "status", env={"HOME": odd}).returncode == 0
        assert acme.run("telemetry", "show", env={"HOME": odd}).returncode == 0


@pytest.mark.extended
def test_status_works_on_files_that_are_broken(offline: Cli, home: Home) -> None:
    """Whatever is in our directory, status shows what it can, and nothing is removed."""
    record(offline, home)
    (spool,) = home.state().glob("spool/*")
    (spool / "state.json").write_text("[1, {")
    (spool / f"{1:020d}-{1:032x}-0001.facts").write_bytes(b"\0\0\xff\n{]\n")
    os.mkfifo(spool / f"{2:020d}-{2:032x}-0001.facts")
    (home.state() / "id").write_text("not an ID")
    (home.state() / "spool" / "file").write_text("")
    before = home.files()
    found = status(offline)
    assert found["anonymous_id"] is None
    assert (found["queue"]["files"], found["queue"]["messages"]) == (2, 2)
    assert offline.run("telemetry", "status", "--why").returncode == 0
    assert len(offline.run("telemetry", "show", "--json").stdout.splitlines()) == 2  # no identify
    assert home.files() == before


def test_a_setting_that_cannot_be_read_is_explained(acme: Cli, home: Home) -> None:
    """Telemetry is off, and `status` shows what is wrong with the file."""
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text('{"enabled": "false"}')
    found = status(acme)
    assert (found["reason"], found["setting"]) == ("unreadable_setting", "unreadable")
    shown = acme.run("telemetry", "status").stdout
    assert 'it has a value for "enabled" that is neither true nor false' in shown
    assert "acme.py telemetry enable" in shown


# show ----------------------------------------------------------------------------------------


def test_show_prints_exactly_the_messages_that_are_sent_later(
    offline: Cli, server: Server, home: Home
) -> None:
    """Byte for byte what arrives later, in the same order."""
    record(offline, home, "deploy", "--dry-run")
    record(offline, home)
    shown = offline.run("telemetry", "show", "--json")
    messages = [json.loads(line) for line in shown.stdout.splitlines()]
    (spool,) = home.state().glob("spool/*")
    anonymous_id = status(offline)["anonymous_id"]
    deliver(SenderJob(str(spool), server.url, "key", str(home.choice()), anonymous_id))
    arrived = [message for request in server.accepted for message in request.batch]
    assert [m["type"] for m in arrived] == ["identify", *["track"] * 4]
    assert messages == arrived
    assert shown.stdout.isascii()


def deliver(job: SenderJob) -> None:
    """Start the library's own sender, and wait for its end."""
    sender = SenderProcess()
    sender.start(job)
    wait_until(lambda: not sender.is_running)
    assert sender.exit_status == 0


def test_show_reports_an_empty_queue(acme: Cli) -> None:
    """A sentence for people, and nothing for scripts."""
    assert acme.run("telemetry", "show").stdout == "The queue of acme is empty.\n"
    assert acme.run("telemetry", "show", "--json").stdout == ""


def test_show_includes_a_command_that_is_still_running(offline: Cli, home: Home) -> None:
    """What it has recorded so far, and no end."""
    running = offline.start("wait")
    try:
        wait_until(lambda: any(path.stat().st_size for path in home.spooled()))
        lines = offline.run("telemetry", "show", "--json").stdout.splitlines()
        events = [json.loads(line).get("event") for line in lines]
        assert [event for event in events if event] == ["Command Invoked"]
        assert status(offline)["queue"]["files"] == 1
    finally:
        running.kill()
        running.communicate()


# enable, disable -----------------------------------------------------------------------------


def test_enable_is_saved_and_makes_the_notice_unnecessary(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """With `consent="opt-in"` nothing is recorded before, and no notice is needed after."""
    asking = make_cli(WITH_COMMANDS.replace("notice=False", 'consent="opt-in"'))
    asking.environ["ACME_TELEMETRY_HOST"] = server.url
    asking.run("deploy")
    assert home.files() == []
    run = asking.run("telemetry", "enable")
    assert run.stdout == (
        "Telemetry for acme is now enabled (saved in ~/.config/acme/telemetry.json).\n"
    )
    assert json.loads(home.choice().read_text()) == {"enabled": True}
    asking.run("deploy")
    assert len(server.wait_for(2)) == 2


def test_enable_shows_another_opt_out_that_still_applies(acme: Cli) -> None:
    """No variable is overridden, and its name is shown."""
    run = acme.run("telemetry", "enable", env={"DO_NOT_TRACK": "1"})
    assert run.returncode == 0
    assert run.stdout.splitlines()[1] == ("Nothing is recorded for now: DO_NOT_TRACK opts out.")


def test_disable_keeps_what_else_the_file_contains(acme: Cli, home: Home) -> None:
    """The file may be mine in other respects."""
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text('{"theme": "dark", "enabled": true}')
    acme.run("telemetry", "disable")
    assert json.loads(home.choice().read_text()) == {"theme": "dark", "enabled": False}


@pytest.mark.parametrize("command", ["enable", "disable"])
@pytest.mark.parametrize("broken", ["directory", "fifo", "in the way"])
def test_a_setting_that_cannot_be_saved_is_an_error_that_names_the_fix(
    acme: Cli, home: Home, command: str, broken: str
) -> None:
    """Exit code 1, the file's name on stderr, and nothing of mine destroyed.

    An opt-out that cannot be saved still deletes what is stored.
    """
    home.choice().parent.parent.mkdir(parents=True)
    if broken == "in the way":
        home.choice().parent.write_text("mine")
    else:
        home.choice().parent.mkdir()
        os.mkfifo(home.choice()) if broken == "fifo" else home.choice().mkdir()
    before = home.digest() if broken != "fifo" else ""
    run = acme.run("telemetry", command)
    deleted = "Nothing was stored.\n" if command == "disable" else ""
    assert (run.returncode, run.stdout) == (1, deleted)
    assert "~/.config/acme/telemetry.json" in run.stderr
    assert "Repair or remove it, then try again." in run.stderr
    assert broken == "fifo" or home.digest() == before


def test_disable_and_purge_leave_nothing_but_the_setting(offline: Cli, home: Home) -> None:
    """The home is as before the first run, but for the setting, whatever happened in between."""
    (home.path / ".local/state").mkdir(parents=True)
    (home.path / ".config").mkdir()
    untouched = home.digest()
    for _ in range(3):
        record(offline, home)
    assert home.digest() != untouched
    run = offline.run("telemetry", "purge")
    assert run.stdout == "Deleted: the anonymous ID and 6 queued messages.\n"
    assert home.digest() == untouched
    record(offline, home)
    offline.run("telemetry", "disable")
    assert home.choice().read_text() == '{"enabled": false}\n'
    home.choice().unlink()
    home.choice().parent.rmdir()
    assert home.digest() == untouched


def test_an_administrator_disables_an_application_for_all_users_of_a_machine(
    offline: Cli, home: Home, tmp_path: Path
) -> None:
    """Nothing is recorded, `status --why` shows the file, and `enable` changes nothing."""
    setting = tmp_path / "xdg" / "acme" / "telemetry.json"
    setting.parent.mkdir(parents=True)
    offline.environ["XDG_CONFIG_DIRS"] = str(tmp_path / "xdg")
    record(offline, home)
    queued = home.spooled()
    setting.write_text('{"enabled": false}\n')
    offline.run("deploy")
    assert home.spooled() == queued
    enabled = offline.run("telemetry", "enable").stdout
    assert "the administrator of this machine has disabled telemetry" in enabled
    found = json.loads(offline.run("telemetry", "status", "--json").stdout)
    assert (found["mode"], found["reason"]) == ("off", "administrator")
    (switch,) = [one for one in found["switches"] if one["key"] == "administrator"]
    assert (switch["value"], switch["effect"]) == (str(setting), "off")
    offline.run("deploy")
    assert home.spooled() == queued
    setting.unlink()
    offline.run("deploy")
    assert len(home.spooled()) == len(queued) + 1


def test_deleting_the_directory_is_enough(offline: Cli, home: Home) -> None:
    """No command is needed, and the application continues."""
    record(offline, home)
    first = (home.state() / "id").read_text()
    subprocess.run(["rm", "-r", str(home.state())], check=True)
    found = status(offline)
    assert (found["anonymous_id"], found["queue"]["files"], found["delivered"]) == (None, 0, 0)
    record(offline, home)
    assert (home.state() / "id").read_text() != first


def test_purge_without_data_reports_it(acme: Cli, home: Home) -> None:
    """It creates nothing."""
    run = acme.run("telemetry", "purge")
    assert (run.stdout, run.returncode) == ("Nothing was stored.\n", 0)
    assert home.files() == []


def test_purge_does_not_touch_files_of_others(acme: Cli, home: Home, tmp_path: Path) -> None:
    """A directory that is a link, or that others may write to, is reported."""
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    (mine / "id").write_text("precious")
    home.state().parent.mkdir(parents=True)
    home.state().symlink_to(mine)
    run = acme.run("telemetry", "purge")
    assert run.returncode == 1
    assert "Delete the directory ~/.local/state/acme/telemetry yourself." in run.stderr
    assert (mine / "id").read_text() == "precious"


# While senders and commands run -------------------------------------------------------------


@pytest.mark.extended
def test_a_sender_in_the_middle_of_a_request_sends_no_other_after_a_purge(
    acme: Cli, server: Server, home: Home
) -> None:
    """What is purged is not sent, and nothing of it comes back to the disk."""
    requested, may_respond = threading.Event(), threading.Event()

    def respond(request: Request) -> Reply:
        requested.set()
        may_respond.wait(30)
        return Reply(400 if len(request.batch) > 1 else 200)  # it would be split, and sent again

    server.reply = respond
    acme.run("deploy")
    assert requested.wait(30)
    (sender,) = sender_processes(home)
    run = acme.run("telemetry", "purge")
    assert "A sender was running" in run.stdout
    may_respond.set()
    wait_until(lambda: not os.path.exists(f"/proc/{sender}"))
    assert len(server.requests) == 1
    assert home.files() == [".local", ".local/state"]


@pytest.mark.sample(1)
@pytest.mark.usefixtures("default_delay")
@pytest.mark.parametrize("command", ["purge", "disable"])
def test_a_sender_that_sleeps_still_sends_nothing(
    acme: Cli, server: Server, home: Home, command: str
) -> None:
    """It wakes up, finds that its lock was deleted, and ends."""
    acme.run("deploy")
    senders = sender_processes(home)
    assert senders
    acme.run("telemetry", command)
    wait_until(lambda: not any(os.path.exists(f"/proc/{sender}") for sender in senders))
    assert server.requests == []
    kept = {"purge": [], "disable": [".config", ".config/acme", ".config/acme/telemetry.json"]}
    assert home.files() == [*kept[command], ".local", ".local/state"]


@pytest.mark.parametrize("command", ["purge", "disable"])
def test_a_command_that_is_running_records_nothing_more(
    acme: Cli, server: Server, home: Home, command: str
) -> None:
    """Its file is deleted from under it: it notices, and makes no other (link count)."""
    running = acme.start("wait")
    wait_until(lambda: any(path.stat().st_size for path in home.spooled()))
    acme.run("telemetry", command)
    before = home.digest()
    running.send_signal(signal.SIGINT)  # it ends as cancelled, which it would record
    assert "Aborted!" in running.communicate(timeout=60)[1]
    assert home.digest() == before
    assert server.requests == []


@pytest.mark.sample(1)
@pytest.mark.usefixtures("default_delay")
@needs_strace
@pytest.mark.parametrize("at", [1, 3])
def test_a_purge_that_is_killed_has_purged(acme: Cli, server: Server, home: Home, at: int) -> None:
    """All spools are moved at once: no sender sends the rest, and the next purge deletes it."""
    acme.run("deploy")
    senders = sender_processes(home)
    killed = subprocess.run(
        [
            *("strace", "-f", "-o", os.devnull),
            *("-e", f"inject=unlink,unlinkat,rmdir:signal=SIGKILL:when={at}"),
            *acme.command("telemetry", "purge"),
        ],
        env=acme.env(),
        cwd=home.path,
        capture_output=True,
        check=False,
    )
    assert killed.returncode != 0
    assert home.state().exists()
    wait_until(lambda: not any(os.path.exists(f"/proc/{sender}") for sender in senders))
    assert server.requests == []
    assert home.spooled() == []
    acme.run("telemetry", "purge")
    assert home.files() == [".local", ".local/state"]


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_what_is_recorded_after_a_purge_is_delivered(acme: Cli, server: Server, home: Home) -> None:
    """A purge is not an opt-out: the next command is recorded with a new ID."""
    acme.run("deploy")
    acme.run("telemetry", "purge")
    acme.run("deploy", "--dry-run")
    assert [m["properties"]["flags"] for m in server.wait_for(2)] == [["dry_run"], ["dry_run"]]


def test_many_commands_and_purges_at_once_end_clean(offline: Cli, home: Home) -> None:
    """In any order: after the last purge nothing is left, and every command succeeds."""
    running = [
        offline.start(*words) for _ in range(6) for words in (("deploy",), ("telemetry", "purge"))
    ]
    ended = [(one.communicate(timeout=60), one.returncode) for one in running]
    assert [(out, err, code) for (out, err), code in ended[::2]] == [("deployed\n", "", 0)] * 6
    assert [code for _, code in ended] == [0] * 12
    wait_until(lambda: sender_processes(home) == [])
    offline.run("telemetry", "purge")
    assert home.files() == [".local", ".local/state"]


@pytest.mark.extended
def test_a_command_that_decided_just_before_an_opt_out_leaves_nothing(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Its directory is created after `disable`: its own sender deletes it, and sends nothing."""
    slow = WITH_COMMANDS.replace(
        'write_key="key"',
        'write_key="key", properties={"slow": lambda: __import__("time").sleep(3)}',
    )
    cli = make_cli(slow)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    running = cli.start("deploy")
    wait_until(lambda: (home.state() / "id").exists())
    cli.run("telemetry", "disable")
    assert running.communicate(timeout=60) == ("deployed\n", "")
    kept = [".config", ".config/acme", ".config/acme/telemetry.json", ".local", ".local/state"]
    wait_until(lambda: home.files() == kept)
    assert server.requests == []


# The ID --------------------------------------------------------------------------------------


def test_reset_id_gives_a_new_one(offline: Cli, home: Home) -> None:
    """The next command has it; queued messages keep the old one, which is printed."""
    assert "There is no ID" in offline.run("telemetry", "reset-id").stdout
    assert home.files() == []
    record(offline, home)
    old = status(offline)["anonymous_id"]
    run = offline.run("telemetry", "reset-id")
    new = status(offline)["anonymous_id"]
    assert new != old
    assert run.stdout.splitlines()[0] == f"The new ID is {new}."
    record(offline, home)
    lines = offline.run("telemetry", "show", "--json").stdout.splitlines()
    tracks = [m for m in map(json.loads, lines) if m["type"] == "track"]
    assert [m["anonymousId"] for m in tracks] == [old, old, new, new]


def test_two_applications_share_nothing(make_cli: Callable[..., Cli], home: Home) -> None:
    """Each has its own ID, directories and setting: to disable one does not disable the other."""
    one = make_cli(WITH_COMMANDS)
    other = make_cli(WITH_COMMANDS.replace('app="acme"', 'app="umbrella"'), "umbrella.py")
    for cli, app in ((one, "ACME"), (other, "UMBRELLA")):
        cli.environ[f"{app}_TELEMETRY_HOST"] = "http://127.0.0.1:9"
        cli.run("deploy")
    ids = {status(cli)["anonymous_id"] for cli in (one, other)}
    assert len(ids) == 2
    used = [[*identifiers(cli)] for cli in (one, other)]
    assert all(used)
    assert not set(used[0]) & set(used[1])
    one.run("telemetry", "disable")
    assert status(other)["mode"] == "send"
    assert status(other)["queue"]["messages"] == 2


def identifiers(cli: Cli) -> Iterator[str]:
    """Every ID in the queued messages."""
    for line in cli.run("telemetry", "show", "--json").stdout.splitlines():
        message = json.loads(line)
        for value in (*message.values(), *message.get("properties", {}).values()):
            if isinstance(value, str) and is_random_id(value):
                yield value


# flush ---------------------------------------------------------------------------------------


def test_flush_delivers_now_and_prints_how_many(acme: Cli, server: Server, home: Home) -> None:
    """Exit code 0 if every queued message has arrived, although delivery was postponed."""
    server.reply = Reply(500)
    acme.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    server.reply = Reply()
    run = acme.run("telemetry", "flush")
    assert (run.stdout, run.stderr, run.returncode) == ("3 messages delivered.\n", "", 0)
    assert server.events == [
        ("Command Invoked", "acme deploy"),
        ("Command Completed", "acme deploy"),
    ]
    assert home.spooled() == []
    assert acme.run("telemetry", "flush").stdout == "The queue is empty.\n"


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_flush_waits_for_a_sender_that_is_running(acme: Cli, server: Server, home: Home) -> None:
    """Right after a command its sender still sleeps: each message arrives once all the same."""
    acme.run("deploy")
    run = acme.run("telemetry", "flush")
    assert run.returncode == 0
    assert len(server.requests) == 1
    assert home.spooled() == []


def test_flush_that_fails_prints_the_reason_and_exits_with_1(offline: Cli, home: Home) -> None:
    """The queue is kept, and tried again later."""
    record(offline, home)
    run = offline.run("telemetry", "flush")
    assert (run.stdout, run.returncode) == ("0 messages delivered.\n", 1)
    assert run.stderr == "2 messages are still queued: the server could not be reached.\n"
    assert len(home.spooled()) == 1


def test_flush_reports_messages_that_the_server_rejects(
    acme: Cli, server: Server, home: Home
) -> None:
    """Dropped is not delivered: exit code 1."""
    server.reply = Reply(503)
    acme.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    server.reply = Reply(400)
    run = acme.run("telemetry", "flush")
    assert run.returncode == 1
    assert "3 messages dropped: the server rejected them." in run.stderr


def test_flush_reports_what_is_queued_for_another_destination(
    offline: Cli, server: Server, home: Home
) -> None:
    """It has the key of neither another project nor another server."""
    record(offline, home)
    offline.environ["ACME_TELEMETRY_HOST"] = server.url
    run = offline.run("telemetry", "flush")
    assert (run.stdout, run.returncode) == ("0 messages delivered.\n", 1)
    assert (
        "2 messages are still queued for another write key or host than the current one"
        in run.stderr
    )
    assert server.requests == []
    found = status(offline)
    assert [one["current"] for one in found["destinations"]] == [False]
    assert found["queue"]["messages"] == 2
    assert (
        "for another write key or host than the current one"
        in offline.run("telemetry", "show").stdout
    )


def test_flush_and_status_know_whether_a_user_is_signed_in(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Events of a signed-in user are sent with the token alone, and are kept while signed out."""
    auth = f'host="{server.url}", auth=lambda: __import__("os").environ.get("TOKEN"), notice='
    cli = make_cli(WITH_COMMANDS.replace("notice=", auth))
    server.reply = Reply(500)
    cli.run("deploy", env={"TOKEN": "secret"})
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    (destination,) = status(cli)["destinations"]
    assert (destination["identified"], destination["host"]) == (True, server.url)
    assert "Signed in" in cli.run("telemetry", "status").stdout
    server.reply = Reply()
    out = cli.run("telemetry", "flush")
    assert (out.stdout, out.returncode) == ("0 messages delivered.\n", 1)
    assert out.stderr == "2 messages are still queued until you are signed in.\n"
    assert server.accepted == []
    assert cli.run("telemetry", "flush", env={"TOKEN": "secret"}).returncode == 0
    assert [one.headers["Authorization"] for one in server.accepted] == ["Bearer secret"]


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK opts out"),
        ({"ACME_TELEMETRY": "log"}, "acme is in log mode"),
        ({"CI": "1"}, "a CI service runs the command"),
    ],
)
def test_flush_sends_nothing_if_a_run_is_opted_out(
    acme: Cli, server: Server, home: Home, env: dict[str, str], why: str
) -> None:
    """An opt-out of this run applies, and the queue is kept."""
    server.reply = Reply(500)
    acme.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    before = len(server.requests)
    run = acme.run("telemetry", "flush", env=env)
    assert (run.stdout, run.stderr, run.returncode) == ("", f"Error: Nothing was sent: {why}.\n", 1)
    assert len(server.requests) == before
    assert len(home.spooled()) == 1


# On a terminal, in a pipe, without colour ----------------------------------------------------


def test_a_terminal_shows_it_in_80_columns(offline: Cli, home: Home) -> None:
    """No line is cut or folded, and there are colours."""
    record(offline, home)
    for words in (["status", "--why"], ["show"]):
        shown = run_in_terminal(offline, "telemetry", *words)
        assert "\x1b[" in shown
        plain = strip(shown)
        assert max(map(len, plain.splitlines())) <= 80, plain


def test_no_color_means_none(offline: Cli, home: Home) -> None:
    """`NO_COLOR` on a terminal, and every pipe: not one escape (no-color.org)."""
    record(offline, home)
    for words in (["status", "--why"], ["show"], ["--help"]):
        offline.environ["NO_COLOR"] = "1"
        assert not colours(run_in_terminal(offline, "telemetry", *words))
        del offline.environ["NO_COLOR"]
        assert "\x1b" not in offline.run("telemetry", *words).stdout


def test_flush_shows_its_progress_on_a_terminal_alone(
    acme: Cli, server: Server, home: Home
) -> None:
    """A bar while it works, on stderr; a pipe gets the result and no more."""
    server.reply = Reply(500)
    acme.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    server.reply = Reply()
    terminal = Terminal(acme.command("telemetry", "flush"), acme.env(), home.path)
    assert terminal.close() == 0
    assert "Delivering" in terminal.shown
    assert terminal.shown.rstrip().endswith("3 messages delivered.")


def strip(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


def colours(shown: str) -> list[str]:
    return [code for code in re.findall(r"\x1b\[([0-9;]*)m", shown) if re.search(r"[34]\d", code)]


# For another user ----------------------------------------------------------------------------


@as_root
def test_with_the_home_of_another_user_nothing_is_changed(acme: Cli, home: Home) -> None:
    """`sudo -E`: root would leave files that I could not delete."""
    os.chown(home.path, OTHER_USER, OTHER_USER)
    acme.run("deploy")
    for command in ("enable", "disable", "purge", "reset-id", "flush"):
        run = acme.run("telemetry", command)
        assert run.returncode == 1
        assert "Run it as the user who owns HOME" in run.stderr
    assert home.files() == []
    assert status(acme)["reason"] == "other_user"


@as_root
def test_a_setuid_application_changes_nothing(acme: Cli, home: Home) -> None:
    """Its files would belong to another user."""
    for words in (("deploy",), ("telemetry", "enable"), ("telemetry", "purge")):
        as_another(acme, *words)
    assert home.files() == []
    found = as_another(acme, "telemetry", "status", "--json")
    assert json.loads(found.stdout)["reason"] == "other_user"


def as_another(cli: Cli, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it as a setuid program would: started by another user, with root's rights."""
    source = (
        f"import os, sys; os.setresuid({OTHER_USER}, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", source, *cli.command(*words)],
        env=cli.env(),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cli.home.path,
        check=False,
    )


# What it costs -------------------------------------------------------------------------------


def test_adding_the_group_loads_neither_rich_nor_the_sender(acme: Cli, home: Home) -> None:
    """A command of the application pays for one small module."""
    source = f"""
import sys
sys.argv = ["acme", "deploy"]
try:
    exec(compile(open({str(acme.script)!r}).read(), "acme", "exec"), {{"__name__": "__main__"}})
finally:
    print(*sorted(n for n in sys.modules if n.partition(".")[0] in ("rich", "rich_click")
          or n.startswith(("click_telemetry._commands", "click_telemetry._sender"))))
"""
    run = subprocess.run(
        [sys.executable, "-c", source],
        env=acme.env(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split() == [
        "deployed", "click_telemetry._commands", "click_telemetry._commands.group"
    ]  # fmt: skip


def test_status_keeps_no_lock(offline: Cli, home: Home) -> None:
    """A sender can start right afterwards."""
    record(offline, home)
    offline.run("telemetry", "status")
    assert not is_alive(lock_of(home))
