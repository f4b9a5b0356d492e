"""Trees of files, and the changes that a digest has to see."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from ansible_collections.proven.go_service.plugins.module_utils.image import manifest
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules

Generate = Callable[..., dict[str, str]]


def paths(root: Path, *lines: str) -> list[str]:
    """Return the paths of a tree's manifest."""
    return [entry.path for entry in manifest.read_manifest(root, IgnoreRules(lines))]


NAMES = [
    ".env",
    ".env.local",
    ".envrc",
    "id_rsa",
    "id_rsa.pub",
    "server.pem",
    "a.key",
    "README.md",
    "README",
    "notes.md",
    "Dockerfile.dev",
    "compose.yml",
    ".gitignore",
    "coverage.out",
    ".DS_Store",
    "b.swp",
    "x_test.go",
    "x.test",
]


PLAIN = ["main.go", "a.go", "key.go", "pem", "é.go", "x y", "a", "index.html", "docs"]


DIRECTORIES = [".git", ".github", "node_modules", "__pycache__", ".ssh", ".aws", "docs.md", "README", "x.pem", "y.key", "z_test.go"]


PLAIN_DIRECTORIES = ["a", "cmd", "vendor", "internal", ".hidden", "é"]


def grow(root: Path, dice: random.Random, depth: int = 0) -> None:
    """Make a random tree of names that the rules are about, and of others."""
    root.mkdir(exist_ok=True)
    for name in [*dice.sample(NAMES, 4), *dice.sample(PLAIN, 4)]:
        if not (root / name).is_dir():
            (root / name).write_text("")
    for name in [*dice.sample(DIRECTORIES, 2), *dice.sample(PLAIN_DIRECTORIES, 2)] if depth < 3 else ():
        if not (root / name).exists():
            grow(root / name, dice, depth + 1)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a changed file": lambda root: (root / "main.go").write_text("package Main"),
    "a changed deep file": lambda root: (root / "a/b/c/deep.go").write_text("package d"),
    "a file with one byte more": lambda root: (root / "main.go").write_text("package main\n"),
    "an added file": lambda root: (root / "a/new.go").touch(),
    "a removed file": lambda root: (root / "main.go").unlink(),
    "a renamed file": lambda root: (root / "main.go").rename(root / "mainn.go"),
    "an execute bit": lambda root: (root / "main.go").chmod(0o744),
    "no execute bit": lambda root: (root / "run.sh").chmod(0o644),
    "an added empty directory": lambda root: (root / "a/empty").mkdir(),
    "a removed empty directory": lambda root: (root / "empty").rmdir(),
    "a link to elsewhere": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("main.go")),
    "a file in place of a link": lambda root: ((root / "link").unlink(), (root / "link").write_text("package c")),
    "a file in place of a directory": lambda root: ((root / "empty").rmdir(), (root / "empty").touch()),
    "a link in place of a directory": lambda root: ((root / "empty").rmdir(), (root / "empty").symlink_to("a")),
}
