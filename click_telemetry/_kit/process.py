"""Applications in real processes: found, and run in an empty home, with telemetry or without.

It knows nothing of what is compared. Nothing of the person's own is used but `PATH` and the other
variables of the environment: the home is new, and what is sent arrives on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._foreground.options import variable_prefix
from .._instrument import KEY
from .._recorder import CI_VARIABLES, TEST_VARIABLES, directories_of
from .._storage import try_lock
from . import child
from .endpoint import TIMEOUT
from .events import is_opt_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class NotRunnable(Exception):
    """The kit cannot run an application; the message names the fix."""


# Applications -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Application:
    """What is run, and how.

    Attributes:
        kind: of the target, as in `child`.
        target: `module:name`, `file:name`, a module or a script.
        args: the words of the command line.
        python: the words that start its interpreter.
        path: `sys.path` of the process; None for the interpreter's own.
        name: by which it is called, in messages.
        apps: the names of the applications, where they are known already.
    """

    kind: str
    target: str
    args: tuple[str, ...]
    python: tuple[str, ...] = (sys.executable,)
    path: tuple[str, ...] | None = None
    name: str = "cli"
    apps: tuple[str, ...] = ()


def application_of(cli: Any, args: Sequence[str]) -> Application:
    """How to run an object of a module, `"module:name"`, or the words of a command line.

    Raises:
        NotRunnable: the object is in no module, or the command line is not Python's.
    """
    if isinstance(cli, (list, tuple)):
        return _of_words([*cli, *args])
    path = tuple(entry or os.getcwd() for entry in sys.path)
    if isinstance(cli, str):
        module, _, name = cli.partition(":")
        if not module or not name:
            raise NotRunnable(f"{cli!r} names no object: write it as 'acme.cli:cli'")
        kind = child.FILE if module.endswith(".py") else child.OBJECT
        return Application(kind, cli, tuple(args), path=path, name=name)
    kind, target = _located(cli)
    state = getattr(cli, "__dict__", {}).get(KEY)
    known = () if state is None or state.options is None else (state.app,)
    name = target.rpartition(":")[2]
    return Application(kind, target, tuple(args), path=path, name=name, apps=known)


def _located(cli: Any) -> tuple[str, str]:
    """The kind and the target of an object: the module that has it as an attribute."""
    own = getattr(getattr(cli, "callback", None), "__module__", None)
    for module in sorted([*sys.modules], key=lambda name: name != own):
        found = sys.modules[module]
        for name, value in [*getattr(found, "__dict__", {}).items()]:
            if value is cli and module != "__main__":
                return child.OBJECT, f"{module}:{name}"
            if value is cli and getattr(found, "__file__", None):
                return child.FILE, f"{os.path.abspath(str(found.__file__))}:{name}"
    raise NotRunnable(
        f"{cli!r} is an attribute of no module, and another process cannot import it: declare the "
        "application in a module of its own, and pass it or its name, such as 'acme.cli:cli'"
    )


def _of_words(words: list[str]) -> Application:
    """A command line: an interpreter with a script or `-m`, or a script that Python runs."""
    found = shutil.which(words[0])
    if found is None:
        raise NotRunnable(f"{words[0]} was not found: check the spelling, or use its path")
    found = os.path.abspath(found)  # it runs in another directory
    if os.path.basename(found).startswith(("python", "pypy")):
        at = 1
        while at < len(words) and words[at].startswith("-") and words[at] not in ("-m", "-c"):
            at += 2 if words[at] in ("-X", "-W") else 1
        python = (found, *words[1:at])
        rest = words[at:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            return Application(child.MODULE, rest[1], tuple(rest[2:]), python, name=rest[1])
        if rest and rest[0] != "-c":
            script = os.path.abspath(rest[0])
            return Application(child.SCRIPT, script, tuple(rest[1:]), python, name=rest[0])
        raise NotRunnable("name a script or a module after the interpreter")
    with open(found, "rb") as file:
        first, second, third = (file.readline(4096).decode("utf-8", "replace") for _ in range(3))
    shebang = first[2:].split() if first.startswith("#!") else []
    if shebang and shebang[0].endswith("/sh"):
        # The interpreter's path is too long for a first line: pip and uv write `'' 'exec' "…"`.
        words_of_exec = (second + third).partition("exec")[2].replace("'", " ").replace('"', " ")
        shebang = words_of_exec.split()[:1]
    elif shebang and shebang[0].endswith("/env"):
        shebang = [shutil.which(shebang[-1]) or shebang[-1]]
    if not shebang or "python" not in os.path.basename(shebang[0]):
        raise NotRunnable(
            f"{words[0]} is no script of Python, and so cannot be run without its telemetry: name "
            "the interpreter, as in: python -m acme deploy"
        )
    return Application(child.SCRIPT, found, tuple(words[1:]), tuple(shebang), name=words[0])


# Runs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What is seen of a run.

    Attributes:
        status: the exit status, -N after signal N; None if it was killed after TIMEOUT.
        stdout: what it printed.
        stderr: what it printed as errors.
        files: by path, the content of each file that it left, and b"" of each directory, whose path
            ends with a separator; none of telemetry's own.
        seconds: how long it took.
        network: the network calls of the command's own process, where they were counted.
    """

    status: int | None
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    seconds: float
    network: tuple[str, ...] = ()


@dataclass
class Place:
    """A temporary directory with a home and a working directory, made anew for each run.

    Attributes:
        root: of both.
        cwd_name, home_name: of their last components.
        content: the directory that the working directory is a copy of; None for an empty one.
        shared_cwd: whether the command runs in the current directory instead.
        apps: the names of the applications, as far as they are known.
        environ: further variables.
        input: of the command's standard input.
        passed: the messages that the application's own client got in the last run.
    """

    root: Path
    content: Path | None = None
    shared_cwd: bool = False
    apps: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    input: bytes = b""
    cwd_name: str = "work"
    home_name: str = "home"
    passed: list[bytes] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The empty home."""
        return self.root / self.home_name

    @property
    def cwd(self) -> Path:
        """Where the command runs."""
        return Path.cwd() if self.shared_cwd else self.root / self.cwd_name

    @property
    def temporary(self) -> Path:
        """Its directory for temporary files."""
        return self.root / "tmp"

    def reset(self) -> None:
        """Make all directories anew; people were informed in this home."""
        for directory in (self.home, self.temporary):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)
        if not self.shared_cwd:
            shutil.rmtree(self.cwd, ignore_errors=True)
            if self.content is None:
                self.cwd.mkdir()
            else:
                shutil.copytree(self.content, self.cwd, symlinks=True)
        for app in self.apps:
            setting = Path(self._directories(app).setting)
            setting.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            setting.write_text('{"enabled": true}\n')

    def run(
        self,
        application: Application,
        *,
        telemetry: bool,
        origin: str = "",
        host: str | None = None,
        count_network: bool = False,
    ) -> Seen:
        """Run the application once, from the same start.

        Args:
            application: what to run.
            telemetry: whether it is instrumented.
            origin: of the endpoint.
            host: that it sends to, if not to the endpoint.
            count_network: whether its network calls are counted.
        """
        self.reset()
        report = self.root / "report"
        report.unlink(missing_ok=True)
        order = {
            "kind": application.kind,
            "target": application.target,
            "args": application.args,
            "path": application.path,
            "name": application.name,
            "report": str(report),
            "without_telemetry": not telemetry,
            "origin": origin,
            "host": host,
            "count_network": count_network,
        }
        command = [*application.python, child.__file__, json.dumps(order)]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.cwd,
            env=self._environment(origin),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        status: int | None
        try:
            stdout, stderr = process.communicate(self.input, TIMEOUT)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            status = None
        seconds = time.monotonic() - began
        lines = [json.loads(line) for line in _read(report).splitlines()]
        self.apps += [what for kind, what in lines if kind == "app" and what not in self.apps]
        self.passed = [what.encode() for kind, what in lines if kind == "message"]
        network = tuple(what for kind, what in lines if kind == "network")
        return Seen(status, stdout, stderr, self._files(), seconds, network)

    def stored(self) -> dict[str, bytes]:
        """By path, the content of each file of telemetry's own."""
        found = _tree(self.home, self._is_own)
        return {path: content for path, content in found.items() if not path.endswith(os.sep)}

    def events(self) -> int:
        """How many facts wait in the spools, or were passed on: begins, ends and events."""
        return len(self.passed) + sum(
            content.count(b'"run":') for path, content in self.stored().items() if ".facts" in path
        )

    def settle(self, *, empty: bool = False, timeout: float = 30.0) -> bool:
        """Wait until no sender runs.

        Args:
            empty: also until no file waits.
            timeout: seconds.

        Returns:
            Whether that was so in time.
        """
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            spools = [
                path
                for app in self.apps
                for path in Path(self._directories(app).spool).glob("*")
                if path.is_dir()
            ]
            waiting = empty and any([*path.glob("*.facts")] for path in spools)
            if not waiting and not any(_is_locked(path / "lock") for path in spools):
                return True
            time.sleep(0.05)
        return False

    def _directories(self, app: str) -> Any:
        found = directories_of(app, self._environment(""))
        assert found is not None  # HOME is absolute
        return found

    def _environment(self, origin: str) -> dict[str, str]:
        """That of this process, without what would decide about telemetry."""
        dropped = {"HOME", "PYTHONHOME", *CI_VARIABLES, *TEST_VARIABLES}
        environ = {
            name: value
            for name, value in os.environ.items()
            if not (name in dropped or name.startswith(("XDG_", "CLICK_TELEMETRY_")))
            and not is_opt_out(name)
        }
        environ |= {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        environ |= {"PYTHONDONTWRITEBYTECODE": "1", **self.environ}
        for app in self.apps if origin else ():
            prefix = variable_prefix(app)
            environ |= {
                f"{prefix}_TELEMETRY_HOST": origin,
                f"{prefix}_TELEMETRY_WRITE_KEY": "kit",
                f"{prefix}_TELEMETRY_DELAY": "0",
            }
        return environ

    def _is_own(self, path: str) -> bool:
        """Whether a path in the home is telemetry's own, or a directory that leads there."""
        for app in self.apps:
            found = self._directories(app)
            own = found.state + os.sep
            if path == found.setting or path.startswith(own):
                return True
            if path.endswith(os.sep) and (found.setting.startswith(path) or own.startswith(path)):
                return True
        return False

    def _files(self) -> dict[str, bytes]:
        files = _tree(self.home, lambda path: not self._is_own(path))
        for directory in (self.temporary, *(() if self.shared_cwd else (self.cwd,))):
            files |= _tree(directory, lambda path: True)
        return files


@contextmanager
def place(application: Application, **options: Any) -> Iterator[Place]:
    """A place for some runs, deleted afterwards, once no sender is left there."""
    root = Path(os.path.realpath(tempfile.mkdtemp(prefix="click-telemetry-kit-")))
    made = Place(root, apps=[*application.apps], **options)
    try:
        yield made
    finally:
        made.settle()
        shutil.rmtree(root, ignore_errors=True)


def _tree(root: Path, wanted: Any) -> dict[str, bytes]:
    """The wanted files with their contents, and the wanted directories, which end with `/`."""
    found = {}
    for directory, directories, names in os.walk(root):
        for name in (*names, *(os.path.join(one, "") for one in directories)):
            path = os.path.join(directory, name)
            if wanted(path):
                found[path] = _read(Path(path))
    return found


def _read(path: Path) -> bytes:
    try:
        return os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    except OSError:
        return b""  # it is gone, or not ours


def _is_locked(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
