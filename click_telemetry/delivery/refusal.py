"""That a server refused a token: remembered without the token, from one process to the next.

What is kept is a salt and sixteen bits of a keyed digest. They tell a fresh token from the refused
one (one in 65,536 waits in vain, for a day); they confirm nobody's guess of it, since one guess in
65,536 fits as well. Only who has a token comes here.
"""

from __future__ import annotations

import os
from time import time

from ..storage import read_small, replace_file

FILE = "refused-token"
SALT = 16
"""Bytes, of the salt."""
BITS = 16
FORGOTTEN_AFTER = 24 * 3600.0
"""Seconds, after which a token is tried again: a server may have been wrong about it."""


def is_refused(spool: str, token: str) -> bool | None:
    """Whether the last request was refused for this very token.

    Returns:
        True for this token, False for another one (a fresh one need not wait), None where nothing
        is remembered.
    """
    path = os.path.join(spool, FILE)
    try:
        found = bytes.fromhex(read_small(path, limit=64).decode("ascii"))
        age = time() - os.stat(path).st_mtime
    except (OSError, ValueError):
        return None
    if len(found) != SALT + BITS // 8 or not 0 <= age < FORGOTTEN_AFTER:
        return None
    return found[SALT:] == _digest(found[:SALT], token)


def remember(spool: str, token: str) -> None:
    """A server refused this token."""
    salt = os.urandom(SALT)
    try:
        replace_file(os.path.join(spool, FILE), (salt + _digest(salt, token)).hex().encode("ascii"))
    except OSError:
        return  # then the put-off alone keeps it from being tried at every command


def forget(spool: str) -> None:
    """A server took a token, or failed for another reason."""
    try:
        os.unlink(os.path.join(spool, FILE))
    except OSError:
        return  # nothing was remembered


def _digest(salt: bytes, token: str) -> bytes:
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL: 3 ms
    except ImportError:
        from hashlib import blake2b
    return blake2b(token.encode("ascii"), digest_size=BITS // 8, key=salt).digest()
