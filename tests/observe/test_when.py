"""When there is a pair of events and when there is none."""

from __future__ import annotations

from typing import Any

import click
import pytest

from click_telemetry import instrument, instrumented_group, track
from click_telemetry.testing import RecordingClient

from ..harness.stories import pair, run, story


@pytest.fixture
def cli(recording_client: RecordingClient) -> click.Group:
    """A small tree."""

    @instrumented_group(app="acme", client=recording_client)
    @click.group(invoke_without_command=False)
    @click.version_option("1.0")
    def cli() -> None:
        track("Root Ran")

    @cli.command()
    @click.option("--count", type=int)
    @click.argument("name", default="x")
    def deploy(count: int, name: str) -> None: ...

    @cli.group()
    def locked() -> None:
        raise click.ClickException("not signed in")

    @locked.command()
    def inside() -> None: ...

    return cli


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--version",
        "deploy --help",
        "",
        "locked",
        "unknown",
        "--unknown",
        "deploy --unknown",
        "deploy --count many",
        "deploy a b",
        "locked inside",
    ],
)
def test_nothing_is_recorded_unless_a_command_runs(
    line: str, cli: click.Group, recording_client: RecordingClient
) -> None:
    """Help, version, a usage error or a failed check give no orphan, nor does `track` (rule 19)."""
    run(cli, *line.split())
    assert story(recording_client) == []


def test_completion_records_nothing(cli: click.Group, recording_client: RecordingClient) -> None:
    """Option callbacks run while the shell completes; nothing else does (rule 19)."""
    environ = {"_CLI_COMPLETE": "bash_complete", "COMP_WORDS": "cli deploy ", "COMP_CWORD": "2"}
    run(cli, env=environ, prog_name="cli")
    assert story(recording_client) == []


def test_events_of_a_groups_callback_come_before_the_command(
    cli: click.Group, recording_client: RecordingClient
) -> None:
    """They wait until a leaf begins, and belong to it."""
    run(cli, "deploy")
    assert story(recording_client) == [("Root Ran", "acme deploy", []), *pair("acme deploy")]
    sequences = [event["properties"]["sequence"] for event in recording_client.events]
    assert sequences == [1, 2, 3]


def test_help_that_is_an_ordinary_flag_is_a_command_that_runs(
    recording_client: RecordingClient,
) -> None:
    """Some applications declare `--version` as a plain flag (rule 39)."""
    command = click.Command("x", params=[click.Option(["--version"], is_flag=True)])
    command.callback = lambda version: None
    instrument(command, app="acme", client=recording_client)
    run(command, "--version")
    assert story(recording_client) == pair("acme", "version")


def test_group_that_runs_alone_is_a_leaf(recording_client: RecordingClient) -> None:
    """With `invoke_without_command`, and only without a sub-command (rule 20)."""

    @instrumented_group(app="acme", client=recording_client, invoke_without_command=True)
    def cli() -> None: ...

    @cli.command()
    def deploy() -> None: ...

    run(cli)
    assert story(recording_client) == pair("acme")
    recording_client.clear()
    run(cli, "deploy")
    assert story(recording_client) == pair("acme deploy")


@pytest.fixture
def chain(recording_client: RecordingClient) -> click.Group:
    """A chain group."""

    @instrumented_group(app="acme", client=recording_client, chain=True)
    def cli() -> None: ...

    @cli.command()
    @click.option("--fast", is_flag=True)
    def lint(fast: bool) -> None: ...

    @cli.command()
    @click.option("--tag")
    def build(tag: str) -> None: ...

    return cli


def test_chain_gives_a_pair_for_each_command(
    chain: click.Group, recording_client: RecordingClient
) -> None:
    """Siblings' flags are their own (rules 11, 21)."""
    run(chain, *["lint", "--fast", "build", "--tag", "v2"])
    assert story(recording_client) == [*pair("acme lint", "fast"), *pair("acme build", "tag")]
    assert len({event["properties"]["invocation_id"] for event in recording_client.events}) == 1
    assert len({event["properties"]["run_id"] for event in recording_client.events}) == 2


def test_parse_error_in_a_chain_gives_none(
    chain: click.Group, recording_client: RecordingClient
) -> None:
    """All of a chain is parsed before any of it runs (rule 21)."""
    assert run(chain, *["lint", "build", "--unknown"]).exit_code == 2
    assert story(recording_client) == []


@pytest.mark.parametrize(
    "line", ["lint --no-telemetry build", "lint build --no-telemetry", "--no-telemetry lint build"]
)
def test_flag_on_any_command_of_a_chain_opts_out_of_all(
    line: str, chain: click.Group, recording_client: RecordingClient
) -> None:
    """Where it stands does not matter (rule 21)."""
    assert run(chain, *line.split()).exit_code == 0
    assert story(recording_client) == []


def test_command_invoked_from_a_command_adds_no_pair(recording_client: RecordingClient) -> None:
    """`ctx.invoke`, `ctx.forward` and `other.invoke(ctx)` are part of the leaf (rule 22)."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    def inner() -> None: ...

    @cli.command()
    @click.pass_context
    def outer(ctx: click.Context) -> None:
        ctx.invoke(inner)
        ctx.forward(inner)
        inner.invoke(ctx)

    run(cli, "inner")
    recording_client.clear()
    assert run(cli, "outer").exit_code == 0
    assert story(recording_client) == pair("acme outer")


def test_nested_main_gives_a_pair_of_its_own(recording_client: RecordingClient) -> None:
    """`cli.main()` inside a command is an invocation of its own, in one session (rule 23)."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    def inner() -> None: ...

    @cli.command()
    def outer() -> None:
        cli.main(["inner"], standalone_mode=False)

    run(cli, "outer")
    (started, *_, ended) = story(recording_client)
    assert [started, ended] == pair("acme outer")
    assert story(recording_client)[1:3] == pair("acme inner")
    events = [event["properties"] for event in recording_client.events]
    assert len({event["invocation_id"] for event in events}) == 2
    assert len({event["session_id"] for event in events}) == 1
    assert [event["sequence"] for event in events] == [1, 1, 2, 2]


def test_nested_instrumented_groups_give_one_pair(recording_client: RecordingClient) -> None:
    """The outermost root's settings count (rules 1, 23)."""
    other = RecordingClient()
    sub = instrumented_group(app="sub", client=other)(click.Group("sub"))
    sub.add_command(click.Command("go", callback=lambda: None))
    cli = instrumented_group(app="acme", client=recording_client)(click.Group("cli"))
    cli.add_command(sub)
    run(cli, "sub", "go")
    assert (story(recording_client), story(other)) == (pair("acme sub go"), [])


def test_every_line_of_a_repl_is_a_run(recording_client: RecordingClient) -> None:
    """As click-repl does it: the root entered anew for each line, in one invocation (rule 24)."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    @click.option("--n")
    def go(n: str) -> None: ...

    @cli.command()
    @click.pass_context
    def repl(ctx: click.Context) -> None:
        assert ctx.parent is not None
        for line in (["go"], ["go", "--no-telemetry"], ["go", "--n", "1"]):
            with cli.make_context(None, line, parent=ctx.parent) as sub:
                cli.invoke(sub)

    assert run(cli, "repl").exit_code == 0
    assert story(recording_client) == [
        ("Command Invoked", "acme repl", []),
        *pair("acme go"),
        *pair("acme go", "n"),
        pair("acme repl")[1],
    ]


def test_every_line_of_a_shell_is_a_run(recording_client: RecordingClient) -> None:
    """click-shell runs the commands that it was given, and asks the group for none."""

    class Shell(click.Group):
        def invoke(self, ctx: click.Context) -> None:
            super().invoke(ctx)
            for line in (["go", "--x", "1"], ["go", "--no-telemetry"], ["db", "up"]):
                self.commands[line[0]].main(line[1:], standalone_mode=False, parent=ctx)

    go = click.Command("go", params=[click.Option(["--x"])], callback=lambda x: None)
    db = click.Group("db", commands=[click.Command("up", callback=lambda: None)])
    shell = Shell("shell", commands=[go, db], invoke_without_command=True)
    instrument(shell, app="acme", client=recording_client)
    run(shell)
    begin, end = pair("acme")
    lines = [*pair("acme go", "x"), *pair("acme db up")]
    assert story(recording_client) == [begin, *lines, end]


def test_context_and_invoke_without_main_are_recorded(recording_client: RecordingClient) -> None:
    """`make_context` and `invoke`, as embedding programs do it."""
    cli = instrumented_group(app="acme", client=recording_client)(click.Group("cli"))
    cli.add_command(click.Command("go", callback=lambda: 7))
    with cli.make_context("cli", ["go"]) as context:
        assert cli.invoke(context) == 7
    assert story(recording_client) == pair("acme go")


def test_work_of_a_result_callback_adds_nothing_to_the_duration(
    recording_client: RecordingClient,
) -> None:
    """Completed is the end of the leaf (rules 15, 37); what is tracked later follows it."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    def go() -> Any:
        return lambda: "worked"

    @cli.result_callback()
    def work(result: Any) -> Any:
        track("Worked")
        return result()

    assert cli.main(["go"], standalone_mode=False) == "worked"
    assert story(recording_client) == [*pair("acme go"), ("Worked", "acme go", [])]


def test_coroutine_that_comes_back_unrun_has_no_duration(recording_client: RecordingClient) -> None:
    """What a callback only prepared is not reported as done in 0 ms (rule 18)."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    async def work() -> int:
        return 7

    cli.add_command(click.Command("go", callback=work))
    prepared = cli.main(["go"], standalone_mode=False)
    with pytest.raises(StopIteration):
        prepared.send(None)
    assert story(recording_client) == pair("acme go")
    assert "duration_ms" not in recording_client.events[-1]["properties"]


def test_callback_is_left_alone(cli: click.Group, recording_client: RecordingClient) -> None:
    """Applications rewrap callbacks by their signature (rule 36)."""
    deploy = cli.commands["deploy"]
    callback = deploy.callback
    run(cli, "deploy")
    assert deploy.callback is callback


def test_context_meta_is_left_alone(recording_client: RecordingClient) -> None:
    """`ctx.meta` is the application's (rule 5)."""
    seen: list[dict[str, Any]] = []

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    @click.pass_context
    def go(ctx: click.Context) -> None:
        seen.append(dict(ctx.meta))

    run(cli, "go")
    assert seen == [{}]


def test_client_that_fails_is_not_noticed(recording_client: RecordingClient) -> None:
    """All of our own logic is guarded (rule 6)."""

    class Failing:
        def record(self, message: dict[str, Any], /) -> None:
            raise RuntimeError("client")

        def close(self) -> None:
            raise RuntimeError("client")

    cli = instrumented_group(app="acme", client=Failing())(click.Group("cli"))
    cli.add_command(click.Command("go", callback=lambda: click.echo("went")))
    found = run(cli, "go")
    assert (found.output, found.exit_code, found.exception) == ("went\n", 0, None)


def test_completed_does_not_wait_for_the_context_to_close(
    recording_client: RecordingClient,
) -> None:
    """From 8.2 `ctx.exit()` closes the context, then raises; the code comes after (rule 17)."""
    seen: list[list[tuple[Any, ...]]] = []

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command()
    @click.pass_context
    def go(ctx: click.Context) -> None:
        ctx.call_on_close(lambda: seen.append(story(recording_client)))
        ctx.exit(5)

    assert run(cli, "go").exit_code == 5
    assert story(recording_client) == pair("acme go", code=5)
    assert seen[0] in (pair("acme go", code=5)[:1], pair("acme go", code=5))


def test_what_was_typed_is_not_what_is_recorded(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are normalised, arguments rewritten, and `sys.argv` means nothing (rule 35)."""
    monkeypatch.setattr("sys.argv", ["acme", "--password", "hunter2"])

    class Rewriting(click.Group):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            return super().parse_args(ctx, ["deploy" if arg == "d" else arg for arg in args])

    cli = instrument(Rewriting("cli"), app="acme", client=recording_client)
    cli.add_command(click.Command("deploy", callback=lambda: None))
    normalise = {"token_normalize_func": str.lower}
    for typed in ("d", "DEPLOY", "deploy"):
        assert run(cli, typed, **normalise).exit_code == 0
    assert story(recording_client) == pair("acme deploy") * 3


def test_root_that_ends_in_its_own_way_is_recorded_by_its_leaf(
    recording_client: RecordingClient,
) -> None:
    """Overridden `main`s map exceptions; leaves call the root's `exit` (rule 38)."""

    class Mapping(click.Group):
        def main(self, *args: Any, polite: bool = False, **kwargs: Any) -> Any:
            try:
                return super().main(*args, **{**kwargs, "standalone_mode": False})
            except ZeroDivisionError:
                return 42 if polite else 41

    cli = instrument(Mapping("cli"), app="acme", client=recording_client)
    cli.add_command(click.Command("divide", callback=lambda: 1 / 0))
    leave = click.Command("leave")
    leave.callback = lambda: click.get_current_context().find_root().exit(6)
    cli.add_command(leave)
    assert cli(["divide"], polite=True) == 42
    assert cli(["leave"]) == 6
    assert story(recording_client) == [
        *pair("acme divide", code=1, error="ZeroDivisionError"),
        *pair("acme leave", code=6),
    ]
