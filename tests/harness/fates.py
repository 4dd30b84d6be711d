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
BREAKS_OFF = {
    "accepted, broken off": 20,
    "broken off, not accepted": 20,
}
"""The same, of a server that may end its response within the status line, the headers or the body.

It may have kept the messages or not, which the sender cannot know."""

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
    b'{"success":true}'
)


class RandomReplies:
    """Replies of a server, each chosen at random.

    Args:
        server: it fails from `start` to `stop`.
        chance: where randomness comes from; used under a lock.
        breaks_off: whether responses may break off.

    Attributes:
        counts: how often each fate was chosen.
    """

    def __init__(self, server: Server, chance: random.Random, *, breaks_off: bool = False) -> None:
        self._server = server
        self._fates = {**FATES, **BREAKS_OFF} if breaks_off else FATES
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
            fate = self._chance.choices(list(self._fates), list(self._fates.values()))[0]
            self.counts[fate] += 1
            late = self._chance.uniform(0.0, 0.5)
            raw = RESPONSE[: self._chance.randrange(len(RESPONSE))] if "broken" in fate else None
            early = self._chance.random() < 0.1
            if early:
                self.counts["reset in the middle"] += 1
        # For the next connection, whose body is not read then.
        self._server.early = Reply(reset=True) if early else None
        if fate in ("accepted, then reset", "accepted, broken off"):
            self._server.accepted.append(request)
        return {
            "accepted": Reply(),
            "accepted, answered late": Reply(delay=late),
            "accepted, then reset": Reply(reset=True),
            "reset before it is read": Reply(reset=True),
            "500": Reply(500),
            "429": Reply(429, headers={"Retry-After": "600"}),
            "never answered": Reply(silent=True),
            "accepted, broken off": Reply(raw=raw),
            "broken off, not accepted": Reply(raw=raw),
        }[fate]
