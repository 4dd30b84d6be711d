"""Every way a command can end: stdout, stderr and status are byte for byte those without us.

Each runs twice in a real process, bare and instrumented; the recorded exit code is the one that the
shell saw, unless the process was killed or something fails later.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..harness.processes import Cli, Home

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and statuses of POSIX"),
]

SOURCE = """
import asyncio, atexit, ctypes, errno, json, os, signal, sys, threading, time, warnings
import click
from click_telemetry import instrument, track

class FileClient:
    test_double = True
    def record(self, message):
        with open(os.environ["EVENTS"], "a") as file:
            file.write(json.dumps(message) + "\\n")
    def close(self): pass

class Wall(click.ClickException):
    exit_code = 3

class Fine(click.ClickException):
    exit_code = 0

class Large(click.ClickException):
    exit_code = 300

class OwnExit(SystemExit):
    pass

class PropertyExit(SystemExit):
    code = property(lambda self: 9)

class OwnBase(BaseException):
    pass

class Mute(Exception):
    def __str__(self): raise RuntimeError("no text")
    __repr__ = __str__

class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__module__", "__qualname__", "__mro__"):
            raise RuntimeError("hands off")
        return type.__getattribute__(cls, name)

class Hostile(Exception, metaclass=Meta):
    pass

class Loud:
    def __str__(self): return "loud"

def deep(n): return deep(n + 1) + 1

def cleanup(): raise RuntimeError("cleanup")

@click.group()
def cli():
    click.echo("group")

@cli.command()
@click.pass_context
def go(ctx):
    click.echo("out")
    click.echo("err", err=True)
{body}

@cli.result_callback()
def after(result):
    if os.environ.get("AFTER"):
        raise RuntimeError("after")

if not os.environ.get("BARE"):
    instrument(cli, app="acme", client=FileClient())

if __name__ == "__main__":
    cli()
"""

SAME = "same"
"""Completed has the exit status that the shell saw."""
NONE = "none"
"""The process ended before it could record a Completed."""

OUTCOMES: dict[str, tuple[str, Any]] = {
    "return": ("return None", SAME),
    "return a value": ("return 7", SAME),
    "ctx.exit()": ("ctx.exit()", SAME),
    "ctx.exit(3)": ("ctx.exit(3)", SAME),
    "ctx.exit(256)": ("ctx.exit(256)", SAME),
    "ctx.exit(-1)": ("ctx.exit(-1)", SAME),
    "root's exit": ("ctx.find_root().exit(4)", SAME),
    "sys.exit()": ("sys.exit()", SAME),
    "sys.exit(0)": ("sys.exit(0)", SAME),
    "sys.exit(1)": ("sys.exit(1)", SAME),
    "sys.exit(255)": ("sys.exit(255)", SAME),
    "sys.exit(256)": ("sys.exit(256)", SAME),
    "sys.exit(-1)": ("sys.exit(-1)", SAME),
    "sys.exit(True)": ("sys.exit(True)", SAME),
    "sys.exit(False)": ("sys.exit(False)", SAME),
    "sys.exit(text)": ("sys.exit('words')", SAME),
    "sys.exit(empty)": ("sys.exit('')", SAME),
    "sys.exit(1.5)": ("sys.exit(1.5)", SAME),
    "sys.exit(list)": ("sys.exit([])", SAME),
    "sys.exit(tuple)": ("raise SystemExit((1, 2))", SAME),
    "sys.exit(2**40)": ("sys.exit(2**40 + 5)", SAME),
    "sys.exit(2**70)": ("sys.exit(2**70)", SAME),
    "sys.exit(-2**70)": ("sys.exit(-(2**70))", SAME),
    "sys.exit(object)": ("sys.exit(Loud())", SAME),
    "SystemExit": ("raise SystemExit", SAME),
    "SystemExit of the application's": ("raise OwnExit(6)", SAME),
    "SystemExit with a property": ("raise PropertyExit(6)", SAME),
    "ClickException": ("raise click.ClickException('x')", SAME),
    "ClickException with a code": ("raise Wall('x')", SAME),
    "ClickException with code 0": ("raise Fine('x')", SAME),
    "ClickException with code 300": ("raise Large('x')", SAME),
    "UsageError": ("raise click.UsageError('x')", SAME),
    "UsageError with context": ("raise click.UsageError('x', ctx)", SAME),
    "BadParameter": ("raise click.BadParameter('x', ctx=ctx, param_hint='--y')", SAME),
    "FileError": ("raise click.FileError('f', 'hint')", SAME),
    "NoSuchOption": ("raise click.NoSuchOption('--x', ctx=ctx)", SAME),
    "ctx.fail": ("ctx.fail('x')", SAME),
    "Abort": ("raise click.Abort()", SAME),
    "ctx.abort": ("ctx.abort()", SAME),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", SAME),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", SAME),
    "EOFError": ("raise EOFError", SAME),
    "input at its end": ("input()", SAME),
    "prompt at its end": ("click.prompt('Name')", SAME),
    "confirm at its end": ("click.confirm('Sure', abort=True)", SAME),
    "BrokenPipeError": ("raise BrokenPipeError(errno.EPIPE, 'x')", SAME),
    "OSError EPIPE": ("raise OSError(errno.EPIPE, 'x')", SAME),
    "FileNotFoundError": ("open('/nowhere/at/all')", SAME),
    "ValueError": ("raise ValueError('x')", SAME),
    "a class": ("raise ValueError", SAME),
    "with a cause": ("raise ValueError('x') from KeyError('y')", SAME),
    "from None": ("try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('x') from None", SAME),
    "with a context": ("try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('x')", SAME),
    "wrapped": (
        "try: 1 / 0\nexcept ZeroDivisionError as e: raise click.ClickException('x') from e",
        SAME,
    ),
    "in a finally": ("try: raise ValueError('x')\nfinally: click.echo('finally')", SAME),
    "from below": ("(lambda: (lambda: 1 / 0)())()", SAME),
    "GeneratorExit": ("raise GeneratorExit", SAME),
    "StopIteration": ("raise StopIteration", SAME),
    "StopAsyncIteration": ("raise StopAsyncIteration", SAME),
    "CancelledError": ("raise asyncio.CancelledError", SAME),
    "asyncio.run": ("async def f(): raise ValueError('x')\nasyncio.run(f())", SAME),
    "MemoryError": ("raise MemoryError", SAME),
    "BaseException of the application's": ("raise OwnBase('x')", SAME),
    "hostile str": ("raise Mute()", SAME),
    "hostile metaclass": ("raise Hostile('x')", SAME),
    "a changed traceback": ("raise ValueError('x').with_traceback(None)", SAME),
    "warning": ("warnings.warn('x')", SAME),
    "atexit": ("atexit.register(lambda: print('bye'))", SAME),
    "excepthook": ("sys.excepthook = lambda *a: print('hook', a[0].__name__)\n1 / 0", SAME),
    "thread that fails": (
        "t = threading.Thread(target=lambda: 1 / 0, name='T')\nt.start()\nt.join()",
        SAME,
    ),
    "thread that goes on": (
        "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
        SAME,
    ),
    "stdout closed": ("sys.stdout.close()", SAME),
    "descriptors closed": ("os.closerange(3, 200)", SAME),
    "cwd gone": ("os.mkdir('d'); os.chdir('d'); os.rmdir('../d')", SAME),
    "fork, child returns": (
        "p = os.fork()\nif p: os.waitpid(p, 0)\nelse: sys.stdout = open(os.devnull, 'w')",
        SAME,
    ),
    "fork, child fails": (
        "p = os.fork()\nif p: os.waitpid(p, 0)\nelse: os._exit(3)",
        SAME,
    ),
    "SIGTERM handled": (
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)",
        SAME,
    ),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", NONE),
    "SIGHUP": (
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "os.kill(os.getpid(), signal.SIGHUP); time.sleep(5)",
        NONE,
    ),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(5)", NONE),
    "SIGABRT": ("os.abort()", NONE),
    "segmentation fault": ("ctypes.string_at(0)", NONE),
    "os._exit": ("sys.stdout.flush(); os._exit(5)", NONE),
    "os.execv": ("sys.stdout.flush(); os.execv('/bin/sh', ['sh', '-c', 'exit 6'])", NONE),
    "cleanup that fails": ("ctx.call_on_close(cleanup)", 0),
    "root's cleanup that fails": ("ctx.find_root().call_on_close(cleanup)", 0),
    "result callback that fails": ("os.environ['AFTER'] = '1'", 0),
}


def indented(body: str) -> str:
    return "\n".join("    " + line for line in body.splitlines())


def result_of(cli: Cli, events: Path, bare: str) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr of a run."""
    run = subprocess.run(
        cli.command("go"),
        env=cli.env({"BARE": bare, "EVENTS": str(events)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=cli.home.path,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.sample(4)
@pytest.mark.parametrize(("body", "code"), list(OUTCOMES.values()), ids=list(OUTCOMES))
def test_command_ends_as_without_us_and_with_the_right_exit_code(
    body: str, code: Any, make_cli: Callable[..., Cli], home: Home, tmp_path: Path
) -> None:
    """Same bytes, same status or signal; recorded as the shell saw it, or not at all (rule 16)."""
    cli = make_cli(SOURCE.replace("{body}", indented(body)))
    events = tmp_path / "events"
    bare, instrumented = result_of(cli, events, "1"), result_of(cli, events, "")
    assert instrumented == bare
    messages = [json.loads(line) for line in events.read_text().splitlines()]
    names = [message["event"] for message in messages]
    if code == NONE:
        assert names == ["Command Invoked"]
        return
    assert names == ["Command Invoked", "Command Completed"]
    expected = bare[0] if code == SAME else code
    assert messages[1]["properties"]["exit_code"] == expected


def test_stack_overflow_ends_as_it_does_bare(make_cli: Callable[..., Cli], tmp_path: Path) -> None:
    """Its traceback counts repeated frames, and our frames change that count."""
    cli = make_cli(SOURCE.replace("{body}", indented("deep(0)")))
    events = tmp_path / "events"
    bare, instrumented = result_of(cli, events, "1"), result_of(cli, events, "")
    assert instrumented[:2] == bare[:2]
    assert instrumented[2].splitlines()[-1] == bare[2].splitlines()[-1]
    completed = json.loads(events.read_text().splitlines()[1])
    assert completed["properties"]["error_class"] == "RecursionError"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no exception groups")
@pytest.mark.parametrize("kind", ["ExceptionGroup", "BaseExceptionGroup"])
def test_group_of_exceptions_ends_as_it_does_bare(
    kind: str, make_cli: Callable[..., Cli], tmp_path: Path
) -> None:
    """With all of its branches on stderr, and none of their text in the event."""
    body = (
        f"raise {kind}('secret', [ValueError('a'), KeyboardInterrupt()][:{1 + (kind[0] == 'B')}])"
    )
    cli = make_cli(SOURCE.replace("{body}", indented(body)))
    events = tmp_path / "events"
    assert result_of(cli, events, "") == result_of(cli, events, "1")
    completed = json.loads(events.read_text().splitlines()[1])
    assert completed["properties"]["error_class"] == kind
    assert "secret" not in events.read_text()


def test_at_least_48_ways_to_end_are_compared() -> None:
    """None was removed by mistake."""
    assert len(OUTCOMES) >= 48
