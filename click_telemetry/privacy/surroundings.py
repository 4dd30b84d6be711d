"""Who runs the command, told from its environment: CI services, coding agents, test runs.

Pure functions of a mapping. Each row of a table has the page that documents its variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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

TEST_VARIABLES = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")  # docs.pytest.org, environment variables

_FALSE = frozenset(("", "0", "false", "no", "off"))


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether one of the known CI services has set its variable to anything but a no."""
    return any(
        name in environ and environ[name].strip().lower() not in _FALSE for name in CI_VARIABLES
    )


def agent(environ: Mapping[str, str]) -> str | None:
    """The coding agent that runs the command, or None.

    `AGENT` and `AI_AGENT` (agents.md's proposal) carry a name; only a known one is told on, so
    that nobody's free text leaves the machine.
    """
    for variable, name in AGENT_VARIABLES:
        if environ.get(variable, "").strip().lower() not in _FALSE:
            return name
    known = {name for _, name in AGENT_VARIABLES} | {"amp", "goose", "crush"}
    for variable in ("AI_AGENT", "AGENT"):
        value = environ.get(variable, "").strip().lower()
        if value in known:
            return value
    return None


def cli_context(environ: Mapping[str, str], *, is_ci: bool, terminal: bool) -> str:
    """`agent:<name>`, `ci`, `human` (at a terminal) or `script`, the first that holds."""
    name = agent(environ)
    if name:
        return f"agent:{name}"
    if is_ci:
        return "ci"
    return "human" if terminal else "script"


def is_test_environment(environ: Mapping[str, str]) -> bool:
    """Whether a test suite, or a process that it started, left its mark in the environment."""
    return any(name in environ for name in TEST_VARIABLES)
