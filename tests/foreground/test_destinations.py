"""What an application declares as `destination=`, and what that costs a command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

import click_telemetry
from click_telemetry import destinations
from click_telemetry._foreground.destination import delay_of
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._instrument import KEY, instrument
from click_telemetry._recorder import Destination, find_destination, settings_of
from click_telemetry._sender.transports import transport_class
from click_telemetry.destinations import (
    Custom,
    DeclaredDestination,
    File,
    OpenTelemetry,
    PostHog,
    Segment,
    Webhook,
)

from ..benchmarks.applications import BARE
from ..harness.declared import settings_of as declare
from ..harness.processes import Cli
from ..harness.senders import due_now, is_alive, wait_until

URL = "https://events.example.com/acme"
LOOPBACK = "http://127.0.0.1:4712"
LOCAL = {"ACME_TELEMETRY_HOST": LOOPBACK}


def found(declared: DeclaredDestination, environ: dict[str, str] | None = None, **more: Any) -> Any:
    """Where the events of an application with this destination go."""
    return find_destination(declare(app="acme", destination=declared, **more), environ or {})


# Declarations -------------------------------------------------------------------------------------

BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: Segment(""), "write_key"),
    (lambda: Segment("a\nb"), "write_key"),
    (lambda: File("events.jsonl"), 'File("~/'),
    (lambda: File("~"), 'File("~/'),
    (lambda: File("/var/log/"), "a file's name"),
    (lambda: File("/var/a\nb"), "the path of a file"),
    (lambda: File("/a", max_bytes=10), "at least 65536"),
    (lambda: File("/a", keep=-1), "at least 0"),
    (lambda: File("/a", keep=True), "at least 0"),
    (lambda: Webhook("http://events.example.com/"), "https URL"),
    (lambda: Webhook("https://"), "https URL"),
    (lambda: Webhook("https://user@events.example.com/"), "https URL"),
    (lambda: Webhook("https://events.example.com/#a"), "https URL"),
    (lambda: Webhook("https://events.example.com/a b"), "https URL"),
    (lambda: Webhook("https://events.example.com/\r\nX: y"), "https URL"),
    (lambda: Webhook("https://events..example/"), "https URL"),
    (lambda: Webhook(42), "https URL"),  # type: ignore[arg-type]
    (lambda: Webhook(URL, {"X Key": "a"}), "X-Api-Key"),
    (lambda: Webhook(URL, {"Host": "a"}), "X-Api-Key"),
    (lambda: Webhook(URL, {"X-Key": "a\r\nB: c"}), "printable ASCII"),
    (lambda: Webhook(URL, {"X-Key": "x" * 9000}), "send fewer"),
    (lambda: Webhook(URL, secret=" "), "secret"),
    (lambda: Webhook(URL, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjQ"), "not base64"),
    (lambda: Webhook(URL, secret="whsec_!!!!"), "not base64"),
    (lambda: Webhook(URL, secret="whsec_A==="), "not base64"),
    (lambda: Webhook(URL, secret="whsec_"), "not base64"),
    (lambda: PostHog(""), "api_key"),
    (lambda: PostHog("k", "https://eu.i.posthog.com/batch"), 'host="https://eu.i.posthog.com"'),
    (lambda: PostHog("k", "eu.i.posthog.com"), 'PostHog("phc_YOUR_KEY", "https://'),
    (lambda: PostHog("k", "https://eu.posthog.com"), 'host="https://eu.i.posthog.com"'),
    (lambda: PostHog("k", "https://app.posthog.com/"), 'host="https://us.i.posthog.com"'),
    (lambda: OpenTelemetry("grpc://otel:4317"), "https URL"),
    (lambda: OpenTelemetry("https://otel.example.com", {"a\n": "b"}), "X-Api-Key"),
    (lambda: Custom("acme.telemetry"), 'Custom("acme.telemetry:Transport")'),
    (lambda: Custom("__main__:Transport"), "move the class to a module"),
    (lambda: Custom("acme.telemetry:"), "Custom"),
    (lambda: Custom("acme.telemetry:T", {"a": object()}), "JSON values"),
    (lambda: Custom("acme.telemetry:T", {"a": "x" * 9000}), "longer than"),
]


@pytest.mark.parametrize(("make", "fix"), BAD)
def test_mistake_raises_where_the_destination_is_made(make: Callable[[], object], fix: str) -> None:
    """The message names the fix."""
    with pytest.raises(DeclarationError) as caught:
        make()
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"write_key": "key"}, "write_key cannot be combined with destination=Webhook(…)"),
        ({"host": "https://a.example"}, "remove it, or write destination=Segment("),
        ({"write_key": "key", "host": "https://a.example"}, "remove them"),
    ],
)
def test_destination_stands_alone(options: dict[str, Any], fix: str) -> None:
    """Two places for events would hide one of them."""
    with pytest.raises(DeclarationError) as caught:
        declare(app="acme", destination=Webhook(URL), **options)
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    "made",
    [PostHog("k"), OpenTelemetry("https://otel.example.com"), File("/a"), Custom("acme.t:T")],
)
def test_auth_needs_a_destination_that_takes_tokens(made: DeclaredDestination) -> None:
    """A token of a user is of no use elsewhere."""
    with pytest.raises(DeclarationError, match=r"remove auth, or use Segment\(…\) or Webhook\(…\)"):
        declare(app="acme", destination=made, auth=lambda: "t")


@pytest.mark.parametrize("value", [Webhook, "segment", object(), {}])
def test_destination_is_an_object_of_the_module(value: object) -> None:
    """Neither its class nor its name."""
    with pytest.raises(DeclarationError, match=r"must be an object of click_telemetry\.dest"):
        declare(app="acme", destination=value)


def test_segment_is_what_write_key_and_host_mean() -> None:
    """The same destination, and so the same spool."""
    own = "https://rudder.example.com"
    for options, declared in (
        ({"write_key": "key"}, Segment("key")),
        ({"write_key": "key", "host": own}, Segment("key", own)),
        ({"write_key": "key", "host": lambda: own}, Segment("key", lambda: own)),
    ):
        without: Any = find_destination(declare(app="acme", **options), {})
        assert found(declared).digest == without.digest
        assert (found(declared).host, found(declared).transport) == (without.host, None)
    with pytest.raises(DeclarationError, match="host"):
        declare(app="acme", destination=Segment("key", "http://a.example"))


def test_destination_can_be_declared_again() -> None:
    """By a decorator above a class; the later one counts."""
    command = click.Command("cli", callback=lambda: None)
    instrument(command, app="acme", destination=Segment("key"))
    instrument(command, destination=Webhook(URL))
    settings = command.__dict__[KEY].settings
    assert (settings.write_key, settings.destination.host) == (None, "https://events.example.com")


def test_plain_declaration_and_full_rule_agree() -> None:
    """The fast path keeps what the full rule keeps."""
    made = Webhook(URL)
    command = click.Command("cli", callback=lambda: None)
    instrument(command, app="acme", destination=made)
    assert command.__dict__[KEY].settings is None, "no closer look was needed"
    assert declare(app="acme", destination=made).destination is made


# Where events go ----------------------------------------------------------------------------------


def test_host_of_the_environment_replaces_the_origin_on_loopback_alone() -> None:
    """The path stays; no variable moves events to another machine, nor a file."""
    assert found(Webhook(URL)).host == "https://events.example.com"
    local = found(Webhook(URL), LOCAL)
    assert (local.host, local.transport["address"]) == (LOOPBACK, "/acme")
    foreign = {"ACME_TELEMETRY_HOST": "https://b.example"}
    assert found(Webhook(URL), foreign).host == "https://events.example.com"
    assert found(PostHog("k"), LOCAL).host == LOOPBACK
    otlp = found(OpenTelemetry("https://otel.example.com"), LOCAL)
    assert (otlp.host, otlp.transport["address"]) == (LOOPBACK, "/v1/logs")
    assert found(File("/a/b"), LOCAL).host == "file:///a/b"
    assert found(Custom("acme.telemetry:T"), LOCAL).host == "custom:acme.telemetry:T"


def test_file_is_in_the_home_of_the_person() -> None:
    """Without an absolute home there is no such file."""
    assert found(File("~/x/y"), {"HOME": "/home/ann"}).host == "file:///home/ann/x/y"
    assert found(File("~/x/y"), {"HOME": "ann"}) is None
    assert found(File("~/x/y"), {}) is None


def test_token_goes_to_the_webhook_that_the_code_names() -> None:
    """Never to a host from the environment; without a token events go there anonymously."""
    signed_in = found(Webhook(URL), LOCAL, auth=lambda: "t")
    assert (signed_in.host, signed_in.token) == ("https://events.example.com", "t")
    signed_out = found(Webhook(URL), {}, auth=lambda: None)
    assert (signed_out.host, signed_out.token) == ("https://events.example.com", None)
    assert signed_in.digest != signed_out.digest


def test_each_destination_has_a_spool_of_its_own() -> None:
    """What may be changed without losing the queue, a header or a secret, makes no difference."""
    digests = [
        found(one).digest
        for one in (
            *(Segment("key"), Segment("other"), Segment("key", "https://events.example.com")),
            *(Webhook(URL), Webhook(URL + "/2"), Webhook("https://b.example/acme")),
            *(PostHog("key"), PostHog("other"), PostHog("key", "https://eu.i.posthog.com")),
            *(OpenTelemetry("https://events.example.com"), OpenTelemetry(URL)),
            *(File("/a"), File("/b"), Custom("acme.telemetry:T"), Custom("acme.telemetry:U")),
        )
    ]
    assert len(set(digests)) == len(digests)
    assert found(Webhook(URL, {"X-Key": "1"}, secret="s")).digest == found(Webhook(URL)).digest
    assert found(Custom("acme.telemetry:T", {"a": 1})).digest == digests[-2]
    assert Destination("https://api.segment.io", "key").digest == "38f0122b5bed05f6"


def test_script_without_a_name_has_no_destination() -> None:
    """As with a write key."""
    settings = declare(package="__main__", destination=File("/a"))
    assert find_destination(settings, {}) is None


def test_file_counts_as_this_machine_for_the_delay() -> None:
    """A test need not wait for a second."""
    assert delay_of("0", "file:///a", 1) == 0
    assert delay_of("0", "custom:acme.telemetry:T", 1) == 1


def test_a_secret_is_not_in_a_repr() -> None:
    """A log line or a traceback may show it."""
    for made in (
        PostHog("sEcret"),
        Segment("sEcret"),
        Webhook(URL, {"X": "sEcret"}, secret="sEcret"),
    ):
        assert "sEcret" not in repr(made)


def test_package_of_a_custom_transport_is_found_by_its_path() -> None:
    """As this process has loaded it; the sender searches no directory for it."""
    transport = found(Custom("tests.harness.declared:T")).transport
    assert [path.rpartition("/")[2] for path in transport["package"]] == ["tests"]
    single = found(Custom("click:T")).transport
    assert single["package"] == [click.__path__[0]]
    assert found(Custom("not_loaded:T")).transport["package"] is None


def test_transport_in_a_namespace_package_is_found_in_each_of_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`corp` has no `__init__.py`: two distributions share the name."""
    for part in ("one", "two"):
        (tmp_path / part / "corp_ns" / part).mkdir(parents=True)
        monkeypatch.syspath_prepend(str(tmp_path / part))
    (tmp_path / "one/corp_ns/one/telemetry.py").write_text("class Transport: ...\n")
    import_module("corp_ns.two")
    transport = found(Custom("corp_ns.one.telemetry:Transport")).transport
    assert len(transport["package"]) == 2
    monkeypatch.undo()  # as in the sender, which has not loaded it and searches nowhere
    for name in [name for name in sys.modules if name.startswith("corp_ns")]:
        del sys.modules[name]
    try:
        assert transport_class(transport).__module__ == "corp_ns.one.telemetry"
    finally:
        for name in [name for name in sys.modules if name.startswith("corp_ns")]:
            del sys.modules[name]


# What declaring one costs -------------------------------------------------------------------------

NOTE = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["NOTED"], "w").write("\\n".join(sys.modules)))
"""
DECLARED = BARE.replace(
    "\n\n@click.group()",
    """
from click_telemetry import instrumented_group
from click_telemetry.destinations import Webhook

@instrumented_group(app="acme", version="2.1.0", notice=False,
                    destination=Webhook("https://events.example.com/acme", {"X-Key": "secret"}))
@click.group()""",
    1,
)


@pytest.mark.sample(1)
@pytest.mark.skipif(sys.platform == "win32", reason="looks at file locks")
@pytest.mark.parametrize(
    ("env", "ours"),
    [
        ({"DO_NOT_TRACK": "1"}, {"", "._instrument", ".destinations"}),
        (
            {"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"},
            {"", "._instrument", ".destinations", "._recorder", "._spool", "._launcher",
             "._foreground", "._foreground.destination"},
        ),
    ],
    ids=["opted out", "recorded"],
)  # fmt: skip
def test_declaring_a_destination_loads_one_module_of_ours_and_no_client(
    env: dict[str, str], ours: set[str], make_cli: Callable[..., Cli]
) -> None:
    """And a recorded run one more, which finds where events go."""
    bare, declaring = make_cli(NOTE + BARE, "bare.py"), make_cli(NOTE + DECLARED, "declaring.py")
    loaded = []
    for cli in (bare, declaring):
        noted = cli.home.path.parent / "noted"
        for _ in range(2):  # a first run creates directories
            ran = cli.run("deploy", env={**env, "NOTED": str(noted)})
            assert (ran.stdout, ran.stderr) == ("deployed\n", "")
            for lock in cli.home.state().glob("spool/*/lock"):
                wait_until(lambda lock=lock: not is_alive(lock))  # type: ignore[misc]
            due_now(cli.home)
        loaded.append(set(noted.read_text(encoding="utf-8").splitlines()))
    beyond = loaded[1] - loaded[0]
    names = {name.removeprefix("click_telemetry") for name in beyond if "click_telemetry" in name}
    assert names - ({"._tracebacks"} if sys.version_info < (3, 11) else set()) == ours
    others = {name for name in beyond if not name.startswith("click_telemetry")}
    assert others <= {"__future__", "atexit", "fcntl"}


def test_names_of_the_protocol_are_loaded_at_their_first_use() -> None:
    """An application's transport imports them from the public module."""
    assert destinations.DeliveryResult(destinations.ACCEPTED).verdict == "accepted"
    assert destinations.result_of(200, b"OK").verdict == destinations.ACCEPTED
    with pytest.raises(AttributeError, match="no attribute 'Posthog'"):
        destinations.Posthog  # noqa: B018
    assert "destinations" not in click_telemetry.__all__


def test_settings_of_a_plain_declaration_have_the_destination() -> None:
    """They are made when the first command begins."""
    command = click.Command("cli", callback=lambda: None)
    instrument(command, app="acme", destination=Webhook(URL))
    from click_telemetry._instrument import scope_of

    context = click.Context(command)
    scope = scope_of(context)
    scope.root = scope
    scope.command = command
    scope.state = command.__dict__[KEY]
    assert settings_of(scope).destination.host == "https://events.example.com"
