"""Reading a Go module without Go: choice of the main package, imports, constraints, embedding, versions, errors.

The second half compares with the real go command on generated trees.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source import gofile
from ansible_collections.proven.go_service.plugins.module_utils.source.constraints import (
    BuildContext,
    evaluate_go_build,
    evaluate_plus_build,
)
from ansible_collections.proven.go_service.plugins.module_utils.source.embeds import resolve_embed
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.module_utils.source.model import GoProject
from ansible_collections.proven.go_service.plugins.module_utils.source.project import read_project
from ansible_collections.proven.go_service.plugins.module_utils.source.versions import check_go_version

MAIN = "package main\n\nfunc main() {}\n"
MOD = "module example.com/app\n\ngo 1.22\n"
Tree = Mapping[str, "str | bytes"]


def write(root: Path, tree: Tree) -> Path:
    """Write files, text or bytes, by their paths below root."""
    for path, content in tree.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def importing(*paths: str, package: str = "main") -> str:
    """Return a Go file that imports packages."""
    return f"package {package}\n\nimport (\n" + "".join(f'\t_ "{path}"\n' for path in paths) + ")\n"


def read(root: Path, tree: Tree, **options: object) -> GoProject:
    """Write a tree and analyze it as service "app"."""
    return read_project(write(root, tree), **{"name": "app", **options})


def failure(root: Path, tree: Tree, **options: object) -> SourceError:
    """Write a tree that cannot be built and return the error."""
    with pytest.raises(SourceError) as caught:
        read(root, tree, **options)
    return caught.value


# The main package


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


def test_module_below_the_root(tmp_path: Path) -> None:
    tree = {
        "services/api/go.mod": "module example.com/api\nreplace example.org/s => ../shared\n",
        "services/api/cmd/app/main.go": 'package main\nimport _ "embed"\n//go:embed page.html\nvar s string\n',
        "services/api/cmd/app/page.html": "x",
    }
    project = read(tmp_path, tree, module_dir="./services/api/")
    assert (project.module_dir, project.main_package) == ("services/api", "./cmd/app")
    assert project.embedded_files == ("services/api/cmd/app/page.html",)
    assert project.embeds[0].file == "services/api/cmd/app/main.go"
    assert project.local_modules[0].directory == "services/shared"


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
            ["./n is a module", "go_service_module_dir", "./cmd/x"],
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


# go.mod


def test_go_mod_directives(tmp_path: Path) -> None:
    mod = """// Deprecated: use another
module "example.com/app" // a comment

go 1.22.3
toolchain go1.23.1
require example.org/a v1.0.0
require (
	`example.org/b/v2` v2.1.0 // indirect

	// a line alone
	example.org/c v0.0.0-20200101000000-abcdef123456
)
exclude example.org/a v0.9.0
retract [v1.0.0, v1.9.9] // oops
retract (
	v2.0.0
)
replace example.org/a => ./third/a
replace (
	example.org/b/v2 v2.1.0 => ../b
	example.org/c => example.org/fork v1.2.3
	example.org/d => /opt/d
)
tool example.org/a/cmd/t
godebug default=go1.21
ignore ./web
future thing => ( x )
"""
    project = read(tmp_path, {"go.mod": mod.replace("\n", "\r\n"), "main.go": MAIN})
    assert (project.module_path, project.go_directive, project.go_minimum) == ("example.com/app", "1.22.3", "1.22.3")
    assert project.has_requirements
    found = [(item.path, item.said, item.leaves_root) for item in project.local_modules]
    assert found == [
        ("example.org/a", "go.mod replaces example.org/a by ./third/a", False),
        ("example.org/b/v2", "go.mod replaces example.org/b/v2 by ../b", True),
        ("example.org/d", "go.mod replaces example.org/d by /opt/d", True),
    ]


def test_go_mod_with_the_module_alone(tmp_path: Path) -> None:
    project = read(tmp_path, {"go.mod": "module app", "main.go": MAIN})
    assert (project.go_directive, project.go_minimum) == ("", "")
    assert (project.vendored, project.work_dir, project.has_requirements) == (False, None, False)


@pytest.mark.parametrize(
    ("mod", "words"),
    [
        ("go 1.22\n", ["go.mod:1:", "module"]),
        ("module a\nmodule b\n", ["go.mod:2:", "twice"]),
        ("module a\ngo latest\n", ["go.mod:2:", "latest"]),
        ("module a\ngo 1.22 1.23\n", ["go.mod:2:", "one argument"]),
        ("module a\ntoolchain 1.22\n", ["go.mod:2:", "toolchain 1.22"]),
        ("module a\nrequire (\n\tx v1.0.0\n", ["go.mod:2:", "not closed"]),
        ("module a\nrequire x\n", ["go.mod:2:", "usage: require"]),
        ("module a\nreplace x = ../y\n", ["go.mod:2:", "usage: replace"]),
        ("module a\nreplace x => y\n", ["go.mod:2:", "target y"]),
        ('module "a\n', ["go.mod:1:", "does not end"]),
        ("module a /* b */\n", ["go.mod:1:", "//"]),
        ("module a\n<<<<<<< HEAD\n", ["go.mod:2:", "<<<<<<<"]),
        ("module a\nreplace x => ../y v1.0.0\n", ["go.mod:2:", "target ../y", "cannot have a version"]),
        (b"module \xff\n", ["UTF-8"]),
        (b"\xef\xbb\xbfmodule a\n", ["go.mod:1:", "byte order mark"]),
    ],
)
def test_invalid_go_mod(tmp_path: Path, mod: str | bytes, words: list[str]) -> None:
    error = failure(tmp_path, {"go.mod": mod, "main.go": MAIN})
    assert [word for word in words if word not in error.message] == []
    assert error.remedy


@pytest.mark.parametrize(
    ("tree", "module_dir", "variable", "words"),
    [
        ({"main.go": MAIN}, ".", "go_service_source", ["no go.mod in", "go mod init"]),
        (
            {"a/go.mod": "", "b/c/go.mod": "", "d/e/f/go.mod": "", "vendor/v/go.mod": ""},
            ".",
            "go_service_module_dir",
            [": a, b/c."],
        ),
        ({"a/b/go.mod": ""}, "a", "go_service_module_dir", ["no go.mod in", ": a/b."]),
        (
            {"go.mod": MOD, "cmd/x/main.go": MAIN},
            "cmd/x",
            "go_service_module_dir",
            ["'.'", "main_package to './cmd/x'"],
        ),
        ({"go.mod": MOD}, "missing", "go_service_module_dir", ["no directory", "missing", "'.'"]),
        ({"go.mod": MOD}, "../x", "go_service_module_dir", ["leads out"]),
        ({"go.mod": MOD}, "/x", "go_service_module_dir", ["leads out"]),
    ],
)
def test_no_go_mod(tmp_path: Path, tree: Tree, module_dir: str, variable: str, words: list[str]) -> None:
    error = failure(tmp_path, tree, module_dir=module_dir)
    assert error.variable == variable
    assert [word for word in words if word not in str(error)] == []
    assert "d/e/f" not in str(error)


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no directory") as caught:
        read_project(tmp_path / "none", name="app")
    assert caught.value.variable == "go_service_source"


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, _root: str) -> tuple[object, bytes]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(gofile, "read_head", refuse)
    error = failure(tmp_path, {"go.mod": MOD, "main.go": MAIN})
    assert "main.go: Permission denied" in error.message
    assert error.variable == "go_service_source"


# Imports


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(b'package main; import "x"; import . "y"\nfunc main() {}', id="semicolons"),
        pytest.param(b'package main\nimport ("x"; _ "y")', id="one line"),
        pytest.param(b'package main\r\nimport (\r\n\t"x"\r\n\tz "y"\r\n)\r\n', id="CRLF"),
        pytest.param(b'\xef\xbb\xbfpackage main\nimport "x"\nimport "y"', id="BOM"),
        pytest.param(b'package main\nimport `x`\nimport "\\x79"\n', id="raw and escaped"),
        pytest.param(
            b'/* import "no" */ package /* a */ main // b\nimport /* c */ ( // d\n"x" /* " */ // "no"\ny /**/ "y")',
            id="comments",
        ),
        pytest.param(b'package main\nimport ()\nimport "x"\nimport (\n)\nimport "y"\nvar s = `import "no"`', id="empty groups"),
        pytest.param(b'package main\nimport "x"\nimport "y"\nvar s = "\\nimport \\"no\\""\nvar importer = 1\n', id="strings"),
        pytest.param(b"// " + b"license\n// " * 5000 + b'\npackage main\nimport (\n"x"\n"y"\n)', id="a long licence in lines"),
        pytest.param(b"/*" + b"license\n" * 5000 + b'*/\npackage main\nimport (\n"x"\n"y"\n)', id="a long licence in a block"),
        pytest.param('package main\nimport é_ö "x"\nimport 世 "y"\n'.encode(), id="unicode names"),
        pytest.param(
            b'package main\nimport "x"\nimport "y"\nimport "sp ace"\nimport "q?"\nimport ""\nimport "./z"',
            id="invalid paths",
        ),
        pytest.param(b'package main\nimport "x"\nimport "y"\nimport (\n"broken', id="broken off"),
    ],
)
def test_imports_of_a_file(tmp_path: Path, source: bytes) -> None:
    assert read(tmp_path, {"go.mod": MOD, "main.go": source}).std_imports == ("x", "y")


def test_a_head_that_ends_around_the_first_read(tmp_path: Path) -> None:
    """Whatever token the first read of 8,192 bytes cuts, the imports behind it are found."""
    tail = b'package main\nimport /* c */ ( // d\n\tname "x"\n\t`y`\n)\nimport "z"\nvar s = "import"\n'
    for shift in range(len(tail) + 2):
        filler = b"//" + b"f" * (8192 - shift - 3) + b"\n"
        write(tmp_path, {"go.mod": MOD, "main.go": filler + tail})
        assert read_project(tmp_path, name="app").std_imports == ("x", "y", "z"), shift


def test_imports_are_followed_through_the_module_only(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD
        + "require (\n\texample.org/dep v1.0.0\n\tshared v0.0.0\n)\n"
        + "replace (\n\tshared => ./shared\n\tother => ./o\n)\n",
        "cmd/app/main.go": importing("example.com/app/a", "fmt", "example.org/dep/pkg", "shared/x", "other"),
        "a/a.go": importing("example.com/app/a/b", "unsafe", "net/http", package="a"),
        "a/b/b.go": importing("example.com/app/a", "example.com/appendix", "crypto/tls", package="b"),
        "a/b/b_windows.go": importing("os/user", package="b"),
        "a/b/b_test.go": importing("testing", package="b"),
        "unused/u.go": importing("archive/zip", package="u"),
        "shared/x/x.go": importing("html", package="x"),
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("crypto/tls", "fmt", "net/http")
    assert project.third_party_imports == ("example.com/appendix", "example.org/dep/pkg", "other", "shared/x")


def test_a_module_path_without_a_dot(tmp_path: Path) -> None:
    tree = {
        "go.mod": "module app\ngo 1.22\n",
        "main.go": importing("app/internal/x", "app/missing", "apples", "log"),
        "internal/x/x.go": importing("embed", package="x"),
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("apples", "embed", "log")
    assert project.third_party_imports == ()


def test_nested_modules_are_third_party(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD
        + "require (\n\texample.com/app/api v1.0.0\n\texample.com/app/v2 v2.0.0\n)\n"
        + "replace example.com/app/api => ./api\n",
        "main.go": importing("example.com/app/api/types", "example.com/app/v2/old", "example.com/app/missing"),
        "api/go.mod": "module example.com/app/api\n",
        "api/types/t.go": importing("html", package="types"),
    }
    project = read(tmp_path, tree)
    assert project.third_party_imports == ("example.com/app/v2/old",)
    assert project.std_imports == ("html",)
    assert [item.directory for item in project.local_modules] == ["api"]


def test_tests_are_taken_in_on_demand(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": importing("fmt"),
        "main_test.go": importing("testing"),
        "ext_test.go": importing("net/http/httptest", "example.com/app/only", package="main_test"),
        "main_windows_test.go": importing("os/user"),
        "only/o.go": importing("html", package="only"),
        "unused/u.go": 'package u\nimport _ "embed"\n//go:embed *.txt\nvar s string\n',
        "unused/u_test.go": 'package u\nimport "example.org/assert"\nimport "embed"\n//go:embed testdata\nvar f any\n',
        "unused/a.txt": "",
        "unused/testdata/golden": "",
        "testdata/t/t_test.go": importing("archive/zip", package="t"),
    }
    plain = read(tmp_path, tree)
    assert plain.std_imports == ("fmt",)
    assert plain.embeds == ()
    tested = read(tmp_path, tree, with_tests=True)
    assert tested.std_imports == ("embed", "fmt", "html", "net/http/httptest", "testing")
    assert tested.third_party_imports == ("example.org/assert",)
    assert tested.embedded_files == ("unused/a.txt", "unused/testdata/golden")


def test_a_file_that_cgo_alone_would_build_counts_for_nothing(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": importing("example.com/app/db", "example.com/app/guarded"),
        "db/db.go": importing("fmt", package="db"),
        "db/native.go": 'package db\n\n// #include <x.h>\nimport "C"\nimport "os"\n',
        "guarded/g.go": '//go:build cgo\n\npackage g\nimport "C"\n',
        "guarded/pure.go": "//go:build !cgo\n\n" + importing("io", package="g"),
        "unused/u.go": 'package u\nimport "C"\n',
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("fmt", "io")


# Vendoring and workspaces

VENDOR = {
    "main.go": importing("example.org/dep/pkg", "example.org/gone", "fmt"),
    "vendor/modules.txt": "# example.org/dep v1.0.0\n## explicit; go 1.20\nexample.org/dep/pkg\n",
    "vendor/example.org/dep/pkg/p.go": importing("html", package="pkg"),
    "vendor/example.org/gone/README": "",
}


@pytest.mark.parametrize(
    ("go", "modules", "vendored"),
    [
        ("go 1.14", None, True),
        ("go 1.22.1", None, True),
        ("go 1.13", None, False),
        ("", None, False),
        ("go 1.22", "## workspace\n# example.org/dep v1.0.0\n", False),
    ],
)
def test_vendoring(tmp_path: Path, go: str, modules: str | None, vendored: bool) -> None:
    tree = {**VENDOR, "go.mod": f"module example.com/app\n{go}\nrequire example.org/dep v1.0.0\n"}
    if modules:
        tree["vendor/modules.txt"] = modules
    project = read(tmp_path, tree)
    assert project.vendored is vendored
    missing = () if vendored else ("example.org/gone",)
    assert project.third_party_imports == ("example.org/dep/pkg", *missing)
    assert project.std_imports == ("fmt",)


def test_a_vendor_directory_without_a_list_is_none(tmp_path: Path) -> None:
    assert not read(tmp_path, {"go.mod": MOD, "main.go": MAIN, "vendor/x/x.go": "package x"}).vendored


def test_vendored_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = gofile.read_head
    monkeypatch.setattr(gofile, "read_head", lambda path, root: (opened.append(os.path.relpath(path, tmp_path)), real(path, root))[1])
    tree = {
        **VENDOR,
        "go.mod": MOD,
        "lib/a.go": "package lib",
        "lib/b.go": "package lib",
        "lib/a_test.go": "package lib",
    }
    read(tmp_path, tree)
    assert sorted(opened) == ["lib/a.go", "main.go"]


@pytest.mark.parametrize(("modules", "vendored"), [("## workspace\n", True), ("# example.org/dep v1.0.0\n", False)])
def test_workspace(tmp_path: Path, modules: str, vendored: bool) -> None:
    tree = {
        "go.work": "go 1.24.2\n\ntoolchain go1.25.0\n\nuse (\n\t./app\n\t./shared\n\t./missing\n)\nreplace example.org/r => ./r\n",
        "app/go.mod": "module example.com/app\ngo 1.22\ntoolchain go1.26.0\n",
        "app/main.go": importing("shared/x", "example.org/r", "fmt"),
        "shared/go.mod": "module shared\n",
        "shared/x/x.go": importing("html", package="x"),
        "r/go.mod": "module example.org/r\n",
        "vendor/modules.txt": modules,
        "vendor/example.org/r/r.go": "package r",
    }
    project = read(tmp_path, tree, module_dir="app")
    assert project.work_dir == "."
    assert project.vendored is vendored
    assert project.std_imports == ("fmt", "html")
    assert project.third_party_imports == (("example.org/r",) if vendored else ())
    assert (project.go_directive, project.go_minimum) == ("1.22", "1.24.2")
    found = [(item.path, item.directory, item.used, item.has_go_mod) for item in project.local_modules]
    assert found == [("example.org/r", "r", False, True), ("shared", "shared", True, True), ("", "missing", True, False)]
    with pytest.raises(SourceError, match=r"go\.work .* needs Go 1\.24\.2"):
        check_go_version(project, "1.24.1")


def test_what_the_source_has_of_other_modules_is_followed(tmp_path: Path) -> None:
    """Through a replaced module, a nested one and back: their imports, embedded files and requirements are the service's."""
    tree = {
        "go.mod": MOD + "require (\n\texample.com/app/api v0.0.0\n\texample.org/dep v1.0.0\n)\nreplace example.com/app/api => ./api\n",
        "main.go": importing("example.com/app/api/types"),
        "types/t.go": importing("net/url", package="types"),
        "api/go.mod": "module example.com/app/api\nrequire example.org/deep/v2 v2.1.0\n",
        "api/types/t.go": 'package types\n\nimport (\n\t_ "embed"\n\t_ "example.com/app/types"\n\t_ "example.org/deep/v2/x"\n)\n\n//go:embed *.txt\nvar a string\n',
        "api/types/a.txt": "",
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("embed", "net/url")
    assert project.third_party_imports == ("example.org/deep/v2/x",)
    assert project.embedded_files == ("api/types/a.txt",)


@pytest.mark.parametrize(
    ("requires", "outside"),
    [("", False), ("require example.com/lib v0.0.0\n", False), ("require example.org/dep v1.0.0\n", True)],
    ids=["none", "of a module in the source", "of another"],
)
def test_what_has_to_be_downloaded(tmp_path: Path, requires: str, outside: bool) -> None:
    tree = {
        "go.mod": MOD + requires + "replace example.com/lib => ./lib\n",
        "main.go": MAIN,
        "lib/go.mod": "module example.com/lib\n",
    }
    assert read(tmp_path, tree).has_requirements is outside
    tree = {"go.mod": MOD, "main.go": MAIN, "go.work": "go 1.22\nuse (\n.\n./lib\n)\n", "lib/go.mod": f"module example.com/lib\n{requires}"}
    assert read(tmp_path, tree).has_requirements is outside


# Constraints


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


# Embedding

FILES = (
    *("a.txt", "b.txt", ".dot", "_under", "deep/1/2/3.txt", "deep/1/4.txt"),
    *("static/index.html", "static/.hid", "static/_u", "static/css/a.css", "static/css/.git/c", "static/img/b.png"),
    *("static/mod/go.mod", "static/mod/x.txt", "hidden/.keep"),
    *(
        "other/x[1].txt",
        "other/y1.txt",
        "other/y2.txt",
        "other/-z",
        "other/sp ace",
        "other/con",
        "other/dot.",
        "other/é",
    ),
)


def write_files(root: Path) -> Path:
    """Write FILES, a link to a file and one to a directory."""
    write(root, dict.fromkeys(FILES, "x"))
    (root / "link").symlink_to("a.txt")
    (root / "linked").symlink_to("static")
    return root


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.txt", ["a.txt"]),
        ("*.txt", ["a.txt", "b.txt"]),
        (".dot", [".dot"]),
        ("static", ["static/css/a.css", "static/img/b.png", "static/index.html"]),
        ("all:static", ["static/.hid", "static/_u", "static/css/a.css", "static/img/b.png", "static/index.html"]),
        ("static/*", ["static/.hid", "static/_u", "static/css/a.css", "static/img/b.png", "static/index.html"]),
        ("static/*/*.*", ["static/css/a.css", "static/img/b.png"]),
        ("other/y[0-9].txt", ["other/y1.txt", "other/y2.txt"]),
        ("other/y[^1].txt", ["other/y2.txt"]),
        (r"other/x\[1\].txt", ["other/x[1].txt"]),
        ("other/y?.txt", ["other/y1.txt", "other/y2.txt"]),
        ("other/é*", ["other/é"]),
        ("other/s*", ["other/sp ace"]),
        ("other", ["other/-z", "other/sp ace", "other/x[1].txt", "other/y1.txt", "other/y2.txt", "other/é"]),
        ("deep", ["deep/1/2/3.txt", "deep/1/4.txt"]),
        ("deep/*/*/3.txt", ["deep/1/2/3.txt"]),
        ("none", []),
        ("a.txt/x", []),
        ("../a", []),
        ("./a.txt", []),
        ("/a.txt", []),
        ("static/", []),
        (".", []),
        ("[", []),
        ("a[]", []),
        ("a[-x]", []),
        ("a\\", []),
        ("other/[z-a].txt", []),
        ("static/mod", []),
        ("link", []),
        ("linked/index.html", []),
    ],
)
def test_embed_pattern(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    assert resolve_embed(str(write_files(tmp_path)), pattern) == expected


def test_embed_directives(tmp_path: Path) -> None:
    source = """package main

import (
	"embed"
)

//go:embed a.txt "sp ace.txt" `raw.txt`
//go:embed	all:static
//go:embed missing
var files embed.FS

//go:embedded no.txt
// //go:embed no.txt
var s = `
//go:embed no.txt
` + "//go:embed no.txt" + string('"') //go:embed late.txt
/*
//go:embed no.txt
*/
//go:embed "unfinished
//go:embed "a"b
"""
    names = ["a.txt", "sp ace.txt", "raw.txt", "static/.x", "no.txt", "late.txt"]
    tree = {"go.mod": MOD, "srv/main.go": source.replace("\n", "\r\n"), **{f"srv/{name}": "" for name in names}}
    project = read(tmp_path, tree)
    assert {embed.pattern: embed.files for embed in project.embeds} == {
        "a.txt": ("srv/a.txt",),
        "sp ace.txt": ("srv/sp ace.txt",),
        "raw.txt": ("srv/raw.txt",),
        "all:static": ("srv/static/.x",),
        "missing": (),
        "late.txt": ("srv/late.txt",),
    }
    assert {embed.file for embed in project.embeds} == {"srv/main.go"}
    assert project.embedded_files == ("srv/a.txt", "srv/late.txt", "srv/raw.txt", "srv/sp ace.txt", "srv/static/.x")


def test_embed_counts_only_with_its_import(tmp_path: Path) -> None:
    source = "package main\n\n//go:embed a.txt\nvar s string\n"
    assert read(tmp_path, {"go.mod": MOD, "main.go": source, "a.txt": ""}).embeds == ()


def test_embed_behind_the_first_read(tmp_path: Path) -> None:
    source = 'package main\nimport _ "embed"\n' + "// filler\n" * 5000 + "//go:embed a.txt\nvar s string\n"
    assert read(tmp_path, {"go.mod": MOD, "main.go": source, "a.txt": ""}).embedded_files == ("a.txt",)


# Versions


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


# Beside the real go command


class Go:
    """The go command, without cgo, network, workspace or other toolchains, for linux/amd64."""

    def __init__(self, binary: str, home: Path) -> None:
        self.binary = binary
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GO", "CGO"))},
            "CGO_ENABLED": "0",
            "GO111MODULE": "on",
            "GOARCH": "amd64",
            "GOCACHE": str(home / "cache"),
            "GOENV": "off",
            "GOOS": "linux",
            "GOPATH": str(home / "path"),
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        *_, version = self.run(home, "env", "GOVERSION").split()
        self.version = tuple(int(part) for part in version.removeprefix("go").split(".")[:2] if part.isdigit())
        self.tags = self.run(home, "list", "-f", "{{range context.ToolTags}}{{.}} {{end}}", "fmt").split()

    def run(self, directory: Path, *arguments: str) -> str:
        command = [self.binary, *arguments]
        return subprocess.run(command, cwd=directory, env=self.environment, capture_output=True, text=True, check=True).stdout

    def packages(self, directory: Path, *arguments: str) -> Iterator[dict]:
        text = self.run(directory, "list", "-e", "-json", *arguments)
        decoder = json.JSONDecoder()
        while text := text.lstrip():
            package, end = decoder.raw_decode(text)
            yield package
            text = text[end:]


@pytest.fixture(scope="session")
def go(go_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(str(go_binary), tmp_path_factory.mktemp("go"))


SUFFIXES = ["", "_linux", "_windows", "_amd64", "_arm64", "_linux_amd64", "_darwin_arm64", "_unix", "_foo", "_plan9_x"]
EXPRESSIONS = [
    *("linux", "windows", "!windows", "linux && amd64", "linux && (arm64 || amd64)", "unix && !cgo", "cgo", "ignore"),
    *("go1.1", "!go1.18", "go1.999", "tagged", "!tagged || windows", "gc", "amd64.v1", "amd64.v3", "((linux))"),
    *("(darwin || linux) && !(windows || tagged)", "!(linux && !(amd64 || tagged))", "linux &&", "!!linux", "a b"),
]
PLUS = [
    "linux",
    "windows",
    "linux,amd64",
    "windows linux",
    "!windows,!darwin",
    "tagged",
    "!tagged",
    "ignore",
    "",
    "!!x",
]
STD = ["bufio", "bytes", "crypto/tls", "encoding/json", "errors", "fmt", "io/fs", "log/slog", "net/http", "os", "sync"]
THIRD = ["example.org/a", "example.org/a/sub", "example.net/b/v2/deep", "dotless/c"]
VENDORED = {*THIRD} - {"example.org/a/sub"}
REQUIRES = "require (\n\texample.org/a v1.0.0\n\texample.net/b/v2 v2.0.0\n\tdotless/c v0.1.0\n)\n"
MODULES_TXT = """# dotless/c v0.1.0
## explicit
dotless/c
# example.net/b/v2 v2.0.0
## explicit
example.net/b/v2/deep
# example.org/a v1.0.0
## explicit
example.org/a
"""
WEB = ("web/a b.txt", "web/.hidden", "web/_under", "web/deep/x.txt", "web/deep/.y", "note.md")
NOISE = ["", " ", "\t", "\n", '/* import "no/block" */', '// import "no/line"\n', "/*\n*/\n", "/***/"]


def declarations(dice: random.Random, paths: Iterable[str]) -> str:
    """Return import declarations in some of the forms that Go allows, with comments that look like imports."""

    def noise() -> str:
        return "".join(dice.choices(NOISE, k=dice.randint(0, 3)))

    names = ["", "_ ", ". ", "name\t", "é/**/"]
    rest = [dice.choice(names) + dice.choice(['"{}"', "`{}`"]).format(path) for path in paths]
    out = ""
    while rest:
        count = dice.randint(1, len(rest))
        group, rest = rest[:count], rest[count:]
        if count > 1 or dice.random() < 0.5:
            lines = dice.choice(["\n", ";"]).join(noise() + item for item in group)
            out += f"import{noise()}({noise()}{lines}\n{noise()}){dice.choice([';', chr(10)])}"
        else:
            out += f"import {noise()}{group[0]}\n"
    return out


def go_file(dice: random.Random, package: str, paths: Iterable[str], *, free: bool = False) -> bytes:
    """Return a Go file with constraints and imports written in some way; free: without constraints."""
    header = dice.choice(["", "// Copyright\n\n", "/* licence\n */\n\n", "// text\n" * 1200 + "\n", "/* //go:build no */"])
    kind = 0.0 if free else dice.random()
    if kind > 0.75:
        header = f"// +build {dice.choice(PLUS)}\n" + dice.choice(["\n", ""]) + header
    elif kind > 0.4:
        header += f"\n//go:build {dice.choice(EXPRESSIONS)}\n" + dice.choice(["\n", "", "// +build windows\n\n"])
    text = f'{header}package {package}\n{declarations(dice, paths)}var s = `\nimport "no/string"\n`\n'
    if dice.random() < 0.2:
        text = text.replace("\n", "\r\n")
    return dice.choice([b"", b"", b"\xef\xbb\xbf"]) + text.encode()


def generate(dice: random.Random, module: str, *, vendored: bool) -> dict[str, str | bytes]:
    """Return the tree of a module: ten packages, two commands, embedded files, a nested module, what is no package."""
    packages = ["a", "a/b", "a/b/c", "internal/d", "e", "e/f_linux", "g", "h/i", "testdata/j", "k"]
    third = THIRD if vendored else [path for path in THIRD if "." in path]
    pool = [*(f"{module}/{package}" for package in packages), *STD, *third, f"{module}/nowhere"]
    tree: dict[str, str | bytes] = {
        "go.mod": f"module {module}\n\ngo 1.20\n{REQUIRES if vendored else ''}",
        "cmd/app/main.go": go_file(dice, "main", dice.sample(pool, 6), free=True),
        "cmd/other/main.go": go_file(dice, "main", dice.sample(pool, 2)),
        "tools/gen.go": "//go:build ignore\n\npackage main\n",
        "nested/go.mod": "module example.com/nested\n",
        "nested/main.go": MAIN,
        "_skipped/main.go": MAIN,
    }
    for package in packages:
        name = package.rpartition("/")[2]
        for number in range(dice.randint(1, 4)):
            content = go_file(dice, name, dice.sample(pool, dice.randint(0, 4)), free=number == 0)
            tree[f"{package}/f{number}{dice.choice(SUFFIXES)}.go"] = content
        if dice.random() < 0.4:
            tree[f"{package}/in_test.go"] = go_file(dice, name, ["testing", *dice.sample(pool, 2)])
        if dice.random() < 0.4:
            content = go_file(dice, f"{name}_test", ["testing", *dice.sample(pool, 2)])
            tree[f"{package}/ex{dice.choice(SUFFIXES)}_test.go"] = content
        if dice.random() < 0.3:
            tree[f"{package}/cgo.go"] = f'package {name}\n\nimport "C"\nimport "{dice.choice(STD)}"\n'
        if dice.random() < 0.5:
            patterns = " ".join(dice.sample(["web", "all:web", "web/*", '"web/a b.txt"', "`web/*.txt`", "*.md"], 2))
            tree[f"{package}/z.go"] = f'package {name}\n\nimport "embed"\n\n//go:embed {patterns}\nvar files embed.FS\n'
            tree.update({f"{package}/{file}": "x" for file in WEB})
    if vendored:
        tree["vendor/modules.txt"] = MODULES_TXT
        tree.update({f"vendor/{path}/x.go": importing("html", "strings", package="x") for path in VENDORED})
    return tree


def listed_imports(package: dict, keys: Iterable[str], module: str) -> set[str]:
    """Return the imports of a package as `go list` has them but for those of its own module."""
    found = {path.removeprefix(f"{module}/vendor/") for key in keys for path in package.get(key) or ()}
    return {path for path in found if not f"{path}/".startswith(f"{module}/")}


@pytest.mark.parametrize("vendored", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_modules_beside_go_list(tmp_path: Path, go: Go, seed: int, vendored: bool) -> None:
    dice = random.Random(seed)
    module = dice.choice(["example.com/app", "app", "example.com/org/app/v2"])
    write(tmp_path, generate(dice, module, vendored=vendored))
    tags = [*go.tags, *dice.choice([[], ["tagged"]])]
    flags = ["-tags", ",".join(tags)]
    third_party = VENDORED if vendored else {*THIRD}

    needed = [item for item in go.packages(tmp_path, *flags, "-deps", "./cmd/app") if item.get("Module", {}).get("Main")]
    matched = list(go.packages(tmp_path, *flags, "./..."))
    project = read_project(tmp_path, name="app", build_tags=tags, go_version=go.version)
    imports = set().union(*(listed_imports(item, ["Imports"], module) for item in needed))
    assert {*project.std_imports} == imports & {*STD, "embed"}
    assert {*project.third_party_imports} == imports & third_party
    assert project.vendored is vendored
    embedded = {str(Path(item["Dir"], file)) for item in needed for file in item.get("EmbedFiles") or ()}
    assert {str(tmp_path / file) for file in project.embedded_files} == embedded

    tested = read_project(tmp_path, name="app", build_tags=tags, go_version=go.version, with_tests=True)
    everything = [item for item in go.packages(tmp_path, *flags, "-deps", "./...") if item.get("Module", {}).get("Main")]
    imports = set().union(
        *(listed_imports(item, ["Imports"], module) for item in [*needed, *everything]),
        *(listed_imports(item, ["TestImports", "XTestImports"], module) for item in matched),
    )
    through_tests = {path for item in matched for key in ("TestImports", "XTestImports") for path in item.get(key) or ()}
    only_tests = [f"./{path.removeprefix(module).lstrip('/')}" for path in through_tests if path.startswith(f"{module}/")]
    for item in go.packages(tmp_path, *flags, "-deps", *only_tests) if only_tests else ():
        if item.get("Module", {}).get("Main"):
            imports |= listed_imports(item, ["Imports"], module)
    assert {*tested.std_imports} == imports & {*STD, "embed", "testing"}
    assert {*tested.third_party_imports} == imports & third_party


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


def test_embedding_beside_go_list(tmp_path: Path, go: Go) -> None:
    patterns = [
        *("a.txt", "*.txt", ".dot", "static", "all:static", "static/*", "static/*/*.*", "other/y[0-9].txt", "all:.dot"),
        *(
            "other/y[^1].txt",
            r"other/x\[1\].txt",
            "other/y?.txt",
            "other/é*",
            "other/s*",
            "deep",
            "deep/*/*/3.txt",
            "none",
        ),
        *(
            "a.txt/x",
            "../a",
            "./a.txt",
            "/a.txt",
            "static/",
            ".",
            "[",
            "a[]",
            "a[-x]",
            "a\\\\",
            "other/[z-a].txt",
            "link",
        ),
        *("static/mod", "linked/index.html", "*", "all:*", "hidden", "other/con", "other/[a-z]", "d*/1", "[]a]"),
        *(
            r"\a.txt",
            "?.txt",
            "other/[^a-y]*",
            "other/[s-]*",
            "other/[é]",
            "deep/**/3.txt",
            "_under",
            "static/css/.git/c",
        ),
    ]
    tree = {"go.mod": MOD}
    for number, pattern in enumerate(patterns):
        directory = f"p{number}"
        source = f'package p\nimport "embed"\n//go:embed "{pattern}"\nvar f embed.FS\n'
        tree[f"{directory}/p.go"] = source.replace("\\", "\\\\") if "\\\\" not in pattern else source
        write_files(tmp_path / directory)
    write(tmp_path, tree)
    expected = {item["Dir"]: item for item in go.packages(tmp_path, "./...")}
    embedding = 0
    for number, pattern in enumerate(patterns):
        item = expected[str(tmp_path / f"p{number}")]
        files = item.get("EmbedFiles") or []
        embedding += bool(files)
        # Where one match of several may not be embedded the go command refuses all; what remains is embedded here.
        if not item.get("Error") or not resolve_embed(item["Dir"], *item["EmbedPatterns"]):
            assert resolve_embed(item["Dir"], *item["EmbedPatterns"]) == files, pattern
    assert embedding >= 20


@pytest.mark.parametrize(
    "text",
    [
        MOD,
        "module a\r\n\r\ngo 1.22.3 // x\r\ntoolchain go1.23rc1\r\n",
        'module (\n\t"a/b"\n)\n',
        "module a//b\n",
        "module a // b\n",
        'module a\nrequire(\n\tx.y/z v1.0.0 // indirect\n\t"x.y/q" v1.0.0\n)\nrequire x.y/r v1.0.0-0.2020\n',
        "module a\nrequire ()\nexclude ( )\nreplace (\n)\n",
        'module a\nreplace x.y/z v1.0.0 => ./z\nreplace x.y/q => "../q r"\nreplace x.y/r => x.y/s v1.0.0\n',
        "module a\nretract [v1.0.0, v1.2.0] // why\nretract (\n\tv1.3.0\n\t[v1.4.0,v1.5.0]\n)\n",
        "module a\nignore ./x\nignore (\n\ty\n\t./z/w\n)\ntool x.y/z\ngodebug default=go1.21\n",
        "go 1.20\n",
        "module a\nmodule b\n",
        "module a\ngo 1\n",
        "module a\ngo 1.2.3.4\n",
        "module a\ngo 1.21rc2\n",
        "module a\ngo v1.21\n",
        "module a\ntoolchain default\n",
        "module a\ntoolchain 1.22\n",
        "module a\nrequire (\n",
        "module a\nrequire (\n) x\n",
        "module a\nrequire x\n",
        "module a\nreplace x.y/z => q\n",
        "module a\nreplace x.y/z => ./q v1.0.0\n",
        'module "a\n',
        'module "a\\q"\n',
        "module a /* b */\n",
        "\ufeffmodule a\n",
        "module a\n<<<<<<< HEAD\n",
        "\n\n// only comments\n",
        "",
    ],
)
def test_go_mod_beside_go_mod_edit(tmp_path: Path, go: Go, text: str) -> None:
    write(tmp_path, {"go.mod": text, "main.go": MAIN})
    try:
        parsed = json.loads(go.run(tmp_path, "mod", "edit", "-json"))
    except subprocess.CalledProcessError:
        parsed = {"Module": {"Path": ""}}
    if not parsed["Module"]["Path"]:
        assert failure(tmp_path, {}).message.startswith("go.mod:")
        return
    project = read(tmp_path, {})
    assert project.module_path == parsed["Module"]["Path"]
    assert project.go_directive == parsed.get("Go", "")
    assert project.has_requirements is bool(parsed.get("Require"))
    replaces = [(item["Old"]["Path"], item["New"]) for item in parsed.get("Replace") or ()]
    local = [f"go.mod replaces {module} by {target['Path']}" for module, target in replaces if "Version" not in target]
    assert [item.said for item in project.local_modules] == local


def test_the_go_command_itself_beside_go_list(go: Go) -> None:
    """The tree of the go command: a large module with a vendor directory and a module path without a dot."""
    root = Path(go.run(Path.cwd(), "env", "GOROOT").strip(), "src/cmd")
    if not (root / "go.mod").is_file():
        pytest.skip(f"this Go has no source of its commands: {root}")
    project = read_project(root, name="go", main_package="./go", build_tags=go.tags, go_version=go.version)
    needed = [item for item in go.packages(root, "-deps", "./go") if not item["ImportPath"].startswith("cmd/vendor/")]
    imports = set().union(*(listed_imports(item, ["Imports"], "cmd") for item in needed if item["ImportPath"].startswith("cmd/")))
    assert {*project.std_imports, *project.third_party_imports} == imports - {"unsafe"}
    assert project.vendored
    assert all("." in path.partition("/")[0] for path in project.third_party_imports)
    assert project.third_party_imports
