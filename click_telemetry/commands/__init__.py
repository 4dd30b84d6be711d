"""`telemetry`, for the people who use an application: see, refuse, allow and delete.

Collecting facts is apart from showing them. An application that adds the group loads `group` alone;
nothing in the foreground of a recorded command imports the rest.
"""
