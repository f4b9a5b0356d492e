"""Whether the role made a container, and whether the container is as it should be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.names import KIND_CANDIDATE, KIND_SERVICE, LABEL_KIND, LABEL_NAME, temporary_names
from ..common.stages import CONTAINER
from ..engine.client import Engine
from ..engine.records import health, health_test, parse_time
from .container import drift, is_made_by

# How long a container must run until the Engine regards its start as successful, in seconds (moby, restartmanager).
SETTLED = 10.0
# The Engine's defaults for the interval and the timeout of a health check, in nanoseconds.
_USUAL = 30_000_000_000


def is_ours(engine: Engine, container: Mapping[str, Any], name: str) -> bool:
    """Say whether the role made a container for this service; container: inspected, or of the Engine's list.

    A container that somebody else ran from the service's image has the image's labels, with the service's name, but not the label of the kind. A container
    that was run from a commit of the role's container has the kind as well, but inherited from its image; the role's containers have it themselves.
    """
    labels = (container.get("Config") or container).get("Labels") or {}
    kinds = (KIND_SERVICE, KIND_CANDIDATE)
    names = [known.lstrip("/") for known in container.get("Names") or [container["Name"]]]
    if labels.get(LABEL_NAME) != name or labels.get(LABEL_KIND) not in kinds or not {name, *temporary_names(name)}.intersection(names):
        return False
    image = engine.image(container.get("ImageID") or container["Image"]) or {}
    return ((image.get("Config") or {}).get("Labels") or {}).get(LABEL_KIND) not in kinds


def refuse_foreign(engine: Engine, name: str) -> dict[str, Any] | None:
    """Return the service's container, None if there is none; raise Failure if a name is held by a container that the role did not make."""
    for held in (name, *temporary_names(name)):
        found = engine.container(held)
        if found and not is_ours(engine, found, name):
            raise Failure(
                CONTAINER,
                f"the name {held} is held by a container that this role did not make: image {found['Config']['Image']}, "
                f"id {found['Id'][:12]}, {found['State']['Status']}",
                f"Remove or rename it (docker rename {held} {held}-old), or choose another go_service_name. It was not touched.",
                UNTOUCHED,
            )
    return engine.container(name)


def _health_times(container: Mapping[str, Any]) -> tuple[float, float]:
    """Return interval and timeout of a container's health check in seconds; by default those of the Engine."""
    check = (container.get("Config") or {}).get("Healthcheck") or {}
    interval, timeout = ((check.get(name) or _USUAL) / 1e9 for name in ("Interval", "Timeout"))
    return interval, timeout


def is_watched(container: Mapping[str, Any]) -> bool:
    """Say whether the Engine still runs the health checks of a running container.

    Engine 20.10 does not, once its daemon was restarted while containers kept running (live-restore): the last state then never changes.
    """
    interval, timeout = _health_times(container)
    times = [container["State"]["StartedAt"], *(entry["End"] for entry in health(container).get("Log") or [])]
    return time.time() - max(map(parse_time, times)) <= 2 * interval + timeout + 5


def reason_to_replace(engine: Engine, container: Mapping[str, Any]) -> str:
    """Return why a container must be replaced although it has the right settings: "exited", "unhealthy" and the like; "" for no reason."""
    state = container["State"]
    if not state["Running"] or state.get("Restarting") or state.get("Paused"):
        return str(state["Status"])
    if health(container).get("Status") == "unhealthy":
        return "unhealthy"
    test = health_test(container)
    if test and not is_watched(container):
        _interval, timeout = _health_times(container)
        code, _output = engine.run_in(container["Id"], test, timeout)
        return "unhealthy, which the Engine does not notice any more" if code else ""
    return ""


def shortcomings(engine: Engine, container: Mapping[str, Any], body: Mapping[str, Any], image_id: str) -> list[str]:
    """Return the reasons why the service's container is not as it should be; none if it is.

    body: the create body with which it should be made; image_id: of the image that this body names.
    """
    if container["Image"] != image_id:
        found = [f"it runs {container['Config']['Image']} instead of {body['Image']}"]
    elif not is_made_by(body, container):
        found = ["the container's settings changed"]
    else:
        found = [f"the container was changed by hand: {difference}" for difference in drift(body, container)]
    reason = reason_to_replace(engine, container)
    return [*found, f"the container is {reason}"] if reason else found


def runs_for(container: Mapping[str, Any]) -> float:
    """Return how long a container has been running, in seconds."""
    return time.time() - parse_time(container["State"]["StartedAt"])


def ends_again_and_again(container: Mapping[str, Any]) -> bool:
    """Say whether the Engine keeps restarting a container: it is about to restart it, or has just done so."""
    state = container["State"]
    return bool(state.get("Restarting")) or bool(state["Running"] and container.get("RestartCount") and runs_for(container) < SETTLED)


def unproven(engine: Engine, container: Mapping[str, Any], proven: Mapping[str, Any]) -> str:
    """Return why the service's container must be proven again although its settings are right; "" for no reason.

    proven: the container that was proven last, from the record on the host.
    """
    test = health_test(container)
    if test and health(container).get("Status") == "starting":
        _interval, timeout = _health_times(container)
        if engine.run_in(container["Id"], test, timeout)[0]:
            return "the container is starting, and does not pass its health check yet"
    return restarted(container, proven)


def restarted(container: Mapping[str, Any], proven: Mapping[str, Any]) -> str:
    """Return how often the Engine has restarted a container since it was proven, as a sentence; "" if it has not."""
    restarts = container.get("RestartCount", 0)
    # After a start by hand the Engine counts anew, so a lower count also means that there were restarts.
    known = proven.get("restarts") if proven.get("id") == container["Id"] else None
    if restarts in (0, known):
        return ""
    return f"the Engine has restarted the container since it was proven (restarts in all: {restarts})"


def leftovers(engine: Engine, name: str) -> list[str]:
    """Return the names of containers that an ended run left behind; only this role's own."""
    ours = [container for container in engine.containers(name=name) if is_ours(engine, container, name)]
    return sorted({known.lstrip("/") for container in ours for known in container["Names"]}.intersection(temporary_names(name)))
