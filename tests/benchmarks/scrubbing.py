"""What the scrubber and detect-secrets find and cost, on the same texts in the same run.

`uv run --group benchmark python -m tests.benchmarks.scrubbing` prints one table. detect-secrets
looks for credentials in source code; personal marks (addresses, home paths) are none of its
business, so they are counted apart. Below it is the time of one event: the slowest properties of
`corpora.ADVERSARIAL`, whose limit is 50 ms.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

from click_telemetry._events.properties import convert_properties
from click_telemetry._scrub import scrub

from ..harness import corpora

PERSONAL = frozenset(("email", "ip", "home-path"))
EACH = 24
IMPORTS = 15
SLOWEST = 5

Finds = Callable[[list[str]], int]
"""In how many texts something is found."""


def ours(texts: list[str]) -> int:
    """What the scrubber takes something out of."""
    return sum(scrub(text) != text for text in texts)


def whole_file(texts: list[str]) -> int:
    """What detect-secrets reports of a file with all of the texts, as it is meant to be used."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    owner = [number for number, text in enumerate(texts) for _ in text.split("\n")]
    with tempfile.TemporaryDirectory() as directory, default_settings():
        file = Path(directory, "texts.txt")
        file.write_text("\n".join(texts), encoding="utf-8", newline="\n")
        return len({owner[secret.line_number - 1] for secret in scan_file(str(file))})


def line_by_line(texts: list[str]) -> int:
    """What it reports of single strings, a way of its own that looks harder."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    with default_settings():
        return sum(any(any(scan_line(line)) for line in text.split("\n")) for text in texts)


def import_ms(statement: str) -> float:
    """Milliseconds of an import in a process that has loaded Click, the median of some."""
    source = (
        "import click, time; import click_telemetry._events.text\n"
        f"a = time.perf_counter()\n{statement}\nprint((time.perf_counter() - a) * 1000)"
    )
    command = [sys.executable, "-c", source]
    environ = {"PATH": "", "PYTHONDONTWRITEBYTECODE": ""}
    return median(
        float(
            subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
        )
        for _ in range(IMPORTS)
    )


def caught(finds: Finds, texts: list[str]) -> float:
    """The share of texts in which something is found, in per cent."""
    return 100 * finds(texts) / len(texts)


def microseconds(finds: Finds, texts: list[str]) -> float:
    """Of one text, the best of three rounds over all of them, warm."""
    rounds = []
    for _ in range(3):
        began = perf_counter()
        finds(texts)
        rounds.append(perf_counter() - began)
    return min(rounds) / len(texts) * 1e6


def milliseconds(properties: dict[str, Any]) -> float:
    """Of the conversion of one event's properties, the best of three; of this thread alone."""
    rounds = []
    for _ in range(3):
        began = thread_time()
        convert_properties(properties)
        rounds.append(thread_time() - began)
    return min(rounds) * 1_000


def main() -> None:
    """Print the table."""
    found = list(corpora.examples(each=EACH))
    secrets = [text for family, text, _ in found if family not in PERSONAL]
    personal = [text for family, text, _ in found if family in PERSONAL]
    benign = list(corpora.benign(each=EACH))
    names = corpora.identifiers()
    print(
        f"Python {sys.version.split()[0]}, detect-secrets {version('detect-secrets')}; "
        f"{len(secrets)} secrets, {len(personal)} personal marks, {len(benign)} benign texts, "
        f"{len(names)} names of libraries\n"
    )
    columns = ("secrets found", "personal found", "benign touched", "names touched")
    print(f"{'':<23}" + "".join(f"{column:>16}" for column in (*columns, "a text", "import")))
    theirs = "from detect_secrets.core.scan import scan_file"
    for name, finds, statement in (
        ("click_telemetry", ours, "from click_telemetry._scrub import scrub"),
        ("detect-secrets, a file", whole_file, theirs),
        ("detect-secrets, strings", line_by_line, theirs),
    ):
        shares = "".join(
            f"{caught(finds, texts):>14.1f} %" for texts in (secrets, personal, benign, names)
        )
        took = microseconds(finds, [*secrets, *personal, *benign])
        print(f"{name:<23}{shares}{took:>13.1f} µs{import_ms(statement):>13.1f} ms", flush=True)
    found_times = {kind: milliseconds(given) for kind, given in corpora.ADVERSARIAL.items()}
    print(f"\nOne event, the slowest of {len(found_times)} adversarial ones:")
    for kind in sorted(found_times, key=found_times.__getitem__, reverse=True)[:SLOWEST]:
        print(f"{found_times[kind]:>8.1f} ms  {kind}")


if __name__ == "__main__":
    main()
