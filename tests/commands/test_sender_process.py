"""A sender that is waited for gets the job that an application's own sender gets."""

from __future__ import annotations

import json
from pathlib import Path

from click_telemetry import _launcher
from click_telemetry._commands.sender_process import SenderJob, encode, file_key
from click_telemetry._instrument import CommandState
from click_telemetry._recorder import Destination, Directories, Settings
from click_telemetry._sender.queue import parse
from click_telemetry._spool import Spool

from ..harness.facts import file_name


def test_a_job_is_that_of_the_launcher(tmp_path: Path) -> None:
    """The same keys and values, with a token and without one."""
    settings = Settings(CommandState("acme"), {})
    directories = Directories(*(str(tmp_path / name) for name in ("config", "state", "site")))
    for token in (None, "secret"):
        destination = Destination("https://events.example", "key", token)
        spool = Spool(settings, directories, destination, "id")
        job = SenderJob(
            *(spool.directory, destination.host, "key", directories.setting, "id", token),
            site_setting=directories.site_setting,
        )
        alone: dict[str, object] = {"after": None}  # no command waits for it
        assert {**json.loads(encode(job)), **alone} == json.loads(_launcher.job(spool))


def test_a_file_is_recognised_when_a_sender_has_renamed_it() -> None:
    """So that a file that could not be delivered is tried once, and not again and again."""
    name = file_name(1)
    parsed = parse(name)
    assert parsed is not None
    assert file_key(str(parsed.reporting(7).tried_at(8).created_at(9))) == file_key(name)
    assert file_key(file_name(2)) != file_key(name)
    assert file_key(file_name(1, part=2)) != file_key(name)
