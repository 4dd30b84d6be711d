"""The tracking plan of an application: all that it can ever send, before anything is sent.

`click-telemetry plan` prints it as a page for the application's users, as JSON Schema of every
message, and as rules of Segment Protocols. `collect.collect` makes the plan of a root command,
`message_schema.problems_of` compares messages with it. Nothing here runs in an application's
commands, and nothing is recorded or sent.
"""
