"""Usage telemetry for Click applications: a table of contents, each name loaded at its first use.

Nothing here does anything; `observe` sees, `events` says, `privacy` decides, `delivery` sends.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .commands.group import telemetry_group as telemetry_group
    from .delivery.client import Client as Client
    from .events.context import set_context as set_context
    from .events.current import current as current
    from .events.current import track as track
    from .events.declared import flow as flow
    from .events.event import Event as Event
    from .events.faults import track_error as track_error
    from .events.faults import track_warning as track_warning
    from .events.flow import Flow as Flow
    from .events.resources import resource as resource
    from .events.user import identify as identify
    from .observe.children import child_env as child_env
    from .observe.declare import exclude as exclude
    from .observe.declare import instrument as instrument
    from .observe.declare import instrumented_group as instrumented_group
    from .observe.foreign import track_command as track_command
    from .observe.group import InstrumentedGroup as InstrumentedGroup

__version__ = "0.1.0"

__all__ = (
    "Client",
    "Event",
    "Flow",
    "InstrumentedGroup",
    "child_env",
    "current",
    "exclude",
    "flow",
    "identify",
    "instrument",
    "instrumented_group",
    "resource",
    "set_context",
    "telemetry_group",
    "track",
    "track_command",
    "track_error",
    "track_warning",
)

_HOME = {
    "Client": "delivery.client",
    "Event": "events.event",
    "Flow": "events.flow",
    "InstrumentedGroup": "observe.group",
    "child_env": "observe.children",
    "current": "events.current",
    "exclude": "observe.declare",
    "flow": "events.declared",
    "identify": "events.user",
    "instrument": "observe.declare",
    "instrumented_group": "observe.declare",
    "resource": "events.resources",
    "set_context": "events.context",
    "telemetry_group": "commands.group",
    "track": "events.current",
    "track_command": "observe.foreign",
    "track_error": "events.faults",
    "track_warning": "events.faults",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # __import__ and not importlib.import_module: the latter loads warnings' helpers for 0.3 ms.
    module = __import__(f"{__name__}.{home}", fromlist=(name,))
    value: object = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
