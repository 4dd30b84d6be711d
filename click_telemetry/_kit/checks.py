"""Proves that telemetry does an application no harm: each check gives its faults as sentences.

Each runs the application in real processes, in an empty home, against endpoints on this machine.
`assert_…` are for the application's own tests, `click-telemetry check` for a shell and CI.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._commands.terminal import pluralize
from .._instrument import FLAG
from .._sender.queue import compose
from . import CheckFailed
from .endpoint import ACCEPTING, HANGING, REFUSING, TIMEOUT, Endpoint
from .process import NotRunnable, application_of, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .process import Application, Place, Seen

ALLOWED_FACTOR, ALLOWED_SECONDS = 1.5, 0.5
"""How much longer the fastest of a command's runs may take offline: a factor, and seconds."""

RUNS = 3
"""How often a command is run for each endpoint, where its time is compared."""

UNKNOWN_HOST = "https://click-telemetry.invalid"
"""A name that no server ever has (RFC 6761)."""


@dataclass
class Result:
    """What a check found.

    Attributes:
        check: its name.
        summary: what was compared, where it passed.
        faults: what was found to be wrong, a sentence each.
        messages: of `no leaks`: what was recorded, as it is sent.
    """

    check: str
    summary: str = ""
    faults: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def raise_faults(self) -> None:
        """Raise the faults, if there are any.

        Raises:
            CheckFailed: there are.
        """
        if self.faults:
            raise CheckFailed("\n".join(self.faults))


# Transparent --------------------------------------------------------------------------------------


def assert_transparent(
    cli: Any,
    *args: str,
    cwd: str | Path | None = None,
    input: str = "",  # noqa: A002
) -> None:
    """Check that a command line does the same with telemetry as without.

    It runs twice in processes of its own, each time in the same empty home: once as it is, once
    with declarations that install nothing. Compared are standard output and error, the exit status,
    and the files and directories that it leaves in its home, its working directory and its
    temporary directory. In a help page the row of `--no-telemetry` may differ.

    Args:
        cli: an object of a module, `"acme.cli:cli"`, or the words of a command line as a list.
        *args: the command line's words.
        cwd: a directory whose copy it runs in; an empty one by default.
        input: of its standard input.

    Raises:
        CheckFailed: something differs; the message has the faults.
    """
    application = application_of(cli, args)
    with place(application, content=Path(cwd) if cwd else None, input=input.encode()) as where:
        check_transparent(application, where).raise_faults()


def check_transparent(application: Application, where: Place) -> Result:
    """Compare a command line with and without telemetry."""
    result = Result("transparent")
    endpoint = Endpoint(REFUSING)
    try:
        if not where.apps:
            where.run(application, telemetry=False)  # it reports its name
        bare = where.run(application, telemetry=False, origin=endpoint.origin)
        seen = where.run(application, telemetry=True, origin=endpoint.origin)
        events = where.events()
        where.settle()
        result.faults = _differences(seen, bare)
        if result.faults:
            again = where.run(application, telemetry=False, origin=endpoint.origin)
            if _differences(again, bare):
                result.faults.append(
                    "it also differs between two runs without telemetry: check a command line that "
                    "prints and writes the same each time"
                )
    finally:
        endpoint.close()
    result.summary = (
        f"the same stdout, stderr, exit status {bare.status} and "
        f"{pluralize(sum(not _is_directory(path) for path in bare.files), 'file')} with telemetry "
        f"({pluralize(events, 'fact')} recorded) as without"
    )
    return result


def _differences(seen: Seen, bare: Seen) -> list[str]:
    faults = []
    if seen.status != bare.status:
        faults.append(f"{_status(seen.status)} with telemetry, {_status(bare.status)} without")
    for name in ("stdout", "stderr"):
        ours, theirs = _text(getattr(seen, name)), _text(getattr(bare, name))
        # In a help page only: elsewhere a single blank is a difference.
        is_help = FLAG in ours and FLAG not in theirs
        if ours != theirs and not (is_help and _without_option(ours) == _without_option(theirs)):
            faults.append(f"{name} differs: {_first_difference(ours, theirs)}")
    for path in sorted({*seen.files, *bare.files}):
        what = "directory" if _is_directory(path) else "file"
        if path not in bare.files:
            faults.append(f"the {what} {path} is left only with telemetry")
        elif path not in seen.files:
            faults.append(f"the {what} {path} is left only without telemetry")
        elif seen.files[path] != bare.files[path]:
            faults.append(f"the file {path} has another content with telemetry than without")
    return faults


def _is_directory(path: str) -> bool:
    return path.endswith(os.sep)


def _status(status: int | None) -> str:
    if status is None:
        return f"no end within {TIMEOUT:g} s"
    return f"exit status {status}" if status >= 0 else f"an end by signal {-status}"


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _without_option(text: str) -> list[list[str]]:
    """The words of a help page's lines, without the row of our option, which widens columns."""
    lines = [_FRAME.sub(" ", line).split() for line in text.splitlines()]
    kept = [line for line in lines if line and FLAG not in line]
    return [line for line in kept if line != ["Record", "nothing", "about", "this", "run."]]


_FRAME = re.compile("[\u2500-\u257f]|-{3,}")
"""What rich draws around a page."""


def _first_difference(ours: str, theirs: str) -> str:
    left, right = ours.splitlines(), theirs.splitlines()
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else None
        other = right[number] if number < len(right) else None
        if one != other:
            return f"line {number + 1} is {_shown(one)} with telemetry, {_shown(other)} without"
    return "the ends of lines"


def _shown(line: str | None) -> str:
    return "missing" if line is None else repr(line if len(line) <= 80 else line[:80] + "…")


# No leaks -----------------------------------------------------------------------------------------


def assert_no_leaks(
    cli: Any,
    *args: str,
    secrets: Sequence[str] = (),
    input: str | None = None,  # noqa: A002
    cwd: str | Path | None = None,
) -> None:
    """Check that nothing private of a run is in what telemetry stores or sends.

    It runs twice in processes of its own: once its events stay in the spool, once they arrive at an
    endpoint on this machine. Canaries are random texts: the kit puts them into the environment, the
    names of the home and of the working directory, the user's and the host's name, and standard
    input. Put your own secrets into the arguments, or into what an exception's message contains,
    and list them. Each is searched for as it is, in other cases, reversed, encoded (percent,
    hexadecimal, base64) and as a digest (MD5, SHA-1, SHA-256, BLAKE2b).

    Args:
        cli: as for `assert_transparent`.
        *args: the command line's words.
        secrets: further texts that must not come out, of at least six characters.
        input: of its standard input; by default lines that are canaries.
        cwd: a directory whose copy it runs in; an empty one by default.

    Raises:
        CheckFailed: something came out, or nothing was recorded at all.
    """
    application = application_of(cli, args)
    canaries = Canaries(secrets)
    options = canaries.place()
    if input is not None:
        options["input"] = input.encode()
    with place(application, content=Path(cwd) if cwd else None, **options) as where:
        check_no_leaks(application, where, canaries).raise_faults()


class Canaries:
    """Texts that must not come out, and a detector of them.

    Args:
        secrets: the caller's own.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        short = [secret for secret in secrets if len(secret) < 6]
        if short:
            raise NotRunnable(
                f"the secret {short[0]!r} has fewer than six characters, and could "
                "be found by chance: use a longer one"
            )
        self._places = {secret: f"the secret {secret!r}" for secret in secrets}

    def new(self, where: str) -> str:
        """A new one: letters alone, so that it may be any name."""
        made = "".join(random.choices(string.ascii_lowercase, k=20)).capitalize()
        self._places[made] = where
        return made

    def place(self) -> dict[str, Any]:
        """Options of `place` that put canaries wherever a person's data may be."""
        line = self.new("a line of standard input")
        variables = {
            "KIT_SECRET": "a variable of the environment",
            "USER": "the user's name",
            "LOGNAME": "the login name",
            "HOSTNAME": "the host's name",
            "USERNAME": "the user's name",
        }
        return {
            "cwd_name": self.new("the name of the working directory"),
            "home_name": self.new("the name of the home"),
            "environ": {name: self.new(what) for name, what in variables.items()},
            "input": f"{line}\n".encode() * 8,
        }

    def found_in(self, where: str, content: bytes) -> list[str]:
        """A sentence for each one that is in a content."""
        lowered = content.decode("utf-8", "replace").lower()
        return [
            f"{place} came out {where}, {form}"
            for secret, place in self._places.items()
            for form in [next((f for f, text in _forms(secret) if text in lowered), None)]
            if form is not None
        ]

    def __len__(self) -> int:
        return len(self._places)


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Every form in which a text is searched for, in lower case."""
    raw = secret.encode()
    yield "as it is", secret.lower()
    yield "escaped as in JSON", json.dumps(secret)[1:-1].lower()
    yield "percent-encoded", quote(secret, safe="").lower()
    yield "in hexadecimal", raw.hex()
    yield "reversed", secret[::-1].lower()
    for offset in range(3):  # it looks different at each distance from the text's beginning
        kept = raw[offset : offset + (len(raw) - offset) // 3 * 3]
        yield "in base64", base64.b64encode(kept).decode().lower()
    for digest in ("md5", "sha1", "sha256", "blake2b"):
        found = hashlib.new(digest, raw, usedforsecurity=False).hexdigest()
        yield f"as a digest ({digest})", found[:32]


def check_no_leaks(application: Application, where: Place, canaries: Canaries) -> Result:
    """Search what is stored and what is sent for canaries."""
    result = Result("no leaks")
    refusing, accepting = Endpoint(REFUSING), Endpoint(ACCEPTING)
    try:
        if not where.apps:
            where.run(application, telemetry=False)
        where.run(application, telemetry=True, origin=refusing.origin)
        stored, facts = where.stored(), where.events()
        result.messages = [json.loads(passed) for passed in where.passed]
        for path in [path for path in stored if path.endswith(".facts")]:
            result.messages += compose(Path(path).name, stored[path], writer_gone=True).messages
        where.settle()
        stored |= where.stored()
        names = [str(Path(path).relative_to(where.home)) for path in stored]
        written = b"\0".join([*stored.values(), *(name.encode() for name in names)])
        where.run(application, telemetry=True, origin=accepting.origin)
        where.settle(empty=True)
        arrived = [*accepting.received, *where.passed]
    finally:
        refusing.close()
        accepting.close()
    if not facts or not arrived:
        result.faults.append(
            f"nothing to search: {facts} facts were stored and {len(arrived)} requests "
            "arrived; `click-telemetry doctor` explains why a command records nothing"
        )
    result.faults += canaries.found_in("in what is stored", written)
    result.faults += canaries.found_in("in what is sent", b"\0".join(arrived))
    result.summary = (
        f"none of {len(canaries)} private texts in {pluralize(facts, 'stored fact')} and "
        f"{pluralize(len(arrived), 'message' if where.passed else 'request')}"
    )
    return result


# Fast offline -------------------------------------------------------------------------------------


def assert_fast_offline(
    cli: Any,
    *args: str,
    cwd: str | Path | None = None,
    input: str = "",  # noqa: A002
) -> None:
    """Check that a command line never waits for the host that its events are sent to.

    It runs in processes of its own against an endpoint that refuses connections, one that accepts
    them and never answers, and a name that no server has. Two things are compared with runs that
    are not instrumented: the network calls of the command's own process, of which there must be no
    more, and the time. The fastest of three runs may take half as long again, and half a second
    more, which a busy machine does not exceed; a shorter wait is found by its network call.
    With `delivery="inline"` a command waits on purpose, for `flush_timeout` at most.

    Args:
        cli: as for `assert_transparent`.
        *args: the command line's words.
        cwd: a directory whose copy it runs in; an empty one by default.
        input: of its standard input.

    Raises:
        CheckFailed: it waits, or calls the network.
    """
    application = application_of(cli, args)
    with place(application, content=Path(cwd) if cwd else None, input=input.encode()) as where:
        check_fast_offline(application, where).raise_faults()


def check_fast_offline(application: Application, where: Place) -> Result:
    """Compare time and network calls of a command line offline with those without telemetry."""
    result = Result("fast offline")
    bare = [where.run(application, telemetry=False, count_network=True) for _ in range(RUNS)]
    allowed = min(seen.seconds for seen in bare) * ALLOWED_FACTOR + ALLOWED_SECONDS
    usual = max(len(seen.network) for seen in bare)
    facts = 0
    for mode, what in (
        (REFUSING, "an endpoint that refuses connections"),
        (HANGING, "an endpoint that never answers"),
        (UNKNOWN_HOST, "a host whose name does not exist"),
    ):
        endpoint = Endpoint(HANGING if mode == HANGING else REFUSING)
        fastest: float | None = None
        calls: list[str] = []
        try:
            for _ in range(RUNS):
                seen = where.run(
                    application,
                    telemetry=True,
                    origin=endpoint.origin,
                    host=UNKNOWN_HOST if mode == UNKNOWN_HOST else None,
                    count_network=True,
                )
                facts = max(facts, where.events())
                calls = [*seen.network[usual:]] or calls
                fastest = min(seen.seconds, seen.seconds if fastest is None else fastest)
                if fastest <= allowed or seen.status is None:
                    break  # the fastest run decides
        finally:
            endpoint.close()
            where.settle()
        if calls:
            result.faults.append(
                f"the command itself calls the network {_times(len(calls))} "
                f"({', '.join(sorted({*calls}))}) with {what}; without telemetry it does not"
            )
        if fastest is not None and fastest > allowed:
            result.faults.append(
                f"the command waits for {what}: it takes {fastest:.1f} s, and "
                f"{min(seen.seconds for seen in bare):.1f} s without telemetry"
            )
    if not facts:
        result.faults.append(
            "nothing was recorded, so that nothing was to be sent; `click-telemetry doctor` "
            "explains why"
        )
    result.summary = (
        "no wait and no network call with a host that refuses, never answers or does not exist"
    )
    return result


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# All of them --------------------------------------------------------------------------------------


def all_checks(
    words: Sequence[str],
    *,
    secrets: Sequence[str] = (),
    input: str | None = None,  # noqa: A002
    copy: bool = False,
) -> Iterator[Result]:
    """Check a command line in every way, one after the other.

    Args:
        words: the command line.
        secrets: as for `assert_no_leaks`.
        input: of its standard input.
        copy: whether it runs in a copy of the current directory, whose files are compared too.

    Raises:
        NotRunnable: it is no application of Python.
    """
    application = application_of([*words], ())
    canaries = Canaries(secrets)
    options = {"content": Path.cwd()} if copy else {"shared_cwd": True}
    given = {} if input is None else {"input": input.encode()}
    with place(application, **options, **given) as where:
        yield check_transparent(application, where)
    with place(application, **{**canaries.place(), **options, **given}) as where:
        yield check_no_leaks(application, where, canaries)
    with place(application, **options, **given) as where:
        yield check_fast_offline(application, where)
