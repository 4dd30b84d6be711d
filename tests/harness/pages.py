"""The pages of the documentation, as the tests read them: snippets, tables, links."""

from __future__ import annotations

import re
from typing import NamedTuple

from .processes import REPOSITORY


class Page(NamedTuple):
    """A page of Markdown.

    Attributes:
        path: of the file, relative to the repository.
        text: its content.
    """

    path: str
    text: str

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of a language, in order."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)

    def snippet(self, containing: str) -> str:
        """The Python snippet that contains a text."""
        (found,) = [block for block in self.blocks("python") if containing in block]
        return found

    def section(self, heading: str) -> str:
        """A section's text, up to the next heading."""
        after = self.text.split(f"# {heading}\n", 1)[1]
        return re.split(r"^#+ ", after, flags=re.MULTILINE)[0]

    def table_names(self, heading: str) -> list[str]:
        """The names in the first column of the tables that begin with a heading."""
        column: list[str] = []
        for table in self.text.split(f"\n{heading}\n")[1:]:
            rows = table.splitlines()[1:]
            column += [row.split("|")[1] for row in rows[: [*rows, ""].index("")]]
        return [name for cell in column for name in re.findall(r"`(\w+)`", cell)]

    def links(self) -> list[str]:
        """The targets of its links and pictures."""
        return re.findall(r"\]\(([^)\s]+)\)", self.text)


def page(path: str) -> Page:
    """A page by its path, relative to the repository."""
    return Page(path, (REPOSITORY / path).read_text(encoding="utf-8"))
