"""Builds that print what nobody thought of: each failure has words and a remedy, holds no value of the build's, and comes soon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.action import fetch
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure, folded
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import mask
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.deploy import remedies
from ansible_collections.proven.go_service.plugins.plugin_utils import build_log
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import buildx, docker_image
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=200,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
WORDS = st.sampled_from(
    [
        "Step 3/9 : ",
        'ENV TOKEN="hunter2\\" x"',
        'ARG A="hunter2"',
        "RUN go build",
        "---> Using cache",
        "\n",
        "#7 ERROR: ",
        "#7 [build 3/9] ",
        "#7 0.1 ",
        "#",
        "message: ",
        ", logs: [",
        "']",
        "go: ",
        "a/b@v1 requires go >= ",
        "main.go:1:2: undefined: x.Y",
        "no required module provides package ",
        "build constraints exclude all Go files in ",
        "WARNING: ",
        "https://",
        "pattern ",
        ": no matching files found",
        "{0}",
        "{",
        "%s",
        "\x1b[2J",
        "\udce9",
        "\r",
        "go: " * 2000,
        "a" * 5000,
        "/pkg/mod/" * 500,
    ]
)
TEXT = st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=20).map("".join)
PROJECT = st.fixed_dictionaries({}, optional={"module_path": TEXT, "cgo_files": st.lists(TEXT, max_size=2)})


def check(failure: Failure | None) -> None:
    """Insist on a failure that can be shown."""
    assert failure is not None
    assert failure.message and failure.remedy.strip()
    shown = visible(failure.text("app"))
    assert "\x1b" not in shown
    shown.encode()


@EXAMPLES
@given(head=TEXT, instruction=TEXT, printed=st.lists(TEXT, max_size=5), project=PROJECT)
@example(head="", instruction="", printed=[], project={})
@example(head="", instruction="", printed=["package x is not in std {0} {1}"], project={"module_path": "x"})
@example(head="", instruction="", printed=["build constraints exclude all Go files in {1}{x}"], project={})
def test_any_build_log_is_explained(head: str, instruction: str, printed: list[str], project: dict[str, Any]) -> None:
    check(build_log.explain(head, instruction, printed, project))


@EXAMPLES
@given(message=TEXT, stdout=TEXT, stderr=TEXT, project=PROJECT)
@example(message=", logs: [" + "[" * 50_000, stdout="", stderr="", project={})
@example(message=", logs: " + "-" * 50_000 + "1", stdout="", stderr="", project={})
@example(message=", logs: ['a', 1, None, b'x', {}]", stdout="", stderr="", project={})
@example(message=", logs: 1", stdout="", stderr="", project={})
@example(message=", logs: None", stdout="", stderr="", project={})
def test_any_result_of_a_builder_is_explained(message: str, stdout: str, stderr: str, project: dict[str, Any]) -> None:
    result = {"failed": True, "msg": message, "stdout": stdout, "stderr": stderr}
    for builder in (docker_image, buildx):
        check(builder.failure(result, project))
        check(builder.failure({"stdout": stdout, "stderr": stderr}, project))
        for step in build_log.steps(builder.log(result)):
            assert step["instruction"] is not None
        builder.was_cached(builder.log(result))


@pytest.fixture
def wanted(settings: Any) -> Settings:
    """Return the role's settings."""
    return settings()


@EXAMPLES
@given(evidence=st.lists(TEXT, max_size=5), values=st.lists(TEXT, max_size=3))
def test_any_words_of_a_service_and_of_the_engine_have_a_remedy(wanted: Settings, evidence: list[str], values: list[str]) -> None:
    assert remedies.remedy_for(evidence)
    asked = replace(wanted, volumes=tuple(values), tmpfs=dict.fromkeys(values, "x"), env={"A": "b"}, publish=None, cap_add=tuple(values))
    assert remedies.refused("\n".join(evidence), asked, "otherwise")
    assert len(folded(evidence)) <= len(evidence)


@EXAMPLES
@given(said=TEXT, stderr=TEXT)
def test_any_words_of_git_have_a_remedy(wanted: Settings, said: str, stderr: str) -> None:
    check(fetch.explain({"msg": said, "stderr": stderr}, wanted, UNTOUCHED))


@EXAMPLES
@given(value=st.text(min_size=8, max_size=30), before=TEXT, after=TEXT)
def test_no_value_is_quoted(value: str, before: str, after: str) -> None:
    """Wherever it stands: the values of the build by their instruction, all others by what they are."""
    masked = mask(f"{before}{value}{after}", (value,))
    assert value not in masked or value in before + after or not mask(value, (value,)).count("***")
