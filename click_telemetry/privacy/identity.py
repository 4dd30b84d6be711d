"""The anonymous ID: a random UUID per installation and application, never made from the machine."""

from __future__ import annotations

import os

from ..identifiers import is_random_id, random_id
from ..storage import (
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

LIMIT = 256
"""Bytes; an ID and its newline are 37."""


def fresh() -> str:
    """A new ID, stored nowhere."""
    return random_id()


def read(path: str) -> str | None:
    """The stored ID, or None where there is no valid one."""
    try:
        return parse(read_small(path, limit=LIMIT))
    except OSError:
        return None


def read_or_create(path: str) -> str:
    """The stored ID; made, once, however many first runs there are at a time.

    Raises:
        OSError: there is none and none can be stored.
    """
    try:
        return _existing(path)
    except FileNotFoundError:
        return _create(path)


def exchange(path: str) -> str | None:
    """A new ID in place of the stored one, valid or not; None where there is none.

    Raises:
        OSError: it could not be stored; the old one stands.
    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        try:
            _wait_for_lock(descriptor, path)
        except NoLocks:
            pass  # of two that are exchanged at once, the last one stays
        return _exchange(path)
    finally:
        os.close(descriptor)


def parse(content: bytes) -> str | None:
    """A canonical random UUID (RFC 9562, version 4) and at most a newline, else None."""
    text = content.decode("ascii", "replace").removesuffix("\n")
    return text if is_random_id(text) else None


def _create(path: str) -> str:
    """Race-free by a hard link: the name appears with its content, and only the first gets it."""
    make_private_directory(os.path.dirname(path))
    made = fresh()
    temporary = f"{path}.{os.urandom(6).hex()}"
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, made.encode("ascii") + b"\n")
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return _existing(path)
        except OSError:  # a file system without hard links: an empty file, mended under its lock
            os.close(open_private(path, os.O_WRONLY | os.O_CREAT))
            return _mend(path)
    finally:
        os.unlink(temporary)
    return made


def _existing(path: str) -> str:
    return _valid(path) or _mend(path)


def _valid(path: str) -> str | None:
    try:
        return parse(read_small(path, limit=LIMIT))
    except TooLarge:
        return None


def _mend(path: str) -> str:
    """Replace an invalid ID, once: under its own lock, looking again first.

    The file is exchanged and never written to: a reader would get the head of the old content and
    the tail of the new. A tenth of a second at most: rather no ID for one run than two for good.
    """
    descriptor = open_private(path, os.O_RDWR)
    try:
        _wait_for_lock(descriptor, path)
        return _valid(path) or _exchange(path)
    except NoLocks:
        pass  # two menders may differ for one run; the last one's ID stays
    finally:
        os.close(descriptor)
    return _exchange(path)


def _exchange(path: str) -> str:
    made = fresh()
    replace_file(path, made.encode("ascii") + b"\n")
    return made


def _wait_for_lock(descriptor: int, path: str) -> None:
    for _ in range(200):
        if try_lock(descriptor):
            return
        _pause()
    raise Unusable(f"{path} is being mended by another process")


def _pause() -> None:
    from time import sleep

    sleep(0.0005)
