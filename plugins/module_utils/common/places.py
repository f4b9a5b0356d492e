"""Paths in the image: those of the service's own files and directories, and where they may be."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

# Directories of the system, in which a service may have no files of its own, except those of `_OWN`.
_SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var/run",
    "/var/tmp",
)
# What a service may have there, with its name.
_OWN = ("/etc/{}", "/usr/share/{}", "/usr/local/share/{}", "/usr/local/etc/{}", "/usr/lib/{}", "/usr/local/lib/{}")
# Secrets as files: common with Docker's own and Kubernetes.
SECRETS = "/run/secrets"
# The file in which Alpine and Debian have the certificates of all authorities, and the one for those that the role adds.
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OWN_CA = "/usr/local/share/ca-certificates/go-service.crt"
# Patterns for names of files that belong to a source or its build, and that an image does not need.
LEFTOVERS = (
    "go.mod",
    "go.sum",
    "go.work",
    "*.go",
    "Dockerfile",
    "Dockerfile.*",
    ".dockerignore",
    ".gitignore",
    "docker-compose*.yml",
    "docker-compose*.yaml",
    "compose.yml",
    "compose.yaml",
    "APKINDEX.*.tar.gz",
)


def absolute(workdir: str, path: str) -> str:
    """Return a path of the image as an absolute one; a relative one begins in the working directory."""
    return posixpath.normpath(posixpath.join(workdir, path))


def below(path: str, directories: Iterable[str]) -> str:
    """Return the first of these directories that a path is, or lies in, "" for none."""
    return next((directory for directory in directories if f"{path}/".startswith(f"{directory.rstrip('/')}/")), "")


def system_place(path: str, name: str) -> str:
    """Return the directory of the system that an absolute path of the image is, lies in, or holds, "" for none; name: of the service."""
    if path == "/":
        return "/"
    if below(path, (own.format(name) for own in _OWN)):
        return ""
    return below(path, _SYSTEM) or next((system for system in _SYSTEM if below(system, [path])), "")
