"""A context of changes turns the source of one build into that of another, or says that it cannot. In a real build: tests/test_continued_builds.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import changes
from ansible_collections.proven.go_service.plugins.module_utils.image.manifest import manifest_digest, read_manifest

Change = Callable[[Path], object]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a source with something of each kind."""
    root = tmp_path / "source"
    (root / "pages/old").mkdir(parents=True)
    for path in ("go.mod", "main.go", "pages/a b.html", "pages/\u00e4.txt", "pages/old/one", "-rf", "$(x)"):
        (root / path).write_text(path)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "pages/link").symlink_to("a b.html")
    return root


def turned(tmp_path: Path, source: Path, change: Change) -> tuple[bool, Path, subprocess.CompletedProcess[str]]:
    """Make a context of what a change changes, and apply it to a copy of the source as the build does: return whether there is one, the copy, and how that went."""
    stage = tmp_path / "stage"
    shutil.copytree(source, stage / "src", symlinks=True)
    before = [entry.identity for entry in read_manifest(source)]
    change(source)
    written = changes.write(tmp_path / "changes", source, before, read_manifest(source))
    if not written:
        return False, stage / "src", subprocess.CompletedProcess([], 0)
    subprocess.run(["cp", "-a", f"{tmp_path}/changes/{changes.FOR_STAGE}/.", stage], check=True)
    # The places in the image are absolute.
    script = (stage / "changes/apply").read_text().replace("/src", f"{stage}/src").replace("/changes/", f"{stage}/changes/")
    return True, stage / "src", subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)


def _emptied(root: Path) -> None:
    for path in ("pages/a b.html", "pages/link", "-rf", "$(x)"):
        (root / path).unlink()
    shutil.rmtree(root / "pages/old")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: None,
        lambda root: (root / "main.go").write_text("edited"),
        lambda root: (root / "new/deep").mkdir(parents=True) or (root / "new/deep/file").write_text("new"),
        _emptied,
        lambda root: (root / "run.sh").chmod(0o644),
        lambda root: (root / "pages/link").unlink() or (root / "pages/link").symlink_to("old/one"),
        lambda root: (root / "empty").write_text("") and (root / "main.go").chmod(0o755),
    ],
    ids=["nothing", "an edit", "new directories", "what goes, with names that a shell could misread", "a mode", "a link", "an empty file"],
)
def test_a_source_becomes_the_one_that_is_to_be_built(tmp_path: Path, source: Path, change: Change) -> None:
    written, stage, done = turned(tmp_path, source, change)
    assert written and done.returncode == 0, done.stdout + done.stderr
    assert manifest_digest(read_manifest(stage)) == manifest_digest(read_manifest(source))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "main.go").unlink() or (root / "main.go").mkdir(),
        lambda root: shutil.rmtree(root / "pages/old") or (root / "pages/old").write_text("now a file"),
        lambda root: (root / "pages/link").unlink() or (root / "pages/link").write_text("now a file"),
        lambda root: (root / "two\nlines").write_text("x"),
        lambda root: (root / "back\\slash").write_text("x"),
    ],
    ids=["a file becomes a directory", "a directory a file", "a link a file", "a line break in a name", "a backslash in a name"],
)
def test_what_it_cannot_express_is_left_to_a_build_of_everything(tmp_path: Path, source: Path, change: Change) -> None:
    written, _stage, _done = turned(tmp_path, source, change)
    assert not written


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stage: (stage / "main.go").write_text("another"),
        lambda stage: (stage / "pages/old/one").unlink(),
        lambda stage: (stage / "more.go").write_text("package main"),
    ],
    ids=["another content", "a file that is missing", "a file too many"],
)
def test_a_source_in_the_stage_that_is_not_the_recorded_one_is_noticed(tmp_path: Path, source: Path, spoil: Change) -> None:
    stage = tmp_path / "spoiled"
    shutil.copytree(source, stage / "src", symlinks=True)
    before = [entry.identity for entry in read_manifest(source)]
    assert changes.write(tmp_path / "changes", source, before, read_manifest(source))
    spoil(stage / "src")
    subprocess.run(["cp", "-a", f"{tmp_path}/changes/{changes.FOR_STAGE}/.", stage], check=True)
    script = (stage / "changes/apply").read_text().replace("/src", f"{stage}/src").replace("/changes/", f"{stage}/changes/")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and changes.NOT_AS_RECORDED in done.stdout


def test_only_what_changed_is_in_the_context_and_everybody_in_the_build_may_read_it(tmp_path: Path, source: Path) -> None:
    before = [entry.identity for entry in read_manifest(source)]
    (source / "pages/old/one").write_text("edited")
    old = os.umask(0o077)
    try:
        assert changes.write(tmp_path / "changes", source, before, read_manifest(source))
    finally:
        os.umask(old)
    files = tmp_path / "changes" / changes.FOR_STAGE
    assert [str(path.relative_to(files)) for path in sorted(files.rglob("*")) if path.is_file() and "src" in path.parts] == [
        "src/pages/old/one"
    ]
    assert all(path.stat().st_mode & 0o555 == 0o555 for path in [files, *files.rglob("*")] if path.is_dir())


def test_what_the_image_has_beside_the_binary_is_in_the_context_whether_it_changed_or_not(tmp_path: Path, source: Path) -> None:
    before = [entry.identity for entry in read_manifest(source)]
    (source / "main.go").write_text("edited")
    (source / "files").mkdir()
    (source / "files/new").write_text("new")
    after = read_manifest(source)
    assert changes.write(tmp_path / "changes", source, before, after, ["pages", "run.sh", "files/new"])
    found = [entry for entry in read_manifest(tmp_path / "changes") if entry.path.split("/")[0] != changes.FOR_STAGE]
    assert found == [entry for entry in after if entry.path.split("/")[0] in ("pages", "run.sh", "files")]


def test_files_beside_the_binary_whose_place_the_context_itself_needs_are_left_to_a_build_of_everything(
    tmp_path: Path, source: Path
) -> None:
    (source / changes.FOR_STAGE).mkdir()
    after = read_manifest(source)
    assert not changes.write(tmp_path / "changes", source, [entry.identity for entry in after], after, [f"{changes.FOR_STAGE}/x"])


def test_what_was_built_is_remembered_and_a_damaged_record_is_none(tmp_path: Path, source: Path) -> None:
    file, identities = tmp_path / "sources.json", [entry.identity for entry in read_manifest(source)]
    changes.remember(file, {"a": identities})
    assert changes.recall(file, "a") == identities
    assert changes.recall(file, "b") is None
    for text in ("", "[]", "{", '{"a": 1}', '{"a": [1]}', '{"a": [["go.mod", "f"]]}', '{"a": [["go.mod", "f", false, null]]}'):
        file.write_text(text)
        assert changes.recall(file, "a") is None
    file.unlink()
    assert changes.recall(file, "a") is None
