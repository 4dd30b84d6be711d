"""Secrets that no service ever issued, random characters in each family's form; and what is none.

No secret is written here: each is put together when it is asked for, so that scanners of a
repository find nothing. Lengths are today's, shorter ones of the past and longer ones to come.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import string
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from click_telemetry._scrub.rules import RULES

LOWER = string.ascii_lowercase
LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
UPPER = string.ascii_uppercase + string.digits

Make = Callable[[random.Random], str]


class Secrets:
    """One family's secrets.

    Args:
        family: the name in its marker.
        make: makes one: the text in which it stands, with the secret part between two NULs, or
            the secret alone.
        contexts: whether it may stand anywhere; a pair (`password=`) is a context of its own.
    """

    def __init__(self, family: str, make: Make, *, contexts: bool = True) -> None:
        self.family = family
        self.make = make
        self.contexts = contexts

    def example(self, random: random.Random) -> tuple[str, str]:
        """A text, and the secret in it."""
        made = self.make(random)
        if "\0" not in made:
            return made, made
        before, secret, after = made.split("\0")
        return before + secret + after, secret


def some(random: random.Random, alphabet: str, least: int, most: int | None = None) -> str:
    """Random characters; a number between two, if two are given."""
    size = random.randint(least, most) if most is not None else least
    return "".join(random.choices(alphabet, k=size))


def _after(*prefixes: str, alphabet: str = ALNUM, sizes: tuple[int, ...]) -> Make:
    """A prefix and random characters, of one of the sizes or a third more."""

    def make(random: random.Random) -> str:
        size = random.choice(sizes)
        return random.choice(prefixes) + some(random, alphabet, size, size + size // 3)

    return make


def _b64(random: random.Random, least: int, most: int) -> str:
    return base64.b64encode(random.randbytes(random.randint(least, most))).decode()


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(random: random.Random) -> str:
    """A token of RFC 7519, signed with nothing."""
    head = _part({"alg": random.choice(["HS256", "RS256", "ES512"]), "typ": "JWT"})
    body = _part({"sub": some(random, ALNUM, 4, 20), "iat": random.randrange(10**9)})
    return f"{head}.{body}.{some(random, URLSAFE, 30, 400)}"


def jwe(random: random.Random) -> str:
    """An encrypted one, of five parts, the second empty."""
    head = _part({"alg": "dir", "enc": "A256GCM"})
    parts = [some(random, URLSAFE, size) for size in (16, 90, 22)]
    return ".".join([head, "", *parts])


def pem(random: random.Random) -> str:
    """A key of random bytes, of any label; sometimes on one line, sometimes cut off."""
    label = random.choice(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "PGP "]) + "PRIVATE KEY"
    body = base64.encodebytes(random.randbytes(random.randint(100, 900))).decode()
    dashes = "-" * 5
    end = random.choice([f"{dashes}END {label}{dashes}", ""])
    text = f"{dashes}BEGIN {label}{dashes}\n{body}{end}"
    return text if random.random() < 0.5 else text.replace("\n", "\\n")


def ipv6(random: random.Random) -> str:
    """Every form of RFC 4291 and 5952, with zones."""
    groups = [f"{random.randrange(1, 65536):x}" for _ in range(8)]
    if random.random() < 0.3:
        text = ":".join(groups)
    else:
        cut = sorted(random.sample(range(9), 2))
        text = ":".join(groups[: cut[0]]) + "::" + ":".join(groups[cut[1] :])
        text = "::1" if text == "::" else text
    if not any(c.isdecimal() for c in text):
        text += "0" if text.endswith(":") else ":0"
    if random.random() < 0.1:
        text = f"::ffff:{ipv4(random)}"
    return text + random.choice(["", "", "%eth0"])


def ipv4(random: random.Random) -> str:
    """Four numbers."""
    return ".".join(str(random.randrange(256)) for _ in range(4))


def email(random: random.Random) -> str:
    """As people write them, in more scripts than one."""
    users = ("jane.{}", "{}+news", "o'{}", "{}_x", "用户{}", "ж{}", "{}%40host")
    hosts = ("example.org", "mail.{}.co.uk", "{}.museum", "bücher.example", "例子.广告", "163.com")
    word = some(random, LOWER, 3, 12)
    at = random.choice(["@", "@", "@", "%40"])
    return random.choice(users[:-1]).format(word) + at + random.choice(hosts).format(word)


def home(random: random.Random) -> str:
    """A path below a person's home on Linux, macOS, Windows, WSL."""
    user = random.choice([some(random, LOWER, 6, 12), "Jane " + some(random, LOWER, 6)])
    name = some(random, LOWER, 6, 12)
    posix = (
        "/home/",
        "/Users/",
        "/var/home/",
        "/mnt/c/Users/",
        "/c/Users/",
        "/root/",
        "/usr/home/",
    )
    windows = ("C:\\Users\\", "d:\\users\\", "\\\\server\\Users\\", "C:\\\\Users\\\\", "C:/Users/")
    if random.random() < 0.5:
        start, separator = random.choice(posix), "/"
    else:
        start = random.choice(windows)
        separator = "\\" if "\\" in start else "/"
    return f"{start}\0{user}{separator}{name}{separator}{name}.txt\0"


def url(random: random.Random) -> str:
    """With a user and a password, encoded or not."""
    scheme = random.choice(["postgres", "https", "redis", "mongodb+srv", "amqp", "ftp"])
    user = some(random, LOWER, 4, 9)
    tail = random.choice(["", "/", "!", "#", "@", "%40", ":"]) + some(random, ALNUM, 6, 20)
    password = some(random, LETTERS, 6, 20) + tail
    host = random.choice(["db.example.org", "localhost", "10.0.0.1"])
    return f"{scheme}://{user}:\0{password}\0@{host}:5432/name?sslmode=require"


def pair(random: random.Random) -> str:
    """A name and its value, as shells, JSON, YAML, Python, XML and URLs bind them."""
    name = random.choice(
        [
            *("password", "PASSWORD", "db_password", "passwd", "pwd", "userPassword", "passphrase"),
            *(
                "secret",
                "client_secret",
                "clientSecret",
                "api_key",
                "apiKey",
                "API-KEY",
                "X-Api-Key",
            ),
            *(
                "token",
                "access_token",
                "github_token",
                "GITHUB_TOKEN",
                "refreshToken",
                "_authToken",
            ),
            *("AWS_SECRET_ACCESS_KEY", "private_key", "DATABASE_PASSWORD_PROD", "credentials"),
            *("password2", "user[password]", "spring.datasource.password", "AccountKey"),
        ]
    )
    value = random.choice(
        [
            some(random, ALNUM, 8, 40) + some(random, string.digits, 1),
            some(random, HEX, 40),
            some(random, LOWER, 6, 12) + random.choice("!#$%*+,;&") + some(random, ALNUM, 6, 9),
        ]
    )
    form = random.choice(
        [
            *("{}=\0{}\0", "{} = \0{}\0", "{}: \0{}\0", "{}:\0{}\0", "{} := \0{}\0", "{}=>\0{}\0"),
            *(
                '{}="\0{}\0"',
                "{}='\0{}\0'",
                '"{}": "\0{} x\0"',
                "'{}': '\0{}\0'",
                '{} = "\0x {}\0"',
            ),
            *('\\"{}\\": \\"\0{} x\0\\"', "('{}', '\0{}\0')", "<{}>\0{}\0</x>", "--{} \0{}\0"),
            *("['--{}', '\0{}\0']", "export {}=\0{}\0", "https://h.example/?a=b&{}=\0{}\0"),
        ]
    )
    return form.format(name, value)


def header(random: random.Random) -> str:
    """HTTP headers that carry who one is."""
    token = some(random, URLSAFE, 20, 60) + some(random, string.digits, 1)
    return random.choice(
        [
            f"Authorization: Bearer \0{token}\0",
            f"authorization: token \0{token}\0",
            f"Authorization=\0{token}\0",
            f"Cookie: a=\0{token}\0; theme=dark",
            f"Set-Cookie: id=\0{token}\0; HttpOnly",
            f"Proxy-Authorization: Digest username=x, response=\0{token}\0",
        ]
    )


def basic(random: random.Random) -> str:
    """RFC 7617."""
    given = f"{some(random, LOWER, 3, 9)}:{some(random, ALNUM, 3, 20)}"
    return f"Basic \0{base64.b64encode(given.encode()).decode()}\0"


def bearer(random: random.Random) -> str:
    """RFC 6750, outside of a header."""
    word = random.choice(["Bearer", "bearer", "BEARER"])
    return f"{word} \0{some(random, URLSAFE, 20, 90)}{random.randrange(10)}\0"


def blob(random: random.Random) -> str:
    """Random bytes in base64, on one line, in many, or of the URL-safe kind."""
    raw = random.randbytes(random.randint(24, 300))
    return random.choice(
        [
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            base64.encodebytes(raw).decode().strip(),
            base64.b64encode(random.randbytes(random.choice([16, 17, 19, 20]))).decode(),
        ]
    )


def command(random: random.Random) -> str:
    """Commands whose options name nothing."""
    user, word = some(random, LOWER, 3, 8), some(random, LETTERS, 8, 16) + "1"
    return random.choice(
        [
            f"mysql -h db -u{user} -p\0{word}\0 shop",
            f"mysqldump --single-transaction -p\0{word}\0",
            f"sshpass -p \0{word}\0 ssh {user}@host",
            f"redis-cli -h cache -a \0{word}\0 ping",
            f"docker login -u {user} -p \0{word}\0 registry.example.org",
        ]
    )


def curl(random: random.Random) -> str:
    """A user and a password for curl."""
    given = f"{some(random, LOWER, 3, 8)}:\0{some(random, LETTERS, 8, 16)}1\0"
    return random.choice(
        [f"curl -s -u {given} https://api.example.org", f"curl https://x.example --user '{given}'"]
    )


def _uuid(random: random.Random, version: int) -> str:
    digits = uuid.UUID(int=random.getrandbits(128), version=4).hex
    return str(uuid.UUID(f"{digits[:12]}{version}{digits[13:]}"))


SECRETS: tuple[Secrets, ...] = (
    Secrets("github-token", _after("ghp_", "gho_", "ghu_", "ghr_", sizes=(36, 76, 255))),
    Secrets("github-token", lambda r: f"ghs_{r.randrange(10**7)}_{jwt(r)}"),
    Secrets("github-token", _after("ghs_", sizes=(36, 64))),
    Secrets("github-token", _after("v1.", alphabet=HEX, sizes=(40,))),
    Secrets(
        "github-token",
        lambda r: "github_pat" + f"_{some(r, ALNUM, 22)}_{some(r, ALNUM, 59, 120)}",
    ),
    Secrets("gitlab-token", _after("glpat-", alphabet=URLSAFE, sizes=(20, 40))),
    Secrets(
        "gitlab-token",
        lambda r: f"glpat-{some(r, URLSAFE, 27, 300)}.01.{some(r, LOWER + string.digits, 9)}",
    ),
    *(
        Secrets("gitlab-token", _after(prefix, sizes=(20, 64)))
        for prefix in (
            *("gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-"),
            *("glwt-", "glsoat-", "glffct-", "gloas-", "GR1348941"),
        )
    ),
    Secrets(
        "anthropic-key", _after("sk-ant-api03-", "sk-ant-oat01-", alphabet=URLSAFE, sizes=(93,))
    ),
    *(
        Secrets("openai-key", _after(f"sk-{kind}-", alphabet=URLSAFE, sizes=(48, 156)))
        for kind in ("proj", "svcacct", "admin")
    ),
    Secrets("api-key", _after("sk-", sizes=(32, 48))),
    Secrets("api-key", lambda r: f"sk-or-v1-{some(r, HEX, 64, 96)}"),
    Secrets("aws-key", _after("AKIA", "ASIA", alphabet=UPPER, sizes=(16, 28))),
    Secrets(
        "aws-key",
        lambda r: (
            f"AKIA{some(r, UPPER, 16)}{r.choice([':', ' ', ', ', '|'])}{some(r, ALNUM + '/+', 40)}"
        ),
    ),
    Secrets("google-key", _after("AIza", alphabet=URLSAFE, sizes=(35, 60))),
    Secrets("google-key", _after("GOCSPX-", alphabet=URLSAFE, sizes=(28, 40))),
    Secrets("google-token", _after("ya29.", alphabet=URLSAFE, sizes=(68, 220))),
    Secrets("aws-key", _after("ABSK", alphabet=ALNUM + "+/", sizes=(109, 140))),
    Secrets("aws-key", _after("bedrock-api-key-", sizes=(80, 140))),
    Secrets("google-token", _after("AQ.", alphabet=URLSAFE, sizes=(50, 90))),
    Secrets("google-token", _after("1//0", alphabet=URLSAFE, sizes=(99,))),
    Secrets(
        "slack-token",
        lambda r: (
            f"xox{r.choice('abposre')}-{r.randrange(10**12)}-{r.randrange(10**12)}"
            f"-{some(r, ALNUM, 24, 60)}"
        ),
    ),
    Secrets("slack-token", lambda r: f"xoxe.xoxp-1-{some(r, ALNUM, 160, 200)}"),
    Secrets("slack-token", lambda r: f"xapp-1-A{some(r, UPPER, 10)}-{some(r, HEX, 64)}"),
    Secrets(
        "webhook-url",
        lambda r: (
            f"https://hooks.slack.com/\0services/T{some(r, UPPER, 9)}/B{some(r, UPPER, 9)}"
            f"/{some(r, ALNUM, 24, 40)}\0"
        ),
    ),
    Secrets(
        "webhook-url",
        lambda r: (
            f"https://discord.com/api/webhooks/\0{r.randrange(10**17, 10**19)}"
            f"/{some(r, URLSAFE, 68)}\0"
        ),
    ),
    *(
        Secrets("stripe-key", _after(prefix + "_", sizes=(24, 99)))
        for prefix in (
            *("sk_live", "rk_live", "pk_live", "sk_test", "rk_test", "pk_test", "whsec"),
            *("sk_org", "rk_org"),
        )
    ),
    Secrets("npm-token", _after("npm_", sizes=(36, 64))),
    Secrets("pypi-token", _after("pypi-AgEIcHlwaS5vcmc", alphabet=URLSAFE, sizes=(120, 160))),
    Secrets("huggingface-token", _after("hf_", "api_org_", sizes=(34, 50))),
    Secrets(
        "digitalocean-token", _after("dop_v1_", "doo_v1_", "dor_v1_", alphabet=HEX, sizes=(64,))
    ),
    Secrets("sendgrid-key", lambda r: f"SG.{some(r, URLSAFE, 22)}.{some(r, URLSAFE, 43, 60)}"),
    Secrets("twilio-key", _after("AC", "SK", alphabet=HEX, sizes=(32, 40))),
    Secrets("mailgun-key", _after("key-", alphabet=HEX, sizes=(32,))),
    Secrets("mailgun-key", lambda r: f"{some(r, HEX, 32)}-{some(r, HEX, 8)}-{some(r, HEX, 8)}"),
    Secrets("mailchimp-key", lambda r: f"{some(r, HEX, 32)}-us{r.randrange(1, 30)}"),
    Secrets(
        "key",
        lambda r: (
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey="
            f"\0{base64.b64encode(r.randbytes(64)).decode()}\0;EndpointSuffix=core.windows.net"
        ),
    ),
    Secrets(
        "key",
        lambda r: f"Endpoint=sb://x.net/;SharedAccessKey=\0{_b64(r, 32, 48)}\0",
    ),
    Secrets(
        "azure-key",
        lambda r: f"https://x.blob.core.windows.net/c?sv=2024&sig=\0{some(r, LOWER, 43)}%3D\0",
    ),
    Secrets("azure-key", lambda r: f"{some(r, ALNUM, 3)}8Q~{some(r, ALNUM + '.-', 34, 40)}"),
    Secrets(
        "discord-token",
        lambda r: f"M{some(r, ALNUM, 23, 26)}.{some(r, ALNUM, 6)}.{some(r, URLSAFE, 27, 38)}",
    ),
    Secrets(
        "telegram-token", lambda r: f"{r.randrange(10**8, 10**10)}:AA{some(r, URLSAFE, 33, 44)}"
    ),
    *(
        Secrets("api-key", _after(prefix, sizes=(32, 64)))
        for prefix in (
            *(
                "gsk_",
                "xai-",
                "pplx-",
                "tvly-",
                "r8_",
                "lsv2_pt_",
                "nvapi-",
                "hvs.",
                "hvb.",
                "dp.pt.",
            ),
            *("lin_api_", "ntn_", "secret_", "figd_", "shpat_", "shpss_", "sq0atp-", "sq0csp-"),
            *("glc_", "glsa_", "NRAK-", "sntrys_", "dapi", "sbp_", "dckr_pat_", "pul-", "fo1_"),
            *("nfp_", "sb_secret_", "pscale_tkn_", "PMAK-", "rubygems_", "CLOJARS_", "bkua_"),
            *("CCIPAT_", "ATATT3", "LTAI", "EZAK", "sgp_", "dt0c01.", "sha256~", "pnu_", "squ_"),
            *(
                "AGE-SECRET-KEY-",
                "phx_",
                "re_",
                "HRKU-",
                "lsv2_sk_",
                "fw_",
                "hvr.",
                "dp.st.",
                "dp.ct.",
            ),
            *("dp.sa.", "shpca_", "shppa_", "NRII-", "NRJS-", "sntryu_", "dckr_oat_", "FlyV1 fm2_"),
            *("pscale_pw_", "pscale_oauth_", "CCIPRJ_", "ATCTT3", "ATBB", "pat-na1-", "pat-eu1-"),
            *("rdme_", "tfp_", "sqp_", "sqa_", "ops_eyJ", "phc_", "vcp_"),
        )
    ),
    *(
        Secrets("api-key", _after(prefix, sizes=(32, 64)))
        for prefix in (
            *("csk-", "napi_", "e2b_", "pcsk_", "jina_", "tgp_v1_", "rpa_", "pylf_", "aio_"),
            *("duffel_test_", "duffel_live_", "EZTK", "FLWSECK_TEST-", "FLWSECK-", "xkeysib-"),
            *("xsmtpsib-", "shippo_live_", "shippo_test_", "fio-u-", "ico-", "sm_aat_", "sm_pat_"),
            *("sm_sat_", "tk-us-", "p8e-", "s-s4t2ud-", "s-s4t2af-", "cfk_", "cfut_", "cfat_"),
            *("tskey-", "CFPAT-", "mdb_sa_sk_", "fm1r_", "fm1a_", "fm2_", "BBDC-", "dp.scim."),
            *("dp.audit.", "dt0s01."),
        )
    ),
    Secrets("api-key", _after("sk_", alphabet=HEX, sizes=(48, 64))),
    Secrets("api-key", _after("fc-", alphabet=HEX, sizes=(32, 48))),
    Secrets("api-key", _after("API-", alphabet=UPPER, sizes=(26, 40))),
    Secrets("api-key", _after("AKCp", "cmVmd", sizes=(59, 69))),
    Secrets("api-key", lambda r: f"pat{some(r, ALNUM, 14)}.{some(r, HEX, 64)}"),
    Secrets(
        "api-key",
        lambda r: (
            f"{r.choice('ps')}at.{some(r, URLSAFE, 22)}.{some(r, ALNUM, 24)}.{some(r, ALNUM, 20)}"
        ),
    ),
    Secrets("api-key", lambda r: f"v1.0-{some(r, HEX, 24)}-{some(r, HEX, 146)}"),
    Secrets("api-key", _after("SCW", alphabet=UPPER, sizes=(17, 24))),
    Secrets("api-key", lambda r: f"{r.choice(['api', 'sdk', 'mob'])}-{_uuid(r, 4)}"),
    Secrets(
        "api-key",
        lambda r: (
            f"{r.choice(['access', 'public', 'link'])}-"
            f"{r.choice(['sandbox', 'development', 'production'])}-{_uuid(r, 4)}"
        ),
    ),
    Secrets(
        "api-key",
        lambda r: "-".join(["A3", some(r, UPPER, 6), some(r, UPPER, 6)] + [some(r, UPPER, 5)] * 4),
    ),
    Secrets("api-key", lambda r: f"{some(r, ALNUM, 6)}_{some(r, ALNUM, 29)}_mmk"),
    Secrets("api-key", _after("4b1d", sizes=(38, 50))),
    Secrets("api-key", _after("EAAC", "EAAM", sizes=(100, 180))),
    Secrets("api-key", _after("EAAA", alphabet=URLSAFE, sizes=(60,))),
    Secrets("api-key", lambda r: f"{r.randrange(10**14, 10**16)}|{some(r, URLSAFE, 27, 40)}"),
    Secrets("api-key", _after("sl.", alphabet=URLSAFE, sizes=(130, 160))),
    Secrets(
        "api-key",
        lambda r: (
            f"{r.choice(['sc', 'ext', 'authress'])}_{some(r, LOWER, 5, 30)}.{some(r, LOWER, 4, 6)}"
            f".acc_{some(r, LOWER + string.digits, 10, 32)}.{some(r, URLSAFE, 30, 120)}"
        ),
    ),
    Secrets("uuid", lambda r: _uuid(r, r.choice([1, 2, 6]))),
    Secrets("credentials", curl, contexts=False),
    Secrets("password", command, contexts=False),
    Secrets("api-key", lambda r: f"{some(r, ALNUM, 14)}.atlasv1.{some(r, ALNUM, 67)}"),
    Secrets("jwt", jwt),
    Secrets("jwt", jwe),
    Secrets("pem", pem),
    Secrets("url-credentials", url),
    Secrets("bearer-token", bearer),
    Secrets("basic-credentials", basic),
    Secrets("email", email),
    Secrets("ip", ipv4),
    Secrets("ip", ipv6),
    Secrets("home-path", home),
    Secrets("base64", blob),
    Secrets("", pair, contexts=False),
    Secrets("", header, contexts=False),
)
"""Every family; an empty name where the marker depends on the name that the secret stands under."""

CONTEXTS = (
    "{}",
    "the value {} was refused",
    '{{"value": "{}"}}',
    "see ({}), please",
    "x={}",
    "a,{},b",
    "first line\n{}\nlast line",
    "['{}']",
    "https://h.test/path?q={}",
    "über {} — 日本語",
    "`{}`.",
    "{}{}".format("\t", "{}"),
)
"""Where a secret may stand."""


def examples(seed: int = 20_26, each: int = 12) -> Iterator[tuple[str, str, str]]:
    """Family, text and secret, so many of each kind, the same for the same seed."""
    found = random.Random(seed)
    for secrets in SECRETS:
        contexts = itertools.cycle(CONTEXTS if secrets.contexts else ("{}", "before {}"))
        for context in itertools.islice(contexts, each):
            text, secret = secrets.example(found)
            yield secrets.family, context.format(text), secret


def _filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


_KEYWORDS = " ".join(sorted({keyword for rule in RULES for keyword in rule.keywords}))
UNITS = (
    *("a", "A1b", "a@", "@", "1.", "1:", "::", "eyJ", "sk-", "ghp_", "://", "://a@", "password=x "),
    *("key=", "key: ", "key=x ", "--password x ", "-----BEGIN A-----", "/home/a ", "C:\\Users\\"),
    *("\\\\users\\", "a%40", '"password":"', "'", "<password>", "a" * 60 + "\n", "aB3" * 20 + "\n"),
    *("Bearer ", "Basic ", "AKIA", "xox", "1.1.1.1 ", "a=", "M" * 23 + ".", "日本", "-", "re_"),
    *("session=", "https://a:b@c ", "a@b.example ", "::1 ", "Basic YTpi ", "password=", "pw:x,"),
    *("[redacted:email]", "Cookie: a\n", "\\\\\\", "密码：x ", "aB3dE5gH7jK9mN1pQ3sT5vW7 ", "a-b/"),
    *("curl ", "curl -u ", "mysql -h ", "login -p ", "SIG=a", "sq0csp-", "s.a ", "sc_aaaaa.", "1|"),
    *("ghp_" + "aB3d" * 9 + " ", "deploy the service in three regions, ", "\x01", "\ud800", "é"),
)
"""What may make a rule slow, repeated."""


def _adversarial() -> dict[str, dict[str, Any]]:
    found: dict[str, Any] = {
        "many keys": {f"{_filled('password=x ghp_', 120)}{n}": 1 for n in range(200)},
        "every keyword": {str(n): _filled(_KEYWORDS + " ", 4_000) for n in range(200)},
        "every keyword, pairs": {
            str(n): _filled(_KEYWORDS + " password=x ", 4_000) for n in range(9)
        },
        "numbers": {str(n): [0] * 10_000 for n in range(200)},
        "lists of numbers": {str(n): [[0] * 40] * 40 for n in range(200)},
        "deep": {str(n): [[[[_filled("key=x ", 400)]]]] * 9 for n in range(200)},
        "no names": {str(n): [{(i,): 1 for i in range(190)}] * 150 for n in range(200)},
        "texts too long": {str(n): [_filled("é", 4_000)] * 190 for n in range(200)},
        "pairs": {"env": [{"name": f"K{n}_PASSWORD", "value": "x" * 90} for n in range(60)]},
        "options": {"argv": ["--password", _filled("key=x ", 300)] * 80},
    }
    for unit in UNITS:
        found[f"texts of {unit[:20]!a}"] = {str(n): _filled(unit, 4_096) for n in range(190)}
        found[f"list of {unit[:20]!a}"] = [_filled(unit, 350)] * 70
        found[f"short texts of {unit[:20]!a}"] = [_filled(unit, 60)] * 190
    return {
        kind: given if isinstance(given, dict) else {"v": given} for kind, given in found.items()
    }


ADVERSARIAL = _adversarial()
"""Properties whose conversion takes longest."""

PROSE = (
    "The deployment finished in three regions; nobody had to wait for the last one.",
    "Réessayez plus tard : le serveur ne répond pas, mais rien n'est perdu.",
    "Die Anwendung wurde geändert, übersetzt und nach kurzer Prüfung veröffentlicht.",
    "Приложение обновлено: все проверки пройдены, ошибок не найдено.",
    "アプリケーションは正常に更新されました。次の手順に進んでください。",
    "应用程序已成功部署，所有检查均已通过。",
    "تم تحديث التطبيق بنجاح، ولم يتم العثور على أخطاء.",
    "היישום עודכן בהצלחה ולא נמצאו שגיאות.",
    "एप्लिकेशन सफलतापूर्वक अपडेट हो गया है।",
    "애플리케이션이 성공적으로 업데이트되었습니다.",
    "Η εφαρμογή ενημερώθηκε με επιτυχία, χωρίς σφάλματα.",
    "แอปพลิเคชันได้รับการอัปเดตเรียบร้อยแล้ว",
    "Invalid token: unexpected end of input at line 3, column 14",
    "The password was changed; use the new one from now on.",
    "Basic usage: acme deploy --region eu; token authentication is optional.",
    "key: value pairs are separated by commas, the secret of good prose",
    "the author's keyboard, a monkey's turkey and the passenger's passport",
)

_WORDS = (
    *("deploy", "region", "service", "worker", "migrate"),
    *("rollback", "account", "project", "template", "cluster"),
)


def benign(seed: int = 7, each: int = 12) -> Iterator[str]:
    """Texts as applications record them, so many of each kind, and prose in twelve languages."""
    r = random.Random(seed)

    def word() -> str:
        return r.choice(_WORDS)

    kinds: tuple[Callable[[], str], ...] = (
        lambda: str(uuid.UUID(int=r.getrandbits(128), version=4)),
        lambda: uuid.UUID(int=r.getrandbits(128), version=4).hex,
        lambda: some(r, HEX, 40),  # a commit
        lambda: some(r, HEX, 7, 12),
        lambda: "sha256:" + some(r, HEX, 64),
        lambda: f"{r.randrange(20)}.{r.randrange(20)}.{r.randrange(20)}",
        lambda: (
            f"v{r.randrange(9)}.{r.randrange(99)}.{r.randrange(9)}-rc.{r.randrange(9)}+build.{r.randrange(99)}"
        ),
        lambda: f"{word()}=={r.randrange(9)}.{r.randrange(9)}.{r.randrange(9)}.{r.randrange(9)}",
        lambda: (
            f">={r.randrange(9)}.{r.randrange(9)},<{r.randrange(9, 20)} || ^{r.randrange(9)}.2.3"
        ),
        lambda: f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}",
        lambda: f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}",
        lambda: (
            f"2026-11-21T{r.randrange(24):02}:{r.randrange(60):02}:12.{r.randrange(999):03}+01:00"
        ),
        lambda: f"src/{word()}/{word()}_{r.randrange(9)}.py",
        lambda: f"../{word()}/{word().title()}{word().title()}/index.test.tsx",
        lambda: f"tests/{word()}/test_{word()}.py::test_{word()}_{r.randrange(99)}",
        lambda: f"https://docs.example.org/{word()}/{word()}?page={r.randrange(99)}#{word()}",
        lambda: f"http://localhost:{r.randrange(1024, 65536)}/{word()}",
        lambda: f"#{some(r, HEX, 6)}",
        lambda: f"{word()}-{word()}-{r.randrange(9)}",
        lambda: "_".join([word(), word(), word(), str(r.randrange(99))]).upper(),
        lambda: "".join(word().title() for _ in range(4)),
        lambda: f"{word()}{word().title()}{word().title()}{r.randrange(99)}",
        lambda: f"com.example.{word()}.{word().title()}Impl",
        lambda: f"std::{word()}::{word()}<{word()}>",
        lambda: f"arn:aws:s3:::{word()}-{word()}",
        lambda: f"{word()}@{r.randrange(20)}.{r.randrange(20)}.{r.randrange(20)}",
        lambda: f"git@github.com:acme/{word()}.git",
        lambda: f"feature/ACME-{r.randrange(9999)}-{word()}-the-{word()}",
        lambda: f"eu-west-{r.randrange(4)}",
        lambda: f"{r.randrange(10**6)} bytes in {r.random() * 100:.3f} s",
        lambda: f"{word()}: {r.randrange(99)}, {word()}: true",
        lambda: f"{word()}={r.randrange(99)}&{word()}=asc&sort_key=name",
        lambda: (
            f"Python/3.{r.randrange(20)}.{r.randrange(20)} Linux/6.8.0-{r.randrange(99)}-generic"
        ),
        lambda: (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/{r.randrange(100, 200)}.0.0.0 Safari/537.36"
        ),
        lambda: f"{word()}_{some(r, string.digits, 10)}",
        lambda: some(r, string.digits, 13),
        lambda: f"text/html; charset=utf-8; q=0.{r.randrange(9)}",
        lambda: f"ImportError: cannot import name '{word()}' from '{word()}.{word()}'",
        lambda: f"max_tokens={r.randrange(9999)} token_count={r.randrange(99)}",
        lambda: f"registry.example.org/{word()}/{word()}:v{r.randrange(9)}.{r.randrange(9)}",
        lambda: f"{word()} --{word()} {word()} --dry-run -vv",
        lambda: (
            f"npm_config_{word()}_{word()} task-{word()}-{word()}-{word()} re_{word()}_{word()}"
        ),
        lambda: f"~/.config/{word()}/{word()}.toml",
    )
    for kind in kinds:
        for _ in range(each):
            yield kind()
    yield from PROSE
    yield from HARMLESS


HARMLESS = (
    *("secret_santa_list_2024_final_v2", "pass=12 fail=0", "pw=0", "pass: 12, fail: 3"),
    *("pass=12/15", "NoOpObservableUpDownCounter", "IPv4AddressToIPv6AddressMap"),
    *("Base64ToUtf8StringConverter", "createS3BucketOnEC2InUsEast1"),
    *("UseX509v3CertsForTLS13Only", "OAuth2AuthorizationCodeBearerV2"),
    *("UpsertKMSKeyAliasForS3BucketV2", "re_build_search_index_v2_final"),
    *("sk-learn-v2-model-final-x2", "key_of_the_first_item_v3", "api-gateway-v2-public-edge"),
    *("fc-barcelona-2024-schedule-v1", "sdk-release-notes-2024-v2"),
    *("access-production-logs-2024-v2", "SCWorld conference", "pat.smith"),
    *("patrick.0123456789", "docker login -u jane", "mysql -p shop"),
    *("curl -u jane https://x.example", "login -page", "v1.0-beta-2", "API-REFERENCE-INDEX"),
    *("A3-format", "s.startswith(prefix)"),
)
"""Texts that look most like a secret."""


def identifiers() -> list[str]:
    """Public names of ten popular libraries, as written in their documentation."""
    file = Path(__file__).with_name("identifiers.txt")
    return file.read_text(encoding="utf-8").split()


def installed_identifiers() -> Iterator[str]:
    """Names of the modules that are loaded, their classes and their members."""
    for name, module in sorted(sys.modules.items()):
        yield name
        for attribute, value in list(vars(module).items()):
            yield attribute
            if isinstance(value, type):
                yield from list(vars(value))
