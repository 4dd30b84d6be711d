"""Limits of what the library adds to a small application, one for each case of `counted`.

A limit is what the code needs today, rounded up a little; the tests assert it. `design` is the
number to reach. Both are meant for Python 3.13 with Click 8.5 or later; `upper_bound` gives the
limit on other versions.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import NamedTuple

REFERENCE_PYTHON = (3, 13)
REFERENCE_CLICK = (8, 5)
OTHER_VERSIONS = 1.15
"""Factor of the limits on other versions of Python and Click."""


class Counts(NamedTuple):
    """What the library adds to a run; None where it is not counted or has no limit.

    Attributes:
        modules: modules of the library that are loaded at exit.
        bytecode: their bytes of marshalled code.
        code_objects: how many code objects these contain.
        classes: classes that they define.
        calls: calls of functions of the library, module and class bodies included.
        system_calls: system calls over the bare application.
        file_calls: those on the library's own files.
        instructions: millions over the bare application.
    """

    modules: int | None = None
    bytecode: int | None = None
    code_objects: int | None = None
    classes: int | None = None
    calls: int | None = None
    system_calls: int | None = None
    file_calls: int | None = None
    instructions: float | None = None


class Budget(NamedTuple):
    """The limits of a case.

    Attributes:
        modules: the names of exactly the modules that are loaded, without the package's.
        limit: asserted.
        design: the numbers to reach; printed, not asserted.
    """

    modules: frozenset[str]
    limit: Counts
    design: Counts


OPTED_OUT = frozenset(
    {
        "",
        *(".observe", ".observe.declare", ".observe.flag", ".observe.hooks", ".observe.state"),
        *(".privacy", ".privacy.refusal", ".privacy.settings"),
    }
)
PARSED = OPTED_OUT | {".frames"}
OPTION = OPTED_OUT | {
    *(".events", ".events.active", ".observe.path", ".observe.root", ".observe.visit"),
    ".privacy.consent",
}
NO_WRITE_KEY = OPTION | {
    *(".privacy.choice", ".privacy.directories", ".privacy.facts", ".privacy.surroundings"),
    ".storage",
}
COMPOSED = NO_WRITE_KEY | {
    *(".delivery", ".delivery.choose"),
    *(".events.ambient", ".events.invocation", ".events.message", ".events.run", ".events.text"),
    *(".identifiers", ".privacy.identity"),
}
LOG = COMPOSED | {".delivery.plain"}
WRITTEN = COMPOSED | {
    *(".delivery.launcher", ".delivery.locked", ".delivery.spool", ".privacy.origin"),
}
RECORDED = WRITTEN | {".delivery.child"}

# fmt: off
BUDGETS = {
    #        modules  bytecode  code objects  classes  calls  system calls  on files  instructions
    "opted out": Budget(
        OPTED_OUT,
        Counts(9,       52_000,           96,      13,   260,          145,        0,         8.2),
        Counts(2,       22_000, system_calls=40, instructions=3.0),
    ),
    "--help": Budget(
        PARSED,
        Counts(10,      54_500,          102,      13,   200,          158,        0,         8.0),
        Counts(instructions=3.0),
    ),
    "--version": Budget(
        PARSED,
        Counts(10,      54_500,          102,      13,   150,          158,        0,         8.2),
        Counts(instructions=3.0),
    ),
    "completion": Budget(
        OPTED_OUT,
        Counts(9,       52_000,           96,      13,   165,          145,        0,         8.0),
        Counts(instructions=3.0),
    ),
    "--no-telemetry": Budget(
        OPTION,
        Counts(15,      92_500,          185,      18,   285,          240,        0,        12.6),
        Counts(instructions=6.0),
    ),
    "no write key": Budget(
        NO_WRITE_KEY,
        Counts(20,     129_000,          246,      23,   350,          320,        1,        16.7),
        Counts(instructions=6.0),
    ),
    "log": Budget(
        LOG,
        Counts(30,     176_500,          330,      27,   605,          468,        2,        23.1),
        Counts(instructions=14.0),
    ),
    "recorded, a sender runs": Budget(
        WRITTEN,
        Counts(33,     209_000,          370,      30,   740,          538,       28,        26.2),
        Counts(4,       75_000, system_calls=200, file_calls=29, instructions=8.0),
    ),
    "recorded": Budget(
        RECORDED,
        Counts(34,     220_000,          382,      30,   780,          580,       29,        27.3),
        Counts(4,       75_000, system_calls=200, file_calls=29, instructions=8.0),
    ),
}
# fmt: on


def upper_bound(limit: float) -> float:
    """A limit on this Python with this Click."""
    click = tuple(int(part) for part in version("click").split(".")[:2])
    if sys.version_info[:2] == REFERENCE_PYTHON and click >= REFERENCE_CLICK:
        return limit
    return limit * OTHER_VERSIONS
