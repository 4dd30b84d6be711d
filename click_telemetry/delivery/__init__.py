"""How it gets out: clients, the spool, the launcher; the sender's own room is `sender`."""
