"""What follows for the generated files: layers, labels, secret values."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile

HTTP_LAYER = ["embed", "encoding/json", "flag", "log/slog", "net/http", "os/signal"]


@pytest.mark.parametrize(
    ("packages", "layers"),
    [
        ([], []),
        (["fmt", "os"], [["fmt", "os"]]),
        (["fmt", "net/http", "strings"], [HTTP_LAYER]),
        (["embed", "html/template", "log/slog", "net/http"], [HTTP_LAYER, ["html/template"]]),
    ],
)
def test_the_layers_of_the_standard_library(packages: list[str], layers: list[list[str]]) -> None:
    assert dockerfile.std_layers(packages) == layers


def test_what_the_common_layer_brings(go_binary: Path, tmp_path: Path) -> None:
    """By the builder's own Go."""
    known = subprocess.run([go_binary, "list", "-deps", *HTTP_LAYER], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert set(known.split()) >= dockerfile._BROUGHT


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"module_files": [], "std_layers": [HTTP_LAYER], "module_subdir": ""}),
        (
            {"has_requirements": True, "module_packages": ["x.y/z"]},
            {"module_files": ["go.mod go.su[m] ./"], "module_packages": ["x.y/z"]},
        ),
        (
            {"has_requirements": True, "local_modules": ["third party/[x]$"]},
            {
                "module_files": [
                    "go.mod go.su[m] ./",
                    '["third party/[[]x]\\\\$/go.mod", "third party/[[]x]\\\\$/go.su[m]", "/src/third party/[x]\\\\$/"]',
                ]
            },
        ),
        ({"profiled": True, "module_packages": ["x.y/z"]}, {"std_layers": [], "module_packages": []}),
        (
            {"module_dir": "a/b", "has_requirements": True},
            {"module_subdir": "/a/b", "module_files": ["a/b/go.mod a/b/go.su[m] ./"]},
        ),
    ],
)
def test_what_is_compiled_above_the_source(
    project: dict[str, Any], settings: Callable[..., Settings], changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    facts = dockerfile.dockerfile_facts({**project, **changes}, settings())
    assert {key: facts[key] for key in expected} == expected


def test_build_tags_are_the_same_in_every_layer(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(build_tags=["a", "b"]))
    assert facts["goflags"] == "-trimpath -buildvcs=false -gcflags=all=-dwarf=false -tags=a,b"


@pytest.mark.parametrize(("ldflags", "compiled"), [("-w -s", False), ("-s -X main.version=1", False), ("-X main.w=-1", True), ("", True)])
def test_what_debuggers_need_is_compiled_where_the_linker_keeps_it(
    project: dict[str, Any], settings: Callable[..., Settings], ldflags: str, compiled: bool
) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(ldflags=ldflags))
    assert ("-dwarf=false" not in facts["goflags"]) == compiled


def test_labels_say_where_an_image_comes_from(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    origin = {"revision": "abc-dirty", "date": "2026-01-02T03:04:05Z", "url": "https://git.example.com/x"}
    labels = dockerfile.image_labels({**project, "origin": origin}, settings(version="1.4"), "f" * 64, "sha256:1")
    # The version that was given is missing: it stands in the Dockerfile.
    assert labels == {
        "go-service.digest": "f" * 64,
        "org.opencontainers.image.revision": "abc-dirty",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.source": "https://git.example.com/x",
        "org.opencontainers.image.base.digest": "sha256:1",
    }


def test_labels_without_an_origin(project: dict[str, Any], settings: Callable[..., Settings]) -> None:
    assert dockerfile.image_labels(project, settings(), "f" * 64, "") == {
        "go-service.digest": "f" * 64,
        "org.opencontainers.image.version": "f" * 12,
    }


def test_a_label_cannot_leave_its_quotes() -> None:
    instruction = dockerfile.label_instruction({"a": 'x" USER="$HOME\\', "b": "y"})
    assert instruction == 'LABEL a="x\\" USER=\\"\\$HOME\\\\" \\\n      b="y"\n'


@pytest.mark.parametrize("value", ["a\nUSER root", "a\r\nb", "a\u2028b", "\x1b[31m", "a\x00b", "\udcff", "\\\n", "v1\n\n# x"])
def test_whatever_a_label_holds_is_one_line(value: str) -> None:
    instruction = dockerfile.label_instruction({"first": value, "last": "y"})
    instruction.encode()
    assert instruction.isascii()
    assert [line.partition("=")[0].split()[-1] for line in instruction.splitlines()] == ["first", "last"]
    assert instruction.removesuffix("\n").replace(" \\\n", "").isprintable()
