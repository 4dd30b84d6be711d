"""Some cases of a long table run by default, the others with the extended tests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def mark_unsampled(items: Iterable[pytest.Item]) -> None:
    """Mark the cases of a test with `sample(N)` as extended, but for N evenly spaced ones.

    Args:
        items: what pytest has collected.
    """
    tables: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sample") is not None:
            tables[str(item.path), item.nodeid.partition("[")[0]].append(item)
    for cases in tables.values():
        marker = cases[0].get_closest_marker("sample")
        assert marker is not None
        kept = sampled(len(cases), marker.args[0])
        for number, item in enumerate(cases):
            if number not in kept:
                item.add_marker(pytest.mark.extended)


def sampled(total: int, keep: int) -> set[int]:
    """The numbers of the cases that are kept, evenly spaced, the first among them."""
    keep = min(keep, total)
    return {number * total // keep for number in range(keep)}
