"""How a deploy replaces a container: a candidate is proven first, then the new container takes the old one's place, or the old one comes back.

Names of the containers, for a service `cat-server`:

- `cat-server`            the service
- `cat-server-candidate`  same image, hardening, environment, volumes and arguments, but no host port; removed after it was judged
- `cat-server-next`       the new container until it takes the name
- `cat-server-set-aside`  the old container, stopped, until the new one is proven
- `cat-server-failed`     the new container that failed in the service's place, until the old one is back

At every moment, only the names and the ownership labels are needed to know what a killed run left behind; `recover` finishes or undoes it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.names import containers_command, failed_name, next_name, set_aside_name
from ..common.settings import Settings
from ..common.stages import ROLLBACK, SWAP
from ..engine.client import Engine, EngineError
from ..engine.records import health
from .judgement import ends_again_and_again, refuse_foreign
from .port import HOST, check_port
from .proof import POLL, NotProven, last_words, prove_by_test, prove_service
from .remedies import refused

# How much longer than its stop timeout a container may take to stop, in seconds.
STOP_SLACK = 1.0
# Restart policies: the one that the old container must not have while it is set aside, and the one that it gets for that time.
ALWAYS, STOPPED = "always", "unless-stopped"


@dataclass
class Swap:
    """What a swap did. outage_seconds: from the order to stop the old container to the first passing health check of the new one."""

    action: str
    container_id: str
    old_id: str
    outage_seconds: float


def swap(engine: Engine, settings: Settings, body: Mapping[str, Any], approve: Callable[[str, float], None] | None = None) -> Swap:
    """Put a new container in the service's place; if that fails, raise Failure, with the very same old container running again.

    body: its create body; approve: called when the new container is healthy and answers, with its id and with how long it took until healthy; raises
    NotProven or Failure if the container is not as it should be.
    """
    name = settings.name
    old = refuse_foreign(engine, name)
    check_port(engine, settings, old)
    if old and old["State"].get("Dead"):
        # Of a removal that failed; the Engine neither starts nor changes it any more.
        engine.remove(old["Id"])
        old = None
    engine.remove(next_name(name))
    try:
        new_id = engine.create(next_name(name), body)
    except EngineError as error:
        raise Failure(SWAP, error.message, refused(error.message, settings, error.remedy), UNTOUCHED) from error
    began = time.monotonic()
    try:
        if old:
            _set_aside(engine, settings, old["Id"])
        engine.rename(new_id, name)
        if old:
            # With "always" the Engine would start it again beside the new one when its daemon is restarted; stopped on purpose
            # it stays so with "unless-stopped".
            if old["HostConfig"]["RestartPolicy"]["Name"] == ALWAYS:
                engine.set_restart_policy(old["Id"], {"Name": STOPPED})
            began = time.monotonic()
            engine.stop(old["Id"], settings.stop_timeout)
            if settings.network == HOST:
                # Which of the host's own ports the old container had, and which somebody else has, is known only now.
                check_port(engine, settings, None)
        engine.start(new_id)
        started = time.monotonic()
        _announce(engine, new_id)
        healthy = prove_by_test(engine, new_id, settings.health_timeout, settings.start_timeout, 0)
        outage = healthy - began
        prove_service(engine, new_id, settings, passed_at=healthy)
        if approve:
            approve(new_id, round(healthy - started, 3))
    except Exception as error:
        # Whatever the error was, even a bug of the role: first bring the service back.
        cause = Failure.of(error, SWAP, "")
        evidence = cause.evidence if isinstance(error, (NotProven, Failure)) else _late_evidence(engine, new_id)
        remedy = refused(cause.message, settings, cause.remedy) if isinstance(error, EngineError) else cause.remedy
        still_runs = undo(engine, settings, old, new_id)
        message = f"the new container of {body['Image']} failed in the service's place: {cause.message}"
        raise Failure(SWAP, message, remedy, still_runs, evidence) from error
    if old:
        try:
            engine.remove(old["Id"])
        except EngineError as error:
            still_runs = f"The new container {new_id[:12]} runs and is healthy; the old one is kept as {set_aside_name(name)}."
            raise Failure(SWAP, error.message, "Run again: the next run removes the old container.", still_runs) from error
    return Swap("replaced" if old else "created", new_id, old["Id"] if old else "", round(outage, 3))


def _set_aside(engine: Engine, settings: Settings, old_id: str) -> None:
    """Rename the old container; if the Engine is about to restart it, it must be stopped before it can be renamed."""
    try:
        engine.rename(old_id, set_aside_name(settings.name))
    except EngineError:
        engine.stop(old_id, settings.stop_timeout)
        engine.rename(old_id, set_aside_name(settings.name))


def _announce(engine: Engine, container_id: str) -> None:
    """Let a new container send the first packet on its network, so that clients reach it at once.

    A packet that came before the container's interface was up made the host ask for its owner. Without an answer the host asks again after
    a second only (arp(7), retrans_time_ms), and every client waits for that, unless the container itself has asked for somebody meanwhile.
    """
    networks = ((engine.container(container_id) or {}).get("NetworkSettings") or {}).get("Networks") or {}
    for network in networks.values():
        if network.get("Gateway"):
            # To the discard port (9); it makes no difference whether anybody listens there. An image without wget loses that second.
            engine.run_unheard(
                container_id, ["env", "http_proxy=", "wget", "-q", "-T", "1", "-O", "/dev/null", f"http://{network['Gateway']}:9/"]
            )


def _late_evidence(engine: Engine, container_id: str) -> list[str]:
    try:
        container = engine.container(container_id)
        return last_words(engine, container) if container else []
    except EngineError:
        return []


def undo(engine: Engine, settings: Settings, old: Mapping[str, Any] | None, new_id: str) -> str:
    """Remove a failed new container and bring the very same old one back; return what runs now.

    If even that fails, keeps both containers, and raises Failure with the commands for a person.
    """
    if not old:
        _drop(engine, new_id)
        return "There was no earlier container to bring back: the service does not run."
    try:
        try:
            _bring_back(engine, settings, old, new_id)
        except EngineError:
            # Once more, with the remaining steps: a call that was refused may succeed now, and no container serves meanwhile.
            _bring_back(engine, settings, old, new_id)
    except NotProven as failure:
        was = _ailment(old)
        if was:
            _drop(engine, new_id)
            return f"The earlier container {old['Id'][:12]} is back as it was: {was} ({failure.message})."
        raise _stuck(engine, settings.name, old["Id"], new_id, failure.message) from failure
    except Exception as error:
        raise _stuck(engine, settings.name, old["Id"], new_id, Failure.of(error, ROLLBACK, "").message) from error
    _drop(engine, new_id)
    if not old["State"]["Running"]:
        return f"The earlier container {old['Id'][:12]} is back as it was: stopped."
    return f"The very same earlier container {old['Id'][:12]} runs again and is healthy."


def _bring_back(engine: Engine, settings: Settings, old: Mapping[str, Any], new_id: str) -> None:
    """Move the failed new container out of the old one's place; if the old one ran before, start it and prove it."""
    name = settings.name
    current = engine.container(name)
    if current and current["Id"] == new_id:
        engine.stop(new_id, settings.stop_timeout)
        engine.rename(new_id, failed_name(name))
    found = engine.container(old["Id"])
    if found and found["Name"].lstrip("/") != name:
        engine.rename(old["Id"], name)
    if old["HostConfig"]["RestartPolicy"]["Name"] == ALWAYS:
        engine.set_restart_policy(old["Id"], old["HostConfig"]["RestartPolicy"])
    if not old["State"]["Running"]:
        return
    engine.start(old["Id"])
    _announce(engine, old["Id"])
    # One that had not been stopped yet keeps its count.
    restarts = (engine.container(old["Id"]) or {}).get("RestartCount", 0)
    prove_by_test(engine, old["Id"], settings.health_timeout, settings.start_timeout, 0, restarts=restarts)


def _ailment(container: Mapping[str, Any]) -> str:
    """Return what was wrong with a running container, "" if nothing was."""
    if ends_again_and_again(container):
        return "it ends each time that the Engine starts it"
    return "running, but unhealthy" if health(container).get("Status") == "unhealthy" else ""


def _drop(engine: Engine, container_id: str) -> None:
    """Remove a new container that is no longer needed; if that fails, the next run removes it."""
    with contextlib.suppress(EngineError):
        engine.remove(container_id)


def _runs(engine: Engine, container_id: str) -> str:
    """Say whether a container that could not be brought back runs."""
    try:
        found = engine.container(container_id)
    except EngineError:
        return "It is not known, since the Engine gives no answer."
    if found and (found["State"].get("Restarting") or found.get("RestartCount")):
        return "The service does not run: its earlier container ends each time that the Engine starts it."
    if found and found["State"]["Running"]:
        return f"The earlier container {container_id[:12]} runs, but nothing has proven that it is healthy."
    return "The service does not run."


def _stuck(engine: Engine, name: str, old_id: str, new_id: str, message: str) -> Failure:
    commands = (
        f"{containers_command(name)}; docker logs {old_id[:12]}; "
        f"docker rm -f {new_id[:12]}; docker rename {old_id[:12]} {name}; docker start {old_id[:12]}"
    )
    return Failure(
        ROLLBACK,
        f"the new container failed, and the earlier one ({old_id[:12]}) could not be brought back either: {message}",
        f"Both containers are kept. Look, then bring the service back by hand: {commands}",
        _runs(engine, old_id),
    )


def revive(engine: Engine, settings: Settings, container: Mapping[str, Any]) -> None:
    """Start a container that a killed run was about to stop: even if it still runs, it may be about to end."""
    engine.start(container["Id"])
    if not container["State"]["Running"]:
        return
    deadline = time.monotonic() + max(settings.stop_timeout, container["Config"].get("StopTimeout") or 0) + STOP_SLACK
    while time.monotonic() < deadline:
        found = engine.container(container["Id"])
        if found and not found["State"]["Running"]:
            engine.start(container["Id"])
            return
        time.sleep(POLL)
