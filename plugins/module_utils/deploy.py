"""The way of a deploy: a candidate is proven first, then it takes the place of the old container, or the old one comes back.

Names of the containers, for a service `cat-server`:

- `cat-server`            the service
- `cat-server-candidate`  same image, hardening, environment, volumes and arguments, but no host port; gone when it is judged
- `cat-server-next`       the new container until it takes the name
- `cat-server-set-aside`  the old container, stopped, until the new one is proven
- `cat-server-failed`     the new container that failed in the service's place, until the old one is back

At every moment the names and the ownership labels alone tell what a run that was killed left behind; `recover` finishes or undoes it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import http.client
import ipaddress
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from . import container as containers
from . import settings as values
from . import summary
from .engine import Engine, EngineError, health, health_test, parse_time

T = TypeVar("T")

POLL = 0.05
LOG_LINES = 20
# How much longer than it was given a container may take to stop, in seconds.
STOP_SLACK = 1.0


class DeployError(Exception):
    """A deploy ended without the new version in place.

    stage: where ("candidate", "swap", ...); message: what happened; remedy: what to change; evidence: last log lines and health log;
    standing: what runs now.
    """

    def __init__(self, stage: str, message: str, remedy: str, evidence: list[str] | None = None, standing: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.remedy = remedy
        self.evidence = evidence or []
        self.standing = standing

    def as_dict(self) -> dict[str, Any]:
        """Return the error as a module returns it."""
        return {
            "stage": self.stage,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": self.evidence,
            "standing": self.standing,
        }


class NoHealthCheck(DeployError):
    """An image has no health check."""

    def __init__(self, image: str) -> None:
        super().__init__(
            "candidate",
            f"the image {image} has no health check, so nothing can prove it",
            "Build it with this role, or give its Dockerfile a HEALTHCHECK.",
            standing=summary.UNTOUCHED,
        )


def _temporary_names(name: str) -> tuple[str, ...]:
    return containers.candidate_name(name), containers.next_name(name), containers.set_aside_name(name), containers.failed_name(name)


class NotProven(Exception):
    """A container did not become healthy, or did not stay so."""

    def __init__(self, message: str, remedy: str, evidence: list[str]) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.evidence = evidence


class Unwatched(NotProven):
    """The Engine has ended its health tests of a container, which says nothing about the container."""


@dataclass
class Proof:
    """A container that is proven.

    start_seconds: from the Engine's start record to the end of the first passing health test; healthy_at: when that was noticed, monotonic.
    """

    container_id: str
    start_seconds: float
    healthy_at: float


def is_ours(container: Mapping[str, Any], name: str) -> bool:
    """Say whether the role made a container for this service; container: inspected, or of the Engine's list.

    A container that somebody ran from the service's image has the image's labels, its name among them, but not the kind.
    """
    labels = (container.get("Config") or container).get("Labels") or {}
    kinds = (containers.KIND_SERVICE, containers.KIND_CANDIDATE)
    return labels.get(containers.LABEL_NAME) == name and labels.get(containers.LABEL_KIND) in kinds


def refuse_foreign(engine: Engine, name: str) -> dict[str, Any] | None:
    """Return the service's container, None where there is none; raise DeployError where a name is held by a foreign container."""
    for held in (name, *_temporary_names(name)):
        found = engine.container(held)
        if found and not is_ours(found, name):
            raise DeployError(
                "container",
                f"the name {held} is held by a container that this role did not make: image {found['Config']['Image']}, "
                f"id {found['Id'][:12]}, {found['State']['Status']}",
                f"Remove or rename it (docker rename {held} {held}-old), or choose another go_service_name. It was not touched.",
            )
    return engine.container(name)


# What the last words of a failed service usually mean. Each line: what to look for, what to do about it.
_REMEDIES = (
    (
        r"read-only file system",
        "The service writes to its own file system, which is read-only. Give it a place: go_service_volumes for data that must stay, "
        "go_service_tmpfs for scratch space (or go_service_read_only: false, which gives the protection up).",
    ),
    (
        r"exec format error",
        "The binary is for another processor than this host's. Leave GOARCH out of go_service_build_env.",
    ),
    (
        r"wget: (?:not found|executable file)|\"wget\": executable file not found",
        "The runtime image has no wget, which the health check runs. Choose a go_service_runtime_image that has BusyBox.",
    ),
    (
        r"(?:connection refused|can't connect)",
        "Nothing listens where the health check asks. Check go_service_port and that the service takes its port from PORT or go_service_args; "
        "a service that listens on IPv4 only may want go_service_health_host: 127.0.0.1.",
    ),
    (
        r"server returned error: http/1\.\d 404|404 not found",
        "The service runs, but has no page at that path. Set go_service_health_path to one it has.",
    ),
    (
        r"server returned error: http/1\.\d (\d+)",
        "The service runs, but answers the health check with an error. Read its log lines, and check go_service_health_path and go_service_env.",
    ),
    (
        r"flag provided but not defined|unknown (?:flag|command)|usage",
        "The service did not understand its arguments. Check go_service_args.",
    ),
    (
        r"permission denied",
        "The service may not read or write something. It runs as go_service_user (number 1000, or go_service_uid) without any capability: check "
        "the owner and mode of what go_service_volumes mounts (a new volume with a name belongs to root), and go_service_cap_add.",
    ),
    (
        r"no such host|lookup .* on ",
        "The service cannot resolve a name it needs. Check go_service_network and go_service_env.",
    ),
)
_GENERAL_REMEDY = "Read the log lines below; check go_service_args, go_service_env and go_service_volumes, correct the service, run again."


def remedy_for(evidence: list[str]) -> str:
    """Return what to do about the last words of a service."""
    text = "\n".join(evidence)
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text, re.I):
            return remedy
    return _GENERAL_REMEDY


def _evidence(engine: Engine, container: Mapping[str, Any], last_test: str = "") -> list[str]:
    lines = []
    for entry in (health(container).get("Log") or [])[-3:]:
        lines.append(f"health test: exit {entry['ExitCode']}: {entry['Output'].strip() or '(no output)'}")
    if last_test and not any(last_test in line for line in lines):
        lines.append(f"health test: {last_test}")
    lines += [f"log: {line}" for line in engine.logs(container["Id"], LOG_LINES)]
    return lines


def _ended(engine: Engine, container: Mapping[str, Any]) -> NotProven:
    """Say how a container that no longer runs ended."""
    state = container["State"]
    evidence = _evidence(engine, container)
    # 137 is a kill; not every kernel tells the Engine that it was for want of memory.
    if state.get("OOMKilled") or state["ExitCode"] == 137:
        limit = container["HostConfig"]["Memory"] >> 20
        return NotProven(
            f"it was killed{'' if state.get('OOMKilled') else ', most likely'} by its memory limit of {limit} MiB (exit code {state['ExitCode']})",
            "Raise go_service_memory, or make the service use less.",
            evidence,
        )
    if state.get("Error"):
        return NotProven(f"it could not be started: {state['Error']}", remedy_for([state["Error"], *evidence]), evidence)
    restarted = container.get("RestartCount", 0)
    code = engine.last_exit(container) if restarted else state["ExitCode"]
    again = {0: "", 1: " and was restarted once"}.get(restarted, f" and was restarted {restarted} times")
    return NotProven(f"it exited with code {code}{again}", remedy_for(evidence), evidence)


def _running(container: Mapping[str, Any], restarts: int = 0) -> bool:
    """Say whether a container runs and was restarted no more than that often: a restart hides the end that came before it."""
    state = container["State"]
    return bool(state["Running"]) and not state.get("Restarting") and container.get("RestartCount", 0) <= restarts


def _vanished() -> NotProven:
    return NotProven("it was removed while it was being proven", "Find out what removes containers on this host, then run again.", [])


def _health_times(container: Mapping[str, Any]) -> tuple[float, float]:
    """Return interval and timeout of a container's health check in seconds, the Engine's defaults where it names none."""
    check = (container.get("Config") or {}).get("Healthcheck") or {}
    return (check.get("Interval") or 30_000_000_000) / 1e9, (check.get("Timeout") or 30_000_000_000) / 1e9


def is_watched(container: Mapping[str, Any]) -> bool:
    """Say whether the Engine still runs the health tests of a running container.

    Engine 20.10 does not, once its daemon was restarted while containers went on (live-restore): the last state stands for ever.
    """
    interval, timeout = _health_times(container)
    times = [container["State"]["StartedAt"], *(entry["End"] for entry in health(container).get("Log") or [])]
    return time.time() - max(map(parse_time, times)) <= 2 * interval + timeout + 5


def complaint(engine: Engine, container: Mapping[str, Any]) -> str:
    """Return why a container has to be replaced although it is made as it should be: "exited", "unhealthy" and the like; "" for none."""
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


def prove_by_engine(engine: Engine, container_id: str, seconds: float, stable: float, proof: Proof | None = None) -> Proof:
    """Wait until the Engine calls a container healthy and it stays so for `stable` seconds; raise NotProven otherwise.

    proof: what was found of it before, where it was healthy already. Raises Unwatched where the Engine has ended its tests.
    """
    deadline = time.monotonic() + seconds
    while True:
        container = engine.container(container_id)
        if container is None:
            raise _vanished()
        if not _running(container):
            raise _ended(engine, container)
        status = health(container).get("Status")
        if status == "healthy":
            # At once: the Engine keeps the last five tests only.
            proof = proof or Proof(container["Id"], start_seconds(container), time.monotonic())
            if time.monotonic() - proof.healthy_at >= stable:
                return proof
        elif proof is not None:
            evidence = _evidence(engine, container)
            raise NotProven(f"it became healthy, but was {status} again within {stable:g} s", remedy_for(evidence), evidence)
        elif status != "unhealthy" and not is_watched(container):
            raise Unwatched("the Engine has ended its health tests of it", "Run again.", _evidence(engine, container))
        elif status == "unhealthy" or time.monotonic() > deadline:
            evidence = _evidence(engine, container)
            raise NotProven(f"it did not become healthy within {seconds:g} s (go_service_start_timeout)", remedy_for(evidence), evidence)
        time.sleep(POLL)


def start_seconds(container: Mapping[str, Any]) -> float:
    """Return the seconds from the start of a container to the end of its first passing health test, both as the Engine recorded them."""
    started = parse_time(container["State"]["StartedAt"])
    passed = [parse_time(entry["End"]) for entry in health(container).get("Log") or [] if entry["ExitCode"] == 0]
    return round(min(passed) - started, 3)


def prove_by_test(engine: Engine, container_id: str, timeout: float, seconds: float, stable: float, *, restarts: int = 0) -> None:
    """Run a container's own health test in it until it passes, and again `stable` seconds later; raise NotProven otherwise.

    This is what the Engine does, without waiting for its first interval. timeout: seconds that one test may take; restarts: how often the
    Engine had restarted the container before.
    """
    container = engine.container(container_id)
    if container is None:
        raise _vanished()
    test = health_test(container)
    if test is None:
        raise NotProven("it has no health check", "Build it with this role, whose images have one.", [])
    deadline = time.monotonic() + seconds
    passed_at = None
    while True:
        code, output = engine.run_in(container_id, test, timeout)
        container = engine.container(container_id)
        if container is None:
            raise _vanished()
        if not _running(container, restarts):
            raise _ended(engine, container)
        now = time.monotonic()
        if code == 0:
            passed_at = passed_at or now
            if now - passed_at >= stable:
                return
        elif passed_at is not None or now > deadline:
            evidence = _evidence(engine, container, f"exit {code}: {output or '(no output)'}")
            when = f"it passed its health test once, but failed it again within {stable:g} s"
            never = f"it did not pass its health test within {seconds:g} s (go_service_start_timeout)"
            raise NotProven(never if passed_at is None else when, remedy_for(evidence), evidence)
        time.sleep(POLL if passed_at is None else min(stable, 0.5))


def http_answers(address: str, port: int, path: str, timeout: float = 3.0) -> str:
    """Ask an address for a path; return "" where any HTTP answer comes, "refused", or what else went wrong."""
    try:
        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        connection.request("GET", path, headers={"Host": "localhost"})
        connection.getresponse().read(1)
        connection.close()
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return ""


def _listens_inside_only(engine: Engine, container_id: str, settings: Mapping[str, Any]) -> bool:
    """Say whether a healthy container refuses connections from outside of it: a service that listens on 127.0.0.1 alone."""
    container = engine.container(container_id)
    networks = ((container or {}).get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    return bool(addresses) and all(
        http_answers(address, settings["port"], settings["health_path"], 1.0) == "refused" for address in addresses
    )


def prove_candidate(engine: Engine, settings: Mapping[str, Any], image: str, look: Callable[[str], T]) -> tuple[Proof, T]:
    """Start a candidate from an image and prove it; return its proof and what `look` found. Raise DeployError otherwise.

    The candidate is gone in any case, and the service's own container is not touched. look: called with the candidate's id as soon as it is
    healthy, while it has yet to stay so.
    """
    name = containers.candidate_name(settings["name"])
    record = engine.image(image)
    if record is None:
        raise DeployError("candidate", f"there is no image {image} on this host", "Build it first.", standing=summary.UNTOUCHED)
    if health_test(record) is None:
        raise NoHealthCheck(image)
    again = True
    try:
        while True:
            engine.remove(name)
            interruptions = engine.interruptions
            try:
                proof = _healthy_candidate(engine, settings, image)
                found = look(proof.container_id)
                return prove_by_engine(engine, proof.container_id, 0, settings["stable_seconds"], proof), found
            except NotProven as failure:
                # An Engine whose daemon is restarted may take the candidate along, or end its health tests.
                if again and (isinstance(failure, Unwatched) or engine.interruptions > interruptions):
                    again = False
                    continue
                raise DeployError(
                    "candidate", f"the candidate of {image} failed: {failure.message}", failure.remedy, failure.evidence, summary.UNTOUCHED
                ) from failure
    except EngineError as error:
        raise DeployError("candidate", str(error), remedy_for([str(error)]), standing=summary.UNTOUCHED) from error
    finally:
        with contextlib.suppress(EngineError):
            engine.remove(name)


def _healthy_candidate(engine: Engine, settings: Mapping[str, Any], image: str) -> Proof:
    """Make a candidate and wait until it is healthy; raise NotProven otherwise."""
    container_id = engine.create(
        containers.candidate_name(settings["name"]), containers.candidate_body(settings, image, engine.api_version)
    )
    try:
        engine.start(container_id)
    except EngineError:
        container = engine.container(container_id)
        if container is None or not container["State"].get("Error"):
            raise
        raise _ended(engine, container) from None
    proof = prove_by_engine(engine, container_id, settings["start_timeout"], 0)
    if settings["publish"] and _listens_inside_only(engine, container_id, settings):
        raise NotProven(
            f"it is healthy inside, but refuses connections from outside on port {settings['port']}: it listens on its own loopback address alone",
            'Make the service listen on all addresses (":port" or "0.0.0.0:port") by go_service_args or go_service_env.',
            _evidence(engine, engine.container(container_id) or {"Id": container_id}),
        )
    return proof


def check_port(engine: Engine, settings: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Raise DeployError where the host port is taken by anything but the service's own old container."""
    published = values.parse_publish(settings["publish"])
    if not published:
        return
    address, port = published
    bindings = ((old or {}).get("HostConfig") or {}).get("PortBindings") or {}
    if old and old["State"]["Running"] and any(b.get("HostPort") == str(port) for found in bindings.values() for b in found or []):
        return
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            message, remedy = f"the address {address} is not one of this host's", "Choose another address in go_service_publish."
        elif error.errno == errno.EACCES:
            # Only this process may not bind it; the Engine may.
            return
        else:
            others = [name for name in engine.publishers(port) if name != settings["name"]]
            holder = f"the container {', '.join(others)}" if others else port_holder(port)
            message = f"the host port {address}:{port} is taken by {holder}"
            remedy = "Stop it, or choose another port in go_service_publish."
        raise DeployError("port", message, remedy, standing=summary.UNTOUCHED) from error


def port_holder(port: int) -> str:
    """Return who listens on a TCP port of this host, as far as /proc tells: 'the process nginx (pid 812)'."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for descriptor in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                pid = descriptor.split("/")[2]
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as name:
                    return f"the process {name.read().strip()} (pid {pid})"
    return "another process"


def _prove_service(engine: Engine, container_id: str, settings: Mapping[str, Any]) -> None:
    timeout = values.parse_duration(settings["health_timeout"]) / 1e9
    prove_by_test(engine, container_id, timeout, settings["start_timeout"], settings["stable_seconds"])
    published = values.parse_publish(settings["publish"])
    if published:
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(published[0], published[0])
        problem = http_answers(address, published[1], settings["health_path"])
        if problem:
            raise NotProven(
                f"it is healthy inside, but {summary.url(settings)}{settings['health_path']} does not answer on the host: {problem}",
                "Check go_service_publish, go_service_port and the host's firewall.",
                [],
            )


@dataclass
class Swap:
    """What a swap did. outage_seconds: from the order to stop the old container to the first passing health test of the new one."""

    action: str
    container_id: str
    old_id: str
    outage_seconds: float


def swap(engine: Engine, settings: Mapping[str, Any], image: str, approve: Callable[[str], None] | None = None) -> Swap:
    """Put a new container of an image in the service's place; raise DeployError with the very same old one running again otherwise.

    approve: called with the new container's id when it is healthy and answers; raises NotProven where it is not as it should be.
    """
    name = settings["name"]
    old = refuse_foreign(engine, name)
    check_port(engine, settings, old)
    engine.remove(containers.next_name(name))
    try:
        new_id = engine.create(containers.next_name(name), containers.create_body(settings, image, engine.api_version))
    except EngineError as error:
        raise DeployError("swap", str(error), remedy_for([str(error)]), standing=summary.UNTOUCHED) from error
    began = time.monotonic()
    try:
        if old:
            engine.rename(old["Id"], containers.set_aside_name(name))
        engine.rename(new_id, name)
        if old:
            # With "always" the Engine would start it again beside the new one when its daemon is restarted; stopped on purpose
            # it stays so with "unless-stopped", which is as good for a run that is killed here and cannot set it back.
            if old["HostConfig"]["RestartPolicy"]["Name"] == "always":
                engine.set_restart_policy(old["Id"], {"Name": "unless-stopped"})
            began = time.monotonic()
            engine.stop(old["Id"], settings["stop_timeout"])
        engine.start(new_id)
        _announce(engine, new_id)
        timeout = values.parse_duration(settings["health_timeout"]) / 1e9
        prove_by_test(engine, new_id, timeout, settings["start_timeout"], 0)
        outage = time.monotonic() - began
        _prove_service(engine, new_id, settings)
        if approve:
            approve(new_id)
    except (NotProven, EngineError) as failure:
        message = failure.message if isinstance(failure, NotProven) else str(failure)
        remedy = failure.remedy if isinstance(failure, NotProven) else remedy_for([message])
        evidence = failure.evidence if isinstance(failure, NotProven) else _late_evidence(engine, new_id)
        standing = undo(engine, settings, old, new_id)
        raise DeployError(
            "swap", f"the new container of {image} failed in the service's place: {message}", remedy, evidence, standing
        ) from failure
    if old:
        engine.remove(old["Id"])
    return Swap("replaced" if old else "created", new_id, old["Id"] if old else "", round(outage, 3))


def _announce(engine: Engine, container_id: str) -> None:
    """Let a new container be the first to speak on its network, so that clients reach it at once.

    A packet that came before the container's interface was up made the host ask for its owner. Without an answer the host asks again after
    a second only (arp(7), retrans_time_ms), and every client waits for that, unless the container itself has asked for somebody meanwhile.
    """
    networks = ((engine.container(container_id) or {}).get("NetworkSettings") or {}).get("Networks") or {}
    for network in networks.values():
        if network.get("Gateway"):
            # To the port that discards; whether anybody is there makes no difference. An image without wget loses that second.
            engine.run_unheard(container_id, ["wget", "-q", "-T", "1", "-O", "/dev/null", f"http://{network['Gateway']}:9/"])


def _late_evidence(engine: Engine, container_id: str) -> list[str]:
    container = engine.container(container_id)
    return _evidence(engine, container) if container else []


def undo(engine: Engine, settings: Mapping[str, Any], old: Mapping[str, Any] | None, new_id: str) -> str:
    """Take a failed new container away and bring the very same old one back; return what runs now.

    Raises DeployError, both containers kept, with the commands for a person where even that fails.
    """
    name = settings["name"]
    if not old:
        engine.remove(new_id)
        return "There was no earlier container to bring back: the service does not run."
    aside = containers.set_aside_name(name)
    try:
        current = engine.container(name)
        if current and current["Id"] == new_id:
            engine.stop(new_id, settings["stop_timeout"])
            engine.rename(new_id, containers.failed_name(name))
        found = engine.container(old["Id"])
        if found and found["Name"].lstrip("/") != name:
            engine.rename(old["Id"], name)
        if old["HostConfig"]["RestartPolicy"]["Name"] == "always":
            engine.set_restart_policy(old["Id"], old["HostConfig"]["RestartPolicy"])
        if not old["State"]["Running"]:
            engine.remove(new_id)
            return f"The earlier container {old['Id'][:12]} is back as it was: stopped."
        engine.start(old["Id"])
        _announce(engine, old["Id"])
        # One that had not been stopped yet keeps its count.
        restarts = (engine.container(old["Id"]) or {}).get("RestartCount", 0)
        timeout = values.parse_duration(settings["health_timeout"]) / 1e9
        prove_by_test(engine, old["Id"], timeout, settings["start_timeout"], 0, restarts=restarts)
    except NotProven as failure:
        if health(old).get("Status") == "unhealthy":
            engine.remove(new_id)
            return f"The earlier container {old['Id'][:12]} is back as it was: running, but unhealthy ({failure.message})."
        raise _stuck(name, aside, old["Id"], new_id, failure.message) from failure
    except EngineError as error:
        raise _stuck(name, aside, old["Id"], new_id, str(error)) from error
    engine.remove(new_id)
    return f"The very same earlier container {old['Id'][:12]} runs again and is healthy."


def _stuck(name: str, aside: str, old_id: str, new_id: str, message: str) -> DeployError:
    commands = (
        f"docker ps -a --filter label=go-service.name={name}; docker logs {old_id[:12]}; "
        f"docker rm -f {new_id[:12]}; docker rename {old_id[:12]} {name}; docker start {old_id[:12]}"
    )
    return DeployError(
        "rollback",
        f"the new container failed, and the earlier one ({old_id[:12]}) could not be brought back either: {message}",
        f"Both containers are kept. Look, then bring the service back by hand: {commands}",
        standing="The service does not run.",
    )


def leftovers(engine: Engine, name: str) -> list[str]:
    """Return the names of containers that an ended run left behind; only this role's own."""
    found = [container["Names"][0].lstrip("/") for container in engine.containers(name=name) if is_ours(container, name)]
    return sorted(set(found).intersection(_temporary_names(name)))


def _revive(engine: Engine, settings: Mapping[str, Any], container: Mapping[str, Any]) -> None:
    """Start a container that a killed run was about to stop: where it still runs, it may be on its way to the end."""
    engine.start(container["Id"])
    if not container["State"]["Running"]:
        return
    deadline = time.monotonic() + max(settings["stop_timeout"], container["Config"].get("StopTimeout") or 0) + STOP_SLACK
    while time.monotonic() < deadline:
        found = engine.container(container["Id"])
        if found and not found["State"]["Running"]:
            engine.start(container["Id"])
            return
        time.sleep(POLL)


def recover(engine: Engine, settings: Mapping[str, Any]) -> list[str]:
    """Finish or undo what a killed run left behind; return what was done, as sentences.

    A swap whose new container proves healthy is finished; any other is undone, and the old container runs again.
    """
    name = settings["name"]
    done = []
    aside = engine.container(containers.set_aside_name(name))
    if aside and is_ours(aside, name):
        current = engine.container(name)
        finished = False
        if current and current["State"]["Running"]:
            with contextlib.suppress(NotProven):
                _prove_service(engine, current["Id"], settings)
                finished = True
        if finished:
            engine.remove(aside["Id"])
            done.append(f"Finished an interrupted swap: the new container {current['Id'][:12]} is healthy, the old one is removed.")
        else:
            if current:
                engine.remove(current["Id"])
            # Started first: a run that is killed between the two leaves a name that tells what to go on with.
            _revive(engine, settings, aside)
            engine.rename(aside["Id"], name)
            done.append(f"Undid an interrupted swap: the old container {aside['Id'][:12]} runs again.")
    remaining = leftovers(engine, name)
    current = engine.container(name)
    if containers.failed_name(name) in remaining and current and is_ours(current, name) and not current["State"]["Running"]:
        engine.start(current["Id"])
        done.append(f"Went on with an interrupted return: the old container {current['Id'][:12]} runs again.")
    for leftover in remaining:
        engine.remove(leftover)
        done.append(f"Removed the leftover container {leftover}.")
    return done


def promote(engine: Engine, name: str, image_id: str) -> bool:
    """Move `latest` to an image and `previous` to the one that was latest; return whether a tag moved."""
    latest = engine.image(f"{name}:latest")
    if latest and latest["Id"] == image_id:
        return False
    if latest:
        engine.tag(latest["Id"], name, "previous")
    engine.tag(image_id, name, "latest")
    return True


def _newest_first(image: Mapping[str, Any]) -> tuple[int, str]:
    # By id within one second, so that the next run finds the same order.
    return -image["Created"], image["Id"]


def prune(engine: Engine, name: str, keep: int, in_use: str) -> list[str]:
    """Remove the service's images beyond the newest `keep`, those without a name, and all builder stages but the newest, by label alone.

    What `latest` and `previous` name and what a container runs stays. Returns the references removed.
    """
    removed = []
    protected = {in_use}
    for tag in ("latest", "previous"):
        image = engine.image(f"{name}:{tag}")
        if image:
            protected.add(image["Id"])
    images = sorted(engine.images(dangling=False, name=name, kind=containers.KIND_IMAGE), key=_newest_first)
    kept = 0
    for image in images:
        if image["Id"] in protected or kept + len(protected) < keep:
            kept += image["Id"] not in protected
            continue
        references = [tag for tag in image.get("RepoTags") or [] if tag.rpartition(":")[0] == name]
        removed += [reference for reference in references if engine.remove_image(reference)]
    # The newest builder stage holds the compiled packages that make the next build fast.
    stages = sorted(engine.images(dangling=True, name=name, kind=containers.KIND_BUILDER), key=_newest_first)
    # An image loses its name when somebody takes it away by hand, or when the same content is built again under another id.
    nameless = [image for image in engine.images(dangling=True, name=name, kind=containers.KIND_IMAGE) if image["Id"] not in protected]
    removed += [image["Id"][7:19] for image in [*stages[1:], *nameless] if engine.remove_image(image["Id"])]
    return removed
