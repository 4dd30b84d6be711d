"""Runs an application in a process of its own, with its telemetry or without; a script of the kit.

`python child.py ORDER` reads a JSON object from its argument and runs what that names as the
interpreter would run it. Without telemetry, a declaration is checked and installs no hook: the
commands are then as Click made them, and what the application itself records goes nowhere.

With telemetry, what is recorded goes to the kit's endpoint, whatever the declared destination is.

It runs in the application's own environment, whatever the version of Python there.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib import import_module
from typing import Any

OBJECT, FILE, MODULE, SCRIPT = "object", "file", "module", "script"
"""Kinds of targets: an attribute of a module or of a file; what `python -m` or `python` runs."""

NETWORK = (
    *("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
    *("socket.sendto", "socket.sendmsg"),
)
"""Audit events of Python that are calls to the network."""


def main() -> None:
    """Run the target."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    kind, target, args = order["kind"], order["target"], order["args"]
    del sys.path[0]  # the folder of this file
    if order["path"] is not None:
        sys.path[:] = order["path"]
    elif kind != SCRIPT:
        sys.path.insert(0, os.getcwd())
    if order["without_telemetry"]:
        _install_nothing(order["report"])
    else:
        _stay_on_this_machine(order["host"] or order["origin"], order["report"])
    if order["count_network"]:
        _count_network(order["report"])
    if kind in (MODULE, SCRIPT):
        sys.argv = [target, *args]
        if kind == MODULE:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.realpath(target)))
            runpy.run_path(target, run_name="__main__")
        return
    module, _, name = target.rpartition(":")
    sys.argv = [order["name"], *args]
    found: Any
    if kind == OBJECT:
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    else:
        found = runpy.run_path(module, run_name="click_telemetry_application")[name]
    found()


def _install_nothing(report: str) -> None:
    """Let declarations put no hook into a command; report the names of the applications."""
    from click_telemetry import _instrument  # as the application finds it

    def note(command: Any) -> None:
        state = command.__dict__.get(_instrument.KEY)
        if getattr(state, "options", None) is not None:
            _append(report, "app", state.app)

    _instrument.install = note


def _stay_on_this_machine(host: str, report: str) -> None:
    """Let events that a variable cannot direct to the kit's endpoint go there all the same.

    That is what a file, a transport of the application's own and a signed-in user's server would
    get. A client of the application's own gets its messages, which are reported. No sample leaves
    this installation out.
    """
    from click_telemetry import _recorder  # as the application finds it
    from click_telemetry._foreground import identity, sinks  # the same

    find, begin = _recorder.find_destination, sinks.ClientSink.__init__

    def find_here(settings: Any, environ: Any) -> Any:
        found = find(settings, environ)
        if found is not None and (found.token is not None or found.host != host):
            return _recorder.Destination(host, "kit")
        return found

    def begin_noted(sink: Any, client: Any, *args: Any, **options: Any) -> None:
        begin(sink, _Noting(client, report), *args, **options)

    changed: Any = sinks.ClientSink
    changed.__init__ = begin_noted
    _recorder.find_destination = find_here
    identity.is_in_sample = lambda *_: True


class _Noting:
    """A client of the application's own, whose messages are reported too."""

    def __init__(self, client: Any, report: str) -> None:
        self._client = client
        self._report = report

    def record(self, message: dict[str, Any]) -> None:
        _append(self._report, "message", json.dumps(message))
        self._client.record(message)

    def close(self) -> None:
        self._client.close()


def _count_network(report: str) -> None:
    own = os.getpid()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in NETWORK and os.getpid() == own:
            _append(report, "network", event)

    sys.addaudithook(hook)


def _append(report: str, kind: str, what: str) -> None:
    descriptor = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, json.dumps([kind, what]).encode("ascii") + b"\n")
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
