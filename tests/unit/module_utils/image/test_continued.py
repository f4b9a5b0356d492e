"""When a build goes on from the last one's stage, and by which Dockerfile. On a real Engine: tests/test_continued_builds.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import continued
from ansible_collections.proven.go_service.plugins.module_utils.image.dockerfile import dockerfile_facts


@pytest.fixture
def basis(project: dict[str, Any], settings: Callable[..., Settings]) -> Callable[..., dict[str, Any]]:
    """Return what decides for a service, whose settings and Go facts a test changes."""

    def made(**changed: Any) -> dict[str, Any]:
        found = {**project, **changed.pop("project", {})}
        asked = settings(**changed)
        return continued.basis(found, dockerfile_facts(found, asked), asked)

    return made


@pytest.mark.parametrize(
    "changed",
    [
        {"run_tests": True},
        {"build_env": {"GOFLAGS": "-mod=mod"}},
        {"build_args": {"GOFLAGS": "-mod=mod"}},
        {"platform": "linux/arm64"},
        {"build_secrets": {"example.com": {"token": "x"}}, "project": {"has_requirements": True}},
        {"project": {"profiled": True}},
        {"project": {"files": [{"src": "a", "dest": "/a", "mode": "0644", "kind": "file", "owner": "root"}]}},
    ],
    ids=str,
)
def test_what_could_carry_something_over_never_goes_on(basis: Callable[..., dict[str, Any]], changed: dict[str, Any]) -> None:
    assert basis(**changed) == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"build_tags": ["x"]},
        {"build_env": {"GOAMD64": "v2"}},
        {"build_args": {"A": "1"}},
        {"ldflags": "-X main.a=b"},
        {"ca_certificates": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
        {"project": {"vendored": True}},
        {"project": {"module_dir": "below"}},
    ],
    ids=str,
)
def test_what_the_stage_was_made_of_has_to_be_the_same(basis: Callable[..., dict[str, Any]], changed: dict[str, Any]) -> None:
    assert basis(**changed)["standing"] != basis()["standing"]


@pytest.mark.parametrize("changed", [{"port": 9}, {"labels": {"a": "b"}}, {"uid": 7}, {"project": {"module_packages": ["a.b/c"]}}], ids=str)
def test_what_comes_after_the_stage_or_lies_in_the_cache_may_differ(basis: Callable[..., dict[str, Any]], changed: dict[str, Any]) -> None:
    assert basis(**changed)["standing"] == basis()["standing"]


def test_values_and_the_builder_image_count(basis: Callable[..., dict[str, Any]]) -> None:
    kept = continued.standing_on(basis(), "values", "sha256:1", "m")
    assert kept == continued.standing_on(basis(), "values", "sha256:1", "m")
    assert kept != continued.standing_on(basis(), "others", "sha256:1", "m")
    assert kept != continued.standing_on(basis(), "values", "sha256:2", "m")
    assert continued.standing_on({}, "values", "sha256:1", "m") == {}


@pytest.mark.parametrize(
    ("packages", "compiled", "builds", "files", "worth"),
    [(1, "a", 1, 9, False), (10, "a", 1, 9, True), (1, "b", 1, 9, True), (1, "a", 2, 9, True), (1, "a", 1, 4500, True)],
)
def test_it_is_worth_it_where_something_is_saved(packages: int, compiled: str, builds: int, files: int, worth: bool) -> None:
    assert continued.is_worth_it({"packages": packages, "compiled": compiled}, {"compiled": "a"}, builds, files) is worth


def test_the_dockerfile_begins_with_the_stage_and_ends_as_the_ordinary_one() -> None:
    """Arguments are declared anew: a stage does not inherit them, as it does variables and the working directory."""
    ordinary = (
        'FROM golang AS build\nARG A="***"\nENV B="***"\nWORKDIR /src\nRUN go build std\nWORKDIR /src/below\nCOPY go.mod ./\n'
        "\nCOPY . /src/\nRUN go build -o /out/api .\n\nFROM alpine\nCOPY --from=build /out/api /api\n"
    )
    assert continued.dockerfile(ordinary, "sha256:1").splitlines()[1:] == [
        "FROM sha256:1 AS build",
        'ARG A="***"',
        "",
        "COPY .stage/ /",
        "RUN sh /changes/apply && go build -o /out/api .",
        "",
        "FROM alpine",
        "COPY --from=build /out/api /api",
    ]
