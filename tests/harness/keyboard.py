"""A person at the keyboard of Click's own runner, who presses Ctrl-C in the end."""

from __future__ import annotations

import io


class Keyboard(io.BytesIO):
    """What is typed, as the runner's `input`; then Ctrl-C.

    The runner of Click 8.1 takes the end of its input for empty lines without end.
    """

    def __init__(self, typed: str = "") -> None:
        super().__init__(typed.encode())

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file; Ctrl-C at its end."""
        return self._pressed(super().read(size), size)

    def read1(self, size: int | None = -1, /) -> bytes:
        """Likewise."""
        return self._pressed(super().read1(-1 if size is None else size), size)

    @staticmethod
    def _pressed(found: bytes, size: int | None) -> bytes:
        if not found and size != 0:
            raise KeyboardInterrupt
        return found
