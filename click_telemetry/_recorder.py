"""Records facts: whether a run may be recorded, and what is known of it.

Only a run that no variable opted out of loads this module, when its first leaf begins. It opens no
socket and writes nothing: facts go to a sink, `_spool`'s files in an ordinary run. What can be
computed later is left to `_reader`; what rarely happens is in `_foreground`, loaded by name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from threading import RLock, current_thread, main_thread
from time import monotonic_ns, time_ns
from types import AsyncGeneratorType, FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any

from . import __version__, _instrument
from ._instrument import FALSE, SCOPES, CommandState, on_command_line, pass_on, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Protocol

    from ._instrument import Scope

    Fact = dict[str, Any]

    class Sink(Protocol):
        """Where facts go."""

        publication: int  # how often something was published; a quota per publication begins anew
        read_only: bool  # nothing may be stored, in an application's own records either
        state_directory: str | None  # of everything that is stored for the application

        def write(self, invocation: Invocation, facts: list[Fact], lifecycle: bool) -> None:
            """Take facts; `lifecycle` if a begin or an end is among them."""

        def publish(self, invocation: Invocation) -> None:
            """Let a sender have what is written so far."""

        def close(self, invocation: Invocation) -> None:
            """The invocation has ended."""


SEND, LOG, CLIENT, WATCH, OFF = "send", "log", "client", "watch", "off"
PERSONAL = ("flag", "variable", "administrator", "setting", "unreadable_setting", "other_user")
"""The reasons that are a person's opt-out, which applies to what a run starts too."""
DEFAULT_HOST = "https://api.segment.io"
DYNAMIC = "<dynamic>"  # a command that exists only because its name was typed
PLUGIN = "<plugin>"  # a command of a package that is not the application's
MAX_VERSION = 128  # characters; the version is on every event twice
SETTING_LIMIT = 64 * 1024
ID_LIMIT = 256  # bytes of the file; an ID and its newline are 37
SHOWN = b"shown  \n"  # the notice's marker, as long as the one before it
OFFERED = b"offered\n"  # the same, of an application that is opt-in
MARKERS = {"notice_not_shown": SHOWN, "not_opted_in": OFFERED}  # of what a run shows once
SESSION_VARIABLE = "CLICK_TELEMETRY_SESSION_ID"

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
NAMED_AGENTS = ("amp", "goose", "crush", *[name for _, name in AGENT_VARIABLES])
"""Recorded values of `AGENT` and `AI_AGENT` (agents.md); no other text leaves the machine."""
TEST_VARIABLES = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")  # docs.pytest.org, environment variables
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")  # Docker; Podman
CONTAINER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")  # kubelet; systemd-nspawn, Podman

KNOWN_VARIABLES = frozenset(
    (
        *(*CI_VARIABLES, *[name for name, _ in AGENT_VARIABLES], "AI_AGENT", "AGENT"),
        *(*TEST_VARIABLES, *CONTAINER_VARIABLES, SESSION_VARIABLE),
    )
)
"""Looked up in one walk: a variable that is absent costs `os.environ` an exception."""

_PLAIN_SETTINGS = {b'{"enabled": true}\n': "enabled", b'{"enabled": false}\n': "disabled"}


# What was declared --------------------------------------------------------------------------------


class Settings:
    """What an application declared; the README's table has the options."""

    version: str | None = None
    write_key: str | None = None
    host: str | Callable[[], object] = DEFAULT_HOST
    destination: Any = None  # of `destinations`, where it is another one than Segment
    client: Any = None
    consent = "opt-out"
    notice: bool | str = True
    notice_url: str | None = None
    ci = "off"
    properties: Mapping[str, Any] = {}
    auth: Callable[[], object] | None = None
    packages: Collection[str] = ()
    delivery = "detached"
    flush_timeout = 1.0
    no_telemetry_option: bool | str = True
    events: tuple[Any, ...] | None = None  # what it tracks, where that is declared
    command_events = "all"  # or "completed"
    sample: float | None = None  # the share of installations that record
    head: Mapping[str, Any] = {}  # what the head of each file has of the two
    test_double = False  # the client is one of the application's own tests
    app_known = True  # else it is named after its group, and never sends

    def __init__(self, state: CommandState, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if value is not None:
                setattr(self, name, value)
        self.app = state.app
        self.declared = state.options or {}
        self.package = state.package or "__main__"
        self.prefix = state.prefix


def package_of(module: str) -> str:
    """The package that a module belongs to: its first name, or two names in a namespace package.

    `__main__` belongs to the package that `python -m` runs; in a script it is a package of its own.
    """
    name, _, rest = module.partition(".")
    found = sys.modules.get(name)
    if name == "__main__":
        parent: str = getattr(getattr(found, "__spec__", None), "parent", None) or ""
        return package_of(parent) if parent else name
    if rest and found is not None and getattr(found, "__file__", None) is None:
        name = f"{name}.{rest.partition('.')[0]}"
    return name


def package_of_callback(callback: Any) -> str:
    """The package of a command's callback; empty where it has none.

    A decorator that keeps the name of what it decorates keeps the module too, so that `__module__`
    is enough; `_foreground.names` has the full rule.
    """
    module = getattr(callback, "__module__", None)
    if type(module) is str and type(callback) is FunctionType:
        inner = getattr(callback, "__wrapped__", None)
        if inner is None or getattr(inner, "__module__", None) == module:
            return package_of(module)
    from ._foreground import names

    return names.package_of_callback(callback)


def settings_of(scope: Scope) -> Settings:
    """What was declared for the root of a command that runs."""
    state = scope.state
    if state.settings is None:
        if not state.package:
            state.package = package_of_callback(getattr(scope.root.command, "callback", None))
        state.settings = Settings(state, state.options or {})
    found: Settings = state.settings
    return found


# May it be recorded? ------------------------------------------------------------------------------


class Decision:
    """Whether a run is recorded, and why not.

    Args:
        mode: SEND, LOG, CLIENT, WATCH or OFF.
        reason: a key of `consent.REASONS` when the mode is OFF, else empty.
        detail: the variable that opted out, where one did.
    """

    __slots__ = ("destination", "detail", "mode", "reason")

    def __init__(self, mode: str, reason: str = "", detail: str = "") -> None:
        self.mode = mode
        self.reason = reason
        self.detail = detail
        self.destination: Destination | None = None  # of a run that is sent, or would be


def decide(
    settings: Settings, environ: Mapping[str, str], directories: Directories | None, stdout: object
) -> Decision:
    """Whether a run is recorded. Any opt-out takes precedence; the first one is the reason.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        directories: the application's; None where there is no absolute path for them.
        stdout: the process's standard output.
    """
    variable = _instrument.opt_out_variable(environ, settings.prefix)
    if variable is not None:
        return Decision(OFF, "variable", variable)
    if directories is not None and is_disabled_for_all(directories.site_setting):
        return Decision(OFF, "administrator")
    setting = read_setting(directories.setting) if directories is not None else "none"
    if setting == "disabled":
        return Decision(OFF, "setting")
    if setting == "unreadable":
        return Decision(OFF, "unreadable_setting")
    if is_other_user(environ):
        return Decision(OFF, "other_user")
    if environ.get(settings.prefix + "_TELEMETRY", "").strip().lower() == LOG:
        return Decision(LOG)
    if settings.test_double:
        return Decision(CLIENT)
    if _instrument.WATCH_VARIABLE in environ:
        from ._foreground import sinks

        if sinks.address(environ) is not None:
            return Decision(WATCH)
    known = known_variables(environ)
    if is_test_run(known, stdout):
        return Decision(OFF, "test_run")
    if settings.ci == "off" and is_ci(known):
        return Decision(OFF, "ci")
    destination = find_destination(settings, environ) if settings.client is None else None
    if destination is None and settings.client is None:
        return Decision(OFF, "no_destination")
    if directories is None or not is_storable(directories):
        return Decision(OFF, "not_storable")
    decision = Decision(CLIENT if destination is None else SEND)
    decision.destination = destination
    if setting != "enabled":
        if settings.consent == "opt-in":
            decision.mode, decision.reason = OFF, "not_opted_in"
        elif settings.notice is not False and not was_shown(directories.notice):
            from ._foreground import consent  # for a first run alone

            if consent.waits_for_notice(settings, known):
                decision.mode, decision.reason = OFF, "notice_not_shown"
    if settings.sample is not None and decision.mode != OFF:
        from ._foreground import identity

        if not identity.is_in_sample(identity.read(directories.anonymous_id), settings.sample):
            return Decision(OFF, "not_sampled")
    return decision


def is_other_user(environ: Mapping[str, str]) -> bool:
    """Whether the process runs with another user's rights, or in another user's directories.

    Root with a user's variables (`sudo -E`, `su`) would leave directories in the user's home that
    break the user's applications.
    """
    if os.name != "posix":
        return False
    if os.getuid() != os.geteuid():
        return True
    for path in (environ.get("HOME", ""), environ.get("XDG_STATE_HOME", "")):
        while path.startswith("/"):
            try:
                if os.stat(path).st_uid != os.geteuid():
                    return True
                break
            except OSError as error:
                pass_on(error)
                if path == environ.get("HOME"):
                    break  # whether state can be stored is another question
                path = os.path.dirname(path)  # the nearest directory that exists
    return False


def is_test_run(environ: Mapping[str, str], stdout: object) -> bool:
    """Whether pytest is loaded here or above, or a runner of Click or Typer holds stdout."""
    if "_pytest" in sys.modules:
        return True
    if type(stdout).__module__.endswith(("click.testing", "typer.testing")):
        return True
    return TEST_VARIABLES[0] in environ or TEST_VARIABLES[1] in environ


def was_shown(marker: str, content: bytes = SHOWN) -> bool:
    """Whether the notice has been shown, or what else a marker of this content stands for."""
    try:
        return read_file(marker, 64) == content
    except OSError as error:
        pass_on(error)
        return False


def is_storable(directories: Directories) -> bool:
    """Whether the directories of the state are there and ours alone, or can be made."""
    for path in (directories.state, directories.spool):
        try:
            check_private_directory(path)
        except OSError as error:
            pass_on(error)
            if error.errno != errno.ENOENT:
                return False
            from ._storage import can_create  # for a first run

            return can_create(path)
    return True


class Destination:
    """Where events go: an origin, with a write key or, instead of it, a token.

    `transport` is what the sender needs of another destination than Segment: `class`, `address` and
    so on; None for Segment.
    """

    __slots__ = ("host", "token", "transport", "write_key")

    def __init__(
        self,
        host: str,
        write_key: str,
        token: str | None = None,
        transport: Mapping[str, Any] | None = None,
    ) -> None:
        self.host = host
        self.write_key = write_key
        self.token = token
        self.transport = transport

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits, the same in every process: the name of its spool.

        FNV-1a in 64 bits (draft-eastlake-fnv) distinguishes a person's few destinations and guards
        no secret; hashlib takes 3 ms to load.
        """
        tier = "\0bearer" if self.token is not None else ""  # no key has a NUL
        text = f"{self.host}\0{self.write_key}{tier}"
        if self.transport is not None:
            text = f"{text}\0{self.transport['class']}\0{self.transport['address']}"
        digest = 0xCBF29CE484222325
        for byte in text.encode("utf-8", "surrogatepass"):
            digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return f"{digest:016x}"


def find_destination(settings: Settings, environ: Mapping[str, str]) -> Destination | None:
    """Where the events of a run go; None for nowhere. The application's functions are asked."""
    key, host, variable = settings.write_key, settings.host, settings.prefix + "_TELEMETRY_"
    if settings.auth is None and settings.destination is None:
        if key is None and variable + "WRITE_KEY" not in environ:
            return None
        given = environ.get(variable + "HOST", "")
        if given.startswith("http://127.0.0.1:") and given[17:].isdigit() and len(given) < 23:
            host, given = given, ""  # for development; `_foreground.destination` has the full rule
        if key is not None and isinstance(host, str) and not given:
            return Destination(host, key) if settings.app_known else None
    from ._foreground import destination

    return destination.find(settings, environ)


# Directories and small files ----------------------------------------------------------------------


class Directories:
    """The two directories of one application, and the files in them.

    Args:
        config: the configuration directory, which the application shares.
        state: ours alone.
        site: the configuration directory of all users of the machine, which an administrator owns.
    """

    __slots__ = ("anonymous_id", "notice", "setting", "site_setting", "spool", "state")

    def __init__(self, config: str, state: str, site: str) -> None:
        self.setting = os.path.join(config, "telemetry.json")
        self.site_setting = os.path.join(site, "telemetry.json")
        self.state = state
        self.anonymous_id = os.path.join(state, "id")
        self.notice = os.path.join(state, "notice")
        self.spool = os.path.join(state, "spool")


def directories_of(app: str, environ: Mapping[str, str]) -> Directories | None:
    """The directories of an application, or None where there is no absolute path for them.

    On Linux what platformdirs answers, without its 9 ms of import. As the specification has it, a
    variable that is not absolute is ignored, and no blank is cut off. (platformdirs does so since
    4.14.3; a setting must not move when it is upgraded.)
    """
    if sys.platform != "linux":
        from ._foreground.platforms import platform_directories

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
    site, _, others = environ.get("XDG_CONFIG_DIRS", "").partition(":")
    while others and not site.startswith("/"):
        site, _, others = others.partition(":")
    site = site if site.startswith("/") else "/etc/xdg"
    return Directories(
        os.path.join(config, app), os.path.join(state, app, "telemetry"), os.path.join(site, app)
    )


def is_disabled_for_all(path: str) -> bool:
    """Whether an administrator has disabled telemetry for all users of the machine.

    Args:
        path: of the administrator's setting; a file that cannot be read counts as disabled.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        pass_on(error)
        return False
    except OSError as error:
        pass_on(error)
        return True
    from ._foreground import consent

    return consent.disables(path)


def read_setting(path: str) -> str:
    """The saved setting: `none`, `enabled`, `disabled` or `unreadable`."""
    try:
        content = read_file(path, SETTING_LIMIT, follow=True)
    except OSError as error:
        pass_on(error)
        return "unreadable"
    if content is None:
        return "none" if _is_absent(path) else "unreadable"
    plain = _PLAIN_SETTINGS.get(content)
    if plain is None:
        from ._foreground import consent

        plain = consent.parse(content)
    return plain


def _is_absent(path: str) -> bool:
    """Whether there is no file, rather than one behind a dangling link or below a plain file.

    Dotfiles that are not mounted may hold an opt-out.
    """
    folder = os.path.dirname(path)
    if os.path.lexists(folder):
        return os.path.isdir(folder) and not os.path.lexists(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder)


def is_random_id(text: str) -> bool:
    """Whether a text is a random UUID (RFC 9562, version 4) in its canonical form."""
    digits = text.replace("-", "")
    return (
        len(text) == 36
        and len(digits) == 32
        and text[8:24:5] == "----"
        and not digits.strip("0123456789abcdef")
        and text[14] == "4"
        and text[19] in "89ab"
    )


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
        from ._storage import read_small  # Windows alone

        try:
            return read_small(path, limit=limit, follow=follow)
        except FileNotFoundError:
            return None
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        pass_on(error)
        return None
    try:
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if not own or found.st_size > limit:
            raise OSError(errno.EPERM, "not a small file of this user", path)
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def check_private_directory(path: str) -> None:
    """Raise unless a directory is ours alone: no link, this user's, writable by no other.

    Raises:
        OSError: there is none, it is not ours, or it cannot be examined.
    """
    found = os.lstat(path)
    foreign = os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & 0o022)
    if foreign or not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EPERM, "not a private directory of this user", path)


# Who runs the command -----------------------------------------------------------------------------


def known_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the environment that a table here names."""
    return {name: environ[name] for name in KNOWN_VARIABLES.intersection(environ)}


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether one of the known CI services has set its variable to anything but an off value."""
    for name in CI_VARIABLES:
        if name in environ and environ[name].strip().lower() not in FALSE:
            return True
    return False


def agent_of(environ: Mapping[str, str]) -> str:
    """The coding agent that runs the command; empty for none."""
    for variable, name in AGENT_VARIABLES:
        if variable in environ and environ[variable].strip().lower() not in FALSE:
            return name
    for variable in ("AI_AGENT", "AGENT"):
        value = environ.get(variable, "").strip().lower()
        if value in NAMED_AGENTS:
            return value
    return ""


def head_of(settings: Settings, environ: Mapping[str, str], anonymous_id: str) -> Fact:
    """The first fact of a file: what is the same for a whole invocation."""
    terminals = container = 0
    known = known_variables(environ)
    for descriptor in (0, 1, 2):
        try:
            terminals |= os.isatty(descriptor) << descriptor
        except OSError as error:  # it is closed
            pass_on(error)
    for variable, path in zip(CONTAINER_VARIABLES, CONTAINER_FILES, strict=True):
        if variable in known or os.path.exists(path):
            container = 1
    version = settings.version
    if version is None:
        # Not getattr: a package may run code for it, load importlib.metadata or warn (as Click's).
        version = getattr(sys.modules.get(settings.package), "__dict__", {}).get("__version__")
        if not isinstance(version, str) or len(version) > MAX_VERSION:
            from ._foreground import platforms

            version = platforms.installed_version(settings.package)
    session = None
    if SESSION_VARIABLE in known:
        session = environ[SESSION_VARIABLE]
        session = session if is_random_id(session) else None
    return {
        "v": 1,
        "app": settings.app,
        "version": version,
        "library": __version__,
        "python": sys.hexversion,
        "platform": sys.platform,
        "machine": os.uname().machine
        if os.name == "posix"
        else environ.get("PROCESSOR_ARCHITECTURE", ""),
        "ci": int(is_ci(known)),
        "agent": agent_of(known),
        "tty": terminals,
        "container": container,
        "id": anonymous_id,
        "session": session,
        **settings.head,
    }


# Which command, which flags -----------------------------------------------------------------------


def command_and_flags(settings: Settings, contexts: list[Any]) -> tuple[str, list[str]]:
    """The command's path, and the sorted names of the options that were typed.

    Names come from the contexts and from the registries of groups. Nothing is looked up anew: a
    group's `get_command` may print, load plugins, or make another object at each call. Only names
    that the application declared are there: neither a plugin's nor its options'.

    Args:
        settings: what the application declared; what the root was started as may be a path.
        contexts: from the root's context down to the leaf's.
    """
    path = settings.app
    flags: set[str] = set()
    parent: Any = None
    is_own = True  # a command without a callback is its group's
    for context in contexts:
        command, scope, segment = context.command, scope_of(context), ""
        # click-repl enters the root anew for each line.
        if parent is not None and command is not parent.command:
            typed, registered = context.info_name, scope_of(parent).registered or {}
            callback = getattr(command, "callback", None)
            if callback is not None:
                package = package_of_callback(callback)
                is_own = package == settings.package
                if not is_own:
                    from ._foreground import names

                    is_own = names.is_declared(package, callback, settings)
            if not is_own:
                segment = PLUGIN
            elif command.name == typed and registered.get(typed) is command:
                segment = typed
            else:
                from ._foreground import names

                segment = names.segment(parent, context)
            path = f"{path} {segment}"
        parent = context
        if segment in (DYNAMIC, PLUGIN):
            continue  # what it calls its options is not declared either
        # What the command was parsed with (a class may add to it), and what it has by now.
        parameters = (*scope.parameters, *getattr(command, "params", ()))
        for parameter in parameters:
            name = parameter.name
            if (
                getattr(parameter, "param_type_name", "") == "option"
                and isinstance(name, str)
                and parameter is not scope.option
                and on_command_line(context, name)
            ):
                if context.params.get(name) is False:
                    from ._foreground import names

                    name = names.negative(parameter, parameters)
                flags.add(name)
    return path, sorted(flags)


# The invocation -----------------------------------------------------------------------------------


class Run:
    """One leaf that began: its number in the invocation, and the fact that it began."""

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
        head: see `head_of`.
        sink: where the facts go.
        dropped: events that were dropped before it began.
    """

    # digits: 32 random hexadecimal digits that every ID derives from.
    # dropped: what could not be recorded; the next fact reports it.
    # events: what the application itself records (`_events.state`); None before it does.
    # open_runs: the runs that go on, by number. latest: the last one that began.
    # postponed: runs whose leaf returned work that is yet to be done.
    # sequence: of the last fact that becomes an event.
    __slots__ = (
        *("_facts", "_lock", "_pid", "_writing", "closed", "digits", "dropped", "events", "head"),
        *("latest", "open_runs", "postponed", "runs", "sequence", "settings", "sink"),
    )

    def __init__(self, settings: Settings, head: Fact, sink: Sink, dropped: int) -> None:
        self.settings = settings
        self.head = head
        self.sink = sink
        self.dropped = dropped
        self.digits = os.urandom(16).hex()
        self.events: Any = None
        self.latest: Run | None = None
        self.open_runs: dict[int, Run] = {}
        self.postponed: list[Run] = []
        self.runs = self.sequence = 0
        self._facts: list[tuple[list[Fact], bool]] = []
        self._lock = RLock()  # a signal handler may record an event amid another
        self._pid = os.getpid()
        self.closed = self._writing = False

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
            own: properties of the event.
            at: when, in nanoseconds since the epoch; now by default.
            before: facts that come first, in the same write.
        """
        with self._lock:
            self.runs = number = self.runs + 1
        fact = {"run": number, "n": 0, "at": at or time_ns(), "command": command, "flags": flags}
        properties = own if self.events is None else self.events.merged(own or {})
        if properties:
            fact["p"] = properties
        self.latest = run = self.open_runs[number] = Run(self, number, fact)
        self.write([*before, fact], lifecycle=True)
        return run

    def end_run(
        self, run: Run, outcome: Fact, own: Fact | None = None, at: int | None = None
    ) -> None:
        """A leaf has ended; only the first call counts.

        Args:
            run: the leaf.
            outcome: `exit`, `ms`, `error` and so on.
            own: properties of the event.
            at: when, in nanoseconds since the epoch; now by default.
        """
        if run.live and self.is_own:
            run.live = False
            fact = {"run": run.number, "n": 0, "at": at or time_ns(), **outcome}
            properties = own if self.events is None else self.events.merged(own or {})
            if properties:
                fact["p"] = properties
            self.open_runs.pop(run.number, None)
            self.write([fact], lifecycle=True)

    def count_dropped(self, count: int) -> None:
        """Count what could not be recorded; the next fact reports it."""
        with self._lock:
            self.dropped += count

    def write(self, facts: list[Fact], *, lifecycle: bool = False) -> None:
        """Give facts their sequence, and pass them to the sink together.

        Args:
            facts: of a run, with a place for `n`; or an identify.
            lifecycle: whether a begin or an end is among them, which is not given up easily.
        """
        if not self.is_own:
            return
        with self._lock:
            self._facts.append((facts, lifecycle))
            if self._writing:
                return  # a signal handler amid another write of this thread: after that one
            self._writing = True
            try:
                while self._facts:
                    self._write(*self._facts.pop(0))
            finally:
                self._writing = False

    def _write(self, facts: list[Fact], lifecycle: bool) -> None:
        if self.closed:
            if _instrument.events is not None:
                _instrument.events.count_dropped()
            return
        for fact in facts:
            if "run" in fact:
                self.sequence = fact["n"] = self.sequence + 1
        count = self.dropped
        if count:
            facts[0]["dropped"] = count
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
            closed, self.closed = self.closed, True
        if not closed:
            self.sink.close(self)  # not under the lock: a thread that records must not wait for it


# Beginning and ending -----------------------------------------------------------------------------

_invocations = 0  # root commands that have been decided in this process


def begin(scope: Scope, contexts: list[Any]) -> None:
    """A leaf is about to run: decide, at its root's first one, and record that it begins.

    Args:
        scope: of the leaf.
        contexts: from the root's context down to the leaf's.
    """
    root = scope.root
    if not root.decided:
        root.decided = True  # should anything below fail, it is not tried again at each leaf
        root.invocation = _open(root, contexts[0])
    invocation = root.invocation
    if invocation is not None:
        command, flags = command_and_flags(invocation.settings, contexts)
        if root.deferred:
            scope.run = root.deferred.begin_run(root, command, flags)
        else:
            scope.run = invocation.begin_run(command, flags)
        scope.started = monotonic_ns()
    elif root.decision is not None and root.decision.reason in PERSONAL:
        scope.opted_out = root.decision.reason
        _instrument.OPTED_OUT.append(scope)


def _open(root: Scope, context: Any) -> Invocation | None:
    """Decide about a root, and open what the decision asks for."""
    global _invocations
    _invocations += 1
    settings, environ = settings_of(root), os.environ
    directories = directories_of(settings.app, environ)
    decision = root.decision = decide(settings, environ, directories, sys.stdout)
    # A scope that another thread enters at this moment has no root yet.
    if [scope for scope in SCOPES if not getattr(scope, "root", root).decided]:
        from ._foreground import consent  # inside another application

        decision = root.decision = consent.of_undecided(root) or decision
    sink: Any
    if decision.mode == OFF:
        mark = MARKERS.get(decision.reason) if settings.notice is not False else None
        if mark and directories is not None and not was_shown(directories.notice, mark):
            from ._foreground import consent  # once, or while it waits for a terminal

            consent.show_for(settings, directories, decision, context)
        return None
    if decision.destination is None or directories is None:
        from ._foreground import sinks

        sink, anonymous_id = sinks.find(settings, environ, directories, decision)
        if sink is None:
            return None
    else:
        try:
            content = read_file(directories.anonymous_id, ID_LIMIT)
        except OSError as error:
            pass_on(error)
            content = None
        anonymous_id = (content or b"").decode("ascii", "replace").removesuffix("\n")
        if not is_random_id(anonymous_id):
            from ._foreground import identity

            anonymous_id = identity.read_or_create(directories.anonymous_id)
            if not identity.is_in_sample(anonymous_id, settings.sample):
                root.decision = Decision(OFF, "not_sampled")
                return None
        from . import _spool  # only what is sent has a spool

        new = _spool.Spool
        if settings.delivery == "inline":
            from ._foreground import inline  # where no detached sender is wanted

            new = inline.InlineSpool
        sink = new(settings, directories, decision.destination, anonymous_id)
    head = head_of(settings, environ, anonymous_id)
    dropped, current = root.dropped, _instrument.events
    enclosing = [scope for scope in SCOPES if scope.invocation and scope.thread == root.thread]
    if current is not None:
        dropped += current.take_dropped()
        head["session"] = current.enclosing_session(root) or head["session"]
    elif enclosing:
        from ._foreground import identity

        head["session"] = identity.session_of(enclosing[-1].invocation)
    invocation = Invocation(settings, head, sink, dropped)
    if settings.properties:
        from ._events import state  # for common properties alone

        state.prepare(invocation)
    return invocation


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

        outcome = outcomes.of_command(error, invocation.settings, scope.root.command)
    run = scope.run
    try:
        if run is not None:
            # A coroutine, a generator, a future is work that is yet to be done. Its type alone is
            # looked at: `isinstance` would run a proxy's own code.
            kind = type(result)
            if hasattr(kind, "__await__") or kind in (GeneratorType, AsyncGeneratorType):
                invocation.postponed.append(run)
            else:
                duration = (ended - scope.started) // 1_000_000
                invocation.end_run(run, {"exit": outcome["exit"], "ms": duration, **outcome})
    finally:
        if scope is scope.root:
            for run in invocation.postponed:
                invocation.end_run(run, outcome)
            invocation.close()


def is_leaving() -> bool:
    """Whether the process ends when this invocation does: it is the only one, and `main` exits."""
    if _invocations != 1 or current_thread() is not main_thread():
        return False
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        # Click's own and its relatives' `main` have this parameter.
        if "standalone_mode" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return bool(frame.f_locals["standalone_mode"])
        frame = frame.f_back
    return False


def encode(value: Any) -> str:
    """JSON text, ASCII alone, on one line."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'
        try:
            from _json import encode_basestring_ascii  # `json` takes 1.7 ms to load
        except ImportError:
            from json.encoder import encode_basestring_ascii

        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        return (
            "{" + ",".join([f"{encode(key)}:{encode(item)}" for key, item in value.items()]) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    return "null" if value is None else "true" if value is True else repr(value).lower()
