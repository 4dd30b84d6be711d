"""An application's own signal handlers and children: nothing of ours stands in their way."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from ..harness.processes import Cli

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and children"),
]

MakeCli = Callable[..., Cli]

EVERY_LINE = """
import signal, sys
import click
from click_telemetry import instrumented_group, track

class Alarm(OSError):
    pass

class Handler:
    def method(self, number, frame):
        raise Alarm

def anything(*args):
    raise Alarm

HANDLERS = {
    "function": lambda number, frame: (_ for _ in ()).throw(Alarm),
    "method": Handler().method,
    "anything": anything,
}
signal.signal(signal.SIGALRM, HANDLERS[sys.argv.pop(1)])

@instrumented_group(app="acme", version="2.1.0", write_key="key", notice=False)
@click.group()
def cli():
    pass

@cli.command()
@click.option("--region")
def deploy(region):
    for number in range(3):
        track("Exported", {"number": number, "format": "pdf"})

def lines_until(stop):
    count = 0
    def local(frame, event, arg):
        nonlocal count
        if event == "line":
            count += 1
            if count == stop:
                signal.raise_signal(signal.SIGALRM)
        return local
    def trace(frame, event, arg):
        return local if "click_telemetry" in frame.f_code.co_filename else None
    raised = False
    sys.settrace(trace)
    try:
        cli.main(["deploy", "--region", "eu"], standalone_mode=False)
    except Alarm:
        raised = True
    finally:
        sys.settrace(None)
    return count, raised

cli.main(["deploy"], standalone_mode=False)  # everything is loaded, the ID exists
total, raised = lines_until(0)
assert total > 200 and not raised, (total, raised)
step = int(sys.argv.pop(1))
swallowed = [stop for stop in range(step, total + 1, step) if lines_until(stop) != (stop, True)]
print(total, swallowed)
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "step", [7, pytest.param(1, marks=pytest.mark.extended)], ids=["some lines", "every line"]
)
@pytest.mark.parametrize("handler", ["function", "method", "anything"])
def test_exception_of_a_signal_handler_is_the_application_s(
    make_cli: MakeCli, handler: str, step: int
) -> None:
    """A TimeoutError by SIGALRM arrives, at whichever of our lines it strikes (rule 47)."""
    cli = make_cli(EVERY_LINE)
    cli.environ["CLICK_TELEMETRY_SENDER"] = "1"
    ran = cli.run(handler, str(step))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split(maxsplit=1)[1] == "[]\n"


FIRST_RUN = (
    EVERY_LINE.replace(
        "import signal, sys\n",
        """import os, shutil, signal, sys
sys.stderr.isatty = lambda: True

class Client:
    def record(self, message): pass
    def close(self): pass

OPTIONS = {
    "ID": {"write_key": "key", "notice": False},
    "notice": {"write_key": "key"},
    "how to enable": {"write_key": "key", "consent": "opt-in"},
    "client": {"client": Client(), "notice": False},
}[sys.argv.pop(1)]
""",
    )
    .replace('write_key="key", notice=False', "**OPTIONS")
    .replace(
        "    raised = False\n",
        """    raised = False
    shutil.rmtree(os.environ["HOME"] + "/.local", ignore_errors=True)
""",
    )
    .replace(
        # A run that was interrupted may let the next one take another path, which may be shorter.
        "if lines_until(stop) != (stop, True)",
        "for count, raised in [lines_until(stop)] if count >= stop and not raised",
    )
)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "step", [29, pytest.param(3, marks=pytest.mark.extended)], ids=["some lines", "many lines"]
)
@pytest.mark.parametrize("case", ["ID", "notice", "how to enable", "client"])
def test_exception_of_a_signal_handler_is_not_lost_in_a_first_run(
    make_cli: MakeCli, case: str, step: int
) -> None:
    """While the ID is made, and while the notice is shown (rule 47)."""
    cli = make_cli(FIRST_RUN)
    cli.environ["CLICK_TELEMETRY_SENDER"] = "1"
    ran = cli.run(case, "function", str(step))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split(maxsplit=1)[1] == "[]\n"


CHILDREN = """
import atexit, os, signal, sys, time
import click
from click_telemetry import instrumented_group

seen = []
if "HANDLE" in os.environ:
    signal.signal(signal.SIGCHLD, lambda *_: seen.append("SIGCHLD"))

@atexit.register
def last():
    try:
        print(os.wait())
    except ChildProcessError:
        print("no child")
    print(seen)

@instrumented_group(app="acme", version="2.1.0", write_key="key", notice=False)
@click.group()
def cli():
    pass

@cli.command()
def deploy():
    pass

if __name__ == "__main__":
    if "GO_ON" in os.environ:
        cli.main(["deploy"], standalone_mode=False)
        time.sleep(0.2)
    else:
        cli()
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize("goes_on", [False, True], ids=["at exit", "goes on"])
@pytest.mark.parametrize("handles", [False, True], ids=["default", "SIGCHLD handled"])
def test_application_meets_no_child_of_ours(
    cli: Cli, make_cli: MakeCli, goes_on: bool, handles: bool
) -> None:
    """Neither its `os.wait()` in an atexit function nor its SIGCHLD handler (rule 46)."""
    made = make_cli(CHILDREN)
    made.environ = dict(cli.environ)
    if goes_on:
        made.environ["GO_ON"] = "1"
    if handles:
        made.environ["HANDLE"] = "1"
    ran = made.run("deploy")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "no child\n[]\n"
    assert len(made.home.spooled()) in (0, 1)
