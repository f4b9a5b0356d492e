"""go.mod is read as the go command reads it, and a wrong one is told by its line."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import project
from fuzzing import EXAMPLES, MAIN_FILE, MOD_FILE, only_below, tokens
from go_trees import MAIN, MOD, Go, failure, read, write
from hypothesis import example, given
from hypothesis import strategies as st


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


MOD_TEXT = tokens(
    *(
        "module ",
        "example.com/app",
        "\n",
        " ",
        "go ",
        "1.22",
        "1.",
        "9" * 5000,
        "toolchain ",
        "go1.22",
        "require ",
        "(",
        ")",
        "v1.0.0",
        '"',
    ),
    *("`", "//", "/*", "replace ", "=>", "../../etc", "./lib", "/etc", "use ", "ignore ", "\\x00", "\0", "\ufeff", "=> /etc/", "exclude"),
)


@EXAMPLES
@given(mod=MOD_TEXT, work=st.none() | MOD_TEXT, modules=st.none() | MOD_TEXT)
@example(mod=MOD_FILE + b"go 1." + b"9" * 5000, work=None, modules=None)
def test_any_go_mod_is_read_or_refused(wanted: Settings, mod: bytes, work: bytes | None, modules: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        (root / "vendor").mkdir(parents=True)
        for name, content in {"go.mod": mod, "go.work": work, "vendor/modules.txt": modules, "main.go": MAIN_FILE}.items():
            if content is not None:
                (root / name).write_bytes(content)
        with only_below(root):
            project.read_project(root, name="app", go_version=(1, 27))
