"""The foreground: what a user's command runs of this library."""
