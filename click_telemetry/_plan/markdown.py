"""The plan as TELEMETRY.md: a page for the people who run the application, in plain words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .._reader import COMMAND_COMPLETED, COMMAND_INVOKED, Composer
from .._recorder import DEFAULT_HOST
from .._sender.retention import MAX_AGE, MAX_BYTES, MAX_FILES
from .expressions import UNKNOWN
from .message_schema import has_introduction
from .model import WORD
from .words import list_of, properties_table, prose, table, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._recorder import Settings
    from .model import Plan, PlannedFlow
    from .tree import Command

_DAYS = int(MAX_AGE // 86_400)
_UNKNOWN_NAMES = "whose names the program makes as it runs"
_EXAMPLE_TIME = 1_784_556_202_131_000_000
_EXAMPLE_ID = "c0a8e5d2-93c7-4b0e-a1f2-5f6f4b1f9b07"
_EXAMPLE_DIGITS = "ed43c1f47f1b5bf4f50a53e6d79b1dc4"


def page(plan: Plan) -> str:
    """The page."""
    app = plan.settings.app
    sections = [
        (f"# Telemetry of {app}", _introduction(plan)),
        ("## What is recorded of each command", _of_each_command(plan)),
        ("## Commands", _commands(plan)),
        ("## Events", _events(plan)),
        ("## Things that people go through", _flows(plan)),
        ("## Who is signed in", _user(plan)),
        ("## What is never recorded", _never(plan)),
        ("## Where it goes", _destination(plan)),
        ("## How to opt out", _opt_out(plan)),
        ("## How to see and delete it", _delete(plan)),
        ("## What this page cannot list", _unknown(plan)),
    ]
    texts = [(heading, "\n".join(lines).strip()) for heading, lines in sections]
    whole = "\n\n".join(f"{heading}\n\n{text}" for heading, text in texts if text) + "\n"
    return re.sub(r"\n{3,}", "\n\n", whole)


def _introduction(plan: Plan) -> Iterator[str]:
    settings, app = plan.settings, plan.settings.app
    yield "<!-- Made by `click-telemetry plan`. Do not edit it. -->"
    yield ""
    yield f"{app} records which of its commands are used, with which options, and how they end."
    if settings.consent == "opt-in":
        command = "" if plan.tree.telemetry is None else f"`{plan.tree.telemetry} enable`, or "
        setting = f'{command}`{{"enabled": true}}` in `~/.config/{app}/telemetry.json`'
        yield f"Nothing is recorded unless you enable it: {setting}."
    elif settings.notice is False:
        yield f"{app} informs you of it, and you can opt out at any time."
    else:
        yield (
            "The first run on a terminal informs you and records nothing. You can opt out at any "
            "time."
        )
    yield "This page lists everything that can be sent. A message looks like this:"
    yield ""
    yield "```json"
    yield json.dumps(_example(plan), indent=2)
    yield "```"


def _example(plan: Plan) -> Any:
    """The end of a command, composed as the sender does.

    Its versions are always the same, so that no release makes the page stale.
    """
    settings = plan.settings
    shown = [one for one in plan.commands.values() if "<" not in one.path]
    command = max(shown, key=lambda one: bool(_own_flags(plan, one)), default=None)
    head = {"v": 1, "app": settings.app, "version": "1.2.3", "library": "0.2.0"}
    head |= {"python": 0x030D00F0, "platform": "linux", "machine": "x86_64", "ci": 0, "agent": ""}
    head |= {"tty": 7, "container": 0, "id": _EXAMPLE_ID, "session": None, **settings.head}
    composer = Composer(_EXAMPLE_DIGITS)
    composer.feed(head)
    path = settings.app if command is None else command.path
    flags = [] if command is None else sorted(_own_flags(plan, command))[:2]
    own = {name: one.schema["const"] for name, one in plan.common.items() if "const" in one.schema}
    begin = {"run": 1, "n": 1, "at": _EXAMPLE_TIME, "command": path, "flags": flags, "p": own}
    composer.feed(begin)
    end = {"run": 1, "n": 2, "at": _EXAMPLE_TIME, "exit": 0, "ms": 13, "p": own}
    return composer.feed(end)[0]


def _of_each_command(plan: Plan) -> Iterator[str]:
    begins = "begins (Command Invoked) and when it ends" if _begins(plan) else "ends"
    yield f"When a command {begins} (Command Completed):"
    yield ""
    rate = plan.settings.sample
    sampled = () if rate is None else (("the share of installations that record", "`sample_rate`"),)
    yield from table(("what", "as"), (*_COMMAND_ROWS, *sampled))
    yield ""
    yield (
        f"With them goes a random ID of this installation (`anonymousId`). {plan.settings.app} "
        "makes it, and derives it from nothing. Each message has the time, a random ID of its own, "
        "and the versions of the application and of the library that sends it."
    )
    if has_introduction(plan) and _name_of_destination(plan) not in _TRANSLATING:
        yield "The first message of an installation has that ID alone (`identify`)."
    if plan.settings.ci == "label":
        yield ""
        yield "Runs in CI are recorded too, with `is_ci`."
    if plan.common:
        yield ""
        yield f"{plan.settings.app} adds to every event:"
        yield ""
        yield from properties_table(plan.common.values())
    if plan.common_is_open:
        yield ""
        yield f"{plan.settings.app} may add properties to every event, {_UNKNOWN_NAMES}."


def _begins(plan: Plan) -> bool:
    """Whether the begin of a command is an event."""
    return COMMAND_INVOKED in plan.events


_COMMAND_ROWS = (
    ("the command, by its declared name", "`command`"),
    ("names of the options that were typed, never their values", "`flags`"),
    (
        "how it ended, and how long it took",
        "`exit_code`, `succeeded`, `outcome`, `duration_ms`, `user_cancelled`",
    ),
    (
        "the class of an error, such as `TimeoutError`, never its message",
        "`error_class`, `error_class_masked`",
    ),
    (
        "the versions of the application and of Python, the operating system, the processor's kind",
        "`version`, `python_version`, `os`, `arch`",
    ),
    (
        "whether a person, a script, a coding agent or a CI service runs it, at a terminal or in a "
        "container",
        "`cli_context`, `is_tty`, `is_ci`, `in_container`",
    ),
    (
        "random IDs of this run, and the order of its events",
        "`invocation_id`, `run_id`, `session_id`, `sequence`",
    ),
    ("how many events were left out before", "`dropped`"),
)


def _commands(plan: Plan) -> Iterator[str]:
    common = _shared_flags(plan)
    rows = []
    for command in plan.commands.values():
        flags = ", ".join(f"`{name}`" for name in sorted(_own_flags(plan, command)))
        description = command.description
        rows.append((f"`{command.path}`", prose(description), flags))
    yield from table(("command", "what it does", "flags that may be recorded"), rows)
    if common:
        yield ""
        yield f"Of every command in a shell also: {list_of(common)}."
    if any(one.name == "source" for one in plan.events[COMMAND_COMPLETED].properties):
        yield ""
        yield (
            "Of a command that is not typed in a shell also where it came from (`source`) and, if "
            "the program states it, the ID of the message that asked for it (`message_id`)."
        )
        if plan.custom_is_open:
            yield f"There may be other such commands, {_UNKNOWN_NAMES}."
    if plan.tree.open_groups:
        groups = ", ".join(f"`{group}`" for group in sorted(plan.tree.open_groups))
        yield ""
        yield (
            f"Below {groups} there may be commands whose names are not recorded: `<dynamic>` is "
            "one that exists only because its name was typed, `<plugin>` one of another package. "
            "Their flags are not recorded."
        )
    telemetry = [] if plan.tree.telemetry is None else [plan.tree.telemetry]
    if plan.tree.excluded or telemetry:
        excluded = list_of(sorted([*plan.tree.excluded, *telemetry]))
        yield ""
        yield f"Never recorded, with all below them: {excluded}."


def _shared_flags(plan: Plan) -> list[str]:
    """The flags of every command that is typed in a shell."""
    if len(plan.tree.commands) < 2:
        return []
    flags = [{*command.flags} for command in plan.tree.commands.values()]
    return sorted(set.intersection(*flags))


def _own_flags(plan: Plan, command: Command) -> list[str]:
    shared = _shared_flags(plan)
    return [name for name in command.flags if name not in shared]


def _events(plan: Plan) -> Iterator[str]:
    own = [one for one in plan.events.values() if one.kind not in ("command", "flow")]
    for event in own:
        yield f"### {event.name}"
        yield ""
        if event.description:
            yield event.description
            yield ""
        if event.kind == "named":
            yield "Its values are not declared; what looks private in them is replaced."
            yield ""
        yield from properties_table(event.properties)
        if event.is_open:
            yield f"It may have other properties, {_UNKNOWN_NAMES}."
        yield ""


def _flows(plan: Plan) -> Iterator[str]:
    for flow in plan.flows.values():
        yield f"### {flow.name}"
        yield ""
        yield (
            "Recorded when it begins (Started), and how it ends: Completed, Aborted, or Failed "
            "with the class of the error (`error_class`, `error_class_masked`); each end with the "
            "time that it took (`duration_ms`)."
        )
        yield ""
        yield from _flow_rows(plan, flow)
        yield ""


def _flow_rows(plan: Plan, flow: PlannedFlow) -> Iterator[str]:
    words = list_of(flow.steps) or "a word in the program, if it has any"
    yield f"- Steps, of which the last one reached is recorded (`step`): {words}."
    yield f"- Reasons why it may be aborted (`reason`): {list_of(flow.reasons)}."
    yield "- Whether a step or a reason is none that the program declares (`undeclared`)."
    names = ("Started", "Completed", "Aborted", "Failed")
    others = [name.removeprefix(f"{flow.name} ") for name in flow.events]
    others = [name for name in others if name not in names and not name.startswith("Prompt ")]
    if others:
        yield f"- Events on the way: {', '.join(others)}."
    if "Step Reached" in others:
        yield "- The step's number and the time since the begin (`step_index`, `elapsed_ms`)."
    known = _declared_by_us(plan, flow)
    if flow.declared or known:
        yield "- Also recorded:"
    yield from (f"  - `{one.name}`: {values(one)}." for one in flow.declared)
    if known:
        yield f"  - {list_of(known)}: what the program gives."
    if any(plan.events[name].is_open for name in flow.events):
        yield f"- There may be other properties, {_UNKNOWN_NAMES}."
    shown = plan.events.get(f"{flow.name} Prompt Shown")
    if shown is not None:
        yield (
            "- Questions (`prompt`) that were asked (Prompt Shown), answered (Prompt Answered, "
            "with the `answer` if it is listed) or left with Ctrl-C (Prompt Cancelled):"
        )
        for prompt, answer in flow.prompts.items():
            yield f"  - `{prompt}`: {_answer(answer)}."
        if any(one.name == "prompt" and one.schema == WORD for one in shown.properties):
            yield f"  - others, {_UNKNOWN_NAMES}: yes, no or a choice."


def _declared_by_us(plan: Plan, flow: PlannedFlow) -> list[str]:
    events = [plan.events[name] for name in flow.events]
    found = {one.name for event in events for one in event.properties if not one.is_declared}
    return sorted(found)


def _answer(answer: Any) -> str:
    if answer is None:
        return "whether it was answered; the answer is not recorded"
    if answer is True:
        return "yes or no"
    if answer is UNKNOWN:
        return "the choice that was made, of a list of the program's"
    return f"the choice that was made, one of {list_of(str(one) for one in answer)}"


def _user(plan: Plan) -> Iterator[str]:
    if plan.traits is None:
        return
    app = plan.settings.app
    facts = [list_of(sorted(plan.traits.names))] if plan.traits.names else []
    facts += [f"others, {_UNKNOWN_NAMES}"] if plan.traits.is_open else []
    yield f"If you are signed in, {app} sends the ID of your account (`userId`) with each message."
    if facts:
        yield f"One message (`identify`) has these facts about it: {', '.join(facts)}."
    yield ("Who has the data can then see which anonymous events came from the same installation.")


def _never(plan: Plan) -> Iterator[str]:
    settings, app = plan.settings, plan.settings.app
    yield (
        "Of a command: values of options, arguments, texts that you type, paths, file names, host "
        "names, environment variables, messages of errors. Help pages, shell completion and a "
        "command line with a mistake are not recorded at all."
    )
    yield ""
    yield (
        f"What {app} records besides is listed above, and may be a choice that you made. In it, "
        "passwords, tokens, e-mail and IP addresses and paths of home directories are replaced by "
        "markers such as `[redacted:password]` before they are stored. Names of people, phone "
        "numbers, card numbers and IBANs are not found."
    )
    places = [*(["in CI"] if settings.ci == "off" else []), "in test runs"]
    if settings.consent == "opt-in":
        places.append("before you enable it")
    elif settings.notice is not False:
        places.append("where you could not be informed")
    yield ""
    yield f"Nothing is recorded {', or '.join(filter(None, (', '.join(places[:-1]), places[-1])))}."


def _destination(plan: Plan) -> Iterator[str]:
    settings, app = plan.settings, plan.settings.app
    kind = _name_of_destination(plan)
    where = _receiver(settings)
    if not where:
        yield f"Nowhere: {app} names no destination, and nothing is stored or sent."
        return
    yield f"To {where}."
    if settings.client is not None:
        return
    if kind in _TRANSLATING:
        yield f"It gets the same data in the form of {kind}."
    if settings.auth is not None:
        yield "If you are signed in, it goes to the server of your account, with your token."
    if settings.delivery == "detached":
        yield "What is recorded is stored on this machine, and another process delivers it."
        yield "No command waits for it."
    else:
        yield f"A command waits for the delivery at its end, {settings.flush_timeout:g} s at most."
    yield (
        f"What cannot be delivered is deleted after {_DAYS} days; at most {MAX_FILES:,} files and "
        f"{MAX_BYTES // 1024 // 1024} MiB are kept."
    )
    if settings.destination is None or settings.destination.is_http:
        yield "The server sees the IP address that a request comes from."


def _name_of_destination(plan: Plan) -> str:
    return type(plan.settings.destination).__name__


_TRANSLATING = ("PostHog", "OpenTelemetry")
"""Destinations that get messages in another form, and no `identify` of an installation."""


def _receiver(settings: Settings) -> str:
    """Where the messages go; empty if the application declares no destination."""
    if settings.client is not None:
        return f"code of {settings.app} itself, in the command's own process"
    host: Any = settings.host
    if settings.destination is not None:
        host = settings.destination.host
        if not settings.destination.is_http:
            kind, _, path = str(host).partition(":")
            if kind == "file":
                return f"a file on this machine, `{path.removeprefix('//')}`"
            return f"code of {settings.app} itself (`{path}`), in a process of its own"
    elif settings.write_key is None and settings.auth is None:
        return ""
    if callable(host):
        return "a server that the application chooses when it runs, over HTTPS"
    over = ", over HTTPS" if str(host).startswith("https:") else ""
    if settings.destination is not None:
        return f"{host} ({type(settings.destination).__name__}){over}"
    return f"Segment ({host}){over}" if host == DEFAULT_HOST else f"{host}{over}"


def _opt_out(plan: Plan) -> Iterator[str]:
    app, prefix, telemetry = plan.settings.app, plan.settings.prefix, plan.tree.telemetry
    rows = [
        (f"`{app} --no-telemetry …`", "one run"),
        (f"`{prefix}_NO_TELEMETRY=1`", app),
        ("`DO_NOT_TRACK=1`", "every tool that follows it"),
    ]
    if plan.settings.no_telemetry_option is False:
        del rows[0]
    if telemetry is not None:
        rows.append((f"`{telemetry} disable`", f"{app}, permanently; also deletes what is stored"))
    setting = '`{"enabled": false}`'
    rows += [
        (f"{setting} in `~/.config/{app}/telemetry.json`", f"{app}, permanently"),
        (f"{setting} in `/etc/xdg/{app}/telemetry.json`", f"{app}, for all users of the machine"),
    ]
    yield from table(("how", "for"), rows)
    yield ""
    yield "Off means that nothing is written, started or sent. An opt-out takes precedence."


def _delete(plan: Plan) -> Iterator[str]:
    app, prefix, telemetry = plan.settings.app, plan.settings.prefix, plan.tree.telemetry
    if telemetry is not None:
        yield f"- `{telemetry} status` shows whether telemetry is on, and why."
        if plan.settings.client is None:
            yield f"- `{telemetry} show` shows what is queued, exactly as it would be sent."
        yield f"- `{telemetry} purge` deletes the ID and everything else that is stored."
    yield f"- `{prefix}_TELEMETRY=log {app} …` prints the messages of a run, and sends nothing."
    yield (
        f"- Deleting the directory `~/.local/state/{app}/telemetry` deletes the ID and everything "
        "else that is stored."
    )
    if _name_of_destination(plan) == "File":
        yield "- What is in the file that events go to stays there until you delete it."


def _unknown(plan: Plan) -> Iterator[str]:
    yield from (f"- {sentence}." for sentence in plan.unknown)
    for name, reason in sorted(plan.problems.items()):
        yield f"- `{name}` could not be loaded: {reason}"
