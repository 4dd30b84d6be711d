"""Whether a text is random, words, an address: the guesses behind the table of rules.

Each is a pure function of a text. They are called for what a pattern or a name has found, so their
time is linear to a short text.
"""

from __future__ import annotations

import re
from itertools import pairwise

HEX = frozenset("0123456789abcdef")
_JOINTS = dict.fromkeys(map(ord, "-_.~+/=:"), " ")


class _Kinds(dict[int, str]):
    def __missing__(self, key: int) -> str:
        return " "


_KINDS = _Kinds(
    dict.fromkeys(range(48, 58), "d")
    | dict.fromkeys(range(65, 91), "u")
    | dict.fromkeys(range(97, 123), "l")
)
"""The kind of a character: a digit, a letter of the upper or the lower case, neither."""


def is_varied(text: str) -> bool:
    """Whether it is more than words and numbers that are joined by hyphens, dots and the like."""
    for part in text.translate(_JOINTS).split():
        plain = part.isdecimal() or (part.isalpha() and (part[1:].islower() or part.isupper()))
        if not plain and len(part) > 1:
            return True
    return False


_COMMON = (
    "ab ac ad ag ai ak al am an ap ar as at ba be bi bl bo bs bu by ca ce ch ci ck cl co "
    "cr ct cu da dd de di dl do ds du ea ec ed ee ef eg el em en ep er es et ev ex fa fe "
    "ff fi fl fo fr fu ga ge gi gr gs ha he hi ho ia ib ic id ie if ig il im in io ip ir "
    "is it iv iz ke la le li ll lo ls lt lu ma mb me mi mo mp na nc nd ne nf ng ni no ns "
    "nt nu nv ob oc od og oi ok ol om on oo op or os ot ou ow pa pe pi pl po pp pr ps pt "
    "py qu ra rc rd re rg ri rl rm rn ro rr rs rt ru ry sa sc se sh si so sp ss st su sy "
    "ta tc td te th ti tl tm to tp tr ts tt tu ty ub ue ui ul um un up ur us ut va ve wa "
    "xp xt yp ze "
)
"""Pairs of letters that make up nine of ten pairs in the words of identifiers."""


def share_of_words(text: str) -> float:
    """The share of its letters that are in words, such as those of `NoOpUpDownCounter`."""
    in_words = 0
    for word in re.findall("[A-Z]?[a-z]{2,}", text):
        pairs = [first + second for first, second in pairwise(word.lower())]
        if sum(pair in _COMMON for pair in pairs) * 4 >= len(pairs) * 3:
            in_words += len(word)
    return in_words / (sum(map(str.isalpha, text)) or 1)


def is_name(text: str) -> bool:
    """Whether it consists of words and their versions: `santa_list_2024_final_v2`."""
    return len(text.translate(_JOINTS).split()) >= 3 and share_of_words(text) >= 0.6


def is_random(text: str, per_ten: int = 4) -> bool:
    """Whether letters of both cases and digits are mixed as base64 mixes them, and words do not.

    A word changes its kind of character at its beginning, a number at its ends. In random base64
    six of ten characters are of another kind than the one before, and a quarter of these pairs
    are a letter and a digit. Half of its letters are in words for one text of 800.

    Args:
        text: without its padding.
        per_ten: how many changes there must be in ten characters.
    """
    if text.lower() == text or text.upper() == text:
        return False  # one case: a digest, a UUID, a slug, a constant
    kinds = text.translate(_KINDS)
    if kinds.count(" ") * 5 > len(kinds):
        return False  # a path or a slug: separators everywhere
    changes = mixed = 0
    for before, after in pairwise(kinds):
        if before != after and before != " " and after != " ":
            changes += 1
            mixed += before == "d" or after == "d"
    is_mixed = changes * 10 >= len(kinds) * per_ten or (mixed >= 4 and changes * 4 >= len(kinds))
    return is_mixed and share_of_words(text) < 0.5


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
    if any(len(group) > 4 or not HEX.issuperset(group.lower()) for group in groups):
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


def is_secretive(text: str) -> bool:
    """Whether a value under a name that may mean a secret (`key`, `session`) looks like one.

    High entropy: long and random, or 20 hexadecimal digits and more.
    """
    bare = text.strip("\"'")
    if len(bare) < 12 or bare.split() != [bare]:
        return False
    digits = bare.replace("-", "").lower()
    if len(digits) >= 20 and HEX.issuperset(digits):
        return any("0" <= c <= "9" for c in digits)
    return is_random(bare)
