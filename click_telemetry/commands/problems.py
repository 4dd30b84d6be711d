"""What is wrong, in words: a choice that cannot be read, a delivery that failed."""

from __future__ import annotations

import json
import os
import stat

from ..privacy.choice import LIMIT
from ..storage import read_small

_ERRORS = {
    "deadline": "the server took too long over everything",
    "unlink": "its files could not be deleted afterwards, so they were not sent",
    "unwritable": "its files could not be renamed before, so they were not sent",
    "html": "a page answered instead of the server (a network that wants a login, perhaps)",
    "redirected": "the server sent us to another address, which is not followed",
    "ConnectionError": "the server could not be reached",
    "ConnectTimeout": "the server could not be reached in time",
    "ReadTimeout": "the server did not answer in time",
    "Timeout": "the server did not answer in time",
    "SSLError": "the server's certificate is not trusted",
    "ProxyError": "the proxy did not let us through",
    "TooManyRedirects": "the server sent us to another address, which is not followed",
    "http_401": "the server does not accept the application's key (401)",
    "http_403": "the server does not accept the application's key (403)",
    "http_404": "there is no such address at the server (404)",
    "http_429": "the server asks us to wait (429)",
}


def delivery_error(error: str) -> str:
    """A sender's one word for what went wrong, for people.

    Args:
        error: as it stands in the sender's memory.
    """
    known = _ERRORS.get(error)
    if known is not None:
        return known
    status = error.removeprefix("http_")
    if status != error and status.isascii() and status.isdigit():
        where = "is in trouble" if status.startswith("5") else "did not take it"
        return f"the server {where} ({status})"
    return f"delivery failed ({error})"


def choice_problem(path: str) -> str:
    """Why a stored choice cannot be read, as the end of "it"; empty where it can be.

    Args:
        path: of the choice's file.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return "is a directory"
        if not stat.S_ISREG(found.st_mode):
            return "is not a regular file"
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            return f"belongs to another user (uid {found.st_uid})"
        if found.st_size > LIMIT:
            return f"is larger than {LIMIT // 1024} KB"
        content = read_small(path, limit=LIMIT, follow=True)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"cannot be opened ({error.strerror or type(error).__name__})"
    return _content_problem(content)


def _content_problem(content: bytes) -> str:
    if not content.strip():
        return "is empty"
    twice: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    try:
        stored = json.loads(content.decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except json.JSONDecodeError as error:
        return f"is not JSON (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        return "is not JSON that can be read"
    if not isinstance(stored, dict):
        return "holds no JSON object"
    if twice:
        return f"has the key {ascii(twice[0])[:40]} twice"
    if "enabled" not in stored:
        return 'does not say "enabled"'
    if not isinstance(stored["enabled"], bool):
        return """says "enabled" with something else than true or false"""
    return ""
