"""Rare branches of the foreground, each loaded by name by the module that needs it."""
