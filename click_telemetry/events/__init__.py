"""What can be said: event values, the invocation that says them, the Segment message."""
