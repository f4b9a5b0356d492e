"""What is read of the head of a Go file: imports and directives, however they are written."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import facts
from ansible_collections.proven.go_service.plugins.module_utils.source.project import read_project
from fuzzing import EXAMPLES, MAIN_FILE, MOD_FILE, only_below, tokens
from go_trees import MOD, read, write
from hypothesis import example, given
from hypothesis import strategies as st


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


def test_embed_counts_only_with_its_import(tmp_path: Path) -> None:
    source = "package main\n\n//go:embed a.txt\nvar s string\n"
    assert read(tmp_path, {"go.mod": MOD, "main.go": source, "a.txt": ""}).embeds == ()


def test_embed_behind_the_first_read(tmp_path: Path) -> None:
    source = 'package main\nimport _ "embed"\n' + "// filler\n" * 5000 + "//go:embed a.txt\nvar s string\n"
    assert read(tmp_path, {"go.mod": MOD, "main.go": source, "a.txt": ""}).embedded_files == ("a.txt",)


GO_TEXT = tokens(
    *("package main", "\n", "import ", "(", ")", '"embed"', '"example.com/app/lib"', '"example.com/app/../../etc"', '"-x"', '"net/..."'),
    *(
        "//go:embed ",
        "*",
        "../x",
        "[",
        "]",
        "[a-",
        "all:",
        "static",
        "/*",
        "*/",
        "`",
        '"',
        "'",
        "\\",
        "//go:build ",
        "!",
        "linux",
        "&&",
        "||",
    ),
    *("// +build ", "go1." + "9" * 5000, ";", "_ ", '"C"', "\0", "\\x00", "\\u0000", "\ufeff", "**" * 20),
)


@EXAMPLES
@given(main=GO_TEXT, lib=GO_TEXT, head=st.booleans())
@example(main=b'package main\nimport "embed"\n' + b"/*" * 200_000, lib=b"", head=False)
@example(main=b'package main\nimport "embed"\n"' + b'\\"' * 200_000, lib=b"", head=False)
@example(main=b'package main\nimport "embed"\n//go:embed ' + b"*a" * 30 + b"b\n", lib=b"", head=False)
def test_any_go_file_is_read_or_passed_over(wanted: Settings, main: bytes, lib: bytes, head: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        for name, content in {
            "go.mod": MOD_FILE,
            "main.go": (MAIN_FILE if head else b"") + main,
            "lib/lib.go": lib,
            "a" * 200: b"",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        (root / "out").symlink_to("/etc")
        with only_below(root):
            found = facts.project_facts(root, wanted)
            for package in [*found["std_packages"], *found["module_packages"]]:
                assert set(package) <= set(string.ascii_letters + string.digits + "._~+-/")
                assert not package.startswith("-") and "..." not in package
