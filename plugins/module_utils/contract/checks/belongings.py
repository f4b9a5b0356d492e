"""Which paths of an image belong to its base, to a package, or to the service."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from ..evidence.databases import APK_DATABASES
from ..evidence.image_archive import FileEntry
from ..evidence.model import Evidence

# What the package manager changes besides the packages' own files.
PACKAGE_MANAGER_PATHS = (
    "/etc/apk/*",
    "/lib/apk/*",
    "/usr/lib/apk/*",
    "/var/cache/misc/*",
    "/etc/ssl/certs/*",
    "/var/log/apk.log",
    *APK_DATABASES,
)


def no_base(evidence: Evidence) -> str:
    if not evidence.base.found:
        return f"the base image {evidence.base.reference} is not on this host"
    return f"the image is not built on {evidence.base.reference}"


def matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def package_paths(evidence: Evidence) -> frozenset[str]:
    return frozenset().union(*(package.files for package in evidence.added_packages))


def in_base(evidence: Evidence, entry: FileEntry) -> bool:
    base = evidence.base_files.get(entry.path)
    return base is not None and base.same_as(entry)


def is_binary(evidence: Evidence, entry: FileEntry) -> bool:
    binary = evidence.binary
    return binary is not None and (entry.path, entry.layer) == (binary.entry.path, binary.entry.layer)
