"""The guesses behind the patterns: each boundary in a table."""

from __future__ import annotations

import pytest

from click_telemetry._scrub import detection, scrub


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", False),
        ("word", False),
        ("two-words_and.more", False),
        ("Title-Case", False),
        ("UPPER_CASE", False),
        ("2024", False),
        ("release-2024", False),
        ("v2", True),
        ("camelCase", True),
        ("McKay", True),
        ("a-b-c", False),
        ("a-b-é1", True),
    ],
)
def test_varied_is_more_than_words_and_numbers(text: str, expected: bool) -> None:
    """A prefix followed by words is an identifier, not a token."""
    assert detection.is_varied(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aB3dE5gH7jK9mN1pQ3sT5vW7", True),
        ("aBcDeFgHiJkLmNoPqRsTuVwX", True),  # no digit
        ("ab3de5gh7jk9mn1pq3st5vw7", False),  # one case
        ("AB3DE5GH7JK9MN1PQ3ST5VW7", False),
        ("AbstractSingletonProxyFactoryBean", False),
        ("abcdefghijklmA1bcdefghijklm2Bcdefghijklm3cd4", False),  # few changes
        ("aaaa1aaaa1aaaa1aaaA1aa1aaa", True),  # letters beside digits, often enough
        ("abcde1fghij2klmno3pqrst4uvwxA", True),
        ("aB/dE/gH/jK/mN/pQ/sT/vW", False),  # as many separators as a path
        ("aB3/E5gH7jK9+N1pQ3sT5vW7", True),
    ],
)
def test_random_is_mixed_as_base64_is(text: str, expected: bool) -> None:
    """Identifiers, digests, paths are none."""
    assert detection.is_random(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aB3dE5gH7jK9", True),
        ("aB3dE5gH7jK", False),  # short
        ("'aB3dE5gH7jK9'", True),
        ("aB3d E5gH7jK9", False),  # words
        ("0a" * 10, True),
        ("0a" * 9 + "0", False),
        ("abcdefabcdefabcdefabcdef", False),  # no digit: a word after all
        ("00000000-0000-4000-8000-000000000001", True),
        ("enter", False),
    ],
)
def test_high_entropy_is_long_and_random_or_hexadecimal(text: str, expected: bool) -> None:
    """What is taken under `key`, which may mean anything."""
    assert detection.is_secretive(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:2:3:4:5:6:7:8", True),
        ("fe80::1", True),
        ("2001:DB8::A:1", True),
        ("::1", True),
        ("1::", True),
        ("a::b:c", True),
        ("1:2:3:4:5:6:7::", True),
        ("::ffff:10.0.0.1", True),
        ("1:2:3:4:5:6:10.0.0.1", True),
        ("a::b", False),  # a scope
        ("::", False),
        ("1:2:3:4:5:6:7", False),
        ("1:2:3:4:5:6:7:8:9", False),
        ("1:2:3:4:5:6:7:8:", False),
        ("1::2::3", False),
        ("1:::2", False),
        ("1:2:3:4::5:6:7:8", False),
        ("12345::1", False),
        ("g::1", False),
        ("::1:10.0.0", False),
        ("::1:10.0.0.x", False),
        ("::1:1000.0.0.1", False),
        ("1:2:3:4:5:6:7:10.0.0.1", False),
        ("12:30:45", False),
    ],
)
def test_ipv6_is_what_rfc_4291_defines(text: str, expected: bool) -> None:
    """Times and scopes are none."""
    assert detection.is_ipv6(text) is expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("fe80::1", ("", "fe80::1", "")),
        (":fe80::1", (":", "fe80::1", "")),
        ("::1", ("", "::1", "")),
        ("fe80::1.", ("", "fe80::1", ".")),
        ("fe80::1:", ("", "fe80::1", ":")),
        ("fe80::", ("", "fe80::", "")),
        ("...", ("", "", "...")),
        (":.", (":", "", ".")),
    ],
)
def test_an_address_has_edges(text: str, parts: tuple[str, str, str]) -> None:
    """What belongs to the sentence stays."""
    assert detection.without_edges(text) == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # addresses
        ("256.1.1.1 1.1.1.256", "256.1.1.1 1.1.1.256"),
        ("0.0.0.0 255.255.255.255", "[redacted:ip] [redacted:ip]"),
        ("fe80::1x x_fe80::1", "fe80::1x x_fe80::1"),
        ("fe80::1.x", "[redacted:ip].x"),
        ("Chrome/131.0.0.0 host/10.1.0.0", "Chrome/131.0.0.0 host/[redacted:ip]"),
        # URLs
        ("https://a.b/c:d@e", "https://a.b/c:d@e"),
        ("https://a:80/@e", "https://a:80/@e"),
        ("https://u@h/@e", "https://[redacted:url-credentials]@e"),
        ("https://u:p@h", "https://[redacted:url-credentials]@h"),
        ("https://token@h", "https://[redacted:url-credentials]@h"),
        ("https://[redacted:x]p@h", "https://[redacted:url-credentials]@h"),
        # base64
        ("aB3dE5gH7jK9mN1=", "[redacted:base64]"),
        ("aB3dE5gH7jK9m1==", "[redacted:base64]"),
        ("aB3dE5gH7jK9mN1p=", "aB3dE5gH7jK9mN1p="),  # no multiple of four
        ("aB3dE5gH7jK9mN1=x", "aB3dE5gH7jK9mN1=x"),  # a name and a value
        ("configurationAB=", "configurationAB="),  # padded, but a word
        ("a" * 60 + "\naB", "a" * 60 + "\naB"),
        ("aB3dE5gH7j" * 6 + "\naB3\n", "[redacted:base64]\n"),
        # tokens
        ("eyJhbGciOiJub.", "[redacted:jwt]"),
        ("eyJhbGciOiJIUzI1NiIsInR5", "[redacted:jwt]"),
        ("eyJwordsandwords", "eyJwordsandwords"),
        ("eyJwordsandwords.more", "[redacted:jwt]"),
        ("bearer " + "a" * 32, "bearer [redacted:bearer-token]"),
        ("bearer " + "a" * 31, "bearer " + "a" * 31),
        # pairs
        ("a=1 password=", "a=1 password="),
        ("x=[redacted:ip] password=[redacted:email]", "x=[redacted:ip] password=[redacted:email]"),
        ("the password: expired", "the password: [redacted:password]"),
        ("token: expired", "token: expired"),
        ("token: aB3x", "token: [redacted:token]"),
        ("token: " + "a" * 20, "token: [redacted:token]"),
        ("token:expired", "token:[redacted:token]"),
        ("'token': 'expired'", "'token': '[redacted:token]'"),
        ("token=expired", "token=[redacted:token]"),
        ("authorization: abc", "authorization: [redacted:authorization]"),
        ('Cookie: "a b" c', 'Cookie: "[redacted:cookie]" c'),
        ("session=aB3dE5gH7jK9 x y", "session=[redacted:cookie] x y"),
        ("x>password>y", "x>password>y"),
        ("<password>y", "<password>[redacted:password]"),
        ("password, name", "password, name"),
        ("('password', 'a')", "('password', '[redacted:password]')"),
        ("['--password', 'a']", "['--password', '[redacted:password]']"),
        ("(--password), a", "(--password), [redacted:password]"),
        ("the password is a", "the password is a"),
        ("--password a", "--password [redacted:password]"),
        ('password=""', 'password=""'),
        ('password="a', 'password="[redacted:password]'),
        ("IAdZPB6ZzGF27uQcCuARPw=x", "IAdZPB6ZzGF27uQcCuARPw=x"),
        ("p" * 80 + "_token=a", "p" * 80 + "_token=[redacted:token]"),
    ],
)
def test_boundaries_of_the_patterns(text: str, expected: str) -> None:
    """The last that is taken, and the first that is not."""
    assert scrub(text) == expected
