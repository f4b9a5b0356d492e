"""Which files build: by their names, their constraints and the tags, as the go command has it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.constraints import (
    BuildContext,
    evaluate_go_build,
    evaluate_plus_build,
    excluded_by_header,
    tags_that_admit,
)
from ansible_collections.proven.go_service.plugins.module_utils.source.project import read_project
from go_trees import MAIN, MOD, SUFFIXES, Go, go_file, importing, read, write


def only(*tags: str) -> Callable[[str], bool]:
    return tags.__contains__


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", True),
        ("x", False),
        ("!a", False),
        ("!(a && x)", True),
        ("a && b", True),
        ("a&&x||b", True),
        ("x || a && x", False),
        ("(x || a) && !x", True),
        ("  ( a )\t", True),
        ("((((a))))", True),
        ("go1.21", False),
        ("b.c_d", True),
    ],
)
def test_go_build_expression(expression: str, expected: bool) -> None:
    assert evaluate_go_build(expression, only("a", "b", "b.c_d")) is expected


@pytest.mark.parametrize(
    "expression",
    ["", "a b", "a &&", "&& a", "!", "!!a", "(a", "a)", "a & b", "a-b", "a,b", "(" * 2000 + "a" + ")" * 2000],
)
def test_malformed_go_build_expression(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        evaluate_go_build(expression, only("a", "b"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("a x", True),
        ("a,x", False),
        ("a,!x", True),
        ("x !a", False),
        ("", False),
        ("!", False),
        ("!!a", False),
        ("!a-b", True),
    ],
)
def test_plus_build_arguments(arguments: str, expected: bool) -> None:
    assert evaluate_plus_build(arguments, only("a", "b")) is expected


@pytest.mark.parametrize(
    ("tag", "options", "expected"),
    [
        ("linux", {}, True),
        ("windows", {}, False),
        ("unix", {}, True),
        ("unix", {"goos": "plan9"}, False),
        ("linux", {"goos": "android"}, True),
        ("amd64", {}, True),
        ("amd64", {"goarch": "arm64"}, False),
        ("arm64.v8.0", {"goarch": "arm64"}, True),
        ("amd64.v1", {}, True),
        ("amd64.v2", {}, False),
        ("gc", {}, True),
        ("gccgo", {}, False),
        ("cgo", {}, False),
        ("ignore", {}, False),
        ("netgo", {"build_tags": frozenset({"netgo"})}, True),
        ("go1.999", {}, True),
        ("go1.27", {"go_version": (1, 27, 3)}, True),
        ("go1.28", {"go_version": (1, 27, 3)}, False),
        ("go1.28", {"go_version": (1, 27)}, False),
        ("go1.27.1", {}, False),
        ("go2.1", {}, False),
    ],
)
def test_tags(tag: str, options: dict[str, object], expected: bool) -> None:
    assert BuildContext(**options).satisfied(tag) is expected


@pytest.mark.parametrize(
    ("name", "builds"),
    [
        ("x_linux.go", True),
        ("x_windows.go", False),
        ("x_amd64.go", True),
        ("x_arm64.go", False),
        ("x_linux_amd64.go", True),
        ("x_linux_arm64.go", False),
        ("x_windows_amd64.go", False),
        ("x_windows_foo.go", True),
        ("windows.go", True),
        ("_x.go", False),
        (".x.go", False),
        ("x_unix.go", True),
        ("x.windows.go", True),
        ("x_windows.y.go", False),
        ("x_s390x_zz.go", True),
        ("x_test_linux.go", True),
    ],
)
def test_file_names(tmp_path: Path, name: str, builds: bool) -> None:
    project = read(tmp_path, {"go.mod": MOD, "main.go": MAIN, name: importing("html")})
    assert project.std_imports == (("html",) if builds else ())


@pytest.mark.parametrize(
    ("header", "builds"),
    [
        ("//go:build linux\n\n", True),
        ("//go:build linux\n", True),
        ("//go:build windows\n", False),
        ("// +build windows\n\n", False),
        ("// +build windows\n", True),
        ("//+build windows\n\n", False),
        ("// +build linux\n// +build arm64\n\n", False),
        ("// +build windows\n\n// Package comment\n", False),
        ("//go:build linux\n// +build windows\n\n", True),
        ("//go:build linux\n//go:build amd64\n\n", False),
        ("//go:build linux &&\n\n", False),
        ("// a licence\n\n/* more */\n//go:build windows\n", False),
        ("/* more */\n// +build windows\n\n", True),
        ("/*\n//go:build windows\n*/\n", True),
        ("//go:buildx windows\n", True),
        (" //go:build windows\n", False),
        ("//go:build windows\r\n\r\n", False),
        ("\ufeff//go:build windows\n\n", False),
    ],
)
def test_constraints_of_a_file(tmp_path: Path, header: str, builds: bool) -> None:
    tree = {"go.mod": MOD, "main.go": MAIN, "x.go": header + importing("html") + "\n//go:build windows\n"}
    assert read(tmp_path, tree).std_imports == (("html",) if builds else ())


def test_build_tags_and_target(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": MAIN,
        "a.go": "//go:build extra\n\n" + importing("html"),
        "b_arm64.go": importing("os"),
        "c.go": "//go:build go1.30\n\n" + importing("io"),
    }
    assert read(tmp_path, tree).std_imports == ("io",)
    options = {"build_tags": ["extra"], "goarch": "arm64", "go_version": (1, 29)}
    assert read(tmp_path, tree, **options).std_imports == ("html", "os")


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("//go:build dev", ("dev",)),
        ("// +build dev", ("dev",)),
        ("//go:build linux && (dev || local)", ("dev",)),
        ("//go:build dev && local", ("dev", "local")),
        ("//go:build !embed && ui", ("ui",)),
        ("//go:build ignore", ()),
        ("// +build ignore", ()),
        ("//go:build cgo", ()),
        ("//go:build windows", ()),
        ("//go:build dev && windows", ()),
        ("//go:build !prod && !linux", ()),
        ("//go:build dev &&", ()),
        ("//go:build dev\n//go:build local", ()),
        ("", ()),
    ],
)
def test_tags_that_would_make_a_file_part_of_the_build(header: str, tags: tuple[str, ...]) -> None:
    context = BuildContext()
    assert tags_that_admit(excluded_by_header(f"{header}\n\n".encode(), context), context) == tags


def test_files_beside_go_list(tmp_path: Path, go: Go) -> None:
    """Four hundred files in one directory, each with an import of its own: which build, and what is imported."""
    dice = random.Random(7)
    names = [f"f{number}{dice.choice(SUFFIXES)}.go" for number in range(400)]
    tree = {name: go_file(dice, "main", [f"example.org/{name}"]) for name in names}
    write(tmp_path, {"go.mod": MOD, "main.go": MAIN, **tree})
    (package,) = go.packages(tmp_path, "-tags", "tagged", ".")
    project = read_project(tmp_path, name="app", build_tags=["tagged", *go.tags], go_version=go.version)
    assert {*project.third_party_imports} == {*package["Imports"]}
    assert 50 < len(package["Imports"]) < 350
