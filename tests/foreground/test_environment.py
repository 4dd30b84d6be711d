"""Who runs a command, by its environment: a CI service, a coding agent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._recorder import (
    AGENT_VARIABLES,
    CI_VARIABLES,
    NAMED_AGENTS,
    TEST_VARIABLES,
    agent_of,
    is_ci,
)

FALSE = ["", "0", "false", "no", "off", "FALSE", "Off", " no ", "\t"]

SERVICES = {
    "GitHub Actions": {"CI": "true", "GITHUB_ACTIONS": "true"},
    "GitLab": {"CI": "true", "GITLAB_CI": "true"},
    "CircleCI": {"CI": "true", "CIRCLECI": "true"},
    "Travis": {"CI": "true", "TRAVIS": "true", "CONTINUOUS_INTEGRATION": "true"},
    "AppVeyor": {"CI": "True", "APPVEYOR": "True"},
    "Azure": {"TF_BUILD": "True"},
    "Jenkins": {"JENKINS_URL": "https://jenkins.example.com/", "BUILD_ID": "153"},
    "TeamCity": {"TEAMCITY_VERSION": "2024.07 (build 160000)"},
    "CodeBuild": {"CODEBUILD_BUILD_ID": "acme:b1e6661e-e4f2-4156-9ab9-82a19EXAMPLE"},
    "Bitbucket": {"CI": "true", "BITBUCKET_BUILD_NUMBER": "0007"},
    "Cloud Build": {"BUILD_ID": "0ae5b7f1"},
    "Woodpecker": {"CI": "woodpecker"},
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_ci_service_is_recognised_by_its_documented_variables(service: str) -> None:
    """A build server's runs differ from a person's."""
    assert is_ci(SERVICES[service]) is True


CI = (
    *("CI", "CONTINUOUS_INTEGRATION", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TRAVIS"),
    *("APPVEYOR", "BUILDKITE", "DRONE", "TEAMCITY_VERSION", "JENKINS_URL", "TF_BUILD"),
    *("CODEBUILD_BUILD_ID", "BITBUCKET_BUILD_NUMBER", "BUDDY_WORKSPACE_ID", "SEMAPHORE"),
    *("CIRRUS_CI", "WOODPECKER", "BUILD_ID"),
)
AGENTS = (
    ("CLAUDECODE", "claude-code"),
    ("CURSOR_AGENT", "cursor"),
    ("GEMINI_CLI", "gemini-cli"),
    ("CODEX_SANDBOX", "codex"),
    ("CODEX_THREAD_ID", "codex"),
    ("OPENCODE", "opencode"),
    ("AUGMENT_AGENT", "augment"),
    ("CLINE_ACTIVE", "cline"),
    ("REPL_ID", "replit"),
    ("COPILOT_AGENT", "copilot"),
)
NAMES = sorted({name for _, name in AGENTS} | {"amp", "goose", "crush"})


def test_every_row_of_the_tables_is_tested() -> None:
    """No other variable is read."""
    assert CI_VARIABLES == CI
    assert AGENT_VARIABLES == AGENTS
    assert sorted(set(NAMED_AGENTS)) == NAMES
    assert TEST_VARIABLES == ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")


@pytest.mark.parametrize("variable", CI)
def test_each_ci_variable_alone_is_enough(variable: str) -> None:
    """Not every service sets `CI`."""
    assert is_ci({variable: "1"}) is True


@pytest.mark.parametrize("variable", CI)
@pytest.mark.parametrize("value", FALSE)
def test_ci_variable_with_an_off_value_is_no_ci(variable: str, value: str) -> None:
    """`CI=false` means it."""
    assert is_ci({variable: value}) is False


def test_ordinary_environment_is_no_ci() -> None:
    """It is a person's."""
    assert is_ci({"HOME": "/home/jane", "CIRCUS": "1", "PATH": "/ci/bin"}) is False


@pytest.mark.parametrize(("variable", "name"), AGENTS)
def test_each_agent_is_recognised_by_its_variable(variable: str, name: str) -> None:
    """A coding agent's runs differ from a person's."""
    assert agent_of({variable: "1"}) == name


@pytest.mark.parametrize(("variable", "name"), AGENTS)
@pytest.mark.parametrize("value", FALSE)
def test_agent_variable_with_an_off_value_is_no_agent(variable: str, name: str, value: str) -> None:
    """It was switched off."""
    assert agent_of({variable: value}) == ""


@pytest.mark.parametrize("variable", ["AGENT", "AI_AGENT"])
@pytest.mark.parametrize("name", NAMES)
def test_agent_that_names_itself_is_recognised(variable: str, name: str) -> None:
    """`AGENT=amp`, in any spelling."""
    assert agent_of({variable: name}) == name
    assert agent_of({variable: f" {name.upper()}\n"}) == name


@given(st.text(), st.sampled_from(["AGENT", "AI_AGENT"]))
def test_free_text_is_never_recorded(text: str, variable: str) -> None:
    """The value of `AGENT` does not leave the machine unless it is a known name."""
    assert agent_of({variable: text}) in ("", *NAMES)


def test_agents_own_variable_precedes_a_name() -> None:
    """A process may have inherited the name from another one."""
    assert agent_of({"CLAUDECODE": "1", "AGENT": "goose"}) == "claude-code"
    assert agent_of({"AI_AGENT": "goose", "AGENT": "amp"}) == "goose"
    assert agent_of({"AI_AGENT": "unknown", "AGENT": "amp"}) == "amp"
