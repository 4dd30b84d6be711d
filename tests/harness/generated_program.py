"""A Click program made from a plan of `program_plans`, and a witness of the commands that ran.

The witness patches `click.Command.invoke`. It knows nothing of the library, which a process of its
own loads afterwards: this module imports only Click and the standard library.

Run as a script, the program reads its plan from the file that PLAN names and runs one of its lines.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock

import click

FLAG = "--no-telemetry"
REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = str(REPOSITORY / "click_telemetry") + os.sep

Plan = dict[str, Any]
Record = dict[str, Any]

SCRIPT = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.harness import generated_program

if __name__ == "__main__":
    generated_program.main()
"""

_invoke = click.Command.invoke


# Groups of each kind ------------------------------------------------------------------------------


class Lazy(click.Group):
    """Makes a command at each look-up, as the LazyGroup of Click's documentation does."""

    made: Mapping[str, Callable[[], click.Command]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The declared names."""
        return sorted(self.made)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A new object."""
        return self.made[cmd_name]() if cmd_name in self.made else None


class Dynamic(Lazy):
    """Makes a command of any word, and lists none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """None."""
        return []


class Prefix(click.Group):
    """Finds a command by the beginning of its name, as Click's documentation shows."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The only one that begins so."""
        found = [name for name in self.list_commands(ctx) if name.startswith(cmd_name)]
        return super().get_command(ctx, found[0]) if len(found) == 1 else None


GROUPS = {"lazy": Lazy, "dynamic": Dynamic, "prefix": Prefix}


# The program --------------------------------------------------------------------------------------


class Program:
    """The command trees of a plan, and what a line of it runs.

    Args:
        plan: drawn by `program_plans`.
        witnessed: called with a record of each leaf that has ended.
    """

    def __init__(self, plan: Plan, witnessed: Callable[[Record], None]) -> None:
        self.lines: dict[int, Plan] = {line["number"]: line for line in lines_of(plan["line"])}
        self._nodes: dict[int, Plan] = {node["number"]: node for node in nodes_of(plan["tree"])}
        self._made: dict[int, click.Command] = {}
        self._started: set[tuple[int, int]] = set()
        self._witnessed = witnessed
        self._track: Callable[..., None] | None = None
        self.acme = cast("click.Group", self._command(plan["tree"]))
        self.other = self._command({**OTHER, "options": []})

    def instrument(self, options: Mapping[str, Any], *, tracks: bool) -> None:
        """Load the library, and instrument both applications."""
        from click_telemetry import exclude, instrument

        if tracks:
            from click_telemetry import track

            self._track = track
        self._exclude = exclude
        instrument(self.acme, **{"app": "acme", "version": "1", **options})
        instrument(self.other, **{"app": "other", "version": "1", **options})
        for command in self._made.values():
            self._leave_out(command)

    def _leave_out(self, command: click.Command) -> None:
        if command.planned["excluded"] and hasattr(self, "_exclude"):  # type: ignore[attr-defined]
            self._exclude(command)

    def run(self, number: int, **how: Any) -> Any:
        """Run a line."""
        line = self.lines[number]
        root = self.other if line["how"] == "other" else self.acme
        return root.main([*line["words"]], prog_name="acme", obj=line, **how)

    # The tree

    def _command(self, node: Plan) -> click.Command:
        params: list[click.Parameter] = []
        for option in node["options"]:
            if option["kind"] == "switch":
                form = f"--on-{option['number']}/--off-{option['number']}"
                params.append(click.Option([form], default=None, expose_value=True))
            elif option["kind"] == "value":
                params.append(click.Option([f"--value-{option['number']}"]))
            else:
                params.append(click.Option([f"--is-{option['number']}"], is_flag=True))
        given: dict[str, Any] = {"params": params, "callback": self._callback(node)}
        made: click.Command
        if node["kind"] != "command":
            made = self._group(node, given)
        else:
            if node["argument"] == "one":
                params.append(click.Argument(["word"]))
            elif node["argument"] in ("many", "extra"):
                params.append(click.Argument(["words"], nargs=-1, type=click.UNPROCESSED))
            if node["argument"] == "extra":
                given["context_settings"] = {"ignore_unknown_options": True}
            made = click.Command(node["own_name"], **given)
        made.planned = node  # type: ignore[attr-defined]
        self._made[node["number"]] = made
        self._leave_out(made)
        return made

    def _group(self, node: Plan, given: dict[str, Any]) -> click.Group:
        given["invoke_without_command"] = node["alone"]
        kind = GROUPS.get(node["kind"], click.Group)
        group = kind(node["own_name"], chain=node["kind"] == "chain", **given)
        if isinstance(group, Lazy):

            def maker(child: Plan) -> Callable[[], click.Command]:
                return lambda: self._command(child)

            group.made = {child["typed"]: maker(child) for child in node["children"]}
            return group
        for child in node["children"]:
            command = self._command(child)
            if node["kind"] == "aliases":
                group.add_command(command, child["typed"])
            group.add_command(command, child["name"])
        return group

    # Bodies

    def _callback(self, node: Plan) -> Callable[..., Any]:
        def callback(**_: Any) -> None:
            context = click.get_current_context()
            line: Plan = context.obj
            planned: Plan = context.command.planned  # type: ignore[attr-defined]
            if "witnessed" not in context.__dict__ or planned["number"] != node["number"]:
                return  # another command invokes the callback
            if (line["number"], node["number"]) in self._started:
                return  # the command invokes itself
            self._started.add((line["number"], node["number"]))
            entry = next(e for e in line["entries"] if e["node"] == node["number"])
            if entry["ticks"] and self._track is not None and is_leaf(context):
                self._track("Ticked", {"node": node["number"]})
            for call in entry["calls"]:
                self._call(context, call)
            end(entry["end"], context)

        if node["plugin"]:
            callback.__module__ = "a_plugin"
        return callback

    def _call(self, context: click.Context, call: Plan) -> None:
        how = call["how"]
        if how in ("invoke", "forward", "invoke of another"):
            target = self._made.get(call["target"]) or self._command(self._nodes[call["target"]])
            if how == "invoke":
                context.invoke(target)
            elif how == "forward":
                context.forward(target)
            else:
                target.invoke(context)
            return
        number = call["line"]["number"]
        try:
            STARTS[how](self, number)
        except Forked:
            raise
        except BaseException:
            if call["raises"]:
                raise

    def run_nested(self, number: int) -> None:
        """Run a line within another."""
        self.run(number, standalone_mode=False)

    def run_and_catch(self, number: int) -> None:
        """Run a line, however it ends."""
        try:
            self.run_nested(number)
        except Forked:
            os._exit(0)
        except BaseException:
            return

    # The witness

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Patch Click, so that each leaf that runs is recorded."""

        def invoke(command: click.Command, context: click.Context) -> Any:
            seen = context.__dict__.setdefault("witnessed", command)
            if seen is not command or not is_leaf(context) or "begun" in context.__dict__:
                return _invoke(command, context)
            context.__dict__["begun"] = True
            code, process = 0, os.getpid()
            try:
                return _invoke(command, context)
            except BaseException as error:
                code = code_of(error)
                raise
            finally:
                if os.getpid() == process:  # a forked child ends the command too
                    self._witnessed(record_of(context, code))

        with mock.patch.object(click.Command, "invoke", invoke):
            yield


OTHER: Plan = {
    "kind": "command",
    "number": -1,
    "name": "other",
    "own_name": "other",
    "segment": "other",
    "argument": "none",
    "excluded": False,
    "plugin": False,
}


def is_leaf(context: click.Context) -> bool:
    """Whether a command does its own work: Click sets what a group passes on to before it does."""
    return not hasattr(context.command, "resolve_command") or context.invoked_subcommand is None


def record_of(context: click.Context, code: int) -> Record:
    """What is to be recorded of a leaf: by the plan, not by what Click parsed."""
    line = context.obj
    typed = {entry["node"]: entry["flags"] for entry in line["entries"]}
    segments: list[str] = []
    flags: set[str] = set()
    excluded = False
    node: Plan = {}
    above: click.Context | None = context
    while above is not None:
        planned: Plan = above.command.planned  # type: ignore[attr-defined]
        node = node or planned
        segments.insert(0, planned["segment"])
        excluded = excluded or planned["excluded"]
        if planned["segment"] not in ("<plugin>", "<dynamic>"):
            flags |= set(typed[planned["number"]])
        above = above.parent
    ticks = next(e["ticks"] for e in line["entries"] if e["node"] == node["number"])
    return {
        "line": line["number"],
        "node": node["number"],
        "command": " ".join(segments),
        "flags": sorted(flags),
        "code": code,
        "excluded": excluded,
        "ticks": ticks,
    }


def code_of(error: BaseException) -> int:
    """The exit code that Click and Python make of an exception (rule 12)."""
    if isinstance(error, (click.exceptions.Exit, click.ClickException)):
        return error.exit_code & 0xFF
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code & 0xFF if isinstance(error.code, int) else 1
    return 1


def end(kind: str, context: click.Context) -> None:
    """End a command in one of the ways of `ENDS`."""
    if kind == "return":
        return
    if kind.startswith("exit "):
        context.exit(int(kind[5:]))
    raise ENDS[kind]()


ENDS: dict[str, Callable[[], BaseException]] = {
    "sys.exit()": SystemExit,
    "sys.exit(7)": lambda: SystemExit(7),
    "sys.exit(261)": lambda: SystemExit(261),
    "sys.exit(text)": lambda: SystemExit("text"),
    "abort": click.Abort,
    "interrupt": KeyboardInterrupt,
    "end of input": EOFError,
    "click": lambda: click.ClickException("x"),
    "usage": lambda: click.UsageError("x"),
    "runtime": lambda: RuntimeError("x"),
    "broken pipe": lambda: BrokenPipeError(32, "x"),
}


def lines_of(line: Plan) -> Iterator[Plan]:
    """A line and all that run inside it."""
    yield line
    for entry in line["entries"]:
        for call in entry["calls"]:
            if "line" in call:
                yield from lines_of(call["line"])


def nodes_of(node: Plan) -> Iterator[Plan]:
    """A node and all below it."""
    yield node
    for child in node.get("children", ()):
        yield from nodes_of(child)


# How a command starts another line ----------------------------------------------------------------


def _in_runner(program: Program, number: int) -> None:
    from click.testing import CliRunner

    line = program.lines[number]
    CliRunner().invoke(program.acme, [*line["words"]], obj=line)


def _in_thread(program: Program, number: int) -> None:
    thread = threading.Thread(target=program.run_and_catch, args=(number,))
    thread.start()
    thread.join()


def _in_context(program: Program, number: int) -> None:
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(program.run_and_catch, number))
    thread.start()
    thread.join()


def _in_task(program: Program, number: int) -> None:
    asyncio.run(asyncio.to_thread(program.run_and_catch, number))


def _in_fork(program: Program, number: int) -> None:
    child = os.fork()
    if child == 0:
        program.run_and_catch(number)
        os._exit(0)
    os.waitpid(child, 0)


class Forked(BaseException):
    """Raised in a forked child, through all its commands."""


def _in_fork_that_returns(program: Program, number: int) -> None:
    program.run_and_catch(number)
    child = os.fork()
    if child == 0:
        raise Forked
    os.waitpid(child, 0)


def _in_worker(program: Program, number: int) -> None:
    worker = multiprocessing.get_context("fork").Process(
        target=program.run_and_catch, args=(number,)
    )
    worker.start()
    worker.join()


def _in_spawned_worker(program: Program, number: int) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=main, args=(number,))
    worker.start()
    worker.join()


def _in_process(program: Program, number: int) -> None:
    subprocess.run([sys.executable, sys.argv[0], str(number)], stdin=subprocess.DEVNULL)


def _in_process_of_the_run(program: Program, number: int) -> None:
    from click_telemetry import child_env

    command = [sys.executable, sys.argv[0], str(number)]
    subprocess.run(command, env=child_env(), stdin=subprocess.DEVNULL)


STARTS: dict[str, Callable[[Program, int], None]] = {
    "main": Program.run_nested,
    "standalone": lambda program, number: program.run(number),
    "other": Program.run_nested,
    "runner": _in_runner,
    "thread": _in_thread,
    "thread with the context": _in_context,
    "task": _in_task,
    "fork": _in_fork,
    "fork that returns": _in_fork_that_returns,
    "worker": _in_worker,
    "spawned worker": _in_spawned_worker,
    "process": _in_process,
    "process with child_env": _in_process_of_the_run,
}
"""Each runs a line, given the program and the line's number."""
IN_PROCESS = ("main", "standalone", "other", "runner", "thread", "thread with the context", "task")
FORKING = ("fork", "fork that returns", "worker")
NEW_PROCESS = ("spawned worker", "process")


# In a process of its own --------------------------------------------------------------------------

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
AUDITED = (
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.posix_spawn", "os.fork", "os.exec", "os.spawn", "subprocess.Popen"),
    *("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo"),
)


def audit(log: int) -> None:
    """Write each effect of the library to a descriptor: files, processes, connections."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event != "open" and event not in AUDITED:
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & WRITES):
            return
        frame: Any = sys._getframe(1)
        while frame is not None:  # the innermost that is not the standard library's
            path = frame.f_code.co_filename
            if path.startswith(PACKAGE):
                os.write(log, f"{event} {args[0]}\n".encode())
                return
            if path == __file__ or f"{os.sep}click{os.sep}" in path:
                return
            frame = frame.f_back

    sys.addaudithook(hook)


def main(number: int | None = None) -> None:
    """Run a line of the plan; its leaves and the library's effects are written to files."""
    import warnings

    warnings.simplefilter("ignore")  # Python 3.12 and later warn of a fork with threads
    directory = Path(os.environ["PLAN"])
    plan = json.loads((directory / "plan.json").read_text())
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    witnesses = os.open(directory / "witnessed", append, 0o600)
    audit(os.open(directory / "effects", append, 0o600))

    def witnessed(record: Record) -> None:
        os.write(witnesses, (json.dumps(record) + "\n").encode())

    program = Program(plan, witnessed)
    with program.observed():
        program.instrument(plan["options"], tracks=plan["tracks"])
        try:
            program.run(int(sys.argv[1]) if number is None else number)
        except Forked:
            os._exit(0)
