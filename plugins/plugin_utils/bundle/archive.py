"""A bundle: one archive with everything that machines without any network need; its checksums are verified before any of it is used.

It is a tar archive. First comes SHA256SUMS, in the form of sha256sum(1), with a line for each file that follows; then, if a key was given, its signature;
then bundle.json, which says what the bundle contains and for which machines it is; then the files. It is not compressed: the large files already are.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...module_utils.common.failure import Problem
from ...module_utils.common.stages import TRANSFER
from ...module_utils.common.text import visible

SUMS, SIGNATURE, CONTENTS = "SHA256SUMS", "SHA256SUMS.sig", "bundle.json"
FORMAT = 1
_CHUNK = 1 << 20
_LARGEST_DOCUMENT = 8 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
# What bundle.json has to say -> of which kind; all names in it are text.
_KINDS: dict[str, type] = {"machine": str, "releases": list, "base_images": list, "services": dict, "modules": dict}
_CALLED: dict[type, str] = {str: "text", list: "list of names", dict: "mapping of names"}
_UNPACKING = ".unpacking-"
_AGAIN = "Copy it here once more, and compare its checksum with the one that `make bundle` printed; if it is still damaged, write it anew."


class BundleError(Problem):
    """A bundle cannot be used. No part of it was used, and no host was contacted."""

    stage = TRANSFER
    remedy = _AGAIN


@dataclass(frozen=True)
class Bundle:
    """A bundle whose checksums are right. directory: where it is unpacked; fresh: whether it was unpacked just now; signed: whether its signature was
    verified; contents: what bundle.json says.
    """

    directory: Path
    fresh: bool
    signed: bool
    contents: dict[str, Any]


def files_of(tree: Path) -> Iterator[str]:
    """Yield the paths of all files below a directory, sorted, with their names in a bundle."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(tree).as_posix()


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    archive.addfile(info, content)


def write(tree: Path, target: Path, contents: dict[str, Any], sign: Callable[[bytes], bytes] | None) -> str:
    """Write the files of a directory as a bundle, completely or not at all, and return its sha256.

    contents: what bundle.json says in addition to the format; sign: returns the signature of SHA256SUMS, None if there is no key.
    """
    document = json.dumps({"format": FORMAT, **contents}, indent=2, sort_keys=True).encode()
    names = [CONTENTS]
    sums = {CONTENTS: hashlib.sha256(document).hexdigest()}
    for name in files_of(tree):
        names.append(name)
        sums[name] = _sum(tree / name)
    listed = "".join(f"{sums[name]}  {name}\n" for name in names).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w") as archive:
            _add(archive, SUMS, len(listed), io.BytesIO(listed))
            if sign:
                signature = sign(listed)
                _add(archive, SIGNATURE, len(signature), io.BytesIO(signature))
            _add(archive, CONTENTS, len(document), io.BytesIO(document))
            for name in names[1:]:
                with (tree / name).open("rb") as file:
                    _add(archive, name, (tree / name).stat().st_size, file)
        whole = _sum(Path(temporary))
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return whole


def open_bundle(path: Path, cache: Path, verify: Callable[[bytes, bytes | None], bool]) -> Bundle:
    """Verify a bundle's checksums and unpack it, unless it is unpacked with these checksums already; raise BundleError if it is not as it was written.

    cache: the directory below which it is unpacked, under its checksum; verify: takes SHA256SUMS and its signature (None if there is none), raises
    BundleError if these cannot be trusted, and returns whether a signature was verified.
    """
    try:
        with _archive(path) as archive:
            return _open(archive, path, cache, verify)
    except OSError as error:
        raise BundleError(
            f"the bundle {path} cannot be unpacked in {cache} on the controller: {error.strerror or error}",
            f"{_remedy(error, cache)}, or choose another directory of the controller (bundle_cache_dir), then run again.",
        ) from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        # Python's own errors are of headers with numbers that are none.
        raise BundleError(f"the file {path} is damaged, truncated, or not a bundle: {visible(str(error))}") from error


def _remedy(error: OSError, cache: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Free space there: df {cache} shows how much is left, and directories of other bundles in it may be removed"
    return "Make it a directory in which the user of this play may write"


def _archive(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except FileNotFoundError as error:
        raise BundleError(f"there is no bundle {path} on the controller", "Correct bundle_archive, or write it: make bundle.") from error
    except IsADirectoryError as error:
        raise BundleError(
            f"{path} is a directory on the controller, and no bundle", "Name the file that `make bundle` wrote in it (bundle_archive)."
        ) from error
    except OSError as error:
        raise BundleError(
            f"the bundle {path} cannot be read on the controller: {error.strerror or error}",
            "Give the user of this play the right to read it, or correct bundle_archive.",
        ) from error


def _document(archive: tarfile.TarFile, member: tarfile.TarInfo | None, path: Path, name: str) -> bytes:
    """Return the content of the member that must come next."""
    if member is None or member.name != name or not member.isreg() or member.size > _LARGEST_DOCUMENT:
        raise BundleError(
            f"{path} is not a bundle: it does not begin with {SUMS} and {CONTENTS}",
            "Name a file that `make bundle` wrote (bundle_archive).",
        )
    content = archive.extractfile(member)
    return content.read() if content else b""


def _listed(sums: bytes, path: Path) -> dict[str, str]:
    """Return name -> checksum of the files that a bundle lists."""
    found: dict[str, str] = {}
    for line in sums.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if not match or match[2] in found or not _stays(match[2]):
            raise BundleError(f"the bundle {path} is damaged or forged: {SUMS} has the line {line[:200]!r}")
        found[match[2]] = match[1]
    return found


def _stays(name: str) -> bool:
    """Say whether a name, joined to a directory, stays in it."""
    return name == os.path.normpath(name) and not name.startswith(("/", "../")) and name not in ("", ".", "..") and "\0" not in name


def _open(archive: tarfile.TarFile, path: Path, cache: Path, verify: Callable[[bytes, bytes | None], bool]) -> Bundle:
    sums = _document(archive, archive.next(), path, SUMS)
    member = archive.next()
    signature = None
    if member is not None and member.name == SIGNATURE:
        signature = _document(archive, member, path, SIGNATURE)
        member = archive.next()
    expected = _listed(sums, path)
    signed = verify(sums, signature)
    directory = cache / hashlib.sha256(sums).hexdigest()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Files there may have changed since they were unpacked, and the signature vouches for what hosts get.
    there = _is_unpacked(directory, expected)
    unpacked = None if there else Path(tempfile.mkdtemp(dir=cache, prefix=_UNPACKING))
    try:
        contents = _held(archive, member, path, expected, unpacked)
        if unpacked:
            with _alone(cache):
                # Another run may have unpacked it meanwhile.
                if not _is_unpacked(directory, expected):
                    _put(unpacked, directory)
    finally:
        if unpacked:
            shutil.rmtree(unpacked, ignore_errors=True)
    return Bundle(directory, not there, signed, contents)


def _is_unpacked(directory: Path, expected: dict[str, str]) -> bool:
    """Say whether a directory holds all files of a bundle, each with its checksum, and nothing else."""
    try:
        found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()}
        return found.keys() == expected.keys() and all(
            path.is_file() and not path.is_symlink() and _sum(path) == expected[name] for name, path in found.items()
        )
    except OSError:
        return False


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold a directory among all runs of the controller."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put(unpacked: Path, directory: Path) -> None:
    """Move a bundle's files to their place, and what is there out of the way."""
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=_UNPACKING, ignore_cleanup_errors=True) as aside:
        if os.path.lexists(directory):
            directory.rename(Path(aside, "old"))
        unpacked.rename(directory)


def _held(
    archive: tarfile.TarFile, member: tarfile.TarInfo | None, path: Path, expected: dict[str, str], unpacked: Path | None
) -> dict[str, Any]:
    """Verify the checksum of every file, and write the files below `unpacked`; return what bundle.json says."""
    missing = dict(expected)
    contents: dict[str, Any] = {}
    if member is None or member.name != CONTENTS or CONTENTS not in expected:
        _document(archive, member, path, CONTENTS)
    while member is not None:
        if not _stays(member.name) or not member.isreg():
            raise BundleError(
                f"the bundle {path} is forged: {member.name!r} is not a file inside of it", "Do not use it, and write it anew."
            )
        wanted = missing.pop(member.name, None)
        if wanted is None:
            raise BundleError(f"the bundle {path} is damaged or forged: {SUMS} does not name {member.name!r}, or it is there twice")
        found = _copied(archive, member, unpacked)
        if found != wanted:
            raise BundleError(f"the bundle {path} is damaged: {member.name} has the checksum {found[:12]} instead of {wanted[:12]}")
        if member.name == CONTENTS:
            contents = _understood(_document(archive, member, path, CONTENTS), path, expected)
        member = archive.next()
    if missing:
        lacks = ", ".join(list(missing)[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise BundleError(f"the bundle {path} is truncated or damaged: it ends without {lacks}")
    return contents


def _understood(document: bytes, path: Path, listed: Collection[str]) -> dict[str, Any]:
    """Return what bundle.json says, with the names of those files that the bundle has; listed: the names of its files."""
    try:
        contents = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise _odd(path, f"is no JSON: {visible(str(error))[:200]}") from error
    if not isinstance(contents, dict):
        raise _odd(path, "is no JSON object")
    if contents.get("format") != FORMAT:
        raise BundleError(
            f"the bundle {path} has the format {visible(str(contents.get('format')))[:40]}, but this version of the project reads {FORMAT}",
            "Use the version of the project that is in the bundle (project/), or write the bundle anew.",
        )
    for key, kind in _KINDS.items():
        told = contents.get(key)
        names: Any = [told] if kind is str else told
        if not isinstance(told, kind) or not all(isinstance(name, str) and name.isprintable() for name in names):
            raise _odd(path, f"has no {key}, or one that is not a {_CALLED[kind]}")
    files = [f"packages/{release}.tar" for release in contents["releases"]]
    files += [f"services/{name}.json" for name in contents["services"]]
    files += contents["modules"].values()
    for name in files:
        if not isinstance(name, str) or name not in listed:
            raise _odd(path, f"names {ascii(name)[:200]}, which is no file of the bundle")
    return dict(contents)


def _odd(path: Path, why: str) -> BundleError:
    return BundleError(f"the bundle {path} is damaged or forged: its {CONTENTS} {why}", "Do not use it, and write it anew: make bundle.")


def _copied(archive: tarfile.TarFile, member: tarfile.TarInfo, unpacked: Path | None) -> str:
    """Return the sha256 of a member's content, as far as it is there, and write the content to the file."""
    digest = hashlib.sha256()
    content = archive.extractfile(member)
    with contextlib.ExitStack() as stack:
        out = None
        if unpacked:
            target = unpacked / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            out = stack.enter_context(target.open("xb"))
        for block in iter(lambda: content.read(_CHUNK) if content else b"", b""):
            digest.update(block)
            if out:
                out.write(block)
    return digest.hexdigest()
