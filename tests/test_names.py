"""The names of events and their base properties: a contract with whoever reads the data."""

from __future__ import annotations

from click_telemetry import _reader as names


def test_the_names_of_events_never_change() -> None:
    """A dashboard that I built on a name finds it after every upgrade."""
    assert (names.COMMAND_INVOKED, names.COMMAND_COMPLETED) == (
        "Command Invoked",
        "Command Completed",
    )


def test_the_base_properties_never_change() -> None:
    """What every event carries is listed here; one more, or one less, is a change of **Data**."""
    assert sorted(names.BASE_PROPERTIES) == [
        "arch",
        "cli_context",
        "command",
        "dropped",
        "flags",
        "in_container",
        "invocation_id",
        "is_ci",
        "is_tty",
        "os",
        "python_version",
        "run_id",
        "sample_rate",
        "sequence",
        "session_id",
        "version",
    ]
