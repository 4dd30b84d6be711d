"""Time limits of a delivery, and what a sender refuses to do."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from click_telemetry._instrument import opt_out_variable
from click_telemetry._sender.transports.adapter import is_loopback
from click_telemetry._sender.watchdog import Timeout


def test_timeout_shuts_connections_down_and_the_process_goes_on() -> None:
    """A thread that reads from one reads its end; a later connection is shut down too."""
    timeout = Timeout(time.monotonic() + 60)
    ours, theirs = socket.socketpair()
    later, _other = socket.socketpair()
    timeout.on_connect(ours)
    assert not timeout.is_over
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(ours.recv(1)))
    reader.start()
    timeout.expire()
    reader.join(10)
    assert read == [b""]
    assert (timeout.is_over, timeout.left()) == (True, 0.0)
    timeout.on_connect(later)
    assert later.recv(1) == b""
    timeout.expire()
    for connection in (ours, theirs, later, _other):
        connection.close()
    timeout.expire()


def test_timeout_is_over_at_its_time() -> None:
    """Progress does not prolong it."""
    timeout = Timeout(time.monotonic() - 1)
    timeout.progress()
    assert timeout.is_over


@pytest.mark.parametrize("value", ["1", "true", "yes", "anything"])
@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"])
def test_opt_out_variables_apply_to_every_application(variable: str, value: str) -> None:
    """Any value but a plain no."""
    assert opt_out_variable({variable: value}, "") == variable
    assert opt_out_variable({variable: "0"}, "") is None
    assert opt_out_variable({variable: " False "}, "") is None
    assert opt_out_variable({}, "") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:80", True),
        ("http://127.1.2.3", True),
        ("https://api.segment.io", False),
        ("http://127.0.0.1.example", False),
        ("http://127.0.0", False),
        ("https://localhost.example", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, expected: bool) -> None:
    """It is reached without a proxy."""
    assert is_loopback(host) is expected
