"""A loopback server's answers at random: accepted, late, reset, rejected for now, none at all."""

from __future__ import annotations

import random
import threading
from collections import Counter

from .server import Reply, Request, Server

FATES = {
    "accepted": 40,
    "accepted, answered late": 15,
    "accepted, then reset": 10,
    "reset before it is read": 10,
    "500": 10,
    "429": 10,
    "never answered": 5,
}
"""How likely each is."""


class RandomReplies:
    """Replies of a server, each chosen at random.

    Args:
        server: it fails from `start` to `stop`.
        chance: where randomness comes from; used under a lock.

    Attributes:
        counts: how often each fate was chosen.
    """

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._server = server
        self._chance = chance
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Let the server fail."""
        self._server.reply = self._reply

    def stop(self) -> None:
        """Let the server accept everything again."""
        self._server.reply = Reply()
        self._server.early = None

    def _reply(self, request: Request) -> Reply:
        with self._lock:
            fate = self._chance.choices(list(FATES), list(FATES.values()))[0]
            self.counts[fate] += 1
            late = self._chance.uniform(0.0, 0.5)
            early = self._chance.random() < 0.1
            if early:
                self.counts["reset in the middle"] += 1
        # For the next connection, whose body is not read then.
        self._server.early = Reply(reset=True) if early else None
        if fate == "accepted, then reset":
            self._server.accepted.append(request)
        return {
            "accepted": Reply(),
            "accepted, answered late": Reply(delay=late),
            "accepted, then reset": Reply(reset=True),
            "reset before it is read": Reply(reset=True),
            "500": Reply(500),
            "429": Reply(429, headers={"Retry-After": "600"}),
            "never answered": Reply(silent=True),
        }[fate]
