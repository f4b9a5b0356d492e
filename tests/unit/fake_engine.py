"""A Docker Engine without containers: the real one's API, names, rules and errors over a unix socket, for what no real one can be made to do at will.

It answers as Engine 20.10 does (API 1.41, https://docs.docker.com/reference/api/engine/version/v1.41/), as far as the role asks; that the
answers are alike is held by tests/unit/project/test_fake_engine.py. What an image does when it is run, its label `fake.kind` says:

- `good`     answers on its port, and passes its health check
- `sick`     runs, answers by an error, and never passes its health check
- `exits`    exits with code 3 as soon as it is started; the Engine restarts it where its policy says so
- `late`     is good as a candidate, and sick once it has a host port

A container listens for real, at its published port and, on an address of this machine's loopback network, at the ports that it exposes but for those
in its label `fake.silent`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import http.server
import itertools
import json
import os
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

VERSION, API = "20.10.24", "1.41"
NEVER = "0001-01-01T00:00:00Z"
KIND, SILENT = "fake.kind", "fake.silent"
JSON, RAW = "application/json", "application/vnd.docker.raw-stream"
EXIT_CODE = 3


def now() -> str:
    """Return the time as the Engine writes it."""
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


class Refused(Exception):
    """The Engine refuses: a status and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class State:
    """All that the Engine knows; what is restored is a copy of it. changes: how often anything of it was changed."""

    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {"Name": name} for name in ("bridge", "host", "none")})
    execs: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0
    changes: int = 0


@dataclass
class Answer:
    """What the Engine answers: a status, and a document or raw bytes."""

    status: int = 200
    body: Any = None
    kind: str = JSON

    def content(self) -> bytes:
        """Return the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode() + b"\n"


@dataclass
class Fault:
    """What becomes of request number `at`, the first one is 0.

    how: "refuse", status 500; "hold", no answer at all; "cut", the connection ends in the midst of the answer, "lost", before it. after: once the
    request took effect.
    """

    at: int
    how: str
    after: bool = False


def frame(text: str) -> bytes:
    """Return what a container printed as the Engine sends it."""
    return bytes([1, 0, 0, 0]) + len(text.encode()).to_bytes(4, "big") + text.encode() if text else b""


class Listener:
    """A container's ear at one address: answers each request with a status and the container's id."""

    def __init__(self, address: str, port: int, status: str, said: str) -> None:
        self.place = f"{address}:{port}"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((address, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.listen()
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n{said}".encode()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(self._answer)

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Rules:
    """The state, and what each call of the API does to it."""

    def __init__(self) -> None:
        self.state = State()
        self.listeners: dict[str, list[Listener]] = {}
        # So that several of them find each an address of its own.
        self._network = f"127.{os.getpid() >> 8 & 127 | 128}.{os.getpid() & 255}"

    # The state as a whole

    def snapshot(self) -> State:
        """Return the state as it is."""
        return copy.deepcopy(self.state)

    def restore(self, state: State) -> None:
        """Be in a state that was before."""
        for name in list(self.listeners):
            self._deafen(name)
        self.state = copy.deepcopy(state)
        for container in self.state.containers.values():
            if container["State"]["Status"] == "running":
                self._listen(container)

    def close(self) -> None:
        """End all containers."""
        self.restore(State())

    def _changed(self) -> None:
        self.state.changes += 1

    def _identity(self) -> str:
        self.state.number += 1
        return hashlib.sha256(str(self.state.number).encode()).hexdigest()

    def _happened(self, container: Mapping[str, Any], action: str, **attributes: str) -> None:
        actor = {"ID": container["Id"], "Attributes": {"name": container["Name"][1:], **attributes}}
        self.state.events.append({"Type": "container", "Action": action, "Actor": actor, "timeNano": time.time_ns()})

    # Images

    def add_image(
        self,
        *references: str,
        config: Mapping[str, Any] | None = None,
        kind: str = "good",
        parent: str = "",
        steps: tuple[str, ...] = (),
        archive: bytes = b"",
        **record: Any,
    ) -> str:
        """Put an image there as a build does, and return its id. steps: its instructions, the last one first; archive: as docker save writes it."""
        image_id = f"sha256:{self._identity()}"
        held = dict(config or {})
        held["Labels"] = {**(held.get("Labels") or {}), KIND: kind}
        made = {
            "Id": image_id,
            "Parent": parent,
            "RepoTags": [],
            "RepoDigests": [],
            "Created": f"2026-01-01T00:00:{self.state.number % 60:02d}.{self.state.number:09d}Z",
            "Architecture": "amd64",
            "Os": "linux",
            "Size": len(archive),
            "RootFS": {"Type": "layers", "Layers": []},
            "Config": held,
            **record,
        }
        self.state.images[image_id] = {"record": made, "steps": list(steps), "archive": archive}
        for reference in references:
            self._move_tag(reference, image_id)
        self._changed()
        return image_id

    def _move_tag(self, reference: str, image_id: str) -> None:
        for image in self.state.images.values():
            image["record"]["RepoTags"] = [tag for tag in image["record"]["RepoTags"] if tag != reference]
        self.state.images[image_id]["record"]["RepoTags"].append(reference)
        self.state.images[image_id]["record"]["RepoTags"].sort()

    def _image(self, reference: str) -> dict[str, Any] | None:
        found = self.state.images.get(reference) or self.state.images.get(f"sha256:{reference}")
        if found:
            return found
        tagged = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        for image in self.state.images.values():
            if tagged in image["record"]["RepoTags"]:
                return image
        short = reference[len("sha256:") :] if reference.startswith("sha256:") else reference
        if re.fullmatch("[0-9a-f]{4,64}", short):
            return next((image for image_id, image in self.state.images.items() if image_id[7:].startswith(short)), None)
        return None

    def _get_image(self, reference: str) -> dict[str, Any]:
        found = self._image(reference)
        if found is None:
            raise Refused(404, f"No such image: {reference}")
        return found

    def _children(self, image_id: str) -> bool:
        return any(image["record"]["Parent"] == image_id for image in self.state.images.values())

    def _users(self, image_id: str, running: bool | None = None) -> list[dict[str, Any]]:
        found = [container for container in self.state.containers.values() if container["Image"] == image_id]
        return [container for container in found if running is None or container["State"]["Running"] == running]

    def image_inspect(self, name: str, /, **_query: str) -> Answer:
        """GET /images/{name}/json."""
        found = self._image(name)
        if found is None:
            raise Refused(404, f"no such image: {name}: No such image: {name}")
        return Answer(body=found["record"])

    def image_list(self, filters: str = "{}", **_query: str) -> Answer:
        """GET /images/json: without those that are but the parents of others."""
        wanted = json.loads(filters)
        found = []
        for image in self.state.images.values():
            record = image["record"]
            untagged = not record["RepoTags"]
            if untagged and self._children(record["Id"]):
                continue
            dangling = next(iter(wanted.get("dangling") or []), None)
            if dangling is not None and untagged != (str(dangling).lower() in ("true", "1")):
                continue
            labels = record["Config"].get("Labels") or {}
            if _labelled(labels, wanted):
                found.append(
                    {
                        "Id": record["Id"],
                        "ParentId": record["Parent"],
                        "RepoTags": record["RepoTags"] or ["<none>:<none>"],
                        "RepoDigests": record["RepoDigests"] or (["<none>@<none>"] if untagged else None),
                        "Created": int(datetime.fromisoformat(record["Created"][:19] + "+00:00").timestamp()),
                        "Size": record["Size"],
                        "Labels": labels or None,
                        "Containers": -1,
                    }
                )
        return Answer(body=found)

    def image_history(self, name: str, /, **_query: str) -> Answer:
        """GET /images/{name}/history: the last instruction first."""
        image = self._get_image(name)
        ids = [image["record"]["Id"], *["<missing>"] * len(image["steps"])]
        return Answer(body=[{"Id": one, "Created": 0, "CreatedBy": step, "Size": 0} for one, step in zip(ids, image["steps"])])

    def image_get(self, name: str, /, **_query: str) -> Answer:
        """GET /images/{name}/get."""
        return Answer(body=self._get_image(name)["archive"], kind="application/x-tar")

    def image_tag(self, name: str, /, repo: str = "", tag: str = "latest", **_query: str) -> Answer:
        """POST /images/{name}/tag: moves the tag from where it stood."""
        image = self._get_image(name)
        self._move_tag(f"{repo}:{tag}", image["record"]["Id"])
        self._changed()
        return Answer(201)

    def image_remove(self, name: str, /, force: str = "", **_query: str) -> Answer:
        """DELETE /images/{name}, by the rules of moby's daemon/images/image_delete.go."""
        image = self._get_image(name)
        record, short = image["record"], image["record"]["Id"][7:19]
        forced = force in ("1", "true", "True")
        by_id = name.replace("sha256:", "") in (record["Id"][7:], short) or record["Id"][7:].startswith(name)
        deleted: list[dict[str, str]] = []
        untagged = False
        if not by_id:
            reference = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
            users = self._users(record["Id"])
            if not forced and len(record["RepoTags"]) == 1 and users:
                words = f"container {users[0]['Id'][:12]} is using its referenced image {short}"
                raise Refused(409, f'conflict: unable to remove repository reference "{name}" (must force) - {words}')
            record["RepoTags"].remove(reference)
            self._changed()
            deleted.append({"Untagged": reference})
            untagged = True
            if record["RepoTags"]:
                return Answer(body=deleted)
        elif len(record["RepoTags"]) == 1:
            self._refuse_conflict(record, forced, tags=False)
            deleted += [{"Untagged": tag} for tag in record["RepoTags"]]
            record["RepoTags"] = []
        self._delete(record, forced, untagged, deleted)
        return Answer(body=deleted)

    def _refuse_conflict(self, record: Mapping[str, Any], forced: bool, tags: bool = True) -> None:
        short = record["Id"][7:19]
        running, stopped = self._users(record["Id"], True), self._users(record["Id"], False)
        hard = f"conflict: unable to delete {short} (cannot be forced) - image"
        soft = f"conflict: unable to delete {short} (must be forced) - image"
        if self._children(record["Id"]):
            raise Refused(409, f"{hard} has dependent child images")
        if running:
            raise Refused(409, f"{hard} is being used by running container {running[0]['Id'][:12]}")
        if not forced and tags and len(record["RepoTags"]) > 1:
            raise Refused(409, f"{soft} is referenced in multiple repositories")
        if not forced and stopped:
            raise Refused(409, f"{soft} is being used by stopped container {stopped[0]['Id'][:12]}")

    def _delete(self, record: dict[str, Any], forced: bool, quiet: bool, deleted: list[dict[str, str]]) -> None:
        dangling = not record["RepoTags"] and not self._children(record["Id"])
        try:
            self._refuse_conflict(record, forced)
        except Refused:
            if quiet and (not dangling or self._users(record["Id"])):
                return
            raise
        deleted += [{"Untagged": tag} for tag in record["RepoTags"]]
        del self.state.images[record["Id"]]
        self._changed()
        deleted.append({"Deleted": record["Id"]})
        parent = self.state.images.get(record["Parent"])
        if parent and not parent["record"]["RepoTags"]:
            self._delete(parent["record"], False, True, deleted)

    # Containers

    def _find(self, name: str) -> dict[str, Any] | None:
        exact = next((one for one in self.state.containers.values() if name in (one["Id"], one["Name"][1:])), None)
        if exact or not re.fullmatch("[0-9a-f]+", name):
            return exact
        return next((one for one in self.state.containers.values() if one["Id"].startswith(name)), None)

    def _get(self, name: str) -> dict[str, Any]:
        found = self._find(name)
        if found is None:
            raise Refused(404, f"No such container: {name}")
        return found

    def _free(self, name: str) -> None:
        holder = next((one for one in self.state.containers.values() if one["Name"] == f"/{name}"), None)
        if holder:
            raise Refused(
                409,
                f'Conflict. The container name "/{name}" is already in use by container "{holder["Id"]}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )

    def container_create(self, body: dict[str, Any], name: str = "", **_query: str) -> Answer:
        """POST /containers/create."""
        image = self._get_image(body["Image"])
        self._free(name)
        container_id = self._identity()
        from_image, host = image["record"]["Config"], dict(body.get("HostConfig") or {})
        config = {key: value for key, value in body.items() if key not in ("HostConfig", "NetworkingConfig")}
        check = {name: value for part in (from_image, config) for name, value in (part.get("Healthcheck") or {}).items() if value}
        host["RestartPolicy"] = {"Name": "", "MaximumRetryCount": 0, **(host.get("RestartPolicy") or {})}
        host.setdefault("NetworkMode", "default")
        for key in ("Binds", "CapAdd", "CapDrop", "SecurityOpt", "PidsLimit", "PortBindings"):
            host.setdefault(key, None)
        for key in ("Memory", "NanoCpus", "ReadonlyRootfs"):
            host.setdefault(key, False if key == "ReadonlyRootfs" else 0)
        self.state.containers[container_id] = {
            "Id": container_id,
            "Name": f"/{name}",
            "Created": now(),
            "Image": image["record"]["Id"],
            "RestartCount": 0,
            "AppArmorProfile": "docker-default",
            "Mounts": [],
            "State": {"StartedAt": NEVER, "FinishedAt": NEVER, "Error": "", **_state("created")},
            "Config": {
                **from_image,
                **{key: value for key, value in config.items() if value is not None},
                "Env": [*(from_image.get("Env") or []), *(config.get("Env") or [])],
                "Labels": {**(from_image.get("Labels") or {}), **(config.get("Labels") or {})},
                **({"Healthcheck": check} if check else {}),
            },
            "HostConfig": host,
            "NetworkSettings": {"Networks": {_network(host): _endpoint("")}},
        }
        self._changed()
        return Answer(201, {"Id": container_id, "Warnings": []})

    def container_inspect(self, name: str, /, **_query: str) -> Answer:
        """GET /containers/{name}/json."""
        found = self._get(name)
        record = found.get("State", {}).get("Health")
        if record and record["Log"]:
            # The Engine goes on with its tests while nobody looks.
            record["Log"][-1]["End"] = now()
        return Answer(body=found)

    def container_list(self, all: str = "", filters: str = "{}", **_query: str) -> Answer:
        """GET /containers/json."""
        found = []
        for one in self.state.containers.values():
            if (all not in ("1", "true", "True") and not one["State"]["Running"]) or not _labelled(
                one["Config"]["Labels"], json.loads(filters)
            ):
                continue
            ports = [
                {
                    "IP": binding.get("HostIp") or "0.0.0.0",
                    "PrivatePort": int(port.partition("/")[0]),
                    "PublicPort": int(binding["HostPort"]),
                    "Type": "tcp",
                }
                for port, bindings in (one["HostConfig"]["PortBindings"] or {}).items()
                for binding in (bindings or [] if one["State"]["Running"] else [])
            ]
            found.append(
                {
                    "Id": one["Id"],
                    "Names": [one["Name"]],
                    "Image": one["Config"]["Image"],
                    "ImageID": one["Image"],
                    "Labels": one["Config"]["Labels"],
                    "State": one["State"]["Status"],
                    "Ports": ports,
                }
            )
        return Answer(body=found)

    def _behaviour(self, container: Mapping[str, Any]) -> str:
        kind = container["Config"]["Labels"].get(KIND, "good")
        return ("sick" if container["HostConfig"]["PortBindings"] else "good") if kind == "late" else kind

    def container_start(self, name: str, /, **_query: str) -> Answer:
        """POST /containers/{name}/start."""
        found = self._get(name)
        if found["State"]["Paused"]:
            raise Refused(409, "cannot start a paused container, try unpause instead")
        if found["State"]["Running"]:
            return Answer(304)
        self._changed()
        network = _network(found["HostConfig"])
        try:
            if network not in self.state.networks:
                raise Refused(404, f"network {network} not found")
            self._listen(found)
        except Refused as refused:
            found["State"].update(Error=refused.message, ExitCode=128)
            raise
        found["RestartCount"] = 0
        found["State"].update(_state("running"), StartedAt=now(), Error="")
        self._test(found)
        self._happened(found, "start")
        if self._behaviour(found) == "exits":
            self._end(found, EXIT_CODE)
        return Answer(204)

    def _test(self, found: dict[str, Any]) -> None:
        """Have the Engine's first health check be done: nobody waits for it."""
        if (found["Config"].get("Healthcheck") or {}).get("Test"):
            well = self._behaviour(found) == "good"
            entry = {"Start": found["State"]["StartedAt"], "End": now(), "ExitCode": int(not well), "Output": "" if well else "it is sick"}
            log = [] if self._behaviour(found) == "exits" else [entry]
            found["State"]["Health"] = {
                "Status": "healthy" if well else "unhealthy",
                "FailingStreak": 0 if well else 3,
                "Log": log,
            }

    def _end(self, found: dict[str, Any], code: int) -> None:
        """Have a container end by itself; the Engine restarts it where its policy says so, again and again."""
        self._deafen(found["Id"])
        self._happened(found, "die", exitCode=str(code))
        restarts = found["HostConfig"]["RestartPolicy"]["Name"] in ("always", "unless-stopped", "on-failure")
        found["State"].update(_state("restarting" if restarts else "exited"), ExitCode=code, FinishedAt=now())
        found["RestartCount"] += restarts
        found["NetworkSettings"]["Networks"] = {_network(found["HostConfig"]): _endpoint("")}

    def container_stop(self, name: str, /, **_query: str) -> Answer:
        """POST /containers/{name}/stop."""
        found = self._get(name)
        if not found["State"]["Running"]:
            return Answer(304)
        self._stopped(found, 143)
        return Answer(204)

    def container_kill(self, name: str, /, **_query: str) -> Answer:
        """POST /containers/{name}/kill."""
        try:
            found = self._get(name)
            if not found["State"]["Running"]:
                raise Refused(409, f"Container {found['Id']} is not running")
        except Refused as refused:
            raise Refused(refused.status, f"Cannot kill container: {name}: {refused.message}") from None
        self._happened(found, "kill", signal="9")
        self._stopped(found, 137)
        return Answer(204)

    def _stopped(self, found: dict[str, Any], code: int) -> None:
        self._deafen(found["Id"])
        found["State"].update(_state("exited"), ExitCode=code, FinishedAt=now())
        found["NetworkSettings"]["Networks"] = {_network(found["HostConfig"]): _endpoint("")}
        if "Health" in found["State"]:
            found["State"]["Health"]["Status"] = "unhealthy"
        self._happened(found, "die", exitCode=str(code))
        self._changed()

    def container_rename(self, name: str, /, **query: str) -> Answer:
        """POST /containers/{name}/rename."""
        found = self._get(name)
        if found["Name"] == f"/{query['name']}":
            raise Refused(400, "Renaming a container with the same name as its current name")
        try:
            self._free(query["name"])
        except Refused as refused:
            raise Refused(refused.status, f"Error when allocating new name: {refused.message}") from None
        if found["State"]["Restarting"]:
            # It has no network between two of its lives, and yet it counts as running.
            raise Refused(404, f"sandbox {found['Id']} not found")
        found["Name"] = f"/{query['name']}"
        self._changed()
        return Answer(204)

    def container_update(self, name: str, /, body: dict[str, Any], **_query: str) -> Answer:
        """POST /containers/{name}/update."""
        found = self._get(name)
        found["HostConfig"].update({"RestartPolicy": {"MaximumRetryCount": 0, **body["RestartPolicy"]}})
        self._changed()
        return Answer(200, {"Warnings": None})

    def container_remove(self, name: str, /, force: str = "", **_query: str) -> Answer:
        """DELETE /containers/{name}."""
        found = self._get(name)
        if found["State"]["Running"] and force not in ("1", "true", "True"):
            words = "Stop the container before attempting removal or force remove"
            raise Refused(409, f"You cannot remove a {found['State']['Status']} container {found['Id']}. {words}")
        self._deafen(found["Id"])
        del self.state.containers[found["Id"]]
        self._changed()
        return Answer(204)

    def container_logs(self, name: str, /, **_query: str) -> Answer:
        """GET /containers/{name}/logs."""
        found = self._get(name)
        text = "" if found["State"]["Status"] == "created" else f"I am {self._behaviour(found)}\n"
        return Answer(body=frame(text), kind=RAW)

    def container_stats(self, name: str, /, **_query: str) -> Answer:
        """GET /containers/{name}/stats."""
        usage = {"usage": 9_000_000, "stats": {"inactive_file": 2_000_000}} if self._get(name)["State"]["Running"] else {}
        return Answer(body={"memory_stats": usage})

    def container_export(self, name: str, /, **_query: str) -> Answer:
        """GET /containers/{name}/export: an empty file system."""
        self._get(name)
        return Answer(body=b"\0" * 1024, kind="application/x-tar")

    def exec_create(self, name: str, /, body: dict[str, Any], **_query: str) -> Answer:
        """POST /containers/{name}/exec."""
        found = self._get(name)
        if found["State"]["Restarting"]:
            raise Refused(409, f"Container {found['Id']} is restarting, wait until the container is running")
        if not found["State"]["Running"]:
            raise Refused(409, f"Container {found['Id']} is not running")
        made = self._identity()
        self.state.execs[made] = {"ID": made, "ContainerID": found["Id"], "Running": False, "ExitCode": None, "Cmd": body["Cmd"]}
        return Answer(201, {"Id": made})

    def _exec(self, name: str) -> dict[str, Any]:
        if name not in self.state.execs:
            raise Refused(404, f"No such exec instance: {name}")
        return self.state.execs[name]

    def exec_start(self, name: str, /, body: dict[str, Any], **_query: str) -> Answer:
        """POST /exec/{name}/start: its health check says what the container is, /proc what it listens on, everything else does nothing."""
        made = self._exec(name)
        found = self._get(made["ContainerID"])
        if not found["State"]["Running"]:
            raise Refused(409, f"Container {found['Id']} is not running")
        if made["ExitCode"] is not None:
            raise Refused(409, f"Error: Exec command {name} has already run")
        test = (found["Config"].get("Healthcheck") or {}).get("Test") or []
        failed = made["Cmd"][-1] == (test or [""])[-1] and self._behaviour(found) != "good"
        made["ExitCode"] = int(failed)
        said = self._sockets(found) if "/proc/net/tcp" in made["Cmd"] else "it is sick\n" if failed else ""
        return Answer(body=None if body.get("Detach") else frame(said), kind=RAW)

    def exec_inspect(self, name: str, /, **_query: str) -> Answer:
        """GET /exec/{name}/json."""
        return Answer(body=self._exec(name))

    # What a container listens on

    def _listen(self, found: dict[str, Any]) -> None:
        if self._behaviour(found) == "exits":
            return
        mode, status = found["HostConfig"]["NetworkMode"], "200 OK" if self._behaviour(found) == "good" else "500 Internal Server Error"
        inner = "" if mode in ("host", "none") else f"{self._network}.{int(found['Id'][:6], 16) % 250 + 2}"
        places = [(inner, port) for port in _heard(found) if inner]
        for bindings in (found["HostConfig"]["PortBindings"] or {}).values():
            places += [(binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"])) for binding in bindings or []]
        self.listeners[found["Id"]] = ears = []
        for address, port in places:
            try:
                ears.append(Listener(address, port, status, found["Id"]))
            except OSError:
                self._deafen(found["Id"])
                own = any(f"{address}:{port}" == ear.place for held in self.listeners.values() for ear in held)
                words = (
                    f"Bind for {address}:{port} failed: port is already allocated"
                    if own
                    else f"Error starting userland proxy: listen tcp4 {address}:{port}: bind: address already in use"
                )
                endpoint = f"{found['Name'][1:]} ({self._identity()})"
                raise Refused(500, f"driver failed programming external connectivity on endpoint {endpoint}: {words}") from None
        found["NetworkSettings"]["Networks"] = {_network(found["HostConfig"]): _endpoint(inner)}

    def _sockets(self, found: Mapping[str, Any]) -> str:
        """Return what a container listens on, as its kernel would tell it (proc(5), /proc/net/tcp)."""
        table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        for number, port in enumerate(_heard(found)):
            table += (
                f"   {number}: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 {number + 1}\n"
            )
        return table

    def _deafen(self, container_id: str) -> None:
        for ear in self.listeners.pop(container_id, []):
            ear.close()

    # Volumes, networks, the Engine itself

    def volume_list(self, filters: str = "{}", **_query: str) -> Answer:
        """GET /volumes."""
        found = [one for one in self.state.volumes.values() if _labelled(one["Labels"] or {}, json.loads(filters))]
        return Answer(body={"Volumes": found, "Warnings": None})

    def volume_inspect(self, name: str, /, **_query: str) -> Answer:
        """GET /volumes/{name}."""
        if name not in self.state.volumes:
            raise Refused(404, f"get {name}: no such volume")
        return Answer(body=self.state.volumes[name])

    def volume_create(self, body: dict[str, Any], **_query: str) -> Answer:
        """POST /volumes/create: one that is there stays as it is."""
        name = body.get("Name") or self._identity()
        if name not in self.state.volumes:
            self.state.volumes[name] = {
                "Name": name,
                "Labels": body.get("Labels"),
                "Driver": "local",
                "Scope": "local",
                "CreatedAt": now(),
                "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
                "Options": None,
            }
            self._changed()
        return Answer(201, self.state.volumes[name])

    def volume_remove(self, name: str, /, **_query: str) -> Answer:
        """DELETE /volumes/{name}."""
        self.volume_inspect(name)
        users = [
            one["Id"] for one in self.state.containers.values() for bind in one["HostConfig"]["Binds"] or [] if bind.split(":")[0] == name
        ]
        if users:
            raise Refused(409, f"remove {name}: volume is in use - [{', '.join(users)}]")
        del self.state.volumes[name]
        self._changed()
        return Answer(204)

    def network_inspect(self, name: str, /, **_query: str) -> Answer:
        """GET /networks/{name}."""
        if name not in self.state.networks:
            raise Refused(404, f"network {name} not found")
        return Answer(body=self.state.networks[name])

    def events(self, filters: str = "{}", **_query: str) -> Answer:
        """GET /events, of what was already."""
        wanted = json.loads(filters)
        found = [
            one
            for one in self.state.events
            if one["Actor"]["ID"] in wanted.get("container", [one["Actor"]["ID"]]) and one["Action"] in wanted.get("event", [one["Action"]])
        ]
        return Answer(body="".join(json.dumps(one) + "\n" for one in found).encode())

    def version(self, **_query: str) -> Answer:
        """GET /version."""
        return Answer(body={"Version": VERSION, "ApiVersion": API, "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"})

    def info(self, **_query: str) -> Answer:
        """GET /info."""
        return Answer(
            body={
                "Driver": "overlay2",
                "Architecture": "x86_64",
                "OperatingSystem": "Debian GNU/Linux 12",
                "CgroupVersion": "2",
                "MemoryLimit": True,
                "CpuCfsQuota": True,
                "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
            }
        )

    def ping(self, **_query: str) -> Answer:
        """GET /_ping."""
        return Answer(body=b"OK", kind="text/plain; charset=utf-8")

    def build(self, **_query: str) -> Answer:
        """POST /build: its builder ends where there is no Dockerfile, and nobody sends it one."""
        raise Refused(500, "Cannot locate specified Dockerfile: Dockerfile")


def _heard(container: Mapping[str, Any]) -> list[int]:
    """Return the ports that a container listens on, as seen from within."""
    silent = container["Config"]["Labels"].get(SILENT, "").split()
    exposed = (port.partition("/")[0] for port in container["Config"].get("ExposedPorts") or {})
    return [int(port) for port in exposed if port not in silent]


def _labelled(labels: Mapping[str, str], filters: Mapping[str, Any]) -> bool:
    pairs = [wanted.partition("=") for wanted in filters.get("label") or []]
    return all(name in labels and (not equal or labels[name] == value) for name, equal, value in pairs)


def _state(status: str) -> dict[str, Any]:
    return {
        "Status": status,
        "Running": status in ("running", "restarting"),
        "Paused": False,
        "Restarting": status == "restarting",
        "OOMKilled": False,
        "Dead": False,
        # Nothing runs: the kernel has no record of it.
        "Pid": 0,
        "ExitCode": 0,
    }


def _network(host: Mapping[str, Any]) -> str:
    return "bridge" if host["NetworkMode"] == "default" else host["NetworkMode"]


def _endpoint(address: str) -> dict[str, str]:
    return {"IPAddress": address, "Gateway": "127.0.0.1" if address else "", "MacAddress": ""}


# Method, path without the version, call; an image's name may have slashes.
CALLS: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/_ping", Rules.ping),
    ("GET", r"/version", Rules.version),
    ("GET", r"/info", Rules.info),
    ("GET", r"/events", Rules.events),
    ("POST", r"/build", Rules.build),
    ("GET", r"/containers/json", Rules.container_list),
    ("POST", r"/containers/create", Rules.container_create),
    ("GET", r"/containers/([^/]+)/json", Rules.container_inspect),
    ("POST", r"/containers/([^/]+)/start", Rules.container_start),
    ("POST", r"/containers/([^/]+)/stop", Rules.container_stop),
    ("POST", r"/containers/([^/]+)/kill", Rules.container_kill),
    ("POST", r"/containers/([^/]+)/rename", Rules.container_rename),
    ("POST", r"/containers/([^/]+)/update", Rules.container_update),
    ("POST", r"/containers/([^/]+)/exec", Rules.exec_create),
    ("GET", r"/containers/([^/]+)/logs", Rules.container_logs),
    ("GET", r"/containers/([^/]+)/stats", Rules.container_stats),
    ("GET", r"/containers/([^/]+)/export", Rules.container_export),
    ("DELETE", r"/containers/([^/]+)", Rules.container_remove),
    ("POST", r"/exec/([^/]+)/start", Rules.exec_start),
    ("GET", r"/exec/([^/]+)/json", Rules.exec_inspect),
    ("GET", r"/images/json", Rules.image_list),
    ("GET", r"/images/(.+)/json", Rules.image_inspect),
    ("GET", r"/images/(.+)/history", Rules.image_history),
    ("GET", r"/images/(.+)/get", Rules.image_get),
    ("POST", r"/images/(.+)/tag", Rules.image_tag),
    ("DELETE", r"/images/(.+)", Rules.image_remove),
    ("GET", r"/volumes", Rules.volume_list),
    ("POST", r"/volumes/create", Rules.volume_create),
    ("GET", r"/volumes/([^/]+)", Rules.volume_inspect),
    ("DELETE", r"/volumes/([^/]+)", Rules.volume_remove),
    ("GET", r"/networks/([^/]+)", Rules.network_inspect),
]
_CALLS = [(method, re.compile(path), call) for method, path, call in CALLS]


class Handler(http.server.BaseHTTPRequestHandler):
    """Speaks HTTP as the Engine does."""

    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self) -> None:
        body = self._body()
        fault, answer = self.server.answer(self.command, self.path, body)
        if fault == "hold":
            self.server.released.wait()
            self.close_connection = True
            return
        content = answer.content()
        head = [
            f"HTTP/1.1 {answer.status} {http.server.BaseHTTPRequestHandler.responses.get(answer.status, ('', ''))[0]}",
            f"Api-Version: {API}",
        ]
        if answer.kind == RAW:
            # The connection itself is the stream, which has no length.
            head += [f"Content-Type: {RAW}", "Connection: close"]
            self.close_connection = True
        elif answer.status not in (204, 304):
            head += [f"Content-Type: {answer.kind}", f"Content-Length: {len(content)}"]
        whole = "\r\n".join(head).encode() + b"\r\n\r\n" + content
        if fault in ("cut", "lost"):
            whole = whole[: len(whole) - (len(content) + 1) // 2] if content and fault == "cut" else b""
            self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(whole)

    do_GET = do_POST = do_DELETE = do_HEAD = _serve


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The Engine at a socket. rules: its state; requests: how many there were since `arm`; fault: what becomes of one of them.

    watch: called with each request's number before and after it took effect.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Handler)
        self.docker_host = f"unix://{path}"
        self.rules = Rules()
        self.requests = 0
        self.fault: Fault | None = None
        self.asked: list[str] = []
        self.released = threading.Event()
        self._one = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def arm(self, fault: Fault | None = None) -> None:
        """Begin to count, and have one request go wrong; whatever is held ends."""
        self.released.set()
        self.released = threading.Event()
        self.fault, self.requests, self.asked = fault, 0, []

    def end(self) -> None:
        """Go away."""
        self.arm()
        self.shutdown()
        self.server_close()
        self.rules.close()

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, Answer]:
        """Return (what becomes of the answer, the answer) of a request."""
        with self._one:
            number, self.requests = self.requests, self.requests + 1
            url = urlsplit(target)
            path = re.sub(r"\A/v[0-9.]+", "", unquote(url.path))
            self.asked.append(f"{method} {path}")
            fault = self.fault if self.fault and self.fault.at == number else None
            refused = Answer(500, {"message": "the fake Engine refuses"})
            if fault and not fault.after and fault.how not in ("cut", "lost"):
                return ("", refused) if fault.how == "refuse" else (fault.how, refused)
            answer = self._effect(method, path, {name: values[-1] for name, values in parse_qs(url.query).items()}, body)
            if fault:
                return ("", refused) if fault.how == "refuse" else (fault.how, answer)
            return "", answer

    def _effect(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        for wanted, pattern, call in _CALLS:
            found = pattern.fullmatch(path) if wanted == method else None
            if found:
                document = {"body": json.loads(body)} if body and call is not Rules.build else {}
                try:
                    answer = call(self.rules, *found.groups(), **document, **query)
                    # As it is now: the state goes on while the answer is on its way.
                    return copy.deepcopy(answer)
                except Refused as refused:
                    return Answer(refused.status, {"message": refused.message})
        return Answer(404, {"message": "page not found"})


@contextlib.contextmanager
def fake_engine(directory: Path) -> Iterator[FakeEngine]:
    """Yield a fake Engine whose socket is in a directory."""
    server = FakeEngine(directory / f"engine-{next(_numbers)}.sock")
    try:
        yield server
    finally:
        server.end()


_numbers = itertools.count()
