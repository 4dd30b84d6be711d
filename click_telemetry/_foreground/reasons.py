"""Why nothing is recorded: a sentence for each reason of `_recorder.decide`."""

from __future__ import annotations

REASONS = {
    "flag": "--no-telemetry was given",
    "variable": "an environment variable opts out",
    "setting": "telemetry is disabled by a saved setting",
    "unreadable_setting": "the saved setting cannot be read, so telemetry stays off",
    "other_user": "the process runs as another user, or HOME belongs to another user",
    "excluded": "the application excludes this command",
    "test_run": "a test suite runs the command",
    "ci": "a CI service runs the command",
    "no_destination": "the application has no write key, or no name of its own",
    "not_storable": "the state directory cannot be used",
    "not_opted_in": "telemetry is opt-in for this application, and is not enabled",
    "notice_not_shown": "the notice has not been shown yet",
}
