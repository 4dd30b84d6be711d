"""The report as one page: HTML with SVG charts, without a script or anything from elsewhere.

Names come from events that anyone may have sent. Each is made printable, then escaped, and the page
forbids itself to load or run anything. It is light or dark as the reader's system is; each chart
has a title, and its numbers are next to it as text.
"""

from __future__ import annotations

from datetime import date
from html import escape as html_escape
from typing import TYPE_CHECKING, Any, NamedTuple

from .terminal import (
    bad_lines,
    caller,
    delivery,
    format_milliseconds,
    name,
    percent,
    pluralize_number,
    runs_of_users,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_BARS = 25
"""Of a chart; its table has all rows."""
MAX_DAYS = 120
"""Columns of the chart of days: the last ones."""

_STYLE = """
:root { color-scheme: light dark; --text: #1c2733; --dim: #5a6875; --page: #ffffff; --card: #f5f7f9;
  --line: #d8dee4; --runs: #2463a8; --completed: #2a7a4b; --aborted: #9a6700; --failed: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9aa7b3; --page: #0e141b;
  --card: #161e27; --line: #2c3844; --runs: #6cb0f5; --completed: #5cc489; --aborted: #e0b050;
  --failed: #ff8a7a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem; background: var(--page);
  color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; } .dim { color: var(--dim); } .bad { color: var(--failed); }
figure { margin: .75rem 0; padding: 1rem; background: var(--card); border-radius: .5rem; }
svg { display: block; width: 100%; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; } svg .value { fill: var(--dim); }
.runs { fill: var(--runs); } .completed { fill: var(--completed); }
.aborted { fill: var(--aborted); } .failed { fill: var(--failed); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; min-width: 50%; }
caption { text-align: left; color: var(--dim); }
th, td { padding: .2rem 1rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word; vertical-align: top; }
th.number, td.number { text-align: right; white-space: nowrap; }
:is(th, td):not(.number) { min-width: 8rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 0 2rem; }
@media (max-width: 30rem) { .grid { grid-template-columns: 1fr; } }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Bar(NamedTuple):
    """One bar of a chart.

    Attributes:
        label: what it stands for.
        value: its length.
        text: next to it.
        style: its class: `runs`, `completed`, `aborted` or `failed`.
    """

    label: str
    value: float
    text: str
    style: str = "runs"


def render(report: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        report: of `answers.build`.
    """
    title, *lines = summary(report)
    parts = [
        f"<h1>{_text(title)}</h1>",
        *(f'<p class="dim">{_text(line)}</p>' for line in lines),
        *(f'<p class="bad">{_text(line)}</p>' for line in bad_lines(report)),
        _days(report["days"]),
        _commands(report),
        _failures(report["failures"]),
        _flags(report),
        *map(_flow, report["flows"]),
        _environment(report),
        _section(
            "Delivery", _table("The health of delivery", ("", ""), delivery(report), header=False)
        ),
        _section(
            "Events",
            _table(
                "All events by name",
                ("event", ">times", ">users"),
                [(name(row["event"]), row["count"], row["users"]) for row in report["events"]],
            ),
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, parts))
        + "\n</main>\n</body>\n</html>\n"
    )


# Sections -----------------------------------------------------------------------------------------


def _days(days: Sequence[Mapping[str, Any]]) -> str:
    if len(days) < 2:
        return ""
    shown = days[-MAX_DAYS:]
    most = max(day["runs"] for day in shown)
    width, height = 100 / len(shown), 160
    columns = []
    for number, day in enumerate(shown):
        tall = height * day["runs"] / most
        columns.append(
            f'<rect class="runs" x="{number * width:.2f}%" y="{height - tall + 20:.1f}" '
            f'width="{width * 0.85:.2f}%" height="{tall:.1f}">'
            f"<title>{day['day']}: {runs_of_users(day)}</title></rect>"
        )
    first, last = shown[0]["day"], shown[-1]["day"]
    labels = (
        f'<text y="14" class="value">{pluralize_number(most, "run")}</text>'
        f'<text y="198">{first}</text><text x="100%" y="198" text-anchor="end">{last}</text>'
    )
    title = f"Runs by day, from {first} to {last}; the most on one day are {most:,}."
    if (date.fromisoformat(last) - date.fromisoformat(first)).days >= len(shown):
        title += " Days without a run are left out."
    return _section("Runs by day", _svg(title, 205, "".join(columns) + labels))


def _commands(report: Mapping[str, Any]) -> str:
    rows = report["commands"]
    chart = _bars(
        "Commands by runs",
        [Bar(name(row["command"]), row["runs"], f"{row['runs']:,}") for row in rows],
    )
    table = _table(
        "Commands: runs, users, how they ended, and durations",
        ("command", ">runs", ">share", ">users", ">failed", ">cancelled", ">p50", ">p95"),
        [
            (
                name(row["command"]),
                row["runs"],
                f"{row['share']:.1f}%",
                row["users"],
                percent(row["failures"], row["runs"]),
                percent(row["cancelled"], row["runs"]),
                format_milliseconds(row["p50_ms"]),
                format_milliseconds(row["p95_ms"]),
            )
            for row in rows
        ],
    )
    unused = report["unused_commands"]
    never = ""
    if unused is not None:
        never = f"<p>Never used: {_text(', '.join(map(name, unused)) or 'none')}</p>"
    return _section("Commands", chart + table + never)


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    table = _table(
        "Failures by command and error class",
        ("command", "error class", ">exit", ">times", ">users"),
        [
            (
                name(row["command"]),
                name(row["error_class"]),
                name(row["exit_code"]),
                row["count"],
                row["users"],
            )
            for row in rows
        ],
    )
    chart = _bars(
        "Failures by command and error class",
        [
            Bar(
                f"{name(row['command'])}: "
                + (name(row["error_class"]) or f"exit {name(row['exit_code'])}"),
                row["count"],
                f"{row['count']:,}",
                "failed",
            )
            for row in rows
        ],
    )
    return _section("Failures", chart + table)


def _flags(report: Mapping[str, Any]) -> str:
    typed = _table(
        "Flags that were typed",
        ("command", "flag", ">runs", ">of its runs"),
        [
            (name(row["command"]), name(row["flag"]), row["runs"], f"{row['share']:.1f}%")
            for row in report["flags"]
        ],
    )
    unused = report["unused_flags"]
    never = "" if unused is None else "<p>Every declared flag is used.</p>"
    if unused:
        never = _table(
            "Flags that are never used",
            ("command", "flag"),
            [(name(row["command"]), name(row["flag"])) for row in unused],
        )
    return _section("Flags", typed + never) if report["flags"] or unused else ""


def _flow(flow: Mapping[str, Any]) -> str:
    ends = sorted(flow["ends"], key=lambda end: -end["count"])
    stops = [end for end in ends if end["outcome"] != "completed"]
    counts = [
        Bar(key, flow[key], f"{flow[key]:,}", key if key in _FLOW_STYLES else "runs")
        for key in ("started", *_FLOW_STYLES, "open")
    ]
    where = [
        Bar(
            f"{name(end['step']) or 'before the first step'}: "
            f"{name(end['reason'] or end['error_class']) or end['outcome']}",
            end["count"],
            f"{end['count']:,} {end['outcome']}",
            end["outcome"],
        )
        for end in stops
    ]
    table = _table(
        "Ends",
        ("outcome", "step", "reason", "error class", ">flows"),
        [
            (
                end["outcome"],
                *(name(end[key]) for key in ("step", "reason", "error_class")),
                end["count"],
            )
            for end in ends
        ],
    )
    shown = name(flow["flow"])
    charts = _bars(f"{shown}: how many started, and how they ended", counts)
    if where:
        charts += _bars(f"{shown}: where people stop, and why", where)
    return _section(f"Flow: {shown}", charts + table)


_FLOW_STYLES = ("completed", "aborted", "failed")


def _environment(report: Mapping[str, Any]) -> str:
    charts = []
    for title, key, words in (
        ("Versions", "versions", lambda row: (row["version"],)),
        ("Systems", "systems", lambda row: (row["os"], row["arch"])),
        ("Python", "pythons", lambda row: (row["python_version"],)),
        ("Run by", "callers", caller),
    ):
        bars = [
            Bar(
                " ".join(filter(None, map(name, words(row)))) or "unknown",
                row["runs"],
                f"{row['share']:.1f}%, {pluralize_number(row['users'], 'user')}",
            )
            for row in report[key]
        ]
        if bars:
            charts.append(_bars(title, bars))
    grid = f'<div class="grid">{"".join(charts)}</div>'
    return _section("Where it runs", grid) if charts else ""


# Elements -----------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{content}\n</section>"


def _bars(title: str, bars: Sequence[Bar]) -> str:
    """A chart of horizontal bars, with a label and its text above each; empty without any."""
    shown = bars[:MAX_BARS]
    most = max((bar.value for bar in shown), default=0) or 1
    content = []
    for number, bar in enumerate(shown):
        top, long = number * 40, max(100 * bar.value / most, 0.2 if bar.value else 0)
        content.append(
            f'<text y="{top + 14}">{_text(bar.label)}'
            f'<tspan class="value" dx="8">{_text(bar.text)}</tspan></text>'
            f'<rect class="{bar.style}" y="{top + 19}" width="{long:.2f}%" height="13" rx="2"/>'
        )
    more = len(bars) - len(shown)
    caption = title + (f"; {more:,} more are in the table" if more else "")
    return _svg(caption, 40 * len(shown), "".join(content)) if shown else ""


def _svg(title: str, height: int, content: str) -> str:
    """A chart as wide as the page, by per cent: its text is as large on a telephone."""
    return (
        f'<figure><figcaption class="dim">{_text(title)}</figcaption>'
        f'<svg role="img" aria-label="{_text(title)}" height="{height}">{content}</svg></figure>'
    )


def _table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, header: bool = True
) -> str:
    """A table; the name of a column of numbers begins with `>`."""
    classes = [' class="number"' if column.startswith(">") else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{_text(column.lstrip(">"))}</th>'
        for column, kind in zip(columns, classes, strict=True)
    )
    body = []
    for row in rows:
        first, *others = (
            f"{cell:,}" if isinstance(cell, int) else _text(str(cell)) for cell in row
        )
        cells = "".join(
            f"<td{kind}>{cell}</td>" for cell, kind in zip(others, classes[1:], strict=True)
        )
        body.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    top = f"<thead><tr>{head}</tr></thead>" if header else ""
    return (
        f'<div class="scroll"><table><caption>{_text(caption)}</caption>{top}'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _text(text: str) -> str:
    return html_escape(text, quote=True)
