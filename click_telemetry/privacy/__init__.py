"""Whether it may be said: settings, consent, identity, the notice."""
