"""Checks of the image's file system."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from ...common import credentials
from ...common.places import CA_BUNDLE, LEFTOVERS, OWN_CA, below
from ...common.text import count, listed
from ..evidence import image_archive
from ..evidence.image_archive import FileEntry
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_binary, needs_layers, passed, skipped, warned
from .belongings import PACKAGE_MANAGER_PATHS, in_base, matches, no_base, package_paths

GROUP = Group("files")
_ACCOUNT_FILES = tuple(f"/etc/{name}{suffix}" for name in ("passwd", "group", "shadow", "gshadow") for suffix in ("", "-"))
# Paths at which a builder mounts its own files into each step, which leaves an empty file or directory behind (BuildKit's RUN does).
_MOUNT_POINTS = (
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/proc",
    "/sys",
)
_CERTIFICATES = (
    "/etc/ssl/certs/",
    "/etc/ssl/cert.pem",
    "/usr/share/ca-certificates/",
    "/etc/ssl1.1/",
    "/etc/pki/tls/certs/",
)
_LEFTOVER_DIRECTORIES = ("/root/.cache", "/root/go", "/go", "/usr/local/go", "/src", "/var/cache/apk", "/var/cache/apt")


@GROUP.check(
    "files-setuid",
    "Setuid files and file capabilities",
    severity="high",
    remedy="Remove the bits in the step that adds the file (`chmod a-s`), or remove the package that contains it.",
    rules=("CIS 4.8", "Dockle CIS-DI-0008"),
)
def files_setuid(evidence: Evidence, _expected: Expected) -> Outcome:
    """No file is setuid or setgid or has file capabilities, except those that the base image already has."""
    found = [entry for entry in evidence.files.values() if _raises_privileges(entry)]
    if evidence.gaps and found:
        return skipped("which of them the base brings is unknown: " + "; ".join(evidence.gaps), listed(e.path for e in found))
    new = [entry for entry in found if not in_base(evidence, entry)]
    limit = "none beyond the base's"
    if new:
        described = [f"{entry.path} ({entry.mode:04o}{', capabilities' if entry.capabilities else ''})" for entry in new]
        return failed(count(len(new), "file"), limit, listed(described))
    return passed(f"none; {len(found)} of the base" if found else "none", limit)


@GROUP.check(
    "files-world-writable",
    "World-writable paths",
    severity="medium",
    remedy="Remove the write permission for others (`chmod o-w`) in the step that adds the file.",
)
def files_world_writable(evidence: Evidence, _expected: Expected) -> Outcome:
    """No file or directory outside /tmp and /var/tmp has the write bit for others."""
    kinds = (image_archive.FILE, image_archive.HARDLINK, image_archive.DIRECTORY)
    found = [
        entry.path
        for entry in evidence.files.values()
        if entry.type in kinds
        and entry.mode & 0o002
        and entry.path not in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")
        and not entry.path.startswith("/tmp/")
    ]
    if found:
        return failed(count(len(found), "path"), "none outside /tmp", listed(found))
    return passed("none", "none outside /tmp")


@GROUP.check(
    "files-secrets",
    "Secrets in the layers",
    severity="critical",
    remedy="Keep the file out of the context (go_service_dockerignore) and hand secrets over at run time, by a "
    "mounted file. If the image "
    "has left this machine, change the secret.",
    rules=("CIS 4.10", "Dockle CIS-DI-0010", "trivy AVD-DS-0031", "OWASP #12"),
)
@needs_layers
def files_secrets(evidence: Evidence, _expected: Expected) -> Outcome:
    """No path in any layer above the base looks like a secret (keys, .env, .git, credentials and the like), not even
    one that a later layer hides again. Certificates of the base and of installed packages do not count."""
    owned = package_paths(evidence)
    found = []
    for entry in evidence.added_entries():
        if in_base(evidence, entry) or entry.path in owned or entry.path.startswith(_CERTIFICATES):
            continue
        folders, name = entry.path.split("/")[1:-1], posixpath.basename(entry.path)
        if any(folder in credentials.DIRECTORIES for folder in folders):
            continue  # its directory is named already
        if name in credentials.DIRECTORIES or (entry.type != image_archive.DIRECTORY and matches(name, credentials.FILES)):
            hidden = "" if entry.path in evidence.files else f" (hidden again after layer {entry.layer + 1}, still in the image)"
            found.append(entry.path + hidden)
    if found:
        return failed(count(len(found), "path"), "none", listed(found))
    return passed("none", "none")


@GROUP.check(
    "files-leftovers",
    "Build leftovers",
    severity="medium",
    remedy="Copy only the binary into the final stage; use `apk add --no-cache`. If go_service_files adds it, name only the files that the service reads, and not "
    "the directory that holds both.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003", "trivy AVD-DS-0025"),
)
@needs_layers
def files_leftovers(evidence: Evidence, _expected: Expected) -> Outcome:
    """No Go sources, module files, Dockerfile, toolchain or cache in any layer above the base."""
    owned = package_paths(evidence)
    found = []
    for entry in evidence.added_entries():
        if in_base(evidence, entry) or entry.path in owned:
            continue
        inside = next((folder for folder in _LEFTOVER_DIRECTORIES if entry.path.startswith(folder + "/")), "")
        if inside:
            found.append(inside)
        elif entry.type != image_archive.DIRECTORY and matches(posixpath.basename(entry.path), LEFTOVERS):
            found.append(entry.path)
    unique = list(dict.fromkeys(found))
    if unique:
        return failed(count(len(unique), "path"), "none", listed(unique))
    return passed("none", "none")


@GROUP.check(
    "files-binary-writable",
    "Write access to the binary",
    severity="medium",
    remedy="Run with go_service_read_only: true, and keep the binary's mode at 0755.",
    rules=("OWASP #8",),
)
@needs_binary
def files_binary_writable(evidence: Evidence, _expected: Expected) -> Outcome:
    """The service's user may not write the binary. If `COPY --chown` makes that user its owner, as the design asks, the read-only
    root file system prevents writing, and the result says so."""
    entry = evidence.executable.entry
    uid, gid = evidence.user_ids
    measured = f"mode {entry.mode:04o}, owner {entry.uid}:{entry.gid}"
    limit = "not writable for the service"
    if entry.mode & 0o002 or (entry.mode & 0o020 and entry.gid == gid):
        return failed(measured, limit, "the service's user may write it by the mode bits")
    if entry.uid != uid or not entry.mode & 0o200:
        return passed(measured, limit)
    owner = "it belongs to the service's user, as the design's COPY --chown asks"
    read_only = evidence.host_config.get("ReadonlyRootfs")
    if evidence.container is not None and not read_only:
        return warned(measured, limit, f"{owner}, and the root file system is writable")
    return passed(measured, limit, f"{owner}; the read-only root file system protects it")


@GROUP.check(
    "files-beside",
    "Files beside the binary",
    severity="high",
    remedy="Correct go_service_files and go_service_directories, and build the image with this role.",
    rules=("OWASP #8",),
)
@needs_layers
def files_beside(evidence: Evidence, expected: Expected) -> Outcome:
    """What go_service_files and go_service_directories ask for is in the image, with the owner and mode that were asked for; the
    service's user cannot write to what belongs to root."""
    uid, gid = evidence.user_ids
    limit = f"{count(len(expected.files), 'path')} and {count(len(expected.directories), 'directory', 'directories')}"
    wrong = []
    for place, owner in expected.files.items():
        inside = [entry for path, entry in evidence.files.items() if below(path, [place]) and not in_base(evidence, entry)]
        if place not in evidence.files:
            wrong.append(f"{place} is missing")
        elif owner == "root":
            wrong += [f"{entry.path} can be written to by the service" for entry in inside if _writable(entry, uid, gid)]
        else:
            wrong += [f"{entry.path} belongs to {entry.uid}" for entry in inside if entry.uid != uid]
        mode = expected.file_modes.get(place)
        others = [entry for entry in inside if entry.type == image_archive.FILE and entry.mode & 0o7777 != mode]
        wrong += [f"{entry.path} has mode {entry.mode & 0o7777:04o}, not {mode:04o}" for entry in others if mode is not None]
    for place in expected.directories:
        found = evidence.files.get(place)
        if found is None or found.type != image_archive.DIRECTORY:
            wrong.append(f"{place} is not a directory of the image")
        elif found.uid != uid:
            wrong.append(f"{place} belongs to {found.uid}, not to the service's user ({uid})")
    if wrong:
        return failed(count(len(wrong), "difference"), limit, listed(wrong))
    return passed(limit, limit)


@GROUP.check(
    "files-differences",
    "Differences from the base",
    severity="medium",
    remedy="Find out which step of the final stage adds or removes it.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003"),
)
@needs_layers
def files_differences(evidence: Evidence, expected: Expected) -> Outcome:
    """Compared with the base, the layers add the binary, the account files, the working directory, what go_service_files and
    go_service_directories ask for, the authorities that go_service_ca_in_image asks for and the files of installed packages, and change or
    remove nothing else."""
    if not evidence.base.matches:
        return skipped(no_base(evidence))
    allowed = (evidence.binary_path, expected.workdir, *expected.directories, *_ACCOUNT_FILES)
    if expected.ca_in_image:
        allowed += (CA_BUNDLE, OWN_CA)
    owned = package_paths(evidence)
    if evidence.added_packages:
        allowed += PACKAGE_MANAGER_PATHS
    parents = {parent for path in (*allowed, *expected.files, *owned) for parent in _parents(path)}
    changed = []
    for path, entry in evidence.files.items():
        new = path not in evidence.base_files
        if in_base(evidence, entry) or path in owned or matches(path, allowed) or (new and below(path, expected.files)):
            continue
        if new and path in _MOUNT_POINTS and not entry.size:
            continue
        if entry.type == image_archive.DIRECTORY and path in parents and new:
            continue
        if evidence.added_packages and entry.type == image_archive.SYMLINK and "busybox" in entry.target:
            continue  # apk's trigger renews BusyBox' links
        changed.append(f"{'+' if new else '~'} {path}")
    changed += [f"- {path}" for path in evidence.base_files if path not in evidence.files and path not in owned]
    if changed:
        return failed(count(len(changed), "difference"), "the binary, the account, packages", listed(sorted(changed)))
    differing = sum(not in_base(evidence, entry) for entry in evidence.files.values() if entry.type != image_archive.DIRECTORY)
    return passed(count(differing, "file"), "the binary, the account, packages")


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent not in ("", "/"):
        yield parent
        parent = posixpath.dirname(parent)


def _writable(entry: FileEntry, uid: int | None, gid: int | None) -> bool:
    """Say whether the mode bits let the service's user write; those of a symbolic link do not count."""
    owner = entry.uid == uid and entry.mode & 0o200
    return entry.type != image_archive.SYMLINK and bool(owner or (entry.gid == gid and entry.mode & 0o020) or entry.mode & 0o002)


def _raises_privileges(entry: FileEntry) -> bool:
    return entry.type in (image_archive.FILE, image_archive.HARDLINK) and bool(entry.mode & 0o6000 or entry.capabilities)
