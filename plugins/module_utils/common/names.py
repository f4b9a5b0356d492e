"""The names of the things that the role makes: labels, kinds, containers, directories."""

from __future__ import annotations

import os
from pathlib import Path

from .settings import Settings

# The beginning of the names of all labels of the role.
LABELS = "go-service."
LABEL_NAME = "go-service.name"
LABEL_KIND = "go-service.kind"
LABEL_CONFIG = "go-service.config"
LABEL_DIGEST = "go-service.digest"
LABEL_STAND_IN = "go-service.stand-in"
# Of an image that was built on a host of another platform: its own.
LABEL_PLATFORM = "go-service.platform"
LABEL_LOCK = "go-service.lock"
LABEL_HOLDER = "go-service.holder"
LABEL_HISTORY = "go-service.history"
LABEL_IMAGES = "go-service.images"
LABEL_PROVEN = "go-service.proven"
LABEL_REPORT = "go-service.report"
LABEL_RETURNING = "go-service.returning"
LABEL_STAGE = "go-service.stage"
LABEL_WRITTEN = "go-service.written"
LABEL_SECRETS = "go-service.secrets"
# Standard labels: https://github.com/opencontainers/image-spec/blob/main/annotations.md
OCI = "org.opencontainers.image."
# Those of the latter that the role sets.
OWN_LABELS = tuple(OCI + name for name in ("title", "version", "revision", "created", "source", "base.name", "base.digest"))

# How many digits of an image's content digest are its tag.
TAG_LENGTH = 12

# The directory, at the root of the file system, with what has changed since the last build, for a build that goes on from it; and how such a build begins the
# step that compiles the service, the rest of which is that of the ordinary Dockerfile.
CHANGES = "changes"
APPLYING = f"sh /{CHANGES}/apply && "

KIND_IMAGE, KIND_BUILDER, KIND_SERVICE, KIND_CANDIDATE = "image", "builder", "service", "candidate"


def containers_command(name: str) -> str:
    """Return the command that shows a person all containers of a service."""
    return f"docker ps -a --filter label={LABEL_NAME}={name}"


def candidate_name(name: str) -> str:
    """Name of the container that is proven before anything moves."""
    return f"{name}-candidate"


def next_name(name: str) -> str:
    """Name of the new container until it takes the service's name."""
    return f"{name}-next"


def set_aside_name(name: str) -> str:
    """Name of the old container while the new one proves itself."""
    return f"{name}-set-aside"


def failed_name(name: str) -> str:
    """Name of a new container that failed in the service's place, until the old one is back."""
    return f"{name}-failed"


def secrets_volume_name(name: str, version: str) -> str:
    """Name of the volume that holds the secret files of a service; version: of these, and of the image that reads them."""
    return f"{name}-secrets-{version}"


def secrets_volume(name: str, volume: str) -> bool:
    """Say whether a volume has the name of one for the secret files of a service."""
    return volume.startswith(secrets_volume_name(name, ""))


def modules_name(name: str) -> str:
    """Name of the container that reads the modules' licenses in the build stage."""
    return f"{name}-modules"


def temporary_names(name: str) -> tuple[str, ...]:
    return candidate_name(name), next_name(name), set_aside_name(name), failed_name(name), modules_name(name)


def service_directory(settings: Settings) -> Path:
    """Return the directory of the service on this host: <go_service_work_dir>/<go_service_name>, absolute."""
    return Path(os.path.expanduser(settings.work_dir)).absolute() / settings.name


def caches_name(name: str = "") -> str:
    """Name of the caches that BuildKit mounts into the builds of one service, or of all that share them."""
    return f"go-service-{name}" if name else "go-service"


def caches_directory(name: str = "") -> str:
    """Return where they are in a build; it ends in a slash."""
    return f"/var/cache/{caches_name(name)}/"
