"""The sender runs only installed code, and inherits nothing of the application's process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ..harness.layouts import (
    BASE,
    link_packages,
    prefix_of_its_own,
    user_site,
    virtual_environment,
)
from ..harness.processes import APP, REPOSITORY, Cli, Home, as_root
from ..harness.senders import is_alive, lock_of, sender_processes, wait_for_end, wait_until
from ..harness.server import Reply, Server
from ..harness.terminal import Terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and at file locks"),
]

PAIR = [("Command Invoked", "acme deploy"), ("Command Completed", "acme deploy")]

TRAPS = [
    *("requests.py", "urllib3.py", "certifi.py", "idna.py", "dateutil.py", "jwt.py", "six.py"),
    *("segment/__init__.py", "segment/analytics/__init__.py", "click_telemetry/__init__.py"),
    *("chardet.py", "charset_normalizer.py", "simplejson.py", "socks.py", "OpenSSL.py"),
    *("brotli.py", "brotlicffi.py", "zstandard.py", "h2.py", "cryptography.py"),
    *("json.py", "ssl.py", "random.py", "sitecustomize.py", "usercustomize.py"),
]
"""Modules that the sender imports, or tries to import."""

OWN = {b"PATH", b"NETRC", b"CLICK_TELEMETRY_SENDER"}


def trap(source: str, ran: Path) -> str:
    """Code that writes a line when a sender runs it."""
    return textwrap.dedent(
        f"""
        import os
        if "CLICK_TELEMETRY_SENDER" in os.environ:
            open({str(ran)!r}, "a").write({source!r} + "\\n")
        """
    )


def plant(directory: Path, ran: Path) -> None:
    """Write every trap to a directory."""
    for name in TRAPS:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trap(name, ran))


def environ_of(pid: int) -> dict[bytes, bytes]:
    content = Path(f"/proc/{pid}/environ").read_bytes()
    return dict(pair.split(b"=", 1) for pair in content.split(b"\0") if pair)


def signals(pid: int, field: str) -> int:
    """A set of signals of a process, as bits, less the two that are the C library's own."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return int(found[field], 16) & ~(1 << 32 - 1 | 1 << 33 - 1 | 1 << 34 - 1)


def nothing_is_blocked(pid: int) -> bool:
    """Whether every signal reaches a process."""
    return signals(pid, "SigBlk") == 0


def all_kinds(home: Home) -> dict[str, int]:
    """The running processes of a sender, by name: its shell, its sleep, its Python."""
    found: dict[str, int] = {}
    for pid in sender_processes(home):
        try:
            found[Path(f"/proc/{pid}/comm").read_text().strip()] = pid
        except OSError:
            continue
    return found


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The file that a trap writes to."""
    return tmp_path / "ran"


class TestModules:
    """Imported modules (row 91)."""

    @pytest.mark.sample(1)
    @pytest.mark.parametrize("where", ["cwd", "PYTHONPATH", "both, relative"])
    def test_planted_module_is_not_executed(
        self, where: str, server: Server, home: Home, tmp_path: Path, ran: Path
    ) -> None:
        """Neither from my working directory, nor from a path in my environment."""
        planted = tmp_path / "planted"
        plant(planted, ran)
        python = virtual_environment(tmp_path / "venv")
        app = tmp_path / "app" / "acme.py"
        app.parent.mkdir()
        app.write_text(APP)
        env = {**home.environ, "ACME_TELEMETRY_HOST": server.url}
        cwd = tmp_path if where == "PYTHONPATH" else planted
        line = [python, str(app), "deploy"]
        if where != "cwd":
            for name in ("json.py", "ssl.py", "random.py", "click_telemetry/__init__.py"):
                (planted / name).unlink()  # they would stop the application itself
            env["PYTHONPATH"] = str(planted) if where == "PYTHONPATH" else "."
        run = subprocess.run(line, env=env, cwd=cwd, capture_output=True, text=True, check=True)
        assert run.stdout == "deployed\n"
        server.wait_for(2)
        wait_for_end(home)
        assert not ran.exists(), ran.read_text()

    def test_planted_module_is_not_executed_inline(
        self, server: Server, home: Home, tmp_path: Path, ran: Path, make_cli: Callable[..., Cli]
    ) -> None:
        """Nor in a child that is waited for, which starts in my working directory."""
        plant(home.path, ran)
        inline = 'notice=False, delivery="inline", flush_timeout=3'
        cli = make_cli(APP.replace("notice=False", inline))
        for _ in range(5):
            cli.run("deploy", env={"ACME_TELEMETRY_HOST": server.url})
            if server.events:
                break
        assert server.events[:2] == PAIR
        assert not ran.exists(), ran.read_text()

    def test_traps_are_executed_by_an_unprotected_child(self, tmp_path: Path, ran: Path) -> None:
        """The positive control."""
        plant(tmp_path / "planted", ran)
        env = {"CLICK_TELEMETRY_SENDER": "1", "PYTHONPATH": str(tmp_path / "planted")}
        for line in (["-c", "import requests"], ["-m", "segment.analytics"]):
            subprocess.run(
                [sys.executable, *line], env=env, cwd=tmp_path / "planted", capture_output=True
            )
        executed = set(ran.read_text().split())
        assert executed >= {"sitecustomize.py", "requests.py", "segment/__init__.py"}

    def test_variables_of_python_s_are_not_passed_on(
        self, server: Server, home: Home, make_cli: Callable[..., Cli], tmp_path: Path
    ) -> None:
        """A PYTHONHOME of another Python would stop the sender, a startup file would run in it."""
        startup = tmp_path / "startup.py"
        startup.write_text("raise SystemExit(9)")
        variables = {
            "PYTHONHOME": "/nowhere",
            "PYTHONSTARTUP": str(startup),
            "PYTHONINSPECT": "1",
            "PYTHONUSERBASE": str(tmp_path),
            "PYTHONPLATLIBDIR": "nowhere",
        }
        cli = make_cli(f"import os\nos.environ.update({variables!r})\n{APP}")
        cli.environ["ACME_TELEMETRY_HOST"] = server.url
        cli.run("deploy")
        server.wait_for(2)
        assert server.events == PAIR


class TestLayouts:
    """The sender finds its modules, however the application was installed (row 92)."""

    def run(self, line: list[str], home: Home, server: Server, cwd: Path, **env: str) -> None:
        """Run the command, and check that its events are delivered."""
        ran = subprocess.run(
            [*line, "deploy"],
            env={**home.environ, "ACME_TELEMETRY_HOST": server.url, **env},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.stdout, ran.stderr, ran.returncode) == ("deployed\n", "", 0)
        server.wait_for(2)
        assert server.events == PAIR

    @pytest.fixture
    def script(self, tmp_path: Path) -> str:
        """The application."""
        path = tmp_path / "app" / "acme.py"
        path.parent.mkdir()
        path.write_text(APP)
        return str(path)

    def test_editable(self, cli: Cli, server: Server) -> None:
        """As this test run is installed."""
        cli.run("deploy")
        server.wait_for(2)

    def test_virtual_environment(
        self, script: str, home: Home, server: Server, tmp_path: Path
    ) -> None:
        """Of `python -m venv`."""
        python = virtual_environment(tmp_path / "venv")
        self.run([python, script], home, server, tmp_path)

    def test_user_site(self, script: str, home: Home, server: Server, tmp_path: Path) -> None:
        """Of `pip install --user`, which an isolated Python leaves out."""
        self.run([user_site(home.path), script], home, server, tmp_path)

    @pytest.mark.extended
    def test_prefix_of_its_own(
        self, script: str, home: Home, server: Server, tmp_path: Path
    ) -> None:
        """A complete Python with the application, as conda creates them."""
        self.run([prefix_of_its_own(tmp_path / "conda"), script], home, server, tmp_path)

    def test_isolated_python(self, script: str, home: Home, server: Server, tmp_path: Path) -> None:
        """Under `python -I`."""
        python = virtual_environment(tmp_path / "venv")
        self.run([python, "-I", script], home, server, tmp_path)

    def test_packages_in_a_directory_on_the_path(
        self, script: str, home: Home, server: Server, tmp_path: Path
    ) -> None:
        """Of `pip install --target`, with PYTHONPATH to find them."""
        link_packages(tmp_path / "target")
        path = str(tmp_path / "target")
        self.run([BASE, script], home, server, tmp_path, PYTHONPATH=path)

    @pytest.mark.sample(1)
    @pytest.mark.parametrize("more", [0, 1_000])
    def test_each_package_in_a_directory_of_its_own(
        self, more: int, home: Home, server: Server, tmp_path: Path
    ) -> None:
        """As in an unpacked PEX, Bazel or Nix, of which some have a search path of 100 KB.

        Planted modules in the cwd are not executed.
        """
        link_packages(tmp_path / "all")
        roots = [str(tmp_path / "roots" / f"{number:0100}") for number in range(more)]
        for root in roots:
            Path(root).mkdir(parents=True)
        for package in sorted((tmp_path / "all").iterdir()):
            directory = tmp_path / "roots" / package.name.removesuffix(".py")
            directory.mkdir(parents=True)
            (directory / package.name).symlink_to(package)
            roots.append(str(directory))
        script = tmp_path / "acme.py"
        script.write_text(f"import sys; sys.path[1:1] = {roots!r}\n{APP}")
        ran = tmp_path / "ran"
        plant(tmp_path / "cwd", ran)
        self.run([BASE, str(script)], home, server, tmp_path / "cwd")
        wait_for_end(home)
        assert not ran.exists()


class TestEnvironment:
    """The environment of the sender, its shell and its sleep (rows 93, 94)."""

    @pytest.mark.extended
    @pytest.mark.usefixtures("default_delay")
    def test_nothing_is_passed_on_but_proxies_and_certificates(
        self, cli: Cli, server: Server, home: Home
    ) -> None:
        """No library is preloaded into it, and no TLS key is logged."""
        kept = {
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "no_proxy": "example.com",
            "SSL_CERT_FILE": "/nowhere.pem",
            "REQUESTS_CA_BUNDLE": "/nowhere.pem",
        }
        dropped = {
            "LD_PRELOAD": "",
            "LD_LIBRARY_PATH": "/nowhere",
            "LD_AUDIT": "",
            "SSLKEYLOGFILE": str(home.path / "keys"),
            "BASH_ENV": str(home.path / "bash"),
            "ENV": str(home.path / "env"),
            "AWS_SECRET_ACCESS_KEY": "secret",
            "PS4": "$(touch ran)",
            "SHELLOPTS": "xtrace",
            "IFS": "/",
            "OPENSSL_CONF": "/nowhere",
        }
        server.reply = Reply(delay=2.0)
        cli.run("deploy", env={**kept, **dropped})
        seen: dict[str, set[bytes]] = {}

        def delivered() -> bool:
            for kind, pid in all_kinds(home).items():
                try:
                    found = environ_of(pid)
                except OSError:
                    continue
                seen[kind] = set(found) - {b"PWD", b"SHLVL", b"_"}
            return len(server.requests) == 1

        wait_until(delivered)
        expected = OWN | {name.encode() for name in kept}
        assert seen
        assert {kind: names for kind, names in seen.items() if names != expected} == {}
        assert any(kind.startswith("python") for kind in seen), seen
        assert "sleep" in seen, seen

    @pytest.mark.usefixtures("default_delay")
    def test_path_is_the_system_s(self, cli: Cli, home: Home) -> None:
        """Whatever my own PATH is."""
        cli.run("deploy", env={"PATH": f".:{os.environ['PATH']}"})
        (pid, *_) = sender_processes(home)
        assert environ_of(pid)[b"PATH"] == b"/usr/bin:/bin:/usr/sbin:/sbin"

    @pytest.mark.sample(1)
    @pytest.mark.parametrize("name", ["sleep", "sh", "python3", "python", "env", "cd", "exec"])
    def test_program_in_the_cwd_is_not_executed(
        self, name: str, make_cli: Callable[..., Cli], server: Server, home: Home, tmp_path: Path
    ) -> None:
        """Though `.` is first on my PATH (row 100)."""
        ran = tmp_path / "ran"
        planted = home.path / name
        planted.write_text(f"#!/bin/sh\necho {name} >> {shlex.quote(str(ran))}\n")
        planted.chmod(0o755)
        cli = make_cli()
        env = {"ACME_TELEMETRY_HOST": server.url, "PATH": f".::{home.path}:{os.environ['PATH']}"}
        assert cli.run("deploy", env=env).stdout == "deployed\n"
        server.wait_for(2)
        assert not ran.exists()


class TestProcess:
    """Descriptors, standard streams, terminal, directory, signals (row 95)."""

    @pytest.mark.extended
    @pytest.mark.usefixtures("default_delay")
    def test_only_the_lock_and_the_job_are_open(self, cli: Cli, server: Server, home: Home) -> None:
        """Of the command's open files none is open in the shell or in the sender."""
        server.reply = Reply(delay=2.0)
        line = 'exec 7<"$0" 8>held 9<>held 63</dev/null; "$@"'
        subprocess.run(
            ["bash", "-c", line, str(cli.script), *cli.command("deploy")],
            env=cli.env(),
            cwd=home.path,
            check=True,
            timeout=30,
        )
        opened: dict[str, set[str]] = {}

        def delivered() -> bool:
            for kind, pid in all_kinds(home).items():
                try:
                    names = os.listdir(f"/proc/{pid}/fd")
                    paths = {os.readlink(f"/proc/{pid}/fd/{name}") for name in names}
                except OSError:
                    continue
                opened.setdefault(kind, set()).update(paths)
            return len(server.requests) == 1

        wait_until(delivered)
        lock = str(lock_of(home))
        spool = os.path.dirname(lock)
        for kind, paths in opened.items():
            own = {"/dev/null", lock}
            foreign = {
                path
                for path in paths - own
                if not path.startswith(("pipe:", "socket:", spool, "/etc/ssl/"))
                and not path.startswith((sys.prefix, sys.base_prefix, "/usr/", str(REPOSITORY)))
            }
            assert foreign == set(), kind

    @pytest.mark.extended
    def test_substitution_does_not_wait_for_it(self, cli: Cli, server: Server, home: Home) -> None:
        """`$(app)` and `app 2>&1 | cat` end with the command, while the sender still runs."""
        cli.run("deploy")  # the first run creates directories and compiles
        wait_until(lambda: sender_processes(home) == [])
        server.reply = Reply(delay=5.0)
        command = shlex.join(cli.command("deploy"))
        for line in (f'x="$({command})"; echo "$x"', f"{command} 2>&1 | cat"):
            run = subprocess.run(
                ["bash", "-c", line], env=cli.env(), cwd=home.path, capture_output=True, timeout=30
            )
            assert run.stdout == b"deployed\n"
            assert is_alive(lock_of(home))

    @pytest.mark.extended
    @pytest.mark.usefixtures("default_delay")
    def test_closed_terminal_does_not_end_it(self, cli: Cli, server: Server, home: Home) -> None:
        """It has no terminal and its own session, and survives the hang-up (row 7)."""
        terminal = Terminal(cli.command("deploy"), cli.env(), home.path)
        assert terminal.close() == 0
        for pid in sender_processes(home):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            assert fields[4] == "0", "it has a controlling terminal"
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
        server.wait_for(2)

    @pytest.mark.extended
    @pytest.mark.usefixtures("default_delay")
    def test_directory_of_the_command_can_be_unmounted(
        self, cli: Cli, server: Server, home: Home
    ) -> None:
        """The sender leaves it at its start."""
        cli.run("deploy")
        for pid in sender_processes(home):
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
        server.wait_for(2)

    @pytest.mark.usefixtures("default_delay")
    def test_signals_that_the_command_ignored_or_blocked_work_in_it(
        self, make_cli: Callable[..., Cli], server: Server, home: Home
    ) -> None:
        """A blocked SIGALRM would never end it, nor would an ignored SIGTERM at a shutdown."""
        ignoring = """
import signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGRTMAX):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
"""
        cli = make_cli(ignoring + APP)
        cli.run("deploy", env={"ACME_TELEMETRY_HOST": server.url})
        pids = sender_processes(home)
        assert pids
        for pid in pids:
            # The C library blocks all signals for the moment in which it starts a child.
            wait_until(partial(nothing_is_blocked, pid))
            ignored = signals(pid, "SigIgn")
            assert ignored & (1 << signal.SIGTERM - 1 | 1 << signal.SIGALRM - 1) == 0
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: sender_processes(home) == [])
        assert len(home.spooled()) == 1


class TestChildren:
    """A program that continues meets no child of ours (rows 98, 101)."""

    @pytest.mark.sample(1)
    @pytest.mark.parametrize("delivery", ["detached", "inline"])
    def test_waiting_for_any_child_never_returns_ours(
        self, delivery: str, make_cli: Callable[..., Cli], server: Server
    ) -> None:
        """`os.wait()` finds no child, and there is no zombie."""
        cli = make_cli(
            f"""
            import os, click
            from click_telemetry import instrument
            cli = click.Group("cli", commands={{"go": click.Command("go", callback=lambda: None)}})
            instrument(cli, app="acme", write_key="key", notice=False, delivery={delivery!r})
            for _ in range(5):
                cli.main(["go"], standalone_mode=False)
                try:
                    print("child", os.wait())
                except ChildProcessError:
                    print("none")
            """
        )
        run = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
        assert (run.stdout, run.stderr) == ("none\n" * 5, "")

    def test_program_waits_for_its_own_children_itself(
        self, make_cli: Callable[..., Cli], server: Server
    ) -> None:
        """We reap no child that we did not start."""
        cli = make_cli(
            """
            import os, click
            from click_telemetry import instrument
            cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
            instrument(cli, app="acme", write_key="key", notice=False)
            own = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], os.environ)
            cli.main(["go"], standalone_mode=False)
            print(os.waitpid(own, 0)[0] == own)
            """
        )
        assert cli.run(env={"ACME_TELEMETRY_HOST": server.url}).stdout == "True\n"


@as_root
class TestOtherUser:
    """A process that acts for another user records nothing (row 96)."""

    def test_root_in_another_user_s_home_records_nothing(
        self, cli: Cli, server: Server, home: Home
    ) -> None:
        """`sudo -E acme` would leave files that I cannot remove."""
        os.chown(home.path, 65534, 65534)
        assert cli.run("deploy").stdout == "deployed\n"
        self.check_nothing(server, home)

    def test_program_with_another_user_s_rights_records_nothing(
        self, make_cli: Callable[..., Cli], server: Server, home: Home
    ) -> None:
        """A setuid program writes nothing, and starts no process."""
        cli = make_cli(f"import os; os.setreuid(65534, 0)\n{APP}")
        assert cli.run("deploy", env={"ACME_TELEMETRY_HOST": server.url}).stdout == "deployed\n"
        self.check_nothing(server, home)

    def check_nothing(self, server: Server, home: Home) -> None:
        """There is no file, no process and no request."""
        assert home.files() == []
        assert sender_processes(home) == []
        time.sleep(0.2)
        assert server.requests == []
