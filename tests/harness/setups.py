"""Broken set-ups of an application, each in a home of its own, and doctor's answer to each.

`python -m tests.harness.setups [NAME…]` writes the answers again, to be read before they are
committed. What differs from one run to the next is replaced by a word in capitals.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from click_telemetry._recorder import Destination
from click_telemetry._sender.state import SenderState

from .processes import Home

ANSWERS = Path(__file__).parents[1] / "golden" / "doctor"
BIN = Path(sys.executable).parent
WIDTH = 80
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there."""

SOURCE = """
import os
import click
from click_telemetry import instrumented_group, telemetry_group, track

@instrumented_group({options})
@click.group()
def cli(): pass

@cli.command()
@click.option("--dry-run", is_flag=True)
def deploy(dry_run):
    track("Plan Changed", {{"plan": "pro"}})
    click.echo("deployed")

{more}
cli()
"""
READY = 'app="acme", version="2.1.0", write_key="key", notice=False'


class Setup(NamedTuple):
    """An application and what surrounds it.

    Attributes:
        options: of `instrumented_group`.
        more: lines of the script.
        env: variables.
        flags: of doctor.
        words: of the application's command line.
        prepare: changes the home first, which it gets; may skip the set-up by an OSError.
    """

    options: str = READY
    more: str = ""
    env: dict[str, str] = {}  # noqa: RUF012  # never changed
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ("deploy",)
    prepare: Callable[[Home], object] | None = None


def _make_read_only(home: Home) -> None:
    """A file system that is mounted read-only; root may write to any directory otherwise."""
    disk = home.path / ".local"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        disk.chmod(0o500)
        if os.access(disk, os.W_OK):
            raise OSError("mounting is forbidden")


def _reject_key(home: Home) -> None:
    """What a sender keeps after the host has answered 401."""
    state = home.state()
    spool = state / "spool" / Destination(NOWHERE, "key").digest
    spool.mkdir(parents=True)
    for directory in (state, state / "spool", spool):
        directory.chmod(0o700)
    SenderState(str(spool)).record_failure("http_401", first=3600.0)


def _install_plugin(home: Home) -> None:
    """A package that is not the application's, on Python's path."""
    site = home.path / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "acme_up.py").write_text(
        "import click\n\n@click.command()\ndef up(): click.echo('up')\n", encoding="utf-8"
    )


SETUPS = {
    "no-key": Setup('app="acme", version="2.1.0", notice=False'),
    "key-none": Setup(
        'app="acme", version="2.1.0", notice=False, write_key=os.environ.get("ACME_KEY")'
    ),
    "app-left-out": Setup('version="2.1.0", write_key="key", notice=False'),
    "ci": Setup(env={"CI": "true", "GITHUB_ACTIONS": "true"}),
    "test-run": Setup(env={"PYTEST_VERSION": "8.4.0"}),
    "opt-in": Setup(
        'app="acme", version="2.1.0", write_key="key", consent="opt-in"',
        more="cli.add_command(telemetry_group())",
    ),
    "notice-not-shown": Setup('app="acme", version="2.1.0", write_key="key"'),
    "read-only-state": Setup(prepare=_make_read_only),
    "unreachable-host": Setup(READY + f', host="{NOWHERE}"', flags=("--connect",)),
    "rejected-key": Setup(READY + f', host="{NOWHERE}"', prepare=_reject_key),
    "masked-plugin": Setup(
        more="import acme_up\ncli.add_command(acme_up.up)\n",
        env={"PYTHONPATH": "HOME/lib/site-packages"},
        words=("up",),
        prepare=_install_plugin,
    ),
    "nested-group": Setup(
        more='@instrumented_group(app="other", write_key="other")\n@cli.group()\ndef db(): pass\n\n'
        "@db.command()\ndef migrate(): pass\n",
        words=("db", "migrate"),
    ),
}
"""The broken set-ups, by name."""

STATUS = {"masked-plugin": 0, "nested-group": 0}
"""Doctor's exit status where it is not 1: these send, and lack something."""


@contextmanager
def prepared(name: str, home: Home) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """A set-up in an empty home; gives a function that runs doctor there.

    Raises:
        OSError: it cannot be made on this machine.
    """
    setup = SETUPS[name]
    temporary = home.path.parent / "tmp"
    temporary.mkdir()
    script = home.path.parent / "acme.py"
    script.write_text(SOURCE.format(options=setup.options, more=setup.more), encoding="utf-8")
    try:
        if setup.prepare is not None:
            setup.prepare(home)

        def run(*flags: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [
                    *(str(BIN / "click-telemetry"), "doctor", *setup.flags, *flags, "--"),
                    *(sys.executable, str(script), *setup.words),
                ],
                env={
                    **home.environ,
                    "TMPDIR": str(temporary),
                    "COLUMNS": str(WIDTH),
                    **{k: v.replace("HOME", str(home.path)) for k, v in setup.env.items()},
                },
                input="",
                capture_output=True,
                text=True,
                timeout=60,
                cwd=home.path,
                check=False,
            )

        yield run
    finally:
        subprocess.run(["umount", "-l", home.path / ".local"], capture_output=True, check=False)


def answer(name: str, form: str, run: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    """Doctor's answer as `txt` or `json`, without what differs from one run to the next."""
    done = run(*(("--json",) if form == "json" else ()))
    assert done.stderr == "", done.stderr
    assert done.returncode == STATUS.get(name, 1), done.stdout
    return stable(done.stdout) if form == "txt" else stable_json(done.stdout)


def stable(text: str) -> str:
    """A page without the versions and times of this machine."""
    text = re.sub(r"(Python|Click|click_telemetry) \d[\w.]*", r"\1 VERSION", text)
    text = re.sub(r"[\d.]+ ms", "N ms", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)


def stable_json(text: str) -> str:
    """The same of the JSON object; its keys and their order are as they were printed."""
    found: dict[str, Any] = json.loads(text)
    versions = found.get("versions") or {}
    for key in ("python", "click", "click_telemetry"):
        versions[key] = "VERSION"
    for one in found.get("directories", ()):
        if "/home/" in one["path"]:
            one["path"] = "HOME/" + one["path"].partition("/home/")[2]
    if found.get("storage", "").startswith("/"):
        found["storage"] = "HOME/" + found["storage"].partition("/home/")[2]
    if found.get("sender_log"):
        found["sender_log"] = "HOME/" + found["sender_log"].partition("/home/")[2]
    for key in ("failed_at", "not_before"):
        if (found.get("delivery") or {}).get(key):
            found["delivery"][key] = "TIME"
    if found.get("cost"):
        found["cost"]["milliseconds"] = "N"
    return json.dumps(found, indent=2) + "\n"


def main(names: list[str]) -> None:
    """Write the answers of these set-ups, or of all."""
    ANSWERS.mkdir(exist_ok=True)
    for name in names or SETUPS:
        with tempfile.TemporaryDirectory() as directory:
            home = Home(Path(directory) / "home")
            with prepared(name, home) as run:
                for form in ("txt", "json"):
                    text = answer(name, form, run)
                    (ANSWERS / f"{name}.{form}").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
