"""The commands that only read: `status` and `show`. Each prints text, or JSON for scripts.

The status is a report as values, collected once. The messages are those that would be sent.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timezone
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .._foreground.consent import DISABLED, NONE, UNREADABLE
from .._recorder import (
    CLIENT,
    CONTAINER_FILES,
    CONTAINER_VARIABLES,
    LOG,
    OFF,
    SEND,
    WATCH,
    was_shown,
)
from .application import (
    NO_EFFECT,
    OPTS_OUT,
    decisive,
    find_application,
    setting_problem,
    switches,
)
from .spools import messages_to_send, read_spools, stored_id
from .terminal import (
    describe_delivery_error,
    escape,
    format_duration,
    format_time,
    pluralize,
    printer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .application import Application, Switch
    from .spools import SpoolReport

LABEL_WIDTH = 15
MAX_VALUE = 40
"""Characters of a variable's value; `--json` prints all of them."""

_KEY = re.compile(r'^( *)("(?:[^"\\]|\\.)*")(?=: )', re.MULTILINE)

_MODES = {
    SEND: "on: commands are recorded and sent.",
    LOG: "in log mode: messages are printed on stderr, and none is sent.",
    CLIENT: "on: the application's own client receives the messages.",
    WATCH: "on: click-telemetry watch receives the messages on this machine.",
}


# Status -------------------------------------------------------------------------------------------


class StatusReport(NamedTuple):
    """Everything that `status` shows.

    Attributes:
        application: the application.
        switches: all of them, in the order in which they are evaluated.
        decisive: the key of the one that decides; empty if none opts out.
        setting_problem: why the saved setting cannot be read; empty if it can be.
        anonymous_id: the stored one, or None.
        notice_shown: whether the notice has been shown.
        spools: the current destination's first.
    """

    application: Application
    switches: list[Switch]
    decisive: str
    setting_problem: str
    anonymous_id: str | None
    notice_shown: bool
    spools: list[SpoolReport]

    @property
    def delivery_problem(self) -> str:
        """Why events that are recorded now cannot be delivered, as a clause; empty if they can."""
        application = self.application
        destination, directories = application.decision.destination, application.directories
        if application.decision.mode != SEND or destination is None or directories is None:
            return ""
        current = os.path.join(directories.spool, destination.digest)
        found = [spool.problem for spool in self.spools if spool.directory == current]
        return describe_delivery_error(found[0]) if found and found[0] else ""


def status(context: click.Context, *, why: bool, as_json: bool) -> None:
    """Print whether telemetry is on, what is queued, what was sent and the last error.

    Args:
        context: the command's.
        why: whether to list the switches.
        as_json: whether to print JSON, and nothing else.
    """
    report = report_of(find_application(context))
    if as_json:
        click.echo(json.dumps(report_as_json(report), indent=2, allow_nan=False))
        return
    output = printer(context)
    for line in _report_lines(report):
        output(line)
    if why:
        output("")
        for line in _switch_lines(report):
            output(line)
    output("")
    for line in _hints(report, why):
        output(line)


def report_of(application: Application) -> StatusReport:
    """Collect the report; nothing is changed."""
    directories = application.directories
    return StatusReport(
        application,
        switches(application),
        decisive(application.decision),
        setting_problem(directories.setting) if directories is not None else "",
        stored_id(directories),
        directories is not None and was_shown(directories.notice),
        read_spools(directories, application.destinations),
    )


# Status as JSON -----------------------------------------------------------------------------------


def report_as_json(report: StatusReport) -> dict[str, Any]:
    """The whole report. Its keys are a public contract; times are RFC 3339 in UTC."""
    application, spools = report.application, report.spools
    decision, directories = application.decision, application.directories
    return {
        "app": application.settings.app,
        "mode": decision.mode,
        "reason": decision.reason or None,
        "detail": decision.detail or None,
        "reason_text": application.off_reason() if decision.mode == OFF else None,
        "switches": [
            {**switch._asdict(), "wins": switch.key == report.decisive}
            for switch in report.switches
        ],
        "setting": application.setting,
        "setting_problem": report.setting_problem or None,
        "notice_shown": report.notice_shown,
        "anonymous_id": report.anonymous_id,
        "in_container": _in_container(application.environ),
        "paths": {
            "setting": directories.setting if directories is not None else None,
            "state": directories.state if directories is not None else None,
        },
        "queue": {
            "files": sum(len(spool.files) for spool in spools),
            "messages": sum(spool.queued for spool in spools),
            "oldest": _utc(min((s.oldest for s in spools if s.oldest is not None), default=None)),
        },
        "delivered": sum(spool.state.delivered for spool in spools),
        "rejected": sum(spool.state.rejected for spool in spools),
        "dropped": sum(spool.state.dropped for spool in spools),
        "hosts": [known.destination.host for known in application.destinations],
        "delivery_problem": report.delivery_problem or None,
        "destinations": [_spool_as_json(spool) for spool in spools],
    }


def _spool_as_json(spool: SpoolReport) -> dict[str, Any]:
    known, state = spool.known, spool.state
    error = state.last_error
    return {
        "directory": spool.directory,
        "current": known is not None,
        "kind": known.kind if known is not None else None,
        "host": known.destination.host if known is not None else None,
        "identified": known.identified if known is not None else None,
        "sending": spool.sending,
        "files": len(spool.files),
        "messages": spool.queued,
        "oldest": _utc(spool.oldest),
        "delivered": state.delivered,
        "delivered_at": _utc(state.delivered_at),
        "rejected": state.rejected,
        "dropped": state.dropped,
        "failures": state.failures,
        "failed_at": _utc(state.failed_at),
        "last_error": error,
        "last_error_in_words": describe_delivery_error(error) if error else None,
        "not_before": _utc(spool.not_before),
    }


def _in_container(environ: Mapping[str, str]) -> bool:
    return any(name in environ for name in CONTAINER_VARIABLES) or any(
        os.path.exists(path) for path in CONTAINER_FILES
    )


def _utc(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339."""
    if seconds is None:
        return None
    try:
        found = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


# Status as text -----------------------------------------------------------------------------------


def _report_lines(report: StatusReport) -> Iterator[str]:
    application = report.application
    decision, directories = application.decision, application.directories
    mode = f"off: {application.off_reason()}." if decision.mode == OFF else _MODES[decision.mode]
    if report.delivery_problem:
        mode = "on: commands are recorded, and cannot be delivered now."
    yield click.style(f"Telemetry for {application.settings.app} is {mode}", bold=True)
    yield ""
    if directories is None:
        yield _line("Directories", "none: HOME is not set to an absolute path", fg="yellow")
        return
    if application.setting == UNREADABLE:
        yield _line(
            "Saved setting", f"it {report.setting_problem or 'cannot be read'}", fg="yellow"
        )
    else:
        yield _line("Saved setting", application.setting)
    yield _line("", application.path(directories.setting), dim=True)
    yield from _destination_lines(application)
    yield _line("Anonymous ID", report.anonymous_id or NONE)
    if report.anonymous_id:
        app = application.settings.app
        yield _line("", f"give it to {app}'s maintainers to have sent data deleted", dim=True)
    yield _line("Stored in", application.path(directories.state))
    if not report.spools:
        yield _line("Queue", "empty")
    for spool in report.spools:
        yield from _spool_lines(spool)


def _destination_lines(application: Application) -> Iterator[str]:
    if application.settings.client is not None:
        yield _line("Destination", "the application's own client")
        return
    if not application.destinations:
        yield _line("Destination", NONE)
    for known in application.destinations:
        kind = "" if known.kind == "segment" else f"{known.kind}, "
        when = " while you are signed in" if known.identified else ""
        yield _line("Destination", kind + escape(known.destination.host, 80) + when)


def _spool_lines(spool: SpoolReport) -> Iterator[str]:
    known, state = spool.known, spool.state
    if known is None:
        yield _line("Former queue", "for another write key or host than the current one:")
    elif known.identified:
        yield _line("Signed in", f"with your account, at {escape(known.destination.host, 50)}:")
    if spool.oldest is None:
        yield _line("Queue", "empty")
    else:
        size = f"{pluralize(spool.queued, 'message')} in {pluralize(len(spool.files), 'file')}"
        yield _line("Queue", f"{size}, the oldest {format_duration(time() - spool.oldest)} old")
    last = f", the last at {format_time(state.delivered_at)}" if state.delivered_at else ""
    yield _line("Delivered", pluralize(state.delivered, "message") + last)
    if state.rejected:
        yield _line("Rejected", f"{pluralize(state.rejected, 'message')}, by the server")
    if state.dropped:
        yield _line("Dropped", f"{pluralize(state.dropped, 'message')}: too old, many or large")
    error = spool.problem or (state.last_error if state.rejected else "")
    if error:
        failed_at = state.failed_at if error == state.last_error else None
        at = f", at {format_time(failed_at)}" if failed_at else ""
        yield _line("Last error", escape(describe_delivery_error(error), 100) + at, fg="yellow")
    if spool.sending:
        yield _line("Sender", "running")
    elif spool.not_before is not None:
        yield _line("Next attempt", f"not before {format_time(spool.not_before)}")


def _switch_lines(report: StatusReport) -> Iterator[str]:
    width = max(len(switch.name) for switch in report.switches) + 2
    yield click.style("The first switch that is off decides.", bold=True)
    yield ""
    for switch in report.switches:
        decides = switch.key == report.decisive
        value = "not set" if switch.value is None else escape(switch.value, MAX_VALUE) or "empty"
        line = "  " + click.style(switch.name.ljust(width), bold=decides or None)
        if switch.effect == NO_EFFECT:
            line += click.style(value, dim=True)
        else:
            color = "red" if switch.effect == OPTS_OUT else "green"
            line += value + "  " + click.style(switch.effect, fg=color, bold=decides or None)
        yield line + (click.style("  <- decides", bold=True) if decides else "")


def _hints(report: StatusReport, why: bool) -> Iterator[str]:
    group = report.application.group
    if not why:
        yield f"All switches:  {group} status --why"
    if any(spool.files for spool in report.spools):
        yield f"Messages:      {group} show"
    if report.application.setting in (DISABLED, UNREADABLE):
        yield f"To enable:     {group} enable"
    else:
        yield f"To disable:    {group} disable"


def _line(label: str, value: str, **style: Any) -> str:
    return f"  {label:<{LABEL_WIDTH}}" + (click.style(value, **style) if style else value)


# Queued messages ----------------------------------------------------------------------------------


def show(context: click.Context, *, as_json: bool) -> None:
    """Print the queued messages, exactly as they would be sent.

    Args:
        context: the command's.
        as_json: one message per line and nothing else, in ASCII.
    """
    application = find_application(context)
    spools = read_spools(application.directories, application.destinations)
    anonymous_id = stored_id(application.directories)
    if as_json:
        for spool in spools:
            for message in messages_to_send(spool, anonymous_id):
                click.echo(json.dumps(message, separators=(",", ":"), allow_nan=False))
        return
    output = printer(context)
    app = application.settings.app
    if not any(spool.queued for spool in spools):
        output(f"The queue of {app} is empty.")
        return
    for spool in spools:
        messages = messages_to_send(spool, anonymous_id)
        if messages:
            where = "" if spool.known else " for another write key or host than the current one"
            output(f"{pluralize(len(messages), 'message')} in the queue of {app}{where}:")
            for message in messages:
                output("")
                output(_highlighted(message))
    output("")
    output(f"To delete them: {application.group} purge")


def _highlighted(message: dict[str, Any]) -> str:
    """Indented JSON in ASCII, with coloured keys."""
    text = json.dumps(message, indent=2, allow_nan=False)
    return _KEY.sub(lambda found: found[1] + click.style(found[2], fg="blue"), text)
