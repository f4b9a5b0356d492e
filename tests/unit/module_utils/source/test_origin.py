"""A repository names programs that git runs: none of them runs because a source is read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.source import address, origin
from ansible_collections.proven.go_service.plugins.plugin_utils import variables

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


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://git.example.com/api.git", "https://git.example.com/api.git"),
        ("https://git.example.com:8443/a/b%20c.git", "https://git.example.com:8443/a/b%20c.git"),
        ("https://user:secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://user:p@ss-secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("https://git.example.com/x.git?private_token=secret", "https://git.example.com/x.git"),
        ("https://git.example.com/x.git#secret", "https://git.example.com/x.git"),
        ("ssh://git@git.example.com:2222/x.git", "ssh://git.example.com:2222/x.git"),
        ("ssh://git@[2001:db8::1]:22/x.git", "ssh://[2001:db8::1]:22/x.git"),
        ("git@git.example.com:team/x.git", "git.example.com:team/x.git"),
        ("git.example.com:team/x.git", "git.example.com:team/x.git"),
        # What cuts an address at the wrong place.
        ("https://user:sec/ret@git.example.com/x.git", ""),
        ("https://secret/part@git.example.com/x.git", ""),
        ("https://secret?part@git.example.com/x.git", ""),
        ("https://secret#part@git.example.com/x.git", ""),
        ("https://user:1/secret@git.example.com/x.git", ""),
        ("https://user:12%2Fsecret%40git.example.com/x.git", ""),
        ("https://git.example.com/x.git;token=secret", ""),
        ("https://git.example.com/secret%40x", ""),
        ("https:\\\\user:secret@git.example.com/x.git", ""),
        ("https://user:secret@", ""),
        ("user:secret@git.example.com:x.git", ""),
        ("secret:x@git.example.com", ""),
        ("https://git.example.com/a\nb", ""),
        ("https://git.example.com/\x1b[31m", ""),
        ("ext::sh -c secret", ""),
        ("file:///home/secret/x.git", ""),
        ("/home/secret/x.git", ""),
        ("../secret.git", ""),
        ("", ""),
    ],
)
def test_an_address_shows_neither_user_nor_password_nor_query(given: str, shown: str) -> None:
    assert address.shown_address(given) == shown


@pytest.mark.parametrize(
    "given",
    [
        "https://user:hunter2@host/x.git",
        "https://hunter2@host/x.git",
        "https://user:p@ss-hunter2@host/x.git",
        "https://user:hunter2/y@host/x.git",
        "https://host/x.git?token=hunter2",
        "https://user:hunter2%21@host/x.git",
    ],
)
def test_what_git_says_of_an_address_tells_no_password(settings: Callable[..., Settings], plugin: Callable[[str], Any], given: str) -> None:
    secret = given.partition("//")[2].rpartition("@")[0].partition(":")[2] or "hunter2"
    said = {"msg": "Failed to download", "stderr": f"fatal: unable to access '{given}/': for {secret}"}
    shown = settings(source=address.shown_address(given) or address.HIDDEN, source_type="git")
    told = plugin("action.fetch").explain(secrets.mask(said, secrets.secret_values(vars(shown), given)), shown, "Nothing.").text("api")
    assert "hunter2" not in told
    assert "the source cannot be fetched from" in told and "unable to access" in told


def test_no_setting_shows_the_password_of_an_address(raw: dict[str, Any]) -> None:
    hidden = "https://user:hunter2@host/x.git"
    for change in ({"source": hidden}, {"source": f"{hidden}\n", "source_type": "git"}):
        with pytest.raises(variables.InputError) as caught:
            variables.check_variables({**raw, **change})
        assert "hunter2" not in str(caught.value) and "go_service_source" in str(caught.value)


@pytest.mark.parametrize("version", ["--orphan=x", "a b", "a..b", "a~1", "-x", "a:b"])
def test_a_version_that_is_an_option_or_more_than_a_name_is_refused(raw: dict[str, Any], version: str) -> None:
    with pytest.raises(variables.InputError, match="go_service_source_version"):
        variables.check_variables({**raw, "source_version": version})
