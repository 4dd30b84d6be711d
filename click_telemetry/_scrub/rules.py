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
from typing import TYPE_CHECKING

from .detection import (
    is_basic,
    is_ipv4,
    is_ipv6,
    is_name,
    is_random,
    is_release,
    is_varied,
    without_edges,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Match
    from typing import TypeAlias

    Validate: TypeAlias = Callable[[Match[str]], str | None]
    """Gives the replacement of a match; None if it is no secret."""

TAIL = r"[\w-]{16,}(?:\.[\w-]+)*"
"""What follows most prefixes; further parts after dots are how tokens grew so far."""
ALNUM = r"[A-Za-z0-9]{16,}"
PATH = r'(?:[^\\/:"<>|\r\n]*[\\/]+)*[^\s"<>|]*'
"""The rest of a path. A space may be part of a name, so prose up to a last separator goes too."""
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
APART = r"(?<![A-Za-z0-9])"
"""For prefixes that also end words: `task-`, `risk-`."""


LONG = 18
"""Characters that all of the longer secrets have."""


def marker(name: str) -> str:
    """The replacement of a secret: `[redacted:github-token]`."""
    return f"[redacted:{name}]"


class Rule:
    """One rule.

    Args:
        name: the kind that the marker names.
        keywords: lower-case literals; a text without any of them is not searched.
        pattern: finds candidates; with `prefixes`, `%s` in it are these.
        validate: gives the replacement, or None to leave a candidate; the marker by default.
        flags: of `re`; ASCII classes by default.
        least: how often a keyword must occur at least.
        long: whether a match has a word of `LONG` characters; others are not searched.
    """

    __slots__ = (
        *("_full", "flags", "keywords", "least", "long", "name", "pattern", "prefixes"),
        "validate",
    )

    def __init__(
        self,
        name: str,
        keywords: tuple[str, ...],
        pattern: str,
        validate: Validate | None = None,
        flags: int = re.ASCII,
        least: int = 1,
        long: bool = False,
        prefixes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        # From 30,000 characters on, CPython finds longer ones in another way, at ten times the cost
        # (stringlib/fastsearch.h, 3.10 and later).
        self.keywords = tuple([keyword[:5] for keyword in keywords])
        self._full = "" if prefixes else pattern
        self.pattern = pattern
        self.validate = validate
        self.flags = flags
        self.least = least
        self.prefixes = prefixes
        self.long = long

    def redact(self, text: str, lowered: str) -> str:
        """The text with this rule's secrets replaced.

        Args:
            text: what may hold some.
            lowered: the same in lower case.
        """
        for keyword in self.keywords:
            if keyword in lowered and (self.least == 1 or lowered.count(keyword) >= self.least):
                if not self._full:  # most runs need none: escaping them takes long
                    self._full = self.pattern % "|".join(map(re.escape, self.prefixes))
                # re keeps what it compiled; that costs 0.2 µs here, and no global of ours.
                return re.compile(self._full, self.flags).sub(self._replacement, text)
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
        return marker(name) if is_varied(match[1]) and not is_name(match[1]) else None

    pattern = f"{before}(?:%s)({tail})"
    keywords = tuple(map(str.lower, prefixes))
    checked = validate if wordy else None
    return Rule(name, keywords, pattern, checked, long=tail in (TAIL, ALNUM), prefixes=prefixes)


def _key(keywords: tuple[str, ...], pattern: str, validate: Validate | None = None) -> Rule:
    """A rule for the long key of a provider that has no rule of its own."""
    return Rule("api-key", keywords, pattern, validate, long=True)


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


def _old_vault(match: Match[str]) -> str | None:
    return marker("api-key") if is_random(match[1]) else None


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
    Rule("github-token", ("v1.",), APART + r"v1\.[0-9a-f]{36,}", long=True),
    # docs.gitlab.com, "Token overview": prefixes; routable tokens have dots.
    _prefixed(
        "gitlab-token",
        *("glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-"),
        *("glagent-", "glwt-", "glsoat-", "glffct-", "gloas-", "GR1348941"),
    ),
    # docs.anthropic.com; platform.openai.com; openrouter.ai and others took the form over.
    _prefixed("anthropic-key", "sk-ant-", tail=r"[\w-]{10,}"),
    _prefixed("openai-key", "sk-proj-", "sk-svcacct-", "sk-admin-", tail=r"[\w-]{10,}"),
    _prefixed("api-key", "sk-or-v1-", tail=r"[\w-]{10,}"),
    _prefixed("api-key", "sk-", before=APART, wordy=True),
    # docs.aws.amazon.com, "IAM identifiers": unique ID prefixes; the secret often follows it.
    Rule(
        "aws-key",
        (
            *("a3t", "akia", "asia", "abia", "acca", "aroa", "aida", "agpa", "anpa", "anva"),
            *("apka", "asca"),
        ),
        r"(?<![A-Z0-9])(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA|ANVA|APKA|ASCA)"
        r"[A-Z0-9]{12,}"
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
        long=True,
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
    Rule("twilio-key", ("ac", "sk"), APART + r"(?:AC|SK)[0-9a-f]{32,}", long=True),
    # documentation.mailgun.com; mailchimp.com/developer: the data centre is at the end.
    Rule("mailgun-key", ("key-",), APART + r"(?:pub)?key-[0-9a-f]{24,}", long=True),
    Rule(
        "mailgun-key",
        ("-",),
        APART + r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8,}(?![\w-])",
        least=2,
        long=True,
    ),
    Rule("mailchimp-key", ("-us",), APART + r"[0-9a-f]{32,}-us[0-9]{1,3}", long=True),
    # learn.microsoft.com: shared access signatures; Entra client secrets. Account keys are pairs.
    Rule("azure-key", ("sig=",), r"(?<![A-Za-z])sig=[\w%+/=-]{16,}", long=True),
    Rule("azure-key", ("q~",), r"[\w.~-]{3,4}Q~[\w.~-]{24,}", long=True),
    # discord.com/developers, "Authentication": id, time, signature; core.telegram.org/bots/api.
    Rule(
        "discord-token",
        (".",),
        APART + r"[MNO][\w-]{22,30}\.[\w-]{6}\.[\w-]{25,}",
        least=2,
        long=True,
    ),
    Rule("telegram-token", (":aa",), r"(?<![0-9])[0-9]{7,14}:AA[\w-]{28,}", long=True),
    # Each provider's own documentation of its prefix; gitleaks keeps a similar list.
    _prefixed(
        "api-key",
        *("gsk_", "xai-", "pplx-", "tvly-", "r8_", "lsv2_pt_", "lsv2_sk_", "nvapi-", "fw_"),
        *("hvs.", "hvb.", "hvr.", "dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."),
        *("lin_api_", "ntn_", "secret_", "figd_", "shpat_", "shpca_", "shppa_", "shpss_"),
        *("sq0atp-", "sq0csp-", "glc_", "glsa_", "NRAK-", "NRII-", "NRJS-", "sntrys_", "sntryu_"),
        *("dapi", "sbp_", "sb_secret_", "dckr_pat_", "dckr_oat_", "pul-", "nfp_", "FlyV1 fm2_"),
        *("fo1_", "fm1r_", "fm1a_", "fm2_"),  # fly.io/docs, "Access tokens"
        *("pscale_tkn_", "pscale_pw_", "pscale_oauth_", "PMAK-", "rubygems_", "CLOJARS_"),
        *("bkua_", "CCIPAT_", "CCIPRJ_", "ATATT3", "ATCTT3", "ATBB", "BBDC-", "LTAI", "sgp_"),
        *("dt0c01.", "dt0s01.", "pat-na1-", "pat-eu1-", "sha256~", "pnu_", "rdme_", "tfp_", "squ_"),
        *("sqp_", "sqa_", "AGE-SECRET-KEY-", "ops_eyJ", "phx_", "phc_", "re_", "vcp_", "HRKU-"),
        # inference-docs.cerebras.ai, neon.com, e2b.dev, Pinecone
        *("csk-", "napi_", "e2b_", "pcsk_"),
        *("jina_", "tgp_v1_", "rpa_", "pylf_"),  # jina.ai, docs.together.ai, RunPod, Logfire
        *("duffel_test_", "duffel_live_", "EZAK", "EZTK"),  # duffel.com, docs.easypost.com
        # Flutterwave, Brevo
        *("FLWSECK_TEST-", "FLWSECK-", "xkeysib-", "xsmtpsib-"),
        # Shippo, Frame.io, Infracost
        *("shippo_live_", "shippo_test_", "fio-u-", "ico-"),
        *("sm_aat_", "sm_pat_", "sm_sat_", "tk-us-"),  # SettleMint, doc.scalingo.com
        *("p8e-", "s-s4t2ud-", "s-s4t2af-", "aio_"),  # Adobe, api.intra.42.fr, io.adafruit.com
        # Cloudflare, "Token formats"; Tailscale
        *("cfk_", "cfut_", "cfat_", "tskey-"),
        *("CFPAT-", "mdb_sa_sk_"),  # Contentful, MongoDB Atlas
        before=APART,
        wordy=True,
    ),
    # elevenlabs.io, docs.firecrawl.dev, octopus.com, artifactory (AKCp, and `reftkn` in base64).
    _key(("sk_", "fc-"), APART + r"(?:sk_[0-9a-f]{40,}|fc-[0-9a-f]{32,})"),
    _key(("api-",), APART + r"API-[A-Z0-9]{25,}"),
    _key(("akcp", "cmvmd"), APART + r"(?:AKCp|cmVmd)[A-Za-z0-9]{50,}"),
    # airtable.com/developers; developer.harness.io: account, token, secret.
    _key(("pat",), APART + r"pat[A-Za-z0-9]{14}\.[0-9a-f]{40,}"),
    _key(("pat.", "sat."), APART + r"[ps]at\.[\w-]{16,}(?:\.[A-Za-z0-9]{16,}){2}"),
    # developers.cloudflare.com, "Origin CA keys"; www.scaleway.com/docs: access keys.
    _key(("v1.0-",), APART + r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}"),
    _key(("scw",), APART + r"SCW[A-Z0-9]{17,}"),
    # launchdarkly.com/docs: API, SDK and mobile keys; plaid.com/docs: tokens.
    _key(("api-", "sdk-", "mob-"), APART + r"(?:api|sdk|mob)-" + UUID),
    _key(
        ("-sandbox-", "-development-", "-production-"),
        APART + r"(?:access|public|link|processor)-(?:sandbox|development|production)-" + UUID,
    ),
    # support.1password.com: Secret Key; dev.maxmind.com: license keys; ClickHouse Cloud.
    _key(("a3-",), APART + r"A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){4,}"),
    _key(("_mmk",), r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    _key(("4b1d",), APART + r"4b1d[A-Za-z0-9]{38,}"),
    # developers.facebook.com, "Access tokens"; developer.squareup.com; Vault before 1.10.
    _key(("eaa",), APART + r"EAA[A-Z](?:[A-Za-z0-9]{80,}|(?<=EAAA)[\w-]{22,})"),
    _key(("|",), r"(?<![0-9])[0-9]{15,16}\|[\w-]{27,}"),
    _key(("s.",), APART + r"(s\.[A-Za-z0-9]{24})(?![A-Za-z0-9])", _old_vault),
    # authress.io/knowledge-base: service clients; www.dropbox.com/developers: short-lived.
    _key((".acc",), r"\b[a-z]{2,8}_\w{5,30}\.\w{4,6}\.acc[_-][\w.+/=-]{30,}"),
    _key(("sl.",), APART + r"sl\.[\w-]{100,}"),
    # Options that name nothing: curl.se/docs/manpage.html, dev.mysql.com, sshpass(1), redis.io.
    Rule(
        "credentials",
        ("curl",),
        r"""(\bcurl\b[^\r\n]{0,99}?\s(?:-[uU]|--(?:proxy-)?user)[\s=]{0,3}["']?)"""
        r"""([^\s"':]+:[^\s"']+)""",
        lambda match: match[1] + marker("credentials"),
    ),
    Rule(
        "password",
        ("mysql", "mariadb", "sshpass", "redis-cli", "login"),
        r"((?:\b(?:mysql|mariadb)[\w-]{0,9}\s(?:[^\r\n]{0,99}?\s)?|\bsshpass\s{1,3})-p"
        r"|\bredis-cli\s(?:[^\r\n]{0,99}?\s)?-a\s{1,3}|\blogin\s(?:[^\r\n]{0,99}?\s)?-p\s{1,3}"
        r"""|\bsshpass\s{1,3}-p\s{1,3})(?![\s-])["']?([^\s"']+)""",
        lambda match: match[1] + marker("password"),
    ),
    _key((".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{16,}"),  # Terraform
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
    # RFC 9562: 1 and 6 contain the time and the MAC address, 2 a number of a user too.
    # 4 is random, 7 has the time alone; 3 and 5 are digests of a name that an application chose.
    Rule(
        "uuid",
        ("-",),
        r"(?i:(?<![0-9a-z-])[0-9a-f]{8}-[0-9a-f]{4}-[126][0-9a-f]{3}-[89ab][0-9a-f]{3}"
        r"-[0-9a-f]{12}(?![0-9a-z]))",
        least=4,
        long=True,
    ),
    # RFC 4648, both alphabets; of several lines (MIME: 76, PEM: 64) all of them.
    Rule(
        "base64",
        ("\n",),
        r"(?<![A-Za-z0-9+/])([A-Za-z0-9+/]{56,})(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/]+)*={0,2}",
        _if("base64", is_random),
        long=True,
    ),
    Rule("base64", ("",), r"([A-Za-z0-9+/_-]{14,})(={0,2})", _base64),
)
"""In the order in which they are applied: exact forms before guesses."""
