"""`click-telemetry …`, for the maintainer of an instrumented application."""
