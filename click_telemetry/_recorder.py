"""Records facts: whether a run may be recorded, what is known of it, and its file in the spool.

Only a run that no variable opted out of loads this module, when its first command begins. It opens
no socket, and writes only below the application's own state directory. What can be computed later
is left to `_reader`; what rarely happens is in `_foreground`, loaded by name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from threading import RLock, current_thread, main_thread
from time import monotonic_ns, time_ns
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from . import __version__, _instrument
from ._instrument import SCOPES, WATCH_VARIABLE, CommandState, context_state, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from ._instrument import Scope

    Fact = dict[str, Any]

DYNAMIC = "<dynamic>"
"""A command that the application does not declare: it exists because its name was typed."""

DEFAULT_HOST = "https://api.segment.io"
MAX_VERSION = 128
"""Characters; the version is on every event twice."""

FILE_LIMIT = 512 * 1024
"""Bytes; the sender reads no larger file."""
RESERVED = 96 * 1024
"""Bytes of a file that only begin and end lines may fill."""
LINE_LIMIT = 32 * 1024
PUBLISH_AFTER = 5_000_000_000
"""Nanoseconds from one publication of a long-lived invocation to the next."""
LOWEST_DESCRIPTOR = 10
"""Our descriptors stay above those that shell scripts and daemons close and reuse by number."""
SETTING_LIMIT = 64 * 1024
ID_LIMIT = 256
"""Bytes of the file; an ID and its newline are 37."""

SEND, LOG, CLIENT, WATCH, OFF = "send", "log", "client", "watch", "off"

CI_VARIABLES = (
    "CI",  # the common ground: GitHub, GitLab, CircleCI, Travis, Netlify, Vercel, Cloudflare …
    "CONTINUOUS_INTEGRATION",  # docs.travis-ci.com/user/environment-variables
    "GITHUB_ACTIONS",  # docs.github.com/actions/reference/workflows-and-actions/variables
    "GITLAB_CI",  # docs.gitlab.com/ci/variables/predefined_variables
    "CIRCLECI",  # circleci.com/docs/reference/variables
    "TRAVIS",  # docs.travis-ci.com/user/environment-variables
    "APPVEYOR",  # appveyor.com/docs/environment-variables
    "BUILDKITE",  # buildkite.com/docs/pipelines/configure/environment-variables
    "DRONE",  # docs.drone.io/pipeline/environment/reference
    "TEAMCITY_VERSION",  # jetbrains.com/help/teamcity/predefined-build-parameters.html
    "JENKINS_URL",  # jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables
    "TF_BUILD",  # learn.microsoft.com/azure/devops/pipelines/build/variables
    "CODEBUILD_BUILD_ID",  # docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars
    "BITBUCKET_BUILD_NUMBER",  # support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets
    "BUDDY_WORKSPACE_ID",  # buddy.works/docs/pipelines/environment-variables
    "SEMAPHORE",  # docs.semaphoreci.com/reference/env-vars
    "CIRRUS_CI",  # cirrus-ci.org/guide/writing-tasks/#environment-variables
    "WOODPECKER",  # woodpecker-ci.org/docs/usage/environment
    "BUILD_ID",  # jenkins.io; cloud.google.com/build/docs
)
AGENT_VARIABLES = (
    ("CLAUDECODE", "claude-code"),  # docs.claude.com/en/docs/claude-code/settings
    ("CURSOR_AGENT", "cursor"),  # cursor.com/docs/agent/terminal
    ("GEMINI_CLI", "gemini-cli"),  # google-gemini.github.io/gemini-cli/docs/tools/shell
    ("CODEX_SANDBOX", "codex"),  # github.com/openai/codex, codex-rs/core/src/spawn.rs
    ("CODEX_THREAD_ID", "codex"),  # the same, without the sandbox
    ("OPENCODE", "opencode"),  # github.com/sst/opencode, packages/opencode/src/index.ts
    ("AUGMENT_AGENT", "augment"),  # docs.augmentcode.com/cli
    ("CLINE_ACTIVE", "cline"),  # docs.cline.bot
    ("REPL_ID", "replit"),  # docs.replit.com
    ("COPILOT_AGENT", "copilot"),  # docs.github.com/copilot
)
NAMED_AGENTS = frozenset(("amp", "goose", "crush", *(name for _, name in AGENT_VARIABLES)))
"""What `AGENT` and `AI_AGENT` (agents.md) may say; no other text leaves the machine."""
TEST_VARIABLES = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")  # docs.pytest.org, environment variables
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")  # Docker; Podman
CONTAINER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")  # kubelet; systemd-nspawn, Podman
SESSION_VARIABLE = "CLICK_TELEMETRY_SESSION_ID"

_FALSE = frozenset(("", "0", "false", "no", "off"))
_PLAIN_SETTINGS = {b'{"enabled": true}\n': "enabled", b'{"enabled": false}\n': "disabled"}
_SHOWN = b"shown  \n"
_PRIVATE = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW if os.name == "posix" else 0


# What was declared --------------------------------------------------------------------------------


class Settings:
    """What an application declared: the options of the README's table, and what follows from them.

    Args:
        state: of the root command.
        options: valid ones; None for the default.
    """

    version: str | None = None
    write_key: str | None = None
    host: str | Callable[[], object] = DEFAULT_HOST
    client: Any = None
    consent = "opt-out"
    notice: bool | str = True
    ci = "off"
    properties: Mapping[str, Any] = {}  # noqa: RUF012
    auth: Callable[[], object] | None = None
    error_packages: Iterable[str] = ()
    delivery = "detached"
    flush_timeout = 0.5
    no_telemetry_option: bool | str = True
    app_known = True

    def __init__(self, state: CommandState, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if value is not None:
                setattr(self, name, value)
        self.app = state.app
        self.declared = state.options or {}
        self.package = state.package or "__main__"
        self.prefix = state.prefix


def settings_of(scope: Scope) -> Settings:
    """What was declared for the root of a command that runs."""
    state = scope.state
    if state.settings is None:
        if state.package is None:
            module = getattr(getattr(scope.root.command, "callback", None), "__module__", None)
            named = isinstance(module, str) and module
            state.package = module.partition(".")[0] if named else "__main__"
        state.settings = Settings(state, state.options or {})
    return state.settings


# May it be recorded? ------------------------------------------------------------------------------


class Decision:
    """Whether a run is recorded, and why not.

    Attributes:
        mode: SEND, LOG, CLIENT, WATCH or OFF.
        reason: a key of `REASONS` (`_foreground.reasons`) when the mode is OFF, else empty.
        detail: the variable that opted out, where one did.
    """

    __slots__ = ("detail", "mode", "reason")

    def __init__(self, mode: str, reason: str = "", detail: str = "") -> None:
        self.mode = mode
        self.reason = reason
        self.detail = detail


class Conditions:
    """What the decision depends on, each looked up when it is asked for.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        stdout: the process's standard output.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], stdout: object) -> None:
        self.settings = settings
        self.environ = environ
        self.stdout = stdout
        self.directories = directories(settings.app, environ)
        self._destination: Any = None

    @property
    def setting(self) -> str:
        """The saved setting: `none`, `enabled`, `disabled` or `unreadable`."""
        return read_setting(self.directories.setting) if self.directories is not None else "none"

    @property
    def other_user(self) -> bool:
        """Whether the process runs with another user's rights, or in another user's home."""
        if not hasattr(os, "geteuid"):
            return False
        home = self.environ.get("HOME")
        try:
            return os.getuid() != os.geteuid() or bool(
                home and os.stat(home).st_uid != os.geteuid()
            )
        except OSError as error:
            pass_on(error)
            return False  # there is no such home; whether state can be stored is another question

    @property
    def test_run(self) -> bool:
        """Whether pytest is loaded here or above, or Click's own runner holds stdout."""
        return (
            "_pytest" in sys.modules
            or any(name in self.environ for name in TEST_VARIABLES)
            or type(self.stdout).__module__.endswith("click.testing")
        )

    @property
    def ci(self) -> bool:
        """Whether this is CI, and the application does not label such runs instead."""
        return self.settings.ci == "off" and is_ci(self.environ)

    @property
    def watched(self) -> bool:
        """Whether `click-telemetry watch` asks for the events, at a loopback address."""
        if WATCH_VARIABLE not in self.environ:
            return False
        from ._foreground import watch

        return watch.address(self.environ) is not None

    @property
    def destination(self) -> Destination | None:
        """Where the events go; each of the application's functions is asked once."""
        if self._destination is None:
            settings = self.settings
            variable = settings.prefix + "_TELEMETRY_"
            key = settings.write_key
            if settings.auth is None and key is None and variable + "WRITE_KEY" not in self.environ:
                self._destination = (None,)
            elif (
                settings.auth is None
                and isinstance(settings.host, str)
                and key is not None
                and settings.app_known
                and variable + "HOST" not in self.environ
            ):
                self._destination = (Destination(settings.host, key),)
            else:
                from ._foreground import destination

                self._destination = (destination.find(settings, self.environ),)
        found: Destination | None = self._destination[0]
        return found

    @property
    def storable(self) -> bool:
        """Whether the state directory is there, or can be made."""
        if self.directories is None:
            return False
        try:
            check_private_directory(self.directories.state)
        except FileNotFoundError as error:
            pass_on(error)
            from ._storage import can_be_made

            return can_be_made(self.directories.state)
        except OSError as error:
            pass_on(error)
            return False
        return True

    @property
    def notice_shown(self) -> bool:
        """Whether the notice has been shown, or the application informs its users itself."""
        if self.settings.notice is False:
            return True
        try:
            found = self.directories
            return found is not None and read_file(found.notice, 64) == _SHOWN
        except OSError as error:
            pass_on(error)
            return False


def decide(
    settings: Settings, environ: Mapping[str, str], conditions: Conditions, opted_out: str = ""
) -> Decision:
    """Whether a run is recorded. Any opt-out takes precedence; the first that applies is the reason.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        conditions: what else the decision depends on.
        opted_out: `flag` if `--no-telemetry` applies to the run, else empty.
    """
    if opted_out:
        return Decision(OFF, opted_out)
    variable = _instrument.opt_out_variable(environ, settings.prefix)
    if variable is not None:
        return Decision(OFF, "variable", variable)
    setting = conditions.setting
    if setting == "disabled":
        return Decision(OFF, "setting")
    if setting == "unreadable":
        return Decision(OFF, "unreadable_setting")
    if conditions.other_user:
        return Decision(OFF, "other_user")
    if environ.get(settings.prefix + "_TELEMETRY", "").strip().lower() == LOG:
        return Decision(LOG)
    if settings.client is not None:
        return Decision(CLIENT)
    if conditions.watched:
        return Decision(WATCH)
    if conditions.test_run:
        return Decision(OFF, "test_run")
    if conditions.ci:
        return Decision(OFF, "ci")
    if conditions.destination is None:
        return Decision(OFF, "no_destination")
    if not conditions.storable:
        return Decision(OFF, "not_storable")
    if setting != "enabled":
        if settings.consent == "opt-in":
            return Decision(OFF, "not_opted_in")
        if not conditions.notice_shown:
            return Decision(OFF, "notice_not_shown")
    return Decision(SEND)


PERSONAL = frozenset(("flag", "variable", "setting", "unreadable_setting", "other_user"))
"""The reasons that are a person's opt-out, which applies to what a run starts too."""


class Destination:
    """Where events go.

    Attributes:
        host: an origin.
        write_key: Segment's; empty with a token.
        token: what authorises instead of the write key, or None.
    """

    __slots__ = ("host", "token", "write_key")

    def __init__(self, host: str, write_key: str, token: str | None = None) -> None:
        self.host = host
        self.write_key = write_key
        self.token = token

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits, the same in every process: the name of its spool.

        FNV-1a in 64 bits (draft-eastlake-fnv) tells a person's few destinations apart and guards
        no secret; hashlib takes 3 ms to load.
        """
        tier = "\0bearer" if self.token is not None else ""  # no key has a NUL
        digest = 0xCBF29CE484222325
        for byte in f"{self.host}\0{self.write_key}{tier}".encode("utf-8", "surrogatepass"):
            digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return f"{digest:016x}"


# Directories and small files ----------------------------------------------------------------------


class Directories:
    """The two directories of one application, and the files in them.

    Attributes:
        setting: the saved setting, in the configuration directory that the application shares.
        state: ours alone: the anonymous ID, the notice's marker and the spool.
    """

    __slots__ = ("anonymous_id", "notice", "setting", "spool", "state")

    def __init__(self, config: str, state: str) -> None:
        self.setting = config + os.sep + "telemetry.json"
        self.state = state
        self.anonymous_id = state + os.sep + "id"
        self.notice = state + os.sep + "notice"
        self.spool = state + os.sep + "spool"


def directories(app: str, environ: Mapping[str, str]) -> Directories | None:
    """The directories of an application, or None where there is no absolute path for them.

    On Linux what platformdirs answers, without its 9 ms of import. As the specification has it, a
    variable that is not absolute is ignored, and no blank is cut off. (platformdirs does so since
    4.14.3; a setting must not move when it is upgraded.)

    Args:
        app: a valid application name.
        environ: the process's environment.
    """
    platform: str = sys.platform  # mypy would call what follows unreachable
    if platform != "linux":
        from ._foreground.directories import platform_directories

        return platform_directories(app, environ)
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME", "")
    state = environ.get("XDG_STATE_HOME", "")
    if not config.startswith("/") or not state.startswith("/"):
        if not home.startswith("/"):
            return None
        home = home.rstrip("/")
        config = config if config.startswith("/") else home + "/.config"
        state = state if state.startswith("/") else home + "/.local/state"
    return Directories(os.path.join(config, app), os.path.join(state, app, "telemetry"))


def read_setting(path: str) -> str:
    """The saved setting: `none`, `enabled`, `disabled` or `unreadable`."""
    try:
        content = read_file(path, SETTING_LIMIT, follow=True)
    except NotADirectoryError as error:
        pass_on(error)
        return "none"
    except OSError as error:
        pass_on(error)
        return "unreadable"
    if content is None:
        return "none"
    plain = _PLAIN_SETTINGS.get(content)
    if plain is None:
        from ._foreground import consent_file

        plain = consent_file.parse(content)
    return plain


def read_file(path: str, limit: int, *, follow: bool = False) -> bytes | None:
    """Read a whole regular file of this user; None where there is none.

    Args:
        path: an absolute path.
        limit: the most bytes that are acceptable.
        follow: whether a symbolic link is acceptable (dotfiles often are).

    Raises:
        OSError: it is no regular file of this user, too large, or cannot be read.
    """
    if os.name != "posix":
        from ._storage import read_small

        return read_small(path, limit=limit, follow=follow)
    try:
        descriptor = os.open(path, os.O_RDONLY | (_PRIVATE & ~os.O_NOFOLLOW if follow else _PRIVATE))
    except FileNotFoundError as error:
        pass_on(error)
        return None
    try:
        found = os.fstat(descriptor)
        if not _is_own_file(found) or found.st_size > limit:
            raise OSError(errno.EPERM, "not a small file of this user", path)
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def check_private_directory(path: str) -> None:
    """Raise unless a directory is ours alone: no link, this user's, writable by no other.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is not ours, or cannot be examined.
    """
    found = os.lstat(path)
    foreign = hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022)
    if foreign or not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EPERM, "not a private directory of this user", path)


def open_private(path: str, flags: int) -> int:
    """Open a file of ours for writing, on a descriptor that no program expects to be free.

    Args:
        path: an absolute path in a private directory.
        flags: of `os.open`, in addition to those that keep it private.

    Raises:
        OSError: it cannot be opened, or what is there is not ours.
    """
    if os.name != "posix":
        from ._storage import open_private as open_shared

        return open_shared(path, flags)
    import fcntl  # 0.4 M instructions: not before there is something to write

    low = descriptor = os.open(path, flags | _PRIVATE, 0o600)
    try:
        found = os.fstat(low)
        if not _is_own_file(found):
            raise OSError(errno.EPERM, "not a file of this user", path)
        if low < LOWEST_DESCRIPTOR:
            descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
            os.close(low)
        if found.st_mode & 0o600 != 0o600:
            os.fchmod(descriptor, 0o600)  # a umask of 0777 would hide it from the sender
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this open file alone; False when another process holds it.

    Raises:
        OSError: the file system or the platform has no working locks.
    """
    if os.name != "posix":
        from ._storage import try_lock as lock_shared

        return lock_shared(descriptor)
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pass_on(error)
        return False
    return True


def _is_own_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


# Who runs the command -----------------------------------------------------------------------------


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether one of the known CI services has set its variable to anything but an off value."""
    for name in CI_VARIABLES:
        if name in environ and environ[name].strip().lower() not in _FALSE:
            return True
    return False


def agent(environ: Mapping[str, str]) -> str:
    """The coding agent that runs the command; empty for none."""
    for variable, name in AGENT_VARIABLES:
        if variable in environ and environ[variable].strip().lower() not in _FALSE:
            return name
    for variable in ("AI_AGENT", "AGENT"):
        value = environ.get(variable, "").strip().lower()
        if value in NAMED_AGENTS:
            return value
    return ""


def head(settings: Settings, environ: Mapping[str, str], anonymous_id: str) -> Fact:
    """The first fact of a file: what is the same for a whole invocation.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        anonymous_id: the installation's.
    """
    terminals = 0
    for descriptor in (0, 1, 2):
        try:
            terminals |= os.isatty(descriptor) << descriptor
        except OSError as error:  # it is closed
            pass_on(error)
    session = environ.get(SESSION_VARIABLE)
    if session is not None:
        from ._foreground.identity import is_random_id

        session = session if is_random_id(session) else None
    return {
        "v": 1,
        "app": settings.app,
        "version": current_version(settings),
        "library": __version__,
        "python": sys.hexversion,
        "platform": sys.platform,
        "machine": os.uname().machine
        if hasattr(os, "uname")
        else environ.get("PROCESSOR_ARCHITECTURE", ""),
        "ci": int(is_ci(environ)),
        "agent": agent(environ),
        "tty": terminals,
        "container": int(
            any(name in environ for name in CONTAINER_VARIABLES)
            or any(os.path.exists(path) for path in CONTAINER_FILES)
        ),
        "id": anonymous_id,
        "session": session,
    }


def current_version(settings: Settings) -> str | None:
    """The declared version, else the `__version__` of the package if it is loaded."""
    if settings.version is not None:
        return settings.version
    # Not getattr: a package may run code for it, load importlib.metadata or warn (as Click's).
    found = getattr(sys.modules.get(settings.package), "__dict__", {}).get("__version__")
    return found if isinstance(found, str) and len(found) <= MAX_VERSION else None


# Which command, which flags -----------------------------------------------------------------------


def command_and_flags(app: str, contexts: list[Any]) -> tuple[str, list[str]]:
    """The command's path, and the sorted names of the options that were typed.

    Names come from the contexts and from the registries of groups. Nothing is looked up anew: a
    group's `get_command` may print, load plugins, or make another object at each call.

    Args:
        app: the configured name; what the root was started as may be a path.
        contexts: from the root's context down to the leaf's.
    """
    segments = [app]
    flags: set[str] = set()
    parent: Any = None
    for context in contexts:
        segment = ""
        # click-repl enters the root anew for each line.
        if parent is not None and context.command is not parent.command:
            segment = _segment(parent, context)
            segments.append(segment)
        parent = context
        if segment != DYNAMIC:
            _add_flags(flags, context)
    return " ".join(segments), sorted(flags)


def _segment(parent: Any, context: Any) -> str:
    """The declared name of a sub-command, whatever was typed for it."""
    typed, command = context.info_name, context.command
    registered = context_state(parent).registered
    if registered is None:
        registered = getattr(parent.command, "commands", {})
    own = command.name
    if registered.get(typed) is command and own == typed:
        return str(typed)
    names = [name for name, known in registered.items() if known is command]
    if names:
        # Of several names the command's own is the application's; others may be a user's aliases.
        return str(own if own in names else typed if typed in names else names[0])
    # The last resort, since listing may load plugins: which names does the group declare?
    listing = getattr(parent.command, "list_commands", None)
    declared = list(listing(parent)) if listing is not None else []
    if typed in declared:
        return str(typed)
    return str(own) if isinstance(own, str) and own in declared else DYNAMIC


def _add_flags(flags: set[str], context: Any) -> None:
    state = context_state(context)
    seen: set[int] = set()
    # What the command was parsed with (a class may add to it), and what it has by now.
    for parameter in (*state.parameters, *getattr(context.command, "params", ())):
        if id(parameter) in seen or getattr(parameter, "param_type_name", "") != "option":
            continue
        seen.add(id(parameter))
        name = parameter.name
        if isinstance(name, str) and parameter is not state.option:
            if _instrument.on_command_line(context, name):
                flags.add(_typed_form(parameter, context.params.get(name)))


def _typed_form(parameter: Any, value: Any) -> str:
    """An option's name, of an on/off option that is off the name of its negative form."""
    if value is not False or not getattr(parameter, "is_flag", False):
        return str(parameter.name)
    negative = parameter.secondary_opts
    if not negative and getattr(parameter, "flag_value", None) is False:
        negative = parameter.opts
    longest = max(negative, key=len, default="")
    return longest.lstrip("-/+").replace("-", "_") or str(parameter.name)


# The invocation -----------------------------------------------------------------------------------


class Run:
    """One leaf that began.

    Attributes:
        begin: the fact that it began.
        live: whether it goes on.
        number: its number in the invocation, from 1.
    """

    __slots__ = ("begin", "invocation", "live", "number")

    def __init__(self, invocation: Invocation, number: int, begin: Fact) -> None:
        self.invocation = invocation
        self.number = number
        self.begin = begin
        self.live = True


class Invocation:
    """What is recorded of one run of a root command: its runs, and the facts in their order.

    Args:
        settings: what the application declared.
        head: see `head`.
        sink: where the facts go.
        dropped: events that were dropped before it began.

    Attributes:
        digits: 32 random hexadecimal digits that every ID derives from.
        events: what the application itself records (`_events.state`); None before it does.
        open_runs: the runs that go on, by number.
        sequence: of the last fact that becomes an event.
    """

    __slots__ = (
        *("_facts", "_lock", "_pid", "_writing", "closed", "digits", "dropped", "events", "head"),
        *("latest", "open_runs", "postponed", "runs", "sequence", "settings", "sink"),
    )

    def __init__(self, settings: Settings, head: Fact, sink: Any, dropped: int) -> None:
        self.settings = settings
        self.head = head
        self.sink = sink
        self.dropped = dropped
        self.digits = os.urandom(16).hex()
        self.events: Any = None
        self.closed = False
        self.latest: Run | None = None
        self.open_runs: dict[int, Run] = {}
        self.postponed: list[Run] = []
        self.runs = 0
        self.sequence = 0
        self._facts: list[tuple[list[Fact], bool]] = []
        self._lock = RLock()  # a signal handler may record an event amid another
        self._pid = os.getpid()
        self._writing = False

    @property
    def is_own(self) -> bool:
        """Whether this process began it: a forked child records nothing, and touches no lock."""
        return os.getpid() == self._pid

    def begin_run(
        self,
        command: str,
        flags: list[str],
        own: Fact | None = None,
        at: int | None = None,
        before: Iterable[Fact] = (),
    ) -> Run:
        """A leaf begins.

        Args:
            command: its path.
            flags: the names of its explicit flags.
            own: properties of both of its events.
            at: when, in nanoseconds since the epoch; now by default.
            before: facts that come first, in the same write.
        """
        with self._lock:
            self.runs += 1
            number = self.runs
        fact: Fact = {"run": number, "n": 0, "at": time_ns() if at is None else at}
        fact["command"] = command
        fact["flags"] = flags
        self._add_properties(fact, own)
        run = Run(self, number, fact)
        self.open_runs[number] = run
        self.latest = run
        self.write([*before, fact], lifecycle=True)
        return run

    def end_run(
        self, run: Run, outcome: Fact, own: Fact | None = None, at: int | None = None
    ) -> None:
        """A leaf has ended; only the first call counts.

        Args:
            run: the leaf.
            outcome: `exit`, `ms`, `error` and so on.
            own: properties of both of its events.
            at: when, in nanoseconds since the epoch; now by default.
        """
        if not run.live or not self.is_own:
            return
        run.live = False
        fact: Fact = {"run": run.number, "n": 0, "at": time_ns() if at is None else at, **outcome}
        self._add_properties(fact, own)
        self.write([fact], lifecycle=True, ended=run)

    def _add_properties(self, fact: Fact, own: Fact | None) -> None:
        properties = own if self.events is None else self.events.merged(own or {})
        if properties:
            fact["p"] = properties

    def count_dropped(self, count: int) -> None:
        """Count what could not be recorded; the next fact carries the number."""
        with self._lock:
            self.dropped += count

    def write(self, facts: list[Fact], *, lifecycle: bool = False, ended: Run | None = None) -> None:
        """Give facts their sequence, and write them in one write.

        Args:
            facts: of a run, with a place for `n`; or an identify.
            lifecycle: whether a begin or an end is among them, which is never given up easily.
            ended: the run that ends with them.
        """
        if not self.is_own:
            return  # the parent records, and may hold the lock
        with self._lock:
            if self.closed:
                count_stray()
                return
            self._facts.append((facts, lifecycle))
            if self._writing:
                return  # a signal handler amid another write of this thread: after that one
            self._writing = True
            try:
                while self._facts:
                    self._write(*self._facts.pop(0))
            finally:
                self._writing = False
                if ended is not None:
                    self.open_runs.pop(ended.number, None)

    def _write(self, facts: list[Fact], lifecycle: bool) -> None:
        for fact in facts:
            if "run" in fact:
                self.sequence += 1
                fact["n"] = self.sequence
        reported, count = facts[0], self.dropped
        if count:
            reported["dropped"] = count
        try:
            self.sink.write(self, facts, lifecycle)
            self.dropped -= count
        except Exception as error:  # a full disk, a client that fails: the command goes on
            pass_on(error)
            self.dropped += len(facts)

    def close(self) -> None:
        """The root has ended: nothing more is recorded."""
        if not self.is_own:
            return
        if self.events is not None:
            self.events.end_open()
        with self._lock:
            if self.closed:
                return
            self.closed = True
        self.sink.close(self)  # outside the lock: a thread that records now must not wait for it


def count_stray() -> None:
    """Count an event that no invocation could take; the next invocation reports it."""
    if _instrument.events is not None:
        _instrument.events.count_stray()


# The spool ----------------------------------------------------------------------------------------


class SpoolFile:
    """One file of the spool while it is written: open, and locked by its writer.

    Args:
        path: a new file's.

    Raises:
        OSError: it cannot be made, or the file system has no locks; nothing is left of it.
    """

    __slots__ = ("_identity", "_torn", "descriptor", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._torn = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.descriptor = descriptor = open_private(path, flags)
        try:
            locked = try_lock(descriptor)
            found = os.fstat(descriptor)
            if not locked or not found.st_nlink:
                raise OSError(errno.EAGAIN, "a sender took the file before it was locked", path)
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        self._identity = (found.st_dev, found.st_ino)

    def links(self) -> int:
        """How many names the file has; 0 if it is deleted.

        Raises:
            OSError: the descriptor is not this file's any more: the command has closed it.
        """
        found = os.fstat(self.descriptor)
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError(errno.EBADF, "the descriptor is another file's", self.path)
        return found.st_nlink

    def append(self, lines: bytes) -> None:
        """Write whole lines, in one call if the disk takes them.

        Raises:
            OSError: not all of it was written. What was cut short is ended by the next write, so
                that only it is lost.
        """
        if self._torn:
            lines = b"\n" + lines
        written = 0
        try:
            while written < len(lines):
                written += os.write(self.descriptor, lines[written:])
            self._torn = False
        except OSError:
            self._torn = self._torn or self.size + written > 0
            raise
        finally:
            self.size += written

    def release(self) -> None:
        """Unlock and close: a sender may read the file from now on.

        It is unlocked first: a forked child that inherited the descriptor would keep the lock.
        """
        try:
            if self.links() and not self.size:
                os.unlink(self.path)  # no write succeeded
            unlock(self.descriptor)
            os.close(self.descriptor)
        except OSError as error:
            pass_on(error)


class Spool:
    """Writes the facts of an invocation to files of its own, each write at once.

    Args:
        directory: the destination's; made if it is missing.
        job: what a sender needs to know; None where no sender is to be started.
    """

    # file: the current one; None before the first and between two.
    # last_at, last_n: of the last fact that was written.
    # publication: how often something was published; a quota per publication begins anew.
    # stopped: nothing more is written: the command has closed our descriptor, or the person has
    #   deleted what was recorded.
    # unsent: whether something was written since the last hand-over.
    # unwritten: begin and end lines that a full disk did not take.
    __slots__ = (
        *("directory", "file", "job", "last_at", "last_n", "named", "part", "publication"),
        *("published_at", "stopped", "unsent", "unwritten"),
    )

    read_only = False

    def __init__(self, directory: str, job: Any) -> None:
        self.directory = directory
        self.job = job
        self.file: SpoolFile | None = None
        self.last_at = self.last_n = self.named = self.part = self.publication = 0
        self.published_at = monotonic_ns()
        self.stopped = self.unsent = False
        self.unwritten = b""

    @property
    def state_directory(self) -> str:
        """The directory of everything that is stored for the application."""
        return os.path.dirname(os.path.dirname(self.directory))

    def write(self, invocation: Invocation, facts: list[Fact], lifecycle: bool) -> None:
        """Append facts; they survive the death of this process from then on.

        Raises:
            OSError: they could not be written. Those with a begin or an end are kept, and written
                with the next ones.
        """
        lines = self.unwritten
        for fact in facts:
            line = encode(fact).encode("ascii") + b"\n"
            if len(line) > LINE_LIMIT:
                raise OSError(errno.EMSGSIZE, "the line is too long")
            lines += line
        try:
            self.append(invocation, lines, lifecycle)
            self.unwritten = b""
        except OSError:
            if lifecycle and not self.stopped and len(lines) <= RESERVED:
                self.unwritten = lines
            raise
        self.last_at, self.last_n = facts[-1]["at"], invocation.sequence
        if monotonic_ns() - self.published_at >= PUBLISH_AFTER:
            self.publish(invocation)

    def append(self, invocation: Invocation, lines: bytes, lifecycle: bool) -> None:
        """Append lines to the current file, or to a new one.

        Raises:
            OSError: they could not be written.
        """
        if self.stopped:
            raise OSError(errno.EBADF, "recording has stopped")
        if self.file is not None:
            self.check()
            limit = FILE_LIMIT if lifecycle else FILE_LIMIT - RESERVED
            if self.file.size + len(lines) > limit:
                from ._foreground import rotation

                rotation.make_room(invocation, self, len(lines), lifecycle=lifecycle)
        if self.file is None:
            self.file = self.new_file(invocation)
            lines = self.head(invocation) + lines
        self.file.append(lines)
        self.unsent = True

    def check(self) -> None:
        """Stop recording where the file is not ours any more.

        Raises:
            OSError: it is not; the descriptor's number may be another file's by now.
        """
        if self.file is not None:
            try:
                if self.file.links():
                    return
            except OSError:
                self.stopped = True
                raise
            self.stopped = True  # the person has deleted what was recorded
            raise OSError(errno.ENOENT, "the file is deleted", self.file.path)

    def head(self, invocation: Invocation) -> bytes:
        """The first line of a new file."""
        head = invocation.head
        if self.part > 1:
            from ._foreground import rotation

            head = rotation.head(invocation, self)
        return encode(head).encode("ascii") + b"\n"

    def new_file(self, invocation: Invocation) -> SpoolFile:
        """The next part's file, empty and locked.

        Raises:
            OSError: it cannot be made; nothing is left of it.
        """
        try:
            check_private_directory(os.path.dirname(self.directory))
            check_private_directory(self.directory)
        except FileNotFoundError as error:
            pass_on(error)
            if self.part:
                self.stopped = True  # the person has deleted what was recorded, and wants no more
                raise
            from ._storage import make_private_directory

            make_private_directory(self.directory)
        # Later than the last one's name whatever the clock says: parts are read in order.
        self.named = max(time_ns(), self.named + 1)
        name = f"{self.named:020d}-{invocation.digits}-{self.part + 1:04d}.facts"
        made = SpoolFile(f"{self.directory}{os.sep}{name}")
        self.part += 1
        return made

    def publish(self, invocation: Invocation) -> None:
        """Let a sender have what is written so far."""
        if not self.unwritten:
            from ._foreground import rotation

            rotation.publish(invocation, self)

    def close(self, invocation: Invocation) -> None:
        """The invocation has ended: release its file, and have it delivered."""
        if self.unwritten:
            try:
                self.append(invocation, self.unwritten, lifecycle=True)
            except OSError as error:
                pass_on(error)  # it is lost: no event is left to report it
        if self.file is not None:
            self.file.release()
        if self.unsent and not self.stopped and self.job is not None:
            self.hand_off(leaving=_is_leaving())

    def hand_off(self, *, leaving: bool) -> None:
        """Have a sender started.

        Args:
            leaving: whether the process ends soon; then it is started at the very end.

        Raises:
            OSError: none could be started.
        """
        self.unsent = False
        if self.job.settings.delivery == "inline" or not self.job.is_detachable:
            from ._foreground import inline

            inline.deliver(self.job)
        elif leaving:
            _instrument.at_exit.append(self.job.start)
        else:
            self.job.start(away=True)


def unlock(descriptor: int) -> None:
    """Unlock a file, for every process that inherited it too."""
    if os.name != "posix":
        from ._storage import unlock as unlock_shared

        unlock_shared(descriptor)
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _close_in_child() -> None:
    """Close a forked child's copies of our descriptors: they would keep the parent's locks."""
    for scope in SCOPES:
        sink = getattr(scope.invocation, "sink", None)
        file = getattr(sink, "file", None)
        if file is not None:
            sink.file = None
            try:
                file.links()
                os.close(file.descriptor)
            except OSError:
                continue  # the command has closed it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def encode(value: Any) -> str:
    """JSON text, ASCII alone, on one line; `json` takes 1.7 ms to load."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'
        from ._foreground.text import quote

        return quote(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode(key)}:{encode(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    return repr(value)


# Beginning and ending -----------------------------------------------------------------------------

_invocations = 0
"""How many root commands have been decided in this process."""


def begin(scope: Scope, contexts: list[Any]) -> None:
    """A leaf is about to run: decide, at its root's first one, and record that it begins.

    Args:
        scope: of the leaf.
        contexts: from the root's context down to the leaf's.
    """
    root = scope.root
    if not root.decided:
        root.decided = True  # should anything below fail, it is not tried again at each leaf
        _open(root, contexts[0])
    invocation = root.invocation
    if invocation is None:
        if root.opted_out:
            scope.opted_out = root.opted_out
            _instrument.OPTED_OUT.append(scope)
        return
    command, flags = command_and_flags(invocation.settings.app, contexts)
    if root.deferred:
        scope.run = _instrument.events.begin_with_deferred(root, command, flags)
    else:
        scope.run = invocation.begin_run(command, flags)
    scope.started = monotonic_ns()


def _open(root: Scope, context: Any) -> None:
    """Decide about a root, and open what the decision asks for."""
    global _invocations
    _invocations += 1
    settings = settings_of(root)
    conditions = Conditions(settings, os.environ, sys.stdout)
    decision = decide(settings, os.environ, conditions)
    root.decision = decision
    if decision.mode == OFF:
        if decision.reason in PERSONAL:
            root.opted_out = decision.reason
        elif decision.reason == "notice_not_shown":
            from ._foreground import notice

            notice.show_for(settings, conditions.directories, context)
        return
    found = _sink(settings, conditions, decision)
    if found is None:
        return
    sink, anonymous_id = found
    dropped = root.dropped
    if _instrument.events is not None:
        dropped += _instrument.events.take_strays()
    facts = head(settings, os.environ, anonymous_id)
    invocation = Invocation(settings, facts, sink, dropped)
    if settings.properties or _instrument.events is not None:
        from ._events import state

        state.prepare(invocation, root)
    root.invocation = invocation


def _sink(settings: Settings, conditions: Conditions, decision: Decision) -> Any:
    """Where the facts go, and the anonymous ID that goes with it; None for nowhere."""
    found = conditions.directories
    destination = conditions.destination if decision.mode == SEND else None
    if destination is None or found is None:
        from ._foreground import sinks

        return sinks.find(settings, conditions, decision)
    try:
        content = read_file(found.anonymous_id, ID_LIMIT)
    except OSError as error:
        pass_on(error)
        content = None
    anonymous_id = (content or b"").decode("ascii", "replace").removesuffix("\n")
    if len(anonymous_id) != 36 or anonymous_id[14] != "4":
        from ._foreground import identity

        anonymous_id = identity.read_or_create(found.anonymous_id)
    from . import _launcher

    directory = found.spool + os.sep + destination.digest
    job = _launcher.SenderJob(settings, directory, destination, found.setting, anonymous_id)
    return Spool(directory, job), anonymous_id


def end(scope: Scope, ended: int, error: BaseException | None, result: object) -> None:
    """A command has ended: a recorded leaf, or a root.

    Args:
        scope: the command's.
        ended: on the monotonic clock, in nanoseconds.
        error: what ended it, or None.
        result: what it returned.
    """
    invocation = scope.root.invocation
    if invocation is None:
        return
    outcome: Fact = {"exit": 0}
    if error is not None:
        from ._foreground import outcome as outcomes

        outcome = outcomes.of_command(error, invocation.settings, scope.command)
    run = scope.run
    try:
        if run is not None and error is None and is_unfinished(result):
            invocation.postponed.append(run)
        elif run is not None:
            duration = (ended - scope.started) // 1_000_000
            invocation.end_run(run, {"exit": outcome["exit"], "ms": duration, **outcome})
    finally:
        if scope is scope.root:
            for run in invocation.postponed:
                invocation.end_run(run, outcome)
            invocation.close()


def is_unfinished(result: object) -> bool:
    """Whether a result is work that is yet to be done: a coroutine, a generator, a future.

    Its type alone is looked at: `isinstance` would run a proxy's own code.
    """
    kind = type(result)
    return kind in (CoroutineType, GeneratorType, AsyncGeneratorType) or hasattr(kind, "__await__")


def _is_leaving() -> bool:
    """Whether the process ends when this invocation does: it is the only one, and `main` exits."""
    if _invocations != 1 or current_thread() is not main_thread():
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        # Click's own and its relatives' `main` have this parameter.
        if "standalone_mode" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return bool(frame.f_locals["standalone_mode"])
        frame = frame.f_back
    return False
