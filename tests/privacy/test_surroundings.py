"""Who runs the command, told from its environment: a CI service, a coding agent, a test suite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.privacy.surroundings import (
    AGENT_VARIABLES,
    CI_VARIABLES,
    TEST_VARIABLES,
    agent,
    cli_context,
    is_ci,
    is_test_environment,
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
def test_every_ci_service_is_told_by_what_it_sets(service: str) -> None:
    """A build server is told from its own variables, as its documentation lists them."""
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


def test_every_row_of_the_tables_is_tried() -> None:
    """No variable is looked at that this page does not list."""
    assert CI_VARIABLES == CI
    assert AGENT_VARIABLES == AGENTS
    assert TEST_VARIABLES == ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")


@pytest.mark.parametrize("variable", CI)
def test_each_ci_variable_alone_is_enough(variable: str) -> None:
    """One mark of a CI service suffices."""
    assert is_ci({variable: "1"}) is True


@pytest.mark.parametrize("variable", CI)
@pytest.mark.parametrize("value", FALSE)
def test_a_ci_variable_that_says_no_is_no_ci(variable: str, value: str) -> None:
    """`CI=false` is how people say that it is not."""
    assert is_ci({variable: value}) is False


def test_a_shell_without_marks_is_no_ci() -> None:
    """An ordinary environment is a person's."""
    assert is_ci({"HOME": "/home/jane", "CIRCUS": "1", "PATH": "/ci/bin"}) is False


@pytest.mark.parametrize(("variable", "name"), AGENTS)
def test_each_agent_is_told_by_its_variable(variable: str, name: str) -> None:
    """A coding agent's runs are told from a person's."""
    assert agent({variable: "1"}) == name


@pytest.mark.parametrize(("variable", "name"), AGENTS)
@pytest.mark.parametrize("value", FALSE)
def test_an_agent_s_variable_that_says_no_is_no_agent(variable: str, name: str, value: str) -> None:
    """A variable that was switched off marks nobody."""
    assert agent({variable: value}) is None


KNOWN = sorted({name for _, name in AGENTS} | {"amp", "goose", "crush"})


@pytest.mark.parametrize("variable", ["AGENT", "AI_AGENT"])
@pytest.mark.parametrize("name", KNOWN)
def test_an_agent_that_names_itself_is_known(variable: str, name: str) -> None:
    """`AGENT=amp` is told on, in any spelling."""
    assert agent({variable: name}) == name
    assert agent({variable: f" {name.upper()}\n"}) == name


@given(st.text(), st.sampled_from(["AGENT", "AI_AGENT"]))
def test_a_free_text_is_never_told_on(text: str, variable: str) -> None:
    """What somebody wrote into `AGENT` does not leave the machine unless it is a known name."""
    found = agent({variable: text})
    assert found is None or found in KNOWN


def test_an_agent_s_own_variable_wins_over_a_name() -> None:
    """Where both are set, the one that cannot be inherited by accident counts."""
    assert agent({"CLAUDECODE": "1", "AGENT": "goose"}) == "claude-code"
    assert agent({"AI_AGENT": "goose", "AGENT": "amp"}) == "goose"
    assert agent({"AI_AGENT": "somebody", "AGENT": "amp"}) == "amp"


@pytest.mark.parametrize(
    ("environ", "ci", "terminal", "context"),
    [
        ({}, False, True, "human"),
        ({}, False, False, "script"),
        ({}, True, True, "ci"),
        ({}, True, False, "ci"),
        ({"CLAUDECODE": "1"}, False, True, "agent:claude-code"),
        ({"CLAUDECODE": "1"}, True, False, "agent:claude-code"),
        ({"AGENT": "somebody"}, False, True, "human"),
    ],
)
def test_the_context_is_the_first_that_holds(
    environ: dict[str, str], ci: bool, terminal: bool, context: str
) -> None:
    """Agent, then CI, then a person at a terminal, then a script."""
    assert cli_context(environ, is_ci=ci, terminal=terminal) == context


@pytest.mark.parametrize("variable", ["PYTEST_CURRENT_TEST", "PYTEST_VERSION"])
@pytest.mark.parametrize("value", ["", "0", "8.3.3", "test_a.py::test_b (call)"])
def test_a_process_that_a_test_suite_started_is_a_test_run(variable: str, value: str) -> None:
    """Pytest's variables are inherited by whatever the tests run; their value does not matter."""
    assert is_test_environment({variable: value}) is True


def test_an_ordinary_environment_is_no_test_run() -> None:
    """A variable that only resembles pytest's marks nothing."""
    assert is_test_environment({"PYTEST_ADDOPTS": "-q", "PYTEST": "1"}) is False
