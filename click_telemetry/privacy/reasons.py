"""Why nothing is recorded, in words: a sentence for each reason of `consent`."""

from __future__ import annotations

REASONS = {
    "flag": "--no-telemetry was given",
    "variable": "an environment variable says no",
    "choice": "telemetry is disabled by a stored choice",
    "unreadable_choice": "the stored choice cannot be read, which counts as no",
    "foreign_user": "the process runs for another user, or HOME is somebody else's",
    "excluded": "the application excludes this command",
    "test_run": "a test suite runs the command",
    "ci": "a CI service runs the command",
    "no_write_key": "the application has no write key, or no name of its own",
    "not_storable": "the state directory cannot be used",
    "not_opted_in": "the application asks first, and nobody has enabled telemetry",
    "notice_not_shown": "the notice has not been shown yet",
}
