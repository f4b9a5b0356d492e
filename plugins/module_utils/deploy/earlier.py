"""An earlier image is returned to as it was proven: by what it was built with, whatever the variables say today.

What it was built with is in the image's own configuration: its port, its health check, its user, its base. What was asked of it beside that,
its budgets and waivers for instance, is in the history since it was proven. What holds for the container and the host is checked anew.

A way back to the previous image also brings back how its container ran: a version that fails may have come with arguments that the one before it does not
know, or with less memory than that needs. An image that is asked for by its own tag, as one that is pinned, runs as the variables say today; so
do, of any image, environment and secret files, whose values nothing keeps, and what is the host's: its ports, networks and volumes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..common.names import OCI
from ..common.settings import BUDGETS, Settings
from ..engine.records import health_test
from .images import PREVIOUS

# The settings that decide what an image is, or what it is held to.
BUILT_WITH = (
    "port",
    "publish_more",
    "health_scheme",
    "health_host",
    "health_path",
    "health_headers",
    "health_command",
    "health_interval",
    "health_timeout",
    "health_start_period",
    "health_retries",
    "user",
    "uid",
    "numeric_user",
    "packages",
    "workdir",
    "files",
    "directories",
    "image_labels",
    "stop_signal",
    "runtime_image",
    "budget",
    "waivers",
)
# The settings that decide how its container runs beside that, whatever host it is on.
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
    """Return what the history keeps of the settings that an image was proven with."""
    written = settings.as_json()
    return {name: written[name] for name in BUILT_WITH}


def ran_with(settings: Settings) -> dict[str, Any]:
    """Return what the history keeps of the settings that its container ran with."""
    written = settings.as_json()
    return {name: written[name] for name in RUN_WITH}


def is_earlier(settings: Settings, image: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Say whether an image that is asked for by its tag was proven before; known: what the history has of it."""
    return bool(settings.image_tag and known.get("proven") and known["id"] == image["Id"])


def as_proven(settings: Settings, image: Mapping[str, Any], known: Mapping[str, Any]) -> Settings:
    """Return the settings that an image is deployed and judged by. Of an earlier one they are its own, and of its budgets none stops it:
    what it needed when it was proven it may need again."""
    if not is_earlier(settings, image, known):
        return settings
    own = {**_configured(image), **known.get("with", {}), **(known.get("ran", {}) if settings.image_tag == PREVIOUS else {})}
    waivers = {**own.get("waivers", {}), **settings.waivers}
    return Settings.from_json({**settings.as_json(), **own, "waivers": waivers, "budget_warn_only": list(BUDGETS)})


def _configured(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that an image's configuration tells; an image of an earlier version of the role has nothing else."""
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
