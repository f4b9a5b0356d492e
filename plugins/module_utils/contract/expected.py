"""What the role was asked for, in the form that the checks compare with: typed, in bytes and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.names import LABEL_NAME, OCI
from ..common.settings import Endpoint, Publication, Settings


@dataclass(frozen=True)
class Expected:
    """What was asked for, and what was measured while it was made.

    service: name. user: account name; uid: its number, None when any will do; numeric_user: USER must be a number.
    port: in the container. publish: on the host, None for none. candidate: the container is one on
    trial, which has neither host port nor restart policy by design. health_test: the words of the health check's
    command. Times of the health check in seconds; memory in bytes. labels: image labels that must be there with exactly
    these values; source_date: RFC 3339, "" when unknown. base_name: the wanted base image, as the user wrote it (not
    the stand-in's name). packages: what was asked to be installed. publish_more: what is published beside; networks: all of them; stop_signal: "" for the base's; secret_files: their names. workdir: the working directory; directories: those of the service's
    user; files: what is in the image beside the binary, each with its owner; file_modes: the modes of those that have one; all of them absolute. ca_in_image: the image trusts more authorities than its base. budgets: limits by name, None for no limit;
    warn_only: those whose overrun is a warning. Megabytes are millions of bytes, as `docker images` counts. start_seconds: from start to first passing
    health check, None when not measured. build_seconds: None when
    nothing was built; build_cached: whether the builder used layers it had.
    """

    service: str
    port: int
    health_test: tuple[str, ...]
    user: str = "app"
    uid: int | None = None
    numeric_user: bool = False
    publish: Endpoint | None = None
    candidate: bool = False
    health_interval: float = 30.0
    health_timeout: float = 3.0
    health_start_period: float = 5.0
    health_retries: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)
    source_date: str = ""
    base_name: str = ""
    packages: tuple[str, ...] = ()
    workdir: str = "/srv"
    publish_more: tuple[Publication, ...] = ()
    networks: tuple[str, ...] = ("bridge",)
    stop_signal: str = ""
    secret_files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    file_modes: Mapping[str, int] = field(default_factory=dict)
    ca_in_image: bool = False
    cap_add: tuple[str, ...] = ()
    pids_limit: int = 128
    memory: int = 256 << 20
    cpus: float = 1.0
    restart_policy: str = "unless-stopped"
    budgets: Mapping[str, float | None] = field(default_factory=dict)
    warn_only: tuple[str, ...] = ()
    start_seconds: float | None = None
    build_seconds: float | None = None
    build_cached: bool = False

    def budget(self, name: str) -> float | None:
        """The limit of that name, None for no limit."""
        return self.budgets.get(name)

    @classmethod
    def from_settings(cls, settings: Settings, **measured: Any) -> Expected:
        """Make it from the role's checked settings.

        :param settings: of the role's variables.
        :param measured: any field that the settings do not hold: candidate, source_date, start_seconds,
            build_seconds, build_cached; or one that differs from them.
        """
        fields: dict[str, Any] = {
            "service": settings.name,
            "port": settings.port,
            "health_test": settings.health_test,
            "user": settings.user,
            "uid": settings.uid,
            "numeric_user": settings.numeric_user,
            "publish": settings.publish,
            "health_interval": settings.health_interval,
            "health_timeout": settings.health_timeout,
            "health_start_period": settings.health_start_period,
            "health_retries": settings.health_retries,
            "labels": _labels(settings),
            "base_name": settings.runtime_image,
            "packages": settings.packages,
            "workdir": settings.workdir,
            "publish_more": settings.publish_more,
            "networks": (settings.network, *settings.networks),
            "stop_signal": settings.stop_signal,
            "secret_files": tuple(settings.secret_files),
            "directories": tuple(map(settings.in_image, settings.directories)),
            "files": {settings.in_image(asked.dest): asked.owner for asked in settings.files},
            "file_modes": {settings.in_image(asked.dest): int(asked.mode, 8) for asked in settings.files if asked.mode},
            "ca_in_image": settings.ca_in_image,
            "cap_add": settings.cap_add,
            "pids_limit": settings.pids_limit,
            "memory": settings.memory,
            "cpus": settings.cpus,
            "restart_policy": settings.restart_policy,
            "budgets": vars(settings.budget),
            "warn_only": settings.budget_warn_only,
        }
        return cls(**{**fields, **measured})


def _labels(settings: Settings) -> dict[str, str]:
    """The labels that the settings alone decide. An image that is returned to was built for the version it had then."""
    labels = {LABEL_NAME: settings.name, OCI + "title": settings.name}
    if not settings.image_tag:
        labels.update(settings.image_labels)
        if settings.version:
            labels[OCI + "version"] = settings.version
    return labels
