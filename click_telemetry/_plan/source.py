"""What an application's source records by calls: names that no declaration has.

It parses the modules of the application and reads the calls of this library's functions in them:
which names of events, properties, prompts and so on are written there. Values are never evaluated;
of the program's objects only those at a module's top level are looked at. A name that is made while
the program runs cannot be known; what can then be recorded is marked as open.
"""

from __future__ import annotations

import ast
import re
import sys
from enum import Enum
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .._events.flow_plan import FlowPlan
from .._foreground.names import MAX_WRAPPERS
from .expressions import UNKNOWN, Evaluator, Known, Parameter
from .model import Calls, FlowCalls, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ACTIONS = {"created": "Created", "connected": "Connected", "deleted": "Deleted"}
"""Methods of a resource, and the last words of their events' names."""


def read(is_own: Callable[[str], bool]) -> Calls:
    """The calls in an application's modules.

    Only those are read that import this library, or another one of them that does. If such a module
    is imported in a function, it is imported here too: what it declares belongs to the plan.

    Args:
        is_own: whether a module is the application's, by its name.
    """
    calls = Calls()
    while _import_late(is_own, calls):
        pass
    passes = _Passes()
    for name, path in sorted(_concerned(is_own, calls).items()):
        reader = _Reader(sys.modules[name], calls, passes)
        reader.visit(_parsed(path))
    passes.resolve(calls)
    files = [path for path in _files(is_own).values() if path.endswith(".py")]
    calls.has_plugins = any(_loads_plugins(path) for path in files)
    return calls


@cache
def _loads_plugins(path: str) -> bool:
    """Whether a file looks for entry points, by any of the functions that are named so."""
    try:
        with open(path, "rb") as file:
            return re.search(rb"\b(iter_)?entry_points\b", file.read()) is not None
    except OSError:
        return False


def _concerned(is_own: Callable[[str], bool], calls: Calls) -> dict[str, str]:
    """The application's modules that have to do with this library, and their files."""
    files = _files(is_own)
    for name in [name for name, path in files.items() if not path.endswith(".py")]:
        del files[name]
        if any(_is_ours(found) for found in list(vars(sys.modules[name]).values())):
            calls.unreadable[name] = "its source cannot be read, since it is compiled"
    found = {name for name, path in files.items() if _LIBRARY in _imported(path)}
    while True:
        words = {name.rpartition(".")[2] for name in found}
        more = {name for name, path in files.items() if words & _imported(path)}
        if more <= found:
            return {name: files[name] for name in found}
        found |= more


_LIBRARY = __name__.partition(".")[0]


def _is_ours(thing: Any) -> bool:
    module = getattr(thing, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == _LIBRARY


@cache
def _imported(path: str) -> frozenset[str]:
    """The last words of the modules and the names that a file imports, and their first words."""
    tree = _parsed(path)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            names += [getattr(node, "module", None) or ""]
            found.update(word for name in names for word in (*name.split(".")[:1], name))
            found.update(name.rpartition(".")[2] for name in names)
    return frozenset(found - {""})


@cache
def _parsed(path: str) -> ast.Module:
    """A file's syntax tree; an empty one if it cannot be parsed."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _import_late(is_own: Callable[[str], bool], calls: Calls) -> bool:
    """Import what the concerned modules import in functions; whether there was anything new."""
    concerned = _concerned(is_own, calls)
    words = {_LIBRARY, *(name.rpartition(".")[2] for name in concerned)}
    new = False
    for name, path in sorted(_files(is_own).items()):
        for target in _imported_in_functions(_parsed(path), sys.modules[name]):
            if target in sys.modules or target in calls.unreadable or not is_own(target):
                continue
            file = _file_of(target)
            if file is None or not words & _imported(file):
                continue
            new = True
            try:
                import_module(target)
            except (Exception, SystemExit) as error:
                calls.unreadable[target] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return new


def objects_of(is_own: Callable[[str], bool]) -> Iterator[Any]:
    """The objects at the top level of an application's modules, and what decorators keep of them.

    Args:
        is_own: whether a module is the application's, by its name.
    """
    for name in sorted(name for name in [*sys.modules] if is_own(name)):
        for found in list(getattr(sys.modules[name], "__dict__", {}).values()):
            yield found
            callback = getattr(found, "callback", None) if hasattr(found, "params") else found
            for _ in range(MAX_WRAPPERS):
                for cell in getattr(callback, "__closure__", None) or ():
                    try:
                        yield cell.cell_contents
                    except ValueError:  # it is empty
                        continue
                callback = getattr(callback, "__dict__", {}).get("__wrapped__")
                if callback is None:
                    break


def _files(is_own: Callable[[str], bool]) -> dict[str, str]:
    """The files of the application's modules that are loaded."""
    found = {}
    loaded: list[tuple[str, Any]] = sorted(sys.modules.items())
    for name, module in loaded:
        path = getattr(module, "__file__", None)
        if isinstance(module, ModuleType) and isinstance(path, str) and is_own(name):
            found[name] = path
    return found


def _file_of(target: str) -> str | None:
    """The file of a module that is not imported; None if there is no such module."""
    try:
        spec = find_spec(target)
    except (Exception, SystemExit):
        return None
    path = spec.origin if spec is not None else None
    return path if path is not None and path.endswith(".py") else None


def _imported_in_functions(tree: ast.Module, module: ModuleType) -> Iterator[str]:
    """The modules that a module may import as it runs, by their full names."""
    package = module.__package__ or ""
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in top:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            parts = parts[: len(parts) - node.level + 1]
            base = ".".join([*parts, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


class _Passes:
    """What depends on the arguments of the application's own functions, until all calls are read.

    `ask("plan", PLANS, flow=f)` names a prompt whose question is asked in `ask`.
    """

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[list[Any], dict[str | None, Any]]]] = {}
        self.postponed: list[tuple[str, Callable[[Calls, Callable[[Any], Any]], None]]] = []

    def resolve(self, calls: Calls) -> None:
        """Apply what was postponed, once for each call of the function."""
        for function, apply in self.postponed:
            for args, keywords in self.calls.get(function, [([], {})]):

                def argument(
                    value: Any, args: list[Any] = args, keywords: dict[str | None, Any] = keywords
                ) -> Any:
                    parameter = value.parameter if isinstance(value, Known) else value
                    if not isinstance(parameter, Parameter):
                        return value
                    if parameter.name in keywords:
                        return keywords[parameter.name]
                    if parameter.place < len(args):
                        return args[parameter.place]
                    return UNKNOWN

                apply(calls, argument)


class _Reader(Evaluator):
    """Reads the calls in one module.

    Args:
        module: it is imported.
        calls: what was found.
        passes: what is postponed until all modules are read.
    """

    def __init__(self, module: ModuleType, calls: Calls, passes: _Passes) -> None:
        super().__init__(module)
        self._calls = calls
        self._passes = passes

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        function = self.known(node.func)
        if function is not None and function.kind == "api":
            getattr(self, f"_{function.name.lower()}", lambda _: None)(node)
        elif function is not None and function.kind == "definition":
            self._calls.flow(function.name).properties.add(_keywords(node, "when"))
        elif isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        args = [self._argument(one) for one in node.args]
        keywords = {one.arg: self._argument(one.value) for one in node.keywords}
        self._passes.calls.setdefault(name, []).append((args, keywords))

    def _argument(self, node: ast.expr) -> Any:
        known = self.known(node)
        if known is not None:
            return known
        return self.object(node)

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        base, name = self.known(function.value), function.attr
        if name == "timed" and not node.args:
            self._calls.timed.add(
                base.name if base is not None and base.kind == "instance" else None
            )
        elif base is None:
            passed = self.object(function.value)
            if isinstance(passed, Parameter):  # not annotated: a flow if a call passes one
                self._later(lambda calls, given: self._passed(calls, given, passed, node, name))
        elif base.kind == "recorder" and name == "track":
            self._track(node)
        elif base.kind == "resource" and name in ACTIONS:
            kinds = self._calls.resources.setdefault(base.name, {})
            kinds.setdefault(name, Names()).add(_keywords(node))
        elif base.kind == "flow":
            self._later(lambda calls, given: self._in_flow(calls, given, base, node, name))

    def _later(self, apply: Callable[[Calls, Callable[[Any], Any]], None]) -> None:
        """Apply something now, or once for each call of the enclosing function."""
        function = self.functions[-1] if self.functions else ""
        scopes = [*self.scopes]

        def in_scope(calls: Calls, given: Callable[[Any], Any]) -> None:
            self.scopes, kept = scopes, self.scopes
            try:
                apply(calls, given)
            finally:
                self.scopes = kept

        self._passes.postponed.append((function, in_scope))

    def _in_flow(
        self, calls: Calls, given: Callable[[Any], Any], base: Known, node: ast.Call, method: str
    ) -> None:
        found = given(base) if base.parameter is not None else base
        if found is None:
            return  # called without a flow
        known = isinstance(found, Known) and found.kind == "flow"
        flow = calls.flow(found.name if known else "")
        if method in ("set", "complete", "abort"):
            flow.properties.add(_keywords(node))
        elif method == "event":
            name = given(self.text(node.args[0] if node.args else None))
            if isinstance(name, str):
                flow.moments.setdefault(name, Names()).add(_keywords(node))
            else:
                flow.other_moments = True
        elif method in ("prompt", "confirm"):
            self._prompt(flow, given, node, method)

    def _passed(
        self, calls: Calls, given: Callable[[Any], Any], base: Parameter, node: ast.Call, name: str
    ) -> None:
        if isinstance(given(base), Known):
            self._in_flow(calls, given, Known("flow", parameter=base), node, name)

    def _prompt(
        self, flow: FlowCalls, given: Callable[[Any], Any], node: ast.Call, method: str
    ) -> None:
        options = {one.arg: one.value for one in node.keywords}
        name = given(self.text(node.args[0] if node.args else options.get("name")))
        if not isinstance(name, str):
            flow.other_prompts = True
            return
        answer: Any = True
        if method == "prompt":
            kind = options.get("type", node.args[5] if len(node.args) > 5 else None)
            answer = given(self.choices(kind))
            hidden = options.get("hide_input", node.args[3] if len(node.args) > 3 else None)
            if _is(options.get("answer"), False) or _is(hidden, True):
                answer = None
            if isinstance(answer, type) and issubclass(answer, Enum):
                answer = [*answer]
            if answer is not None and (not isinstance(answer, (list, tuple)) or UNKNOWN in answer):
                answer = UNKNOWN
        known = flow.prompts.get(name)
        if isinstance(known, list) and isinstance(answer, (list, tuple)):
            answer = [*known, *(one for one in answer if one not in known)]
        elif known is not None and (answer is None or answer is not known):
            answer = known if answer is None else UNKNOWN
        flow.prompts[name] = [*answer] if isinstance(answer, tuple) else answer

    def _track(self, node: ast.Call) -> None:
        name = self.text(node.args[0] if node.args else None)
        if isinstance(name, Parameter):  # of a function around `track`
            self._later(lambda _, given: self._tracked(given(name), node))
        else:
            self._tracked(name, node)

    def _tracked(self, name: Any, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(name, str):
            properties = node.args[1] if len(node.args) > 1 else _keyword(node, "properties")
            self._calls.tracked.setdefault(name, Names()).add(_keys(properties))
        elif len(node.args) > 1 or isinstance(first, (ast.JoinedStr, ast.BinOp)):
            self._note("tracks events")

    def _identify(self, node: ast.Call) -> None:
        if self._calls.traits is None:
            self._calls.traits = Names()
        properties = node.args[1] if len(node.args) > 1 else _keyword(node, "traits")
        self._calls.traits.add(_keys(properties))

    def _set_context(self, node: ast.Call) -> None:
        self._calls.context.add(_keywords(node))

    def _track_error(self, node: ast.Call) -> None:
        codes = self._calls.codes.setdefault("error", set())
        code = node.args[2] if len(node.args) > 2 else _keyword(node, "code")
        if code is not None:
            found = self.text(code)
            codes.add(found if isinstance(found, str) else None)

    def _track_warning(self, node: ast.Call) -> None:
        found = self.text(node.args[0] if node.args else _keyword(node, "code"))
        codes = self._calls.codes.setdefault("warning", set())
        codes.add(found if isinstance(found, str) else None)

    def _track_command(self, node: ast.Call) -> None:
        name = self.text(node.args[0] if node.args else _keyword(node, "name"))
        source = node.args[1] if len(node.args) > 1 else _keyword(node, "source")
        found = self.text(source) if source is not None else "command"
        if not isinstance(name, str):
            self._note("has custom commands")
            name = None
        sources = self._calls.commands.setdefault(name, set())
        sources.add(found if isinstance(found, str) else "")

    def _resource(self, node: ast.Call) -> None:
        kind = self.text(node.args[0] if node.args else None)
        if not isinstance(kind, str):
            self._note("has resources")
        self._calls.resources.setdefault(kind if isinstance(kind, str) else "", {})

    def _flow(self, node: ast.Call) -> None:
        """A definition: one within a function is in no module."""
        name = self.text(node.args[0] if node.args else None)
        options = {one.arg: one.value for one in node.keywords}
        if not isinstance(name, str):
            self._note("has flows")
            return
        own = ("steps", "reasons", "aborts", "step_events", "when")
        self._calls.flow(name).properties.add(_keywords(node, *own))
        aborts = options.get("aborts")
        given = aborts.values if isinstance(aborts, ast.Dict) else []
        words = [*self._words(options.get("reasons")), *(self.text(one) for one in given)]
        plan = FlowPlan(
            name,
            self._words(options.get("steps")),
            dict.fromkeys(word for word in words if isinstance(word, str)),
            step_events=self.object(options.get("step_events", ast.Constant(False))) is not False,
        )
        self._calls.definitions.setdefault(name, plan)

    def _note(self, what: str) -> None:
        """Note that something has a name that is not written in the source."""
        self._calls.unknown.add(f"{self.module.__name__} {what} whose names are made as it runs")

    def _words(self, node: ast.expr | None) -> list[Any]:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return [self.text(item) for item in node.elts]
        found = self.object(node) if node is not None else ()
        return [*found] if isinstance(found, (list, tuple)) else []


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in node.keywords if one.arg == name), None)


def _keywords(node: ast.Call, *without: str) -> Names:
    """The names of a call's keywords."""
    names = {one.arg for one in node.keywords if one.arg is not None} - {*without}
    return Names(names, any(one.arg is None for one in node.keywords))


def _keys(node: ast.expr | None) -> Names:
    """The keys of a mapping that is written in the source."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return Names()
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
        return _keywords(node)
    if not isinstance(node, ast.Dict):
        return Names(set(), True)
    keys: Iterable[ast.expr | None] = node.keys
    texts = [one.value if isinstance(one, ast.Constant) else None for one in keys]
    return Names({text for text in texts if isinstance(text, str)}, None in texts)
