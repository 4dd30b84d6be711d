"""How a flow ends when its block does: Completed, Aborted with a reason, or Failed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ending
from .flow_plan import ABANDONED, CANCELLED

if TYPE_CHECKING:
    from ..privacy.settings import Settings
    from .flow_plan import FlowPlan
    from .text import Json

COMPLETED, ABORTED, FAILED = "Completed", "Aborted", "Failed"

_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("trio", "Cancelled"))
"""What a cancelled task raises; Ctrl-C in `asyncio.run` is one inside the task."""


def outcome(
    error: BaseException | None, plan: FlowPlan, settings: Settings | None
) -> tuple[str, dict[str, Json]]:
    """The terminal event's second word, and its own properties.

    What was declared in `aborts` comes first, whichever wrapper the exception came in. Then:

    - Abort, Ctrl-C, the end of the input and a cancelled task are Aborted, `cancelled`;
    - a generator that is closed is Aborted, `abandoned`: whoever consumed it went away;
    - `ctx.exit()` and `sys.exit()` are Completed with code 0, else Failed without a class, as
      `Command Completed` has it;
    - everything else is Failed, with the class that may be named.

    Args:
        error: what ended the block; None if nothing did.
        plan: the flow's declaration.
        settings: the application's, whose exceptions' classes may be named.
    """
    if error is None:
        return COMPLETED, {}
    package = settings.package if settings is not None else "__main__"
    reason = _declared(error, plan, package)
    if reason is not None:
        return ABORTED, {"reason": reason}
    if isinstance(error, GeneratorExit):
        return ABORTED, {"reason": ABANDONED}
    if any((cls.__module__, cls.__name__) in _CANCELLATIONS for cls in ending.ancestry(error)):
        return ABORTED, {"reason": CANCELLED}
    packages = settings.error_packages if settings is not None else ()
    ended = ending.raised(error, own=package, packages=packages)
    if ended["outcome"] == ending.SUCCESS:
        return COMPLETED, {}
    if ended["outcome"] == ending.CANCELLED:
        return ABORTED, {"reason": CANCELLED}
    names = ("error_class", "error_class_masked")
    return FAILED, {name: ended[name] for name in names if name in ended}


def _declared(error: BaseException, plan: FlowPlan, package: str) -> str | None:
    """The reason of the nearest declared class, of the outermost exception that has one."""
    if not plan.aborts:
        return None
    for one in ending.unwrapped(error, package):
        for cls in ending.ancestry(one):
            for declared, reason in plan.aborts:
                if declared is cls:
                    return reason
    return None
