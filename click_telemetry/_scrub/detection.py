"""Guesses what a text is: random, an IP address, an e-mail's domain. Pure; changes nothing.

The patterns of `rules` find candidates cheaply; these functions decide where a regular expression
would be too slow or too long to read.
"""

from __future__ import annotations

from itertools import pairwise

_HEX = frozenset("0123456789abcdef")
_JOINTS = dict.fromkeys(map(ord, "-_.~+/=:"), " ")


def is_varied(text: str) -> bool:
    """Whether it is more than words and numbers that are joined by hyphens, dots and the like."""
    for part in text.translate(_JOINTS).split():
        plain = part.isdecimal() or (part.isalpha() and (part[1:].islower() or part.isupper()))
        if not plain and len(part) > 1:
            return True
    return False


def is_random(text: str, per_ten: int = 4) -> bool:
    """Whether letters of both cases and digits are mixed as base64 mixes them, and words do not.

    A word changes its kind of character at its beginning, a number at its ends. In random base64
    six of ten characters are of another kind than the one before, and a quarter of these pairs
    are a letter and a digit.

    Args:
        text: without its padding.
        per_ten: how many changes there must be in ten characters.
    """
    if text.lower() == text or text.upper() == text:
        return False  # one case: a digest, a UUID, a slug, a constant
    kinds = "".join(
        "d" if "0" <= c <= "9" else "u" if "A" <= c <= "Z" else "l" if "a" <= c <= "z" else " "
        for c in text
    )
    if kinds.count(" ") * 5 > len(kinds):
        return False  # a path or a slug: separators everywhere
    changes = mixed = 0
    for before, after in pairwise(kinds):
        if before != after and " " not in (before, after):
            changes += 1
            mixed += "d" in (before, after)
    return changes * 10 >= len(kinds) * per_ten or (mixed >= 4 and changes * 4 >= len(kinds))


def is_secretive(text: str) -> bool:
    """Whether a value under a name that may mean a secret (`key`, `session`) looks like one.

    High entropy: long and random, or 20 hexadecimal digits and more.
    """
    bare = text.strip("\"'")
    if len(bare) < 12 or any(c.isspace() for c in bare):
        return False
    digits = bare.replace("-", "").lower()
    if len(digits) >= 20 and _HEX.issuperset(digits):
        return any("0" <= c <= "9" for c in digits)
    return is_random(bare)


def is_ipv4(text: str) -> bool:
    """Four numbers up to 255."""
    return all(int(part) <= 255 for part in text.split("."))


def is_ipv6(text: str) -> bool:
    """RFC 4291's text forms; `::` alone and words joined by it (`a::b`) are something else."""
    last = text.rpartition(":")[2]
    size = 8
    if "." in last:
        parts = last.split(".")
        if len(parts) != 4 or not all(p.isdecimal() and len(p) <= 3 for p in parts):
            return False
        text, size = text[: -len(last)] + "0", 7
    groups = [group for group in text.split(":") if group]
    if any(len(group) > 4 or not _HEX.issuperset(group.lower()) for group in groups):
        return False
    if "::" not in text:
        return len(groups) == size and text.count(":") == size - 1
    if text.count("::") > 1 or ":::" in text or not 0 < len(groups) < size:
        return False
    numbered = any("0" <= c <= "9" for group in groups for c in group)
    return numbered or len(groups) > 2


def without_edges(text: str) -> tuple[str, str, str]:
    """A run of hexadecimal digits, colons and dots as: what is before, an address, what is after.

    `host:fe80::1.` ends in a full stop, and its first colon is the host's.
    """
    start, end = 0, len(text)
    if text.startswith(":") and not text.startswith("::"):
        start = 1
    while end > start and text[end - 1] == ".":
        end -= 1
    if text.endswith(":", start, end) and not text.endswith("::", start, end):
        end -= 1
    return text[:start], text[start:end], text[end:]


def is_release(domain: str) -> bool:
    """Whether what follows an `@` is a package's release (`1.0.dev3`), not a domain."""
    labels = domain.split(".")[:-1]
    return len(labels) > 1 and all(label.isdecimal() for label in labels)


def is_basic(text: str) -> bool:
    """Whether it is what `Basic` announces: base64 of a name, a colon and a password (RFC 7617)."""
    from binascii import Error, a2b_base64

    try:
        return b":" in a2b_base64(text.rstrip("=") + "==")
    except (Error, ValueError):
        return False
