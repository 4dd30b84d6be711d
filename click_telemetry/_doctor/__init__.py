"""`click-telemetry doctor`: whether a command would send, here and in production, and why not.

`examination` runs in the application's process, `trial` in one like the sender's; `diagnosis` makes
reasons and fixes of what both found, and `page` and `command` show them. Nothing is recorded, sent
or stored but in a private temporary directory, and no person's opt-out is overridden.
"""
