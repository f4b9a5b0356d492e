"""The service that a source seems to contain: its main package, and what it needs to run."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...module_utils.common.places import LEFTOVERS
from ...module_utils.common.text import count
from ...module_utils.source.constraints import BuildContext
from ...module_utils.source.errors import SourceError
from ...module_utils.source.gofile import read_go_file
from ...module_utils.source.model import GoProject
from ...module_utils.source.packages import list_directory
from ...module_utils.source.project import main_packages, module_directories, read_project
from .clues import FAINT, HEALTH_NAMES, LIKELY, LOOPBACK, POSSIBLE, Clue, Clues, health_rank, read_clues

# If there are more main packages than this, they are only listed, and their code is not examined.
_LOOKED_INTO = 60
# Parts of a path that usually contain other programs than the service.
_ASIDE = re.compile(
    r"(?i)^_?(?:examples?|samples?|demos?|tests?|testing|e2e|integration.*|tools?|hack|scripts?|ci|\.?ci-.*|benchmarks?|docs?|website|tutorials?|gen.*)$"
)
# A package that reads a program's arguments or configuration.
_SETTINGS = re.compile(r"(?i)(?:^|/)(?:config\w*|conf|settings?|env\w*|options?)/[^/]+$")
# How the name of a server ends, beside a command of the same name.
_DAEMONS = ("d", "server")
# Names of directories that say nothing about their contents.
_GENERAL = frozenset({"", "cmd", "server", "main", "app", "api", "web", "service", "src", "backend", "go", "http", "serve"})


@dataclass(frozen=True)
class Candidate:
    """A main package. module_dir, main_package: values for the variables of those names; serves: how certain it is that it serves HTTP, 0 if nothing says
    so; packages: how many packages of the source it needs."""

    module_dir: str
    main_package: str
    module_path: str = ""
    serves: int = 0
    packages: int = 0

    @property
    def directory(self) -> str:
        """Where it lies, relative to the source; "" for its top."""
        directory = posixpath.normpath(posixpath.join(self.module_dir, self.main_package))
        return "" if directory == "." else directory


@dataclass(frozen=True)
class Beside:
    """A file or directory that the program reads beside its binary. src: path in the source; dest: path that the program uses."""

    src: str
    dest: str
    clue: Clue


@dataclass
class Service:
    """What is proposed.

    chosen: None if nothing tells which main package is the service. candidates: all main packages, the most likely first; modules: directories with a go.mod.
    problems: sentences about what will not work as it is. port, health: the guesses, None if nothing was found; others are further finds.
    listens: settings of the service (argument or environment) with which it listens on other addresses than loopback.
    absent: what it reads, but the source does not have.
    """

    root: Path
    name: str
    chosen: Candidate | None
    candidates: list[Candidate]
    modules: list[str]
    problems: list[str] = field(default_factory=list)
    port: Clue | None = None
    other_ports: list[Clue] = field(default_factory=list)
    reads_port: Clue | None = None
    health: Clue | None = None
    other_health: list[Clue] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    absent: list[Clue] = field(default_factory=list)
    wanted_env: list[Clue] = field(default_factory=list)
    wanted_flags: list[Clue] = field(default_factory=list)


Read = Callable[[str], Clues]


def look_at(root: Path, name: str = "") -> Service:
    """Return the service that a source seems to contain; raise SourceError if it has no Go module or no main package.

    root: of the source; name: of the service, "" to take it from the source.
    """
    read = _reader(root)
    modules = module_directories(root)
    candidates = _candidates(root, modules, name or root.resolve().name, read)
    if not candidates:
        # Its message names the most similar one.
        read_project(root, name=name or "service", module_dir=modules[0] if len(modules) == 1 else ".")
        raise SourceError(
            f"there is no main package in {root}, nor in a module below it",
            "Name the directory of a program's source.",
            "go_service_source",
        )
    chosen = candidates[0] if candidates[0].serves or len(candidates) == 1 else None
    service = Service(root, name or _name(chosen or candidates[0], root), chosen, candidates, modules)
    if chosen:
        _look_into(service, chosen, read)
    return service


def _reader(root: Path) -> Read:
    """Return a function that reads the clues of a Go file, each file only once."""
    known: dict[str, Clues] = {}

    def read(file: str) -> Clues:
        if file not in known:
            try:
                known[file] = read_clues(root, file)
            except OSError:
                known[file] = Clues()
        return known[file]

    return read


def _project(root: Path, candidate: Candidate) -> GoProject | None:
    """Return the facts of a main package, None if reading fails: a run reports that better, with a remedy."""
    try:
        return read_project(root, name="service", module_dir=candidate.module_dir, main_package=candidate.main_package)
    except SourceError:
        return None


def _files(project: GoProject, own: str) -> list[str]:
    """Return the Go files of a main package, and then those of the packages of the source that it needs."""
    root, context = os.fspath(project.root), BuildContext()
    directories = ["" if path == "." else path for path in project.packages]
    found = []
    for directory in sorted(directories, key=lambda path: (path != own, path)):
        absolute = os.path.join(root, directory)
        for name in list_directory(absolute, root).go_files:
            if not name.endswith("_test.go") and not read_go_file(absolute, name, context, root).excluded:
                found.append(posixpath.join(directory, name))
    return found


def _candidates(root: Path, modules: Sequence[str], name: str, read: Read) -> list[Candidate]:
    """Return the main packages of all modules, the most likely service first."""
    found = []
    for module_dir in modules:
        try:
            found += [Candidate(module_dir, package) for package in main_packages(root, module_dir)]
        except SourceError:
            continue
    found.sort(key=lambda one: (_aside(one), one.directory.count("/"), one.directory))
    seen = []
    for candidate in found[:_LOOKED_INTO]:
        project = _project(root, candidate)
        serves = max((read(file).serves for file in _files(project, candidate.directory)), default=0) if project else 0
        seen.append(
            replace(candidate, module_path=project.module_path, serves=serves, packages=len(project.packages)) if project else candidate
        )
    seen += found[_LOOKED_INTO:]
    wanted = _as_name(name).replace("-", "")

    # Where x and xd stand side by side, xd is the daemon, and x the command with which people ask it.
    names = [wanted + ending for ending in _DAEMONS] + [wanted]

    def likeliest(one: Candidate) -> tuple[bool | int | str, ...]:
        # A package with the name of the source, and one that uses a large part of the source.
        name = _name(one, root).replace("-", "")
        return (
            _aside(one),
            not one.serves,
            names.index(name) if name in names else len(names),
            one.serves < LIKELY,
            one.directory != "",
            -one.packages,
            one.directory,
        )

    return sorted(seen, key=likeliest)


def _aside(candidate: Candidate) -> bool:
    return any(_ASIDE.match(part) for part in candidate.directory.split("/"))


def _as_name(text: str) -> str:
    """Return a text in the form of a service's name: lower-case letters and digits with hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return name if len(name) > 1 else "service"


def _name(candidate: Candidate, root: Path) -> str:
    """Return the text from which a service gets its name: the directory of its main package, the module, or the source."""
    parts = candidate.directory.split("/")
    module = [part for part in candidate.module_path.split("/") if not re.fullmatch(r"v\d+", part)]
    own = [parts[-1]] if candidate.main_package != "." else []
    for text in (*own, module[-1] if module else "", *reversed(parts), root.resolve().name):
        if text.lower() not in _GENERAL:
            return _as_name(text)
    return _as_name(root.resolve().name)


def _look_into(service: Service, chosen: Candidate, read: Read) -> None:
    """Find out what the chosen main package needs."""
    try:
        project = read_project(service.root, name=service.name, module_dir=chosen.module_dir, main_package=chosen.main_package)
    except SourceError as error:
        service.problems.append(str(error))
        return
    if project.cgo_files:
        service.problems.append(
            f'{project.cgo_files[0]} imports "C" and is left out, since the build switches cgo off. Without this file the program may lack something.'
        )
    service.problems += [
        f"{local.said}, which is outside of the source. Name the directory that holds both, and go_service_module_dir in it."
        for local in project.local_modules
        if local.leaves_root
    ]
    files = _files(project, chosen.directory)
    clues = [read(file) for file in files]
    own = {file for file in files if posixpath.dirname(file) == chosen.directory}

    def best(found: Iterable[Clue]) -> list[Clue]:
        """The most certain first, then those of the main package itself; each value once, in the place of its most certain clue."""
        first: dict[str, Clue] = {}
        for clue in sorted(found, key=lambda clue: (-clue.weight, clue.file not in own)):
            first.setdefault(clue.value, clue)
        return list(first.values())

    ports = best(clue for part in clues for clue in part.ports)
    service.port, others = (ports[0], ports[1:]) if ports else (None, [])
    service.other_ports = [clue for clue in others if clue.file in own]
    service.reads_port = next((clue for part in clues for clue in part.reads_port), None)
    _choose_health(service, best(clue for part in clues for clue in part.handlers))

    def insisted(found: Iterable[Clue]) -> list[Clue]:
        """Without those for which only a library returns an error if they are missing: it may belong to a part that nobody uses."""
        return best(clue for clue in found if clue.weight > POSSIBLE or clue.file in own or _SETTINGS.search(clue.file))

    service.wanted_env = [clue for clue in insisted(clue for part in clues for clue in part.wanted_env) if clue.value != "PORT"]
    service.wanted_flags = insisted(clue for part in clues for clue in part.wanted_flags)
    _find_beside(service, project, clues)


def _choose_health(service: Service, handlers: list[Clue]) -> None:
    """Choose the path of the health check: one with a usual name, else the front page, else the metrics."""
    # A text that is not seen to be given to a handler may be a path of another service.
    named = sorted(
        (clue for clue in handlers if health_rank(clue.value) < len(HEALTH_NAMES)), key=lambda clue: (-clue.weight, health_rank(clue.value))
    )
    fallback = [clue for path in ("/", "/metrics") for clue in handlers if clue.value == path]
    found = [*named, *fallback]
    service.health, service.other_health = (found[0], found[1:]) if found else (None, [])


def _find_beside(service: Service, project: GoProject, clues: Iterable[Clues]) -> None:
    """Find which files of the source the program reads beside its binary, and which files it reads that the source does not have."""
    chosen = service.chosen
    assert chosen
    bases = list(dict.fromkeys((project.module_dir, chosen.directory or ".", ".")))
    embedded = set(project.embedded_files)
    found: dict[str, Beside] = {}
    for part in clues:
        for clue in part.opened:
            places = _matches(service.root, bases, clue.value)
            for src, dest in _without_leftovers(service.root, places):
                if src not in embedded:
                    found.setdefault(dest, Beside(src, dest, clue))
            if (
                not places
                and clue.weight > FAINT
                and not any(char in clue.value for char in "*?")
                and "." in posixpath.basename(clue.value)
            ):
                service.absent.append(clue)
        for clue in part.named:
            for src, dest in _without_leftovers(service.root, _matches(service.root, bases, clue.value)):
                if src not in embedded and (service.root / src).is_file():
                    found.setdefault(dest, Beside(src, dest, clue))
    service.beside = [beside for dest, beside in sorted(found.items()) if not any(above in found for above in _above(dest))]
    service.absent = list({clue.value: clue for clue in service.absent if clue.value not in found}.values())


def _without_leftovers(root: Path, places: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Yield those of (path in the source, path that the program uses) that an image may have: the contract accepts no Go files, go.mod and the like.

    If a directory contains such a file, yield the other files in it instead.
    """
    for src, dest in places:
        absolute = root / src
        if absolute.is_symlink() or _is_leftover(posixpath.basename(src)):
            continue
        if not absolute.is_dir() or not any(_is_leftover(name) for _, _, names in os.walk(absolute) for name in names):
            yield src, dest
            continue
        names = sorted(entry.name for entry in absolute.iterdir())
        yield from _without_leftovers(root, ((f"{src}/{name}", f"{dest}/{name}") for name in names))


def _is_leftover(name: str) -> bool:
    """Say whether a file of this name belongs only to a source or its build."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in LEFTOVERS)


def _above(path: str) -> Iterable[str]:
    while path := posixpath.dirname(path):
        yield path


def _matches(root: Path, bases: Sequence[str], pattern: str) -> list[tuple[str, str]]:
    """Return what a relative path or pattern of a program means in a source, as (path in the source, path that the program uses).

    It is looked for from the directories in which a program is usually started. For a pattern below a directory, it is that directory.
    """
    wanted = posixpath.normpath(pattern)
    parts = wanted.split("/")
    if ".." in parts or wanted == ".":
        return []
    plain = next((number for number, part in enumerate(parts) if any(char in part for char in "*?[")), len(parts))
    for base in bases:
        fixed = "/".join(parts[:plain])
        place = posixpath.normpath(posixpath.join(base, fixed))
        absolute = root / place
        if absolute.is_symlink() or not absolute.exists() or not absolute.resolve().is_relative_to(root.resolve()):
            continue
        if plain == len(parts) or fixed:
            return [(place, fixed)] if place != "." else []
        names = fnmatch.filter((entry.name for entry in absolute.iterdir() if entry.is_file()), parts[0]) if len(parts) == 1 else []
        if names:
            return [(posixpath.normpath(posixpath.join(base, name)), name) for name in sorted(names)]
    return []


def listening_argument(service: Service) -> str:
    """Return the argument with which a service that listens only on loopback listens on all addresses, "" if it needs none or has none."""
    port = service.port
    if not port or port.host not in LOOPBACK or not port.flag:
        return ""
    return f"{'-' if len(port.flag) == 1 else '--'}{port.flag}={port.everywhere}"


def reason_for(service: Service) -> str:
    """Return why the main package was chosen, as the end of a sentence."""
    if len(service.candidates) == 1:
        return "the only main package"
    serving = [one for one in service.candidates if one.serves and not _aside(one)]
    if len(serving) == 1:
        return f"the only one of {count(len(service.candidates), 'main package')} that seems to serve HTTP"
    return f"the most likely of {count(len(service.candidates), 'main package')}, {len(serving)} of which seem to serve HTTP"
