"""Draws the pictures of the documentation: `uv run python docs/pictures.py`.

Each picture has a terminal of its own, with an empty home; what its commands print becomes an SVG.
Nothing leaves the machine: the only way out is a proxy that does not exist. `demo-cli` has no
write key, so what a person sees of an application that has one is shown with `acme`, below.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parent
WIDTH = 84
NO_WAY_OUT = "http://127.0.0.1:9"
SIMULATE = (
    f"sh -c 'PYTHONPATH={DOCS.parent} {sys.executable} -m tests.harness.simulation > events.jsonl'"
)
RECORDED = ("acme deploy", "acme deploy --region eu --dry-run")

ACME = """\
#!{python}
import click
from click_telemetry import instrumented_group, telemetry_group


@instrumented_group(
    app="acme",
    version="2.1.0",
    write_key="YOUR_SEGMENT_WRITE_KEY",
    host="https://events.acme.example",
    notice_url="https://acme.example/telemetry",
)
@click.group()
def cli():
    pass


@cli.command()
@click.option("--region", default="eu")
@click.option("--dry-run", is_flag=True)
def deploy(region, dry_run):
    click.echo(f"Deploying to {{region}}")


cli.add_command(telemetry_group())
cli(prog_name="acme")
"""


class Scene(NamedTuple):
    """What a picture shows.

    Attributes:
        shown: commands, with what they print.
        before: commands that were run before in the same home.
        max_lines: of a command's output; an ellipsis stands for the rest.
    """

    shown: tuple[str, ...]
    before: tuple[str, ...] = ()
    max_lines: int = 60


PICTURES = {
    "watch.svg": Scene(("click-telemetry watch -- demo-cli deploy --region eu --dry-run",)),
    "doctor.svg": Scene(("env CI=true click-telemetry doctor -- acme deploy --region eu",)),
    "notice.svg": Scene(("acme deploy --region eu", "acme deploy --region eu")),
    "status.svg": Scene(("acme telemetry status --why",), before=RECORDED),
    "show.svg": Scene(("acme telemetry show",), before=RECORDED, max_lines=36),
    "disable.svg": Scene(("acme telemetry disable", "acme telemetry status"), before=RECORDED),
    "report.svg": Scene(("click-telemetry report events.jsonl",), before=(SIMULATE,), max_lines=46),
}

# Without the fonts that rich lets the browser fetch from another server.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def run_on_terminal(command: str, home: str) -> str:
    """What a command prints on a terminal, with colours."""
    pid, terminal = pty.fork()
    if pid == 0:
        environ = {
            "HOME": home,
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "COLUMNS": str(WIDTH),
            "LINES": "40",
            "LANG": "C.UTF-8",
            "HTTPS_PROXY": NO_WAY_OUT,
        }
        os.chdir(home)
        words = shlex.split(command)
        os.execvpe(words[0], words, environ)
    output = b""
    try:
        while piece := os.read(terminal, 4096):
            output += piece
    except OSError:
        pass  # the terminal is closed: the command has ended
    os.waitpid(pid, 0)
    return output.decode().replace("\r\n", "\n")


def draw(name: str, scene: Scene) -> None:
    """Draw one picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    # A sender may still run when its home is deleted; it ends then.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        acme = Path(home, "bin", "acme")
        acme.parent.mkdir()
        acme.write_text(ACME.format(python=sys.executable), encoding="utf-8")
        acme.chmod(0o700)
        for command in scene.before:
            run_on_terminal(command, home)
        for number, command in enumerate(scene.shown):
            if number:
                console.print()
            console.print(Text.assemble(("$ ", "green"), (command, "bold")))
            lines = run_on_terminal(command, home).rstrip("\n").split("\n")
            more = ["…"] if len(lines) > scene.max_lines else []
            for line in [*lines[: scene.max_lines], *more]:
                text = Text.from_ansi(line)
                # Some renderers drop leading space unless it has a style of its own.
                text.stylize("dim", 0, len(text) - len(text.plain.lstrip()))
                console.print(text)
    picture = console.export_svg(title="", code_format=FORMAT, unique_id=name.partition(".")[0])
    (DOCS / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    for picture in sys.argv[1:] or PICTURES:
        draw(picture, PICTURES[picture])
