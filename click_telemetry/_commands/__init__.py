"""`acme telemetry …`, for the person who runs an application: show, disable, enable, delete.

An application that adds the group loads `group` alone. The other modules are loaded when a command
runs, and never by a command that is recorded.
"""
