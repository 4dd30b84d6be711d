"""Draws the README's pictures from real runs: `uv run python docs/pictures.py`.

Each command runs in a terminal of its own, with an empty home; what it prints becomes an SVG.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parent
WIDTH = 84
PICTURES = {
    "watch.svg": "click-telemetry watch -- demo-cli deploy --region eu --dry-run",
}

# Without the fonts that rich would have a reader's browser fetch from somebody's server.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def seen(command: str) -> str:
    """What a person sees who runs a command in a terminal, colours included."""
    with tempfile.TemporaryDirectory() as home:
        pid, terminal = pty.fork()
        if pid == 0:
            environ = {
                "HOME": home,
                "PATH": os.environ["PATH"],
                "TERM": "xterm-256color",
                "COLUMNS": str(WIDTH),
                "LINES": "40",
                "LANG": "C.UTF-8",
            }
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


def draw(name: str, command: str) -> None:
    """Draw one picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (command, "bold")))
    console.print(Text.from_ansi(seen(command)))
    picture = console.export_svg(title="", code_format=FORMAT, unique_id=name.partition(".")[0])
    (DOCS / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    for picture, line in PICTURES.items():
        draw(picture, line)
