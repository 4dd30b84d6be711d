"""Whether a run may be recorded: one pure function of a mapping and a few facts.

It reads no disk and no clock. Any *no* wins; the first in a fixed order is the reason that is
shown. What a person said comes before what merely is the case, and nothing turns it back on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .refusal import LOG as LOG
from .refusal import variable_saying_no

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    class Facts(Protocol):
        """What `decide` may ask of the world, each answered when it is asked and not before."""

        @property
        def choice(self) -> str:
            """The stored choice: `none`, `enabled`, `disabled` or `unreadable`."""

        @property
        def foreign_user(self) -> bool:
            """Whether the process acts for somebody else: uid is not euid, or HOME is another's."""

        @property
        def test_run(self) -> bool:
            """Whether a test suite runs the command."""

        @property
        def ci(self) -> bool:
            """Whether this is CI, and the application does not label such runs instead."""

        @property
        def watched(self) -> bool:
            """Whether `click-telemetry watch` asks for the events, at a loopback address."""

        @property
        def client(self) -> bool:
            """Whether the application gave a client of its own."""

        @property
        def write_key(self) -> bool:
            """Whether there is a destination: a write key, and an application name of its own."""

        @property
        def storable(self) -> bool:
            """Whether the state directory can be used."""

        @property
        def opt_in(self) -> bool:
            """Whether the application records nothing before a person enables it."""

        @property
        def notice_shown(self) -> bool:
            """Whether the person has been told, or the application tells them itself."""


SEND = "send"
CLIENT = "client"
WATCH = "watch"
NOTHING = "nothing"


class Decision:
    """What becomes of a run, and why.

    Attributes:
        mode: SEND, LOG, CLIENT, WATCH or NOTHING.
        reason: a key of `reasons.REASONS` when the mode is NOTHING, else an empty string.
        detail: the variable that decided, where one did.
    """

    __slots__ = ("detail", "mode", "reason")

    def __init__(self, mode: str, reason: str = "", detail: str = "") -> None:
        self.mode = mode
        self.reason = reason
        self.detail = detail

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and (
            (self.mode, self.reason, self.detail) == (other.mode, other.reason, other.detail)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Decision({self.mode!r}, {self.reason!r}, {self.detail!r})"


def refused(environ: Mapping[str, str], prefix: str, *, flag: bool) -> Decision | None:
    """The person's no on the command line or in a variable, or None.

    Args:
        environ: the process's environment.
        prefix: the application's name as variables write it, such as `ACME_CLI`.
        flag: whether `--no-telemetry` was given.
    """
    if flag:
        return Decision(NOTHING, "flag")
    variable = variable_saying_no(environ, prefix)
    return Decision(NOTHING, "variable", variable) if variable is not None else None


def decide(
    environ: Mapping[str, str], prefix: str, *, flag: bool, look: Callable[[], Facts]
) -> Decision:
    """Decide about one run.

    Args:
        environ: the process's environment.
        prefix: the application's name as variables write it.
        flag: whether `--no-telemetry` was given.
        look: gives the facts; called only when no variable has answered already.
    """
    by_variable = refused(environ, prefix, flag=flag)
    if by_variable is not None:
        return by_variable
    facts = look()
    if facts.choice == "disabled":
        return Decision(NOTHING, "choice")
    if facts.choice == "unreadable":
        return Decision(NOTHING, "unreadable_choice")
    if facts.foreign_user:
        return Decision(NOTHING, "foreign_user")
    if environ.get(prefix + "_TELEMETRY", "").strip().lower() == LOG:
        return Decision(LOG)
    if facts.client:
        return Decision(CLIENT)
    if facts.watched:
        return Decision(WATCH)
    for reason, applies in _CIRCUMSTANCES:
        if applies(facts):
            return Decision(NOTHING, reason)
    return Decision(SEND)


_CIRCUMSTANCES: tuple[tuple[str, Callable[[Facts], bool]], ...] = (
    ("test_run", lambda facts: facts.test_run),
    ("ci", lambda facts: facts.ci),
    ("no_write_key", lambda facts: not facts.write_key),
    ("not_storable", lambda facts: not facts.storable),
    ("not_opted_in", lambda facts: facts.opt_in and facts.choice != "enabled"),
    ("notice_not_shown", lambda facts: facts.choice != "enabled" and not facts.notice_shown),
)

INHERITED = frozenset(
    ("flag", "variable", "choice", "unreadable_choice", "foreign_user", "test_run")
)
"""The reasons that hold for what a run starts too: a person's, and that a test suite runs it."""
