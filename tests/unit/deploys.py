"""A deploy in memory and on a real Engine: for what a real one cannot be made to do at will, an Engine that fails, or sees its caller die, at each single call."""

from __future__ import annotations

import contextlib
import copy
import itertools
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.deploy import swap as swaps
from ansible_collections.proven.go_service.plugins.module_utils.engine.address import Address
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError, Missing


@contextlib.contextmanager
def listener(answer: bytes | None = b"", family: int = socket.AF_INET, *, waits: bool = True) -> Iterator[int]:
    """Listen on a port and answer each connection with bytes and an end; None answers nothing. waits: for a request. Yield the port."""
    with socket.socket(family) as server:
        server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        server.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    if answer is not None:
                        if waits:
                            connection.recv(4096)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def swap(engine: Any, wanted: typed.Settings, image: str, approve: Callable[[str, float], None] | None = None) -> swaps.Swap:
    """Put a new container of an image in the service's place."""
    return swaps.swap(engine, wanted, containers.create_body(wanted, image, engine.api_version), approve)


def names(engine: Engine) -> list[str]:
    """Return the names of the service's containers."""
    return sorted(container["Names"][0].lstrip("/") for container in engine.containers(name="utest-web"))


class Volumes:
    """Keeps empty volumes with labels as an Engine does."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, str]] = {}

    def volumes(self, label: str, value: str) -> list[dict[str, Any]]:
        """Return those that carry a label."""
        return [{"Name": name, "Labels": labels} for name, labels in sorted(self._kept.items()) if labels.get(label) == value]

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make one; one that is there already stays as it is."""
        self._kept.setdefault(name, dict(labels))

    def remove_volume(self, name: str) -> None:
        """Remove one; one that is not there is as good."""
        self._kept.pop(name, None)


class Killed(BaseException):
    """The run is gone: nothing after this happens."""


class Memory:
    """An Engine in memory that keeps the real one's rules as far as a swap depends on them: names are unique, what is not there is Missing.

    It counts the calls, and at call number `at` raises `error`, before the call takes effect or after it; from there on always, if `lasting`.
    The image "bad" never passes its health check. done: what was done to containers, by their ids, in order.
    """

    api_version = (1, 41)
    interruptions = 0
    address = Address()
    limits_not_held = ()
    is_rootless = False

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.done: list[tuple[Any, ...]] = []
        self._ids = itertools.count(1)
        self.at: int | None = None
        self.error: BaseException = EngineError("broken")
        self.after = self.lasting = False

    def _call(self, effect: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        hit = self.at is not None and (number == self.at or (self.lasting and number > self.at))
        if hit and not self.after:
            raise self.error
        result = effect()
        if hit:
            raise self.error
        return result

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((record for record in self.records.values() if name in (record["Id"], record["Name"][1:])), None)

    def _get(self, name: str) -> dict[str, Any]:
        found = self._find(name)
        if found is None:
            raise Missing(f"no such container: {name}")
        return found

    def _free(self, name: str) -> None:
        if self._find(name):
            raise EngineError(f"the name {name} is in use")

    def container(self, name: str) -> dict[str, Any] | None:
        return self._call(lambda: copy.deepcopy(self._find(name)))

    def image(self, reference: str) -> dict[str, Any] | None:
        return None

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        wanted = {f"go-service.{name}": value for name, value in labels.items()}
        return self._call(
            lambda: [
                {"Id": record["Id"], "ImageID": record["Image"], "Names": [record["Name"]], "Labels": record["Config"]["Labels"]}
                for record in self.records.values()
                if wanted.items() <= record["Config"]["Labels"].items()
            ]
        )

    def create(self, name: str, body: dict[str, Any]) -> str:
        def effect() -> str:
            self._free(name)
            made = f"{next(self._ids):064d}"[::-1]
            self.records[made] = {
                "Id": made,
                "Name": f"/{name}",
                "Image": body["Image"],
                "State": {"Running": False, "Status": "created", "StartedAt": "", "ExitCode": 0},
                "Config": {"Labels": body["Labels"], "Image": body["Image"], "Healthcheck": {"Test": ["CMD", "test"]}},
                "HostConfig": {**body["HostConfig"]},
            }
            return made

        return self._call(effect)

    def start(self, name: str) -> None:
        self.done.append(("start", name))
        self._call(lambda: self._get(name)["State"].update(Running=True, Status="running"))

    def stop(self, name: str, timeout: int) -> None:
        self.done.append(("stop", name, timeout))
        self._call(lambda: self._get(name)["State"].update(Running=False, Status="exited"))

    def rename(self, name: str, new_name: str) -> None:
        def effect() -> None:
            self._free(new_name)
            self._get(name)["Name"] = f"/{new_name}"

        self._call(effect)

    def set_restart_policy(self, name: str, policy: dict[str, Any]) -> None:
        self.done.append(("restart", name, policy["Name"]))
        self._call(lambda: self._get(name)["HostConfig"].update(RestartPolicy=policy))

    def remove(self, name: str) -> None:
        found = self._find(name)
        self._call(lambda: self.records.pop(found["Id"]) if found else None)

    def run_unheard(self, name: str, command: list[str]) -> None:
        self.done.append(("said", name, command[-1]))

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        self.done.append(("tested", name, timeout, *command))

        def effect() -> tuple[int, str]:
            found = self._find(name)
            return (0, "") if found and found["State"]["Running"] and found["Config"]["Image"] != "bad" else (1, "sick")

        return self._call(effect)

    def logs(self, name: str, lines: int = 20) -> list[str]:
        return []

    def happenings(self, container: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
        return []


def running_service(settings: typed.Settings, policy: str) -> tuple[Memory, str]:
    """Return an Engine with the service in it, and its container's id."""
    engine = Memory()
    old = swap(engine, replace(settings, restart_policy=policy), "good").container_id
    engine.calls = 0
    return engine, old


def calls_of(settings: typed.Settings, policy: str, image: str) -> int:
    """Return how many calls a swap makes where nothing goes wrong but the image."""
    engine, _old = running_service(settings, policy)
    with contextlib.suppress(Failure):
        swap(engine, settings, image)
    return engine.calls


def serving(engine: Memory, old: str) -> dict[str, Any]:
    """Insist that one healthy container serves, the old one or a good new one, and return it."""
    (record,) = engine.records.values()
    assert state(engine) == [("utest-web", True)]
    assert record["Id"] == old or record["Config"]["Image"] == "good"
    return record


def state(engine: Memory) -> list[tuple[str, bool]]:
    """Return (name, running) of all containers."""
    return sorted((record["Name"][1:], record["State"]["Running"]) for record in engine.records.values())


VARIANTS = list(itertools.product(["always", "unless-stopped"], ["good", "bad"], [False, True]))
