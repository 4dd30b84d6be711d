"""Claims of the documentation, each with the command that shows it.

`uv run python -m tests.claims` picks ten at random, runs their commands, and prints the results.
`docs/claims.md` is the list.
"""

from __future__ import annotations

import argparse
import random
import re
import shlex
import subprocess
from typing import NamedTuple

from .harness.pages import page
from .harness.processes import REPOSITORY

CLAIMS = "docs/claims.md"


class Claim(NamedTuple):
    """A row of the list.

    Attributes:
        text: the claim, in the words of its page.
        path: the page, relative to the repository.
        command: shows it; exit status 0 if it holds.
    """

    text: str
    path: str
    command: str


def claims() -> list[Claim]:
    """The rows of the list, in order."""
    rows = re.findall(r"^\| (.+) \| \[.*\]\((.+)\) \| `(.+)` \|$", page(CLAIMS).text, re.MULTILINE)
    return [Claim(text, _from_docs(target), command) for text, target, command in rows]


def _from_docs(target: str) -> str:
    return target.removeprefix("../") if target.startswith("../") else f"docs/{target}"


def main() -> None:
    """Pick claims and run their commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the choice")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    failed = 0
    for claim in random.Random(given.seed).sample(claims(), given.count):
        print(f"\n{claim.path}: {claim.text}\n$ {claim.command}", flush=True)
        run = subprocess.run(
            shlex.split(claim.command), cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        failed += run.returncode != 0
        print("\n".join(run.stdout.strip().splitlines()[-3:]), flush=True)
        print("holds" if run.returncode == 0 else f"FAILS: exit status {run.returncode}")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
