"""The Docker Engine of the target: every call to it, through the Docker SDK for Python.

If the Engine is away, for instance because its daemon is restarted, calls that may be repeated wait until it is back, and go on.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

from ..common.failure import DISK_FULL, Problem
from ..common.names import LABELS
from ..common.stages import ENGINE
from .address import Address, AddressError, find
from .records import limits_not_held, parse_time

try:
    import docker
    import requests
    from docker.errors import APIError, DockerException, NotFound, create_api_error_from_http_exception
    from docker.tls import TLSConfig
    from requests.exceptions import ConnectionError as EngineGone
    from requests.exceptions import RequestException, Timeout
    from urllib3.exceptions import ProtocolError as BrokenStream
except ImportError as error:
    MISSING_LIBRARY = (
        f"the Python that runs modules here, {sys.executable}, has no Docker SDK for Python ({error}): install the distribution's package"
        f" python3-docker, or run {sys.executable} -m pip install docker, or set ansible_python_interpreter to a Python that has it"
    )
else:
    MISSING_LIBRARY = ""

T = TypeVar("T")

# The oldest Engine the role speaks to is 20.10.
OLDEST_API = (1, 41)
# What Podman's service says that it is, and what the role misses there (docs/engines.md).
PODMAN = "Podman Engine"
PODMAN_LACKS = "an image that is built by it shows no health check, without which no new version can be proven"
# How long a call may wait for its answer, and how long it waits for an Engine that is away, in seconds.
TIMEOUT = 60
PATIENCE = 60.0
POLL = 0.1
# How long the Engine may be silent while it loads or pulls an image, or counts what is on the disk, in seconds.
TRANSFER_TIMEOUT = 900
# If a look at a container takes longer than this, in seconds, it had to wait for the Engine: with systemd's socket, a restart can be noticed only so.
STALL = 1.0
# The id of an image that does not exist.
_NO_IMAGE = f"sha256:{'0' * 64}"
# An archive without files ends with two empty blocks.
_EMPTY_CONTEXT = b"\0" * 1024


class EngineError(Problem):
    """The Engine refused, or cannot be reached."""

    def __init__(self, message: str) -> None:
        super().__init__(message, DISK_FULL if "no space left on device" in message else "")

    remedy = "Look at the Engine's log (journalctl -u docker, docker info), correct the cause, run again."


class Missing(EngineError):
    """The Engine has no such container, image or network."""


class EngineUnreachable(EngineError):
    """No Engine answers at all, or a library for it is missing.

    status: as in the module engine_info; asked: the address, None if none could be found out.
    """

    stage = ENGINE
    remedy = (
        "Start the Engine of the host (systemctl start docker, or the role docker_engine), make sure that the user of this play may use its socket and "
        "that DOCKER_HOST, if it is set, names it; then run again."
    )

    def __init__(self, message: str, status: str = "unusable", asked: Address | None = None) -> None:
        super().__init__(message)
        self.status, self.asked = status, asked


class Engine:
    """The calls of the role, by name. All of them raise EngineError with the Engine's own message.

    address: of the Engine. calls: how many were made so far. interruptions: how often the Engine was away, or slow to answer, so far.
    """

    def __init__(self, docker_host: str = "", timeout: float = TIMEOUT, patience: float = PATIENCE) -> None:
        """Connect at once; docker_host: an address to use instead of the one that the environment or a docker context names."""
        try:
            self.address = find(docker_host)
        except AddressError as error:
            raise EngineUnreachable(str(error)) from error
        self.calls = self.interruptions = 0
        self._patience = patience
        self._client = self._connect(timeout)

    def _connect(self, timeout: float) -> docker.APIClient:
        asked, status = self.address, self.address.listener()
        where = f"{asked.docker_host} ({asked.named_by})"
        if status == "absent":
            raise EngineUnreachable(f"nobody listens at {where}", status, asked)
        if status == "denied":
            raise EngineUnreachable(f"permission denied at {where}", status, asked)
        if MISSING_LIBRARY:
            raise EngineUnreachable(MISSING_LIBRARY, "no_library", asked)
        try:
            tls = _tls(asked) if asked.tls else False
            client = self._call(lambda: docker.APIClient(asked.docker_host, version="auto", timeout=timeout, tls=tls, use_ssh_client=True))
        # Besides its own errors, the SDK also raises those of requests, of ssl and of reading its configuration.
        except Exception as error:
            chain = list(_chain(error))
            silent = status == "present" and any(isinstance(link, (EngineGone, Timeout)) for link in chain)
            raise EngineUnreachable(f"no usable Engine at {where}: {_words(chain)}", "silent" if silent else "unusable", asked) from error
        if _numbers(client.api_version) < OLDEST_API:
            oldest = ".".join(map(str, OLDEST_API))
            raise EngineUnreachable(
                f"the Engine at {where} speaks API {client.api_version} at most, and {oldest} is needed: upgrade it to 20.10 or newer",
                asked=asked,
            )
        return client

    @property
    def api_version(self) -> tuple[int, int]:
        """The API version that is used, the newest that the Engine supports, as numbers."""
        return _numbers(self._client.api_version)

    def close(self) -> None:
        """Close the connections that are kept open; the next call opens a new one."""
        self._client.close()

    def _call(self, call: Callable[[], T]) -> T:
        """Make one call. Every call to the Engine goes through here, so this is the place to count calls, or to make one fail."""
        self.calls += 1
        return call()

    def _ask(self, what: str, call: Callable[[], T], patience: float | None = None) -> T:
        """Make one call; if the Engine is away, wait for it and make the call again."""
        patience = self._patience if patience is None else patience
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._call(call)
            except NotFound as error:
                raise Missing(f"{what}: {error.explanation or error}") from error
            except APIError as error:
                raise EngineError(f"{what}: {error.explanation or error}") from error
            except (EngineGone, BrokenStream) as error:
                self.interruptions += 1
                if time.monotonic() > deadline:
                    message = f"{what}: the Engine did not come back within {patience:.0f} s: {error}"
                    raise EngineUnreachable(message, asked=self.address) from error
                time.sleep(POLL)
            except (RequestException, DockerException) as error:
                raise EngineError(f"{what}: {error}") from error

    def _send(self, method: str, path: str, name: str = "", **how: Any) -> requests.Response:
        """Send a request for which the SDK has no suitable method, and return the answer; path: with {} for `name`."""
        how.setdefault("timeout", self._client.timeout)
        url = f"{self._client.base_url}/v{self._client.api_version}{path.format(quote(name, safe='/:'))}"
        response = self._client.request(method, url, **how)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise create_api_error_from_http_exception(error) from error
        return response

    def _read(self, what: str, path: str, name: str, read: Callable[[IO[bytes]], T], query: Mapping[str, str] | None = None) -> T:
        """Let a function read an answer of any size as a stream; if the stream is interrupted, again from its beginning."""

        def call() -> T:
            # Otherwise the Engine would send the archive of a file compressed.
            plain = {"Accept-Encoding": "identity"}
            with contextlib.closing(self._send("GET", path, name, stream=True, params=query, headers=plain)) as response:
                return read(response.raw)

        return self._ask(what, call)

    def version(self) -> dict[str, Any]:
        """Return the Engine's version record; raise EngineUnreachable if it is Podman's."""
        told = self._ask("version", self._client.version)
        podman = next((part["Version"] for part in told.get("Components") or () if part["Name"] == PODMAN), "")
        if podman:
            raise EngineUnreachable(
                f"at {self.address.docker_host} ({self.address.named_by}) Podman {podman} answers in the place of a Docker Engine: {PODMAN_LACKS}. "
                "Name the socket of a Docker Engine (DOCKER_HOST, or docker context use), or install one on a host without Podman's socket",
                asked=self.address,
            )
        return told

    def info(self) -> dict[str, Any]:
        """Return the Engine's system record."""
        return self._ask("info", self._client.info)

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return an image's record, None if there is no such image."""
        try:
            return self._ask(f"image {reference}", lambda: self._client.inspect_image(reference))
        except Missing:
            return None

    def read_image(self, reference: str, read: Callable[[IO[bytes]], T]) -> T:
        """Let a function read an image's archive, in the form of `docker save`, as a stream."""
        return self._read(f"archive of {reference}", "/images/{}/get", reference, read)

    def load_image(self, archive: Path) -> str:
        """Load an archive of images, and return the Engine's messages; raise EngineError with its message if it refuses."""

        def call() -> str:
            with archive.open("rb") as data:
                headers = {"Content-Type": "application/x-tar"}
                return str(
                    self._send("POST", "/images/load", params={"quiet": 1}, data=data, headers=headers, timeout=TRANSFER_TIMEOUT).text
                )

        what = "loading an image"
        return _last_words(what, self._ask(what, call))

    def push_image(self, repository: str, tag: str, credentials: Mapping[str, str]) -> str:
        """Push a tag to its registry and return the digest that it has there; credentials: "username" and "password", {} for those of `docker login`."""

        def call() -> list[dict[str, Any]]:
            asked = {"auth_config": dict(credentials)} if credentials else {}
            return list(self._client.push(repository, tag, stream=True, decode=True, **asked))

        what = f"pushing {repository}:{tag}"
        said = self._ask(what, call)
        refuse = next((line["error"] for line in said if line.get("error")), "")
        digest = next((line["aux"]["Digest"] for line in said if (line.get("aux") or {}).get("Digest")), "")
        if refuse or not digest:
            raise EngineError(f"{what}: {refuse or 'the Engine tells no digest of what it pushed'}")
        return str(digest)

    def pull_image(self, repository: str, digest: str, credentials: Mapping[str, str]) -> None:
        """Pull an image by its digest from a registry; credentials: as for `push_image`."""

        def call() -> list[dict[str, Any]]:
            asked = {"auth_config": dict(credentials)} if credentials else {}
            return list(self._client.pull(repository, tag=digest, stream=True, decode=True, **asked))

        what = f"pulling {repository}@{digest}"
        refuse = next((line["error"] for line in self._ask(what, call) if line.get("error")), "")
        if refuse:
            raise EngineError(f"{what}: {refuse}")

    def login_of(self, registry: str) -> dict[str, str]:
        """Return "username" and "password" that `docker login` keeps for a registry, {} for none."""
        found = docker.auth.resolve_authconfig(self._client._auth_configs, registry) or {}
        return {kept: str(found.get(kept) or found.get(kept.title()) or "") for kept in ("username", "password")} if found else {}

    def container(self, name: str) -> dict[str, Any] | None:
        """Return a container's record by name or id, None if there is none.

        The Engine also accepts the first digits of an id: a service with the name "cafe" is not the container whose id begins with these digits.
        """
        began = time.monotonic()
        try:
            found = self._ask(f"container {name}", lambda: self._client.inspect_container(name))
            return found if name in (found["Name"].lstrip("/"), found["Id"], found["Id"][:12]) else None
        except Missing:
            return None
        finally:
            self.interruptions += time.monotonic() - began > STALL

    def stats(self, name: str) -> dict[str, Any]:
        """Return one reading of a container's resources, without the second reading that would be needed for a rate."""
        params = {"stream": 0, "one-shot": 1}
        return self._ask(f"stats of {name}", lambda: self._send("GET", "/containers/{}/stats", name, params=params).json())

    def read_files(self, name: str, read: Callable[[IO[bytes]], T]) -> T:
        """Let a function read a container's file system, in the form of `docker export`, as a stream."""
        return self._read(f"files of {name}", "/containers/{}/export", name, read)

    def read_path(self, name: str, path: str, read: Callable[[IO[bytes]], T]) -> T:
        """Have a path of a container, running or not and with what is mounted there, read as an archive; raise Missing if it is not there."""
        return self._read(f"{path} of {name}", "/containers/{}/archive", name, read, {"path": path})

    def write_path(self, name: str, path: str, archive: bytes) -> None:
        """Unpack an archive into a directory of a container, running or not and with what is mounted there; owners are numbers as the container has them."""
        self._ask(f"{path} of {name}", lambda: self._send("PUT", "/containers/{}/archive", name, params={"path": path}, data=archive))

    def has_path(self, path: str) -> bool:
        """Say whether a path that should be mounted exists on the Engine's own machine (perhaps not this one), tested with the Engine's rights.

        The Engine refuses to mount a path that does not exist before it looks for the image, which does not exist either: so nothing is created.
        """
        mount = {"Type": "bind", "Source": path, "Target": "/there", "ReadOnly": True}
        body = {"Image": _NO_IMAGE, "HostConfig": {"Mounts": [mount]}}
        try:
            self._ask(f"the path {path}", lambda: self._client.create_container_from_config(body))
        except Missing:
            return True
        except EngineError as error:
            if "does not exist" in str(error):
                return False
            raise
        raise AssertionError(f"an Engine has the image {_NO_IMAGE}")

    @functools.cached_property
    def limits_not_held(self) -> tuple[str, ...]:
        """The limits for which the Engine's kernel has no controller, by the names of their variables."""
        return limits_not_held(self.info())

    @functools.cached_property
    def is_rootless(self) -> bool:
        """Whether the Engine runs as an ordinary user, with its containers in a network of that user's own."""
        return "name=rootless" in (self.info().get("SecurityOptions") or [])

    def network_exists(self, name: str) -> bool:
        """Say whether a network of that name exists."""
        try:
            self._ask(f"network {name}", lambda: self._client.inspect_network(name))
        except Missing:
            return False
        return True

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return the list records of all containers, stopped ones too, that carry the labels."""
        return self._ask("list of containers", lambda: self._client.containers(all=True, filters=_filters(labels)))

    def images(self, dangling: bool | None = None, **labels: str) -> list[dict[str, Any]]:
        """Return the list records of images that carry the labels; dangling: only untagged ones, or only tagged ones."""
        extra = {} if dangling is None else {"dangling": dangling}
        return self._ask("list of images", lambda: self._client.images(filters={**_filters(labels), **extra}))

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its id.

        Its NetworkingConfig has the networks other than that of its NetworkMode: an Engine before 25 accepts only one network with the request.
        """
        asked = dict(body)
        further = asked.pop("NetworkingConfig", {}).get("EndpointsConfig", {})
        interruptions = self.interruptions
        try:
            made = self._ask(f"creating the container {name}", lambda: self._client.create_container_from_config(asked, name)["Id"])
        except EngineError:
            found = self._made_already(name, asked) if self.interruptions > interruptions else ""
            if not found:
                raise
            made = found
        try:
            for network in further:
                connect = functools.partial(self._client.connect_container_to_network, made, network)
                self._ask(f"connecting {name} to the network {network}", connect)
        except EngineError:
            self.remove(made)
            raise
        return made

    def _made_already(self, name: str, asked: Mapping[str, Any]) -> str:
        """Return the id of a container that a request made whose answer was lost, "" if there is none: the request that followed is refused."""
        with contextlib.suppress(EngineError):
            found = self.container(name) or {"State": {}, "Config": {}}
            labels = (found["Config"].get("Labels") or {}).items()
            if found["State"].get("Status") == "created" and (asked.get("Labels") or {}).items() <= labels:
                return str(found["Id"])
        return ""

    def start(self, name: str) -> None:
        """Start a container; a running one is not changed."""
        self._ask(f"starting the container {name}", lambda: self._client.start(name))

    def stop(self, name: str, timeout: int) -> None:
        """Stop a container, and kill it after `timeout` seconds; a stopped one is not changed."""
        self._ask(f"stopping the container {name}", lambda: self._client.stop(name, timeout))

    def rename(self, name: str, new_name: str) -> None:
        """Rename a container, by its id; it is no error if it already has the name, because the Engine's answer to an earlier request was lost."""
        try:
            self._ask(f"renaming the container {name}", lambda: self._client.rename(name, new_name))
        except EngineError:
            with contextlib.suppress(EngineError):
                if (self.container(name) or {}).get("Name") == f"/{new_name}":
                    return
            raise

    def set_restart_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Change a container's restart policy without touching the container otherwise."""
        self._ask(f"changing the restart policy of {name}", lambda: self._client.update_container(name, restart_policy=dict(policy)))

    def remove(self, name: str) -> None:
        """Remove a container, running or not; it is no error if it does not exist."""
        try:
            self._ask(f"removing the container {name}", lambda: self._client.remove_container(name, v=True, force=True))
        except Missing:
            return
        except EngineError as error:
            if "already in progress" not in str(error):
                raise
            self.wait_until_gone(name)

    def wait_until_gone(self, name: str, seconds: float = 30.0) -> None:
        """Wait until a container that is being removed is gone; raise EngineError if it stays."""
        deadline = time.monotonic() + seconds
        while self.container(name):
            if time.monotonic() > deadline:
                raise EngineError(f"the container {name} is still there after {seconds:.0f} s")
            time.sleep(POLL)

    def logs(self, name: str, lines: int = 20) -> list[str]:
        """Return the last log lines of a container, both streams, empty if it is gone."""
        params = {"stdout": 1, "stderr": 1, "tail": lines}
        try:
            raw = self._ask(f"logs of {name}", lambda: self._send("GET", "/containers/{}/logs", name, params=params).content)
        except EngineError:
            return []
        return [line for line in demultiplex(raw).decode(errors="replace").splitlines() if line.strip()]

    def last_exit(self, container: Mapping[str, Any]) -> int:
        """Return the exit code with which a container ended last, also if the Engine has restarted it since, after which its record no longer has the code."""
        codes = [event["Actor"]["Attributes"].get("exitCode", "") for event in self.happenings(container, "die")]
        return int(codes[-1]) if codes and codes[-1] else container["State"]["ExitCode"]

    def happenings(self, container: Mapping[str, Any], *kinds: str) -> list[dict[str, Any]]:
        """Return the Engine's events of these kinds ("die", "kill", "oom") of a container, the oldest first; it keeps the last 256 of all."""
        query = {
            "since": f"{parse_time(container['Created']):.9f}",
            "until": f"{time.time():.9f}",
            "filters": json.dumps({"container": [container["Id"]], "event": list(kinds)}),
        }
        text = self._ask("events", lambda: self._send("GET", "/events", params=query).content).decode(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """Run a command in a running container as its own user and return (exit code, output).

        A command that takes longer than `timeout` seconds counts as failed (exit code -1), as in a health check; so does one
        that cannot run since the container has stopped.
        """

        def start() -> bytes:
            if self.address.docker_host.startswith("ssh://"):
                # Over ssh, newer releases of the SDK lose an answer without a length, like this one: they end ssh as soon as its head was read.
                return b"".join(self._client.exec_start(execution["Id"], stream=True))
            how = {"json": {"Detach": False, "Tty": False}, "timeout": timeout + 1}
            return demultiplex(self._send("POST", "/exec/{}/start", execution["Id"], **how).content)

        try:
            execution = self._ask(f"health check in {name}", lambda: self._client.exec_create(name, command))
            # Not repeated if the Engine goes away, since the command may have run.
            output = self._ask(f"health check in {name}", lambda: _within(timeout, start), patience=0)
            code = self._ask("health check", lambda: self._client.exec_inspect(execution["Id"]))["ExitCode"]
        except TimeoutError:
            return -1, f"no answer within {timeout:g} s"
        except EngineError as error:
            return -1, str(error)
        return (-1 if code is None else code), output.decode(errors="replace").strip()

    def run_unheard(self, name: str, command: list[str]) -> None:
        """Start a command in a running container as its own user; nobody waits for it, or learns that it cannot run."""
        what = f"a command in {name}"
        with contextlib.suppress(EngineError):
            made = self._ask(what, lambda: self._client.exec_create(name, command, stdout=False, stderr=False))
            self._ask(what, lambda: self._client.exec_start(made["Id"], detach=True), patience=0)

    def ask_classic_builder(self) -> tuple[int, str]:
        """Ask the classic builder to build from an empty context, which makes nothing; return (status, words) of the answer, status 0 for success."""
        try:
            headers = {"Content-Type": "application/x-tar"}
            return 0, self._ask("build", lambda: self._send("POST", "/build", data=_EMPTY_CONTEXT, headers=headers)).text
        except EngineUnreachable:
            raise
        except EngineError as error:
            return getattr(error.__cause__, "status_code", 0), str(error)

    def tag(self, reference: str, repository: str, tag: str) -> None:
        """Give an image a further tag; the tag moves if it was on another image."""
        self._ask(f"tagging {reference}", lambda: self._client.tag(reference, repository, tag))

    def remove_image(self, reference: str) -> bool:
        """Remove an image or one of its tags; return False if a container or another image still needs it."""
        try:
            self._ask(f"removing the image {reference}", lambda: self._client.remove_image(reference))
        except Missing:
            return True
        except EngineError as error:
            if "conflict" in str(error).lower() or "in use" in str(error) or "using" in str(error):
                return False
            raise
        return True

    def build_caches(self) -> list[dict[str, Any]]:
        """Return the Engine's records of the directories that BuildKit keeps from one build to the next."""
        # An Engine before API 1.42 does not know `type`, and counts all that is on the disk, also every file of every volume.
        params = {"type": "build-cache"}
        found = self._ask("what builds keep", lambda: self._send("GET", "/system/df", params=params, timeout=TRANSFER_TIMEOUT).json())
        caches = found.get("BuildCache") or []
        return [cache for cache in caches if cache.get("Type") == "exec.cachemount"]

    def remove_build_cache(self, cache: str) -> None:
        """Remove one of these directories; one that a build uses stays."""
        wanted = {"all": "1", "filters": json.dumps({"id": {cache: True}})}
        self._ask("removing what builds keep", lambda: self._send("POST", "/build/prune", params=wanted))

    def history(self, reference: str) -> list[dict[str, Any]]:
        """Return the steps with which an image was made, the last one first, from the Engine: `CreatedBy`, the instruction, and `Size` in bytes."""
        return self._ask(f"history of {reference}", lambda: self._client.history(reference))

    def volumes(self, label: str, value: str) -> list[dict[str, Any]]:
        """Return the volumes that carry a label."""
        found = self._ask("list of volumes", lambda: self._client.volumes(filters={"label": [f"{label}={value}"]}))
        return found.get("Volumes") or []

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an empty volume; an existing one is not changed."""
        self._ask(f"creating the volume {name}", lambda: self._client.create_volume(name, labels=dict(labels)))

    def remove_volume(self, name: str) -> None:
        """Remove a volume; it is no error if it does not exist."""
        with contextlib.suppress(Missing):
            self._ask(f"removing the volume {name}", lambda: self._client.remove_volume(name))

    def publishers(self, port: int, beside: str = "") -> dict[str, str]:
        """Return the host addresses at which running containers publish a host port, each with the container's name; beside: one that does not count."""
        with contextlib.suppress(EngineError):
            return {
                published.get("IP") or "0.0.0.0": name
                for container in self._ask("list of containers", self._client.containers)
                for published in container.get("Ports") or []
                if published.get("PublicPort") == port and (name := container["Names"][0].lstrip("/")) != beside
            }
        return {}


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


def _last_words(what: str, printed: str) -> str:
    """Return what the Engine said while it worked, a line each; raise EngineError if it ended in an error."""
    said = []
    for line in filter(None, map(str.strip, printed.splitlines())):
        words = json.loads(line)
        if words.get("error"):
            raise EngineError(f"{what}: {words['error']}")
        said.append(str(words.get("stream") or "").strip())
    return "\n".join(said)


def _filters(labels: Mapping[str, str]) -> dict[str, list[str]]:
    return {"label": [f"{LABELS}{name}={value}" for name, value in labels.items()]}


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Make a call with a time limit; raise TimeoutError after it. A connection over ssh itself has no time limit, others have one for each piece."""
    outcome: list[tuple[T | None, Exception | None]] = []

    def work() -> None:
        try:
            outcome.append((call(), None))
        except Exception as error:  # The waiting thread raises it.
            outcome.append((None, error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    if not outcome:
        raise TimeoutError
    result, error = outcome[0]
    if error:
        raise error
    return result  # type: ignore[return-value]


def _tls(where: Address) -> TLSConfig:
    """Return the TLS settings for an address."""

    class Adapter(requests.adapters.HTTPAdapter):
        """Expects another name in the Engine's certificate than that of its address."""

        def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
            super().init_poolmanager(*sizes, **options, assert_hostname=where.hostname)

    class Config(TLSConfig):
        """Adds functions that some releases of the SDK lack."""

        def configure_client(self, client: docker.APIClient) -> None:
            super().configure_client(client)
            # The certificate authorities that REQUESTS_CA_BUNDLE names for the web would replace that of the Engine.
            client.trust_env = False
            if where.hostname:
                client.mount("https://", Adapter())

    return Config(client_cert=(where.cert, where.key) if where.cert else None, ca_cert=where.ca or None, verify=where.verify)


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    """Return an error and the errors that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(chain: list[BaseException]) -> str:
    """Return why there was no connection: the first error, from the system, or else the last one, from the SDK."""
    if "paramiko" in str(chain[0]):
        return (
            f"the Docker SDK for Python speaks ssh only where {sys.executable} has paramiko too, although the program ssh connects: install the"
            f" distribution's package python3-paramiko, or run {sys.executable} -m pip install paramiko"
        )
    if "URL scheme http+docker" in str(chain[0]):
        return (
            f"the Docker SDK for Python {docker.__version__} does not work with requests {requests.__version__}, both of {sys.executable}:"
            f" upgrade it ({sys.executable} -m pip install --upgrade docker)"
        )
    refused = next((link for link in chain if isinstance(link, APIError)), None)
    if refused is not None and refused.explanation:
        return f"it answers {refused.status_code}: {refused.explanation}"
    return str(next((link for link in reversed(chain) if isinstance(link, OSError) and str(link)), chain[0]))
