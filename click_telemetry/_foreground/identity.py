"""The anonymous ID: a random UUID per installation and application, never derived from the machine.

The foreground reads it by itself; making, repairing and replacing it is here.
"""

from __future__ import annotations

import os
from time import sleep
from typing import Any

from .._instrument import pass_on
from .._recorder import ID_LIMIT as LIMIT
from .._recorder import is_random_id
from .._storage import (
    NoLocks,
    TooLarge,
    Unusable,
    make_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
    write_all,
)

LOCK_TRIES = 200
LOCK_PAUSE = 0.0005
"""Seconds. A tenth of a second in all: no ID for one run is better than two IDs."""


def random_id() -> str:
    """A new random UUID (RFC 9562, version 4), stored nowhere."""
    number = (
        int.from_bytes(os.urandom(16), "big") & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
    )
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def session_of(invocation: Any) -> str:
    """The session of an invocation: inherited, or its own."""
    from .._reader import SESSION_ID, derived_id  # a nested application is rare

    inherited: str | None = invocation.head["session"]
    return inherited or derived_id(invocation.digits, SESSION_ID)


def read(path: str) -> str | None:
    """The stored ID, or None where there is no valid one."""
    try:
        return parse(read_small(path, limit=LIMIT))
    except OSError as error:
        pass_on(error)
        return None


def read_or_create(path: str) -> str:
    """The stored ID; made, once, however many first runs there are at a time.

    Raises:
        OSError: there is none and none can be stored.
    """
    try:
        return _existing(path)
    except FileNotFoundError as error:
        pass_on(error)
        return _create(path)


def replace(path: str) -> str | None:
    """A new ID in place of the stored one, valid or not; None where there is none.

    Raises:
        OSError: it could not be stored; the old one stands.
    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except FileNotFoundError as error:
        pass_on(error)
        return None
    try:
        try:
            _wait_for_lock(descriptor, path)
        except NoLocks as error:
            pass_on(error)  # of two that are replaced at once, the last one stays
        return _replace(path)
    finally:
        os.close(descriptor)


def parse(content: bytes) -> str | None:
    """A canonical random UUID (RFC 9562, version 4) and at most a newline, else None."""
    text = content.decode("ascii", "replace").removesuffix("\n")
    return text if is_random_id(text) else None


def _create(path: str) -> str:
    """Race-free by a hard link: the name appears with its content, and only the first gets it."""
    make_private_directory(os.path.dirname(path))
    made = random_id()
    temporary = f"{path}.{os.urandom(6).hex()}"
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, made.encode("ascii") + b"\n")
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            pass_on(error)
            return _existing(path)
        except OSError as error:
            pass_on(
                error
            )  # a file system without hard links: an empty file, repaired under its lock
            os.close(open_private(path, os.O_WRONLY | os.O_CREAT))
            return _repair(path)
    finally:
        os.unlink(temporary)
    return made


def _existing(path: str) -> str:
    return _valid(path) or _repair(path)


def _valid(path: str) -> str | None:
    try:
        return parse(read_small(path, limit=LIMIT))
    except TooLarge as error:
        pass_on(error)
        return None


def _repair(path: str) -> str:
    """Replace an invalid ID, once: under its own lock, looking again first.

    The file is replaced and never written to: a reader would get the head of the old content and
    the tail of the new.
    """
    descriptor = open_private(path, os.O_RDWR)
    try:
        _wait_for_lock(descriptor, path)
        return _valid(path) or _replace(path)
    except NoLocks as error:
        pass_on(error)  # two processes may differ for one run; the last one's ID stays
    finally:
        os.close(descriptor)
    return _replace(path)


def _replace(path: str) -> str:
    made = random_id()
    replace_file(path, made.encode("ascii") + b"\n")
    return made


def _wait_for_lock(descriptor: int, path: str) -> None:
    for _ in range(LOCK_TRIES):
        if try_lock(descriptor):
            return
        sleep(LOCK_PAUSE)
    raise Unusable(f"{path} is being repaired by another process")


def is_in_sample(anonymous_id: str | None, rate: float | None) -> bool:
    """Whether an installation is one of those that record.

    The last 48 bits of the ID are random. A higher rate contains the installations of a lower one.

    Args:
        anonymous_id: a random UUID; None before the first run that records.
        rate: the share of installations, or None for all.
    """
    if anonymous_id is None or rate is None:
        return True
    return int(anonymous_id[-12:], 16) < rate * 2**48
