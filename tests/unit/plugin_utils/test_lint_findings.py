"""What the linters say of a Dockerfile that has everything the settings can give it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils import lint

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
