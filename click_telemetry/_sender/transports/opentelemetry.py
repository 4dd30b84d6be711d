"""The transport of `destinations.OpenTelemetry`: log records over OTLP/HTTP, by its own exporter.

The exporter encodes and posts once: its session reports success to it whatever happened, so that
it never waits or retries. No `OTEL_…` variable has an effect. Sources:
https://opentelemetry.io/docs/specs/otlp/#otlphttp,
https://opentelemetry.io/docs/specs/semconv/cli/cli-spans/ and the registry of attributes there.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import requests

from ... import __version__
from . import ACCEPTED, SPLIT, DeliveryResult, MissingExtra
from .adapter import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watchdog import Timeout, Watchdog

CONTENT_TYPE = "application/x-protobuf"
SCOPE = "click_telemetry"

ATTRIBUTES = {
    "exit_code": "process.exit.code",
    "error_class": "error.type",
    "session_id": "session.id",
}
"""Properties that the conventions have a name for; the others keep theirs."""
OTHER_ERROR = "_OTHER"
"""Of `error.type`, which the conventions require with every exit code but 0."""
IN_RESOURCE = ("arch", "os", "python_version", "version")
"""Properties that describe the resource, not the event."""
_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {
    **dict.fromkeys(("armv6l", "armv7l", "armv8l"), "arm32"),
    **dict.fromkeys(("i386", "i586", "i686"), "x86"),
    "aarch64": "arm64",
    "ppc64le": "ppc64",
    "x86_64": "amd64",
}
"""The values of `os.type` and `host.arch` where the conventions have others than ours."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INT64 = 2**63


class OpenTelemetryTransport(HttpTransport):
    """Exports batches to one collector.

    Args:
        options: `host` and `address`, which are the URL; `headers`.
        timeout: bounds how long a request may take.

    Raises:
        MissingExtra: the exporter is not installed.
    """

    def __init__(self, options: Mapping[str, Any], timeout: Watchdog | Timeout) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http import Compression  # an extra's
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        except ModuleNotFoundError as error:
            raise MissingExtra("otlp") from error
        session = _Session(options["headers"])
        super().__init__(options["host"], None, timeout, session)
        self._own_session = session
        self._exporter = OTLPLogExporter(
            endpoint=options["host"] + options["address"],
            timeout=self.timeouts[1],
            compression=Compression.Gzip,
            session=session,
        )

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
        """
        records = records_of([message for message in batch if _is_event(message)])
        if not records:
            return DeliveryResult(ACCEPTED)
        session = self._own_session
        session.prepare(self.timeouts)

        def export() -> None:
            self._exporter.export(records)
            if session.error is not None:
                raise session.error
            if not session.posted:
                raise ValueError("a record cannot be encoded")

        result = self.attempt(export, on_send)
        if not session.posted:
            return DeliveryResult(SPLIT, error="encoding")
        if result.verdict == ACCEPTED and self._adapter.response is not None:
            rejected = rejected_in(self._adapter.response.start)
            result = result._replace(rejected=min(rejected, len(records)))
        return result


class _Session(requests.Session):
    """Posts once for the exporter, with our headers and no others, and keeps what was raised."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        agent = f"click-telemetry/{__version__}"
        self._own_headers = {"User-Agent": agent, **headers}
        self._own_headers |= {"Content-Type": CONTENT_TYPE, "Content-Encoding": "gzip"}
        self.prepare((0.0, 0.0))

    def prepare(self, timeouts: tuple[float, float]) -> None:
        """Forget the last request."""
        self.error: Exception | None = None
        self.posted = False
        self._timeouts = timeouts

    def request(self, method: Any, url: Any, **given: Any) -> requests.Response:  # type: ignore[override]
        """What the exporter takes for a success; only the body is the exporter's."""
        self.posted = True
        self.headers.clear()  # the exporter has put variables into them
        self.verify, self.cert = True, None
        try:
            super().request(
                method,
                url,
                data=given["data"],
                headers=self._own_headers,
                timeout=self._timeouts,
                allow_redirects=False,
            )
        except Exception as error:
            self.error = error
        success = requests.Response()
        success.status_code = 200
        return success


def _is_event(message: Mapping[str, Any]) -> bool:
    """Whether a message becomes a log record: not the installation's `identify`, without traits."""
    return message["type"] == "track" or "userId" in message


def records_of(messages: list[dict[str, Any]]) -> list[Any]:
    """Messages as log records of the SDK."""
    from opentelemetry._logs import LogRecord, SeverityNumber  # after the exporter was found
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    records = []
    for message in messages:
        at = time_of(message["timestamp"])
        record = LogRecord(
            timestamp=at,
            observed_timestamp=at,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            event_name=message.get("event", "identify"),
            attributes=attributes_of(message),
        )
        library = message["context"]["library"].get("version", "")
        scope = InstrumentationScope(SCOPE, library)
        records.append(ReadableLogRecord(record, Resource(resource_of(message)), scope))
    return records


def resource_of(message: Mapping[str, Any]) -> dict[str, str]:
    """What produced a message, as a resource's attributes. Pure."""
    context, properties = message["context"], message.get("properties", {})
    system, machine = context["os"]["name"], properties.get("arch")
    found = {
        "service.name": context["app"]["name"],
        "service.version": context["app"]["version"],
        "os.type": _SYSTEMS.get(system, system),
        "host.arch": _ARCHITECTURES.get(machine, machine),
        "process.runtime.version": properties.get("python_version"),
        "telemetry.distro.name": SCOPE,
        "telemetry.distro.version": context["library"].get("version"),
    }
    return {name: value for name, value in found.items() if value}


def attributes_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message's properties and IDs as a log record's attributes. Pure."""
    properties = message.get("properties", {})
    found = {
        ATTRIBUTES.get(name, name): _value(value)
        for name, value in properties.items()
        if name not in IN_RESOURCE
    }
    found |= {f"traits.{name}": _value(value) for name, value in message.get("traits", {}).items()}
    if found.get("process.exit.code") and found.get("error.type") is None:
        found["error.type"] = OTHER_ERROR
    found["log.record.uid"] = message["messageId"]
    found["app.installation.id"] = message["anonymousId"]
    found["user.id"] = message.get("userId")
    return {name: value for name, value in found.items() if value is not None}


def _value(value: Any) -> Any:
    """A JSON value as the protocol has it: no null within, UTF-8, and integers of 64 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_value(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {name: _value(item) for name, item in value.items() if item is not None}
    if type(value) is int and not -_INT64 <= value < _INT64:
        return str(value)
    return value


def time_of(timestamp: str) -> int:
    """Nanoseconds since the epoch of a message's `timestamp`."""
    at = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return (at - _EPOCH) // timedelta(milliseconds=1) * 1_000_000


def rejected_in(body: bytes) -> int:
    """How many records a response of 2xx reports as rejected; they must not be sent again."""
    from google.protobuf.message import DecodeError  # the exporter needs both
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    try:
        response = ExportLogsServiceResponse.FromString(body)
    except DecodeError:
        return 0  # the status alone counts
    return max(int(response.partial_success.rejected_log_records), 0)
