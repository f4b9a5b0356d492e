"""Trees of Go modules, and the real go command to hold what is read of them against."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.module_utils.source.model import GoProject
from ansible_collections.proven.go_service.plugins.module_utils.source.project import read_project

MAIN = "package main\n\nfunc main() {}\n"


MOD = "module example.com/app\n\ngo 1.22\n"


Tree = Mapping[str, "str | bytes"]


def write(root: Path, tree: Tree) -> Path:
    """Write files, text or bytes, by their paths below root."""
    for path, content in tree.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def importing(*paths: str, package: str = "main") -> str:
    """Return a Go file that imports packages."""
    return f"package {package}\n\nimport (\n" + "".join(f'\t_ "{path}"\n' for path in paths) + ")\n"


def read(root: Path, tree: Tree, **options: object) -> GoProject:
    """Write a tree and analyze it as service "app"."""
    return read_project(write(root, tree), **{"name": "app", **options})


def failure(root: Path, tree: Tree, **options: object) -> SourceError:
    """Write a tree that cannot be built and return the error."""
    with pytest.raises(SourceError) as caught:
        read(root, tree, **options)
    return caught.value


class Go:
    """The go command, without cgo, network, workspace or other toolchains, for linux/amd64."""

    def __init__(self, binary: str, home: Path) -> None:
        self.binary = binary
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GO", "CGO"))},
            "CGO_ENABLED": "0",
            "GO111MODULE": "on",
            "GOARCH": "amd64",
            "GOCACHE": str(home / "cache"),
            "GOENV": "off",
            "GOOS": "linux",
            "GOPATH": str(home / "path"),
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        *_, version = self.run(home, "env", "GOVERSION").split()
        self.version = tuple(int(part) for part in version.removeprefix("go").split(".")[:2] if part.isdigit())
        self.tags = self.run(home, "list", "-f", "{{range context.ToolTags}}{{.}} {{end}}", "fmt").split()

    def run(self, directory: Path, *arguments: str) -> str:
        command = [self.binary, *arguments]
        return subprocess.run(command, cwd=directory, env=self.environment, capture_output=True, text=True, check=True).stdout

    def packages(self, directory: Path, *arguments: str) -> Iterator[dict]:
        text = self.run(directory, "list", "-e", "-json", *arguments)
        decoder = json.JSONDecoder()
        while text := text.lstrip():
            package, end = decoder.raw_decode(text)
            yield package
            text = text[end:]


SUFFIXES = ["", "_linux", "_windows", "_amd64", "_arm64", "_linux_amd64", "_darwin_arm64", "_unix", "_foo", "_plan9_x"]


EXPRESSIONS = [
    *("linux", "windows", "!windows", "linux && amd64", "linux && (arm64 || amd64)", "unix && !cgo", "cgo", "ignore"),
    *("go1.1", "!go1.18", "go1.999", "tagged", "!tagged || windows", "gc", "amd64.v1", "amd64.v3", "((linux))"),
    *("(darwin || linux) && !(windows || tagged)", "!(linux && !(amd64 || tagged))", "linux &&", "!!linux", "a b"),
]


PLUS = [
    "linux",
    "windows",
    "linux,amd64",
    "windows linux",
    "!windows,!darwin",
    "tagged",
    "!tagged",
    "ignore",
    "",
    "!!x",
]


NOISE = ["", " ", "\t", "\n", '/* import "no/block" */', '// import "no/line"\n', "/*\n*/\n", "/***/"]


def declarations(dice: random.Random, paths: Iterable[str]) -> str:
    """Return import declarations in some of the forms that Go allows, with comments that look like imports."""

    def noise() -> str:
        return "".join(dice.choices(NOISE, k=dice.randint(0, 3)))

    names = ["", "_ ", ". ", "name\t", "é/**/"]
    rest = [dice.choice(names) + dice.choice(['"{}"', "`{}`"]).format(path) for path in paths]
    out = ""
    while rest:
        count = dice.randint(1, len(rest))
        group, rest = rest[:count], rest[count:]
        if count > 1 or dice.random() < 0.5:
            lines = dice.choice(["\n", ";"]).join(noise() + item for item in group)
            out += f"import{noise()}({noise()}{lines}\n{noise()}){dice.choice([';', chr(10)])}"
        else:
            out += f"import {noise()}{group[0]}\n"
    return out


def go_file(dice: random.Random, package: str, paths: Iterable[str], *, free: bool = False) -> bytes:
    """Return a Go file with constraints and imports written in some way; free: without constraints."""
    header = dice.choice(["", "// Copyright\n\n", "/* licence\n */\n\n", "// text\n" * 1200 + "\n", "/* //go:build no */"])
    kind = 0.0 if free else dice.random()
    if kind > 0.75:
        header = f"// +build {dice.choice(PLUS)}\n" + dice.choice(["\n", ""]) + header
    elif kind > 0.4:
        header += f"\n//go:build {dice.choice(EXPRESSIONS)}\n" + dice.choice(["\n", "", "// +build windows\n\n"])
    text = f'{header}package {package}\n{declarations(dice, paths)}var s = `\nimport "no/string"\n`\n'
    if dice.random() < 0.2:
        text = text.replace("\n", "\r\n")
    return dice.choice([b"", b"", b"\xef\xbb\xbf"]) + text.encode()


SERVER = 'package main\n\nimport (\n\t"net/http"\n\t"example.org/lib"\n)\n\nfunc main() { http.Handle("/", lib.H) }\n'
