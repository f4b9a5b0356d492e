"""What git ignores, as the role reads it from a checkout's files, held against git itself."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.gitignore import find_checkout

NAMES = ("a", "b", "ab", "a.b", "bin", "x.md", "foo bar", "[", "a]", "ä", "-", "#a", "!b", "B")
PIECES = (
    "a",
    "b",
    "*",
    "?",
    "**",
    "/",
    ".",
    "[a-c]",
    "[!a]",
    "[^b]",
    "[]a]",
    "\\*",
    "\\",
    "[",
    "]",
    "-",
    "bin",
    "md",
    " ",
    "#",
    "!",
    "ä",
    "[[:alpha:]]",
    "[a",
)


def git(directory: Path, *arguments: str) -> str:
    """Run git with no configuration but its own defaults, and return what it prints."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *arguments], cwd=directory, env=env, capture_output=True, text=True, check=True).stdout


def paths(top: Path) -> dict[str, bool]:
    """Return every path of a tree but of its .git, and whether it is a directory."""
    found = {}
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*folders, *files]:
            found[os.path.relpath(os.path.join(folder, name), top)] = name in folders
    return found


def ignored(top: Path) -> set[str]:
    """Return the files that git ignores."""
    return set(filter(None, git(top, "ls-files", "-z", "--others", "--ignored", "--exclude-standard").split("\0")))


def tree(random_: random.Random, top: Path) -> None:
    """Make a checkout with generated names, patterns and tracked files."""
    for _number in range(25):
        path = top.joinpath(*(random_.choice(NAMES) for _part in range(random_.randint(1, 4))))
        if any(above.is_file() for above in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    git(top, "init", "-q")
    files = [path for path, directory in paths(top).items() if not directory]
    for path in random_.sample(files, min(4, len(files))):
        git(top, "add", "--force", "--", f":(literal){path}")
    git(top, "update-index", "--index-version", random_.choice("234"))
    folders = [top, *(top / path for path, directory in paths(top).items() if directory)]
    for folder in random_.sample(folders, min(3, len(folders))):
        (folder / ".gitignore").write_text("".join(line(random_) + "\n" for _number in range(random_.randint(1, 5))))
    (top / ".git/info/exclude").write_text(line(random_) + "\n")


def line(random_: random.Random) -> str:
    """Return a line of a .gitignore file."""
    if random_.random() < 0.4:
        middle = "/".join(random_.choice(NAMES) for _part in range(random_.randint(1, 3)))
    else:
        middle = "".join(random_.choice(PIECES) for _part in range(random_.randint(1, 6)))
    return random_.choice(("", "", "", "/", "!", "**/")) + middle + random_.choice(("", "", "/", "/**", " "))


@pytest.mark.parametrize("seed", range(60))
def test_the_same_as_git(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    tree(random_, tmp_path)
    checkout = find_checkout(tmp_path)
    assert checkout
    files = {path for path, directory in paths(tmp_path).items() if not directory}
    tracked = set(filter(None, git(tmp_path, "ls-files", "-z").split("\0")))
    shown = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob(".gitignore")}
    assert {path for path in files - tracked if checkout.ignores(path, False)} == ignored(tmp_path), shown
    assert not any(checkout.ignores(path, False) for path in tracked)


def test_a_source_below_the_top_of_its_checkout(tmp_path: Path) -> None:
    (tmp_path / "services/api/bin").mkdir(parents=True)
    (tmp_path / "services/api/bin/api").touch()
    (tmp_path / ".gitignore").write_text("bin/\n/services/api/*.log\n")
    git(tmp_path, "init", "-q")
    checkout = find_checkout(tmp_path / "services/api")
    assert [
        checkout.ignores(path, directory) for path, directory in {"bin": True, "bin/api": False, "a.log": False, "main.go": False}.items()
    ] == [
        True,
        True,
        True,
        False,
    ]


def test_a_working_tree_of_another_repository(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    git(main, "init", "-q")
    git(main, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "x")
    git(main, "worktree", "add", "-q", str(other))
    (main / ".git/info/exclude").write_text("out\n")
    (other / ".gitignore").write_text("*.tmp\n")
    checkout = find_checkout(other)
    assert [checkout.ignores(path, False) for path in ("out", "a.tmp", "b")] == [True, True, False]


def test_no_checkout(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*\n")
    assert find_checkout(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\5", b"\0" * 100])
def test_a_broken_index_is_no_checkout(tmp_path: Path, content: bytes) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".git/index").write_bytes(content)
    assert find_checkout(tmp_path) is None


def test_a_directory_that_the_checkout_around_it_ignores_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/tmp/\n")
    (tmp_path / "tmp/source").mkdir(parents=True)
    assert find_checkout(tmp_path / "tmp/source") is None


def test_nothing_of_the_repository_runs(tmp_path: Path) -> None:
    """What the configuration of a repository names as a program is not run."""
    git(tmp_path, "init", "-q")
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "filter.x.clean", "diff.external"):
        git(tmp_path, "config", name, str(program))
    (tmp_path / ".gitattributes").write_text("* filter=x\n")
    (tmp_path / ".gitignore").write_text("a\n")
    assert find_checkout(tmp_path).ignores("a", False)
    assert not mark.exists()
