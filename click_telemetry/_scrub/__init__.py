"""Removes secrets and personal data from texts: a best-effort layer below the allow-list.

`scrub` does it and knows names such as `password`, `rules` is the table of forms, `detection`
judges what a text looks like. Nothing here knows an event.
"""
