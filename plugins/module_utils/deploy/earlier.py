"""A rollback returns to an earlier image as it was proven: with the settings with which it was built, whatever the variables say today.

Some of these settings are in the image's own configuration: its port, its health check, its user, its base. Others, for instance its budgets and
waivers, are in the history since the image was proven. Settings of the container and the host are checked anew.

A rollback to the previous image also restores the settings with which its container ran: a version that fails may have come with arguments that the version
before does not know, or with less memory than that version needs. But an image that is asked for by its own tag (a pinned one, for instance) runs as the
variables say today. For every image, today's variables decide the environment and the secret files, whose values are kept nowhere, and what belongs to the
host: its ports, networks and volumes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..common.names import OCI
from ..common.settings import BUDGETS, OF_IMAGE, Settings
from ..engine.records import health_test
from .images import PREVIOUS

# The settings that decide what an image is, or how it is judged.
BUILT_WITH = (*OF_IMAGE, "runtime_image", "budget", "waivers")
# The further settings that decide how its container runs, on whatever host.
RUN_WITH = (
    "args",
    "memory",
    "cpus",
    "pids_limit",
    "read_only",
    "tmpfs",
    "cap_drop",
    "cap_add",
    "start_timeout",
)
_ADDRESS = re.compile(r"https?://(\[[^\]]+\]|[^/:\[\s]+):\d+(/\S*)")


def built_with(settings: Settings) -> dict[str, Any]:
    """Return those settings with which an image was proven that the history keeps."""
    written = settings.as_json()
    return {name: written[name] for name in BUILT_WITH}


def ran_with(settings: Settings) -> dict[str, Any]:
    """Return those settings with which its container ran that the history keeps."""
    written = settings.as_json()
    return {name: written[name] for name in RUN_WITH}


def is_earlier(settings: Settings, image: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Say whether an image that is asked for by its tag was proven before; known: its entry in the history."""
    return bool(settings.image_tag and known.get("proven") and known["id"] == image["Id"])


def as_proven(settings: Settings, image: Mapping[str, Any], known: Mapping[str, Any]) -> Settings:
    """Return the settings with which an image is deployed and judged. An earlier image has its own settings, and no budget stops it: what it needed
    when it was proven, it may need again."""
    if not is_earlier(settings, image, known):
        return settings
    own = {**_configured(image), **known.get("with", {}), **(known.get("ran", {}) if settings.image_tag == PREVIOUS else {})}
    waivers = {**own.get("waivers", {}), **settings.waivers}
    return Settings.from_json({**settings.as_json(), **own, "waivers": waivers, "budget_warn_only": list(BUDGETS)})


def _configured(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are in an image's configuration; for an image of an earlier version of the role, only these are known."""
    config = image.get("Config") or {}
    found: dict[str, Any] = {}
    exposed = [port.partition("/")[0] for port in config.get("ExposedPorts") or {} if port.endswith("/tcp")]
    if len(exposed) == 1:
        found["port"] = int(exposed[0])
    address = _ADDRESS.search(" ".join(health_test(image) or []))
    if address:
        found.update(health_host=address[1], health_path=address[2])
    check = config.get("Healthcheck") or {}
    times = {"health_interval": "Interval", "health_timeout": "Timeout", "health_start_period": "StartPeriod"}
    found.update({name: check[key] / 1_000_000_000 for name, key in times.items() if check.get(key)})
    if check.get("Retries"):
        found["health_retries"] = check["Retries"]
    user = config.get("User") or ""
    if user.isdigit():
        found.update(uid=int(user), numeric_user=True)
    elif user:
        found.update(user=user, uid=None, numeric_user=False)
    base = (config.get("Labels") or {}).get(OCI + "base.name")
    if base:
        found["runtime_image"] = base
    return found
