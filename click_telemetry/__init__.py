"""Usage telemetry for Click applications: a table of contents, each name loaded at its first use.

Nothing here does anything; `observe` sees, `events` says, `privacy` decides, `delivery` sends.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .commands.group import telemetry_group as telemetry_group
    from .delivery.client import Client as Client
    from .events.current import current as current
    from .events.current import track as track
    from .observe.declare import exclude as exclude
    from .observe.declare import instrument as instrument
    from .observe.declare import instrumented_group as instrumented_group
    from .observe.group import InstrumentedGroup as InstrumentedGroup

__version__ = "0.1.0"

__all__ = (
    "Client",
    "InstrumentedGroup",
    "current",
    "exclude",
    "instrument",
    "instrumented_group",
    "telemetry_group",
    "track",
)

_HOME = {
    "Client": "delivery.client",
    "InstrumentedGroup": "observe.group",
    "current": "events.current",
    "exclude": "observe.declare",
    "instrument": "observe.declare",
    "instrumented_group": "observe.declare",
    "telemetry_group": "commands.group",
    "track": "events.current",
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
