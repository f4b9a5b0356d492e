"""Which files a pattern embeds, as the go command has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.embeds import resolve_embed
from go_trees import MOD, Go, read, write

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
