"""Runs a generated program in this process, and composes what it recorded."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import Phase

from click_telemetry._instrument import OPTED_OUT, SCOPES
from click_telemetry._sender.queue import compose
from click_telemetry.testing import RecordingClient

from .generated_program import Plan, Program, Record
from .processes import Home
from .program_plans import CIRCUMSTANCES, SETTINGS, VARIABLES, recorded

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A program is made of a seed: a smaller number gives no smaller program."""

STARTING = [
    (os, "posix_spawn"),
    (os, "fork"),
    (subprocess, "Popen"),
    (socket.socket, "connect"),
]


def environment(plan: Plan, home: Home) -> dict[str, str]:
    """What a plan's opt-out needs: variables, or a saved setting."""
    off = plan["off"]
    if off in SETTINGS:
        home.choice().parent.mkdir(parents=True)
        home.choice().write_text(SETTINGS[off])
    if off in CIRCUMSTANCES:
        return CIRCUMSTANCES[off][0]
    return {off: VARIABLES[off]} if off in VARIABLES else {}


def run_here(plan: Plan) -> tuple[list[Record], list[dict[str, Any]]]:
    """Run a program in this process: the leaves that ran, and the messages that were recorded."""
    witnessed: list[Record] = []
    client = RecordingClient()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        home = Home(Path(directory, "home"))
        state = Path(directory, "state")
        state.mkdir(mode=0o700)
        environ = {**home.environ, **environment(plan, home)}
        before = home.digest()
        if plan["spool"]:
            environ["CLICK_TELEMETRY_WATCH"] = "http://127.0.0.1:9"
            environ["CLICK_TELEMETRY_WATCH_STATE"] = str(state)
        starts = [stack.enter_context(mock.patch.object(*target)) for target in STARTING]
        stack.enter_context(mock.patch.dict(os.environ, environ, clear=True))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        program = Program(plan, witnessed.append)
        stack.enter_context(program.observed())
        program.instrument({} if plan["spool"] else {"client": client}, tracks=plan["tracks"])
        with contextlib.suppress(BaseException):
            program.run(0)
        assert [start.called for start in starts] == [False] * len(starts)
        assert home.digest() == before
        files = sorted(state.rglob("*.facts"))
        composed = [compose(path.name, path.read_bytes(), writer_gone=True) for path in files]
        messages = [message for part in composed for message in part.messages]
        assert not any(part.lost for part in composed)
        if not recorded(plan, witnessed, sends=False):
            assert [path for path in state.rglob("*") if "decisions" not in path.parts] == []
    assert SCOPES == OPTED_OUT == []
    return witnessed, [*client.messages, *messages]
