"""Canaries: private texts that cannot be mistaken, and a detector of them in whatever came out.

Knows nothing of the library. Put a canary wherever a person's data may be (an argument, a variable,
a file's name), run, and ask of every byte that left: `Canaries.found_in`. A detector that finds
nothing proves nothing, so pair each use with a leak on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Iterator

SIZE = 20
"""Letters of a canary: 94 bits. Letters alone, so that it may be a name of anything."""
PIECE = 8
"""So many characters of one in a row are a leak already."""
HEXADECIMAL_PIECE = 12
"""The same of hexadecimal digits: eight of them are in a random ID by chance once in 5,000 runs."""
HEXADECIMAL = ("hexadecimal", "md5", "sha1", "sha256", "blake2b")


class Leak:
    """A canary that came out.

    Attributes:
        place: what the canary was.
        form: how it looked.
        where: in what it was found.
    """

    def __init__(self, place: str, form: str, where: str) -> None:
        self.place = place
        self.form = form
        self.where = where

    def __repr__(self) -> str:
        return f"{self.place}, {self.form}, in {self.where}"


class Canaries:
    """The canaries of one run.

    Args:
        seed: of their randomness; the same seed gives the same ones.
    """

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(f"canaries {seed}")
        self._places: dict[str, str] = {}

    def new(self, place: str) -> str:
        """A fresh one.

        Args:
            place: what it is going to be, for the report: `value of --name`.
        """
        letters = self._random.choices(string.ascii_lowercase, k=SIZE)
        canary = "".join(letters).capitalize()
        self._places[canary] = place
        return canary

    def all(self) -> list[str]:
        """Those that were made so far."""
        return list(self._places)

    def place(self, canary: str) -> str:
        """What one of them was made for."""
        return self._places[canary]

    def found_in(self, where: str, *texts: str | bytes) -> list[Leak]:
        """The canaries that texts hold, in any form, whole or in pieces.

        Args:
            where: what the texts are, for the report.
            texts: what came out.
        """
        joined = b"\0".join(text.encode() if isinstance(text, str) else text for text in texts)
        lowered = joined.lower()
        leaks = []
        for canary, place in self._places.items():
            for form, written in forms(canary):
                wanted = written.lower().encode()
                size = HEXADECIMAL_PIECE if form in HEXADECIMAL else PIECE
                pieces = (wanted[at : at + size] for at in range(len(wanted) - size + 1))
                if any(piece in lowered for piece in pieces):
                    leaks.append(Leak(place, form, where))
        return leaks


def forms(canary: str) -> Iterator[tuple[str, str]]:
    """Every way in which a text gets out; case is the detector's matter."""
    raw = canary.encode()
    yield "plain", canary
    yield "reversed", canary[::-1]
    yield "percent-encoded", "".join(f"%{byte:02x}" for byte in raw)
    yield "hexadecimal", raw.hex()
    yield "escaped", "".join(f"\\u{byte:04x}" for byte in raw)
    for offset in range(3):  # base64 looks different at each distance from the text's beginning
        skipped = raw[offset : offset + (len(raw) - offset) // 3 * 3]
        yield "base64", base64.b64encode(skipped).decode()
        backwards = canary[::-1].encode()[offset:]
        yield (
            "base64 of the reverse",
            base64.b64encode(backwards[: len(backwards) // 3 * 3]).decode(),
        )
    for digest in ("md5", "sha1", "sha256", "blake2b"):
        yield digest, hashlib.new(digest, raw, usedforsecurity=False).hexdigest()
