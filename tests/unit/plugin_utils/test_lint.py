"""The Dockerfile's linters: the real ones, and what is said where they are missing or fail."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils import lint
from violations import judged

DOCKERFILE = 'FROM alpine:3.24\nRUN adduser -D app\nUSER app\nENTRYPOINT ["/x"]\n'


CHECKOV = {
    "check_type": "dockerfile",
    "results": {
        "passed_checks": [{"check_id": "CKV_DOCKER_7"}],
        "failed_checks": [
            {
                "check_id": "CKV_DOCKER_2",
                "check_name": "Ensure that HEALTHCHECK instructions have been added to container images ",
                "file_line_range": [1, 4],
            }
        ],
    },
}


CHECKOV_PROGRAM = Path(sys.executable).parents[1] / "checkov/bin/checkov"


@pytest.mark.skipif(not lint.find_tool("hadolint"), reason="no hadolint")
def test_hadolint():
    """The real linter: clean at the threshold warning, a finding at info with a numeric user, and findings of a bad
    file."""
    tools = {"hadolint": lint.find_tool("hadolint")}
    good = lint.lint(DOCKERFILE, tools)
    assert judged(good).verdict == "pass"
    strict = judged(good, numeric_user=True)
    assert (strict.verdict, "DL3066" in strict.reason) == ("fail", True)
    bad = judged(lint.lint("FROM alpine\nADD x /y\nUSER root\n", tools))
    assert bad.verdict == "fail"
    assert all(code in bad.reason for code in ("DL3006", "DL3020", "DL3002"))
    numeric = lint.lint(DOCKERFILE.replace("USER app", "USER 10001"), tools)
    assert judged(numeric, numeric_user=True).verdict == "pass"
    broken = judged(lint.lint("FROM\n", tools))
    assert broken.verdict == "fail"


@pytest.mark.skipif(not CHECKOV_PROGRAM.exists(), reason="no checkov: make unit installs it")
def test_checkov():
    """The real linter: the missing health check is found."""
    answer = lint.lint(DOCKERFILE, {"checkov": str(CHECKOV_PROGRAM)})
    assert [finding["code"] for finding in answer["checkov"]["findings"]] == ["CKV_DOCKER_2"]
    assert judged(answer, "checkov").verdict == "fail"


def test_checkov_format():
    """checkov's JSON, as documented."""
    assert lint.parse_checkov(CHECKOV) == [
        {
            "code": "CKV_DOCKER_2",
            "level": "warning",
            "line": 1,
            "message": "Ensure that HEALTHCHECK instructions have been added to container images",
        }
    ]
    with pytest.raises(ValueError, match="not checkov's report"):
        lint.parse_checkov([])


def test_linters_that_are_not_there():
    """A linter that is not there is a skip, one that fails a warning; neither is a pass."""
    assert lint.lint("FROM x:1\n", {"hadolint": "", "checkov": ""}) == {}
    absent = [judged({}, name) for name in lint.TOOLS]
    assert [(item.verdict, item.reason) for item in absent] == [
        ("skip", "no hadolint on the controller"),
        ("skip", "no checkov on the controller"),
    ]
    assert (judged(None).verdict, "earlier image" in judged(None).reason) == ("skip", True)
    failing = lint.lint("FROM x:1\n", {"hadolint": "/bin/false"})
    assert judged(failing).verdict == "warn"
    wrong = lint.lint("FROM x:1\n", {"hadolint": shutil.which("echo")})
    assert judged(wrong).verdict == "warn"


def test_what_the_linters_found_is_kept_for_the_same_dockerfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run again for another Dockerfile only."""
    asked: list[str] = []
    monkeypatch.setattr(lint, "lint", lambda dockerfile, tools: asked.append(dockerfile) or {})
    first = lint.examine("FROM x:1\n", None)
    assert lint.examine("FROM x:1\n", first) == first
    assert asked == ["FROM x:1\n"]
    assert lint.examine("FROM x:2\n", first) != first
    assert asked == ["FROM x:1\n", "FROM x:2\n"]


Generate = Callable[..., dict[str, str]]


NAMES = ("API_TOKEN", "DB_PASSWORD", "SECRET_KEY", "GOPROXY")


@pytest.fixture
def hadolint() -> str:
    """Return the path of hadolint."""
    return lint.find_tool("hadolint") or pytest.skip("no hadolint on this machine")


def codes(dockerfile: str) -> list[str]:
    """Return the codes of what hadolint finds, as far as it counts."""
    return [finding["code"] for finding in lint.examine(dockerfile, None)["linters"]["hadolint"]["findings"]]


def test_names_like_secrets_and_packages_without_versions_are_no_fault(hadolint: str, generate: Generate) -> None:
    values = dict.fromkeys(NAMES, "x")
    dockerfile = generate(build_env=values, build_args=values, packages=["tzdata", "ca-certificates"])["dockerfile"]
    assert [finding["code"] for finding in lint.run_hadolint(hadolint, dockerfile)].count("DL3064") > 1
    assert codes(dockerfile) == codes(generate()["dockerfile"])


def test_a_secret_that_would_be_in_the_image_is_one(hadolint: str, generate: Generate) -> None:
    assert "DL3064" in codes(generate()["dockerfile"] + "ENV API_TOKEN=x\n")


def test_what_was_found_before_is_counted_alike(hadolint: str, generate: Generate) -> None:
    dockerfile = generate(build_env={"API_TOKEN": "x"})["dockerfile"]
    fresh = lint.examine(dockerfile, None)
    known = {**fresh, "linters": {"hadolint": {"findings": lint.run_hadolint(hadolint, dockerfile), "problem": ""}}}
    assert known["linters"]["hadolint"] != fresh["linters"]["hadolint"] == lint.examine(dockerfile, known)["linters"]["hadolint"]
