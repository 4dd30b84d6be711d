"""`acme telemetry …`, for the person who runs an application: shows, disables, enables, deletes.

An application that adds the group loads `group` alone. The other modules are loaded when a command
runs, and never by a command that is recorded.
"""
