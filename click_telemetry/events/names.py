"""The names that are a public contract: lifecycle events and the base properties of every event.

Changing one is a breaking change, listed under **Data** in the changelog.
"""

COMMAND_INVOKED = "Command Invoked"
COMMAND_COMPLETED = "Command Completed"

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
