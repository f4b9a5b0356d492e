"""What of a source is no part of a build: what git ignores, what the source's own .dockerignore names, what builds and the role leave behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import manifest
from ansible_collections.proven.go_service.plugins.module_utils.image.context import read_context
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.image.leftovers import Leftovers
from ansible_collections.proven.go_service.plugins.module_utils.image.manifest import manifest_digest
from ansible_collections.proven.go_service.plugins.module_utils.source.facts import project_facts

ELF = b"\x7fELF" + b"\0" * 60
MAIN = """package main

import (
	_ "embed"
	"net/http"

	"example.com/x/gen"
)

//go:embed web/page.html
var page string

func main() { http.ListenAndServe(gen.Address, nil) }
"""
SOURCE = {
    "go.mod": "module example.com/x\n\ngo 1.24\n",
    "main.go": MAIN,
    "gen/gen.go": 'package gen\n\nconst Address = ":8080"\n',
    "web/page.html": "page",
    "run.sh": "#!/bin/sh\n",
}


class Source:
    """A source on disk, and what a build sees of it."""

    def __init__(self, root: Path, generate: Callable[..., dict], settings: Callable[..., Any]) -> None:
        self.root, self._generate, self._settings = root, generate, settings
        self.told: list[str] = []
        for path, content in SOURCE.items():
            self.write(path, content)
        (root / "run.sh").chmod(0o755)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)

    def git(self, *arguments: str) -> None:
        """Run git in the source."""
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def seen(self, **changes: Any) -> tuple[set[str], str]:
        """Return the files that a build sees, and what they and the .dockerignore file are digested to."""
        settings = self._settings(**changes)
        project = project_facts(self.root, settings)
        leftovers = Leftovers(self.root, settings, project)
        entries, text = read_context(self.root, self._generate(project, **changes)["dockerignore"], settings, project, leftovers)
        self.told = leftovers.told()
        return {entry.path for entry in entries if entry.kind != "d"}, manifest_digest(entries) + text


@pytest.fixture
def source(tmp_path: Path, generate: Callable[..., dict], settings: Callable[..., Any]) -> Source:
    """Return a source that is no checkout."""
    (tmp_path / "source").mkdir()
    return Source(tmp_path / "source", generate, settings)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("cat-server", ELF),
        ("bin/x", ELF),
        ("cmd/x/x.exe", b"MZ\x90\x00" + b"\0" * 60),
        ("__debug_bin123", b"anything"),
        ("sub/__debug_bin", ELF),
        ("tmp/build-errors.log", "error"),
        ("tmp/main", ELF),
        ("darwin", b"\xcf\xfa\xed\xfe" + b"\0" * 60),
    ],
)
def test_what_a_build_leaves_changes_nothing(source: Source, path: str, content: bytes | str) -> None:
    before = source.seen()
    source.write(path, content, 0o755)
    assert source.seen() == before
    assert "a build has left behind" in source.told[0]
    source.write(path, content * 2, 0o755)
    assert source.seen() == before


@pytest.mark.parametrize("path", ["run.sh", "tools/x.sh", "data/x.bin"])
def test_what_nobody_left_behind_stays(source: Source, path: str) -> None:
    before = source.seen()
    source.write(path, "#!/bin/sh\n# changed\n", 0o755)
    assert source.seen() != before
    assert source.told == []


def test_what_git_tracks_stays(source: Source) -> None:
    source.write("tools/linter", ELF, 0o755)
    source.write("tmp/kept", "x")
    source.git("init", "-q")
    source.git("add", ".")
    source.write(".gitignore", "tools/\ntmp/\n")
    assert {"tools/linter", "tmp/kept"} <= source.seen()[0]


def test_what_git_ignores(source: Source) -> None:
    """It is left out and told, unless the build needs it."""
    source.git("init", "-q")
    source.write(".gitignore", "/gen/\n/web/\n*.log\n/scratch/\n/assets/\n")
    before = source.seen()
    assert {"gen/gen.go", "web/page.html"} <= before[0]
    for path in ("a.log", "scratch/try.go", "scratch/deep/notes.txt", "web/other.html", "gen/notes.txt", "assets/app.js"):
        source.write(path, "x")
    assert source.seen() == before
    kept = " (but for what the build needs of it)"
    assert f"since git ignores: a.log, assets, gen{kept}, scratch, web{kept}." in source.told[0]
    assert "assets/app.js" in source.seen(files=[{"src": "assets"}])[0]
    assert "a.log" in source.seen(dockerignore=["!a.log"])[0]


def test_without_a_checkout_its_rules_are_a_file_like_others(source: Source) -> None:
    source.write(".gitignore", "*.log\n")
    source.write("a.log", "x")
    assert "a.log" in source.seen()[0]


def test_the_sources_own_dockerignore(source: Source) -> None:
    """Its patterns are obeyed as well, and its "!" patterns let nothing in that the role keeps out."""
    before = source.seen()
    source.write(".dockerignore", "*\n!main.go\nweb\n*.mod\n!README.md\n")
    source.write("notes.txt", "x")
    source.write("README.md", "x")
    files, _digest = source.seen()
    assert files == before[0] - {"run.sh"}
    assert "the source's own .dockerignore leaves out" in source.told[0]


def test_an_invalid_dockerignore_of_the_source_is_named(source: Source) -> None:
    source.write(".dockerignore", "[z-a]\n")
    with pytest.raises(ContextError, match=r"source/\.dockerignore") as caught:
        source.seen()
    assert caught.value.remedy == "Correct it there."


@pytest.mark.parametrize("variable", ["report_dir", "work_dir"])
def test_what_the_role_writes_changes_nothing(source: Source, variable: str) -> None:
    before = source.seen()
    for number in range(2):
        source.write("out/host/cat-server.json", f"{number}")
        source.write("out/host/other.json", f"{number}")
        assert source.seen(**{variable: str(source.root / "out")}) == before


def test_reports_beside_the_source(source: Source) -> None:
    """A report directory that is the source itself leaves the source what it is."""
    before = source.seen()
    for name in ("cat-server.json", "cat-server.html", "cat-server.cdx.json"):
        source.write(f"host/{name}", "x")
    assert source.seen(report_dir=str(source.root))[0] == before[0]


def test_what_of_asked_files_a_pattern_keeps_out_is_told(source: Source) -> None:
    source.write("pages/.DS_Store", "x")
    source.write("pages/index.html", "x")
    assert "pages/.DS_Store" not in source.seen(files=[{"src": "pages"}])[0]
    assert [sentence for sentence in source.told if "go_service_dockerignore lets it in): pages/.DS_Store" in sentence]


def test_go_files_of_another_module_of_the_source_stay(source: Source) -> None:
    """A module that replaces another one, or is in the same workspace, may be generated as well."""
    source.git("init", "-q")
    source.write(".gitignore", "/lib/\n")
    source.write("lib/go.mod", "module example.com/lib\n")
    source.write("lib/lib.go", "package lib\n")
    source.write("go.mod", SOURCE["go.mod"] + "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./lib\n")
    assert {"lib/go.mod", "lib/lib.go"} <= source.seen()[0]


def kept(source: Source, settings: Any, **project: Any) -> set[str]:
    """Return the files that are not left out of a source of which these facts are known."""
    leftovers = Leftovers(source.root, settings, project)
    walked = manifest.walk(source.root, IgnoreRules([".git"]), leftovers)
    return {path for path, entry in walked if not entry.is_dir(follow_symlinks=False)}


def test_of_what_git_ignores_the_vendored_modules_stay(source: Source, settings: Callable[..., Any]) -> None:
    """Where the go command looks for them: beside go.mod, or beside go.work."""
    source.git("init", "-q")
    source.write(".gitignore", "vendor/\n")
    for directory in ("vendor", "svc/vendor", "work/vendor"):
        source.write(f"{directory}/x/LICENSE", "x")
    for project, vendored in (
        ({}, "vendor"),
        ({"module_dir": "."}, "vendor"),
        ({"module_dir": "svc"}, "svc/vendor"),
        ({"module_dir": "svc", "work_dir": "work"}, "work/vendor"),
    ):
        found = kept(source, settings(), packages=["."], **project)
        assert {path for path in found if path.endswith("LICENSE")} == {f"{vendored}/x/LICENSE"}


def test_go_files_that_git_ignores_stay_where_the_build_may_need_them(source: Source, settings: Callable[..., Any]) -> None:
    """Those of packages that are imported; all of them where these are not known, or there is more than one module. What is no package goes."""
    source.git("init", "-q")
    source.write(".gitignore", "*_gen.go\n*_gen.txt\n/out/\n")
    for path in ("gen/a_gen.go", "other/a_gen.go", "out/deep/b.go", "gen/a_gen.txt", "default.pgo", "gen/c_gen.h"):
        source.write(path, "package x\n")
    some, every = {"gen/a_gen.go"}, {"gen/a_gen.go", "other/a_gen.go", "out/deep/b.go"}
    for project, needed in (
        ({"packages": ["gen"]}, some),
        ({}, every),
        ({"packages": None}, every),
        ({"packages": ["gen"], "local_modules": ["lib"]}, every),
    ):
        found = kept(source, settings(), **project)
        assert found & {*every, "gen/a_gen.txt"} == needed
        assert "default.pgo" in found


@pytest.mark.parametrize(
    ("directory", "holds"),
    [("web", True), ("gen", True), ("pages", True), ("svc", True), ("svc/vendor", True), ("kept", True), ("other", False), ("ge", False)],
)
def test_a_directory_that_is_left_out_is_looked_into_only_where_something_in_it_may_be_needed(
    source: Source, settings: Callable[..., Any], directory: str, holds: bool
) -> None:
    project = {"packages": ["gen/sub"], "embedded_files": ["web/page.html"], "files": [{"src": "pages/a"}], "module_dir": "svc"}
    assert Leftovers(source.root, settings(dockerignore=["!kept/a"]), project).holds_needed(directory) is holds


def test_a_link_is_what_it_is_and_not_what_it_leads_to(source: Source) -> None:
    """Neither a directory that git ignores, nor a program that a build has left behind."""
    source.git("init", "-q")
    source.write(".gitignore", "gen2/\n")
    source.write("tools/kept", ELF, 0o755)
    source.git("add", "tools")
    (source.root / "gen2").symlink_to("web")
    (source.root / "latest").symlink_to("tools/kept")
    (source.root / "script").symlink_to("run.sh")
    assert {"gen2", "latest", "script"} <= source.seen()[0]


@pytest.mark.parametrize(("mode", "left"), [(0o644, False), (0o744, True), (0o654, True), (0o645, True)])
def test_a_program_is_what_somebody_may_run(source: Source, mode: int, left: bool) -> None:
    source.write("data", ELF, mode)
    assert ("data" not in source.seen()[0]) is left


def test_a_program_that_tests_need_stays_where_they_are_run(source: Source) -> None:
    for path in ("testdata/prog", "sub/testdata/deep/prog", "prog"):
        source.write(path, ELF, 0o755)
    programs = {"testdata/prog", "sub/testdata/deep/prog", "prog"}
    assert source.seen(run_tests=True)[0] & programs == programs - {"prog"}
    assert source.seen(run_tests=False)[0] & programs == set()


def test_a_file_beside_a_report_is_none(source: Source) -> None:
    source.write("host/cat-server.html", "x")
    for path in ("host/notes.txt", "cat-server.txt", "other/cat-server.json", "host/deep/cat-server.json"):
        source.write(path, "x")
    assert {"host/notes.txt", "cat-server.txt", "other/cat-server.json", "host/deep/cat-server.json"} <= source.seen(
        report_dir=str(source.root)
    )[0]


def test_what_cannot_be_looked_at_is_not_left_out_but_told(unprivileged: Path, settings: Callable[..., Any]) -> None:
    (unprivileged / "prog").touch(mode=0o111)
    leftovers = Leftovers(unprivileged, settings(), {})
    assert [path for path, _entry in manifest.walk(unprivileged, None, leftovers)] == ["prog"]
    (unprivileged / ".dockerignore").touch(mode=0o000)
    with pytest.raises(ContextError, match=rf"\A{unprivileged}/\.dockerignore cannot be read: Permission denied\Z"):
        Leftovers(unprivileged, settings(), {})
