"""`click-telemetry`, the command for an application's maintainers."""
