"""The hooks on a command: nothing that the application looks at, copies or patches is disturbed."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any
from unittest import mock

import click
import pytest

from click_telemetry import _instrument, instrument
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli
from ..harness.stories import pair, run, story


def work() -> str:
    return "worked"


def fail() -> None:
    raise ValueError("x")


@pytest.fixture
def group(recording_client: RecordingClient) -> click.Group:
    """An instrumented group with two commands."""
    commands = {"work": click.Command("work", callback=work), "fail": click.Command("fail")}
    commands["fail"].callback = fail
    group = click.Group("cli", commands=commands)
    return instrument(group, app="acme", client=recording_client)


def frames(command: click.Command, *args: str) -> list[str]:
    try:
        command.main([*args], standalone_mode=False)
    except Exception as error:
        return [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("it came back")


def test_traceback_is_the_bare_one(group: click.Group) -> None:
    """No frame of ours is in it, at any level (rule 4)."""
    bare = click.Group("cli", commands={"fail": click.Command("fail", callback=fail)})
    assert frames(group, "fail") == frames(bare, "fail")


restored_frame = pytest.mark.xfail(
    sys.version_info < (3, 11),
    strict=True,
    reason="Python 3.10 puts the frame back; it is removed only where a context closes",
)


def fail_early(context: click.Context, parameter: click.Parameter, value: object) -> None:
    raise ValueError("x")


@restored_frame
def test_traceback_of_a_failing_option_of_the_root_is_the_bare_one(
    recording_client: RecordingClient,
) -> None:
    """No command has begun, so no context of ours is closed (rule 50)."""

    def root() -> click.Group:
        option = click.Option(["--early"], is_eager=True, callback=fail_early)
        return click.Group("cli", params=[option], commands={"work": click.Command("work")})

    ours = instrument(root(), app="acme", client=recording_client)
    line = ("--early", "x", "work")
    assert frames(ours, *line) == frames(root(), *line)


@restored_frame
def test_traceback_of_a_leaf_that_is_run_alone_is_the_bare_one(group: click.Group) -> None:
    """A command that a group has resolved may be run without the group (rule 50)."""
    assert "fail" in frames(group, "fail")
    bare = click.Command("fail", callback=fail)
    assert frames(group.commands["fail"]) == frames(bare)


@restored_frame
def test_traceback_that_a_group_formats_is_the_bare_one(recording_client: RecordingClient) -> None:
    """A group may catch what its command raises, and print it (rule 50)."""

    class Printing(click.Group):
        def invoke(self, ctx: click.Context) -> Any:
            try:
                return super().invoke(ctx)
            except ValueError as error:
                return [entry.name for entry in traceback.extract_tb(error.__traceback__)]

    def printed(group: click.Group) -> Any:
        return group.main(["fail"], standalone_mode=False)

    def root() -> click.Group:
        return Printing("cli", commands={"fail": click.Command("fail", callback=fail)})

    ours = instrument(root(), app="acme", client=recording_client)
    assert printed(ours) == printed(root())


def test_exception_is_the_very_object(recording_client: RecordingClient) -> None:
    """With its cause, context and notes as they were raised."""
    error, cause = ValueError("x"), KeyError("y")

    def callback() -> None:
        raise error from cause

    command = instrument(click.Command("x", callback=callback), app="a", client=recording_client)
    with pytest.raises(ValueError, match="x") as raised:
        command.main([], standalone_mode=False)
    assert raised.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None or error.__context__ is cause


def test_return_value_is_the_very_object(recording_client: RecordingClient) -> None:
    """What a callback returns comes back from `standalone_mode=False` (rule 14)."""
    made = object()
    command = click.Command("x", callback=lambda: made)
    instrument(command, app="acme", client=recording_client)
    assert command.main([], standalone_mode=False) is made


def test_exit_without_standalone_mode_returns_its_code(recording_client: RecordingClient) -> None:
    """`ctx.exit(n)` returns n (rule 14)."""
    command = click.Command("x", callback=lambda: click.get_current_context().exit(3))
    instrument(command, app="acme", client=recording_client)
    assert command.main([], standalone_mode=False) == 3
    assert story(recording_client) == pair("acme", code=3)


def test_shallow_copy_runs_its_own_callback(
    group: click.Group, recording_client: RecordingClient
) -> None:
    """A copied command carries the original's hooks, and must not run the original (rule 3)."""
    run(group, "work")
    recording_client.clear()
    copied = copy.copy(group.commands["work"])
    copied.name = "copied"
    copied.callback = lambda: "copied"
    group.add_command(copied)
    assert group.main(["copied"], standalone_mode=False) == "copied"
    assert group.main(["work"], standalone_mode=False) == "worked"
    assert story(recording_client) == [*pair("acme copied"), *pair("acme work")]


def test_deep_copy_is_instrumented_too(
    group: click.Group, recording_client: RecordingClient
) -> None:
    """With hooks and callbacks of its own (rule 3)."""
    run(group, "work")
    recording_client.clear()
    with mock.patch.object(RecordingClient, "__deepcopy__", lambda self, _: self, create=True):
        copied = copy.deepcopy(group)
    copied.commands["work"].callback = lambda: "copied"
    assert copied.main(["work"], standalone_mode=False) == "copied"
    assert group.main(["work"], standalone_mode=False) == "worked"
    assert story(recording_client) == pair("acme work") * 2


def test_command_that_was_hooked_can_still_be_pickled() -> None:
    """A command that can be pickled bare can be pickled instrumented."""
    command = click.Command("work", callback=work)
    group = instrument(click.Group("cli", commands={"work": command}), app="acme", write_key="k")
    with click.Context(group) as context:
        group.resolve_command(context, ["work"])
    restored = pickle.loads(pickle.dumps(group))
    assert restored.main(["work"], standalone_mode=False) == "worked"


def test_class_of_a_command_is_unchanged(group: click.Group) -> None:
    """`type(x) is` still holds."""
    run(group, "work")
    assert type(group) is click.Group
    assert type(group.commands["work"]) is click.Command


def test_hook_looks_like_the_method(group: click.Group) -> None:
    """Signature, name, function and owner are the method's."""
    bare: Any = click.Group("cli")
    hooked: Any = group
    for name in ("invoke", "parse_args", "get_params", "get_command", "resolve_command"):
        assert inspect.signature(getattr(hooked, name)) == inspect.signature(getattr(bare, name))
        assert getattr(hooked, name).__name__ == name
        assert getattr(hooked, name).__func__ is getattr(bare, name).__func__
        assert getattr(hooked, name).__self__ is group
        assert callable(getattr(hooked, name))


def test_patch_of_the_class_is_honoured(group: click.Group) -> None:
    """The original is looked up at call time (rule 2)."""
    run(group, "work")
    with mock.patch.object(click.Command, "invoke", lambda self, ctx: f"patched {self.name}"):
        assert group.main(["work"], standalone_mode=False) == "patched work"
    assert group.main(["work"], standalone_mode=False) == "worked"


def test_plain_mock_on_the_class_gets_what_it_would_get(group: click.Group) -> None:
    """A mock is no descriptor, so it is called without the command (rule 2)."""
    run(group, "work")
    with mock.patch.object(click.Command, "invoke") as patched:
        group.commands["work"].main([], standalone_mode=False)
    assert [len(call.args) for call in patched.call_args_list] == [1]


@pytest.mark.parametrize("early", [True, False])
def test_patch_of_the_instance_is_honoured(early: bool, recording_client: RecordingClient) -> None:
    """Whether it came before the hooks or after them (rule 2)."""
    command = click.Command("work", callback=work)
    group = click.Group("cli", commands={"work": command})
    instrument(group, app="acme", client=recording_client)
    if not early:
        run(group, "work")
    with mock.patch.object(command, "invoke", return_value="patched"):
        assert group.main(["work"], standalone_mode=False) == "patched"
    assert group.main(["work"], standalone_mode=False) == "worked"
    assert group.main(["work"], standalone_mode=False) == "worked"


def test_method_of_the_instances_own_is_kept(recording_client: RecordingClient) -> None:
    """An application may have put its own `invoke` on one command (rule 2)."""
    command: Any = click.Command("work", callback=work)
    command.invoke = lambda ctx: "own"
    instrument(command, app="acme", client=recording_client)
    assert command.main([], standalone_mode=False) == "own"
    assert story(recording_client) == pair("acme")


def test_no_command_at_all_is_left_alone(recording_client: RecordingClient) -> None:
    """A group may resolve to anything."""

    class Odd(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
            return None

    group = instrument(Odd("cli"), app="acme", client=recording_client)
    assert run(group, "x").exit_code == 2


def test_ctrl_c_while_a_command_begins_leaves_nothing_behind(
    recording_client: RecordingClient,
) -> None:
    """In a REPL, the next command is recorded as if the interrupted one had not been there."""
    interrupted: list[bool] = []

    def interrupt_once() -> str:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return "eu"

    cli = click.Group("cli", commands={"deploy": click.Command("deploy")})
    instrument(cli, app="acme", client=recording_client, properties={"region": interrupt_once})
    with pytest.raises(click.Abort):
        cli.main(["deploy"], standalone_mode=False)
    assert _instrument.SCOPES == []
    recording_client.clear()
    cli.main(["deploy"], standalone_mode=False)
    assert [event["properties"]["sequence"] for event in recording_client.events] == [1, 2]
    assert _instrument.SCOPES == []


def test_threads_may_load_what_is_loaded_after_an_exception_at_once(
    make_cli: Callable[..., Cli],
) -> None:
    """The second command waits for the module that the first one's thread has begun to load."""
    cli = make_cli(
        """
        import sys, threading, time
        from importlib.machinery import PathFinder
        import click
        from click_telemetry import instrument

        half_loaded = threading.Event()

        class SlowFinder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name != "click_telemetry._tracebacks":
                    return None
                spec = PathFinder.find_spec(name, path)
                execute = spec.loader.exec_module

                def execute_slowly(module):
                    half_loaded.set()
                    time.sleep(0.3)
                    execute(module)

                spec.loader.exec_module = execute_slowly
                return spec

        sys.meta_path.insert(0, SlowFinder)

        def run(app):
            go = click.Command("go", callback=lambda: click.echo("done"))
            cli = instrument(click.Group(app, commands={"go": go}), app=app, write_key="key")
            cli.main(["go"], standalone_mode=False)

        first = threading.Thread(target=run, args=("acme",))
        first.start()
        assert half_loaded.wait(30), "nothing loaded the module"
        run("other")
        first.join()
        """
    )
    ran = cli.run()
    assert (ran.stdout, ran.stderr, ran.returncode) == ("done\ndone\n", "", 0)
