"""The table of secrets that are recognized by their form: one rule each, with the form's source.

Two properties keep it fast. A rule is compiled and run only where one of its keywords, a literal,
is in the text: most texts meet the last rule alone. (A rule compiles in 0.05 to 0.2 ms, all of them
in 3.7 ms; warm, a short text takes 10 µs.) And a pattern either fails within a bounded number of
characters or matches all that it has read, so that nothing is read twice; what is not decided by
then, `validate` decides. Python's `re` is not linear by itself.

Lengths are lower bounds, since providers lengthen their tokens. To add a kind of secret, add a row.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Match
    from typing import TypeAlias

    Validate: TypeAlias = Callable[[Match[str]], str | None]
    """Gives the replacement of a match; None if it is no secret."""

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


TAIL = r"[\w-]{16,}(?:\.[\w-]+)*"
"""What follows most prefixes; further parts after dots are how tokens grew so far."""
ALNUM = r"[A-Za-z0-9]{16,}"
PATH = r'(?:[^\\/:"<>|\r\n]*[\\/]+)*[^\s"<>|]*'
"""The rest of a path. A space may be part of a name, so prose up to a last separator goes too."""
APART = r"(?<![A-Za-z0-9])"
"""For prefixes that also end words: `task-`, `risk-`."""


def marker(name: str) -> str:
    """The replacement of a secret: `[redacted:github-token]`."""
    return f"[redacted:{name}]"


class Rule:
    """One rule.

    Args:
        name: the kind that the marker names.
        keywords: lower-case literals; a text without any of them is not searched.
        pattern: finds candidates.
        validate: gives the replacement, or None to leave a candidate; the marker by default.
        flags: of `re`; ASCII classes by default.
        least: how often a keyword must occur at least.
        shortest: characters of the shortest match; a shorter text is not searched.
    """

    __slots__ = ("flags", "keywords", "least", "name", "pattern", "shortest", "validate")

    def __init__(
        self,
        name: str,
        keywords: tuple[str, ...],
        pattern: str,
        validate: Validate | None = None,
        flags: int = re.ASCII,
        least: int = 1,
        shortest: int = 0,
    ) -> None:
        self.name = name
        # From 30,000 characters on, CPython finds longer ones in another way, at ten times the cost
        # (stringlib/fastsearch.h, 3.10 and later).
        self.keywords = tuple([keyword[:5] for keyword in keywords])
        self.pattern = pattern
        self.validate = validate
        self.flags = flags
        self.least = least
        self.shortest = shortest

    def redact(self, text: str, lowered: str) -> str:
        """The text with this rule's secrets replaced.

        Args:
            text: what may hold some.
            lowered: the same in lower case.
        """
        for keyword in self.keywords:
            if keyword in lowered and (self.least == 1 or lowered.count(keyword) >= self.least):
                # re keeps what it compiled; that costs 0.2 µs here, and no global of ours.
                return re.compile(self.pattern, self.flags).sub(self._replacement, text)
        return text

    def _replacement(self, match: Match[str]) -> str:
        if self.validate is None:
            return marker(self.name)
        found = self.validate(match)
        return match[0] if found is None else found


def _prefixed(
    name: str, *prefixes: str, tail: str = TAIL, before: str = "", wordy: bool = False
) -> Rule:
    """A rule for a prefix; with `wordy` what follows must not be plain words."""

    def validate(match: Match[str]) -> str | None:
        return marker(name) if is_varied(match[1]) else None

    either = "|".join(re.escape(prefix) for prefix in prefixes)
    keywords = tuple(prefix.lower() for prefix in prefixes)
    shortest = 18 if tail in (TAIL, ALNUM) else 0
    pattern = f"{before}(?:{either})({tail})"
    return Rule(name, keywords, pattern, validate if wordy else None, shortest=shortest)


# Validation ------------------------------------------------------


def _if(name: str, wanted: Callable[[str], bool]) -> Validate:
    """Replace the whole match if its first group is as wanted."""
    return lambda match: marker(name) if wanted(match[1]) else None


def _userinfo(match: Match[str]) -> str | None:
    """`user:password@` of a URL (RFC 3986, 3.2.1), also where the password was not encoded."""
    userinfo, at, rest = match[1].rpartition("@")
    first, slash, _ = userinfo.partition("/")
    port = first.rpartition(":")[2] if ":" in first else "0"
    if not at or (slash and "@" not in first and port.isdecimal()):
        return None  # no user, or the @ is in the path: `host:8080/@scope`
    if first.partition("@")[0] == "git":
        return None
    return f"://{marker('url-credentials')}@{rest}"


def _ipv6(match: Match[str]) -> str | None:
    text, start, end = match.string, match.start(), match.end()
    before, address, after = without_edges(match[1])
    follows = text[start - 1 : start] in _NAME and not before
    goes_on = text[end : end + 1] in _NAME and not after
    if follows or goes_on or not is_ipv6(address):
        return None  # also names joined by colons: `thread::a1`
    return f"{before}{marker('ip')}{after}"


def _ipv4(match: Match[str]) -> str | None:
    if not is_ipv4(match[2]):
        return None
    return None if match[1] else marker("ip")


def _email(match: Match[str]) -> str | None:
    user, domain = match[1], match[2]
    if user == "git" or is_release(domain):
        return None  # git's address of a repository; `package@1.0.dev3`
    return marker("email")


def _base64(match: Match[str]) -> str | None:
    body, padding, follows = match[1], match[2], match.string[match.end() : match.end() + 1]
    if padding and (len(body) + len(padding)) % 4 == 0 and follows not in _VALUE:
        return marker("base64") if is_random(body, 3) else None
    return marker("base64") if len(body) >= 24 and is_random(body) else None


_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_VALUE = _NAME | set("=[{$")
"""What begins a value: `sharedKey=[…` is a name that binds one, and no padding."""


RULES: tuple[Rule, ...] = (
    # RFC 7468; a key that was cut off has no end. First, since it holds base64.
    Rule(
        "pem",
        ("-----begin ",),
        r"-----BEGIN [A-Z0-9 ]{1,60}-----(?s:.*?)(?:-----END [A-Z0-9 ]{1,60}-----|\Z)",
    ),
    Rule("url-credentials", ("://",), r'://((?:(?!://)[^\s"<>])+)', _userinfo, 0),
    # docs.github.com, "GitHub's token formats"; ghs_<appid>_<JWT> since 2025; v1. until 2021, when
    # personal ones were 40 digits, which only a name distinguishes from a commit: see `scrub`.
    _prefixed("github-token", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    Rule("github-token", ("v1.",), APART + r"v1\.[0-9a-f]{36,}"),
    # docs.gitlab.com, "Token overview": prefixes; routable tokens have dots.
    _prefixed(
        "gitlab-token",
        *("glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-"),
        *("glagent-", "glwt-", "glsoat-", "glffct-", "gloas-", "GR1348941"),
    ),
    # docs.anthropic.com; platform.openai.com; openrouter.ai and others took the form over.
    _prefixed("anthropic-key", "sk-ant-", tail=r"[\w-]{10,}"),
    _prefixed("openai-key", "sk-proj-", "sk-svcacct-", "sk-admin-", tail=r"[\w-]{10,}"),
    _prefixed("api-key", "sk-", before=APART, wordy=True),
    # docs.aws.amazon.com, "IAM identifiers": unique ID prefixes; the secret often follows it.
    Rule(
        "aws-key",
        ("akia", "asia", "abia", "acca", "aroa", "aida", "agpa", "anpa", "anva", "apka", "asca"),
        r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA|ANVA|APKA|ASCA)[A-Z0-9]{12,}"
        r"""(?:[\s:,;|"'=/]{1,4}[A-Za-z0-9/+]{40,}={0,2})?""",
    ),
    _prefixed("aws-key", "ABSK", "bedrock-api-key-", tail=r"[A-Za-z0-9+/]{40,}={0,2}"),
    # cloud.google.com, "API keys"; developers.google.com, OAuth 2.0 token sizes.
    _prefixed("google-key", "AIza", "GOCSPX-"),
    _prefixed("google-token", "ya29.", "1//0", "AQ.", before=APART),
    # docs.slack.dev, "Tokens" (rotated: xoxe.xoxp-); "Sending messages using incoming webhooks".
    Rule("slack-token", ("xox", "xapp-"), r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{8,}"),
    Rule(
        "webhook-url",
        ("hooks.slack", "discord", "webhook.office.com", "hooks.zapier.com"),
        r"(?:hooks\.slack(?:-gov)?\.com|discord(?:app)?\.com/api/webhooks|webhook\.office\.com"
        r"|hooks\.zapier\.com)"
        r"/[\w@/.+-]{8,}",
    ),
    # docs.stripe.com, "API keys", "webhooks".
    _prefixed(
        "stripe-key",
        *("sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_", "whsec_"),
        *("sk_org_", "rk_org_"),
        tail=r"[A-Za-z0-9_]{10,}",
    ),
    _prefixed("npm-token", "npm_", tail=ALNUM, wordy=True),  # github.blog, npm's new token format
    _prefixed("pypi-token", "pypi-", wordy=True),  # PyPI's help, "API token": a macaroon
    # huggingface.co/docs, "User access tokens".
    _prefixed("huggingface-token", "hf_", "api_org_", tail=ALNUM, before=APART, wordy=True),
    # docs.digitalocean.com: personal, OAuth and refresh tokens.
    _prefixed("digitalocean-token", "dop_v1_", "doo_v1_", "dor_v1_"),
    # twilio.com/docs, "SendGrid API keys"; two parts of 22 and 43.
    Rule("sendgrid-key", ("sg.",), APART + r"SG\.[\w-]{10,}(?:\.[\w-]+)+"),
    # twilio.com/docs, "Twilio SIDs": account and API key.
    Rule("twilio-key", ("ac", "sk"), APART + r"(?:AC|SK)[0-9a-f]{32,}"),
    # documentation.mailgun.com; mailchimp.com/developer: the data centre is at the end.
    Rule("mailgun-key", ("key-",), APART + r"(?:pub)?key-[0-9a-f]{24,}"),
    Rule("mailgun-key", ("-",), APART + r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8,}(?![\w-])"),
    Rule("mailchimp-key", ("-us",), APART + r"[0-9a-f]{32,}-us[0-9]{1,3}"),
    # learn.microsoft.com: shared access signatures; Entra client secrets. Account keys are pairs.
    Rule("azure-key", ("sig=",), r"(?<![A-Za-z])sig=[\w%+/=-]{16,}"),
    Rule("azure-key", ("q~",), r"[\w.~-]{3,4}Q~[\w.~-]{24,}"),
    # discord.com/developers, "Authentication": id, time, signature; core.telegram.org/bots/api.
    Rule("discord-token", (".",), APART + r"[MNO][\w-]{22,30}\.[\w-]{6}\.[\w-]{25,}", least=2),
    Rule("telegram-token", (":aa",), r"(?<![0-9])[0-9]{7,14}:AA[\w-]{28,}"),
    # Each provider's own documentation of its prefix; gitleaks keeps the same list.
    _prefixed(
        "api-key",
        *("gsk_", "xai-", "pplx-", "tvly-", "r8_", "lsv2_pt_", "lsv2_sk_", "nvapi-", "fw_"),
        *("hvs.", "hvb.", "hvr.", "dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "lin_api_", "ntn_"),
        *("secret_", "figd_", "shpat_", "shpca_", "shppa_", "shpss_", "sq0atp-", "sq0csp-"),
        *("glc_", "glsa_", "NRAK-", "NRII-", "NRJS-", "sntrys_", "sntryu_", "dapi", "sbp_"),
        *("dckr_pat_", "dckr_oat_", "pul-", "FlyV1 fm2_", "fo1_", "nfp_", "sb_secret_"),
        *("pscale_tkn_", "pscale_pw_", "pscale_oauth_", "PMAK-", "rubygems_", "CLOJARS_"),
        *("bkua_", "CCIPAT_", "CCIPRJ_", "ATATT3", "ATCTT3", "ATBB", "LTAI", "EZAK", "sgp_"),
        *("dt0c01.", "pat-na1-", "pat-eu1-", "sha256~", "pnu_", "rdme_", "tfp_", "squ_", "sqp_"),
        *("sqa_", "AGE-SECRET-KEY-", "ops_eyJ", "phx_", "phc_", "re_", "vcp_", "HRKU-"),
        before=APART,
        wordy=True,
    ),
    Rule("api-key", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{16,}"),  # Terraform
    # RFC 7519, 7516: `{"` in base64, and parts after dots. Cut off, it is a secret still.
    Rule(
        "jwt",
        ("eyj",),
        r"(eyJ[\w-]{8,}(?:\.[\w=-]*)*)",
        _if("jwt", lambda text: "." in text or is_random(text)),
    ),
    # RFC 6750, 7617; GitHub's `token`.
    Rule(
        "bearer-token",
        ("bearer", "token"),
        r"(?i:\b(bearer|token)(?:\s|%20|\+){1,9})([\w.~+/=:-]{8,})",
        lambda match: (
            f"{match[1]} {marker('bearer-token')}"
            if is_varied(match[2]) or len(match[2]) >= 32
            else None
        ),
    ),
    Rule(
        "basic-credentials",
        ("basic",),
        r"(?i:\b(basic)\s{1,9})([A-Za-z0-9+/_-]{4,}={0,2})",
        lambda match: f"{match[1]} {marker('basic-credentials')}" if is_basic(match[2]) else None,
    ),
    # RFC 5322 and 6531, as people write them; each run is read once, from its beginning.
    Rule(
        "email",
        ("@", "%40"),
        r"(?<![\w.+%'!#$*~^-])([\w.+%'!#$*~^-]+)(?:@|%40)((?:[\w-]+\.)+[^\W\d_][\w-]+)",
        _email,
        0,
    ),
    # Windows; WSL, Cygwin, Git Bash.
    Rule(
        "home-path",
        ("users", "documents and settings"),
        r"(?i:(?:\b[a-z]:)?\\{1,4}(?:users|documents and settings)[\\/]{1,4}|\b[a-z]:/{1,2}users/"
        r"|(?<![\w.])/(?:mnt/|cygdrive/)?[a-z]/users/)" + PATH,
        flags=0,
    ),
    # Linux, its immutable kinds, FreeBSD, Solaris; macOS; root's own.
    Rule(
        "home-path",
        ("/home/", "/users/", "/root/"),
        r"(?:(?<![\w.~-])|(?<=/var)|(?<=/usr)|(?<=/export)|(?<=/private))/(?:home|Users|root)/"
        + PATH,
        flags=0,
    ),
    # RFC 4291. Two colons in a row, or six of them.
    Rule("ip", ("::",), r"([0-9A-Fa-f:.]{3,})(?:%\w+)?", _ipv6),
    Rule("ip", (":",), r"([0-9A-Fa-f:.]{15,})(?:%\w+)?", _ipv6, least=6),
    # Not versions: `v1.2.3.4`, `==1.2.3.4`, `1.2.3.4-rc1`, five parts, `Chrome/131.0.0.0`.
    Rule(
        "ip",
        (".",),
        r"(?<![0-9.])((?i:v|version[:=]?\s{0,3}|[=<>~!]=\s{0,3}|[<>^~]\s{0,3}"
        r"|[a-z]/(?=[0-9]+\.0\.0\.0)))?"
        r"((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9]|\.[0-9]|[A-Za-z]|[-+][A-Za-z])",
        _ipv4,
        least=3,
    ),
    # RFC 4648, both alphabets; of several lines (MIME: 76, PEM: 64) all of them.
    Rule(
        "base64",
        ("\n",),
        r"(?<![A-Za-z0-9+/])([A-Za-z0-9+/]{56,})(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/]+)*={0,2}",
        _if("base64", is_random),
    ),
    Rule("base64", ("",), r"([A-Za-z0-9+/_-]{14,})(={0,2})", _base64),
)
"""In the order in which they are applied: exact forms before guesses."""
