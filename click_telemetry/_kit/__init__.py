"""What an application's own tests use: the recorder of events, and the proofs of harmlessness."""

from __future__ import annotations


class CheckFailed(AssertionError):
    """A check found faults; the message has one on each line."""
