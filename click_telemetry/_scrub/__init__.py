"""Removes secrets and personal data from texts: a best-effort layer below the allow-list.

`scrub` does it, `rules` is the table of forms, `pairs` knows names such as `password`, `detection`
judges what a text looks like. Nothing here knows an event.
"""
