"""What a maintainer would write today to have the same two facts of a command sent: four programs.

Each is the trivial application with telemetry as its library's own documentation shows it.
"""

from __future__ import annotations

from .applications import BARE, instrumented

OURS = instrumented(write_key="key", notice=False)


INLINE = instrumented(write_key="key", notice=False, delivery="inline")
"""For machines that go away with the command."""

FROZEN = "import sys; sys.frozen = True\n" + OURS
"""As a frozen application delivers: in its own process."""

HOST = "https://events.example.com"
"""Of the destinations below; the endpoint's address takes its place."""


def delivering(destination: str) -> str:
    """Ours, to another destination than Segment.

    Args:
        destination: of `click_telemetry.destinations`, as it is declared.
    """
    name = destination.partition("(")[0]
    return BARE.replace(
        "\n\n@click.group()",
        "\nfrom click_telemetry import instrumented_group"
        f"\nfrom click_telemetry.destinations import {name}"
        '\n\n@instrumented_group(app="acme", version="2.1.0", notice=False, '
        f"destination={destination})\n@click.group()",
        1,
    )


TO_POSTHOG = delivering(f'PostHog("key", "{HOST}")')
TO_OPENTELEMETRY = delivering(f'OpenTelemetry("{HOST}")')
TO_WEBHOOK = delivering(f'Webhook("{HOST}/acme", {{"X-Api-Key": "key"}})')
TO_FILE = delivering('File("~/events.jsonl")')

SEGMENT = BARE.replace(
    "import click\n",
    """\
import os, click
from segment.analytics import Client
analytics = Client("key", host=os.environ["ENDPOINT"])
""",
).replace(
    "    cli()\n",
    """\
    try:
        analytics.track(anonymous_id="a", event="Command Invoked")
        cli(standalone_mode=False)
        analytics.track(anonymous_id="a", event="Command Completed")
    finally:
        analytics.shutdown()
""",
)

POSTHOG = BARE.replace(
    "import click\n",
    """\
import os, click
from posthog import Posthog
analytics = Posthog("key", host=os.environ["ENDPOINT"])
""",
).replace(
    "    cli()\n",
    """\
    try:
        analytics.capture("Command Invoked", distinct_id="a")
        cli(standalone_mode=False)
        analytics.capture("Command Completed", distinct_id="a")
    finally:
        analytics.shutdown()
""",
)

OPENTELEMETRY = BARE.replace(
    "import click\n",
    """\
import os, click
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.click import ClickInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
exporter = OTLPSpanExporter(endpoint=os.environ["ENDPOINT"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
ClickInstrumentor().instrument()
""",
)
"""A span for the command; the provider shuts itself down at the end of the process."""
