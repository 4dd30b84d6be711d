"""The oldest and the newest supported clients: real installations, from a package index."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ..harness.processes import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv"),
]

ENDS = {
    "oldest": [
        *("segment-analytics-python==2.4.0", "requests==2.28.2", "urllib3==1.26.20"),
        *("posthog==6.0.0", "opentelemetry-exporter-otlp-proto-http==1.39.0"),
    ],
    "newest": ["segment-analytics-python>=2.4,<3"],
}
"""The oldest has the versions that a `pip install` with botocore still gives."""


@pytest.mark.parametrize("end", ENDS)
def test_network_promises_hold_with_each_client(end: str, tmp_path: Path) -> None:
    """The sender does not rely on internals of the client, requests or urllib3."""
    python = tmp_path / "venv/bin/python"
    for command in (
        ["uv", "venv", "--quiet", str(tmp_path / "venv")],
        ["uv", "pip", "install", "--quiet", "--python", str(python), "--group", "test",
         "-e", ".", "-e", "examples/demo_cli", *ENDS[end]],
        [str(python), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider",
         "tests/sender/test_network.py", "tests/sender/test_tls_and_proxies.py",
         "tests/sender/test_transports.py", "tests/sender/test_posthog.py",
         "tests/sender/test_opentelemetry.py"],
    ):  # fmt: skip
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
