"""All that is read of a module at once, held against the go command on generated trees."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source import gofile
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.module_utils.source.project import read_project
from ansible_collections.proven.go_service.plugins.module_utils.source.versions import check_go_version
from go_trees import MAIN, MOD, SUFFIXES, Go, Tree, failure, go_file, importing, read, write


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
