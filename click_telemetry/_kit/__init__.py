"""What an application's own tests use: the recorder of events, and the proofs of harmlessness."""
