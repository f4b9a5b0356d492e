"""The Go facts of a source: module, main package, imports, embedded files."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.files import Refused, open_source_file
from .constraints import BuildContext
from .embeds import resolve_embed
from .errors import MAIN, MODULE_DIR, SOURCE, SourceError
from .main_package import MainChoice, shown
from .model import Embed, GoProject, LocalModule
from .modfile import ModFile, read_mod
from .packages import UNSEARCHED, Gathered, Module, argument, list_directory, within
from .versions import version_key

# How much of vendor/modules.txt is read, for its first line.
_FIRST_LINE = 4096


def _upwards(directory: str) -> Iterator[str]:
    """Yield a relative directory and those above it, the root, "", last."""
    yield directory
    while directory:
        directory = posixpath.dirname(directory)
        yield directory


def _with_file(root: str, directories: Iterable[str], name: str) -> str | None:
    """Return the first of the directories below root that contains a file of that name (also if it is not a regular file, as it should be), None if
    none does. As in cmd/go, a directory of that name does not count."""
    paths = {directory: os.path.join(root, directory, name) for directory in directories}
    return next((directory for directory, path in paths.items() if os.path.lexists(path) and not os.path.isdir(path)), None)


def _modules_below(path: str, levels: int, root: str) -> list[str]:
    """Return the directories with a go.mod, one to that many levels below, relative to path, sorted."""
    found = []
    for name in list_directory(path, root).directories:
        if name[0] in "._" or name in UNSEARCHED:
            continue
        child = os.path.join(path, name)
        try:
            if list_directory(child, root).has_go_mod:
                found.append(name)
            if levels > 1:
                found += [posixpath.join(name, item) for item in _modules_below(child, levels - 1, root)]
        except PermissionError:
            continue
    return found


def _module_directory(root: str, module_dir: str) -> str:
    """Return the module's directory relative to root, "" for root itself; raise SourceError if no go.mod is in it."""
    if not os.path.isdir(root):
        raise SourceError(f"there is no directory {root}", f"Set {SOURCE} to the directory of the source.", SOURCE)
    directory = within(module_dir)
    if directory is None:
        raise SourceError(
            f"{MODULE_DIR} is {module_dir!r}, which leads out of the source {root}",
            "Give a directory below the source, relative to it.",
            MODULE_DIR,
        )
    path = os.path.join(root, directory) if directory else root
    # If it is not a regular file, reading it fails later.
    if os.path.lexists(os.path.join(path, "go.mod")):
        return directory
    exists = os.path.isdir(path)
    problem = f"there is no go.mod in {path}" if exists else f"there is no directory {path}"
    below = [posixpath.join(directory, found) for found in _modules_below(path, 2, root)]
    above = _with_file(root, _upwards(directory), "go.mod")
    if below:
        remedy = f"Set {MODULE_DIR} to one of the directories with a go.mod: {shown(below)}."
    elif above is not None:
        remedy = f"Set {MODULE_DIR} to {above or '.'!r}, where a go.mod is"
        remedy += f", and {MAIN} to './{posixpath.relpath(directory, above or '.')}'." if exists else "."
    else:
        remedy = f"Set {SOURCE} and {MODULE_DIR} to the directory of a Go module, or make it one with `go mod init`."
    raise SourceError(problem, remedy, MODULE_DIR if directory or below else SOURCE)


@dataclass(frozen=True)
class _Modules:
    """The go.mod of a module, and the go.work that governs it if there is one: https://go.dev/ref/mod#workspaces.

    directory, work_dir: where they lie, relative to root.
    """

    root: str
    directory: str
    mod: ModFile
    work_dir: str
    work: ModFile | None

    @classmethod
    def read(cls, root: str, directory: str) -> _Modules:
        mod = read_mod(root, directory, "go.mod")
        work_dir = _with_file(root, _upwards(directory), "go.work")
        if work_dir is None:
            return cls(root, directory, mod, "", None)
        return cls(root, directory, mod, work_dir, read_mod(root, work_dir, "go.work"))

    def go_minimum(self) -> str:
        return max(self.mod.go, self.work.go if self.work else "", key=version_key)

    def _local(self, said: str, path: str, directory: str, *, used: bool) -> LocalModule:
        inside = within(directory)
        place = directory if inside is None else inside
        there = inside is not None and _with_file(self.root, [inside], "go.mod") is not None
        if used and there:
            path = read_mod(self.root, place, "go.mod").module
        return LocalModule(said, path, place, used, inside is None, there)

    def _used(self) -> list[LocalModule]:
        """Return the modules of the workspace, this one left out."""
        found = []
        for use in self.work.uses if self.work else ():
            directory = posixpath.normpath(posixpath.join(self.work_dir, use))
            if within(directory) != self.directory:
                found.append(self._local(f"go.work uses {use}", "", directory, used=True))
        return found

    def local_modules(self) -> tuple[LocalModule, ...]:
        """Return the other modules that the build takes from directories; the replaces of a workspace's modules count as well."""
        used = self._used()
        files = [("go.mod", self.mod, self.directory)]
        if self.work:
            files.append(("go.work", self.work, self.work_dir))
            others = [module.directory for module in used if module.has_go_mod]
            files += [(posixpath.join(directory, "go.mod"), read_mod(self.root, directory, "go.mod"), directory) for directory in others]
        replaced = [
            self._local(f"{name} replaces {path} by {target}", path, posixpath.normpath(posixpath.join(directory, target)), used=False)
            for name, file, directory in files
            for path, target in file.replaces
            if target
        ]
        return (*replaced, *used)

    def sibling(self, module: LocalModule, dependencies: set[str], context: BuildContext) -> Module:
        """Return the tree of a local module; dependencies: those of this one."""
        mod = replace(read_mod(self.root, module.directory, "go.mod"), module=module.path)
        path = os.path.join(self.root, module.directory) if module.directory else self.root
        return Module(self.root, path, mod, {*dependencies, *mod.requires, self.mod.module} - {module.path}, context)

    def mods_of(self, modules: Iterable[LocalModule]) -> list[ModFile]:
        """Return the go.mod of this module, and those of local ones that have one."""
        return [self.mod, *(read_mod(self.root, module.directory, "go.mod") for module in modules if module.has_go_mod)]

    def dependencies(self, modules: Iterable[LocalModule]) -> set[str]:
        """Return the paths of the modules from which packages may come, besides this one and the standard library."""
        replaced = [path for file in (self.mod, self.work) if file for path, _target in file.replaces]
        return {*self.mod.requires, *replaced, *(module.path for module in modules if module.path)}

    def vendor_directory(self) -> str:
        """Return the vendor directory that cmd/go uses by itself, "" if none: https://go.dev/ref/mod#vendoring.

        It lies beside the governing file, whose go line must be there and at least 1.14. A vendor/modules.txt with
        "## workspace" on its first line was made for a workspace, and is used only in one.
        """
        governing, directory = (self.work, self.work_dir) if self.work else (self.mod, self.directory)
        vendor = os.path.join(self.root, directory, "vendor")
        if version_key(governing.go) < version_key("1.14"):
            return ""
        try:
            with open_source_file(self.root, os.path.join(vendor, "modules.txt")) as file:
                first = file.read(_FIRST_LINE).partition(b"\n")[0].decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        notes = [note.strip() for note in first[3:].split(";")] if first.startswith("## ") else []
        return vendor if ("workspace" in notes) == bool(self.work) else ""


@dataclass(frozen=True)
class _Sources:
    """Which packages the source has. modules: path -> tree, of those in the source; paths: of all modules that packages may come from."""

    modules: Mapping[str, Module]
    paths: frozenset[str]

    def owner(self, package: str) -> tuple[Module | None, str]:
        """Return the module of the source that a package is in, None if none is, and its directory in it."""
        path = max((path for path in self.paths if package == path or package.startswith(path + "/")), key=len, default="")
        return self.modules.get(path), package[len(path) + 1 :]


def _gather(main: Module, package: str, tested: Iterable[str], sources: _Sources) -> list[tuple[Module, Gathered]]:
    """Collect what the main package needs, through the modules of the source that its packages come from."""
    wanted: dict[Module, set[str]] = {main: {package}}
    found: dict[Module, Gathered] = {}
    pending = [main]
    while pending:
        module = pending.pop()
        found[module] = module.gather(sorted(wanted[module]), tested if module is main else ())
        for path in found[module].third_party:
            owner, directory = sources.owner(path)
            if owner and directory not in wanted.setdefault(owner, set()):
                wanted[owner].add(directory)
                pending.append(owner)
    return list(found.items())


def _directories(root: str, module: Module, found: Gathered) -> Iterator[str]:
    """Yield the directories of packages of a module, relative to the root of the source."""
    for package in found.packages:
        yield posixpath.normpath(posixpath.join(os.path.relpath(module.path, root), package))


def _embeds(root: str, module: Module, found: Gathered) -> Iterator[Embed]:
    """Yield what packages of a module embed, relative to the root of the source."""
    for package, file, pattern in found.patterns:
        directory = posixpath.normpath(posixpath.join(os.path.relpath(module.path, root), package))
        files = (posixpath.normpath(posixpath.join(directory, path)) for path in resolve_embed(module.absolute(package), pattern))
        yield Embed(posixpath.normpath(posixpath.join(directory, file)), pattern, tuple(files))


def module_directories(root: Path, levels: int = 4) -> list[str]:
    """Return the directories with a go.mod in a source, relative to root and sorted, "." for root itself; raise SourceError.

    levels: how deep below root they are looked for. testdata, vendor, node_modules and hidden directories are passed over.
    """
    with _reading():
        base = os.fspath(root)
        own = ["."] if os.path.lexists(os.path.join(base, "go.mod")) else []
        return own + sorted(_modules_below(base, levels, base))


def main_packages(root: Path, module_dir: str = ".", build_tags: Sequence[str] = ()) -> list[str]:
    """Return the main packages of a module as `go_service_main_package` takes them ("." or "./cmd/x"), sorted; raise SourceError.

    A package that is not a package main for linux/amd64 without cgo is left out, as in the build.
    """
    with _reading():
        base = os.fspath(root)
        directory = _module_directory(base, module_dir)
        modules = _Modules.read(base, directory)
        path = os.path.join(base, directory) if directory else base
        module = Module(base, path, modules.mod, modules.mod.requires, BuildContext(build_tags=frozenset(build_tags)))
        return [argument(candidate) for candidate in MainChoice(module, "linux/amd64").candidates]


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn an error of the file system into a SourceError."""
    try:
        yield
    except Refused as error:
        raise SourceError(
            f"{error.filename} is not read: {error.strerror}",
            "Put a regular file in its place, within the source.",
            SOURCE,
        ) from error
    except RecursionError as error:
        raise SourceError("the directories of the source are nested too deeply", "Reduce the depth of its directories.", SOURCE) from error
    except OSError as error:
        raise SourceError(
            f"cannot read {error.filename}: {error.strerror}",
            "Make the source readable for the user who runs the play.",
            SOURCE,
        ) from error


def read_project(
    root: Path,
    *,
    name: str,
    main_package: str = "",
    module_dir: str = ".",
    build_tags: Sequence[str] = (),
    goos: str = "linux",
    goarch: str = "amd64",
    go_version: tuple[int, ...] | None = None,
    with_tests: bool = False,
) -> GoProject:
    """Read a Go module and choose its main package.

    root: the root of the source.
    name: the service; ./cmd/<name> is preferred where the module's root is no main package.
    main_package: the main package as cmd/x, ./cmd/x, "." or its import path; "" to find it.
    module_dir: the directory of go.mod relative to root.
    build_tags: as given to `go build -tags`.
    goos, goarch: what is built for, as Go spells them.
    go_version: the builder's Go, (1, 27) or (1, 27, 3), for constraints like go1.27; None: newer than all.
    with_tests: also take in what `go test ./...` needs: every package of the module, with its tests. cgo_files stay
        those of the main package.

    Raises SourceError, naming the variable and the remedy: no go.mod, an invalid one, no Go files, a main package that
    is missing, ambiguous, not main, or left out by build constraints, a file that cannot be read.
    """
    with _reading():
        base = os.fspath(root)
        directory = _module_directory(base, module_dir)
        modules = _Modules.read(base, directory)
        vendor = modules.vendor_directory()
        local = modules.local_modules()
        context = BuildContext(goos, goarch, frozenset(build_tags), go_version)
        dependencies = modules.dependencies(local)
        module = Module(base, os.path.join(base, directory) if directory else base, modules.mod, dependencies, context)
        # Vendored packages come from vendor/, except those of a workspace's modules.
        read = [other for other in local if other.has_go_mod and (other.used or not vendor)]
        others = {other.path: modules.sibling(other, dependencies, context) for other in read}
        sources = _Sources({**others, modules.mod.module: module}, frozenset({*dependencies, modules.mod.module}))
        choice = MainChoice(module, f"{goos}/{goarch}")
        main = choice.choose(name, main_package)
        own = module.gather([main])
        gathered = _gather(module, main, choice.searched if with_tests else (), sources)
        third_party = sorted({path for _module, found in gathered for path in found.third_party if not sources.owner(path)[0]})
        if vendor:
            third_party = [path for path in third_party if list_directory(os.path.join(vendor, path), base).go_files]
        embeds = sorted(
            (embed for module, found in gathered for embed in _embeds(base, module, found)), key=lambda embed: (embed.file, embed.pattern)
        )
        requires = {path for mod in modules.mods_of(local) for path in mod.requires}
    return GoProject(
        root=Path(root),
        module_dir=directory or ".",
        module_path=modules.mod.module,
        go_directive=modules.mod.go,
        go_minimum=modules.go_minimum(),
        main_package=argument(main),
        vendored=bool(vendor),
        work_dir=(modules.work_dir or ".") if modules.work else None,
        has_requirements=bool(requires - {modules.mod.module, *(other.path for other in local)}),
        local_modules=local,
        packages=tuple(sorted({path for module, found in gathered for path in _directories(base, module, found)})),
        std_imports=tuple(sorted({path for _module, found in gathered for path in found.std})),
        third_party_imports=tuple(third_party),
        cgo_files=tuple(posixpath.join(directory, file) for file in own.cgo_files),
        tagged_files=tuple((posixpath.join(directory, file), package, tags) for file, package, tags in own.tagged_files),
        embeds=tuple(embeds),
    )
