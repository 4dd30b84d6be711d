"""Where events are delivered: what `destination=` takes, and the protocol of a transport.

An object of a class here is a declaration, checked when it is made. It names the transport that the
sender loads in its own process; importing this module loads no client, no network and no other
module of ours. An application may declare a transport of its own with `Custom`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._sender.transports import ACCEPTED as ACCEPTED
    from ._sender.transports import MISCONFIGURED as MISCONFIGURED
    from ._sender.transports import NOT_SENT as NOT_SENT
    from ._sender.transports import RETRY as RETRY
    from ._sender.transports import SPLIT as SPLIT
    from ._sender.transports import DeliveryResult as DeliveryResult
    from ._sender.transports import TimeLimit as TimeLimit
    from ._sender.transports import Transport as Transport
    from ._sender.transports import Withdrawn as Withdrawn
    from ._sender.transports import result_of as result_of

_OWN_TRANSPORTS = "click_telemetry._sender.transports."
_EXAMPLES = {
    "OpenTelemetry": 'OpenTelemetry("https://otel.example.com")',
    "PostHog": 'PostHog("phc_YOUR_KEY", "https://eu.i.posthog.com")',
    "Webhook": 'Webhook("https://events.example.com/acme")',
}
_POSTHOG_HOSTS = {
    "https://app.posthog.com": "https://us.i.posthog.com",
    "https://eu.posthog.com": "https://eu.i.posthog.com",
    "https://us.posthog.com": "https://us.i.posthog.com",
}
"""Where PostHog's cloud takes events, by the address that its pages have."""
_PROTOCOL = (
    *("ACCEPTED", "MISCONFIGURED", "NOT_SENT", "RETRY", "SPLIT", "DeliveryResult", "TimeLimit"),
    *("Transport", "Withdrawn", "result_of"),
)
"""What a transport of an application's own needs, loaded at its first use: in the sender."""

MAX_HEADERS = 8 * 1024
"""Characters of all headers; the sender gets them through a pipe, with the rest of its job."""
MAX_OPTIONS = 8 * 1024
"""Characters of a transport's options as JSON."""
MAX_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5


def __getattr__(name: str) -> object:
    if name in _PROTOCOL:
        from ._sender import transports  # the foreground uses none of these names

        return getattr(transports, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class DeclaredDestination:
    """What an application declares of a destination; make one of a class below.

    Attributes:
        host: the origin that events are sent to, or what stands for it where there is none. The
            notice, `telemetry status` and `click-telemetry doctor` show it.
        key: what permits to write there; empty where there is no such key.
        address: what distinguishes two destinations besides, such as a path.
        options: what else the transport needs.
        transport: the transport's class, as `module:Class`.
        is_http: whether `host` is an origin.
        accepts_token: whether `auth=` may be declared with it.
    """

    __slots__ = ("address", "host", "key", "options")
    transport = ""
    is_http = True
    accepts_token = False

    def __init__(
        self, host: Any, key: str = "", address: str = "", options: Mapping[str, Any] | None = None
    ) -> None:
        self.host = host
        self.key = key
        self.address = address
        self.options = {} if options is None else options

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host!r}, …)"  # a key or a header may be a secret


class Segment(DeclaredDestination):
    """Segment, or a host that is compatible with it: what `write_key=` and `host=` declare.

    Args:
        write_key: of the source.
        host: an https origin, or a function that returns one; Segment's by default.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ()
    accepts_token = True

    def __init__(self, write_key: str, host: str | Callable[[], str | None] | None = None) -> None:
        super().__init__(host, _key("Segment", "write_key", write_key))


class PostHog(DeclaredDestination):
    """PostHog, in its cloud or on a host of your own. It needs the extra `[posthog]`.

    Args:
        api_key: of the project, such as `phc_…`.
        host: an https origin; that of PostHog's cloud in the United States by default.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ()
    transport = _OWN_TRANSPORTS + "posthog:PostHogTransport"

    def __init__(self, api_key: str, host: str = "https://us.i.posthog.com") -> None:
        origin, path = _url("PostHog", host)
        if path:
            _reject(f'PostHog takes an origin without a path, not {host!r}: write host="{origin}"')
        if origin in _POSTHOG_HOSTS:
            _reject(f'{host!r} takes no events: write host="{_POSTHOG_HOSTS[origin]}"')
        super().__init__(origin, _key("PostHog", "api_key", api_key))


class OpenTelemetry(DeclaredDestination):
    """A collector, or any backend that takes log records over OTLP/HTTP, in the extra `[otlp]`.

    Args:
        endpoint: https, or http on loopback; without a path it is at `/v1/logs`.
        headers: of each request, such as an API key.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ()
    transport = _OWN_TRANSPORTS + "opentelemetry:OpenTelemetryTransport"

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None = None) -> None:
        origin, path = _url("OpenTelemetry", endpoint)
        super().__init__(origin, "", path or "/v1/logs", {"headers": _headers(headers)})


class File(DeclaredDestination):
    """A file on this machine, one message on each line, in JSON.

    The sender appends to it under a lock, and writes it to the disk before it deletes what was
    queued. A file that would grow beyond `max_bytes` is renamed to `path.1` first, `path.1` to
    `path.2` and so on.

    Args:
        path: absolute, or in the person's home directory: `~/.local/state/acme/events.jsonl`.
        max_bytes: of the file.
        keep: how many renamed files are kept.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ()
    transport = _OWN_TRANSPORTS + "file:FileTransport"
    is_http = False

    def __init__(self, path: str, *, max_bytes: int = MAX_BYTES, keep: int = KEPT_FILES) -> None:
        import os

        text: Any = os.fspath(path)
        if type(text) is not str or not (os.path.isabs(text) or text.startswith("~/")):
            _reject(
                f'File takes an absolute path or one that begins with "~/", not {path!r}: write '
                'File("~/.local/state/acme/events.jsonl")'
            )
        if not text.isprintable() or text.endswith("/"):
            _reject(f"File takes the path of a file, not {path!r}: end it with a file's name")
        for name, value, least in (("max_bytes", max_bytes, 64 * 1024), ("keep", keep, 0)):
            if type(value) is not int or value < least:
                _reject(f"{name} must be a whole number of at least {least}, not {value!r}")
        super().__init__("file://" + text, options={"max_bytes": max_bytes, "keep": keep})


class Webhook(DeclaredDestination):
    """A URL of your own that takes a POST of JSON; docs/destinations.md describes the request.

    Args:
        url: https, or http on loopback.
        headers: of each request, such as an API key.
        secret: signs each request by HMAC-SHA256, as standardwebhooks.com describes it.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ()
    transport = _OWN_TRANSPORTS + "webhook:WebhookTransport"
    accepts_token = True

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, *, secret: str | None = None
    ) -> None:
        origin, path = _url("Webhook", url)
        options: dict[str, Any] = {"headers": _headers(headers)}
        if secret is not None:
            options["secret"] = text = _key("Webhook", "secret", secret)
            rest = text.removeprefix("whsec_")
            letters = rest.rstrip("=")
            is_padded = len(rest) % 4 == 0 and len(rest) - len(letters) < 3
            letters = letters.replace("+", "a").replace("/", "a")  # `base64` takes 1 ms to load
            if rest != text and not (is_padded and letters.isascii() and letters.isalnum()):
                _reject("secret begins with whsec_ and is not base64: copy all of it, with each =")
        super().__init__(origin, "", path or "/", options)


class Custom(DeclaredDestination):
    """A transport of your own, which the sender imports; docs/destinations.md has an example.

    The package is loaded by its path, so that an editable install or a checkout is found too. The
    sender does not get the working directory, PYTHONPATH or the environment.

    Args:
        transport: `module:Class`, such as `acme.telemetry:Transport`. The class is called with the
            options and a time limit, and follows the protocol `Transport`.
        options: JSON values that the transport needs. They reach the sender on its standard input.

    Raises:
        DeclarationError: one of them cannot be used; the message names the fix.
    """

    __slots__ = ("transport",)
    is_http = False

    def __init__(self, transport: str, options: Mapping[str, Any] | None = None) -> None:
        module, colon, name = str(transport).partition(":")
        parts = module.split(".")
        valid = all(part.isidentifier() for part in (*parts, name)) and bool(colon)
        if not valid or parts[0] in ("__main__", "click_telemetry"):
            _reject(
                f"Custom takes a class in a module that the sender can import, not {transport!r}: "
                'move the class to a module and write Custom("acme.telemetry:Transport")'
            )
        import json  # few applications have a transport of their own

        try:
            given = dict(options or {})
            text = json.dumps(given, allow_nan=False)
        except (TypeError, ValueError) as error:
            _reject(f"options must be JSON values by name, such as {{'region': 'eu'}}: {error}")
        if len(text) > MAX_OPTIONS:
            _reject(
                f"options are longer than {MAX_OPTIONS} characters: let the transport read them"
            )
        super().__init__(f"custom:{transport}", options=json.loads(text))
        self.transport = transport


def _reject(problem: str) -> Any:
    from ._foreground.options import DeclarationError  # an error is rare, its module large

    raise DeclarationError(problem)


def _key(kind: str, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        _reject(f'{kind} takes {name} as a text, not {value!r}: write {kind}(…, {name}="…")')
    return str(value).strip()


def _url(kind: str, url: object) -> tuple[str, str]:
    """A URL's origin and its path with the query; the path is empty for a plain origin."""
    scheme, separator, rest = str(url).partition("://")
    name, slash, path = rest.partition("/")
    plain = name.replace(".", "").isalnum() and ".." not in name and name[0] != "." != name[-1]
    origin = f"{scheme}{separator}{name}"
    if not (plain and scheme == "https" and name.isascii()):
        from ._foreground import destination  # the full rule, for a port or this machine

        found = destination.origin(origin)
        origin = found[0] if found and (scheme == "https" or found[1]) else ""
    path = slash + path
    if (
        not origin
        or type(url) is not str
        or not all("!" <= c <= "~" and c not in '#"<>\\' for c in path)
    ):
        _reject(
            f"{kind} takes an https URL in ASCII, or http on this machine, not {url!r}: write one "
            f"without a user name or a fragment, such as {_EXAMPLES[kind]}"
        )
    return origin, "" if path == "/" else path


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers that hold one line each, and none that the transport sets itself."""
    found: dict[str, str] = {}
    given: dict[Any, Any] = dict(headers or {})
    for name, value in given.items():
        token = type(name) is str and name.isascii() and name.replace("-", "").isalnum()
        if not token or name.lower() in ("host", "content-length", "transfer-encoding"):
            _reject(f"headers has the name {name!r}: leave it out, or write one such as X-Api-Key")
        if type(value) is not str or not (value.isascii() and value.isprintable()):
            _reject(f"headers[{name!r}] must be a text of printable ASCII: encode it")
        found[name] = value
    if sum(map(len, (*found, *found.values()))) > MAX_HEADERS:
        _reject(f"headers are longer than {MAX_HEADERS} characters: send fewer")
    return found
