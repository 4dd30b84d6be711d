"""One trivial application, twice: as its author wrote it, and with telemetry.

They differ in the two lines that mention us and in nothing else, so that whatever a process costs
more is ours.
"""

from __future__ import annotations

BARE = """\
import click

@click.group()
def cli(): pass

@cli.command()
@click.option("--dry-run", is_flag=True)
def deploy(dry_run): click.echo("deployed")

if __name__ == "__main__":
    cli()
"""

COMMAND = ("deploy", "--dry-run")


def instrumented(**options: object) -> str:
    """The same application, instrumented.

    Args:
        **options: of `instrumented_group`, in addition to `app` and `version`.
    """
    keywords = {"app": "acme", "version": "2.1.0", **options}
    written = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
    return BARE.replace(
        "\n\n@click.group()",
        "\nfrom click_telemetry import instrumented_group"
        f"\n\n@instrumented_group({written})\n@click.group()",
        1,
    )


INSTRUMENTED = instrumented(write_key="key", notice=False)
"""It would send: it has a key, and no notice stands between a first run and the sender."""

WITHOUT_KEY = instrumented()
"""It has nowhere to send to."""

UNRESOLVED = instrumented(write_key="key", notice=False, host="https://events.invalid")
"""It would send to a name that no server ever has (RFC 6761)."""
