"""`pipeline`: its commands follow one another in one line: `pipeline lint test build publish`."""

from __future__ import annotations

import rich_click as click


@click.group(chain=True)
def pipeline() -> None:
    """Check, build and publish, in the order given.

    Name as many stages as you like: `demo-cli pipeline lint test build --tag v2`.
    """


@pipeline.result_callback()
def summarize(stages: list[str]) -> None:
    """Print what was run."""
    click.secho(f"Pipeline done: {', '.join(stages)}.", fg="green")


@pipeline.command()
def lint() -> str:
    """Look for mistakes."""
    click.echo("lint: no problems in 42 files")
    return "lint"


@pipeline.command()
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
def test(fail_fast: bool) -> str:
    """Run the tests."""
    click.echo(f"test: 128 passed{', stopping at the first failure' if fail_fast else ''}")
    return "test"


@pipeline.command()
@click.option("--tag", default="latest", show_default=True, help="What to call the image.")
def build(tag: str) -> str:
    """Build the image."""
    click.echo(f"build: image demo:{tag}")
    return "build"


@pipeline.command()
def publish() -> str:
    """Publish the image."""
    click.echo("publish: done")
    return "publish"
