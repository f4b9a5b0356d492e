"""The Docker Engine of the target: community.docker's API client with the few calls that the role needs.

Calls that may be repeated wait for an Engine that went away, for instance because its daemon is restarted, and go on when it is back.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from ansible_collections.community.docker.plugins.module_utils._api.errors import APIError, NotFound
from ansible_collections.community.docker.plugins.module_utils.common_api import AnsibleDockerClientBase

try:
    from requests.exceptions import ConnectionError as EngineGone
    from requests.exceptions import ReadTimeout, RequestException
    from urllib3.exceptions import ProtocolError as BrokenStream
except ImportError:  # The client reports the missing library itself, with its remedy.

    class RequestException(Exception):
        """Stands in for requests' own where that library is missing."""

    EngineGone = ReadTimeout = BrokenStream = RequestException

T = TypeVar("T")

# The oldest Engine the role speaks to is 20.10.
OLDEST_API = "1.41"
# How long a call waits for an Engine that went away, in seconds.
PATIENCE = 60.0
POLL = 0.1
# A look at a container that takes longer than this, in seconds, had to wait for the Engine: with systemd's socket a restart shows no other way.
STALL = 1.0


class EngineError(Exception):
    """The Engine refused, or is out of reach."""


class Missing(EngineError):
    """The Engine has no such container, image or network."""


class EngineUnreachable(EngineError):
    """No Engine answers at all, or what speaks to it is missing."""


class _Client(AnsibleDockerClientBase):
    """community.docker's client with the connection taken from the environment (DOCKER_HOST and its like), failing by exception."""

    def __init__(self) -> None:
        super().__init__(min_docker_api_version=OLDEST_API)

    def fail(self, msg: str, **_details: Any) -> None:
        raise EngineUnreachable(msg)

    def _get_params(self) -> dict[str, Any]:
        return {}


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the Engine writes it (RFC 3339 with nanoseconds)."""
    match = re.match(r"\A(.*?)(\.[0-9]+)?(Z|[+-][0-9:]+)\Z", text)
    if not match:
        raise ValueError(f"not a time of the Engine: {text!r}")
    seconds = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp()
    return seconds + float(match[2] or 0)


def health(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the health record of an inspected container, empty where it has no health check."""
    return (container.get("State") or {}).get("Health") or {}


def health_test(image: Mapping[str, Any]) -> list[str] | None:
    """Return the command that an image's health check runs, None where it has none."""
    test = ((image.get("Config") or {}).get("Healthcheck") or {}).get("Test") or []
    if len(test) < 2 or test[0] == "NONE":
        return None
    return ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else list(test[1:])


class Engine:
    """The calls of the role, by name. Everything raises EngineError with the Engine's own words.

    interruptions: how often the Engine was away, or slow to answer, so far.
    """

    def __init__(self) -> None:
        self.client = _Client()
        self.interruptions = 0

    @property
    def api_version(self) -> tuple[int, int]:
        """The API version spoken, as numbers."""
        major, minor = self.client.docker_api_version_str.split(".")[:2]
        return int(major), int(minor)

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Run one call by `client`; where the Engine is gone, wait for it and run the call again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except NotFound as error:
                raise Missing(f"{what}: {error.explanation or error}") from error
            except APIError as error:
                raise EngineError(f"{what}: {error.explanation or error}") from error
            except (EngineGone, BrokenStream) as error:
                self.interruptions += 1
                if time.monotonic() > deadline:
                    raise EngineUnreachable(f"{what}: the Engine did not come back within {PATIENCE:.0f} s: {error}") from error
                time.sleep(POLL)
            except RequestException as error:
                raise EngineError(f"{what}: {error}") from error

    def version(self) -> dict[str, Any]:
        """Return the Engine's version record."""
        return self.ask("version", lambda: self.client.get_json("/version"))

    def info(self) -> dict[str, Any]:
        """Return the Engine's system record."""
        return self.ask("info", lambda: self.client.get_json("/info"))

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return an image's record, None where there is no such image."""
        try:
            return self.ask(f"image {reference}", lambda: self.client.get_json("/images/{0}/json", reference))
        except Missing:
            return None

    def container(self, name: str) -> dict[str, Any] | None:
        """Return a container's record by name or id, None where there is none."""
        began = time.monotonic()
        try:
            return self.ask(f"container {name}", lambda: self.client.get_json("/containers/{0}/json", name))
        except Missing:
            return None
        finally:
            self.interruptions += time.monotonic() - began > STALL

    def network_exists(self, name: str) -> bool:
        """Say whether a network of that name exists."""
        try:
            self.ask(f"network {name}", lambda: self.client.get_json("/networks/{0}", name))
        except Missing:
            return False
        return True

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return the list records of all containers, stopped ones too, that carry the labels."""
        return self.ask(
            "list of containers", lambda: self.client.get_json("/containers/json", params={"all": 1, "filters": _filters(labels)})
        )

    def images(self, dangling: bool | None = None, **labels: str) -> list[dict[str, Any]]:
        """Return the list records of images that carry the labels; dangling: only untagged ones, or only tagged ones."""
        extra = {} if dangling is None else {"dangling": [str(dangling).lower()]}
        return self.ask("list of images", lambda: self.client.get_json("/images/json", params={"filters": _filters(labels, extra)}))

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its id."""
        return self.ask(
            f"creating the container {name}",
            lambda: self.client.post_json_to_json("/containers/create", data=dict(body), params={"name": name})["Id"],
        )

    def start(self, name: str) -> None:
        """Start a container; one that runs stays as it is."""
        self.ask(f"starting the container {name}", lambda: self.client.post_json("/containers/{0}/start", name))

    def stop(self, name: str, timeout: int) -> None:
        """Stop a container, killing it after `timeout` seconds; one that is stopped stays as it is."""
        self.ask(
            f"stopping the container {name}",
            lambda: self.client.post_call("/containers/{0}/stop", name, params={"t": timeout}, timeout=timeout + 60),
        )

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""
        self.ask(f"renaming the container {name}", lambda: self.client.post_call("/containers/{0}/rename", name, params={"name": new_name}))

    def set_restart_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Change a container's restart policy without touching the container otherwise."""
        self.ask(
            f"changing the restart policy of {name}",
            lambda: self.client.post_json_to_json("/containers/{0}/update", name, data={"RestartPolicy": dict(policy)}),
        )

    def remove(self, name: str) -> None:
        """Remove a container, running or not; one that is not there is as good."""
        try:
            self.ask(
                f"removing the container {name}",
                lambda: self.client.delete_call("/containers/{0}", name, params={"force": True, "v": True}),
            )
        except Missing:
            return
        except EngineError as error:
            if "already in progress" not in str(error):
                raise
            self.wait_until_gone(name)

    def wait_until_gone(self, name: str, seconds: float = 30.0) -> None:
        """Wait until a container that is being removed is gone; raise EngineError when it stays."""
        deadline = time.monotonic() + seconds
        while self.container(name):
            if time.monotonic() > deadline:
                raise EngineError(f"the container {name} is still there after {seconds:.0f} s")
            time.sleep(POLL)

    def logs(self, name: str, lines: int = 20) -> list[str]:
        """Return the last log lines of a container, both streams, empty where it is gone."""
        try:
            raw = self.ask(
                f"logs of {name}",
                lambda: self.client.get_binary("/containers/{0}/logs", name, params={"stdout": 1, "stderr": 1, "tail": lines}),
            )
        except EngineError:
            return []
        return [line for line in demultiplex(raw).decode(errors="replace").splitlines() if line.strip()]

    def last_exit(self, container: Mapping[str, Any]) -> int:
        """Return the exit code that a container ended with last, also where the Engine has started it again since; its record forgets then."""
        query = {
            "since": f"{parse_time(container['Created']):.9f}",
            "until": f"{time.time():.9f}",
            "filters": json.dumps({"container": [container["Id"]], "event": ["die"]}),
        }
        text = self.ask("events", lambda: self.client.get_binary("/events", params=query)).decode(errors="replace")
        codes = [json.loads(line)["Actor"]["Attributes"].get("exitCode", "") for line in text.splitlines() if line.strip()]
        return int(codes[-1]) if codes and codes[-1] else container["State"]["ExitCode"]

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """Run a command in a running container as its own user and return (exit code, output).

        A command that takes longer than `timeout` seconds counts as failed (exit code -1), as in a health check; so does one
        that cannot run since the container has stopped.
        """
        try:
            execution = self.ask(
                f"health test in {name}",
                lambda: self.client.post_json_to_json(
                    "/containers/{0}/exec", name, data={"Cmd": command, "AttachStdout": True, "AttachStderr": True}
                ),
            )
            raw = self.client.post_json_to_binary("/exec/{0}/start", execution["Id"], data={"Detach": False, "Tty": False}, timeout=timeout)
            code = self.ask("health test", lambda: self.client.get_json("/exec/{0}/json", execution["Id"]))["ExitCode"]
        except (EngineError, APIError, EngineGone, ReadTimeout) as error:
            # One that has begun to answer ends as a lost connection, with these words as well.
            return -1, f"no answer within {timeout:g} s" if "timed out" in str(error) else str(error)
        return (-1 if code is None else code), demultiplex(raw).decode(errors="replace").strip()

    def run_unheard(self, name: str, command: list[str]) -> None:
        """Start a command in a running container as its own user; nobody waits for it, or learns that it cannot run."""
        with contextlib.suppress(EngineError, APIError, EngineGone, ReadTimeout):
            made = self.ask(
                f"a command in {name}", lambda: self.client.post_json_to_json("/containers/{0}/exec", name, data={"Cmd": command})
            )
            self.client.post_json("/exec/{0}/start", made["Id"], data={"Detach": True, "Tty": False})

    def tag(self, reference: str, repository: str, tag: str) -> None:
        """Give an image another tag; the tag moves where it stood on another image."""
        self.ask(
            f"tagging {reference}",
            lambda: self.client.post_call("/images/{0}/tag", reference, params={"repo": repository, "tag": tag}),
        )

    def remove_image(self, reference: str) -> bool:
        """Remove an image or one of its tags; return False where a container or another image still needs it."""
        try:
            self.ask(f"removing the image {reference}", lambda: self.client.delete_call("/images/{0}", reference))
        except Missing:
            return True
        except EngineError as error:
            if "conflict" in str(error).lower() or "in use" in str(error) or "using" in str(error):
                return False
            raise
        return True

    def publishers(self, port: int) -> list[str]:
        """Return the names of running containers that publish a host port."""
        with contextlib.suppress(EngineError):
            return [
                container["Names"][0].lstrip("/")
                for container in self.ask("list of containers", lambda: self.client.get_json("/containers/json"))
                if any(published.get("PublicPort") == port for published in container.get("Ports") or [])
            ]
        return []


def demultiplex(raw: bytes) -> bytes:
    """Return the payload of the Engine's multiplexed stream (8 bytes of header before each piece), or raw bytes as they are."""
    out = bytearray()
    position = 0
    while position + 8 <= len(raw):
        if raw[position] > 2 or raw[position + 1 : position + 4] != b"\0\0\0":
            return raw
        size = int.from_bytes(raw[position + 4 : position + 8], "big")
        out += raw[position + 8 : position + 8 + size]
        position += 8 + size
    return bytes(out)


def _filters(labels: Mapping[str, str], extra: Mapping[str, Iterable[str]] | None = None) -> str:
    return json.dumps({"label": [f"go-service.{name}={value}" for name, value in labels.items()], **(extra or {})})
