"""Random command trees with a canary wherever a person's data may be, as real Click commands."""

from __future__ import annotations

import base64
import types
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import click
from hypothesis import strategies as st

from .canaries import Canaries

OPTIONS = ("text", "multiple", "pair", "file", "secret", "prompted", "hidden", "variable", "choice")
ARGUMENTS = ("none", "one", "many", "file", "extra")
BODIES = (
    *("done", "exit", "abort", "interrupt", "click", "usage", "parameter", "file"),
    *("runtime", "os", "key", "wrapped", "grouped", "dynamic", "module", "system"),
)
GROUPS = ("plain", "plugins", "chain", "own", "result")

LEAF = st.fixed_dictionaries(
    {
        "options": st.lists(st.sampled_from(OPTIONS), max_size=4),
        "argument": st.sampled_from(ARGUMENTS),
        "body": st.sampled_from(BODIES),
    }
)
TREES = st.fixed_dictionaries(
    {
        "groups": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.sampled_from(GROUPS),
                    "options": st.lists(st.sampled_from(OPTIONS), max_size=2),
                }
            ),
            min_size=1,
            max_size=3,
        ),
        "leaf": LEAF,
        "typed": st.sampled_from(["declared", "dynamic", "mistyped", "help"]),
    }
)
"""A path of groups, and the leaf at its end; how the leaf's name is typed."""

Line = list[str]


class Plugins(click.Group):
    """Makes a command for whatever was typed, as plugin loaders do."""

    made: Callable[[str], click.Command]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A declared one, else one of the typed name."""
        return super().get_command(ctx, cmd_name) or self.made(cmd_name)


class Tree:
    """A tree that was grown from a description.

    Args:
        plan: drawn from TREES.
        canaries: what is put in it.
        leak: called with each canary by the bodies, for a leak on purpose.
    """

    def __init__(
        self, plan: dict[str, Any], canaries: Canaries, leak: Callable[[str], None] | None = None
    ) -> None:
        self.canaries = canaries
        self.environ: dict[str, str] = {}
        self.answers: list[str] = []
        self.line: Line = []
        self._leak = leak
        self._options = 0
        self.root = self._grown(plan)

    def _grown(self, plan: dict[str, Any]) -> click.Group:
        groups: list[click.Group] = []
        lines: list[Line] = []
        for number, described in enumerate(plan["groups"]):
            params, line = self._params(described["options"])
            kind = described["kind"]
            if kind == "chain" and number + 1 < len(plan["groups"]):
                kind = "plain"  # a chain's commands are no groups
            groups.append(self._group(f"group-{number}", kind, params))
            lines.append(line)
        params, line = self._params(plan["leaf"]["options"])
        more, words = self._argument(plan["leaf"]["argument"])
        unknown = plan["leaf"]["argument"] == "extra"
        settings = {"ignore_unknown_options": unknown, "allow_extra_args": unknown}

        def leaf(name: str | None) -> click.Command:
            body = self._body(plan["leaf"]["body"])
            return click.Command(
                name, params=[*params, *more], callback=body, context_settings=settings
            )

        typed = "leaf"
        groups[-1].add_command(leaf("leaf"))
        if plan["typed"] == "dynamic" and isinstance(groups[-1], Plugins):
            groups[-1].made = leaf
            typed = self.canaries.new("a dynamic command")
        elif plan["typed"] == "mistyped" and not isinstance(groups[-1], Plugins):
            typed = self.canaries.new("a command that does not exist")
        for outer, inner in pairwise(groups):
            outer.add_command(inner)
        self.line = [*lines[0]]
        for group, options in zip(groups[1:], lines[1:], strict=True):
            self.line += [str(group.name), *options]
        self.line += [typed, *(["--help"] if plan["typed"] == "help" else []), *line, *words]
        return groups[0]

    def _group(self, name: str, kind: str, params: list[click.Parameter]) -> click.Group:
        given: dict[str, Any] = {"params": params, "callback": lambda **_: None}
        if kind == "plugins":
            group = Plugins(name, **given)
            group.made = lambda typed: click.Command(typed, callback=lambda: None)
            return group
        if kind == "own":
            given["invoke_without_command"] = True
        if kind == "result":
            given["result_callback"] = lambda *_, **__: None
        return click.Group(name, chain=kind == "chain", **given)

    def _params(self, kinds: list[str]) -> tuple[list[click.Parameter], Line]:
        params: list[click.Parameter] = []
        line: Line = []
        for kind in kinds:
            self._options += 1
            name = f"--{kind}-{self._options}"
            canary = self.canaries.new(f"the value of {name}")
            option: dict[str, Any] = {}
            if kind == "pair":
                option["nargs"], words = 2, [name, canary, self.canaries.new(f"of {name}, second")]
            elif kind == "multiple":
                option["multiple"], words = True, [f"{name}={canary}", name, canary[::-1]]
            elif kind == "secret":
                words = [f"{name}={base64.b64encode(canary.encode()).decode()}"]
            elif kind == "file":
                option["type"], words = click.Path(), [name, f"/srv/{canary}.txt"]
            elif kind in ("prompted", "hidden"):
                option["prompt"], option["hide_input"] = True, kind == "hidden"
                self.answers.append(canary)
                words = []
            elif kind == "variable":
                option["envvar"], words = f"VARIABLE_{self._options}", []
                self.environ[option["envvar"]] = canary
            elif kind == "choice":
                option["type"], words = click.Choice(["a", "b"]), [name, "a"]
            else:
                words = [name, canary]
            params.append(click.Option([name], **option))
            line += words
        return params, line

    def _argument(self, kind: str) -> tuple[list[click.Parameter], Line]:
        canary = self.canaries.new("an argument")
        if kind == "none":
            return [], []
        if kind == "many":
            return [click.Argument(["words"], nargs=-1)], [canary, self.canaries.new("the second")]
        if kind == "extra":
            return [click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)], [
                f"--{canary}",
                f"--{self.canaries.new('an unknown option')}=x",
            ]
        given: dict[str, Any] = {"type": click.Path()} if kind == "file" else {}
        return [click.Argument(["word"], **given)], [f"{canary}.txt" if kind == "file" else canary]

    def _body(self, kind: str) -> Callable[..., None]:
        canary = self.canaries.new(f"the text of {kind}")

        def body(**values: Any) -> None:
            if self._leak is not None:
                self._leak(canary)
            context = click.get_current_context()
            if kind == "done":
                return
            if kind == "exit":
                context.exit(3)
            raise raised(kind, canary)

        return body


def raised(kind: str, canary: str) -> BaseException:
    """An exception with a canary wherever it may have one."""
    if kind == "dynamic":
        made_now: type[Exception] = type(canary, (Exception,), {"__doc__": canary})
        return made_now(canary)
    if kind == "module":
        module = types.ModuleType(f"plugin_{canary}")
        exec("class Broken(LookupError): pass", module.__dict__)
        broken: type[Exception] = module.__dict__["Broken"]
        return broken(canary)
    if kind == "wrapped":
        wrapper = click.ClickException(canary)
        wrapper.__cause__ = FileNotFoundError(2, canary, canary)
        return wrapper
    if kind == "grouped":
        try:
            group: BaseException = ExceptionGroup(canary, [ValueError(canary)])  # type: ignore[name-defined,unused-ignore]
        except NameError:  # Python 3.10
            group = ValueError(canary)
        group.__context__ = KeyError(canary)
        return group
    made: dict[str, Callable[[], BaseException]] = {
        "abort": click.Abort,
        "interrupt": lambda: KeyboardInterrupt(canary),
        "click": lambda: click.ClickException(canary),
        "usage": lambda: click.UsageError(canary),
        "parameter": lambda: click.BadParameter(canary, param_hint=canary),
        "file": lambda: click.FileError(canary, canary),
        "runtime": lambda: RuntimeError(canary),
        "os": lambda: OSError(13, canary, f"/srv/{canary}"),
        "key": lambda: KeyError(canary),
        "system": lambda: SystemExit(canary),
    }
    return made[kind]()
