"""What `purge` and `disable` delete, counted before it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..delivery.erasing import erase
from .spools import sender_lives, spools

if TYPE_CHECKING:
    from ..privacy.directories import Directories


class Erased(NamedTuple):
    """What is gone.

    Attributes:
        messages: how many had waited.
        anything: whether there was anything at all.
        sending: whether a sender was alive; a request that it had begun cannot be called back.
    """

    messages: int
    anything: bool
    sending: bool


def erase_all(places: Directories) -> Erased:
    """Delete everything but the choice.

    Raises:
        OSError: as `delivery.erasing.erase`.
    """
    found = spools(places)
    sending = any(sender_lives(spool.directory) for spool in found)
    messages = sum(spool.waits for spool in found)
    return Erased(messages, erase(places.state), sending)
