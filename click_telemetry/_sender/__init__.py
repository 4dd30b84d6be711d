"""The detached process that delivers: the only code that uses the network.

The foreground never imports it; the launcher starts it by name. It composes messages from facts
(`_reader`), applies the bounds of the queue and posts through a transport.
"""
