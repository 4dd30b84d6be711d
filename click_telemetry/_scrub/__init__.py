"""Replaces secrets and personal data in a text by markers that name their kind.

By form (`rules`), and by name: keys of properties, and `name=value` in a text. A value under
`password` is redacted whatever it looks like; one under `key` or `session`, which may mean
anything, only if it is long and random (high entropy).

Best effort: forms and names are known, meanings are not. It never raises, and changes nothing but
texts. Scrubbing twice gives the same as scrubbing once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from .detection import is_random, is_secretive, is_varied
from .rules import LONG, RULES, marker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from .rules import Rule

    Found: TypeAlias = tuple[str, bool]
    """The kind of a secret, and whether it is certain."""

_ROUNDS = 4
_SHORT = 14
"""Characters; fewer letters and digits alone have no form of a secret."""
_SHORT_RULES = tuple([rule for rule in RULES if not rule.long])
_MAX_MARKERS = 10
"""A text with more secrets is a list of them; it would take long, and grow many times."""
_OPENING = "[redacted:"
_TEXT = marker("text")
"""Replaces such a text."""


def scrub(text: str, extra: Sequence[Rule] = ()) -> str:
    """A text without secrets and personal data, in time linear to its length.

    Each secret is replaced by a marker that names its kind: `[redacted:github-token]`. A text that
    consists of secrets is replaced by one marker, `[redacted:text]`.

    Args:
        text: anything. Drop what is too long before, truncate after: half a secret is still one.
        extra: further rules, applied after ours.
    """
    if not extra and len(text) < _SHORT and text.isalnum():
        return text
    rules = (*RULES, *extra) if extra else RULES
    formless = False  # whether no rule matches the text any more
    for _ in range(_ROUNDS):
        paired = redact(text, text.lower(), lambda value: _by_form(value, rules))
        if not (formless and paired == text):
            found = _by_form(paired, rules)
            formless = found == paired
        if formless and paired == text:
            return text
        if found.count(_OPENING) > _MAX_MARKERS:
            return _TEXT
        text = found
    # One rule's replacement made another rule match, again and again: no text of prose does that.
    return _TEXT


def _by_form(text: str, rules: Sequence[Rule]) -> str:
    if rules is RULES and len(text) < _SHORT and text.isalnum():
        return text
    lowered = text.lower()
    longest = max(map(len, text.split()), default=0)
    for rule in _SHORT_RULES if rules is RULES and longest < LONG else rules:
        found = rule.redact(text, lowered)
        if found is not text and found != text:
            if found.count(_OPENING) > _MAX_MARKERS:
                return _TEXT
            text = found
    return text


def scrub_value(text: str, under: Found | None) -> str:
    """A text that is the value of a name, scrubbed.

    Args:
        text: anything.
        under: what the name announces; see `names_secret`.
    """
    scrubbed = scrub(text)
    if under is None or not scrubbed or is_marker(scrubbed):
        return scrubbed
    what, certain = under
    return marker(what) if certain or is_secretive(scrubbed) else scrubbed


def scrub_number(number: float, under: Found) -> float | str:
    """A number that is the value of a name: a PIN is a secret, a status code is none."""
    what, certain = under
    return marker(what) if certain else number


def is_count(name: str, value: object) -> bool:
    """Whether it is how many tests pass, or a width: `pass=12 fail=0`, `pw=0`.

    Args:
        name: the value's name, alone and in lower case where it counts something.
        value: a number or a text.
    """
    if name not in ("pass", "pw", "PASS"):
        return False
    number = str(value).rstrip(",;.)%").partition("/")
    return number[0] != "" and all(
        part.isdecimal() and len(part) <= 3 for part in number[::2] if part
    )


_ANNOUNCING = frozenset(
    ("name", "key", "variable", "var", "env", "field", "header", "option", "param", "parameter")
)
_BOUND = frozenset(("value", "val", "content", "default", "data", "values"))


def bound_name(mapping: Mapping[str, object]) -> Found | None:
    """What `{"name": "DB_PASSWORD", "value": "x"}` announces of its value.

    Args:
        mapping: as JSON; `key` and `Value`, `variable` and so on are understood too.
    """
    for key, name in mapping.items():
        if isinstance(name, str) and key.lower() in _ANNOUNCING:
            found = _spelled(name)
            if found is not None and any(is_bound(other) for other in mapping):
                return found
    return None


def is_bound(key: str) -> bool:
    """Whether a key of such a mapping has the value."""
    return key.lower() in _BOUND


def announce(values: Sequence[object], nested: bool) -> list[Found | None]:
    """What the items of a list announce of those after them: `["--password", "x"]`.

    Args:
        values: as JSON.
        nested: whether it is an item of a list itself, so that it may be a pair (`["token", "x"]`).
    """
    found: list[Found | None] = [None] * len(values)
    first = values[0] if values else None
    if nested and len(values) == 2 and isinstance(first, str):
        found[1] = _spelled(first)
    command = before = ""
    for at, value in enumerate(values):
        text = value if isinstance(value, str) else ""
        if before.startswith("-"):
            found[at] = _spelled(before) if re.fullmatch(r"--?[\w.-]+", before) else None
            if command == "curl" and before in ("-u", "--user", "-U") and ":" in text:
                found[at] = "credentials", True
            elif (command, before) in _UNNAMED:
                found[at] = "password", True
        if command in ("mysql", "mariadb") and text.startswith("-p") and len(text) > 2:
            found[at] = "password", True
        if not text.startswith("-"):
            last = text.rpartition("/")[2].partition(" ")[0]
            command = _COMMANDS.get(last[:9], command)
        before = text
    return found


def _spelled(name: str) -> Found | None:
    """What a text announces as a name; nothing if it is scrubbed, since it would change then."""
    found = names_secret(name[-_NAME_AT_MOST:])
    return found if found is not None and scrub(name) == name else None


_UNNAMED = frozenset((("sshpass", "-p"), ("login", "-p"), ("redis-cli", "-a")))
"""Options that name nothing, by command."""
_COMMANDS = {
    **{name: name for name in ("curl", "sshpass", "login", "redis-cli", "mysql", "mariadb")},
    **dict.fromkeys(("mysqldump", "mysqladmi", "mysqlimpo", "mysqlshow"), "mysql"),
}
"""By at most nine characters."""


def nearest(found: Found | None, outer: Found | None) -> Found | None:
    """What the names that a value is nested under announce: the nearest one that is certain.

    Args:
        found: what a name announces.
        outer: what the names around it announce.
    """
    if found is None or (outer is not None and outer[1] and not found[1]):
        return outer
    return found


_ALWAYS = {
    word: what
    for what, words in (
        ("password", "password passwords passwd pwd passphrase passcode pass pw pin"),
        ("password", "passwort kennwort senha wachtwoord contraseña contrasena"),
        ("password", "пароль 密码 密碼 口令 パスワード 비밀번호"),
        ("secret", "secret secrets mnemonic clientsecret"),
        ("token", "token jwt otp totp pat accesstoken authtoken"),
        ("key", "apikey accesskey privatekey secretkey accountkey"),
        ("cookie", "cookie cookies"),
        ("authorization", "authorization bearer"),
        ("credentials", "credential credentials creds dsn connectionstring connstring connstr"),
    )
    for word in words.split()
}
"""Last words of a name, and the kind that the marker names."""

_KEYS = frozenset(
    (
        *("api", "access", "private", "secret", "signing", "encryption", "master", "account"),
        *("shared", "service", "deploy", "ssh", "auth", "session", "storage", "license"),
        *("webhook", "client", "consumer", "app", "admin", "root", "server", "write", "gpg"),
    )
)
"""Words before `key` that make it a secret one."""

_PERHAPS = {
    word: what
    for what, words in (
        ("key", "key keys seed salt license cert"),
        ("authorization", "auth signature sig nonce verifier challenge"),
        ("cookie", "session sess sid csrf xsrf"),
        ("token", "tokens ticket code state"),
        ("credentials", "connection login"),
    )
    for word in words.split()
}

_QUALIFIERS = frozenset(
    (
        *("value", "val", "raw", "text", "plain", "plaintext", "string", "str", "base", "encoded"),
        *("enc", "prod", "production", "dev", "test", "staging", "live", "old", "new", "current"),
        *("default", "header", "confirm", "confirmation", "again", "repeat", "hash", "hashed"),
    )
)
"""Words after the noun that do not change its meaning: `password_confirm`, `API_KEY_PROD`."""

_ABOUT = frozenset(
    ("has", "is", "no", "needs", "use", "uses", "with", "without", "max", "min", "num", "show")
)
"""First words of names that are about a secret and do not contain it: `has_token`."""

_STEMS = (
    *("pass", "pw", "secre", "token", "key", "auth", "cooki", "cred", "pin", "otp", "jwt"),
    *("sess", "sig", "sid", "salt", "seed", "code", "nonce", "pat", "dsn", "conn", "csrf", "xsrf"),
    *("beare", "mnemo", "cert", "state", "licen", "verif", "chall", "ticke", "login"),
    *("kennw", "senha", "wacht", "contr", "парол", "密码", "密碼", "口令", "パスワ", "비밀번호"),
)
"""Of at most five characters, as the keywords of `rules`."""

_MARKERS = frozenset(
    marker(name)
    for name in (*(rule.name for rule in RULES), *_ALWAYS.values(), *_PERHAPS.values())
    if name != "base64"
)
"""Only these: `[redacted:hunter2]` may be a password. A name is more exact than `base64`."""

_WORD = r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+"
_NAME_AT_LEAST = 2
_JUDGED = 64
"""Characters of a value that the judgement depends on; the rest is redacted with them."""
_NAME_AT_MOST = 64

# A name, what closes it (a quote, a bracket), and what joins the value to it. A run of the name's
# characters is read once, from its beginning. The last two separators are full-width ones.
_HEAD = (
    r"""(?<![\w.[\]-])([\w.[\]-]+)([)"'\\]{0,6})"""
    r"""(\s{0,9}(?:=>|:=|=(?!=)|[:\uff1a\uff1d])\s{0,9}|>|\s{0,9},\s{0,9}|\s{1,9})"""
)
_VALUE = (
    r"""\\+"[^"]*"?|\\+'[^']*'?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\[[^\]]*\]?|\{[^}]*\}?|\S+"""
)
_LINE = r"""[^"'\r\n]+"""
_ELEMENT = r"[^<]+"


@lru_cache(maxsize=256)
def names_secret(name: str) -> Found | None:
    """What kind of secret a name announces, and whether that is certain; None for no secret.

    Args:
        name: a property's key, an option, a variable, a header.
    """
    lowered = name.lower()
    if not any(stem in lowered for stem in _STEMS) or is_marker(name):
        return None
    words = [word.lower() for word in re.findall(_WORD, name)]
    if not words or words[0] in _ABOUT:
        return None
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        words.pop()
    last = words[-1]
    if last in _ALWAYS:
        return _ALWAYS[last], True
    if last in ("key", "keys") and len(words) > 1 and words[-2] in _KEYS:
        return "key", True
    return (_PERHAPS[last], False) if last in _PERHAPS else None


def is_marker(text: str) -> bool:
    """Whether a text is exactly one of our markers."""
    return text in _MARKERS


def redact(text: str, lowered: str, by_form: Callable[[str], str]) -> str:
    """A text with the values of its `name=value` pairs replaced, where the name asks for it.

    Args:
        text: any text.
        lowered: the same in lower case.
        by_form: scrubs a value by its form, which may identify it more exactly.
    """
    if not any(stem in lowered for stem in _STEMS):
        return text
    parts: list[str] = []
    at = done = 0
    head, value = re.compile(_HEAD), re.compile(_VALUE, re.DOTALL)
    while (match := head.search(text, at)) is not None:
        at = match.end()
        found = _announced(match)
        if found is None:
            continue
        what, certain = found
        kind = value
        if match[3] == ">":
            kind = re.compile(_ELEMENT)
        elif what in ("authorization", "cookie") and certain and text[at : at + 1] not in "\"'\\[{":
            kind = re.compile(_LINE)
        whole = kind.match(text, at) if certain else kind.match(text, at, at + _JUDGED)
        if whole is None:
            continue
        opening, bare, closing = _unquoted(whole[0])
        if not bare or is_marker(bare) or not _is_secret(match, what, certain, bare):
            continue
        found_form = by_form(bare)
        replacement = found_form if is_marker(found_form) else marker(what)
        parts += (text[done:at], opening, replacement, closing)
        if len(parts) > 4 * _MAX_MARKERS:
            return _TEXT
        at = done = whole.end()
        if not certain:  # nothing of it may follow
            rest = re.compile(r"\S*").match(text, at)
            at = done = rest.end() if rest is not None else at
    return "".join([*parts, text[done:]]) if parts else text


def _announced(match: re.Match[str]) -> Found | None:
    """What the head of a pair announces, if it is one."""
    name, closed, joint = match[1].lstrip("["), match[2], match[3].strip()
    before = match.string[match.start() - 1 : match.start()] if match.start() else ""
    if joint == "" and not name.startswith("--"):
        return None
    if joint == ">" and (before != "<" or closed):
        return None
    if joint == "," and not (closed and (name.startswith("--") or before in "\"'")):
        return None
    if len(name) < _NAME_AT_LEAST or (len(name) >= 14 and is_random(name)):
        return None  # base64 may end in `Pw=`
    return names_secret(name[-_NAME_AT_MOST:])


def _is_secret(match: re.Match[str], what: str, certain: bool, bare: str) -> bool:
    """Whether a value is a secret: `token: expired` in prose is none."""
    if is_count(match[1], bare):
        return False
    if not certain:
        return is_secretive(bare)
    prose = match[3].startswith((":", "\uff1a")) and len(match[3]) > 1 and not match[2]
    if not prose or match[1].lower().endswith(("password", "passwd", "pwd", "passphrase")):
        return True
    return what in ("authorization", "cookie") or is_varied(bare) or len(bare) >= 20


def _unquoted(value: str) -> tuple[str, str, str]:
    """A value as its opening quote, what is in it, its closing quote."""
    mark = value.lstrip("\\")[:1]
    if mark not in ('"', "'") or len(value) < 2:
        return "", value, ""
    opening = value[: value.index(mark) + 1]
    if len(value) >= 2 * len(opening) and value.endswith(opening):
        return opening, value[len(opening) : -len(opening)], opening
    return opening, value[len(opening) :], ""
