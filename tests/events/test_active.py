"""Who is speaking in this process, and how many events found nobody."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from click_telemetry.events.active import Register

if TYPE_CHECKING:
    from click_telemetry.events.active import Speaker


class Voice:
    """A live root, and the run that speaks for it."""

    session_id = None
    settings = None

    def __init__(self, speaking: Voice | None = None) -> None:
        self.speaking = speaking or self

    def track(
        self, name: object, properties: Mapping[Any, Any] | None, place: Any = None
    ) -> None: ...

    def act(self, do: Any) -> None: ...

    def now_speaking(self) -> Speaker:
        return self.speaking


def test_a_live_root_speaks_through_its_innermost_run() -> None:
    """What a thread says belongs to the command that is running, not to its group."""
    register, run = Register(), Voice()
    root = Voice(run)
    register.enter(root)
    assert register.only() is run
    register.leave(run)
    assert register.only() is run
    register.leave(root)
    assert register.only() is None


def test_a_register_forgets_who_has_left() -> None:
    """Leaving twice, or without having come, is harmless."""
    register, voices = Register(), [Voice() for _ in range(3)]
    register.leave(voices[0])
    for voice in voices:
        register.enter(voice)
    assert register.only() is None
    register.leave(voices[1])
    register.leave(voices[1])
    register.leave(voices[0])
    assert register.only() is voices[2]
    register.leave(voices[2])
    assert register.only() is None


def test_a_register_counts_every_stray_of_every_thread() -> None:
    """No count is lost between two threads, nor while it is taken."""
    register = Register()
    taken: list[int] = []
    barrier = threading.Barrier(11)

    def stray() -> None:
        barrier.wait()
        for _ in range(1000):
            register.stray()

    threads = [threading.Thread(target=stray) for _ in range(10)]
    for thread in threads:
        thread.start()
    barrier.wait()
    while any(thread.is_alive() for thread in threads):
        taken.append(register.take_strays())
    taken.append(register.take_strays())
    assert sum(taken) == 10_000
