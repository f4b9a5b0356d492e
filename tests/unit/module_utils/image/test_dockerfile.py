"""What follows for the generated files: layers, labels, secret values."""

from __future__ import annotations

import re
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


FLAGS = "-trimpath -buildvcs=false -gcflags=all=-dwarf=false"


@pytest.mark.parametrize(
    ("given", "shared", "own"),
    [
        ({"build_tags": ["a", "b"]}, "", " -tags=a,b"),
        ({"build_tags": ["a", "netgo"]}, " -tags=a,netgo", ""),
        ({"build_tags": ["goexperiment.jsonv2"]}, " -tags=goexperiment.jsonv2", ""),
        # What the user gives stands below, and wins.
        ({"build_tags": ["a"], "build_env": {"GOFLAGS": "-mod=mod"}}, " -tags=a", ""),
    ],
)
def test_only_what_the_standard_library_asks_for_stands_above_the_layers_that_services_share(
    project: dict[str, Any], settings: Callable[..., Settings], given: dict[str, Any], shared: str, own: str
) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(**given))
    assert facts["goflags"] == FLAGS + shared
    assert facts["own_goflags"] == (FLAGS + own if own else "")


def test_the_build_tags_of_the_standard_library_are_known(go_binary: Path) -> None:
    """By the builder's own Go."""
    root = subprocess.run([go_binary, "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
    search = [
        "grep",
        "-rhE",
        "--include=*.go",
        "--exclude=*_test.go",
        "--exclude-dir=cmd",
        "--exclude-dir=testdata",
        "^//go:build ",
        f"{root}/src",
    ]
    lines = subprocess.run(search, check=True, capture_output=True, text=True).stdout.replace("//go:build", "")
    assert "netgo" in lines
    listed = subprocess.run([go_binary, "tool", "dist", "list"], check=True, capture_output=True, text=True).stdout
    systems = {*re.split(r"[/\n]", listed), "cgo", "unix", "gc", "ignore"}
    unknown = {tag for tag in re.findall(r"[\w.]+", lines) if not dockerfile._STD_TAGS.fullmatch(tag)} - systems
    # What is left are processors and systems that this Go no longer, or not yet, compiles for.
    assert [
        tag
        for tag in sorted(unknown)
        if not re.fullmatch(r"(amd64|arm|m68k|mips|nios|ppc|riscv|s390|sh|sparc|alpha|hurd|zos|illumos)\w*(\.v\d)?|s", tag)
    ] == []


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("GOAMD64", True),
        ("GOEXPERIMENT", True),
        ("CGO_CFLAGS", True),
        ("CC", True),
        ("GOPROXY", False),
        ("GOPRIVATE", False),
        ("https_proxy", False),
        ("VERSION", False),
    ],
)
def test_variables_that_the_compiler_does_not_read_stand_below_what_services_share(name: str, above: bool) -> None:
    assert dockerfile.for_compiler(name) == above


@pytest.mark.parametrize(("ldflags", "compiled"), [("-w -s", False), ("-s -X main.version=1", False), ("-X main.w=-1", True), ("", True)])
def test_what_debuggers_need_is_compiled_where_the_linker_keeps_it(
    project: dict[str, Any], settings: Callable[..., Settings], ldflags: str, compiled: bool
) -> None:
    facts = dockerfile.dockerfile_facts(project, settings(ldflags=ldflags))
    assert ("-dwarf=false" not in facts["goflags"]) == compiled


def test_each_variable_of_a_build_stands_once_above_or_below_what_services_share(generate: Callable[..., dict[str, str]]) -> None:
    names = {"build_args": ("GOARM", "VERSION"), "build_env": ("GOAMD64", "GOPROXY")}
    written = generate(**{kind: dict.fromkeys(given, "1") for kind, given in names.items()})["dockerfile"]
    above, _label, below = written.partition('go-service.kind="builder"')
    instruction = re.compile(r"^(?:ARG|ENV) (\w+)=\"\*\*\*\"$", re.M)
    assert (instruction.findall(above), instruction.findall(below)) == (["GOARM", "GOAMD64"], ["VERSION", "GOPROXY"])


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
