"""Rare branches of the foreground, each loaded by name."""
