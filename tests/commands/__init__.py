"""The telemetry commands."""
