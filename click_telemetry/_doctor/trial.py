"""A trial in a process that is started as the sender is: imports, a file, a connection if asked.

It sends and writes no event and no key, reads no queue, and prints one JSON object. The cost of the
foreground is measured first, before the sender's own modules are loaded.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, perf_counter
from typing import Any

CONNECT_TIMEOUT = 5.0
"""Seconds; also for the response."""
_OPTIONS: dict[str, Any] = {
    "write_key": "",
    "token": None,
    "address": "",
    "headers": {},
    "max_bytes": 0,
    "keep": 0,
}
"""What transports of ours need to be made; the declared ones stay in the application."""


def main(job: dict[str, Any]) -> int:
    """Run as a process of its own.

    Args:
        job: as the sender's; `connect` is whether to contact `host`.
    """
    import json

    found: dict[str, Any] = {"cost": _cost()}
    found |= _load_client(job)
    host = str(job.get("host"))
    if host.startswith("file://"):
        found["connection"] = _look_at(host.removeprefix("file://"))
    elif job.get("connect") and host.startswith(("https://", "http://")) and not found["client"]:
        found["connection"] = _connect(host)
    sys.stdout.write(json.dumps(found))
    return 0


def _cost() -> dict[str, Any] | None:
    """The modules that a recorded run imports in addition to Click, and milliseconds for that."""
    try:
        import atexit  # noqa: F401  # Python has it already
        import fcntl  # noqa: F401

        import click  # noqa: F401
    except ImportError:
        return None
    before = {*sys.modules}
    began = perf_counter()
    # What a recorded run imports, in its order.
    from .. import _instrument, _launcher, _recorder, _spool  # noqa: F401

    milliseconds = (perf_counter() - began) * 1000
    own = [name for name in {*sys.modules} - before if name.startswith("click_telemetry")]
    return {"modules": len(own) + 1, "milliseconds": round(milliseconds, 1)}  # the package too


def _load_client(job: dict[str, Any]) -> dict[str, str]:
    """Import what the sender imports, and open a transport.

    Returns:
        What failed, as `client`, and the sender's word for it, as `error`; both may be empty.
    """
    try:
        # The sender's own modules, which no foreground loads.
        from .._sender import main as _  # noqa: F401  # after the cost was measured
        from .._sender.transports import SEGMENT, transport_class  # likewise
        from .._sender.watchdog import Timeout  # likewise

        declared = job.get("transport") or {"class": SEGMENT}
        kind = transport_class(declared)
        if "package" not in declared:  # one of the application's own may have an effect
            host = job.get("host") or "http://127.0.0.1"
            kind({**_OPTIONS, "host": host}, Timeout(monotonic() + CONNECT_TIMEOUT)).close()
    except Exception as error:  # a client that is missing, damaged or unknown
        word = str(getattr(error, "word", type(error).__name__))
        extra = word.removeprefix("extra_")
        missing = f"a package of the extra [{extra}] is missing"
        return {"client": missing if extra != word else f"{word}: {error}", "error": word}
    return {"client": "", "error": ""}


def _look_at(path: str) -> dict[str, str]:
    """The sender's word for why it could not append to a file, as `error`; nothing is made."""
    nearest = path
    while not os.path.lexists(nearest):
        nearest = os.path.dirname(nearest)
    if nearest != path and not os.path.isdir(nearest):
        return {"error": "file_ENOTDIR"}
    if os.path.islink(path):
        return {"error": "file_ELOOP"}
    if nearest == path and (not os.path.isfile(path) or os.stat(path).st_uid != os.geteuid()):
        return {"error": "file_unusable"}
    needed = os.W_OK | (os.X_OK if nearest != path else os.R_OK)
    return {} if os.access(nearest, needed) else {"error": "file_EACCES"}


def _connect(host: str) -> dict[str, Any]:
    """How a host answers a request without events and without a key."""
    import requests

    from .._sender.transports.adapter import is_loopback  # likewise

    with requests.Session() as session:
        session.trust_env = not is_loopback(host)
        began = perf_counter()
        try:
            response = session.head(
                host, timeout=CONNECT_TIMEOUT, allow_redirects=False, stream=True
            )
        except requests.RequestException as error:
            return {"error": type(error).__name__}
        milliseconds = round((perf_counter() - began) * 1000)
        return {"status": response.status_code, "milliseconds": milliseconds}
