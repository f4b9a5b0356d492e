"""How a container is proven: by the Engine's own health checks, or by running the health check's command."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.failure import Problem, folded
from ..common.settings import TCP, Settings
from ..common.text import count, last_said
from ..engine.client import Engine
from ..engine.records import health, health_test, parse_time
from .judgement import is_watched
from .limits import refused_processes
from .listening import Ears, any_certificate
from .pages import page_instead
from .place import elsewhere, reaches_containers
from .remedies import PIDS, remedy_for
from .signals import who_ended

POLL = 0.05
# How long a container that has passed its health check is left alone before the next one, in seconds.
BETWEEN = 0.5
# How long a connection must last to count as one with the service, in seconds.
LINE_HELD = 0.3
LOG_LINES = 20
# How many lines are read to find these: a service that repeats the same line must not hide what it printed before.
LOG_LINES_READ = 2000
# What the Engine says if a health check met a container that had already ended: this is not the cause, but a consequence.
_ENDED = re.compile(r"cannot exec in a (?:stopped|deleted)|container \S+ is not running", re.I)


class NotProven(Problem):
    """A container did not become healthy, or did not stay so."""


class Unwatched(NotProven):
    """The Engine has stopped its health checks of a container, which says nothing about the container itself."""


@dataclass
class Proof:
    """A container that is proven.

    start_seconds: from the Engine's start record to the end of the first passing health check; healthy_at: when that was noticed, monotonic.
    """

    container_id: str
    start_seconds: float
    healthy_at: float


def last_words(engine: Engine, container: Mapping[str, Any], last_test: str = "") -> list[str]:
    """Return the output of a container's last health checks, and the last lines of its log."""
    lines = []
    for entry in [entry for entry in health(container).get("Log") or [] if not _ENDED.search(entry["Output"])][-3:]:
        lines.append(f"health check: exit {entry['ExitCode']}: {entry['Output'].strip() or '(no output)'}")
    if last_test and not any(last_test in line for line in lines):
        lines.append(f"health check: {last_test}")
    return lines + [f"log: {line}" for line in last_said(folded(engine.logs(container["Id"], LOG_LINES_READ)), LOG_LINES)]


def how_it_ended(engine: Engine, container: Mapping[str, Any], ears: Ears | None = None) -> NotProven:
    """Say how a container that no longer runs ended."""
    state = container["State"]
    evidence = last_words(engine, container)
    if state.get("Error"):
        return NotProven(f"it could not be started: {state['Error']}", remedy_for([state["Error"], *evidence]), evidence)
    heard = ears.before_the_end() if ears else ""
    evidence = [heard, *evidence] if heard else evidence
    restarted = container.get("RestartCount", 0)
    code = engine.last_exit(container) if restarted else state["ExitCode"]
    again = {0: "", 1: " and was restarted once"}.get(restarted, f" and was restarted {restarted} times")
    how, remedy = who_ended(engine, container, code)
    return NotProven(f"{how or f'it exited with code {code}'}{again}", remedy or remedy_for(evidence), evidence)


def _running(container: Mapping[str, Any], restarts: int = 0) -> bool:
    """Say whether a container runs and was restarted at most that often: a restart hides that the container had ended."""
    state = container["State"]
    return bool(state["Running"]) and not state.get("Restarting") and container.get("RestartCount", 0) <= restarts


def _not_healthy(engine: Engine, container: Mapping[str, Any], ears: Ears, message: str, last_test: str = "") -> NotProven:
    """Say why a running container is not healthy: by the ports that it listens on, otherwise by its last lines."""
    evidence = last_words(engine, container, last_test)
    tests, logs = ([line for line in evidence if line.startswith("log: ") is of_log] for of_log in (False, True))
    refusals = refused_processes(container)
    if refusals:
        limit = container["HostConfig"].get("PidsLimit")
        found = (
            f"it was refused {count(refusals, 'process or thread', 'processes or threads')} by its limit of {limit} (go_service_pids_limit)"
        )
        return NotProven(f"{message}: {found}", PIDS, evidence)
    found, remedy = ears.diagnosis(container, "\n".join(tests), near=reaches_containers(engine))
    if not found:
        page = page_instead(engine, container, "\n".join(tests))
        if page:
            remedy = f"Set go_service_health_path to {page}, which the service answers, or to another page that it has."
            return NotProven(f"{message}: it has no page at the path of its health check, and one at {page}", remedy, evidence)
        return NotProven(message, remedy_for(evidence), evidence)
    # Only its log can tell what keeps it from listening.
    return NotProven(f"{message}: {found}", remedy if ears.now else remedy_for(logs, remedy), evidence)


def _vanished() -> NotProven:
    return NotProven("it was removed while it was being proven", "Find out what removes containers on this host, then run again.", [])


def prove_by_engine(engine: Engine, container_id: str, seconds: float, stable: float, proof: Proof | None = None) -> Proof:
    """Wait until the Engine calls a container healthy and it stays so for `stable` seconds; raise NotProven otherwise.

    proof: the earlier proof, if it was healthy already. Raises Unwatched if the Engine has stopped its health checks.
    """
    deadline = time.monotonic() + seconds
    ears = Ears(engine)
    while True:
        container = engine.container(container_id)
        if container is None:
            raise _vanished()
        if not _running(container):
            raise how_it_ended(engine, container, ears)
        ears.listen(container)
        status = health(container).get("Status")
        if status == "healthy":
            # At once: the Engine keeps only the last five health checks.
            proof = proof or Proof(container["Id"], start_seconds(container), time.monotonic())
            if time.monotonic() - proof.healthy_at >= stable:
                return proof
        elif proof is not None:
            raise _not_healthy(engine, container, ears, f"it became healthy, but was {status} again within {stable:g} s")
        elif status != "unhealthy" and not is_watched(container):
            raise Unwatched("the Engine has stopped its health checks", "Run again.", last_words(engine, container))
        elif status == "unhealthy" or time.monotonic() > deadline:
            raise _not_healthy(engine, container, ears, f"it did not become healthy within {seconds:g} s (go_service_start_timeout)")
        time.sleep(POLL)


def start_seconds(container: Mapping[str, Any]) -> float:
    """Return the seconds from the start of a container to the end of its first passing health check, both as the Engine recorded them."""
    started = parse_time(container["State"]["StartedAt"])
    passed = [parse_time(entry["End"]) for entry in health(container).get("Log") or [] if entry["ExitCode"] == 0]
    return round(min(passed) - started, 3)


def prove_by_test(
    engine: Engine, container_id: str, timeout: float, seconds: float, stable: float, *, restarts: int = 0, passed_at: float | None = None
) -> float:
    """Run a container's own health check in it until it passes, and again `stable` seconds later; return when it first passed, monotonic; raise NotProven
    otherwise.

    This is what the Engine does, without waiting for its first interval. timeout: seconds that one check may take; restarts: how often the
    Engine had restarted the container before; passed_at: what an earlier call has returned.
    """
    container = engine.container(container_id)
    if container is None:
        raise _vanished()
    test = health_test(container)
    if test is None:
        raise NotProven("it has no health check", "Build it with this role, whose images have one.", [])
    deadline = time.monotonic() + seconds
    ears = Ears(engine)
    while True:
        code, output = engine.run_in(container_id, test, timeout)
        container = engine.container(container_id)
        if container is None:
            raise _vanished()
        if not _running(container, restarts):
            raise how_it_ended(engine, container, ears)
        ears.listen(container)
        now = time.monotonic()
        if code == 0:
            passed_at = passed_at or now
            if now - passed_at >= stable:
                return passed_at
        elif passed_at is not None or now > deadline:
            when = f"it passed its health check once, but failed it again within {stable:g} s"
            never = f"it did not pass its health check within {seconds:g} s (go_service_start_timeout)"
            last_test = f"exit {code}: {output or '(no output)'}"
            raise _not_healthy(engine, container, ears, never if passed_at is None else when, last_test)
        time.sleep(POLL if passed_at is None else min(max(passed_at + stable - time.monotonic(), 0), BETWEEN))


def answers(settings: Settings, address: str, port: int, timeout: float = 3.0) -> str:
    """Send a request to the service at an address; return "" if it answers, "refused", or what else went wrong.

    Any HTTP answer counts. If the health check is a command, the protocol of the service is not known: then it counts as an answer that the service does not
    close the connection at once (as the proxy of a published port does if the service does not listen).
    """
    try:
        if settings.health_command:
            return _holds_the_line(address, port, timeout)
        connection = (
            http.client.HTTPSConnection(address, port, timeout=timeout, context=any_certificate())
            if settings.health_scheme == "https"
            else http.client.HTTPConnection(address, port, timeout=timeout)
        )
        connection.request("GET", settings.health_path, headers={"Host": "localhost", **settings.health_headers})
        connection.getresponse().read(1)
        connection.close()
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return ""


def _holds_the_line(address: str, port: int, timeout: float) -> str:
    """Connect, and say what is wrong if the other side closes the connection at once."""
    with socket.create_connection((address, port), timeout=timeout) as connection:
        connection.settimeout(LINE_HELD)
        with contextlib.suppress(socket.timeout):
            return "" if connection.recv(1) else "the connection is closed at once"
    return ""


def listens_inside_only(engine: Engine, container_id: str, settings: Settings) -> bool:
    """Say whether a healthy container refuses connections from outside of it: a service that listens on 127.0.0.1 alone."""
    container = engine.container(container_id)
    if not reaches_containers(engine):
        ears = Ears(engine)
        ears.listen(container or {}, ask=True)
        here = [address for address, port in ears.now or () if port == settings.port]
        return bool(here) and all(ipaddress.ip_address(address).is_loopback for address in here)
    networks = ((container or {}).get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    return bool(addresses) and all(answers(settings, address, settings.port, 1.0) == "refused" for address in addresses)


def silent_ports(engine: Engine, container_id: str, settings: Settings) -> list[str]:
    """Return the entries of go_service_publish_more whose TCP port in the container nothing listens on now; none if that is not known."""
    ears = Ears(engine)
    if settings.publish_more:
        ears.listen(engine.container(container_id) or {}, ask=True)
    if ears.now is None:
        return []
    heard = {port for _address, port in ears.now}
    return [str(more) for more in settings.publish_more if more.protocol == TCP and more.port not in heard]


def prove_service(
    engine: Engine, container_id: str, settings: Settings, *, restarts: int = 0, longer: float = 0, passed_at: float | None = None
) -> None:
    """Prove the service's own container, on the host too; raise NotProven otherwise.

    restarts: how often the Engine had restarted it before; longer: for how many seconds it must stay healthy, if that is more than the settings ask for;
    passed_at: when it was healthy already, monotonic. If the Engine publishes the port on another machine, the proof is the health check in the container, and
    that the Engine started it: without the port it does not.
    """
    stable = max(settings.stable_seconds, longer)
    timeout, seconds = settings.health_timeout, settings.start_timeout
    prove_by_test(engine, container_id, timeout, seconds, stable, restarts=restarts, passed_at=passed_at)
    if settings.publish and not elsewhere(engine):
        problem = answers(settings, settings.publish.host, settings.publish.port)
        if problem:
            path = "" if settings.health_command else settings.health_path
            raise NotProven(
                f"it is healthy inside, but {settings.url}{path} does not answer on the host: {problem}",
                "Check go_service_publish, go_service_port and the host's firewall.",
                [],
            )
