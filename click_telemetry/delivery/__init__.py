"""How it gets out: clients, the spool, the launcher; the sender's own room is `sender`.

Here are the names that both sides of a hand-over go by.
"""

import os

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""Where this package lies, however the program changes its directory later."""

GUARD = "CLICK_TELEMETRY_SENDER"
"""Set in the sender's environment: it must never start itself."""

LOCK = "lock"
"""The sender's lock, which lies in the spool and is never unlinked while it may be held."""

NOT_BEFORE = "not-before"
"""A file in the spool whose mtime is the time before which no sender may be started."""
LONGEST_WAIT = 24 * 3600.0
"""Seconds; a not-before further ahead is a clock that was wrong."""
