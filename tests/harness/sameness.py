"""The same program twice, bare and instrumented: what a person sees must not differ."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from .processes import Cli

PROGRAM = """
import os, sys
import click
from click_telemetry import instrument, track
{head}

@click.group()
def cli():
{group}

@cli.command()
@click.pass_context
def go(ctx):
    click.echo("out")
    click.echo("err", err=True)
{body}

if "BARE" not in os.environ:
    instrument(cli, app="acme", version="2.1.0", write_key="key", notice=False)

if __name__ == "__main__":
    cli()
"""


class Seen(NamedTuple):
    """What is seen of a run."""

    returncode: int
    stdout: bytes
    stderr: bytes


def program(body: str = "", *, group: str = "pass", head: str = "") -> str:
    """A program whose command `go` prints `out` and `err`, then does what a test is about.

    Args:
        body: what the command does then.
        group: what the group's callback does.
        head: what the module does first.
    """
    return PROGRAM.format(
        head=textwrap.dedent(head),
        group=textwrap.indent(textwrap.dedent(group), "    "),
        body=textwrap.indent(textwrap.dedent(body), "    "),
    )


def seen(
    cli: Cli,
    env: dict[str, str] | None = None,
    wrapper: tuple[str, ...] = (),
    **options: Any,
) -> Seen:
    """One run of `go`.

    Args:
        cli: a program.
        env: further variables.
        wrapper: a command line to run it under.
        **options: of `subprocess.Popen`.
    """
    ran = subprocess.run(
        [*wrapper, *cli.command("go")],
        **{
            "env": cli.env(env),
            "stdin": subprocess.DEVNULL,
            "capture_output": True,
            "timeout": 60,
            "cwd": cli.home.path,
            "check": False,
            **options,
        },
    )
    return Seen(ran.returncode, ran.stdout, ran.stderr)


def same(cli: Cli, env: dict[str, str] | None = None, **options: Any) -> Seen:
    """Run it bare, then instrumented; fail unless a person sees the same. Gives what was seen."""
    bare = seen(cli, {**(env or {}), "BARE": "1"}, **options)
    instrumented = seen(cli, env, **options)
    assert instrumented == bare
    return instrumented


def limited(limits: dict[int, int]) -> Callable[[], None]:
    """For `preexec_fn`: resource limits, by `resource`'s numbers."""
    import resource

    def limit() -> None:
        for which, most in limits.items():
            resource.setrlimit(which, (most, most))

    return limit


def masked(umask: int) -> Callable[[], None]:
    """For `preexec_fn`: a umask."""

    def mask() -> None:
        os.umask(umask)

    return mask
