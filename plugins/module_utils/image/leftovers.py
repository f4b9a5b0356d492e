"""Files of a source that do not belong to a build although no pattern of the role names them: files that git ignores, files that the source's own
.dockerignore names, and files that `go build` and the role itself leave behind.

They are never staged, so both builders see exactly what the digest covers, and the generated .dockerignore does not change. Files that the build needs
stay in: embedded files, Go files of imported packages, and what go_service_files asks for. Files that git tracks stay in too, except those that the
source's own .dockerignore names.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.files import open_beneath, open_source_file, parents, read_rest
from ..common.places import below
from ..common.settings import Settings
from ..common.text import listed
from ..source.gitignore import find_checkout
from .errors import ContextError
from .ignore import IgnoreRules

BY_GIT = "git ignores"
BY_DOCKERIGNORE = "the source's own .dockerignore leaves out"
BY_BUILD = "a build has left behind"
BY_ROLE = "this role has written"
BY_PATTERN = "the patterns of .dockerignore name (go_service_dockerignore lets it in)"
_MODULE_FILES = ("go.mod", "go.sum", "go.work", "go.work.sum")
# The files of a package that the go command reads, besides the embedded ones.
_BUILT = (".go", ".s", ".S", ".h", ".syso")
# Programs of Linux, macOS and Windows.
_PROGRAMS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ\x90\x00")


class Leftovers:
    """What is left out of one source, and why. found: reason -> paths, as far as the source was looked at; thinned: the directories above these paths."""

    def __init__(self, root: Path, settings: Settings, project: Mapping[str, Any]) -> None:
        """Raise ContextError if the source's own .dockerignore cannot be understood."""
        self._root = os.path.realpath(root)
        self._tests = settings.run_tests
        self._user = IgnoreRules(["**", *settings.dockerignore])
        self._own = _own_rules(root)
        self._checkout = find_checkout(root)
        self._module = project.get("module_dir", ".")
        self._packages = project.get("packages")
        self._many = bool(project.get("local_modules"))
        self._embedded = frozenset(project.get("embedded_files", ()))
        self._asked = [asked["src"] for asked in project.get("files", ())]
        self._vendor = posixpath.normpath(posixpath.join(project.get("work_dir") or self._module, "vendor"))
        self._written = [self._relative(path) for path in (settings.report_dir, settings.work_dir)]
        self._reports = settings.name if os.path.realpath(settings.report_dir) == self._root else ""
        self.found: dict[str, set[str]] = {}
        self.thinned: set[str] = set()

    def drops(self, path: str, entry: os.DirEntry) -> bool:
        """Say whether a path of the source is left out, and record why."""
        directory = entry.is_dir(follow_symlinks=False)
        if self._needed(path) or not self._user.ignored(path):
            return False
        reason = self._reason(path, entry, directory)
        if not reason:
            return False
        self.note(reason, path)
        self.thinned.update(parents(path))
        return True

    def note(self, reason: str, path: str) -> None:
        """Record why a path is left out; a path below one that is already recorded is not listed separately."""
        noted = self.found.setdefault(reason, set())
        if not noted.intersection(parents(path)):
            noted.add(path)

    def holds_needed(self, directory: str) -> bool:
        """Say whether something below an excluded directory may be needed."""
        if self._packages is None or self._many:
            return True
        needed = (*self._embedded, *self._asked, *self._packages, self._module, self._vendor)
        return any(below(path, [directory]) for path in needed) or not self._user.prunes(directory)

    def told(self) -> list[str]:
        """Return a sentence for each reason."""
        return [
            f"Left out of the build, since {reason}: {listed(map(self._shown, sorted(paths)))}." for reason, paths in self.found.items()
        ]

    def _shown(self, path: str) -> str:
        """Return an excluded path as text, with a note if something below it is included."""
        needed = (*self._embedded, *self._asked, *(self._packages or ()))
        return f"{path} (but for what the build needs of it)" if any(below(kept, [path]) for kept in needed) else path

    def _relative(self, place: str) -> str:
        """Return a directory of this machine relative to the source; if it is not below the source, the path begins with dots."""
        return os.path.relpath(os.path.realpath(os.path.expanduser(place)), self._root)

    def _needed(self, path: str) -> bool:
        folder, name = posixpath.split(path)
        if path in self._embedded or below(path, self._asked) or name in _MODULE_FILES or below(path, [self._vendor]):
            return True
        if name == "default.pgo" or not name.endswith(_BUILT):
            return name == "default.pgo"
        return self._packages is None or self._many or folder in self._packages

    def _reason(self, path: str, entry: os.DirEntry, directory: bool) -> str:
        if below(path, self._written) or self._is_report(path):
            return BY_ROLE
        if self._own and self._own.ignored(path):
            return BY_DOCKERIGNORE
        if self._checkout and self._checkout.ignores(path, directory):
            return BY_GIT
        if (self._checkout and self._checkout.tracks(path)) or (self._tests and "testdata" in path.split("/")):
            return ""
        temporary = path == "tmp" or path.startswith("tmp/")
        return BY_BUILD if temporary or (not directory and self._is_program(path, entry)) else ""

    def _is_report(self, path: str) -> bool:
        """Say whether a path is a report of the service, if go_service_report_dir is the source itself."""
        parts = path.split("/")
        return (
            bool(self._reports)
            and len(parts) == 2
            and parts[1].startswith(f"{self._reports}.")
            and os.path.isfile(os.path.join(self._root, parts[0], f"{self._reports}.html"))
        )

    def _is_program(self, path: str, entry: os.DirEntry) -> bool:
        if not entry.is_file(follow_symlinks=False):
            return False
        if entry.name.startswith("__debug_bin"):
            return True
        if not (entry.stat(follow_symlinks=False).st_mode & 0o111 or entry.name.endswith(".exe")):
            return False
        try:
            with open_beneath(self._root, path) as stream:
                return stream.read(4).startswith(_PROGRAMS)
        except OSError:
            return False


def _own_rules(root: Path) -> IgnoreRules | None:
    """Return the rules of the .dockerignore file that a source has, None if it has none."""
    path = root / ".dockerignore"
    if not path.is_file():
        return None
    try:
        with open_source_file(root, path) as stream:
            text = read_rest(stream, path).decode("utf-8", "replace")
        return IgnoreRules(text.removeprefix("\ufeff").splitlines())
    except OSError as error:
        raise ContextError(f"{path} cannot be read: {error.strerror or error}", "Make it readable, or remove it.") from error
    except ContextError as error:
        raise ContextError(f"{path}: {error.message}", "Correct it there.") from error
