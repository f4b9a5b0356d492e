"""The fake Engine is faithful: the same calls to it and to the real one are answered alike, as far as the role reads the answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, demultiplex
from fake_engine import KIND, FakeEngine, fake_engine
from plays import RUNTIME, free_port

# Of its own: what a removal is answered depends on whether anybody builds on the image.
WEB = "utest-alike:1"
SERVE = "exec httpd -f -p 8080 -h /srv"
# What it runs, and what the fake makes of it.
SERVICES = {"good": SERVE, "sick": "exec sleep 60", "exits": "exit 3"}
STATE = ("Status", "Running", "Paused", "Restarting", "ExitCode", "Error")
HOST = (
    "ReadonlyRootfs",
    "PidsLimit",
    "Memory",
    "NanoCpus",
    "RestartPolicy",
    "NetworkMode",
    "PortBindings",
    "CapDrop",
    "Binds",
    "SecurityOpt",
)

Step = tuple[str, int, Any]


def plain(found: Any) -> Any:
    """Return an answer without ids and ports, which are others on each Engine."""
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", json.dumps(found))
    return json.loads(re.sub(r"(127\.0\.0\.1:|\"HostPort\": \")\d+", r"\1PORT", text))


def container(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the role reads of an inspected container."""
    state, config = record["State"], record["Config"]
    networks = record["NetworkSettings"]["Networks"]
    return {
        "name": record["Name"],
        "id": record["Id"],
        "image": record["Image"],
        "restarts": record["RestartCount"],
        "state": {name: state[name] for name in STATE},
        "health": (state.get("Health") or {}).get("Status"),
        "passed": [entry["ExitCode"] for entry in (state.get("Health") or {}).get("Log", [])][:1],
        "started": state["StartedAt"] > "0001-01-02",
        "config": {name: config.get(name) for name in ("Image", "Cmd", "Healthcheck", "ExposedPorts")},
        "env": sorted(config["Env"]),
        "labels": {name: value for name, value in config["Labels"].items() if name.startswith("go-service") and "stand-in" not in name},
        "host": {name: record["HostConfig"][name] for name in HOST},
        "networks": {name: bool(network["IPAddress"]) for name, network in networks.items()},
    }


class Asked:
    """What an Engine was asked, and what it answered."""

    def __init__(self, docker_host: str, restarts: int) -> None:
        """restarts: after how many of them this Engine waits so long that a container is found waiting."""
        self._client = docker.APIClient(docker_host, version="1.41")
        self.restarts = restarts
        self.steps: list[Step] = []

    def __call__(self, call: str, body: Any = None, read: Callable[[Any], Any] | None = None, **query: Any) -> Any:
        """Ask, note what the role would read, and return the document; call: "POST /containers/create"."""
        method, path = call.split()
        texts = {name: value if isinstance(value, (str, int)) else json.dumps(value) for name, value in query.items()}
        answer = self._client.request(method, f"{self._client.base_url}/v1.41{path}", json=body, params=texts, timeout=20)
        try:
            found = answer.json() if answer.content else None
        except ValueError:
            found = answer.content.decode(errors="replace")
        shown = read(found) if read and answer.ok else found
        self.steps.append((plain(f"{call} {query}"), answer.status_code, plain(shown)))
        return found

    def wait(self, name: str, ready: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until a container is as it becomes by itself, which takes its time on the real Engine."""
        deadline = time.monotonic() + 20
        while not ready(self._client.inspect_container(name)):
            assert time.monotonic() < deadline, self._client.inspect_container(name)
            time.sleep(0.02)

    def stats(self, name: str) -> dict[str, Any]:
        """Return a reading of a container's resources, which is no step of the script."""
        return self._client.stats(name, stream=False, one_shot=True)

    def end(self) -> None:
        """Close the connection."""
        self._client.close()


def body(kind: str = "good", **host: Any) -> dict[str, Any]:
    """Return a create body like the role's own."""
    return {
        "Image": WEB,
        "Cmd": [SERVICES[kind]],
        "Env": ["A=b"],
        "Labels": {"go-service.name": "utest-alike", "go-service.kind": "service", KIND: kind},
        "ExposedPorts": {"8080/tcp": {}},
        "Healthcheck": {"Interval": 100_000_000, "Timeout": 3_000_000_000, "Retries": 1, "StartPeriod": 0},
        "HostConfig": {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "PidsLimit": 64, "Memory": 32 << 20, **host},
    }


def health(status: str) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether a container has this health."""
    return lambda record: record["State"].get("Health", {}).get("Status") == status


def used(stats: dict[str, Any]) -> bool:
    """Say whether a container has a record of memory in use: one that has ended has none, and one that has just begun may have none yet."""
    return bool(stats["memory_stats"].get("usage"))


def life_of_a_container(ask: Asked, port: int) -> None:
    """It is made, starts, answers tests, is renamed, stopped, started again, set aside, and removed."""
    bindings = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    listed = {"filters": {"label": ["go-service.name=utest-alike", "go-service.kind=service"]}}
    first = ask("POST /containers/create", body(PortBindings=bindings, RestartPolicy={"Name": "always"}), name="utest-a", read=sorted)["Id"]
    ask("POST /containers/create", body(), name="utest-a")
    ask("POST /containers/create", {**body(), "Image": "utest-none:1"}, name="utest-b")
    ask("GET /containers/utest-a/json", read=container)
    ask("GET /containers/json", **listed)
    for call in ("POST /containers/utest-a/exec", "POST /containers/utest-a/kill", "POST /containers/utest-a/stop"):
        ask(call, {"Cmd": ["true"]} if call.endswith("exec") else None)
    ask("POST /containers/utest-a/start")
    ask("POST /containers/utest-a/start")
    ask.wait("utest-a", health("healthy"))
    ask(f"GET /containers/{first}/json", read=container)
    ask(f"GET /containers/{first[:12]}/json", read=container)
    ask("GET /containers/json", **listed, read=lambda found: [{name: one[name] for name in ("Names", "State", "Labels")} for one in found])
    ask.wait("utest-a", lambda _record: used(ask.stats("utest-a")))
    ask("GET /containers/utest-a/stats", stream=0, **{"one-shot": 1}, read=used)
    for command, detach in ((["wget", "-q", "--spider", "http://localhost:8080/health"], False), (["true"], True)):
        made = ask("POST /containers/utest-a/exec", {"Cmd": command, "AttachStdout": True}, read=sorted)["Id"]
        ask(f"POST /exec/{made}/start", {"Detach": detach, "Tty": False})
        time.sleep(0 if not detach else 0.3)
        ask(f"GET /exec/{made}/json", read=lambda found: (found["Running"], found["ExitCode"]))
    ask("DELETE /containers/utest-a")
    ask("POST /containers/utest-a/rename", name="utest-a")
    ask("POST /containers/utest-a/rename", name="utest-aside")
    ask("POST /containers/utest-aside/update", {"RestartPolicy": {"Name": "unless-stopped"}}, read=sorted)
    ask("POST /containers/create", body(PortBindings=bindings), name="utest-b", read=sorted)
    ask("POST /containers/utest-b/start", read=None)
    ask(
        "GET /containers/utest-b/json",
        read=lambda found: (found["State"]["Status"], found["State"]["ExitCode"], bool(found["State"]["Error"])),
    )
    ask("POST /containers/utest-b/rename", name="utest-aside")
    ask("POST /containers/utest-aside/stop", t=0)
    ask("POST /containers/utest-aside/stop", t=0)
    ask(f"GET /containers/{first}/json", read=lambda found: {**container(found), "state": found["State"]["Status"], "health": None})
    ask("GET /containers/utest-aside/stats", stream=0, **{"one-shot": 1}, read=used)
    ask("POST /containers/utest-b/start")
    ask.wait("utest-b", health("healthy"))
    ask("POST /containers/utest-aside/start")
    ask("POST /containers/utest-b/kill")
    ask("GET /containers/utest-b/json", read=lambda found: (found["State"]["Status"], found["State"]["ExitCode"]))
    ask("POST /containers/utest-aside/start")
    for name in ("utest-aside", "utest-b", "utest-b"):
        ask(f"DELETE /containers/{name}", v=1, force=1)
    for call in (
        "GET /containers/utest-a/json",
        "POST /containers/utest-a/start",
        "POST /containers/utest-a/stop",
        "POST /containers/utest-a/kill",
    ):
        ask(call)
    ask("POST /containers/utest-a/rename", name="utest-b")
    ask("POST /containers/utest-a/update", {"RestartPolicy": {"Name": "no"}})
    ask("POST /containers/utest-a/exec", {"Cmd": ["true"]})
    ask("GET /containers/utest-a/logs", stdout=1)
    ask("POST /exec/none/start", {"Detach": False})


def containers_that_fail(ask: Asked) -> None:
    """One exits, one exits and is restarted, one never gets healthy, one has no network."""
    ask("POST /containers/create", body("exits"), name="utest-a", read=sorted)
    ask("POST /containers/utest-a/start")
    ask.wait("utest-a", lambda record: record["State"]["Status"] == "exited")
    # Whether a test was begun before it ended is chance.
    ask("GET /containers/utest-a/json", read=lambda found: {**container(found), "passed": None})
    ask("POST /containers/utest-a/exec", {"Cmd": ["true"]})
    ask("DELETE /containers/utest-a")
    ask("POST /containers/create", body("exits", RestartPolicy={"Name": "always"}), name="utest-a", read=sorted)
    ask("POST /containers/utest-a/start")
    # From its second life on the Engine waits longer and longer between two of them.
    ask.wait("utest-a", lambda record: record["State"]["Status"] == "restarting" and record["RestartCount"] >= ask.restarts)
    ask("GET /containers/utest-a/json", read=lambda found: {**container(found), "passed": None, "restarts": found["RestartCount"] > 0})
    ask("POST /containers/utest-a/exec", {"Cmd": ["true"]})
    ask("POST /containers/utest-a/start")
    ask("POST /containers/utest-a/rename", name="utest-b")
    ask("DELETE /containers/utest-a")
    ask("POST /containers/utest-a/stop", t=0)
    ask(
        "GET /containers/utest-a/json",
        read=lambda found: (found["State"]["Status"], found["State"]["Running"], found["State"]["Restarting"]),
    )
    ask("POST /containers/utest-a/rename", name="utest-b")
    ask("DELETE /containers/utest-b", v=1, force=1)
    ask("POST /containers/create", body("sick"), name="utest-a", read=sorted)
    ask("POST /containers/utest-a/start")
    ask.wait("utest-a", health("unhealthy"))
    ask("GET /containers/utest-a/json", read=lambda found: {**container(found), "passed": len(container(found)["passed"])})
    ask("DELETE /containers/utest-a", v=1, force=1)
    ask("POST /containers/create", body(NetworkMode="utest-none"), name="utest-a", read=sorted)
    ask("POST /containers/utest-a/start")
    ask("GET /containers/utest-a/json", read=lambda found: {**container(found), "networks": None})
    ask("DELETE /containers/utest-a", v=1, force=1)


def images(ask: Asked) -> None:
    """Tags move; what a tag, a container or another image needs stays."""
    listed = {"filters": {"label": ["go-service.name=utest-alike"]}}

    def tags(found: list[dict[str, Any]]) -> list[list[str]]:
        return sorted(image["RepoTags"] for image in found)

    def kinds(found: list[dict[str, str]]) -> list[str]:
        return [next(iter(entry)) for entry in found][:2]

    image_id = ask("GET /images/utest-alike:1/json", read=lambda found: (found["RepoTags"], found["Config"]["Labels"]["go-service.name"]))[
        "Id"
    ]
    ask("GET /images/utest-none:1/json")
    ask("POST /images/utest-alike:1/tag", repo="utest-alike", tag="2")
    ask("POST /images/utest-alike:1/tag", repo="utest-alike", tag="2")
    ask("POST /images/utest-none:1/tag", repo="utest-alike", tag="3")
    ask(f"GET /images/{image_id}/json", read=lambda found: found["RepoTags"])
    ask("GET /images/json", **listed, read=tags)
    ask("GET /images/json", filters={**listed["filters"], "dangling": ["true"]}, read=tags)
    ask(f"DELETE /images/{image_id}")
    ask("DELETE /images/utest-alike:2", read=kinds)
    ask("POST /containers/create", body(), name="utest-a", read=sorted)
    ask("DELETE /images/utest-alike:1")
    ask(f"DELETE /images/{image_id}")
    ask("POST /images/utest-alike:1/tag", repo="utest-alike", tag="2")
    ask("DELETE /images/utest-alike:2", read=kinds)
    ask("POST /containers/utest-a/start")
    ask(f"DELETE /images/{image_id}")
    ask("DELETE /containers/utest-a", v=1, force=1)
    ask("DELETE /images/utest-none:1")
    ask("GET /images/utest-none:1/history")


def the_rest(ask: Asked) -> None:
    """Volumes, networks, the builder, the Engine itself."""
    labels = {"go-service.lock": "utest-alike", "go-service.holder": "one"}

    def volume(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
        return found["Name"], found["Labels"]

    ask("GET /volumes", filters={"label": ["go-service.lock=utest-alike"]}, read=lambda found: found["Volumes"] or [])
    ask("POST /volumes/create", {"Name": "utest-v", "Labels": labels}, read=volume)
    ask("POST /volumes/create", {"Name": "utest-v", "Labels": {"another": "one"}}, read=volume)
    ask("GET /volumes", filters={"label": ["go-service.lock=utest-alike"]}, read=lambda found: list(map(volume, found["Volumes"])))
    ask("POST /containers/create", body(Binds=["utest-v:/data"]), name="utest-a", read=sorted)
    ask("DELETE /volumes/utest-v")
    ask("DELETE /containers/utest-a", force=1)
    ask("DELETE /volumes/utest-v")
    ask("DELETE /volumes/utest-v")
    ask("GET /volumes/utest-v")
    for network in ("bridge", "host", "utest-none"):
        ask(f"GET /networks/{network}", read=lambda found: found["Name"])
    ask("GET /version", read=lambda found: sorted({"Version", "ApiVersion", "Arch"} & set(found)))
    ask("GET /info", read=lambda found: sorted({"Driver", "Architecture", "OperatingSystem", "SecurityOptions"} & set(found)))
    ask("GET /_ping")


@pytest.fixture
def clean(engine: Engine) -> Iterator[Engine]:
    """Return the real Engine, without what these calls make."""

    def empty() -> None:
        for name in ("utest-a", "utest-b", "utest-aside"):
            engine.remove(name)
        engine.remove_volume("utest-v")

    empty()
    yield engine
    empty()


@pytest.fixture
def fake(clean: Engine, client: Callable[..., str], tmp_path: Path) -> Iterator[FakeEngine]:
    """Return a fake Engine that has the same image as the real one."""
    dockerfile = f"""FROM {RUNTIME}
    LABEL go-service.name=utest-alike go-service.kind=image
    RUN mkdir -p /srv && echo ok >/srv/health
    HEALTHCHECK CMD ["wget", "-q", "--spider", "http://localhost:8080/health"]
    ENTRYPOINT ["/bin/sh", "-c"]
    """
    client("build", "-q", "-t", WEB, "-", stdin=dockerfile)
    image = clean.image(WEB)
    with fake_engine(tmp_path) as server:
        server.rules.add_image(RUNTIME)
        server.rules.add_image(WEB, config=image["Config"], Parent=next(iter(server.rules.state.images)))
        yield server


@pytest.mark.engine
@pytest.mark.parametrize("script", [life_of_a_container, containers_that_fail, images, the_rest])
def test_the_same_calls_are_answered_alike(clean: Engine, fake: FakeEngine, script: Callable[..., None]) -> None:
    asked = []
    for docker_host, restarts in ((clean.address.docker_host, 5), (fake.docker_host, 1)):
        ask = Asked(docker_host, restarts)
        script(ask, *([free_port()] if script is life_of_a_container else []))
        asked.append(ask.steps)
        ask.end()
    real, faked = asked
    assert [name for name, _status, _found in real] == [name for name, _status, _found in faked]
    differing = [(name, (status, found), other[1:]) for (name, status, found), other in zip(real, faked) if (status, found) != other[1:]]
    assert differing == []


@pytest.mark.engine
def test_a_log_and_an_end_are_told_alike(clean: Engine, fake: FakeEngine) -> None:
    for engine in (clean, Engine(fake.docker_host)):
        made = engine.create("utest-a", body("exits"))
        engine.start(made)
        while engine.container(made)["State"]["Running"]:
            time.sleep(0.02)
        assert engine.last_exit(engine.container(made)) == 3
        (died,) = engine.happenings(engine.container(made), "die")
        assert (died["Action"], died["Actor"]["ID"], died["Actor"]["Attributes"]["exitCode"]) == ("die", made, "3")
        assert demultiplex(b"") == b""
        engine.remove(made)
