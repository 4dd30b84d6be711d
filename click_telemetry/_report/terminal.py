"""The report in a terminal: tables and bars, as wide as the terminal, best with 80 columns or more.

Names come from events that anyone may have sent: each is escaped, so that none moves the cursor or
sets a colour. Colour never carries meaning alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from .._commands.terminal import escape, pluralize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    Rows = Sequence[Mapping[str, Any]]

MAX_ROWS = 15
"""Of a table; `--json` and `--html` have all of them."""
MAX_NAME = 60
"""Characters of a name."""
BARS = ((100, 28), (80, 10), (0, 4))
"""Columns of a bar, in a terminal of so many columns or more."""

STYLES = {"completed": "green", "aborted": "yellow", "failed": "red"}


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print a report."""
    width = next(bar for columns, bar in BARS if console.width >= columns)
    for part in sections(report, width, console.options.ascii_only):
        console.print(part)


def sections(
    report: Mapping[str, Any], width: int, ascii_only: bool = False
) -> Iterator[RenderableType]:
    """The report's parts, from the summary to the delivery.

    Args:
        report: of `answers.build`.
        width: columns of a bar.
        ascii_only: whether the terminal has no block characters.
    """
    block = "#" if ascii_only else "█"

    def bar(part: float, whole: float, style: str = "cyan") -> Text:
        filled = round(width * part / whole) if whole else 0
        return Text(block * max(filled, 1 if part else 0), style, no_wrap=True)

    yield from _summary(report)
    yield from _commands(report, bar)
    yield from _failures(report, bar)
    yield from _flags(report)
    yield from _flows(report, bar)
    yield from _environment(report, bar)
    yield from _delivery(report)


def format_milliseconds(milliseconds: float | None) -> str:
    """Milliseconds for people: `12 ms`, `1.3 s`, `2.1 min`, `3.0 h`; empty for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    for unit, size, until in (("s", 1000, 60_000), ("min", 60_000, 3_600_000)):
        if milliseconds < until:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds / 3_600_000:,.1f} h"


def name(value: object) -> str:
    """A name for people; empty for None."""
    return "" if value is None else escape(str(value), MAX_NAME)


def percent(part: float, whole: float) -> str:
    """`4.2%`; empty for none at all."""
    return f"{100 * part / whole:.1f}%" if part and whole else ""


def summary(report: Mapping[str, Any]) -> list[str]:
    """What was read, and what was not: a line for people each."""
    sources = report["sources"]
    lines = [
        runs_of_users(report)
        + (f", {report['first_day']} to {report['last_day']}" if report["first_day"] else ""),
        f"{pluralize_number(sources['messages'], 'message')} in "
        f"{pluralize_number(sources['files'], 'file')}"
        + (f", {sources['duplicates']:,} of them duplicates" if sources["duplicates"] else ""),
    ]
    if report["since"]:
        lines.append(f"since {report['since']}")
    for row in report["sampling"]:
        lines.append(
            f"sampled at {row['sample_rate']:g}: {runs_of_users(row)}, "
            f"which stand for about {row['estimated_runs']:,.0f} runs"
        )
    return lines


def bad_lines(report: Mapping[str, Any]) -> list[str]:
    """A line about lines that are no message, if there are any, and the files with most of them."""
    sources = report["sources"]
    if not sources["bad_lines"]:
        return []
    worst = [
        f"{escape(row['file'])} ({row['bad_lines']:,}{', incomplete' * row['incomplete']})"
        for row in sources["bad_files"][:3]
    ]
    more = len(sources["bad_files"]) - len(worst)
    files = ", ".join(worst) + (f" and {more} more" if more else "")
    return [f"{pluralize_number(sources['bad_lines'], 'line')} could not be read: {files}"]


def runs_of_users(row: Mapping[str, Any]) -> str:
    """`1 run of 1 user`, `1,200 runs of 40 users`."""
    runs, users = pluralize_number(row["runs"], "run"), pluralize_number(row["users"], "user")
    return f"{runs} of {users}"


def pluralize_number(count: int, noun: str) -> str:
    """`1 file`, `1,200 files`."""
    return f"{count:,} {pluralize(count, noun).partition(' ')[2]}"


def table(*columns: str) -> Table:
    """A table without lines; the name of a column of numbers begins with `>`."""
    found = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        found.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=column.startswith(">"),
            overflow="fold",
        )
    return found


def titled(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    """A section, after an empty line."""
    yield Text()
    yield Text(title, "bold")
    yield from parts


def _more(rows: Sequence[object]) -> Iterator[Text]:
    if len(rows) > MAX_ROWS:
        yield Text(f"and {len(rows) - MAX_ROWS:,} more, which --json and --html list", "dim")


def _summary(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    first, *others = summary(report)
    yield Text(first, "bold")
    for line in others:
        yield Text(line, "dim")
    for line in bad_lines(report):
        yield Text(line, "yellow")


def _commands(report: Mapping[str, Any], bar: Any) -> Iterator[RenderableType]:
    rows = report["commands"]
    found = table("command", ">runs", "", ">users", ">failed", ">p50", ">p95")
    most = max((row["runs"] for row in rows), default=0)
    for row in rows[:MAX_ROWS]:
        failed = Text(percent(row["failures"], row["runs"]), "red" if row["failures"] else "")
        found.add_row(
            Text(name(row["command"])),
            f"{row['runs']:,}",
            bar(row["runs"], most),
            f"{row['users']:,}",
            failed,
            format_milliseconds(row["p50_ms"]),
            format_milliseconds(row["p95_ms"]),
        )
    yield from titled("Commands", found, *_more(rows))
    yield from _unused("Never used: ", report["unused_commands"])


def _unused(label: str, names: Iterable[str] | None) -> Iterator[RenderableType]:
    """What the plan declares and no run used; without a plan nothing is known."""
    if names is not None:
        listed = ", ".join(map(name, names)) or "none"
        yield Text.assemble((label, "dim"), listed)


def _failures(report: Mapping[str, Any], bar: Any) -> Iterator[RenderableType]:
    rows = report["failures"]
    if not rows:
        return
    found = table("command", "error", ">exit", ">times", "")
    for row in rows[:MAX_ROWS]:
        found.add_row(
            Text(name(row["command"])),
            Text(name(row["error_class"])),
            name(row["exit_code"]),
            f"{row['count']:,}",
            bar(row["count"], rows[0]["count"], "red"),
        )
    yield from titled("Failures", found, *_more(rows))


def _flags(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    used: dict[str, list[str]] = {}
    for row in report["flags"]:
        typed = f"{name(row['flag'])} {row['share']:.0f}%"
        used.setdefault(row["command"], []).append(typed)
    # Of a command that is never used, no flag is.
    run = {row["command"] for row in report["commands"]}
    never: dict[str, list[str]] = {}
    for row in report["unused_flags"] or ():
        if row["command"] in run:
            never.setdefault(row["command"], []).append(name(row["flag"]))
    if not used and not never:
        return
    planned = report["unused_flags"] is not None
    found = table("command", "typed, of its runs", *(["never used"] if planned else []))
    commands = [*dict.fromkeys([*used, *never])]
    for command in commands[:MAX_ROWS]:
        cells = [used.get(command, []), *([never.get(command, [])] if planned else [])]
        found.add_row(Text(name(command)), *(Text(", ".join(cell)) for cell in cells))
    yield from titled("Flags", found, *_more(commands))


def _flows(report: Mapping[str, Any], bar: Any) -> Iterator[RenderableType]:
    for flow in report["flows"]:
        counts = ", ".join(
            f"{flow[key]:,} {key}"
            for key in ("started", "completed", "aborted", "failed", "open")
            if flow[key] or key in ("started", "completed")
        )
        stops = [end for end in flow["ends"] if end["outcome"] != "completed"]
        stops.sort(key=lambda end: -end["count"])
        found = table("step", "stopped by", "", ">flows", "")
        for end in stops[:MAX_ROWS]:
            style = STYLES[end["outcome"]]
            found.add_row(
                Text(name(end["step"]) or "before the first step"),
                Text(name(end["reason"] or end["error_class"])),
                Text(end["outcome"], style),
                f"{end['count']:,}",
                bar(end["count"], stops[0]["count"], style),
            )
        yield from titled(f"Flow: {name(flow['flow'])}", Text(counts, "dim"))
        if stops:
            yield found
            yield from _more(stops)


def _environment(report: Mapping[str, Any], bar: Any) -> Iterator[RenderableType]:
    for title, key, words in (
        ("Versions", "versions", lambda row: (row["version"],)),
        ("Systems", "systems", lambda row: (row["os"], row["arch"])),
        ("Python", "pythons", lambda row: (row["python_version"],)),
        ("Run by", "callers", caller),
    ):
        rows = report[key]
        found = table("", ">runs", ">share", "", ">users")
        for row in rows[:MAX_ROWS]:
            found.add_row(
                Text(" ".join(filter(None, map(name, words(row)))) or "unknown"),
                f"{row['runs']:,}",
                f"{row['share']:.1f}%",
                bar(row["runs"], rows[0]["runs"]),
                f"{row['users']:,}",
            )
        if rows:
            yield from titled(title, found, *_more(rows))


def caller(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Who ran a command, and whether it was in CI."""
    context = str(row["cli_context"] or "unknown")
    return (context, "in CI") if row["ci"] and context != "ci" else (context,)


def delivery(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The health of delivery: pairs of a label and a value."""
    found = report["delivery"]
    measured = found["delays_measured"]
    delay = (
        f"{format_milliseconds(1000 * found['delay_p50_s'])} in the middle, "
        f"{format_milliseconds(1000 * found['delay_p95_s'])} for all but 5%"
        if measured
        else "unknown: the messages have no sentAt and no receivedAt"
    )
    health = [
        (
            f"Senders of library {name(row['library_version']) or 'unknown'}",
            f"{pluralize_number(row['users'], 'user')}: {row['delivered'] or 0:,} delivered after "
            f"{format_milliseconds(row['mean_delay_ms']) or 'unknown'} on average and "
            f"{format_milliseconds(row['longest_delay_ms']) or 'unknown'} at most; "
            f"{row['rejected'] or 0:,} rejected, {row['dropped'] or 0:,} dropped, "
            f"{row['failed_attempts'] or 0:,} failed attempts",
        )
        for row in found["health"]
    ]
    return [
        ("From event to delivery", delay),
        ("Events dropped before delivery", f"{found['dropped']:,}"),
        ("Runs whose process vanished", f"{found['unfinished']:,}"),
        ("Runs without an end yet", f"{found['without_end']:,}"),
        *health,
    ]


def _delivery(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    found = Table.grid(padding=(0, 2, 0, 0))
    for label, value in delivery(report):
        found.add_row(Text(label, "dim"), value)
    yield from titled("Delivery", found)
