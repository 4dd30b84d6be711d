"""What can be said: event values, the invocation that says them, the Segment message.

Here are the names that are a public contract, of lifecycle events and of what every event carries.
Changing one is a breaking change, listed under **Data** in the changelog.
"""

COMMAND_INVOKED = "Command Invoked"
COMMAND_COMPLETED = "Command Completed"
ERROR_OCCURRED = "Error Occurred"
WARNING_OCCURRED = "Warning Occurred"

BASE_PROPERTIES = frozenset(
    (
        "invocation_id",
        "run_id",
        "session_id",
        "sequence",
        "command",
        "flags",
        "version",
        "os",
        "arch",
        "python_version",
        "is_ci",
        "is_tty",
        "cli_context",
        "in_container",
        "dropped",
    )
)

COMPLETED_PROPERTIES = frozenset(
    (
        "exit_code",
        "succeeded",
        "outcome",
        "duration_ms",
        "error_class",
        "error_class_masked",
        "user_cancelled",
    )
)
"""Those of `Command Completed`; nothing that is said on every event may look like them."""

RESERVED_PROPERTIES = BASE_PROPERTIES | COMPLETED_PROPERTIES
