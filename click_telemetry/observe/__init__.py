"""Click's side: the hooks, which command, which flags, how it ended."""
