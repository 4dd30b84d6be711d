"""Every switch that has a say in whether a run is recorded, with its value.

The order is the one in which they count; which one wins is consent's answer, not decided here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..observe.flag import FLAG
from ..privacy.choice import DISABLED, ENABLED, NONE, UNREADABLE
from ..privacy.consent import LOG, NOTHING, refused
from ..privacy.refusal import OFF_VARIABLE
from ..privacy.surroundings import CI_VARIABLES, TEST_VARIABLES, is_ci

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .application import Application

NO = "no"
YES = "yes"
SILENT = "nothing"


class Switch(NamedTuple):
    """One of them.

    Attributes:
        key: of a reason (`privacy.consent.REASONS`), or the variable's name.
        name: for people.
        value: what it is set to, in words or as it stands in the environment; None where it is not.
        says: NO, YES, LOG or SILENT.
    """

    key: str
    name: str
    value: str | None
    says: str


def switches(application: Application) -> list[Switch]:
    """All of them, in the order in which they count."""
    return [
        Switch("flag", FLAG, *(("given", NO) if application.flag else (None, SILENT))),
        *_variables(application.environ, application.settings.variable_prefix),
        _choice(application.facts.choice),
        _user(application),
        *_circumstances(application),
    ]


def winner(application: Application) -> str:
    """The key of the switch that decided; empty where none said no."""
    decision = application.decision
    return decision.detail or decision.reason if decision.mode == NOTHING else ""


def _variables(environ: Mapping[str, str], prefix: str) -> Iterator[Switch]:
    own = prefix + "_TELEMETRY"
    for name in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE, prefix + "_NO_TELEMETRY", own):
        value = environ.get(name)
        if value is None:
            yield Switch(name, name, None, SILENT)
            continue
        says = NO if refused({name: value}, prefix, flag=False) is not None else SILENT
        if name == own and value.strip().lower() == LOG:
            says = LOG
        yield Switch(name, name, value, says)


def _choice(stored: str) -> Switch:
    words = {
        NONE: ("none", SILENT),
        ENABLED: ("enabled", YES),
        DISABLED: ("disabled", NO),
        UNREADABLE: ("cannot be read", NO),
    }
    key = "unreadable_choice" if stored == UNREADABLE else "choice"
    return Switch(key, "stored choice", *words[stored])


def _user(application: Application) -> Switch:
    if not application.facts.foreign_user:
        return Switch("foreign_user", "user", "yourself", SILENT)
    if os.getuid() != os.geteuid():
        return Switch("foreign_user", "user", f"uid {os.getuid()}, acting as {os.geteuid()}", NO)
    return Switch("foreign_user", "user", "HOME belongs to another", NO)


def _circumstances(application: Application) -> Iterator[Switch]:
    facts, environ = application.facts, application.environ
    enabled = facts.choice == ENABLED
    tests = [name for name in TEST_VARIABLES if name in environ]
    yield _circumstance(
        "test_run", "test run", facts.test_run, ", ".join(tests) or "in this process", "none"
    )
    services = [name for name in CI_VARIABLES if is_ci({name: environ.get(name, "")})]
    labelled = " (recorded, and labelled)" if services and not facts.ci else ""
    yield _circumstance(
        "ci", "CI", facts.ci, ", ".join(services), (", ".join(services) or "none") + labelled
    )
    yield _circumstance(
        "no_write_key",
        "destination",
        not facts.write_key,
        "none: no write key" if application.settings.app_known else "none: no name of its own",
        ", ".join(dict.fromkeys(one.host for one in application.destinations)),
    )
    yield _circumstance(
        "not_storable", "state directory", not facts.storable, "cannot be used", "can be used"
    )
    opt_in = facts.opt_in
    yield _circumstance(
        "not_opted_in",
        "asks first",
        opt_in and not enabled,
        "yes, and nobody has enabled it",
        "yes, and it was enabled" if opt_in else "no",
    )
    yield _circumstance(
        "notice_not_shown",
        "notice",
        not enabled and not facts.notice_shown,
        "not shown yet",
        "needless: it was enabled"
        if enabled
        else "left to the application"
        if application.settings.notice is False
        else "shown",
    )


def _circumstance(key: str, name: str, applies: bool, value: str, otherwise: str) -> Switch:
    return Switch(key, name, value, NO) if applies else Switch(key, name, otherwise, SILENT)
