"""Where events go: origins, write keys, tokens, and the application's own functions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._foreground.destination import (
    MAX_TOKEN,
    ask,
    delay_of,
    is_loopback_host,
    is_token,
    origin,
)
from click_telemetry._recorder import Destination, find_destination

from ..harness.declared import acme, settings_of

HOST = "https://api.segment.io"


# Origins ------------------------------------------------------------------------------------------


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
    """No events are sent to a URL with a path, a user or a second host."""
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
def test_any_value_is_an_origin_or_none(url: object) -> None:
    """Whatever is in a variable, it does not raise."""
    found = origin(url)
    if found is not None:
        assert origin(found[0]) == found
        assert isinstance(url, str)
        assert url in (found[0], found[0] + "/")


@given(st.lists(st.integers(0, 10**5), min_size=1, max_size=6).map(lambda n: ".".join(map(str, n))))
def test_only_addresses_in_127_are_loopback(host: str) -> None:
    """As RFC 1122 defines loopback."""
    numbers = [int(n) for n in host.split(".")]
    expected = len(numbers) == 4 and numbers[0] == 127 and all(n < 256 for n in numbers)
    assert is_loopback_host(host) is expected


def test_number_of_thousands_of_digits_does_not_raise() -> None:
    """Python refuses to convert such a number."""
    many = "1" * 10_000
    assert origin("http://127.0.0.1:" + many) is None
    assert origin(f"http://127.{many}.0.1") == (f"http://127.{many}.0.1", False)
    assert is_loopback_host(f"127.{many}.0.1") is False


# Tokens -------------------------------------------------------------------------------------------

TOKENS = ["t", "ghp_16C7e42F", "eyJhbGciOiJIUzI1NiJ9.e30.-_~+/==", "x" * MAX_TOKEN]
NO_TOKENS = [
    *("", " ", "a b", "a\n", "\na", "a\r\nX: 1", "a\0", "\x1b[31m", "\x7f", "tök"),
    *("t\u043eken", "\udc80", "x" * (MAX_TOKEN + 1), None, True, 42, b"t", ["t"], object()),
]


@pytest.mark.parametrize("token", TOKENS)
def test_visible_ascii_is_a_token(token: str) -> None:
    """As servers issue them."""
    assert is_token(token)
    assert ask(lambda: token) == token


@pytest.mark.parametrize("value", NO_TOKENS)
def test_any_other_value_is_no_token(value: object) -> None:
    """Nothing could end a header, or begin another one."""
    assert not is_token(value)
    assert ask(lambda: value) is None


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, RecursionError, KeyError("token")])
def test_auth_that_raises_gives_no_token(error: type[BaseException]) -> None:
    """The command goes on."""

    def auth() -> str:
        raise error

    assert ask(auth) is None


def test_ctrl_c_in_auth_ends_the_command() -> None:
    """It is the person's."""

    def auth() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(auth)


def test_text_of_another_class_is_no_token() -> None:
    """Its own code would run when it is used."""

    class Odd(str):
        pass

    assert ask(lambda: Odd("t")) is None


# Destinations -------------------------------------------------------------------------------------


def fails() -> str:
    raise LookupError("no configuration yet")


LOOPBACK = "http://127.0.0.1:4712"
LOCAL = {"ACME_TELEMETRY_HOST": LOOPBACK}

DESTINATIONS: list[tuple[dict[str, str], dict[str, Any], tuple[str, str] | None]] = [
    ({}, {}, (HOST, "key")),
    ({}, {"write_key": None}, None),
    ({}, {"write_key": ""}, None),
    ({}, {"write_key": " "}, None),
    ({}, {"host": "https://a.example:8443/"}, ("https://a.example:8443", "key")),
    ({}, {"host": "http://127.0.0.1:4711"}, ("http://127.0.0.1:4711", "key")),
    # the key: from the environment only where the code gives none, and with a host on loopback
    ({"ACME_TELEMETRY_WRITE_KEY": "mine"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_WRITE_KEY": "mine"}, {"write_key": None}, None),
    ({**LOCAL, "ACME_TELEMETRY_WRITE_KEY": "mine"}, {"write_key": None}, (LOOPBACK, "mine")),
    ({**LOCAL, "ACME_TELEMETRY_WRITE_KEY": " mine\n"}, {"write_key": None}, (LOOPBACK, "mine")),
    ({"ACME_TELEMETRY_WRITE_KEY": ""}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": " "}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": "a\nb"}, {"write_key": None}, None),
    ({"ACME_TELEMETRY_WRITE_KEY": "a\udc80"}, {"write_key": None}, None),
    ({"OTHER_TELEMETRY_WRITE_KEY": "mine"}, {"write_key": None}, None),
    # the host: from the environment only on loopback
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1:1"}, {}, ("http://127.0.0.1:1", "key")),
    ({"ACME_TELEMETRY_HOST": "http://localhost"}, {}, ("http://localhost", "key")),
    ({"ACME_TELEMETRY_HOST": "http://[::1]:1/"}, {}, ("http://[::1]:1", "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1"}, {"host": fails}, ("http://127.0.0.1", "key")),
    ({"ACME_TELEMETRY_HOST": "https://b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1@b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1.b.example"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1/v1"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://0.0.0.0"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1:" + "9" * 5000}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": ""}, {}, (HOST, "key")),
    ({"OTHER_TELEMETRY_HOST": "http://127.0.0.1"}, {}, (HOST, "key")),
    ({"ACME_TELEMETRY_HOST": "http://127.0.0.1"}, {"write_key": None}, None),
    # a function that returns the host
    ({}, {"host": lambda: "https://a.example/"}, ("https://a.example", "key")),
    ({}, {"host": lambda: "http://localhost:1"}, ("http://localhost:1", "key")),
    ({}, {"host": fails}, None),
    ({}, {"host": lambda: None}, None),
    ({}, {"host": lambda: ""}, None),
    ({}, {"host": lambda: 42}, None),
    ({}, {"host": lambda: b"https://a.example"}, None),
    ({}, {"host": lambda: "http://a.example"}, None),
    ({}, {"host": lambda: "https://a.example/v1"}, None),
    ({}, {"host": lambda: "https://user@a.example"}, None),
    ({}, {"host": lambda needed: needed}, None),
    ({"ACME_TELEMETRY_HOST": "https://b.example"}, {"host": fails}, None),
]


def parts(found: Destination | None) -> tuple[str, str] | None:
    return None if found is None else (found.host, found.write_key)


@pytest.mark.parametrize(("environ", "options", "expected"), DESTINATIONS)
def test_events_go_where_the_code_names_or_to_this_machine(
    environ: dict[str, str], options: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    """No variable sends my events to another server."""
    found = find_destination(acme(**options), environ)
    assert parts(found) == expected
    assert found is None or found.token is None


def test_host_is_requested_once() -> None:
    """The answer may change meanwhile."""
    answers = iter(["https://a.example", "https://b.example"])
    found = find_destination(acme(host=lambda: next(answers)), {})
    assert parts(found) == ("https://a.example", "key")
    assert next(answers) == "https://b.example"


OWN = "https://events.example.com"
FOREIGN = {"ACME_TELEMETRY_HOST": "http://127.0.0.1:1", "ACME_TELEMETRY_WRITE_KEY": "mine"}

SIGNED_IN: list[tuple[dict[str, str], dict[str, Any], tuple[str, str, str | None] | None]] = [
    ({}, {"host": OWN, "auth": lambda: "t"}, (OWN, "", "t")),
    ({}, {"host": lambda: OWN, "auth": lambda: "t"}, (OWN, "", "t")),
    ({}, {"host": OWN, "auth": lambda: "t", "write_key": None}, (OWN, "", "t")),
    # Segment never gets a token, nor does a host from the environment.
    ({}, {"auth": lambda: "t"}, None),
    (FOREIGN, {"auth": lambda: "t"}, None),
    (FOREIGN, {"host": OWN, "auth": lambda: "t"}, (OWN, "", "t")),
    (FOREIGN, {"host": fails, "auth": lambda: "t"}, None),
    # Without a token an event goes under the key, where there is one.
    ({}, {"host": OWN, "auth": lambda: None}, (OWN, "key", None)),
    ({}, {"host": OWN, "auth": lambda: "a b"}, (OWN, "key", None)),
    ({}, {"host": OWN, "auth": fails}, (OWN, "key", None)),
    ({}, {"host": OWN, "auth": fails, "write_key": None}, None),
]


@pytest.mark.parametrize(("environ", "options", "expected"), SIGNED_IN)
def test_token_is_sent_to_the_host_in_the_code_alone(
    environ: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str, str, str | None] | None,
) -> None:
    """A foreign `.env` cannot get it."""
    found = find_destination(acme(**options), environ)
    assert expected == (found and (found.host, found.write_key, found.token))


def test_script_without_a_name_has_no_destination() -> None:
    """Two scripts called `cli` must not share an ID."""
    package = "__main__"
    environ = {"CLI_TELEMETRY_WRITE_KEY": "mine", "CLI_TELEMETRY_HOST": "http://127.0.0.1"}
    assert find_destination(settings_of(package, write_key="key"), environ) is None
    assert find_destination(settings_of(package, write_key="key"), {}) is None
    named = settings_of(package, write_key="key", app="cli")
    assert parts(find_destination(named, environ)) == ("http://127.0.0.1", "key")


# The sender's delay -------------------------------------------------------------------------------

DELAYS = [
    *(("0", 0), ("00", 0), ("1", 1), ("07", 7), ("60", 60)),
    *(("", 1), ("61", 1), ("100", 1), ("-1", 1), ("+2", 1), ("0.5", 1), ("1e1", 1), (" 2", 1)),
    *(("two", 1), ("\u0662", 1), ("\u00b2", 1), ("9" * 5000, 1), ("0; id", 1), ("\udc80", 1)),
]


@pytest.mark.parametrize(("given", "expected"), DELAYS)
def test_delay_is_a_whole_number_of_seconds_up_to_a_minute(given: str, expected: int) -> None:
    """Any other value is ignored."""
    assert delay_of(given, LOOPBACK, 1) == expected


@pytest.mark.parametrize(
    "host", [HOST, "https://127.0.0.1.b.example", "http://127.0.0.1@b.example"]
)
def test_delay_of_the_environment_counts_only_on_loopback(host: str) -> None:
    """An unrelated `.env` does not change how my events get out."""
    assert delay_of("0", host, 1) == 1
