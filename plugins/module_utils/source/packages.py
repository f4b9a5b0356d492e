"""The packages of a module, as far as a main package needs them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..common.files import stays_within
from .constraints import BuildContext, tags_that_admit
from .gofile import GoFile, read_go_file
from .modfile import ModFile

# Which import paths may be given to the go command: golang.org/x/mod/module.CheckImportPath. "..." is a pattern there.
_IMPORT_PATH = re.compile(r"(?![-~])(?!.*\.\.\.)[A-Za-z0-9._~+/-]+")
# `./...` passes over testdata and vendor. node_modules is this module's own addition: npm packages hold stray Go files,
# main packages among them, and thousands of directories.
UNSEARCHED = frozenset({"testdata", "vendor", "node_modules"})


@dataclass(frozen=True)
class _Listing:
    """A directory: its Go files that are not hidden (also those that are refused when they are read), its subdirectories, and whether it has a go.mod."""

    go_files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    has_go_mod: bool = False


def list_directory(path: str, root: str) -> _Listing:
    """List a directory; empty if it is missing, not a directory, or reached by a link that leaves the source in root."""
    go_files, directories, has_go_mod = [], [], False
    if not stays_within(root, path):
        return _Listing()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    directories.append(name)
                elif name.endswith(".go") and name[0] not in "._":
                    if entry.is_file() or not (entry.is_dir() or (entry.is_symlink() and stays_within(root, entry.path))):
                        go_files.append(name)
                elif name == "go.mod":
                    has_go_mod = entry.is_file()
    except (FileNotFoundError, NotADirectoryError):
        return _Listing()
    return _Listing(tuple(sorted(go_files)), tuple(sorted(directories)), has_go_mod)


def argument(directory: str) -> str:
    """Return a directory relative to the module as an argument of `go build`: "" -> ".", "cmd/x" -> "./cmd/x"."""
    return f"./{directory}" if directory else "."


@dataclass(frozen=True)
class Gathered:
    """What a set of packages needs, those of the module that they import included."""

    packages: frozenset[str]
    std: frozenset[str]
    third_party: frozenset[str]
    cgo_files: tuple[str, ...]
    tagged_files: tuple[tuple[str, str, str], ...]  # file, package, the build tags with which it would be built
    patterns: tuple[tuple[str, str, str], ...]  # package directory, file name, pattern


class Module:
    """A module's tree, in the source in root. Directories are relative to the module, "" for its root; what was read once is kept."""

    def __init__(self, root: str, path: str, mod: ModFile, dependencies: Iterable[str], context: BuildContext) -> None:
        self.root = root
        self.path = path
        self.mod = mod
        self.context = context
        self.dependencies = frozenset(dependencies)
        self._listings: dict[str, _Listing] = {}
        self._files: dict[tuple[str, str], GoFile] = {}

    def absolute(self, directory: str) -> str:
        return os.path.join(self.path, directory) if directory else self.path

    def listing(self, directory: str) -> _Listing:
        if directory not in self._listings:
            self._listings[directory] = list_directory(self.absolute(directory), self.root)
        return self._listings[directory]

    def files(self, directory: str, *, tests: bool = False) -> Iterator[GoFile]:
        """Yield the Go files of a directory in the order of their names, those of tests only if asked for."""
        for name in self.listing(directory).go_files:
            if tests or not name.endswith("_test.go"):
                key = (directory, name)
                if key not in self._files:
                    self._files[key] = read_go_file(self.absolute(directory), name, self.context, self.root)
                yield self._files[key]

    def search(self) -> tuple[list[str], list[str]]:
        """Return the directories `./...` looks into, and those of nested modules, both sorted.

        Passed over are vendor, testdata, node_modules, names that begin with "." or "_", other modules, and what an
        `ignore` directive names (https://go.dev/ref/mod#go-mod-file-ignore); symbolic links are not followed.
        """
        anchored = tuple(f"/{path[2:].strip('/')}/" for path in self.mod.ignores if path.startswith("./"))
        anywhere = tuple(f"/{path.strip('/')}/" for path in self.mod.ignores if not path.startswith("./"))
        searched, nested, pending = [], [], [""]
        while pending:
            directory = pending.pop()
            try:
                listing = self.listing(directory)
            except PermissionError:
                # Usually the data of a database beside the code. If a package is needed from there, reading it fails later.
                if not directory:
                    raise
                continue
            if directory and listing.has_go_mod:
                nested.append(directory)
                continue
            searched.append(directory)
            for name in listing.directories:
                if name[0] in "._" or name in UNSEARCHED:
                    continue
                child = f"{directory}/{name}" if directory else name
                if self.mod.ignores:
                    key = f"/{child}/"
                    if key.startswith(anchored) or any(part in key for part in anywhere):
                        continue
                pending.append(child)
        return sorted(searched), sorted(nested)

    def package_name(self, directory: str) -> str:
        """Return the package that builds in a directory, "" if none does: that of its first file, as in go/build."""
        return next((file.package for file in self.files(directory) if not file.excluded), "")

    def other_module(self, directory: str) -> str:
        """Return the nested module that a directory belongs to, "" if it is part of this module."""
        parts = directory.split("/") if directory else []
        ancestors = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return next((ancestor for ancestor in ancestors if self.listing(ancestor).has_go_mod), "")

    def resolve(self, path: str) -> tuple[str, str]:
        """Return what an import path is, and its directory if it is "local", a package of this module.

        "std" is a path whose first element has no dot, unless a module of that name is this one or a dependency
        (https://go.dev/ref/mod#resolve-pkg-mod); "third-party" are the others; "" is what cannot be built or found.
        """
        if path in ("C", "unsafe") or not _IMPORT_PATH.fullmatch(path) or any(part in ("", ".", "..") for part in path.split("/")):
            return "", ""
        inside = path == self.mod.module or path.startswith(self.mod.module + "/")
        if inside:
            directory = path[len(self.mod.module) + 1 :]
            if self.listing(directory).go_files and not self.other_module(directory):
                return "local", directory
        prefix = path
        while prefix:
            if prefix in self.dependencies:
                return "third-party", ""
            prefix = prefix.rpartition("/")[0]
        if inside:
            return "", ""
        return ("third-party" if "." in path.partition("/")[0] else "std"), ""

    def gather(self, packages: Iterable[str], tested: Iterable[str] = ()) -> Gathered:
        """Collect what packages need, through the packages of this module that they import.

        packages: directories to start from.
        tested: directories whose tests count too.
        """
        with_tests = frozenset(tested)
        known = {*packages, *with_tests}
        pending = sorted(known)
        resolved: dict[str, tuple[str, str]] = {}
        cgo_files: list[str] = []
        tagged_files: list[tuple[str, str, str]] = []
        patterns: list[tuple[str, str, str]] = []
        while pending:
            directory = pending.pop()
            for file in self.files(directory, tests=directory in with_tests):
                if file.cgo:
                    cgo_files.append(posixpath.join(directory, file.name))
                if file.excluded:
                    if tags := tags_that_admit(file.excluded, self.context):
                        tagged_files.append((posixpath.join(directory, file.name), file.package, ",".join(tags)))
                    continue
                patterns += [(directory, file.name, pattern) for pattern in dict.fromkeys(file.patterns)]
                for path in file.imports:
                    if path not in resolved:
                        resolved[path] = self.resolve(path)
                        kind, target = resolved[path]
                        if kind == "local" and target not in known:
                            known.add(target)
                            pending.append(target)
        return Gathered(
            packages=frozenset(known),
            std=frozenset(path for path, (kind, _target) in resolved.items() if kind == "std"),
            third_party=frozenset(path for path, (kind, _target) in resolved.items() if kind == "third-party"),
            cgo_files=tuple(sorted(cgo_files)),
            tagged_files=tuple(sorted(tagged_files)),
            patterns=tuple(sorted(patterns)),
        )


def within(directory: str) -> str | None:
    """Return a relative directory cleaned, "" for the root, None if it is absolute or leads out."""
    cleaned = posixpath.normpath(directory.strip() or ".")
    if posixpath.isabs(cleaned) or cleaned.split("/")[0] == "..":
        return None
    return "" if cleaned == "." else cleaned
