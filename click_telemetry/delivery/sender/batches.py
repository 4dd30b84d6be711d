"""Messages cut into requests: at most so many, at most so large. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .content import length

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_MESSAGES = 100
MOST_BYTES = 400_000
"""Of one request's messages; Segment refuses a request over 500 KB."""


def batches(messages: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The messages in order, cut into requests."""
    batch: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        bytes_of_it = length(message) + 2
        if batch and not fits(len(batch), size, 1, bytes_of_it):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += bytes_of_it
    if batch:
        yield batch


def fits(count: int, size: int, more: int, more_size: int) -> bool:
    """Whether so many more messages of so many bytes go into the same request."""
    return count + more <= MOST_MESSAGES and size + more_size <= MOST_BYTES
