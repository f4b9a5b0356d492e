"""apk's list of what is installed: blocks of ``<letter>:<value>`` lines, one block a package (https://wiki.alpinelinux.org/wiki/Apk_spec)."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

# Owner, group and permission bits of a path, where the database does not say the usual ones; a checksum of extended attributes may follow.
_ACCESS = re.compile(r"([0-9]{1,10}):([0-9]{1,10}):([0-7]{1,5})(?::.*)?")


@dataclass(frozen=True)
class Owned:
    """What the database says of a path. mode: permission bits with setuid, setgid and sticky. checksum: ``Q1`` and the SHA-1, in Base64, of a
    file's content or of a symbolic link's target; "" for a directory, and where none is noted."""

    directory: bool
    uid: int = 0
    gid: int = 0
    mode: int = 0o755
    checksum: str = ""


@dataclass(frozen=True)
class Installed:
    """One package. fields: the first value of each letter, such as V, the version. owned: absolute path -> its entry. block: its text."""

    name: str
    version: str
    fields: dict[str, str]
    owned: dict[str, Owned]
    block: str


def parse(text: str) -> list[Installed]:
    """Return the packages of a database in its order. Lines that are not in apk's format are ignored, and so is a block without name or version."""
    packages = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        owned: dict[str, Owned] = {}
        folder = path = ""
        for line in block.splitlines():
            letter, _colon, value = line.partition(":")
            if letter == "F":
                folder = value
                path = "/" + folder
                owned[path] = Owned(directory=True)
            elif letter == "R":
                path = "/" + posixpath.join(folder, value)
                owned[path] = Owned(directory=False, mode=0o644)
            elif letter in ("a", "M") and path and (access := _ACCESS.fullmatch(value)):
                said = owned[path]
                owned[path] = Owned(said.directory, int(access[1]), int(access[2]), int(access[3], 8), said.checksum)
            elif letter == "Z" and path:
                said = owned[path]
                owned[path] = Owned(said.directory, said.uid, said.gid, said.mode, value)
            else:
                fields.setdefault(letter, value)
        if fields.get("P") and fields.get("V"):
            packages.append(Installed(fields["P"], fields["V"], fields, owned, block))
    return packages


def providers(packages: list[Installed]) -> dict[str, str]:
    """Return which package provides what: its own name, and the entries of its line `p` (commands, libraries, virtual names) -> its name."""
    found: dict[str, str] = {}
    for package in packages:
        for name in (package.name, *(_bare(word) for word in package.fields.get("p", "").split())):
            found.setdefault(name, package.name)
    # A package's own name has priority over another package that provides the same name.
    return {**found, **{package.name: package.name for package in packages}}


def needs(package: Installed) -> list[str]:
    """Return what a package needs: names of packages, or of what they provide, without versions. Conflicts are left out."""
    return [_bare(word) for word in package.fields.get("D", "").split() if not word.startswith("!")]


def closure(packages: list[Installed], world: tuple[str, ...]) -> list[Installed]:
    """Return those packages that a world needs, in the database's order.

    world: names of packages.
    raises LookupError: something is needed that no package provides; its text is the name.
    """
    provided = providers(packages)
    by_name = {package.name: package for package in packages}
    needed: set[str] = set()
    left = [_bare(word) for word in world]
    while left:
        wanted = left.pop()
        if wanted not in provided:
            raise LookupError(wanted)
        name = provided[wanted]
        if name not in needed:
            needed.add(name)
            left += needs(by_name[name])
    return [package for package in packages if package.name in needed]


def _bare(word: str) -> str:
    """Return the name of a dependency without its version."""
    return re.split("[<>=~]", word, maxsplit=1)[0]
