"""What an expression in an application's source is, of what this library gives. Never evaluated.

Names are followed to imports, to what a function binds, and to objects at a module's top level.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

import click_telemetry

from .._events.event import Event
from .._events.flow_definition import FlowDefinition
from .._events.resources import Resource


class Unknown:
    """What cannot be known."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Known:
    """What an expression is, of what this library gives.

    Attributes:
        kind: `api`, `event`, `definition`, `flow`, `resource` or `recorder`.
        name: of the function, the flow, the kind of resource; empty if it is unknown.
        parameter: of the enclosing function, where that is what it is.
    """

    kind: str
    name: str = ""
    parameter: Parameter | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function of the application's."""

    function: str
    name: str
    place: int


_API = (
    *("track", "identify", "set_context", "track_error", "track_warning", "track_command", "flow"),
    *("resource", "current", "Flow"),
)
_ANNOTATED = {"Flow": "flow", "Recorder": "recorder", "Resource": "resource"}


def classified(found: Any) -> Known | None:
    """What an object at a module's top level is."""
    if isinstance(found, FlowDefinition):
        return Known("definition", found.plan.name or "")
    if isinstance(found, Resource):
        return Known("resource", found._kind)
    if isinstance(found, type) and issubclass(found, Event) and found is not Event:
        return Known("event", found.__telemetry__.name)
    for name in _API:
        if found is getattr(click_telemetry, name):
            return Known("api", name)
    return None


class Evaluator(ast.NodeVisitor):
    """Follows the names of one module as its tree is visited.

    Attributes:
        functions: the functions that are being visited, the innermost one last.
        module: it is imported.
    """

    def __init__(self, module: ModuleType) -> None:
        self.functions: list[str] = []
        self.module = module
        self.scopes: list[dict[str, Any]] = [{}]
        self._attributes: dict[str, Known] = {}

    # Which names mean what

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name == "click_telemetry":
                self.scopes[-1][alias.asname or alias.name] = click_telemetry

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if node.module == "click_telemetry" and alias.name in _API:
                self.scopes[-1][alias.asname or alias.name] = Known("api", alias.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        arguments = [*node.args.posonlyargs, *node.args.args]
        if arguments and arguments[0].arg in ("self", "cls"):
            arguments = arguments[1:]
        scope: dict[str, Any] = {}
        for place, one in enumerate([*arguments, *node.args.kwonlyargs]):
            parameter = Parameter(node.name, one.arg, place if one in arguments else sys.maxsize)
            scope[one.arg] = parameter
            text = ast.unparse(one.annotation) if one.annotation is not None else ""
            for name, kind in _ANNOTATED.items():
                if re.search(rf"\b{name}\b", text):
                    scope[one.arg] = Known(kind, parameter=parameter)
        self.scopes.append(scope)
        self.functions.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.functions.pop()
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            found = self.known(item.context_expr)
            if found is not None and found.kind == "definition":
                self._bind(item.optional_vars, Known("flow", found.name))
        for statement in node.body:
            self.visit(statement)

    visit_AsyncWith = visit_With

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, self.known(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, self.known(node.value))

    def _bind(self, target: ast.expr | None, found: Known | None) -> None:
        if isinstance(target, ast.Name) and (found is not None or len(self.scopes) > 1):
            self.scopes[-1][target.id] = UNKNOWN if found is None else found
        elif isinstance(target, ast.Attribute) and found is not None:
            self._attributes[target.attr] = found

    def object(self, node: ast.expr) -> Any:
        """The value of a name: what is bound in a function, or an object at the top level."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.object(item) for item in node.elts]
        if isinstance(node, ast.Name):
            for scope in reversed(self.scopes):
                if node.id in scope:
                    return scope[node.id]
            return self.module.__dict__.get(node.id, UNKNOWN)
        if isinstance(node, ast.Attribute):
            base = self.object(node.value)
            if isinstance(base, (ModuleType, type)):
                return getattr(base, "__dict__", {}).get(
                    node.attr, getattr(base, node.attr, UNKNOWN)
                )
            return self._attributes.get(node.attr, UNKNOWN)
        return UNKNOWN

    def known(self, node: ast.expr) -> Known | None:
        if isinstance(node, ast.Await):
            return self.known(node.value)
        if isinstance(node, ast.Call):
            return self._called(node)
        found = self.object(node)
        return found if isinstance(found, Known) else classified(found)

    def _called(self, node: ast.Call) -> Known | None:
        """What a call gives."""
        function = self.known(node.func)
        if function is not None and function.kind == "api":
            kinds = {"flow": "definition", "resource": "resource", "current": "recorder"}
            name = self.text(node.args[0]) if node.args else None
            name = name if isinstance(name, str) else ""
            kind = kinds.get(function.name)
            return Known(kind, name) if kind is not None else None
        if function is not None and function.kind in ("definition", "event"):
            return function if function.kind == "definition" else Known("instance", function.name)
        if isinstance(node.func, ast.Attribute):
            base = self.known(node.func.value)
            if base == Known("api", "Flow") and node.func.attr == "of":
                inner = self.object(node.args[0]) if node.args else UNKNOWN
                if isinstance(inner, Known) and inner.kind == "flow":
                    return inner
                parameter = inner if isinstance(inner, Parameter) else None
                return Known("flow", parameter=parameter)
            if base is not None and base.kind == "definition" and node.func.attr == "start":
                return Known("flow", base.name)
        return None

    def text(self, node: ast.expr | None) -> Any:
        """A text that is written in the source, a parameter, or UNKNOWN."""
        found = self.object(node) if node is not None else UNKNOWN
        if isinstance(found, Enum) and isinstance(found.value, str):
            return found.value
        return found if isinstance(found, (str, Parameter)) else UNKNOWN

    def choices(self, node: ast.expr | None) -> Any:
        """The choices of a `click.Choice`, a parameter, or UNKNOWN; None if it is none."""
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("Choice"):
            return None
        return self.object(node.args[0]) if node.args else UNKNOWN
