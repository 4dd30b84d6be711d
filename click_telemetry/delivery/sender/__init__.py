"""The detached process that delivers; the only room that meets the network.

Nothing in the foreground imports it: it is started by the launcher, by name.
"""
