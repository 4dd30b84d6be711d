"""Delivery in this very process, where there can be no child at all: frozen on Windows, say.

The one place in the foreground that loads the sender's room, and with it the Segment client: 120 ms
and 300 modules. The rest is done in a thread that is waited for. When the time is over the thread
lets go of the connection and ends; only a name that is being resolved can hold it a little longer.
It takes no signal, changes no variable, no handler and no filter, and says nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread

    from .launcher import Letter
    from .sender.patience import Patience

_TALKATIVE = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


def deliver(letter: Letter, lock: int, until: float) -> None:
    """Deliver what waits, in a thread.

    Args:
        letter: what a sender would be told.
        lock: the sender's lock, held; it is closed here.
        until: when the wait is over, by `monotonic()`.
    """
    import warnings
    from threading import Thread

    from .sender.patience import Patience

    # Imported here and not in the thread: a thread that imports when the interpreter ends may
    # abort it (seen with an extension written in Rust, on Python 3.11).
    with warnings.catch_warnings():  # requests and urllib3 set filters when they are imported
        warnings.simplefilter("ignore")
        try:
            import segment.analytics.request  # noqa: F401

            from .sender import main, transport  # noqa: F401
        except (ImportError, KeyboardInterrupt):  # as below; the client is missing, or unwanted now
            os.close(lock)
            return
    patience = Patience(until)
    if patience.is_near:
        os.close(lock)
        return
    thread = Thread(
        target=_work, args=(letter, lock, patience), name="click_telemetry", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:
        os.close(lock)  # no thread can be started at the interpreter's end (since Python 3.12)
        return
    try:
        _wait_for(thread, patience)
    except KeyboardInterrupt:
        return  # whoever presses Ctrl-C now wants the prompt, and has it
    finally:
        patience.end()


def _wait_for(thread: Thread, patience: Patience) -> None:
    thread.join(max(patience.left(), 0))
    if thread.is_alive():
        patience.end()
        thread.join(0.05)  # it hears of it at once, and has a file to let go of


def _work(letter: Letter, lock: int, patience: Patience) -> None:
    try:
        import json

        from .child import written
        from .sender.main import work

        with _unheard():
            work(json.loads(written(letter)), lock, patience)
    except Exception:
        return  # what was not acknowledged is still in the spool


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep out of the application's logs what libraries say in this thread."""
    import logging
    from threading import get_ident

    ours = get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != ours

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)
