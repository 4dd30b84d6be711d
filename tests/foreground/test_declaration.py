"""What an application declares: an error is raised at import, and its message names the fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry import Event, flow
from click_telemetry._foreground import declaration
from click_telemetry._foreground.options import (
    OPTIONS,
    DeclarationError,
    unknown_option,
    variable_prefix,
)
from click_telemetry._instrument import KEY, instrument
from click_telemetry._recorder import DEFAULT_HOST, Settings, head_of, settings_of
from click_telemetry.testing import RecordingClient

from ..harness import facts
from ..harness.declared import settings_of as declare


def message_of(**options: Any) -> str:
    """The message of the error that a declaration raises."""
    with pytest.raises(DeclarationError) as caught:
        declare(**options)
    return str(caught.value)


def test_error_is_a_type_error_and_a_value_error() -> None:
    """A caller may catch either."""
    with pytest.raises(TypeError):
        declare(app="")
    with pytest.raises(ValueError, match="app"):
        declare(app="")


def test_defaults_are_the_documented_ones() -> None:
    """As in the documented table of options."""
    settings = declare()
    assert {name: getattr(settings, name) for name in OPTIONS} == {
        "app": "acme",
        "version": None,
        "write_key": None,
        "host": "https://api.segment.io",
        "destination": None,
        "sample": None,
        "client": None,
        "consent": "opt-out",
        "notice": True,
        "notice_url": None,
        "ci": "off",
        "properties": {},
        "auth": None,
        "packages": (),
        "delivery": "detached",
        "flush_timeout": 1.0,
        "no_telemetry_option": True,
        "events": None,
    }
    assert settings.command_events == "all"


class PlanChanged(Event):
    """An event with a class of its own."""


CREATE = flow("Application Create")

GOOD: list[tuple[str, Any, Any]] = [
    ("app", "acme", "acme"),
    ("app", "acme-cli", "acme-cli"),
    ("app", "Acme_2.0", "Acme_2.0"),
    ("app", "7zip", "7zip"),
    ("app", "console", "console"),
    ("app", "com10", "com10"),
    ("app", "a" * 64, "a" * 64),
    ("version", None, None),
    ("version", "2.1.0", "2.1.0"),
    ("version", "2.1.0 β", "2.1.0 β"),
    ("version", "2" * 128, "2" * 128),
    ("write_key", None, None),
    ("write_key", "", None),
    ("write_key", "  ", None),
    ("write_key", " key ", "key"),
    ("write_key", "key", "key"),
    ("host", None, DEFAULT_HOST),
    ("host", "https://events.example.com", "https://events.example.com"),
    ("host", "https://events.example.com/", "https://events.example.com"),
    ("host", "https://events.example.com:8443", "https://events.example.com:8443"),
    ("host", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ("host", "http://127.0.0.1:4711", "http://127.0.0.1:4711"),
    ("host", "http://localhost", "http://localhost"),
    ("host", "http://[::1]:80", "http://[::1]:80"),
    ("consent", "opt-out", "opt-out"),
    ("consent", "opt-in", "opt-in"),
    ("notice", True, True),
    ("notice", False, False),
    ("notice", "We count commands.", "We count commands."),
    ("notice_url", None, None),
    ("notice_url", "https://acme.example", "https://acme.example"),
    ("notice_url", "https://acme.example/", "https://acme.example/"),
    ("notice_url", "https://a-b.example:8443/x/y?z=1#t", "https://a-b.example:8443/x/y?z=1#t"),
    ("notice_url", "https://acme.example?page=2", "https://acme.example?page=2"),
    ("notice_url", "https://acme.example#privacy", "https://acme.example#privacy"),
    ("ci", "off", "off"),
    ("ci", "label", "label"),
    ("properties", None, {}),
    ("properties", {"team": "factory"}, {"team": "factory"}),
    ("auth", None, None),
    ("packages", ["requests", "boto3.exceptions"], ("requests", "boto3.exceptions")),
    ("packages", ("requests",), ("requests",)),
    ("packages", {"requests"}, ("requests",)),
    ("packages", [], ()),
    ("delivery", "detached", "detached"),
    ("delivery", "inline", "inline"),
    ("flush_timeout", 5, 5.0),
    ("flush_timeout", 0.001, 0.001),
    ("sample", None, None),
    ("sample", 1, None),
    ("sample", 0.1, 0.1),
    ("no_telemetry_option", True, True),
    ("no_telemetry_option", False, False),
    ("no_telemetry_option", "hidden", "hidden"),
    ("events", None, None),
    ("events", "all", None),
    ("events", "completed", None),
    ("events", ("completed",), None),
    ("events", (), ()),
    ("events", ["Invoice Exported"], ("Invoice Exported",)),
    ("events", ("completed", "Invoice Exported"), ("Invoice Exported",)),
    ("events", (PlanChanged, CREATE), (PlanChanged, CREATE)),
]


@pytest.mark.parametrize(("option", "value", "kept"), GOOD)
def test_every_documented_value_is_accepted(option: str, value: Any, kept: Any) -> None:
    """As in the documented table of options."""
    found = getattr(declare(**{option: value}), option)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("events", "recorded"),
    [
        ("all", "all"),
        ("completed", "completed"),
        (("completed",), "completed"),
        (("Invoice Exported", "completed"), "completed"),
        (("Invoice Exported",), "all"),
    ],
)
def test_which_events_of_a_command_are_recorded_is_declared_with_the_others(
    events: Any, recorded: str
) -> None:
    """`"completed"` stands alone or among the declarations."""
    assert declare(events=events).command_events == recorded


class Whole:
    """Everything that a client must have."""

    def record(self, message: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class WithoutClose:
    def record(self, message: dict[str, Any]) -> None: ...


class WithoutRecord:
    def close(self) -> None: ...


class Broken(Mapping[str, Any]):
    """A mapping whose own code fails."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


BAD: list[tuple[str, Any, str]] = [
    *(("sample", rate, "write sample=0.1") for rate in (0, -0.1, 1.1, "0.1", True, 10)),
    ("destination", "segment", 'Webhook("https://events.example.com/acme")'),
    # app: directories and variables are named after it (row 89)
    ("app", "", "is empty"),
    ("app", "../x", "such as app='x'"),
    ("app", "/x", "such as app='x'"),
    ("app", "a/b", "such as app='a-b'"),
    ("app", "a\\b", "such as app='a-b'"),
    ("app", "a\0b", "such as app='a-b'"),
    ("app", "a b", "such as app='a-b'"),
    ("app", "a\n", "such as app='a'"),
    ("app", ".ssh", "such as app='ssh'"),
    ("app", ".", "such as app='app'"),
    ("app", "..", "such as app='app'"),
    ("app", "_acme", "such as app='acme'"),
    ("app", "-acme", "such as app='acme'"),
    ("app", "acme.", "such as app='acme'"),
    ("app", "café", "such as app='caf'"),
    ("app", "a" * 65, "longer than 64 characters"),
    ("app", "CON", "reserved on Windows"),
    ("app", "con.txt", "reserved on Windows"),
    ("app", "nul", "reserved on Windows"),
    ("app", "prn", "reserved on Windows"),
    ("app", "Aux.x", "reserved on Windows"),
    ("app", "LPT1", "reserved on Windows"),
    ("app", "com9.tar.gz", "reserved on Windows"),
    ("app", 42, 'app="acme"'),
    ("app", b"acme", 'app="acme"'),
    ("app", Path("acme"), 'app="acme"'),
    ("app", False, 'app="acme"'),
    ("version", 2.1, 'version="…"'),
    ("version", (2, 1), 'version="…"'),
    ("version", b"2.1", 'version="…"'),
    ("version", "2.1\n", "strip()"),
    ("version", "2\x1b[1m", "unprintable"),
    ("version", "2" * 129, "128 characters"),
    ("write_key", 42, 'write_key="…"'),
    ("write_key", b"key", 'write_key="…"'),
    ("write_key", "key\n", "strip()"),
    ("write_key", "a\0b", "unprintable"),
    ("host", "http://events.example.com", 'host="https://events.example.com"'),
    ("host", "events.example.com", 'host="https://events.example.com"'),
    ("host", "//events.example.com", 'host="https://events.example.com"'),
    ("host", "ftp://events.example.com", 'host="https://events.example.com"'),
    ("host", "https://events.example.com/v1", "without a path"),
    ("host", "https://events.example.com?key=1", "without a path"),
    ("host", "https://events.example.com#top", "without a path"),
    ("host", "https://jane:secret@events.example.com", "not an https origin"),
    ("host", "https://events.example.com:", "not an https origin"),
    ("host", "https://events.example.com:0", "not an https origin"),
    ("host", "https://events.example.com:65536", "not an https origin"),
    ("host", "https://events.example.com:https", "not an https origin"),
    ("host", "https://events.example.com:" + "9" * 5000, "not an https origin"),
    ("host", "https://:443", "not an https origin"),
    ("host", "https://[::1", "not an https origin"),
    ("host", "https://[]", "not an https origin"),
    ("host", "https://[::1]443", "not an https origin"),
    ("host", "https://", "not an https origin"),
    ("host", "", "not an https origin"),
    ("host", "https://bücher.example", "not an https origin"),
    ("host", " https://events.example.com", "not an https origin"),
    ("host", 42, "not an https origin"),
    ("host", b"https://events.example.com", "not an https origin"),
    ("host", ["https://events.example.com"], "not an https origin"),
    ("client", RecordingClient, "a class; pass an instance"),
    ("client", Whole, "a class; pass an instance"),
    ("client", object(), "without record()"),
    ("client", WithoutRecord(), "without record()"),
    ("client", WithoutClose(), "without close()"),
    ("client", "segment", "record(message) and close()"),
    ("consent", "yes", "'opt-out', 'opt-in'"),
    ("consent", True, "'opt-out', 'opt-in'"),
    ("consent", None, "'opt-out', 'opt-in'"),
    ("consent", ["opt-in"], "'opt-out', 'opt-in'"),
    ("notice", "", "notice=False"),
    ("notice", "  \n", "notice=False"),
    ("notice", None, "notice=False"),
    ("notice", 0, "notice=False"),
    ("notice", b"text", "notice=False"),
    *(
        ("notice_url", url, 'notice_url="https://acme.example/telemetry"')
        for url in (
            *(
                "",
                "https://",
                "https:///telemetry",
                "http://acme.example",
                "acme.example/telemetry",
            ),
            *("https://acme.example/a b", "https://acme.example/\x1b[1m", "https://acme.example\n"),
            *("https://jane:secret@acme.example", "https://acme..example", "https://-.example/"),
            *(
                "https://bücher.example",
                "https://acme.example/ü",
                "https://acme.example/" + "a" * 180,
            ),
            *("HTTPS://acme.example", " https://acme.example", "javascript:alert(1)"),
            *(42, True, b"https://acme.example", ["https://acme.example"]),
        )
    ),
    ("ci", True, "'off', 'label'"),
    ("ci", "on", "'off', 'label'"),
    ("ci", None, "'off', 'label'"),
    ("properties", [("team", "factory")], 'properties={"team": "factory"}'),
    ("properties", "team", 'properties={"team": "factory"}'),
    ("properties", dict, 'properties={"team": "factory"}'),
    ("properties", Broken(), 'properties={"team": "factory"}'),
    ("properties", {1: "factory"}, "every key must be a non-empty string"),
    ("properties", {"": "factory"}, "every key must be a non-empty string"),
    ("properties", {"os": "plan9"}, "rename it, for example to 'app_os'"),
    ("properties", {"sequence": 7}, "rename it, for example to 'app_sequence'"),
    ("auth", "token", "auth=lambda: …"),
    ("auth", True, "auth=lambda: …"),
    ("packages", "requests", '["acme_plugins"]'),
    ("packages", ["requests", 1], '["acme_plugins"]'),
    ("packages", ["requests", ""], '["acme_plugins"]'),
    ("packages", None, '["acme_plugins"]'),
    ("packages", {"requests": 1}, '["acme_plugins"]'),
    ("delivery", "now", "'detached', 'inline'"),
    ("delivery", None, "'detached', 'inline'"),
    ("flush_timeout", 0, "more than 0 and at most 5"),
    ("flush_timeout", -1, "more than 0 and at most 5"),
    ("flush_timeout", 5.1, "more than 0 and at most 5"),
    ("flush_timeout", 10**400, "more than 0 and at most 5"),
    ("flush_timeout", float("nan"), "more than 0 and at most 5"),
    ("flush_timeout", True, "more than 0 and at most 5"),
    ("flush_timeout", "0.5", "more than 0 and at most 5"),
    ("flush_timeout", None, "more than 0 and at most 5"),
    ("no_telemetry_option", None, 'True, "hidden" or False'),
    ("no_telemetry_option", "shown", 'True, "hidden" or False'),
    ("no_telemetry_option", 1, 'True, "hidden" or False'),
    ("events", "Completed", 'events=(PlanChanged, "Invoice Exported")'),
    ("events", PlanChanged, 'events=(PlanChanged, "Invoice Exported")'),
    ("events", 7, 'events=(PlanChanged, "Invoice Exported")'),
    ("events", (7,), "a class of Event, a flow, or an event's name"),
    ("events", (Event,), "a class of Event, a flow, or an event's name"),
    ("events", (Whole(),), "a class of Event, a flow, or an event's name"),
    ("events", ("invoice_exported",), "write 'Invoice Exported'"),
    ("events", ("Command Invoked",), "is recorded of each command: remove it"),
]


@pytest.mark.parametrize(("option", "value", "fix"), BAD)
def test_message_of_an_error_names_the_option_and_the_fix(
    option: str, value: Any, fix: str
) -> None:
    """At import, not while a command runs."""
    message = message_of(**{option: value})
    assert option in message
    assert fix in message


def test_every_option_is_validated() -> None:
    """Each one refuses a value."""
    assert {option for option, _, _ in BAD} == set(OPTIONS)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("writekey", "write_key"),
        ("write-key", "write_key"),
        ("App", "app"),
        ("error_packages", "packages"),
        ("no_telemetry", "no_telemetry_option"),
        ("flush_timout", "flush_timeout"),
    ],
)
def test_misspelt_option_raises_and_names_the_nearest_one(written: str, meant: str) -> None:
    """No typing error is ignored."""
    assert f"did you mean {meant!r}?" in message_of(**{written: "x"})


def test_unknown_option_raises_and_names_all() -> None:
    """Where no name is near."""
    message = message_of(colour="red")
    assert "unknown telemetry option 'colour'; the options are " in message
    assert all(name in message for name in OPTIONS)
    assert unknown_option(42).startswith("unknown telemetry option 42; the options are app, ")


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_error_for_any_name_proposes_a_usable_one(text: str) -> None:
    """It can be used as it is."""
    try:
        settings = declare(app=text)
    except DeclarationError as error:
        proposed = re.search(r"such as app='([^']+)'$", str(error))
        assert proposed is not None
        text = proposed[1]
        settings = declare(app=text)
    assert (settings.app, settings.app_known) == (text, True)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text)


@pytest.mark.parametrize(
    ("package", "fallback", "app", "known"),
    [
        ("acme", "", "acme", True),
        ("acme_cli", "cli", "acme_cli", True),
        ("_acme", "", "acme", True),
        ("con", "", "app", True),
        ("__main__", "cli", "cli", False),
        ("__main__", "my tool", "my-tool", False),
        ("__main__", "../x", "x", False),
        ("__main__", "CON", "app", False),
        ("__main__", "ünïcode", "n-code", False),
        ("__main__", "é", "app", False),
        ("__main__", "a" * 100, "a" * 64, False),
        ("__main__", "", "app", False),
        ("", "cli", "tests", True),  # a group without a callback: of the code that declares it
        ("", "", "tests", True),
        ("acme.web", "", "acme", True),
    ],
)
def test_name_that_is_not_declared_is_derived(
    package: str, fallback: str, app: str, known: bool
) -> None:
    """From the callback's package; a script has no name that may send."""
    settings = declare(package, fallback)
    assert (settings.app, settings.app_known) == (app, known)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_deriving_a_name_never_raises(package: str, fallback: str) -> None:
    """A name that the application did not write is not its error."""
    found = declare(package, fallback).app
    assert declare(app=found).app == found


@pytest.mark.parametrize(
    ("app", "prefix"),
    [
        ("acme", "ACME"),
        ("acme-cli", "ACME_CLI"),
        ("acme_cli", "ACME_CLI"),
        ("acme.cli", "ACME_CLI"),
        ("acme--cli", "ACME_CLI"),
        ("acme-_.cli", "ACME_CLI"),
        ("acmeCli", "ACMECLI"),
        ("Acme", "ACME"),
        ("acme2", "ACME2"),
        ("a-b-c", "A_B_C"),
        ("7zip", "7ZIP"),
    ],
)
def test_variables_are_named_after_the_application(app: str, prefix: str) -> None:
    """`acme-cli` has `ACME_CLI_NO_TELEMETRY`: each run of other characters is one `_`."""
    assert variable_prefix(app) == prefix
    assert declare(app=app).prefix == prefix


@pytest.mark.extended
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9]", fullmatch=True))
def test_prefix_follows_its_rule(app: str) -> None:
    """Capitals, and one underscore for each run of other characters."""
    assert variable_prefix(app) == re.sub(r"[^A-Z0-9]+", "_", app.upper())


class RunsCode:
    """A module whose `__version__` runs code, as `importlib.metadata` recipes do."""

    @property
    def __version__(self) -> str:
        raise DeprecationWarning("use importlib.metadata")


def version_of(settings: Settings) -> Any:
    """The version that is recorded."""
    return head_of(settings, {}, facts.ANONYMOUS)["version"]


@pytest.mark.parametrize(
    ("module", "version"),
    [
        (type("Module", (), {"__version__": "3.2.1"}), "3.2.1"),
        (type("Module", (), {"__version__": (3, 2, 1)}), None),
        (type("Module", (), {"__version__": None}), None),
        (type("Module", (), {"__version__": "3" * 128}), "3" * 128),
        (type("Module", (), {"__version__": "3" * 129}), None),
        (type("Module", (), {}), None),
        (RunsCode(), None),
        (None, None),
    ],
)
def test_version_that_is_not_declared_is_the_packages_own(
    module: Any, version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package without one has none, and no code of it runs."""
    monkeypatch.setitem(sys.modules, "acme_with_a_version", module)
    assert version_of(declare("acme_with_a_version")) == version
    assert version_of(declare("acme_with_a_version", version="9")) == "9"


def test_package_that_is_not_loaded_has_no_version() -> None:
    """Nothing is imported to find one."""
    assert version_of(declare("acme_that_is_not_installed")) is None


def test_properties_are_copied() -> None:
    """A later change of the dictionary changes nothing."""
    given_: dict[str, Any] = {"team": "factory"}
    settings = declare(properties=given_)
    given_["os"] = "plan9"
    assert settings.properties == {"team": "factory"}


def test_functions_are_not_called_at_import() -> None:
    """Neither for a token, nor for a host or a property."""

    def never() -> Any:
        raise AssertionError("called at import")

    settings = declare(auth=never, host=never, properties={"team": never})
    assert (settings.auth, settings.host) == (never, never)


def test_client_of_any_class_is_accepted() -> None:
    """It has `record` and `close`; no class of ours is needed."""
    client = Whole()
    assert declare(client=client).client is client


def test_messages_of_errors_never_contain_a_write_key() -> None:
    """They end up in logs."""
    assert "sk_4711" not in message_of(write_key="sk_4711\n")


def test_second_declaration_keeps_what_it_does_not_change() -> None:
    """A class may instrument itself, and a decorator add to it."""
    command = click.Command("cli")
    instrument(command, app="acme", version="1", write_key="key")
    instrument(command, version="1", consent="opt-in")
    settings = command.__dict__[KEY].settings
    assert (settings.app, settings.version, settings.write_key) == ("acme", "1", "key")
    assert settings.consent == "opt-in"


@pytest.mark.parametrize(
    ("option", "first", "second", "shown"),
    [
        ("app", "acme", "beta", "('acme' and 'beta')"),
        ("version", "1", "2", "('1' and '2')"),
        ("consent", "opt-in", "opt-out", "('opt-in' and 'opt-out')"),
        ("notice", True, False, "(True and False)"),
        ("flush_timeout", 1.0, 2.0, "(1.0 and 2.0)"),
        ("write_key", "sk_1", "sk_2", "with two values: declare it once"),
    ],
)
def test_second_declaration_that_contradicts_the_first_is_an_error(
    option: str, first: Any, second: Any, shown: str
) -> None:
    """One of two decorators would be without effect; no key is printed."""
    command = instrument(click.Command("cli"), **{option: first})
    with pytest.raises(DeclarationError, match=f"^{option} is declared twice") as caught:
        instrument(command, **{option: second})
    assert shown in str(caught.value)
    assert "sk_" not in str(caught.value)


def test_test_with_a_client_declares_anew() -> None:
    """A test of mine tries another consent and its own client on the real application."""
    command = instrument(click.Command("cli"), app="acme", consent="opt-in")
    instrument(command, app="beta", consent="opt-out", client=RecordingClient())
    instrument(command, client=RecordingClient())
    settings = command.__dict__[KEY].settings
    assert (settings.app, settings.consent) == ("beta", "opt-out")


def test_code_that_declares_again_when_it_runs_again_is_no_contradiction() -> None:
    """Each call of my `main` makes a function, a mapping and a list of its own."""
    command = click.Command("cli")
    for _ in range(2):
        instrument(
            command,
            app="acme",
            auth=lambda: None,
            properties={"team": lambda: "x"},
            packages=["acme_db"],
            write_key=None,
        )


TEXTS = st.text(st.characters(exclude_categories=()), max_size=70) | st.from_regex(
    r"[A-Za-z0-9 .]{1,66}", fullmatch=True
)


ADDRESSES = st.from_regex(
    r"https://[a-z0-9.]{0,9}[A-Za-z0-9./:?#@ \n\u00fc-]{0,60}", fullmatch=True
)


@pytest.mark.extended
@given(TEXTS, *[st.none() | TEXTS] * 2, *[st.none() | TEXTS | ADDRESSES] * 2)
def test_plain_declaration_is_what_the_full_rule_makes_of_it(
    app: str, version: str | None, write_key: str | None, host: str | None, url: str | None
) -> None:
    """The fast path accepts nothing that the full rule refuses or changes."""
    texts = {
        "app": app,
        "version": version,
        "write_key": write_key,
        "host": host,
        "notice_url": url,
    }
    options = {name: text for name, text in texts.items() if text is not None}

    def callback() -> None: ...

    callback.__module__ = "acme_cli.main"
    plain, full = (click.Command("cli", callback=callback) for _ in range(2))
    messages = []
    for declared in (
        lambda: declaration.declare(full, options),
        lambda: instrument(plain, **options),
    ):
        try:
            declared()
        except DeclarationError as error:
            messages.append(str(error))
    if messages:
        assert messages == messages[:1] * 2
        return
    scope: Any = SimpleNamespace(state=plain.__dict__[KEY], root=SimpleNamespace(command=plain))
    found, expected = settings_of(scope), full.__dict__[KEY].settings
    for name in (*OPTIONS, "app_known", "package", "prefix", "declared"):
        assert getattr(found, name) == getattr(expected, name), name
    assert plain.__dict__[KEY].prefix == full.__dict__[KEY].prefix
    assert plain.__dict__[KEY].flag == full.__dict__[KEY].flag
