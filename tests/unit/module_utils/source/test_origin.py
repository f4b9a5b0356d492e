"""A repository names programs that git runs: none of them runs because a source is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import origin
from go_trees import SERVER

HOOKS = [
    "applypatch-msg",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "pre-auto-gc",
    "fsmonitor-watchman",
    "reference-transaction",
]
CONFIG = """
[core]
    fsmonitor = {canary}
    hooksPath = {hooks}
    pager = {canary}
    editor = {canary}
    sshCommand = {canary}
    askPass = {canary}
    gitProxy = {canary}
    attributesFile = {root}/attributes
    alternateRefsCommand = {canary}
    worktree = /
[include]
    path = {root}/included
[includeIf "gitdir:/"]
    path = {root}/included
[alias]
    status = !{canary}
    cat-file = !{canary}
    ls-tree = !{canary}
    config = !{canary}
    log = !{canary}
[pager]
    log = {canary}
    cat-file = {canary}
[log]
    showSignature = true
[gpg]
    program = {canary}
[gpg "ssh"]
    program = {canary}
[commit]
    gpgSign = true
[credential]
    helper = !{canary}
[filter "evil"]
    clean = {canary}
    smudge = {canary}
    process = {canary}
    required = true
[diff]
    external = {canary}
[diff "evil"]
    textconv = {canary}
    command = {canary}
[merge "evil"]
    driver = {canary}
[uploadpack]
    packObjectsHook = {canary}
[extensions]
    partialClone = origin
[remote "origin"]
    url = ext::{canary}
    promisor = true
    uploadpack = {canary}
    vcs = {canary}
[submodule]
    recurse = true
[submodule "sub"]
    url = ext::{canary}
    update = !{canary}
    active = true
[trace2]
    eventTarget = {trace}
    normalTarget = {trace}
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Path], str]:
    """Return a repository with one commit that sets all that git may run, what would appear if it ran, and its revision."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    root, ran, trace = tmp_path / "source", tmp_path / "ran", tmp_path / "trace"
    root.mkdir()

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        return subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    canary = tmp_path / "canary"
    canary.write_text(f'#!/bin/sh\necho "$0 $*" >>{ran}\ncat\n')
    canary.chmod(0o755)
    (root / "go.mod").write_text("module example.com/app\n\ngo 1.22\n")
    (root / "main.go").write_text("package main\n\nfunc main() {}\n")
    (root / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    git("init", "-q")
    git("init", "-q", "sub")
    git("-C", "sub", "commit", "-q", "--allow-empty", "-m", "x")
    git("add", ".")
    (root / "signed").write_text(
        f"tree {git('write-tree')}\nauthor A <a@example.com> 1767323045 +0130\ncommitter A <a@example.com> 1767323045 +0130\n"
        "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nsigned\n"
    )
    revision = git("hash-object", "-t", "commit", "-w", "signed")
    (root / "signed").unlink()
    git("update-ref", "HEAD", revision)
    hooks = root / "hooks"
    for directory in (hooks, root / ".git/hooks", root / "sub/.git/hooks"):
        directory.mkdir(exist_ok=True)
        for hook in HOOKS:
            (directory / hook).write_text(canary.read_text())
            (directory / hook).chmod(0o755)
    text = CONFIG.format(canary=canary, hooks=hooks, root=root, trace=trace)
    (root / "included").write_text(f"[core]\n    fsmonitor = {canary}\n    pager = {canary}\n")
    for place in (root / ".git/config", root / "sub/.git/config"):
        place.write_text("[core]\n    repositoryformatversion = 0\n" + text)
    # The programs do run where git is asked in the usual way: the snare holds.
    subprocess.run(["git", f"--work-tree={root}", "status"], cwd=root, capture_output=True, check=False)
    assert ran.exists()
    ran.unlink()
    trace.unlink(missing_ok=True)
    (root / "main.go").write_text("package main\n\nfunc main() { }\n")
    return root, [ran, trace], revision


ENVIRONMENT = {
    "GIT_DIR": "/nonexistent",
    "GIT_WORK_TREE": "/",
    "GIT_INDEX_FILE": "/nonexistent",
    "GIT_OBJECT_DIRECTORY": "/nonexistent",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "{canary}",
    "GIT_EXTERNAL_DIFF": "{canary}",
    "GIT_PAGER": "{canary}",
    "GIT_TRACE": "{trace}",
    "GIT_TRACE2": "{trace}",
    "GIT_EXEC_PATH": "/nonexistent",
    "PAGER": "{canary}",
}


@pytest.mark.parametrize("environment", [{}, ENVIRONMENT], ids=["", "environment"])
def test_nothing_of_a_repository_runs_or_changes_what_is_read(
    hostile: tuple[Path, list[Path], str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    root, traces, revision = hostile
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(canary=root.parent / "canary", trace=traces[1]))
    before = sorted((path, path.lstat().st_mtime_ns) for path in root.rglob("*"))
    assert origin.read_origin(root) == {"revision": f"{revision}-dirty", "date": "2026-01-02T04:34:05+01:30", "url": ""}
    assert [path for path in traces if path.exists()] == []
    assert sorted((path, path.lstat().st_mtime_ns) for path in root.rglob("*")) == before


def test_nothing_of_a_repository_on_the_target_runs(
    hostile: tuple[Path, list[Path], str], module: Callable[..., dict[str, Any]], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    root, traces, revision = hostile
    (tmp_path / "arguments").mkdir()
    done = module("prepare", tmp_path / "arguments", mode="analyze", settings=settings(), source_root=str(root))
    assert done["project"]["origin"]["revision"] == f"{revision}-dirty"
    assert [path for path in traces if path.exists()] == []


def test_objects_are_taken_from_the_repository_alone(hostile: tuple[Path, list[Path], str], tmp_path: Path) -> None:
    """Alternates, and links in the place of objects, lead elsewhere."""
    root, _traces, _revision = hostile
    elsewhere = tmp_path / "elsewhere"
    (root / ".git/objects").rename(elsewhere)
    (root / ".git/objects/info").mkdir(parents=True)
    (root / ".git/objects/info/alternates").write_text(f"{elsewhere}\n")
    assert origin.read_origin(root)["revision"] == ""
    for name in os.listdir(elsewhere):
        if len(name) == 2:
            (root / ".git/objects" / name).symlink_to(elsewhere / name)
    assert origin.read_origin(root)["revision"] == ""


@pytest.mark.parametrize("path", ["HEAD", "config", "packed-refs", "objects/pack/x.idx", "refs/heads/trap"])
def test_a_pipe_in_a_repository_is_not_waited_for(hostile: tuple[Path, list[Path], str], path: str) -> None:
    root, _traces, revision = hostile
    if path == "refs/heads/trap":
        (root / ".git/HEAD").write_text("ref: refs/heads/trap\n")
    (root / ".git" / path).unlink(missing_ok=True)
    os.mkfifo(root / ".git" / path)
    assert origin.read_origin(root)["revision"] in ("", f"{revision}-dirty")


@pytest.mark.parametrize("name", ["..", ".", "a/../../../outside", "/etc/hostname", ".git"])
def test_a_tree_that_names_files_outside_of_the_source_opens_none(
    hostile: tuple[Path, list[Path], str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    root, _traces, revision = hostile
    opened = []
    real = origin.open_beneath
    monkeypatch.setattr(origin, "_tracked", lambda *_: iter([("100644", "0" * 40, name)]))
    monkeypatch.setattr(origin, "open_beneath", lambda *place: (opened.append(os.path.join(*place)), real(*place))[1])
    assert origin.read_origin(root)["revision"] == f"{revision}-dirty"
    with pytest.raises(OSError):
        real(str(root), name)


# Addresses


@pytest.fixture
def git(go_module: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what runs git in the go_module, which is a repository with one commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(go_module), *identity, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    run("init", "-q")
    run("add", ".")
    run("commit", "-q", "-m", "x", "--date", "2026-01-02T03:04:05Z")
    return run


def test_the_origin_of_a_clean_repository(go_module: Path, git: Callable[..., str]) -> None:
    git("remote", "add", "origin", "https://alice:secret@git.example.com/api.git")
    assert origin.read_origin(go_module) == {
        "revision": git("rev-parse", "HEAD"),
        "date": git("log", "-1", "--format=%cI").replace("Z", "+00:00"),
        "url": "https://git.example.com/api.git",
    }


@pytest.mark.parametrize(
    ("kind", "dirty"),
    [
        ("nothing", False),
        ("other content", True),
        ("removed", True),
        ("execute bit", True),
        ("a link in its place", True),
        ("a pipe in its place", True),
        ("line ends of another system", False),
        ("only its time", False),
    ],
)
def test_an_edit_of_any_kind_is_seen(go_module: Path, git: Callable[..., str], kind: str, dirty: bool) -> None:
    file = go_module / "main.go"
    changes: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "other content": lambda: file.write_text(SERVER.replace("lib.H", "lib.G")),
        "removed": file.unlink,
        "execute bit": lambda: file.chmod(0o755),
        "a link in its place": lambda: (file.rename(go_module / "x"), file.symlink_to("x")),
        "a pipe in its place": lambda: (file.unlink(), os.mkfifo(file)),
        "line ends of another system": lambda: file.write_bytes(SERVER.replace("\n", "\r\n").encode()),
        "only its time": lambda: os.utime(file, (1, 1)),
    }
    (go_module / "link").symlink_to("main.go")
    git("add", ".")
    git("commit", "-q", "-m", "y")
    changes[kind]()
    assert origin.read_origin(go_module)["revision"] == git("rev-parse", "HEAD") + ("-dirty" if dirty else "")


def test_large_content_that_is_kept_elsewhere_is_no_edit(go_module: Path, git: Callable[..., str]) -> None:
    content = b"large\n" * 1000
    (go_module / "large").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    )
    git("add", ".")
    git("commit", "-q", "-m", "y")
    (go_module / "large").write_bytes(content)
    assert not origin.read_origin(go_module)["revision"].endswith("-dirty")


@pytest.mark.parametrize("way", ["packed", "detached", "worktree", "sha256"])
def test_any_repository_is_read(go_module: Path, git: Callable[..., str], tmp_path: Path, way: str) -> None:
    where = go_module
    if way == "packed":
        git("gc", "-q")
        assert not list((go_module / ".git/refs/heads").iterdir())
    elif way == "detached":
        git("checkout", "-q", "--detach")
    elif way == "worktree":
        where = tmp_path / "elsewhere"
        git("worktree", "add", "-q", str(where))
    else:
        shutil.rmtree(go_module / ".git")
        git("init", "-q", "--object-format=sha256")
        git("add", ".")
        git("commit", "-q", "-m", "x")
    assert origin.read_origin(where)["revision"] == git("rev-parse", "HEAD")


def test_a_git_file_that_points_to_a_foreign_repository_tells_nothing(go_module: Path, git: Callable[..., str], tmp_path: Path) -> None:
    git("remote", "add", "origin", "https://git.example.com/private.git")
    other = tmp_path / "other"
    other.mkdir()
    for line in (f"gitdir: {go_module}/.git", "gitdir: /etc/shadow", "gitdir: ", "x", "gitdir: \0"):
        (other / ".git").write_text(line)
        assert origin.read_origin(other) == {"revision": "", "date": "", "url": ""}


def test_the_origin_of_an_edited_repository(go_module: Path, git: Callable[..., str]) -> None:
    (go_module / "untracked").touch()
    assert not origin.read_origin(go_module)["revision"].endswith("-dirty")
    (go_module / "main.go").write_text(SERVER + "\n")
    assert origin.read_origin(go_module)["revision"] == git("rev-parse", "HEAD") + "-dirty"
    assert origin.read_origin(go_module)["url"] == ""


def test_edits_elsewhere_in_a_repository_do_not_count(go_module: Path, git: Callable[..., str]) -> None:
    (go_module / "api").mkdir()
    (go_module / "api/main.go").write_text(SERVER)
    git("add", ".")
    git("commit", "-q", "-m", "y")
    (go_module / "main.go").write_text(SERVER + "\n")
    assert not origin.read_origin(go_module / "api")["revision"].endswith("-dirty")


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/nonexistent"])
def test_a_source_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert origin.read_origin(tmp_path) == {"revision": "", "date": "", "url": ""}
