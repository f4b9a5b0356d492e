"""Which main package is the service."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from .errors import BUILD_TAGS, MAIN, MODULE_DIR, SOURCE, SourceError
from .gofile import read_head
from .packages import Module, argument

_SHOWN = 20
_CGO = (
    'A static build switches cgo off (CGO_ENABLED=0), so a file that imports "C" is no part of it. Write it in pure Go, or use a pure Go package '
    "instead (for SQLite modernc.org/sqlite)."
)


def shown(items: Iterable[str]) -> str:
    """Join a list for a message, and shorten it if it is long."""
    items = list(items)
    return ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


class MainChoice:
    """The choice of the main package in a module."""

    def __init__(self, module: Module, target: str) -> None:
        self.module = module
        self.target = target
        self.searched, self.nested = module.search()
        self.candidates = [directory for directory in self.searched if module.package_name(directory) == "main"]

    def choose(self, name: str, wanted: str) -> str:
        """Return the main package's directory: the wanted one, the module's root, ./cmd/<name>, or the only one."""
        if wanted:
            directory = self._explicit(wanted)
        elif "" in self.candidates:
            directory = ""
        elif f"cmd/{name}" in self.candidates:
            directory = f"cmd/{name}"
        elif len(self.candidates) == 1:
            directory = self.candidates[0]
        elif self.candidates:
            raise SourceError(
                f"module {self.module.mod.module} has {len(self.candidates)} main packages, "
                f"but none at its root or in ./cmd/{name}: {self._listed()}",
                f"Set {MAIN} to one of them."
                + (f" If the service's module is another one, set {MODULE_DIR}: {self._nested()}." if self.nested else ""),
                MAIN,
            )
        else:
            raise self._none()
        packages = self._packages(directory)
        if len(packages) > 1:
            found = " and ".join(f"{package} ({file})" for package, file in packages.items())
            raise SourceError(
                f"{argument(directory)} contains files of more than one package: {found}",
                "Move one of them to a separate directory, or exclude it from the build with //go:build ignore.",
            )
        return directory

    def _listed(self) -> str:
        return shown(map(argument, self.candidates))

    def _nested(self) -> str:
        return shown(map(argument, self.nested))

    def _packages(self, directory: str) -> dict[str, str]:
        """Return the packages that build in a directory with the first file of each."""
        packages: dict[str, str] = {}
        for file in self.module.files(directory):
            if not file.excluded:
                packages.setdefault(file.package, file.name)
        return packages

    def _excluded(self, directory: str) -> list[str]:
        """Return the files of package main in a directory that do not build, with the reason; scripts do not count."""
        return [
            f"{posixpath.join(argument(directory), file.name)} ({file.excluded})"
            for file in self.module.files(directory)
            if file.excluded
            and not file.excluded.endswith("build ignore")
            and (
                file.irregular or read_head(os.path.join(self.module.absolute(directory), file.name), self.module.root)[0].package == "main"
            )
        ]

    def _wrong(self, wanted: str, problem: str, remedy: str = "") -> SourceError:
        if not remedy:
            remedy = f"Set {MAIN} to one of: {self._listed()}." if self.candidates else f"Correct {MAIN}; no main package was found."
        return SourceError(f"{MAIN} is {wanted!r}, but {problem}", remedy, MAIN)

    def _explicit(self, wanted: str) -> str:
        """Return the directory of a main package given as cmd/x, ./cmd/x or by import path; raise SourceError."""
        module_path = self.module.mod.module
        value = wanted.strip()
        directory = posixpath.normpath(value)
        directory = "" if directory == "." else directory
        if not os.path.isdir(self.module.absolute(directory)) and f"{directory}/".startswith(f"{module_path}/"):
            directory = directory[len(module_path) + 1 :]
        if posixpath.isabs(directory) or directory.split("/")[0] == "..":
            raise self._wrong(wanted, f"that is outside of module {module_path}")
        path = self.module.absolute(directory)
        if os.path.isfile(path):
            parent = argument(posixpath.dirname(directory))
            raise self._wrong(wanted, "that is a file, not a directory", f"Set {MAIN} to {parent}.")
        if not os.path.isdir(path):
            raise self._wrong(wanted, f"module {module_path} has no such directory ({path})")
        other = self.module.other_module(directory)
        if other:
            raise self._wrong(
                wanted,
                f"{argument(other)} is a separate module (it has a go.mod)",
                f"Set {MODULE_DIR} to that directory and {MAIN} to {argument(directory[len(other) + 1 :])}.",
            )
        package = self.module.package_name(directory)
        if not package:
            files = list(self.module.files(directory))
            if not files:
                raise self._wrong(wanted, "there is no Go file in it")
            reasons = shown(f"{file.name} ({file.excluded})" for file in files)
            remedy = _CGO if all('import "C"' in file.excluded for file in files) else ""
            raise self._wrong(wanted, f"no Go file in it builds for {self.target}: {reasons}", remedy)
        if "main" not in self._packages(directory):
            raise self._wrong(wanted, f"it is package {package}, not package main")
        return directory

    def _none(self) -> SourceError:
        """Return the error for a module without a main package, with the most similar find."""
        where = f"module {self.module.mod.module} ({self.module.path})"
        problem, remedy, variable = (
            f"there is no main package in {where}",
            f"Set {SOURCE} to the source of a program, with a func main in package main.",
            SOURCE,
        )
        excluded = [text for directory in self.searched for text in self._excluded(directory)]
        mixed = [directory for directory in self.searched if "main" in self._packages(directory)]
        if not any(self.module.listing(directory).go_files for directory in self.searched):
            problem = f"there is no Go file in {where}"
        if mixed:
            problem += f"; package main shares a directory with another package in {shown(map(argument, mixed))}"
            remedy = f"Set {MAIN} to that directory to see which files collide, and separate them."
            variable = MAIN
        if excluded:
            problem += f"; files of package main that do not build for {self.target}: {shown(excluded)}"
            remedy = f"Set {BUILD_TAGS} to the tags the program is built with, or {SOURCE} to one for {self.target}."
            variable = BUILD_TAGS
            if all('import "C"' in reason for reason in excluded):
                remedy, variable = _CGO, SOURCE
            if any(file.irregular for directory in self.searched for file in self.module.files(directory)):
                remedy, variable = "Put regular files in their place, within the source.", SOURCE
        if self.nested:
            remedy = f"Set {MODULE_DIR} to the service's module; this one contains {self._nested()}."
            variable = MODULE_DIR
        return SourceError(problem, remedy, variable)
