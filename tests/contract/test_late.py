"""Events at odd moments: before a command runs, after it has ended, while Python shuts down."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.sameness import program, same
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="starts the sender with posix_spawn"),
]

MakeCli = Callable[..., Cli]

TRACKS_AT_ITS_END = """
class Late:
    def __init__(self): self.track = track
    def __del__(self): self.track("Deleted", {"n": 1})
    def __reduce__(self): return Late, ()
"""

MOMENTS = {
    "on import": {"head": "track('Early', {'n': 1}); current().track('Early')"},
    "atexit, registered early": {"head": "import atexit; atexit.register(track, 'Late', {'n': 1})"},
    "atexit, registered late": {"body": "import atexit; atexit.register(track, 'Late', {'n': 1})"},
    "a handle at exit": {
        "body": "import atexit; atexit.register(current().track, 'Late', {'n': 1})"
    },
    "a module's __del__": {"head": TRACKS_AT_ITS_END + "late = Late()"},
    "a builtin's __del__": {"head": TRACKS_AT_ITS_END + "import builtins; builtins.late = Late()"},
    "a cycle's __del__": {
        "head": TRACKS_AT_ITS_END + "late = Late(); late.itself = late; del late"
    },
    "a thread that continues": {
        "body": """
            def work():
                time.sleep(0.2); track("Late"); handle.track("Late")
            handle = current()
            threading.Thread(target=work).start()
            """,
        "head": "import threading, time",
    },
    "a daemon thread": {
        "body": """
            def work():
                while True: track("Late", {"n": 1})
            threading.Thread(target=work, daemon=True).start()
            """,
        "head": "import threading",
    },
    "many daemon threads": {
        "body": """
            def work(handle):
                while True: handle.track("Late", {"n": 1}); time.sleep(0)
            for _ in range(8): threading.Thread(target=work, args=(current(),), daemon=True).start()
            """,
        "head": "import threading, time",
    },
    "an excepthook": {
        "body": "raise RuntimeError('own')",
        "head": "sys.excepthook = lambda *_: track('Late', {'n': 1})",
    },
    "a whole command at exit": {
        "head": """
            import atexit
            def again():
                try: cli.main(["go"], standalone_mode=False)
                except BaseException as error: print(error)
            atexit.register(again)
            """,
    },
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("parts", MOMENTS.values(), ids=MOMENTS)
def test_event_at_an_odd_moment_is_silent_and_harmless(
    parts: dict[str, str], make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Same output and status on each Python; the pair arrives, whatever else does."""
    dedented = {name: textwrap.dedent(text) for name, text in parts.items()}
    head = "from click_telemetry import current\n" + dedented.pop("head", "")
    cli = make_cli(program(**{"body": "", **dedented, "head": head}))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    same(cli)
    server.wait_for(2)
    wait_for_end(home)
    pairs = [
        m["event"] for m in server.messages if m["event" if "event" in m else "type"][0] == "C"
    ]
    assert pairs[:2] == ["Command Invoked", "Command Completed"]
    assert set(pairs) == {"Command Invoked", "Command Completed"}
    if "whole command" in str(parts):
        assert len(pairs) == 4


def test_event_outside_any_invocation_is_counted_in_the_next_one(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """It could not be recorded; the next message reports it as dropped."""
    cli = make_cli(
        """
        import click
        from click_telemetry import instrument, track

        cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
        instrument(cli, app="acme", write_key="key", notice=False)
        track("Early")
        cli.main(["go"], standalone_mode=False)
        track("Late"); track("Later")
        cli.main(["go"], standalone_mode=False)
        """
    )
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
    arrived = server.wait_for(4)
    assert [m["properties"].get("dropped") for m in arrived] == [1, None, 2, None]
