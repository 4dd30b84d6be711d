"""Usage telemetry for Click applications: the public names, each loaded at its first use."""

__version__ = "0.2.0"

_MODULES = {
    "instrument": "_instrument",
    "instrumented_group": "_instrument",
    "exclude": "_foreground.declaration",
    "InstrumentedGroup": "_foreground.declaration",
    "Client": "_foreground.sinks",
    "CustomCommand": "_events.commands",
    "DeclarationError": "_foreground.options",
    "Event": "_events.event",
    "EventPlan": "_events.event",
    "EventProperty": "_events.schema",
    "Flow": "_events.flow",
    "FlowDefinition": "_events.flow_definition",
    "FlowPlan": "_events.flow_plan",
    "Recorder": "_events.scope",
    "Resource": "_events.resources",
    "Store": "_events.records",
    "Timed": "_events.event",
    "child_env": "_events.context",
    "current": "_events.scope",
    "flow": "_events.flow_definition",
    "identify": "_events.context",
    "resource": "_events.resources",
    "set_context": "_events.context",
    "telemetry_group": "_commands.group",
    "track": "_events.scope",
    "track_command": "_events.commands",
    "track_error": "_events.commands",
    "track_warning": "_events.commands",
}
__all__ = tuple(_MODULES)


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # __import__ and not importlib.import_module, which loads warnings' helpers for 0.3 ms.
    value: object = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
