"""Which package is built, and what is said where that cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from go_trees import MAIN, MOD, Tree, failure, read


@pytest.mark.parametrize(
    ("tree", "options", "expected"),
    [
        pytest.param({"main.go": MAIN, "cmd/app/main.go": MAIN}, {}, ".", id="the root before cmd/name"),
        pytest.param({"lib.go": "package lib", "cmd/app/x.go": MAIN, "cmd/b/x.go": MAIN}, {}, "./cmd/app", id="cmd/name"),
        pytest.param({"lib.go": "package lib", "tools/one/x.go": MAIN}, {}, "./tools/one", id="the only one"),
        pytest.param({"main.go": MAIN, "cmd/b/x.go": MAIN}, {"main_package": "cmd/b"}, "./cmd/b", id="explicit"),
        pytest.param({"main.go": MAIN, "cmd/b/x.go": MAIN}, {"main_package": "./cmd/b/"}, "./cmd/b", id="explicit ./"),
        pytest.param({"main.go": MAIN}, {"main_package": "."}, ".", id="explicit root"),
        pytest.param({"main.go": MAIN}, {"main_package": "example.com/app"}, ".", id="explicit module path"),
        pytest.param(
            {"main.go": MAIN, "cmd/b/x.go": MAIN},
            {"main_package": "example.com/app/cmd/b"},
            "./cmd/b",
            id="explicit import path",
        ),
        pytest.param(
            {"testdata/x/x.go": MAIN, "lib.go": "package lib"},
            {"main_package": "testdata/x"},
            "./testdata/x",
            id="explicit where nothing is searched",
        ),
        pytest.param(
            {
                "gen.go": "//go:build ignore\n\n" + MAIN,
                "lib.go": "package lib",
                "old_windows.go": MAIN,
                "srv/main.go": MAIN,
                "vendor/example.org/x/main.go": MAIN,
                "testdata/main.go": MAIN,
                "_examples/main.go": MAIN,
                ".hidden/main.go": MAIN,
                "web/node_modules/p/main.go": MAIN,
                "nested/go.mod": "module example.com/nested",
                "nested/main.go": MAIN,
                "srv/main_test.go": "package main",
                "onlytest/x_test.go": "package main",
                "doc/doc.go": "package documentation",
            },
            {},
            "./srv",
            id="what does not count",
        ),
        pytest.param(
            {
                "a/main.go": MAIN,
                "tools/b/main.go": MAIN,
                "x/skip/main.go": MAIN,
                "go.mod": MOD + "ignore (\n./tools\nskip\n)\n",
            },
            {},
            "./a",
            id="ignored directories",
        ),
    ],
)
def test_main_package(tmp_path: Path, tree: Tree, options: dict[str, object], expected: str) -> None:
    assert read(tmp_path, {"go.mod": MOD, **tree}, **options).main_package == expected


@pytest.mark.parametrize(
    ("tree", "wanted", "words"),
    [
        ({}, "cmd/none", ["'cmd/none'", "no such directory", "./cmd/b"]),
        ({}, "cmd/b/main.go", ["is a file", "to ./cmd/b"]),
        ({}, "lib", ["package lib, not package main", "./cmd/b"]),
        ({}, "../other", ["outside of module example.com/app"]),
        ({}, "/etc", ["outside of module example.com/app"]),
        ({"empty/x.txt": ""}, "empty", ["no Go file in it"]),
        ({"onlytest/a_test.go": "package main"}, "onlytest", ["no Go file in it"]),
        ({"w/main_windows.go": MAIN}, "w", ["builds for linux/amd64", "main_windows.go (_windows in its name)"]),
        ({"i/main.go": "//go:build ignore\n\n" + MAIN}, "i", ["main.go (//go:build ignore)"]),
        ({"c/main.go": 'package main\nimport "C"\n'}, "c", ['import "C"', "CGO_ENABLED"]),
        (
            {"n/go.mod": "module n", "n/cmd/x/m.go": MAIN},
            "n/cmd/x",
            ["./n is a separate module", "go_service_module_dir", "./cmd/x"],
        ),
    ],
)
def test_wrong_explicit_main_package(tmp_path: Path, tree: Tree, wanted: str, words: list[str]) -> None:
    base = {"go.mod": MOD, "cmd/b/main.go": MAIN, "lib/lib.go": "package lib"}
    error = failure(tmp_path, {**base, **tree}, main_package=wanted)
    assert error.variable == "go_service_main_package"
    assert [word for word in words if word not in str(error)] == []


def test_ambiguous_main_package_lists_the_candidates(tmp_path: Path) -> None:
    tree = {"go.mod": MOD, "cmd/b/main.go": MAIN, "cmd/c/main.go": MAIN}
    error = failure(tmp_path, tree)
    assert error.variable == "go_service_main_package"
    assert "./cmd/b, ./cmd/c" in error.message
    assert "./cmd/app" in error.message


@pytest.mark.parametrize(
    ("tree", "variable", "words"),
    [
        ({"README": ""}, "go_service_source", ["no Go file in module example.com/app"]),
        ({"lib.go": "package lib"}, "go_service_source", ["no main package"]),
        (
            {"gen.go": "//go:build ignore\n\n" + MAIN, "cmd/app/main_darwin.go": MAIN},
            "go_service_build_tags",
            ["no main package", "linux/amd64: ./cmd/app/main_darwin.go (_darwin in its name)."],
        ),
        ({"a.go": "package lib", "b.go": MAIN}, "go_service_main_package", ["shares a directory", "in ."]),
        (
            {"a/go.mod": "module a", "a/main.go": MAIN, "lib.go": "package l"},
            "go_service_module_dir",
            ["no main package", "./a"],
        ),
    ],
)
def test_no_main_package(tmp_path: Path, tree: Tree, variable: str, words: list[str]) -> None:
    error = failure(tmp_path, {"go.mod": MOD, **tree})
    assert error.variable == variable
    assert [word for word in words if word not in str(error)] == []


def test_two_packages_in_the_main_directory(tmp_path: Path) -> None:
    error = failure(tmp_path, {"go.mod": MOD, "a.go": MAIN, "b.go": "package other"})
    assert "main (a.go) and other (b.go)" in error.message
