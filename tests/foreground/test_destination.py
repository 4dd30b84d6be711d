"""A URL's origin: scheme, host and port and nothing else, and whether it is this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.privacy.origin import is_loopback_host, origin


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.segment.io", ("https://api.segment.io", False)),
        ("https://api.segment.io/", ("https://api.segment.io", False)),
        ("https://my-events.example.com", ("https://my-events.example.com", False)),
        ("https://Xample.com", ("https://Xample.com", False)),
        ("https://a:1", ("https://a:1", False)),
        ("https://a:65535", ("https://a:65535", False)),
        ("http://events.example.com", ("http://events.example.com", False)),
        ("http://127.0.0.1:80", ("http://127.0.0.1:80", True)),
        ("http://127.255.255.254", ("http://127.255.255.254", True)),
        ("http://localhost:4711/", ("http://localhost:4711", True)),
        ("http://LocalHost", ("http://LocalHost", True)),
        ("https://localhost", ("https://localhost", True)),
        ("http://[::1]:4711", ("http://[::1]:4711", True)),
        ("http://[::2]", ("http://[::2]", False)),
        ("http://127.0.0.1.example.com", ("http://127.0.0.1.example.com", False)),
        ("http://localhost.example.com", ("http://localhost.example.com", False)),
        ("http://127.0.0", ("http://127.0.0", False)),
        ("http://127.0.0.256", ("http://127.0.0.256", False)),
        ("http://128.0.0.1", ("http://128.0.0.1", False)),
        ("http://0.0.0.0", ("http://0.0.0.0", False)),
        ("http://127.0.0.1@events.example.com", None),
        ("http://events.example.com@127.0.0.1", None),
        ("http://127.0.0.1#@events.example.com", None),
        ("http://127.0.0.1\\@events.example.com", None),
        ("http://127.0.0.1/x", None),
        ("http://127.0.0.1//", None),
        ("http://127.0.0.1?x", None),
        ("http://127.0.0.1:", None),
        ("http://127.0.0.1:-1", None),
        ("http://127.0.0.1:+80", None),
        ("http://127.0.0.1:8_0", None),
        ("http://127.0.0.1:80:80", None),
        ("http://127.0.0.1:80\n", None),
        ("http://127.0.0.1\r\nX: y", None),
        ("http://127.0.0.1\0", None),
        ("http://127.0.0.\u0661", None),
        ("http://[::1", None),
        ("http://::1]", None),
        ("http://::1", None),
        ("http://[::1]x", None),
        ("http://[::1]:", None),
        ("http://[fe80::1%eth0]", None),
        ("http://[[::1]]", None),
        ("http://[.]", None),
        ("http://.", None),
        ("http://-", None),
        ("http://-a", None),
        ("http://a-.b", None),
        ("http://[g::1]", None),
        ("http://[::g]", None),
        ("http://[::1]]", None),
        ("http://[::1].a", None),
        ("http://a..b", None),
        ("http://", None),
        ("http:///", None),
        ("http:/127.0.0.1", None),
        ("HTTP://127.0.0.1", None),
        ("file://localhost", None),
        ("127.0.0.1:80", None),
        ("", None),
        (None, None),
        (b"http://127.0.0.1", None),
        (80, None),
    ],
)
def test_an_origin_is_scheme_host_and_port_and_nothing_else(
    url: object, found: tuple[str, bool] | None
) -> None:
    """A URL that hides a path, a user or a second host is none that events are sent to."""
    assert origin(url) == found


URL_PIECES = st.sampled_from(
    [
        "http",
        "https",
        "://",
        "/",
        ":",
        "@",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "localhost",
        ".",
        "9",
        "%",
    ]
)


@given(
    st.text(st.characters(exclude_categories=()))
    | st.lists(URL_PIECES | st.text(max_size=3), max_size=9).map("".join)
    | st.none()
    | st.integers()
    | st.binary()
)
def test_looking_at_an_origin_never_raises_and_finds_itself_again(url: object) -> None:
    """Whatever stands in a variable, the answer is an origin or none."""
    found = origin(url)
    if found is not None:
        assert origin(found[0]) == found
        assert isinstance(url, str)
        assert url in (found[0], found[0] + "/")


@given(st.lists(st.integers(0, 10**5), min_size=1, max_size=6).map(lambda n: ".".join(map(str, n))))
def test_only_addresses_in_127_are_loopback(host: str) -> None:
    """Loopback is decided by the address alone, as its registry has it (RFC 1122)."""
    numbers = [int(n) for n in host.split(".")]
    expected = len(numbers) == 4 and numbers[0] == 127 and all(n < 256 for n in numbers)
    assert is_loopback_host(host) is expected


def test_a_number_of_thousands_of_digits_is_an_answer_like_any_other() -> None:
    """Python refuses to read such a number; that is not my command's problem."""
    many = "1" * 10_000
    assert origin("http://127.0.0.1:" + many) is None
    assert origin(f"http://127.{many}.0.1") == (f"http://127.{many}.0.1", False)
    assert is_loopback_host(f"127.{many}.0.1") is False
