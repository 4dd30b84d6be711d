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
OTHER_MACHINES = 0.1
"""Millions of instructions that the same code may need more with longer paths, larger directories
or another C library; on one machine two counts differ by less than 0.01."""


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


OPTED_OUT = frozenset({"", "._instrument"})
OPTION = OPTED_OUT | {"._foreground", "._foreground.opt_out"}
NO_WRITE_KEY = OPTED_OUT | {"._recorder"}
LOG = NO_WRITE_KEY | {
    *("._foreground", "._foreground.identity", "._foreground.sinks"),
    *("._reader", "._storage"),
}
HELD = NO_WRITE_KEY | {"._spool"}
RECORDED = HELD | {"._launcher"}

# fmt: off
BUDGETS = {
    #        modules  bytecode  code objects  classes  calls  system calls  on files  instructions
    "opted out": Budget(
        OPTED_OUT,
        Counts(2,       33_000,           38,       4,    95,           40,        0,         3.4),
        Counts(2,       22_000, system_calls=40, instructions=3.0),
    ),
    "--help": Budget(
        OPTED_OUT,
        Counts(2,       33_000,           38,       4,    65,           40,        0,         3.5),
        Counts(instructions=3.0),
    ),
    "--version": Budget(
        OPTED_OUT,
        Counts(2,       33_000,           38,       4,    40,           40,        0,         3.2),
        Counts(instructions=3.0),
    ),
    "completion": Budget(
        OPTED_OUT,
        Counts(2,       33_000,           38,       4,    60,           40,        0,         3.3),
        Counts(instructions=3.0),
    ),
    "--no-telemetry": Budget(
        OPTION,
        Counts(4,       44_700,           55,       5,   120,           75,        0,         4.9),
        Counts(instructions=6.0),
    ),
    "no write key": Budget(
        NO_WRITE_KEY,
        Counts(3,       83_500,           90,      10,   125,           62,        2,         6.4),
        Counts(instructions=6.0),
    ),
    "log": Budget(
        LOG,
        Counts(8,      142_000,          177,      18,   370,          170,        3,        12.0),
        Counts(instructions=14.0),
    ),
    "recorded, a sender runs": Budget(
        HELD,
        Counts(4,      107_500,          115,      12,   250,          137,       29,         9.2),
        Counts(4,       75_000, system_calls=200, file_calls=29, instructions=8.0),
    ),
    "recorded": Budget(
        RECORDED,
        Counts(5,      118_400,          125,      12,   285,          180,       29,        10.3),
        Counts(4,       75_000, system_calls=200, file_calls=29, instructions=8.0),
    ),
}
# fmt: on


ONE_MORE_MODULE = {
    "modules": 1,
    "bytecode": 4_000,
    "code_objects": 5,
    "calls": 10,
    "system_calls": 20,
    "instructions": 2.5,
}
"""What `_tracebacks` adds on Python 3.10."""


def upper_bound(name: str, limit: float) -> float:
    """A limit on this Python with this Click.

    Args:
        name: which count is limited.
        limit: on the reference versions.
    """
    if name == "instructions":
        limit += OTHER_MACHINES
    click = tuple(int(part) for part in version("click").split(".")[:2])
    if sys.version_info[:2] == REFERENCE_PYTHON and click >= REFERENCE_CLICK:
        return limit
    if sys.version_info < (3, 11):
        limit += ONE_MORE_MODULE.get(name, 0)
    return limit if name == "modules" else limit * OTHER_VERSIONS
