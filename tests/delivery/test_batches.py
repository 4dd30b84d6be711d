"""Messages cut into requests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry.delivery.sender.batches import MOST_BYTES, MOST_MESSAGES, batches


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(min_value=0, max_value=32_000), max_size=300))
def test_requests_are_bounded_and_lose_nothing(sizes: list[int]) -> None:
    """At most 100 messages and 400 kB each, in order, none empty."""
    messages: list[dict[str, Any]] = [{"n": n, "x": "x" * s} for n, s in enumerate(sizes)]
    cut = list(batches(messages))
    assert [message for batch in cut for message in batch] == messages
    assert all(0 < len(batch) <= MOST_MESSAGES for batch in cut)
    assert all(len(json.dumps(batch)) <= MOST_BYTES for batch in cut)
