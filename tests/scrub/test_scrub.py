"""The scrubber: every secret of every family goes, and what is none stays."""

from __future__ import annotations

import random
import re
import uuid
from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from click_telemetry._events.properties import convert_properties, sanitize_name
from click_telemetry._events.text import MAX_TEXT
from click_telemetry._scrub import names_secret, scrub, scrub_value
from click_telemetry._scrub.rules import RULES, Rule, marker

from ..harness import corpora
from ..harness.values import ANY_TEXT

MARKER = re.compile(r"\[redacted:[a-z0-9-]+\]")
LONGEST = 6
"""Characters of a secret that no text may still have."""


def remains(secret: str, text: str) -> list[str]:
    """Pieces of a secret that a text still holds, its markers aside."""
    text = MARKER.sub("\0", text)
    size = min(LONGEST, len(secret))
    pieces = [secret[at : at + size] for at in range(len(secret) - size + 1)]
    return [piece for piece in pieces if piece in text]


# Recall --------------------------------------------------------------------------------------


def test_every_secret_of_every_family_is_replaced_by_its_marker() -> None:
    """Wherever it stands, however long it is: 100 %, and the marker names its kind."""
    missed = []
    for family, text, secret in corpora.examples():
        scrubbed = scrub(text)
        marked = f"[redacted:{family}]" in scrubbed if family else MARKER.search(scrubbed)
        if not marked or remains(secret, scrubbed):
            missed.append((family, text, scrubbed))
    assert missed == []


@settings(max_examples=100)
@given(
    st.integers(min_value=0), st.sampled_from(corpora.SECRETS), st.sampled_from(corpora.CONTEXTS)
)
def test_no_six_characters_of_a_secret_survive(
    seed: int, secrets: corpora.Secrets, context: str
) -> None:
    """Half a secret is still one."""
    text, secret = secrets.example(random.Random(seed))
    scrubbed = scrub(context.format(text) if secrets.contexts else text)
    assert remains(secret, scrubbed) == []


def test_corpus_has_every_family() -> None:
    """A row without an example is not kept."""
    shown = {secrets.family for secrets in corpora.SECRETS}
    assert {family.name for family in RULES} - shown == set()


EDGES = [
    ("a@b.example b@c.example", "[redacted:email] [redacted:email]"),
    ("jane@example.org.", "[redacted:email]."),
    ("mailto:jane@example.org?subject=x", "mailto:[redacted:email]?subject=x"),
    ("::1", "[redacted:ip]"),
    ("[fe80::1%eth0]:8080", "[[redacted:ip]]:8080"),
    ("host:fe80::1.", "host:[redacted:ip]."),
    ("listening on 10.0.0.1:80", "listening on [redacted:ip]:80"),
    ("10.0.0.1/24", "[redacted:ip]/24"),
    ("/home/jane", "[redacted:home-path]"),
    ("No such file: '/home/jane/x y/z.txt'", "No such file: '[redacted:home-path]"),
    ("file:///home/jane/x", "file://[redacted:home-path]"),
    ("C:\\Users\\Jane Doe\\x.txt was", "[redacted:home-path] was"),
    ("https://u:p@h.example/x?y=1", "https://[redacted:url-credentials]@h.example/x?y=1"),
    ("https://u:p/w@d@h.example/x", "https://[redacted:url-credentials]@h.example/x"),
    ("password=hunter2 and more", "password=[redacted:password] and more"),
    ('{"password": "a b", "x": 1}', '{"password": "[redacted:password]", "x": 1}'),
    ("password='it\\'s one' x", "password='[redacted:password]' x"),
    ("passwords: ['a', 'b'] x", "passwords: [redacted:password] x"),
    ("<password>a b</password>", "<password>[redacted:password]</password>"),
    ("Cookie: a=1; b=2\nHost: x", "Cookie: [redacted:cookie]\nHost: x"),
    ("session=aB3dE5gH7jK9mN1pQ", "session=[redacted:cookie]"),
    ("Passwort: geheim12", "Passwort: [redacted:password]"),
    ("пароль=секрет", "пароль=[redacted:password]"),
    ("密码：x1", "密码：[redacted:password]"),
    ("api_key＝abc def", "api_key＝[redacted:key] def"),
    ("curl -u u:p https://x.example", "curl -u [redacted:credentials] https://x.example"),
    ("mysql -u root -phunter2 shop", "mysql -u root -p[redacted:password] shop"),
    ("pass=123456 fail=0", "pass=[redacted:password] fail=0"),
]


@pytest.mark.parametrize(("text", "expected"), EDGES)
def test_what_is_next_to_a_secret_stays(text: str, expected: str) -> None:
    """The rest of the text is still readable."""
    assert scrub(text) == expected


# What is none ----------------------------------------------------------------------------------


def test_what_is_no_secret_is_left_alone() -> None:
    """UUIDs, digests, versions, times, paths, prose in twelve languages: at most 2 % touched."""
    texts = list(corpora.benign())
    touched = [(text, scrub(text)) for text in texts if scrub(text) != text]
    assert len(texts) > 500
    assert len(touched) <= len(texts) * 0.02, touched


@pytest.mark.extended
def test_names_of_popular_libraries_are_left_alone() -> None:
    """An identifier is no secret, however long: at most one of 200 is touched."""
    for names in (corpora.identifiers(), sorted(set(corpora.installed_identifiers()))):
        touched = [name for name in names if scrub(name) != name]
        assert len(names) > 3_000
        assert len(touched) <= len(names) * 0.005, touched


@pytest.mark.parametrize("text", corpora.HARMLESS)
def test_a_text_that_looks_most_like_a_secret_stays(text: str) -> None:
    """Long names in camel case, versions of files, results of tests, options without a value."""
    assert scrub(text) == text
    assert convert_properties({"note": text}) == ({"note": text}, 0)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1.2.3",
            "v1.2.3.4",
            "==1.2.3.4",
            ">= 1.2.3.4",
            "1.2.3.4-rc1",
            "1.3.6.1.4.1.311",
            "1.2.3.4b1",
        ),
        *("12:30:45", "2026-11-21T12:30:45.123Z", "00:1a:2b:3c:4d:5e", "std::abc", "a::b", "::"),
        *("react@18.2.0", "pkg@1.0.dev3", "git@github.com:acme/x.git", "@scope/name", "a@b"),
        *("https://host:8080/@x", "ssh://git@github.com/acme/x", "https://h.example/home/page"),
        *("invalid token: unexpected end", "token=", "has_token=yes", "max_tokens=100"),
        *("key: value", "key=enter", "session=main", "Basic usage", "bearer of news"),
        *("AbstractSingletonProxyFactoryBean", "feature/ACME-1-AddLoginToTheHomePage"),
        *("sk-learn-contrib-packages", "pypi-simple-index-mirror", "./home/x", "~/.config/acme"),
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    """The nearest neighbours of each family."""
    assert scrub(text) == text


@pytest.mark.parametrize("value", [None, True, 7, 0.5, 2**60, -1])
def test_other_types_are_untouched(value: Any) -> None:
    """A number is a number; under a secret's name, yes and no are no secret."""
    given_ = {"status_code": value, "key": value, "x": [value]}
    if value is None or value is True:
        given_ |= {"password": value, "token": {"set": [value]}}
    assert convert_properties(given_) == (given_, 0)


@pytest.mark.parametrize("value", [12345678, 1234, 0, 0.5, -1, 2**62])
def test_a_number_under_a_secret_s_name_is_redacted(value: float) -> None:
    """A PIN is one, and so is all that is nested under such a name, whatever its own name."""
    given_ = {"pin": value, "password": {"code": value, "of": [value, [value]]}, "tries": value}
    pin, password = marker("password"), marker("password")
    nested = {"code": password, "of": [password, [password]]}
    assert convert_properties(given_) == ({"pin": pin, "password": nested, "tries": value}, 0)


# Laws ------------------------------------------------------------------------------------------

FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(
                "password=",
                "token: ",
                '"',
                "'",
                "\\",
                " ",
                "\n",
                "@",
                "://",
                ":",
                "=",
                "[",
                "]",
                ".",
            ),
            *(
                "ghp_",
                "sk-",
                "eyJ",
                "Bearer ",
                "/home/",
                "C:\\Users\\",
                "a@b.example",
                "::1",
                "%40",
            ),
            *(
                "10.0.0.1",
                "aB3dE5gH7jK9mN1pQ3sT5vW7",
                "[redacted:email]",
                "[redacted:x]",
                "--secret ",
            ),
            *(
                "-----BEGIN A-----",
                "AKIA",
                "0" * 40,
                "key=",
                "session=",
                "über",
                "<",
                ">",
                ",",
                "xoxb-",
            ),
        ]
    )
    | st.text(max_size=8),
    max_size=14,
).map("".join)


@pytest.mark.extended
@settings(max_examples=500)
@given(FRAGMENTS | ANY_TEXT)
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    """And it never raises, whatever the text."""
    scrubbed = scrub(text)
    assert scrub(scrubbed) == scrubbed


@pytest.mark.extended
def test_every_example_is_unchanged_by_a_second_scrubbing() -> None:
    """No marker is taken for something else, nor for a name."""
    assert [t for _, t, _ in corpora.examples() if scrub(scrub(t)) != scrub(t)] == []


@pytest.mark.extended
@given(st.dictionaries(FRAGMENTS, FRAGMENTS | st.lists(FRAGMENTS), max_size=5))
def test_properties_are_unchanged_by_a_second_scrubbing(properties: dict[str, Any]) -> None:
    """What waited in memory is the same when it is recorded."""
    kept, _ = convert_properties(properties)
    assert convert_properties(kept)[0] == kept


REPEATED = [
    *("a", "A1b", "a@", "@", "1.", "1:", "::", "eyJ", "sk-", "ghp_", "://", "://a@", "password="),
    *(
        "key=",
        "key: ",
        "--password ",
        "-----BEGIN A-----",
        "/home/a ",
        "C:\\Users\\",
        "\\\\users\\",
    ),
    *(
        "a%40",
        '"password":"',
        "'",
        "<password>",
        "a" * 60 + "\n",
        "aB3" * 20 + "\n",
        "Bearer ",
        "Basic ",
    ),
    *(
        "AKIA",
        "xox",
        "1.1.1.1 ",
        "a=",
        "M" * 23 + ".",
        "日本",
        "session=",
        "https://a:b@c ",
        "-",
        "re_",
    ),
    *("curl ", "curl -u ", "mysql -h ", "login -p ", "SIG=a", "sq0csp-", "sc_aaaaa.", "aB3a-"),
    *(
        "6ba7b810-9dad-11d1-",
        "pat.a",
        "123456789012345|",
        "密码：x ",
        "A3-ABCDEF-",
        "words_and_v2_",
    ),
]


def least_time(text: str, times: int) -> float:
    """Seconds of this thread alone: a neighbour's work is not ours."""
    found = []
    for _ in range(times):
        began = thread_time()
        scrub(text)
        found.append(thread_time() - began)
    return min(found)


@pytest.mark.sample(2)
@pytest.mark.parametrize("unit", [*REPEATED, None], ids=ascii)
def test_ten_times_the_text_takes_ten_times_the_time(unit: str | None) -> None:
    """No text makes a command wait: 30,000 characters within 12 times of 3,000."""
    prose = " ".join([*corpora.PROSE, *(text for _, text, _ in corpora.examples(each=1))])
    unit = prose if unit is None else unit
    hints = "@ :: :// password= ghp_ /home/ bearer eyj \\users -----begin . . . :aa q~ basic "
    short, long = ((hints + unit * (size // len(unit) + 1))[:size] for size in (3_000, 30_000))
    least_time(short, 1)  # what is compiled is compiled
    assert any(least_time(long, 1) <= 12 * least_time(short, 3) for _ in range(6))


# Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("password", ("password", True)),
        ("userPassword", ("password", True)),
        ("DB_PASS", ("password", True)),
        ("password_confirm", ("password", True)),
        ("DATABASE_PASSWORD_PROD", ("password", True)),
        ("password2", ("password", True)),
        ("пароль", ("password", True)),
        ("client_secret", ("secret", True)),
        ("accessToken", ("token", True)),
        ("X-Api-Key", ("key", True)),
        ("apikey", ("key", True)),
        ("APIKey", ("key", True)),
        ("AWS_SECRET_ACCESS_KEY", ("key", True)),
        ("Set-Cookie", ("cookie", True)),
        ("Proxy-Authorization", ("authorization", True)),
        ("db_credentials", ("credentials", True)),
        ("SENTRY_DSN", ("credentials", True)),
        ("key", ("key", False)),
        ("session", ("cookie", False)),
        ("auth", ("authorization", False)),
        ("oauth_state", ("token", False)),
        ("connection", ("credentials", False)),
        ("token_count", None),
        ("has_token", None),
        ("max_token", None),
        ("keyboard", None),
        ("author", None),
        ("secretary", None),
        ("monkey", None),
        ("access_key_id", None),
        ("token_type", None),
        ("region", None),
        ("", None),
        ("123", None),
    ],
)
def test_a_name_shows_whether_its_value_is_a_secret(
    name: str, expected: tuple[str, bool] | None
) -> None:
    """By its last word, in the spellings of shells, JSON and Python."""
    assert names_secret(name) == expected


def test_a_value_under_a_secret_s_name_is_taken_whatever_it_looks_like() -> None:
    """At any depth, in lists too, numbers too."""
    assert convert_properties(
        {
            "password": "hunter2",
            "token": ["one", {"note": "two"}, 3],
            "login": {"apiKey": "short", "user_name": "x", "pin": "1234", "tries": 2},
            "github_token": "0a" * 20,
            "commit": "0a" * 20,
            "key": "enter",
            "signature": "0a" * 20,
            "session": "aB3dE5gH7jK9mN1pQ",
            "secret": "",
        }
    ) == (
        {
            "password": "[redacted:password]",
            "token": ["[redacted:token]", {"note": "[redacted:token]"}, "[redacted:token]"],
            "login": {
                "apiKey": "[redacted:key]",
                "user_name": "x",
                "pin": "[redacted:password]",
                "tries": 2,
            },
            "github_token": "[redacted:token]",
            "commit": "0a" * 20,
            "key": "enter",
            "signature": "[redacted:authorization]",
            "session": "[redacted:cookie]",
            "secret": "",
        },
        0,
    )


def test_an_exact_form_takes_precedence_over_a_name() -> None:
    """A GitHub token under `token` is called one; a forged marker is a password."""
    github = "ghp" + "_" + "a1B2" * 9
    under_token, under_key = names_secret("token"), names_secret("api_key")
    assert scrub_value(github, under_token) == "[redacted:github-token]"
    assert scrub(f"token={github}") == "token=[redacted:github-token]"
    assert scrub_value("[redacted:hunter2]", under_token) == "[redacted:token]"
    assert scrub("token=[redacted:hunter2]") == "token=[redacted:token]"
    assert scrub_value("aB3dE5gH7jK9mN1pQ3sT5vW7", under_key) == "[redacted:key]"


# In events ---------------------------------------------------------------------------------------


def test_keys_are_scrubbed_too() -> None:
    """An address as a key is one as well; of two of them one is kept, the other counted."""
    kept, dropped = convert_properties({"jane@x.example": 1, "joe@x.example": 2, "plan": "pro"})
    assert (kept, dropped) == ({"[redacted:email]": 1, "plan": "pro"}, 1)
    nested, _ = convert_properties({"by": {"10.0.0.1": {"ghp" + "_" + "a1B2" * 9: [1]}}})
    assert nested == {"by": {"[redacted:ip]": {"[redacted:github-token]": [1]}}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Invoice Exported", "Invoice Exported"),
        ("Sent to jane@x.example", "Sent to [redacted:email]"),
        ("1.1.1.1 " * 10, None),
        ("1.1.1.1 " * 16, "[redacted:text]"),
        ("", None),
        (7, None),
    ],
)
def test_a_name_given_as_free_text_is_scrubbed(name: Any, expected: str | None) -> None:
    """An event's name is no way out; one that is too long afterwards is none."""
    assert sanitize_name(name) == expected


def test_long_texts_are_dropped_before_they_are_scrubbed() -> None:
    """Nothing is cut in the middle of a secret."""
    secret = "password=" + "x" * MAX_TEXT
    assert convert_properties({"a": secret, "b": "x"}) == ({"b": "x"}, 1)
    longest = "password=" + "x" * (MAX_TEXT - 9)
    assert convert_properties({"a": longest}) == ({"a": "password=[redacted:password]"}, 0)


def test_dates_ids_and_tags_stay_as_they_are() -> None:
    """No pattern matches them; under a secret's name they are the secret."""
    import datetime

    moment = datetime.datetime(2026, 11, 21, 12, 30, tzinfo=datetime.timezone.utc)
    given_ = {"at": moment, "id": uuid.UUID(int=7), "raw": b"x", "token": uuid.UUID(int=7)}
    assert convert_properties(given_)[0] == {
        "at": "2026-11-21T12:30:00+00:00",
        "id": str(uuid.UUID(int=7)),
        "raw": "[bytes]",
        "token": "[redacted:token]",
    }


PAIRS: list[tuple[Any, Any]] = [
    (["--password", "hunter2", "x"], ["--password", marker("password"), "x"]),
    (["--password=hunter2", "x"], ["--password=[redacted:password]", "x"]),
    (["acme", "--api-key", 1234, "-v"], ["acme", "--api-key", marker("key"), "-v"]),
    (("--key", "enter"), ["--key", "enter"]),
    (["--no-password", "x"], ["--no-password", "x"]),
    (["mysql", "-u", "root", "-phunter2"], ["mysql", "-u", "root", marker("password")]),
    (["/usr/bin/curl", "-u", "u:p", "x"], ["/usr/bin/curl", "-u", marker("credentials"), "x"]),
    (["sshpass", "-p", "x", "ssh"], ["sshpass", "-p", marker("password"), "ssh"]),
    (["docker", "login", "-p", "x"], ["docker", "login", "-p", marker("password")]),
    (["redis-cli", "-a", "x"], ["redis-cli", "-a", marker("password")]),
    (["serve", "-p", "8080"], ["serve", "-p", "8080"]),
    (["curl", "-u", "jane"], ["curl", "-u", "jane"]),
    ({"name": "DB_PASSWORD", "value": "x"}, {"name": "DB_PASSWORD", "value": marker("password")}),
    ({"Key": "apiKey", "Value": 7, "on": 1}, {"Key": "apiKey", "Value": marker("key"), "on": 1}),
    ({"variable": "TOKEN", "value": ["x"]}, {"variable": "TOKEN", "value": [marker("token")]}),
    ({"value": "x", "key": "password"}, {"value": marker("password"), "key": "password"}),
    ({"name": "REGION", "value": "eu"}, {"name": "REGION", "value": "eu"}),
    ({"name": "password", "type": "text"}, {"name": "password", "type": "text"}),
    ([("password", "x"), ("a", "b")], [["password", marker("password")], ["a", "b"]]),
    (["password", "email"], ["password", "email"]),
    ({"pass": 12, "fail": 0}, {"pass": 12, "fail": 0}),
    ({"pass": 12345678}, {"pass": marker("password")}),
    ({"password": {"key": 1, "set": True}}, {"password": {"key": marker("password"), "set": True}}),
]


@pytest.mark.parametrize(("given_", "expected"), PAIRS)
def test_a_secret_s_name_and_its_value_may_be_apart(given_: Any, expected: Any) -> None:
    """As arguments of a command, as an environment of a container, as a list of headers."""
    kept, dropped = convert_properties({"it": given_})
    assert (kept, dropped) == ({"it": expected}, 0)
    assert convert_properties(kept) == (kept, 0)


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            lambda name, value: {name: {"of": [value]}},
            lambda name, value: {"name": name, "value": value},
            lambda name, value: {"Key": name, "Value": {"of": value}},
            lambda name, value: [f"--{name}", value],
            lambda name, value: [f"--{name}={value}"],
            lambda name, value: [(name, value)],
            lambda name, value: f"{name}：{value}",
            lambda name, value: f"{name}＝{value}",
        ]
    ),
    st.sampled_from(["password", "DB_PASSWORD", "api_key", "clientSecret", "github-token"]),
    st.integers(10**9, 10**12),
    st.booleans(),
)
def test_no_form_of_a_pair_keeps_its_value(
    form: Any, name: str, number: int, is_text: bool
) -> None:
    """Whatever the value looks like, and whether it is a text or a number."""
    kept, _ = convert_properties({"it": form(name, str(number) if is_text else number)})
    assert remains(str(number), repr(kept)) == []


@pytest.mark.parametrize("version", range(1, 9))
def test_a_uuid_that_contains_a_machine_s_address_is_redacted(version: int) -> None:
    """Versions 1, 2 and 6 do; a random one, a digest and one with the time alone are IDs."""
    text = f"6ba7b810-9dad-{version}1d1-80b4-00c04fd430c8"
    expected = marker("uuid") if version in (1, 2, 6) else text
    assert scrub(text) == expected
    assert (
        scrub(f"urn:uuid:{text.upper()}.")
        == f"urn:uuid:{expected if version in (1, 2, 6) else text.upper()}."
    )
    assert convert_properties({"id": uuid.UUID(text)}) == ({"id": expected}, 0)


# More families ---------------------------------------------------------------------------------


def test_a_family_of_one_s_own_is_looked_for_too() -> None:
    """The table is open: a row is a name, a literal, a pattern."""
    acme = Rule("acme-ticket", ("ac-",), r"AC-[0-9]{4,}")
    assert scrub("see AC-12345", [acme]) == "see [redacted:acme-ticket]"
    assert scrub("AC-12345", [acme]) == "[redacted:acme-ticket]"
    assert scrub("see AC-12345") == "see AC-12345"


def test_a_family_that_never_comes_to_an_end_costs_the_text() -> None:
    """What one row writes and another one takes apart, again and again, is left out."""
    longer = Rule("longer", ("x",), "x+", lambda match: match[0] + "x")
    assert scrub("a x b", [longer]) == marker("text")


def test_a_text_of_many_secrets_is_replaced_as_a_whole() -> None:
    """A dump of an environment costs one marker, and no time."""
    assert scrub("password=x " * 10) == "password=[redacted:password] " * 10
    for secrets in ("password=x ", "a@b.example ", "1.1.1.1 ", "https://u:p@h "):
        assert scrub(secrets * 11) == marker("text")


def test_a_row_whose_hint_is_missing_is_not_even_compiled() -> None:
    """Most texts are words: they cost comparisons, no regular expression."""
    broken = Rule("broken", ("zzz",), "(")
    assert scrub("deployed to eu-west-1", [broken]) == "deployed to eu-west-1"
    with pytest.raises(re.error):
        scrub("zzz", [broken])
