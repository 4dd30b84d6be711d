"""The servers that a benchmark's senders talk to, in a process of their own.

A server in the process that holds the watch would keep Python's interpreter lock at the wrong
moment. `python -m tests.benchmarks.endpoints` prints one JSON object of origins and serves until
its standard input ends.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..harness.server import Reply, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLIES = {
    "healthy": Reply(),
    "slow": Reply(delay=0.3),
    "silent": Reply(silent=True),
}


@contextmanager
def endpoints() -> Iterator[dict[str, str]]:
    """Origins by name: those of `REPLIES`, and `refusing`, where nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(
            ("127.0.0.1", 0)
        )  # bound and not listening: refused, and no other process's port
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process:  # at its end it closes the standard input that the servers live by
            origins: dict[str, str] = json.loads(process.stdout.readline())
            yield {**origins, "refusing": f"http://127.0.0.1:{reserved.getsockname()[1]}"}


def serve() -> None:
    """Start the servers, print their addresses, and stop them at the end of standard input."""
    servers = {}
    for name, reply in REPLIES.items():
        servers[name] = Server()
        servers[name].reply = reply
        servers[name].start()
    print(json.dumps({name: server.url for name, server in servers.items()}), flush=True)
    sys.stdin.read()
    for server in servers.values():
        server.stop()


if __name__ == "__main__":
    serve()
