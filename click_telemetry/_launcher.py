"""Hand-over in the foreground: the names that the launcher and the sender share."""

from __future__ import annotations

GUARD = "CLICK_TELEMETRY_SENDER"
"""Set in the sender's environment: the sender never starts a sender."""

LOCK = "lock"
"""The sender's lock, a file in the spool. It is never unlinked while a process may hold it."""

NOT_BEFORE = "not-before"
"""A file in the spool. Its modification time is the time before which no sender is started."""

MAX_WAIT = 24 * 3600.0
"""Seconds; a not-before time further ahead is the result of a wrong clock."""

LOCK_DESCRIPTOR = 3
JOB_DESCRIPTOR = 4
LOWEST_DESCRIPTOR = 10
"""Our descriptors are not below this one: shell scripts and daemons reuse low ones by number."""
