"""What an application records itself: events, context, flows, resources, errors, custom commands.

An import leads from a line to one above it. Each module is loaded at its first use; an application
that imports `track` loads `scope` alone. Values and plans are classes written by hand: a NamedTuple
costs ten times the instructions of a class when a module is loaded.

    text                                    names, words and sanitized texts
    properties, schema, flow_plan           values as JSON; declarations
    state                                   what an invocation keeps; values that are recorded
    scope                                   the running invocation and its recorder; `track`
    context, errors, commands, event, flow  what makes values
    records, resources                      resources, and their records between runs
    flow_definition                         `flow`
"""
