"""The types of the public names; `__init__.py` loads each name at its first use."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, TypeVar, overload

import click
from typing_extensions import Unpack

from ._commands.group import telemetry_group as telemetry_group
from ._events.commands import CustomCommand as CustomCommand
from ._events.commands import track_command as track_command
from ._events.commands import track_error as track_error
from ._events.commands import track_warning as track_warning
from ._events.context import child_env as child_env
from ._events.context import identify as identify
from ._events.context import set_context as set_context
from ._events.event import Event as Event
from ._events.event import EventPlan as EventPlan
from ._events.event import Timed as Timed
from ._events.flow import Flow as Flow
from ._events.flow_definition import FlowDefinition as FlowDefinition
from ._events.flow_definition import flow as flow
from ._events.flow_plan import FlowPlan as FlowPlan
from ._events.records import Store as Store
from ._events.resources import Resource as Resource
from ._events.resources import resource as resource
from ._events.schema import EventProperty as EventProperty
from ._events.scope import Recorder as Recorder
from ._events.scope import current as current
from ._events.scope import track as track
from ._foreground.options import DeclarationError as DeclarationError
from ._foreground.sinks import Client as Client
from .destinations import DeclaredDestination

__version__: str
__all__: tuple[str, ...]

_Command = TypeVar("_Command")
_Group = TypeVar("_Group", bound=click.Group)
_Typer = TypeVar("_Typer", bound=_TyperApplication)

# What `typer.Typer` has, of whatever version; Typer is no dependency.
class _TyperApplication(Protocol):
    registered_commands: list[Any]
    registered_groups: list[Any]

class _Options(TypedDict, total=False):
    app: str | None
    version: str | None
    write_key: str | None
    host: str | Callable[[], str | None] | None
    destination: DeclaredDestination | None
    client: Client | None
    consent: Literal["opt-out", "opt-in"]
    notice: str | bool
    notice_url: str | None
    ci: Literal["off", "label"]
    properties: Mapping[str, Any] | None
    auth: Callable[[], str | None] | None
    packages: Iterable[str]
    delivery: Literal["detached", "inline"]
    flush_timeout: float
    no_telemetry_option: bool | Literal["hidden"]
    events: Literal["all", "completed"] | Iterable[type[Event] | FlowDefinition | str] | None
    sample: float | None

# The parameters of `click.Group`. A class with parameters of its own takes two decorators:
# @instrumented_group(app=…) above @click.group(cls=…, …).
class _GroupOptions(_Options, total=False):
    name: str | None
    commands: Mapping[str, click.Command] | Sequence[click.Command] | None
    invoke_without_command: bool
    no_args_is_help: bool | None
    subcommand_metavar: str | None
    chain: bool
    result_callback: Callable[..., Any] | None
    context_settings: Mapping[str, Any] | None
    params: list[click.Parameter] | None
    help: str | None
    epilog: str | None
    short_help: str | None
    options_metavar: str | None
    add_help_option: bool
    hidden: bool
    deprecated: bool | str

# Made at its first use, since a Typer application does not load Click.
class InstrumentedGroup(click.Group):
    """A group whose whole tree is instrumented; `telemetry` takes the options of `instrument`."""

    def __init__(self, *args: Any, telemetry: _Options | None = None, **kwargs: Any) -> None: ...

class _Decorator(Protocol):
    # Groups and Typer applications can be called too; the first overload that fits applies.
    @overload
    def __call__(self, target: _Group, /) -> _Group: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, target: _Typer, /) -> _Typer: ...
    @overload
    def __call__(self, target: Callable[..., Any], /) -> InstrumentedGroup: ...

def exclude(command: _Command) -> _Command: ...
def instrument(command: _Command, **options: Unpack[_Options]) -> _Command: ...
@overload
def instrumented_group(  # type: ignore[overload-overlap]
    target: _Group, /, **options: Unpack[_Options]
) -> _Group: ...
@overload
def instrumented_group(target: _Typer, /, **options: Unpack[_Options]) -> _Typer: ...
@overload
def instrumented_group(
    target: Callable[..., Any], /, **options: Unpack[_GroupOptions]
) -> InstrumentedGroup: ...
@overload
def instrumented_group(
    target: None = None, /, *, cls: type[_Group], **options: Unpack[_GroupOptions]
) -> Callable[[Callable[..., Any]], _Group]: ...
@overload
def instrumented_group(target: None = None, /, **options: Unpack[_GroupOptions]) -> _Decorator: ...
