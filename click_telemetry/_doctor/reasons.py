"""Reasons why nothing would be sent, each with its fix: those of consent, then those of delivery.

Which switch opts out is decided by `_commands.application.switches`; this module only words it, and
adds what a trial of directories, locks, sender and host found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._commands.application import OPTS_OUT
from .._commands.terminal import describe_delivery_error, shorten_home
from .._foreground.consent import REASONS
from .._recorder import CLIENT, PERSONAL, SEND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HERE_ONLY = ("test_run", "other_user", "not_storable", "notice_not_shown", "not_sampled")
"""Reasons of this machine or process that the production environment may still show."""
FOR_EVERY_MACHINE = ("http_401", "http_403", "http_404", "http_3", "extra_")
"""How the errors begin that every other machine meets too."""
FOUND_BY_TRIAL = ("no_locks", "sender_failed", "unreachable", "delivery_failed")
ORDER = (*REASONS, "log", "test_double", *FOUND_BY_TRIAL)
"""Every reason, in the order in which they are shown: that of consent, then that of delivery."""


class Reason(NamedTuple):
    """Why nothing would be sent, and what to do.

    Attributes:
        reason: a word of ORDER.
        detail: a clause.
        fix: a sentence.
    """

    reason: str
    detail: str
    fix: str


def in_order(reasons: Iterable[Reason]) -> list[Reason]:
    """Reasons in the order of ORDER, each once."""
    return sorted(dict.fromkeys(reasons), key=lambda one: ORDER.index(one.reason))


def applies_everywhere(
    reason: Reason, examination: Mapping[str, Any], trial: Mapping[str, Any] | None
) -> bool:
    """Whether a reason that was found here holds on every machine."""
    if reason.reason == "delivery_failed":
        return last_error(examination).startswith(FOR_EVERY_MACHINE)
    if reason.reason == "sender_failed":
        missing = str((trial or {}).get("error")).startswith(FOR_EVERY_MACHINE)
        return missing or "package" in (examination.get("transport") or ())  # its code is there too
    return reason.reason not in (*HERE_ONLY, *FOUND_BY_TRIAL)


# Consent ------------------------------------------------------------------------------------------


def decided(examination: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Reason]:
    """The reasons among the switches of a status, and those that no switch has.

    Args:
        examination: of the application.
        status: of `telemetry status --json`, here or in production.
    """
    opted_out = examination["opted_out"] if status is examination["status"] else ""
    if status["mode"] not in (SEND, CLIENT):  # a client of tests overrides circumstances
        for switch in status["switches"]:
            if switch["effect"] == OPTS_OUT:
                reason = switch["key"] if switch["key"] in REASONS else "variable"
                opted_out = "" if opted_out == reason else opted_out
                yield Reason(reason, *_texts(reason, switch, examination))
    if opted_out in PERSONAL:
        yield Reason(
            opted_out,
            f"a command that runs this one is opted out: {REASONS[opted_out]}",
            "See `telemetry status --why` of that application.",
        )
    if examination["excluded"]:
        yield Reason(
            "excluded",
            "the application excludes this command",
            "Remove @exclude, or examine another command.",
        )
    variable = examination["prefix"] + "_TELEMETRY"
    if examination["log"] and status is examination["status"]:
        yield Reason(
            "log",
            f"{variable}=log prints the events on stderr and sends none",
            f"Run `unset {variable}`.",
        )
    elif status["mode"] == CLIENT and examination["test_double"]:
        yield Reason(
            "test_double",
            "client= is a test double, which gets the events instead of the destination",
            "Leave out client= outside of tests.",
        )


def _texts(
    reason: str, switch: Mapping[str, Any], examination: Mapping[str, Any]
) -> tuple[str, str]:
    """The detail and the fix of a reason that a switch gives."""
    value, group = switch.get("value") or "", examination["group"]
    paths = examination["status"]["paths"]
    home = examination["home"]
    setting = shorten_home(paths["setting"], home) if paths["setting"] else "telemetry.json"
    enable = f"Run `{group} enable`." if group else f'Write {{"enabled": true}} to {setting}.'
    key = switch.get("key", "")
    if reason == "variable":
        return f"{key}={value} opts out", f"Run `unset {key}`."
    if reason == "flag":
        return "--no-telemetry is on the command line", "Run the command without it."
    if reason == "administrator":
        return (
            f"the administrator of this machine has disabled telemetry in {value}",
            "Ask the administrator to change that file.",
        )
    if reason == "setting":
        return f"telemetry is disabled in {setting}", enable
    if reason == "unreadable_setting":
        problem = examination["status"]["setting_problem"] or "cannot be read"
        return (
            f"the saved setting {setting} {problem}, which counts as an opt-out",
            enable if group else f"Repair or delete {setting}.",
        )
    if reason == "other_user":
        return value or REASONS[reason], "Run it as the user who owns HOME, without sudo."
    if reason == "test_run":
        return f"a test suite runs the command ({value})", "Run it outside of the tests."
    if reason == "ci":
        return (
            f"a CI service runs the command ({value})",
            'To record runs in CI, with a label, declare ci="label".',
        )
    if reason == "no_destination":
        return _no_destination(examination["declared"], examination["prefix"])
    if reason == "not_storable":
        return _not_storable(examination)
    if reason == "not_sampled":
        return (
            f"sample= records some installations: {value}",
            "Use a larger sample=, or see the events with `click-telemetry watch`.",
        )
    if reason == "not_opted_in":
        return "telemetry is opt-in, and this person has not enabled it", enable
    if reason == "notice_not_shown":
        return (
            "the notice has not been shown, and the run that shows it records nothing",
            "Run the application once in a terminal"
            + (", or declare notice=False if it informs its users itself." if not group else "."),
        )
    return REASONS.get(reason, reason), ""


def _no_destination(declared: Mapping[str, Any], prefix: str) -> tuple[str, str]:
    if not declared["app"]:
        return (
            "the application has no name: app= is left out in a script",
            'Declare its name, as in @instrumented_group(app="acme", write_key="…").',
        )
    if declared.get("destination"):
        return (
            "the file of destination= is in the home directory, and HOME is not an absolute path",
            "Set HOME to the absolute path of a home directory.",
        )
    if not declared["origin"]:
        return (
            "the function of host= failed, or returned no https origin",
            'Let it return an address such as "https://events.example.com".',
        )
    if declared["auth"] and not declared["host"]:
        return (
            "auth= is declared without host=, which alone may receive a signed-in user's events",
            'Declare host="https://…", of the server that knows the tokens.',
        )
    if declared["auth"]:
        return (
            "auth= returned no valid token, and there is no write key",
            "Sign in, or add write_key=.",
        )
    if declared["write_key"]:
        return (
            "write_key= is None or empty",
            "Put the key itself into the code: a variable or a file of the build is not there "
            "where the application runs.",
        )
    return (
        "no write key is declared",
        f'Declare write_key="…". For development, set {prefix}_TELEMETRY_WRITE_KEY together with '
        f"{prefix}_TELEMETRY_HOST=http://127.0.0.1:PORT.",
    )


def _not_storable(examination: Mapping[str, Any]) -> tuple[str, str]:
    problem = examination["storage_problem"] or "the state directory cannot be used"
    if problem.startswith("HOME"):
        return problem, "Set HOME to the absolute path of a home directory."
    path, separator, rest = problem.partition(" ")
    shown = shorten_home(path, examination["home"])
    return shown + separator + rest, "Make it a writable directory of this user alone (chmod 700)."


# Delivery -----------------------------------------------------------------------------------------


def undelivered(
    examination: Mapping[str, Any], mode: str, trial: Mapping[str, Any] | None = None
) -> Iterator[Reason]:
    """The reasons why what is recorded would not arrive.

    Args:
        examination: of the application.
        mode: of the decision.
        trial: of the sender's process; None if there was none.
    """
    if mode == CLIENT:
        return
    home = examination["home"]
    if examination["storage_problem"]:
        yield Reason("not_storable", *_not_storable(examination))
    if examination["lock_problem"]:
        path, separator, rest = examination["lock_problem"].partition(": ")
        yield Reason(
            "no_locks",
            f"files cannot be locked: {shorten_home(path, home)}{separator}{rest}",
            "Delete it if it is no plain file; else set XDG_STATE_HOME to a local disk.",
        )
    error = last_error(examination)
    failed = str((trial or {}).get("error", ""))
    connection = (trial or {}).get("connection") or {}
    known = error in (failed, connection.get("error"))
    if error and not known and not (error.startswith("extra_") and trial is not None):
        yield Reason(
            "delivery_failed",
            f"the last attempt to deliver failed: {describe_delivery_error(error)}",
            _delivery_fix(error, examination["host"] or "the host", _is_declared(examination)),
        )
    if trial is None or not examination["host"]:
        return
    transport = examination.get("transport")
    if trial.get("client"):
        yield Reason(
            "sender_failed",
            f"the sender does not start: {trial['client']}",
            _delivery_fix(failed, examination["host"], declared=True)
            if failed.startswith("extra_") or "package" in (transport or ())
            else "Install what it imports in the application's environment."
            if transport is not None
            else "Run `pip install --force-reinstall segment-analytics-python` in its environment.",
        )
    if "error" in connection:
        error = connection["error"]
        problem = "cannot be used" if error.startswith("file_") else "did not answer"
        yield Reason(
            "unreachable",
            f"{examination['host']} {problem}: {describe_delivery_error(error)}",
            _delivery_fix(error, examination["host"], _is_declared(examination)),
        )


def last_error(examination: Mapping[str, Any]) -> str:
    """The error of the present destination, if deliveries have failed since the last success."""
    queue = current_queue(examination)
    return str(queue["last_error"]) if queue and queue["failures"] and queue["last_error"] else ""


def current_queue(examination: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is known of the present destination's queue, as `status --json` has it."""
    for one in examination["status"]["destinations"]:
        if one["directory"] == examination["spool"]:
            return one  # type: ignore[no-any-return]
    return None


def _is_declared(examination: Mapping[str, Any]) -> bool:
    """Whether `destination=` names another destination than Segment."""
    return examination.get("transport") is not None


def _delivery_fix(error: str, host: str, declared: bool) -> str:
    option = "destination=" if declared else "write_key="
    if error.startswith("extra_"):
        extra = error.removeprefix("extra_")
        return f"Run `pip install 'click-telemetry[{extra}]'`, and make it a dependency."
    if host.startswith("custom:"):
        return f"Check the class {host.removeprefix('custom:')}: what it imports and raises."
    if error.startswith("file_"):
        return f"Make {host} a file that this user may write, or remove what is in its place."
    if error in ("http_401", "http_403"):
        return f"Check {option} (or the token of auth=): {host} must accept it."
    if error in ("http_404", "html") or error.startswith("http_3"):
        if declared:
            return f"Check the address in destination=: {host} must answer there."
        return f"Check host=: {host} must answer Segment's HTTP API at /v1/batch."
    if error == "SSLError":
        return "Set REQUESTS_CA_BUNDLE to the file of your network's certificates."
    if error == "ProxyError":
        return "Check HTTPS_PROXY, or add the host to NO_PROXY."
    if error in ("lock", "unlink", "unwritable"):
        return "Make the queue's directory and its files writable."
    option = "destination=" if declared else "host="
    return f"Check {option} and the network: {host} must be reachable from here."
