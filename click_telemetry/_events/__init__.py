"""What an application records itself: events, context, flows, resources, errors, custom commands.

`scope` finds the invocation that code belongs to and records values in it; `state` is what an
invocation keeps for them. The other modules make values. Each module is loaded at its first use;
an application that imports `track` loads `scope` alone.
"""
