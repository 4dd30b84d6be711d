"""Starting the watched command, or explaining why it cannot be started."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from click_telemetry._tools.child import CannotStart, Signals, run


def start(*command: str) -> int:
    with Signals() as signals:
        return run(command, signals, {"GIVEN": "7"}, stdout_to_stderr=False)


def test_the_childs_own_exit_status_is_given() -> None:
    """A command ends with the code that it chose."""
    assert start(sys.executable, "-c", "raise SystemExit(3)") == 3


def test_a_command_that_a_signal_ended_has_a_shells_status() -> None:
    """Killed by signal N is 128 + N, as in `$?`."""
    assert start("/bin/sh", "-c", "kill -9 $$") == 128 + signal.SIGKILL


def test_the_child_gets_its_variables_and_our_environment() -> None:
    """What we set is added, and nothing is taken away."""
    assert start("/bin/sh", "-c", 'test "$GIVEN" = 7 && test -n "$PATH"') == 0


def test_the_child_has_the_default_signals() -> None:
    """Ctrl-C works in the command as it always does."""
    program = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    assert start(sys.executable, "-c", program) == 0
    assert start("/bin/sh", "-c", "kill -INT $$") == 128 + signal.SIGINT


def test_an_ignored_signal_stays_ignored() -> None:
    """In a shell's background Ctrl-C is ignored, and it stays so for the command."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert start("/bin/sh", "-c", "kill -INT $$") == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_previous_signal_handlers_are_restored() -> None:
    """After the command has ended, our process handles signals as before."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    before = [signal.getsignal(getattr(signal, name)) for name in names]
    start("/bin/sh", "-c", "exit 0")
    assert [signal.getsignal(getattr(signal, name)) for name in names] == before


def test_a_signal_to_the_watcher_reaches_the_command() -> None:
    """SIGTERM is passed on to the command, and the watcher continues."""
    assert (
        start("/bin/sh", "-c", f"kill -TERM {os.getpid()}; exec sleep 30") == 128 + signal.SIGTERM
    )


def test_ctrl_c_during_the_command_does_not_shorten_the_delivery() -> None:
    """The delivery waits as long as without it."""
    with Signals() as signals:
        run(("/bin/sh", "-c", f"kill -INT {os.getpid()}"), signals, {}, stdout_to_stderr=False)
        assert signals.arrived is False
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.arrived is True


def refused(*command: str) -> tuple[int, str]:
    with pytest.raises(CannotStart) as caught:
        start(*command)
    return caught.value.exit_code, caught.value.message


def executable(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o755)
    return str(path)


def test_an_unknown_command_names_the_fix() -> None:
    """A typing error is 127; the message names the spelling, the environment and the path."""
    code, message = refused("no-such-command-anywhere")
    assert code == 127
    assert message == (
        "no-such-command-anywhere was not found: check the spelling, install it into the "
        "active environment, or use its path."
    )


def test_a_command_of_this_environment_that_is_not_on_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the environment activated, the path to write is given."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    neighbour = executable(tmp_path / "some-cli", "#!/bin/sh\n")
    code, message = refused("some-cli")
    assert code == 127
    assert message.endswith(f"or use {neighbour}")


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ("#!/bin/sh\n", 0o644, "make it executable, or name its interpreter"),
        ("#!/no/such/python\n", 0o755, "the interpreter in its first line is missing"),
        ("print()\n", 0o755, "(Exec format error): name its interpreter"),
    ],
)
def test_a_file_that_cannot_be_executed_names_the_fix(
    tmp_path: Path, content: str, mode: int, expected: str
) -> None:
    """A script without its bit, its interpreter or its first line is 126, and is explained."""
    script = Path(executable(tmp_path / "script", content))
    script.chmod(mode)
    code, message = refused(str(script))
    assert code == 126
    assert expected in message


def test_a_directory_cannot_be_executed(tmp_path: Path) -> None:
    """A directory is 126, like in a shell."""
    assert refused(str(tmp_path))[0] == 126


def test_the_name_of_a_command_is_escaped() -> None:
    """A command's name cannot move the cursor in its own error."""
    assert refused("no\x1b[2Jcommand")[1].isprintable()
