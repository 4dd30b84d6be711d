"""The demo's scripted sessions: what a person types, and the complete list of recorded events.

Each session is run in Click's runner (`tests/demo/test_sessions.py`) and by `click-telemetry watch`
in a terminal (`tests/contract/test_recorded_sessions.py`), and compared with the same literal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from click_telemetry._reader import BASE_PROPERTIES

Event = tuple[str, dict[str, Any]]

CTRL_C = "\x03"
CREATE = "Application Create"
CHANGE = "Plan Change"


class Session(NamedTuple):
    """One session.

    Attributes:
        name: what happens in it.
        args: the command line.
        answers: what is typed at each prompt, by a text of the prompt.
        events: the recorded events, without base properties and times.
        code: the exit code.
    """

    name: str
    args: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]
    events: list[Event]
    code: int = 0


def own_events(recorded: list[dict[str, Any]]) -> list[Event]:
    """Events without base properties; their times are checked and left out."""
    events: list[Event] = []
    for event in recorded:
        own = {k: v for k, v in event["properties"].items() if k not in BASE_PROPERTIES}
        for name in ("duration_ms", "elapsed_ms"):
            if name in own:
                time = own.pop(name)
                assert isinstance(time, int)
                assert 0 <= time < 120_000
        events.append((event["event"], own))
    return events


# Parts of the sessions ---------------------------------------------------------------------------

INVOKED: Event = ("Command Invoked", {})


def completed(**own: Any) -> Event:
    """The command ended, successfully by default."""
    outcome: dict[str, Any] = {"exit_code": 0, "succeeded": True, "outcome": "success"}
    return "Command Completed", {**outcome, **own}


CANCELLED = completed(
    exit_code=1,
    succeeded=False,
    outcome="cancelled",
    user_cancelled=True,
    error_class="click.exceptions.Abort",
)


def failed(code: int, error: str) -> Event:
    """The command failed by an exception."""
    return completed(exit_code=code, succeeded=False, outcome="failure", error_class=error)


STEPS = (
    *("name", "auth", "plan", "terms", "region"),
    *("api_call", "api_key", "apply_plan", "profile_configure"),
)


def reached(step: str, **own: Any) -> Event:
    """A step of the creation."""
    place = STEPS.index(step) + 1
    return f"{CREATE} Step Reached", {**own, "step_index": place, "step": step}


def prompted(flow: str, name: str, step: str, answer: Any = None, **own: Any) -> list[Event]:
    """A prompt with its answer; None if the answer is not recorded."""
    shown = {**own, "prompt": name, "step": step}
    given = {**own, "prompt": name, "step": step}
    if answer is not None:
        given["answer"] = answer
    return [(f"{flow} Prompt Shown", shown), (f"{flow} Prompt Answered", given)]


def cancelled(flow: str, name: str, step: str, **own: Any) -> list[Event]:
    """A prompt that Ctrl-C cancelled, and the end of the flow and of the command."""
    at = {**own, "prompt": name, "step": step}
    return [
        (f"{flow} Prompt Shown", at),
        (f"{flow} Prompt Cancelled", at),
        (f"{flow} Aborted", {**own, "reason": "cancelled", "step": step}),
        CANCELLED,
    ]


STARTED: list[Event] = [INVOKED, (f"{CREATE} Started", {}), reached("name")]
PRO = {"plan": "pro"}
PRO_EU = {"plan": "pro", "region": "eu"}
TO_PLAN = [*STARTED, *prompted(CREATE, "name", "name"), reached("auth"), reached("plan")]
TO_TERMS = [*TO_PLAN, *prompted(CREATE, "plan", "plan", "pro"), reached("terms", **PRO)]
TO_REGION = [
    *TO_TERMS,
    *prompted(CREATE, "terms", "terms", True, **PRO),
    (f"{CREATE} Accepted Terms", {**PRO, "step": "terms"}),
    reached("region", **PRO),
]
TO_API = [
    *TO_REGION,
    *prompted(CREATE, "region", "region", "eu", **PRO),
    reached("api_call", **PRO_EU),
]
TO_APPLY = [*TO_API, reached("api_key", **PRO_EU), reached("apply_plan", **PRO_EU)]
CREATED = [
    *TO_APPLY,
    reached("profile_configure", **PRO_EU),
    (f"{CREATE} Completed", {**PRO_EU, "step": "profile_configure"}),
]

UPGRADE = {"from_plan": "free", "to_plan": "pro", "direction": "upgrade"}
CHANGING: list[Event] = [INVOKED, (f"{CHANGE} Started", {"from_plan": "free"})]
CHOSEN = [*CHANGING, *prompted(CHANGE, "plan", "plan", "pro", from_plan="free")]
ACCEPTED = (f"{CHANGE} Accepted Terms", {**UPGRADE, "step": "terms"})
CHANGE_ACCEPTED = [*CHOSEN, *prompted(CHANGE, "terms", "terms", True, **UPGRADE), ACCEPTED]
CHANGED = {"direction": "upgrade", "from_plan": "free", "to_plan": "pro"}

# What the person types ---------------------------------------------------------------------------

NAME, PLAN, TERMS, REGION = (
    ("Name", "Secret Project\n"),
    ("Plan (", "pro\n"),
    ("Accept the terms", "y\n"),
    ("Region (", "eu\n"),
)
NEW_PLAN, SURE = ("New plan", "pro\n"), ("Upgrade app-shop", "y\n")
NO_QUESTIONS = ("--name", "x", "--plan", "pro", "--region", "eu", "--accept-terms")


def create(name: str, *answers: tuple[str, str], events: list[Event], **rest: Any) -> Session:
    """A session of `apps create`."""
    options = tuple(rest.pop("options", ()))
    return Session(name, ("apps", "create", *options), answers, events, **rest)


def change(name: str, *answers: tuple[str, str], events: list[Event], **rest: Any) -> Session:
    """A session of `apps plan change`."""
    options = tuple(rest.pop("options", ()))
    return Session(name, ("apps", "plan", "change", *options), answers, events, **rest)


BILLING = "demo_cli.errors.BillingRequired"
WALL: Event = (
    f"{CREATE} Aborted",
    {**PRO_EU, "reason": "billing_required", "step": "apply_plan"},
)
CHANGE_WALL: Event = (
    f"{CHANGE} Aborted",
    {**UPGRADE, "reason": "billing_required", "step": "api_call"},
)

SESSIONS = (
    create("accept", NAME, PLAN, TERMS, REGION, events=[*CREATED, completed()]),
    create(
        "decline",
        *(NAME, PLAN, ("Accept the terms", "n\n")),
        events=[
            *TO_TERMS,
            *prompted(CREATE, "terms", "terms", False, **PRO),
            (f"{CREATE} Declined Terms", {**PRO, "step": "terms"}),
            (f"{CREATE} Aborted", {**PRO, "reason": "declined_terms", "step": "terms"}),
            completed(),
        ],
    ),
    create(
        "Ctrl-C at the name",
        ("Name", CTRL_C),
        events=[*STARTED, *cancelled(CREATE, "name", "name")],
        code=1,
    ),
    create(
        "Ctrl-C at the plan",
        *(NAME, ("Plan (", CTRL_C)),
        events=[*TO_PLAN, *cancelled(CREATE, "plan", "plan")],
        code=1,
    ),
    create(
        "Ctrl-C at the terms",
        *(NAME, PLAN, ("Accept the terms", CTRL_C)),
        events=[*TO_TERMS, *cancelled(CREATE, "terms", "terms", **PRO)],
        code=1,
    ),
    create(
        "Ctrl-C at the region",
        *(NAME, PLAN, TERMS, ("Region (", CTRL_C)),
        events=[*TO_REGION, *cancelled(CREATE, "region", "region", **PRO)],
        code=1,
    ),
    create(
        "billing wall, asked",
        *(NAME, PLAN, TERMS, REGION),
        options=("--simulate", "billing"),
        events=[*TO_APPLY, WALL, failed(3, BILLING)],
        code=3,
    ),
    create(
        "billing wall, unasked",
        options=(*NO_QUESTIONS, "--simulate", "billing"),
        events=[
            *STARTED,
            reached("auth"),
            reached("plan"),
            reached("terms", **PRO),
            (f"{CREATE} Accepted Terms", {**PRO, "step": "terms"}),
            reached("region", **PRO),
            reached("api_call", **PRO_EU),
            reached("api_key", **PRO_EU),
            reached("apply_plan", **PRO_EU),
            WALL,
            failed(3, BILLING),
        ],
        code=3,
    ),
    create(
        "API failure",
        *(NAME, PLAN, TERMS, REGION),
        options=("--simulate", "api-error"),
        events=[
            *TO_API,
            (
                f"{CREATE} Failed",
                {**PRO_EU, "error_class": "ConnectionError", "step": "api_call"},
            ),
            failed(4, "ConnectionError"),
        ],
        code=4,
    ),
    create(
        "a courtesy fails after the success",
        *(NAME, PLAN, TERMS, REGION),
        options=("--simulate", "courtesy-error"),
        events=[*CREATED, failed(1, "demo_cli.errors.ProfileError")],
        code=1,
    ),
    create(
        "dry run",
        *(NAME, PLAN, TERMS, REGION),
        options=("--dry-run",),
        events=[INVOKED, completed()],
    ),
    change(
        "upgrade",
        *(NEW_PLAN, SURE),
        events=[
            *CHANGE_ACCEPTED,
            (f"{CHANGE} Completed", {**UPGRADE, "step": "api_call"}),
            ("Plan Changed", CHANGED),
            completed(),
        ],
    ),
    change(
        "upgrade declined",
        *(NEW_PLAN, ("Upgrade app-shop", "n\n")),
        events=[
            *CHOSEN,
            *prompted(CHANGE, "terms", "terms", False, **UPGRADE),
            (f"{CHANGE} Declined Terms", {**UPGRADE, "step": "terms"}),
            (f"{CHANGE} Aborted", {**UPGRADE, "reason": "declined_terms", "step": "terms"}),
            CANCELLED,
        ],
        code=1,
    ),
    change(
        "Ctrl-C at the new plan",
        ("New plan", CTRL_C),
        events=[*CHANGING, *cancelled(CHANGE, "plan", "plan", from_plan="free")],
        code=1,
    ),
    change(
        "Ctrl-C at the upgrade",
        *(NEW_PLAN, ("Upgrade app-shop", CTRL_C)),
        events=[*CHOSEN, *cancelled(CHANGE, "terms", "terms", **UPGRADE)],
        code=1,
    ),
    change(
        "already on that plan",
        options=("--to", "free"),
        events=[
            *CHANGING,
            (
                f"{CHANGE} Aborted",
                {
                    "from_plan": "free",
                    "to_plan": "free",
                    "reason": "already_on_plan",
                    "step": "plan",
                },
            ),
            completed(),
        ],
    ),
    change(
        "billing wall of an upgrade, asked",
        *(NEW_PLAN, SURE),
        options=("--simulate", "billing"),
        events=[*CHANGE_ACCEPTED, CHANGE_WALL, failed(3, BILLING)],
        code=3,
    ),
    change(
        "billing wall of an upgrade, unasked",
        options=("--to", "pro", "--yes", "--simulate", "billing"),
        events=[*CHANGING, ACCEPTED, CHANGE_WALL, failed(3, BILLING)],
        code=3,
    ),
    change(
        "API failure of an upgrade",
        options=("--to", "pro", "--yes", "--simulate", "api-error"),
        events=[
            *CHANGING,
            ACCEPTED,
            (
                f"{CHANGE} Failed",
                {**UPGRADE, "error_class": "ConnectionError", "step": "api_call"},
            ),
            failed(4, "ConnectionError"),
        ],
        code=4,
    ),
    Session(
        "import",
        ("import", "records.csv", "--items", "3"),
        (),
        [INVOKED, ("Records Imported", {"records": 3, "succeeded": True}), completed()],
    ),
)
