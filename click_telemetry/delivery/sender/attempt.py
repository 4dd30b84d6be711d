"""One attempt to deliver some files together: all of them are done with afterwards, or none is.

It owns the mark that says since when an attempt is open. The mark is made at the moment when the
first byte of a message is about to leave, which also shows that the directory can be written to.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from .answer import ACCEPTED, Answer

if TYPE_CHECKING:
    from .waiting import Claim


class Withdrawn(Exception):
    """The messages must not leave: their files are gone, or cannot be marked."""


class Attempt:
    """An attempt.

    Args:
        files: held by us.
    """

    def __init__(self, files: list[Claim]) -> None:
        self.files = files
        self._marked: list[Claim] = []
        self._may_have_arrived = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What all of them say."""
        return [message for taken in self.files for message in taken.messages]

    @property
    def too_large(self) -> int:
        """How many more messages they say that no server would take."""
        return sum(taken.too_large for taken in self.files)

    def leaving(self) -> None:
        """Mark the files, since messages are about to leave.

        Raises:
            Withdrawn: a file was removed meanwhile, or cannot be renamed.
        """
        now = max(int(time()), 0)
        for taken in self.files:
            unmarked = taken.name.tried is None
            try:
                taken.rename(taken.name.tried_at(now) if unmarked else taken.name)
            except OSError as error:
                raise Withdrawn from error
            if unmarked:
                self._marked.append(taken)

    def answered(self, answer: Answer) -> None:
        """Remember how one of its requests ended."""
        if answer.open or answer.verdict == ACCEPTED:
            self._may_have_arrived = True

    def give_up(self) -> None:
        """Leave the files for another time; those that certainly did not arrive lose their mark."""
        if not self._may_have_arrived:
            for taken in self._marked:
                try:
                    taken.rename(taken.name.tried_at(None))
                except OSError:
                    continue  # the mark stays: dropped too early rather than sent twice
        for taken in self.files:
            taken.release()

    def forget_missing(self) -> list[Claim]:
        """Leave the files, and give those that are still there."""
        present = []
        for taken in self.files:
            try:
                taken.rename(taken.name)
            except OSError:
                taken.release()
            else:
                present.append(taken)
        return present
