"""Whatever state the service's container is in: another version takes its place, the earlier one does, it is removed, or it comes back as it was."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import crashes
import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure, Progress
from ansible_collections.proven.go_service.plugins.module_utils.common.names import service_directory
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, swap
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_LOCK, Lock
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.modules import deploy, prepare, remove
from fake_engine import SILENT
from module_processes import result_of, start_module
from plays import SERVING, free_port, get
from small_plays import ALL_WAIVED, RUNTIME, SERVE

Client = Callable[..., str]
Settings = Callable[..., typed.Settings]
NAME = "utest-states"
NETWORK = "utest-states-network"
VERSIONS = {version: hashlib.sha256(version.encode()).hexdigest() for version in ("old", "running", "new")}
TAG = {version: digest[:12] for version, digest in VERSIONS.items()}


def build(client: Client, tag: str, version: str, *own: str, base: str) -> None:
    """Make an image of a version of the service, with instructions of its own, as the role makes them."""
    lines = [
        f"FROM {base}",
        f"LABEL go-service.name={NAME} go-service.kind=image",
        *own,
        f"COPY --from={RUNTIME} /bin/busybox /usr/local/bin/{NAME}",
        f"LABEL go-service.digest={VERSIONS[version]}",
    ]
    client("build", "-q", "-t", f"{NAME}:{tag}", "-", stdin="\n".join(lines) + "\n")


@pytest.fixture
def versions(engine: Engine, client: Client, web: str) -> Iterator[str]:
    """Make three images of a service, where they are not there, and yield its name; take away what a test leaves of it beside them."""
    for version, tag in TAG.items():
        build(client, tag, version, base=web)
    yield NAME
    for made in engine.containers(name=NAME):
        engine.remove(made["Id"])
    for volume in [*history.volumes(engine, NAME), *(lock["Name"] for lock in engine.volumes(LABEL_LOCK, NAME))]:
        engine.remove_volume(volume)
    for tag in ("latest", "previous", "other"):
        engine.remove_image(f"{NAME}:{tag}")


@pytest.fixture
def wanted(settings: Settings, tmp_path: Path, versions: str) -> Settings:
    """Return what makes the service's settings."""

    def make(**changes: Any) -> typed.Settings:
        quick = {
            "name": versions,
            "publish": "",
            "stop_timeout": 0,
            "stable_seconds": 0,
            "start_timeout": 5,
            "args": [SERVE],
            "waivers": ALL_WAIVED,
            "builder_image": RUNTIME,
            "runtime_image": RUNTIME,
            "work_dir": str(tmp_path / "work"),
        }
        return settings(**{**quick, **changes})

    return make


def play(engine: Engine, wanted: typed.Settings, prove_only: bool = False) -> dict[str, Any]:
    """Do what the role's two modules do for an image that is named by its tag; return the result of the second."""
    identity = {"token": "t", "owner": "a test", "controller": ""}
    params = {
        **{name: "" for name in ("source_root", "manifest", "dockerfile", "dockerignore", "archive", "unfetched", "source_date")},
        **{name: [] for name in ("base_images", "delete")},
        **{name: {} for name in ("project", "build")},
        "mode": "stage",
        "deploy_follows": True,
        "keep_lock": True,
        "prove_only": prove_only,
        "bases": [RUNTIME, RUNTIME],
        "received": False,
        "settings": wanted,
    }
    plan = prepare.run(SimpleNamespace(check_mode=False), {**params, "lock": identity}, Progress("", ""))["plan"]
    known: dict[str, Any] = {}
    lock = Lock(engine, wanted.name, service_directory(wanted))
    try:
        deploy.run(engine, {**params, "image": plan["image"], "lock": "t"}, lock, Progress("", ""), known)
    finally:
        lock.release("t")
    return known


def wait_until(true: Callable[[], Any]) -> None:
    """Wait for something that is to come."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stands(engine: Engine) -> dict[str, Any]:
    """Return the service's container, the only one of any of its names, proven healthy."""
    (listed,) = engine.containers(name=NAME)
    found = engine.container(listed["Id"])
    assert found is not None
    assert (found["Name"], found["State"]["Status"]) == (f"/{NAME}", "running")
    assert engine.run_in(found["Id"], ["env", "http_proxy=", "wget", "-q", "--spider", "http://localhost:8080/health"], 5)[0] == 0
    return found


@pytest.fixture
def in_state(engine: Engine, client: Client, wanted: Settings) -> Iterator[Callable[[str], str]]:
    """Return what deploys a version after an earlier one, brings its container to a state, and returns its id."""

    def make(state: str) -> str:
        body = containers.create_body(wanted(**SETTINGS.get(state, {})), f"{NAME}:{TAG['running']}", engine.api_version)
        body = {**body, **BODY.get(state, {})}
        if state == "on a network that is gone":
            client("network", "create", NETWORK)
        made = engine.create(NAME, body)
        engine.tag(f"{NAME}:{TAG['running']}", NAME, "latest")
        engine.tag(f"{NAME}:{TAG['old']}", NAME, "previous")
        directory = service_directory(wanted())
        if state == "made by an earlier version":
            (directory / "context").mkdir(parents=True)
            (directory / "context/Dockerfile").write_text(f"# Dockerfile of {NAME}, written by the Ansible role go_service: 1\n")
            (directory / "report.json").write_text("{}")
        else:
            images = {TAG[version]: {"id": engine.image(f"{NAME}:{TAG[version]}")["Id"], "proven": True} for version in ("old", "running")}
            history.History(NAME, images, {"id": made, "restarts": 0}).save(engine)
        if state != "created":
            engine.start(made)
        STATES[state](engine, client, made)
        return made

    yield make
    subprocess.run(["docker", "network", "rm", NETWORK], capture_output=True, check=False)


def status(engine: Engine, made: str) -> dict[str, Any]:
    """Return the state of a container."""
    return (engine.container(made) or {"State": {}})["State"]


def kill_the_layer(engine: Engine, client: Client, made: str) -> None:
    """Let the Engine fail to remove a container, which is dead then."""
    layer = client("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", made)
    if subprocess.run(["chattr", "+i", layer], capture_output=True, check=False).returncode:
        pytest.skip("the file system of this machine's Engine knows no immutable files, or this is not root")
    subprocess.run(["docker", "rm", "--force", made], capture_output=True, check=False)
    subprocess.run(["chattr", "-i", layer], check=True)
    assert status(engine, made)["Dead"]


def forget_the_image(engine: Engine, client: Client, made: str) -> None:
    """Take away the image of a container that has stopped."""
    engine.stop(made, 0)
    for reference in (f"{NAME}:latest", f"{NAME}:{TAG['running']}"):
        client("rmi", "--force", reference)
    assert engine.image(f"{NAME}:{TAG['running']}") is None


def forget_the_network(_engine: Engine, client: Client, made: str) -> None:
    """Take away the network of a container that runs."""
    client("network", "disconnect", "--force", NETWORK, made)
    client("network", "rm", NETWORK)


CRASHES = {"args": ["sleep 0.2; echo boom; exit 3"]}
SETTINGS = {
    "crash-looping": CRASHES,
    "restarting": CRASHES,
    "unhealthy": {"args": ["sleep 600"]},
    "on a network that is gone": {"network": NETWORK},
}
BODY = {"unhealthy": {"Healthcheck": {"Interval": 100_000_000, "Timeout": 1_000_000_000, "Retries": 1}}}
STATES: dict[str, Callable[[Engine, Client, str], Any]] = {
    "created": lambda engine, client, made: None,
    "running": lambda engine, client, made: None,
    "crash-looping": lambda engine, client, made: wait_until(
        lambda: engine.container(made)["RestartCount"] > 2 and not status(engine, made)["Restarting"]
    ),
    "restarting": lambda engine, client, made: wait_until(
        lambda: engine.container(made)["RestartCount"] > 2 and status(engine, made)["Restarting"]
    ),
    "unhealthy": lambda engine, client, made: wait_until(lambda: status(engine, made)["Health"]["Status"] == "unhealthy"),
    "paused": lambda engine, client, made: client("pause", made),
    "exited": lambda engine, client, made: engine.stop(made, 0),
    "dead": kill_the_layer,
    "without its image": forget_the_image,
    "on a network that is gone": forget_the_network,
    "made by an earlier version": lambda engine, client, made: None,
}


@pytest.mark.engine
@pytest.mark.parametrize("state", STATES)
def test_a_container_in_any_state_is_replaced(engine: Engine, wanted: Settings, in_state: Callable[[str], str], state: str) -> None:
    made = in_state(state)
    done = play(engine, wanted(image_tag=TAG["new"]))
    found = stands(engine)
    assert (done["deploy"]["container_id"], found["Config"]["Image"]) == (found["Id"], f"{NAME}:{TAG['new']}")
    assert engine.container(made) is None
    if state in ("crash-looping", "restarting"):
        how, *words = done["deploy"]["ended"]
        assert how.startswith("it exited with code 3 and was restarted ") and "log: boom" in words[-1]


@pytest.mark.engine
@pytest.mark.parametrize("state", STATES)
def test_a_service_in_any_state_is_rolled_back(engine: Engine, wanted: Settings, in_state: Callable[[str], str], state: str) -> None:
    in_state(state)
    play(engine, wanted(image_tag="previous"))
    assert stands(engine)["Config"]["Image"] == f"{NAME}:{TAG['old']}"


@pytest.mark.engine
@pytest.mark.parametrize("state", STATES)
def test_a_container_in_any_state_is_removed(engine: Engine, wanted: Settings, in_state: Callable[[str], str], state: str) -> None:
    made = in_state(state)
    removal = remove.Removal(NAME, service_directory(wanted()))
    removal._remove_image = lambda *_arguments: None
    removal.from_engine(engine, False)
    assert removal.removed["containers"] == [NAME]
    assert engine.container(made) is None


# What runs again where a new version fails in the service's place.
BACK = {
    "created": "back as it was: stopped",
    "running": "runs again and is healthy",
    "crash-looping": "back as it was: it ends each time that the Engine starts it",
    "restarting": "back as it was: it ends each time that the Engine starts it",
    "unhealthy": "back as it was: running, but unhealthy",
    "paused": "runs again and is healthy",
    "exited": "back as it was: stopped",
    "without its image": "back as it was: stopped",
    "made by an earlier version": "runs again and is healthy",
}


@pytest.mark.engine
@pytest.mark.parametrize("state", BACK)
def test_a_container_in_any_state_comes_back_where_the_new_one_fails(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str], state: str
) -> None:
    made = in_state(state)
    bad = wanted(args=["exit 4"], start_timeout=0.5)
    with pytest.raises(Failure, match="failed in the service's place") as caught:
        swap.swap(engine, bad, containers.create_body(bad, f"{NAME}:{TAG['new']}", engine.api_version))
    assert BACK[state] in caught.value.still_runs
    (listed,) = engine.containers(name=NAME)
    assert (listed["Id"], listed["Names"]) == (made, [f"/{NAME}"])


# What comes in the way of a swap

# A service that locks its data.
LOCKING = f"exec 9>/data/lock; flock -n 9 || {{ echo 'open /data/lock: resource temporarily unavailable'; exit 9; }}; {SERVE}"


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["candidate", "set-aside"])
def test_a_signal_ends_a_deploy_before_its_swap_or_after_it(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str], number: signal.Signals, moment: str
) -> None:
    """It takes no more than a candidate along; a swap that was begun is brought to its end."""
    made = in_state("running")
    slow = wanted(image_tag=TAG["new"], args=[f"sleep 1; {SERVE}"])
    lock = Lock(engine, NAME, service_directory(slow))
    lock.take("t", "a test", "")
    reference = f"{NAME}:{TAG['new']}"
    # One that is ignored where the tests run, as by nohup, would be ignored by the module.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        working = start_module(
            "deploy", Path(slow.work_dir).parent, settings=slow.as_json(), image=reference, bases=[RUNTIME, RUNTIME], lock="t"
        )
    finally:
        signal.signal(number, before)
    wait_until(lambda: engine.container(f"{NAME}-{moment}"))
    working.send_signal(number)
    told = result_of(working)
    assert told["failed"] and f"the run was ended by the signal {number.name}" in told["msg"]
    finished = moment == "set-aside"
    found = stands(engine)
    assert (found["Id"] == made) == (not finished)
    assert found["Config"]["Image"] == (reference if finished else f"{NAME}:{TAG['running']}")
    assert (f"The container {found['Id'][:12]} of {reference} runs" if finished else "Nothing that ran before was touched") in told["msg"]
    assert lock.holder() is None
    assert engine.image(f"{NAME}:latest")["Id"] == found["Image"]


@pytest.mark.engine
def test_a_candidate_that_ends_while_the_new_container_proves_itself_brings_the_old_one_back(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str]
) -> None:
    """A service that crashes some seconds after its start, which the candidate started before the new container."""
    made = in_state("running")

    def crash() -> None:
        wait_until(lambda: engine_of_the_thread.container(f"{NAME}-set-aside"))
        engine_of_the_thread.stop(f"{NAME}-candidate", 0)

    engine_of_the_thread = Engine()
    crashing = threading.Thread(target=crash)
    crashing.start()
    with pytest.raises(Failure, match="its candidate, which ran on beside it, did not last: it was ended") as caught:
        play(engine, wanted(image_tag=TAG["new"], stable_seconds=1.5))
    crashing.join()
    assert caught.value.still_runs == f"The very same earlier container {made[:12]} runs again and is healthy."
    assert stands(engine)["Id"] == made
    past = history.read(engine, NAME, service_directory(wanted()))
    assert {tag: known["proven"] for tag, known in (past.images or {}).items()} == {
        TAG["old"]: True,
        TAG["running"]: True,
        TAG["new"]: False,
    }


@pytest.mark.engine
def test_a_candidate_never_runs_beside_the_first_container_of_its_data(engine: Engine, wanted: Settings, tmp_path: Path) -> None:
    """What both would lock they have not shared yet, nor has a version without that volume: the candidate is gone before the service's own
    container starts. One that does run beside it, since the version before had the data and did not lock them, is told of."""
    locks = {"args": [LOCKING], "volumes": [f"{tmp_path}:/data"]}
    done = play(engine, wanted(image_tag=TAG["new"], **locks))
    assert done["deploy"]["action"] == "created"
    assert stands(engine)["Id"] == done["deploy"]["container_id"]
    play(engine, wanted(image_tag=TAG["old"], volumes=[], deploy_strategy="recreate"))
    done = play(engine, wanted(image_tag=TAG["new"], **locks))
    assert done["deploy"]["action"] == "replaced"
    assert stands(engine)["Id"] == done["deploy"]["container_id"]
    unlocked = play(engine, wanted(image_tag=TAG["old"], volumes=locks["volumes"], deploy_strategy="recreate"))
    with pytest.raises(Failure, match="failed in the service's place") as caught:
        play(engine, wanted(image_tag=TAG["new"], **locks))
    assert f"Its candidate, which ran on beside it, had {tmp_path} open" in caught.value.remedy
    assert "go_service_deploy_strategy: recreate" in caught.value.remedy
    assert stands(engine)["Id"] == unlocked["deploy"]["container_id"]


@pytest.mark.engine
def test_a_container_that_was_renamed_by_hand_is_left_alone(
    engine: Engine, client: Client, wanted: Settings, in_state: Callable[[str], str]
) -> None:
    """It is no longer the service's: whoever gave it another name wanted to keep it."""
    made = in_state("running")
    client("rename", NAME, f"{NAME}-kept")
    done = play(engine, wanted(image_tag=TAG["new"]))
    removal = remove.Removal(NAME, service_directory(wanted()))
    removal._remove_image = lambda *_arguments: None
    removal.from_engine(engine, False)
    assert (done["deploy"]["action"], removal.removed["containers"]) == ("created", [NAME])
    assert (engine.container(made)["Name"], status(engine, made)["Status"]) == (f"/{NAME}-kept", "running")
    assert [line for line in removal.stays if f"The container {NAME}-kept stays" in line]


# A service that is told of a proxy

PROXY = "http://127.0.0.1:9"


@pytest.mark.engine
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize("by", ["go_service_env", "image"])
def test_the_health_check_asks_no_proxy(engine: Engine, client: Client, wanted: Settings, variable: str, by: str) -> None:
    """Neither the Engine's own test nor the role's asks the one that the service is told of; there is nobody at this one."""
    changes: dict[str, Any] = {"args": [f'test "${variable}" = {PROXY} && {SERVE}']}
    if by == "image":
        build(client, "other", "new", f"ENV {variable}={PROXY}", base="utest-web:1")
        changes["image_tag"] = "other"
    else:
        changes.update(image_tag=TAG["new"], env={variable: PROXY})
    done = play(engine, wanted(**changes))
    found = stands(engine)
    assert found["Id"] == done["deploy"]["container_id"]
    command = found["Config"]["Healthcheck"]["Test"]
    assert command[:3] == ["CMD", "env", f"{variable}="] and "wget" in command
    assert play(engine, wanted(**changes))["deploy"]["action"] == "kept"


def test_a_further_port_that_nothing_listens_on_is_a_warning(settings: Callable[..., typed.Settings], generate: Callable[..., Any]) -> None:
    """It names what was asked for; the port that is listened on is not told, and the deploy is done."""
    with crashes.world(settings, generate) as here:
        loud, silent = settings(publish_more=[f"127.0.0.1:{free_port()}:9100", f"127.0.0.1:{free_port()}:9101"]).publish_more
        here.settings = replace(here.settings, publish_more=(loud, silent))
        here.edit("one")
        here.begin()
        built = next(one["record"] for one in here.engine.rules.state.images.values() if f"{here.name}:" in str(one["record"]["RepoTags"]))
        built["Config"]["ExposedPorts"] = {port: {} for port in here.settings.exposed}
        built["Config"]["Labels"][SILENT] = "9101"
        done = here.deploy(*here.held)
        assert not done.get("failed"), done["msg"]
        assert (done["deploy"]["action"], done["deploy"]["silent"]) == ("created", [str(silent)])
        (warning,) = done["warnings"]
        assert f"go_service_publish_more has {silent}, but nothing listens on that port" in warning
        here.settings = replace(here.settings, publish_more=(loud,))
        assert here.bring_up()["warnings"] == []


def test_a_service_without_a_proxy_keeps_the_check_of_its_image(settings: Settings) -> None:
    image = {"Config": {"Env": ["PATH=/bin", "PORT=8080", "http_proxy="], "Healthcheck": {"Test": ["CMD-SHELL", "wget x || exit 1"]}}}
    plain = containers.create_body(settings(), "a:b", (1, 41))
    assert containers.create_body(settings(), "a:b", (1, 41), image) == plain
    asked = containers.create_body(settings(env={"HTTPS_PROXY": PROXY}), "a:b", (1, 41), image)
    assert asked["Healthcheck"] == {"Test": ["CMD", "env", "HTTPS_PROXY=", "/bin/sh", "-c", "wget x || exit 1"]}


# The strategy "recreate": the old container is stopped first


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Return a directory of the host that a service locks."""
    (tmp_path / "data").mkdir()
    return f"{tmp_path / 'data'}:/data"


@pytest.mark.engine
def test_a_service_that_locks_its_data_is_told_of_recreate_and_updated_by_it(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str], data: str
) -> None:
    in_state("exited")
    locks = {"args": [LOCKING], "volumes": [data]}
    first = play(engine, wanted(image_tag=TAG["old"], **locks))["deploy"]["container_id"]
    with pytest.raises(Failure, match="exited with code 9") as caught:
        play(engine, wanted(image_tag=TAG["new"], **locks))
    assert data.partition(":")[0] in caught.value.remedy and "go_service_deploy_strategy: recreate" in caught.value.remedy
    assert stands(engine)["Id"] == first
    with pytest.raises(Failure, match="exited with code 4") as caught:
        play(engine, wanted(image_tag=TAG["new"], **{**locks, "args": ["exit 4"]}))
    assert "If the service locks its data: Set go_service_deploy_strategy" in caught.value.remedy
    done = play(engine, wanted(image_tag=TAG["new"], deploy_strategy="recreate", **locks))
    found = stands(engine)
    assert (done["deploy"]["strategy"], done["deploy"]["old_id"], done["deploy"]["container_id"]) == ("recreate", first, found["Id"])
    assert done["verify"]["start_seconds"] > 0
    assert {check["verdict"] for check in done["verify"]["facts"]["checks"] if check["group"] == "runtime"} <= {
        "pass",
        "warn",
        "waived",
        "skip",
    }
    again = play(engine, wanted(image_tag=TAG["new"], deploy_strategy="recreate", **locks))
    assert (again["deploy"]["action"], stands(engine)["Id"]) == ("kept", found["Id"])
    play(engine, wanted(image_tag="previous", deploy_strategy="recreate", **locks))
    assert stands(engine)["Config"]["Image"] == f"{NAME}:{TAG['old']}"


@pytest.mark.engine
@pytest.mark.parametrize("fault", ["it ends", "it breaks the contract"])
def test_with_recreate_the_very_same_old_container_comes_back(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str], fault: str
) -> None:
    made = in_state("running")
    changes = {
        "it ends": {"args": ["echo boom; exit 4"]},
        # Only a container that has started shows it.
        "it breaks the contract": {"waivers": {**ALL_WAIVED}, "budget": {"start_seconds": 0.001}, "args": [f"sleep 0.3; {SERVE}"]},
    }[fault]
    if fault == "it breaks the contract":
        del changes["waivers"]["start-time"]
    words = {"it ends": "it exited with code 4", "it breaks the contract": "breaks the contract"}[fault]
    with pytest.raises(Failure, match="failed in the service's place") as caught:
        play(engine, wanted(image_tag=TAG["new"], deploy_strategy="recreate", **changes))
    assert words in caught.value.message
    assert caught.value.still_runs == f"The very same earlier container {made[:12]} runs again and is healthy."
    assert stands(engine)["Id"] == made
    assert caught.value.evidence


@pytest.mark.engine
def test_with_recreate_an_image_that_breaks_the_contract_stops_nothing(
    engine: Engine, wanted: Settings, in_state: Callable[[str], str]
) -> None:
    made = in_state("running")
    started = status(engine, made)["StartedAt"]
    waived = {name: reason for name, reason in ALL_WAIVED.items() if name != "config-labels"}
    with pytest.raises(Failure, match="breaks the contract") as caught:
        play(engine, wanted(image_tag=TAG["new"], deploy_strategy="recreate", waivers=waived))
    assert "Nothing that ran before was touched" in caught.value.still_runs
    assert (stands(engine)["Id"], status(engine, made)["StartedAt"]) == (made, started)


@pytest.mark.engine
def test_with_recreate_a_proof_alone_touches_nothing(engine: Engine, wanted: Settings, in_state: Callable[[str], str]) -> None:
    made = in_state("running")
    started = status(engine, made)["StartedAt"]
    known = play(engine, wanted(image_tag=TAG["new"], deploy_strategy="recreate"), prove_only=True)
    assert known["verify"]["verdict"] in ("pass", "warn") and "deploy" not in known
    assert (stands(engine)["Id"], status(engine, made)["StartedAt"]) == (made, started)


@pytest.mark.engine
def test_on_the_hosts_network_nothing_is_proven_by_the_answers_of_another(
    engine: Engine, client: Client, wanted: Settings, tmp_path: Path
) -> None:
    """A service that goes on where it cannot listen, while the old container, or somebody else, answers at its port."""
    port = free_port()
    build(client, "other", "new", f"HEALTHCHECK CMD wget -q --spider http://localhost:{port}/health", base="utest-web:1")
    on_host = {"image_tag": "other", "port": port, "network": "host", "args": [f"httpd -f -p {port} -h /srv"]}
    stubborn = {**on_host, "args": [f"httpd -f -p {port} -h /srv; sleep 600"]}
    elsewhere = play(engine, wanted(**{**on_host, "network": "bridge"}))["deploy"]["container_id"]
    # Its candidate has the port until the new container is to have it.
    moved = play(engine, wanted(**on_host))["deploy"]
    assert (moved["action"], moved["old_id"]) == ("replaced", elsewhere)
    first = moved["container_id"]
    for prove_only in (False, True):
        with pytest.raises(Failure, match=f"a candidate cannot have the port {port} beside") as caught:
            play(engine, wanted(**stubborn), prove_only)
        assert "Set go_service_deploy_strategy: recreate" in caught.value.remedy
    assert engine.container(NAME)["Id"] == first
    done = play(engine, wanted(deploy_strategy="recreate", **stubborn))
    assert done["deploy"]["old_id"] == first
    engine.stop(NAME, 0)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("0.0.0.0", port))
        other.listen()
        with pytest.raises(Failure, match=rf"the host port 0\.0\.0\.0:{port} is taken by"):
            play(engine, wanted(deploy_strategy="recreate", **on_host))


# The way back

BASE = f"{NAME}-base:1"
WAYS = {
    "old": {"port": 8080, "health_path": "/health", "user": "app"},
    "running": {"port": 8080, "health_path": "/health", "user": "app"},
    "new": {
        "port": 9090,
        "health_path": "/other",
        "user": "svc",
        "health_interval": "7s",
        "health_retries": 9,
        "budget": {"image_mb": 0.1},
    },
}
# What images without a Go program in them break.
_LOOKED_AT = ("config-", "user-", "file-", "runtime-", "image-size")
NO_GO = {name: reason for name, reason in ALL_WAIVED.items() if not name.startswith(_LOOKED_AT) or name == "config-command"}


def role_like(client: Client, version: str, **changes: Any) -> None:
    """Make an image as the role makes them, for the settings of a version."""
    way = {**WAYS[version], **changes}
    own = [
        f"RUN adduser -D -H -s /sbin/nologin {way['user']}",
        f"LABEL org.opencontainers.image.title={NAME} org.opencontainers.image.base.name={BASE}",
        f"LABEL org.opencontainers.image.version=1 org.opencontainers.image.base.digest=sha256:{'0' * 64}",
        f"ENV PORT={way['port']}",
        f"EXPOSE {way['port']}",
        "WORKDIR /srv",
        f"USER {way['user']}",
        f"HEALTHCHECK --interval={way.get('health_interval', '30s')} --timeout=3s --start-period=5s --retries={way.get('health_retries', 3)} "
        f"CMD wget --no-verbose --tries=1 --spider http://localhost:{way['port']}{way['health_path']}",
        'ENTRYPOINT ["/bin/sh", "-c"]',
    ]
    build(client, TAG[version], version, *own, base=BASE)


@pytest.fixture
def ways(engine: Engine, client: Client, versions: str) -> Iterator[None]:
    """Make a base, and images on it as the role makes them; take away what they leave."""
    client(
        "build",
        "-q",
        "-t",
        BASE,
        "-",
        stdin=f"FROM {RUNTIME}\n{SERVING} && echo ok >/srv/other && cp /bin/busybox /bin/su-like && chmod u+s /bin/su-like\n",
    )
    assert versions == NAME
    for version in WAYS:
        role_like(client, version)
    yield
    for made in engine.containers(name=NAME):
        engine.remove(made["Id"])
    for tag in (*TAG.values(), "latest", "previous"):
        engine.remove_image(f"{NAME}:{tag}")
    engine.remove_image(BASE)


def forgotten(engine: Engine, directory: Path) -> None:
    """Let the history be that of a version of the role that kept nothing of what an image was built with."""
    past = history.read(engine, NAME, directory)
    for known in (past.images or {}).values():
        known.pop("with", None)
        known.pop("ran", None)
        known.pop("turn", None)
    past.save(engine)


@pytest.mark.engine
@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("knows", [True, False], ids=["of this version", "of an earlier version"])
def test_a_rollback_goes_by_what_the_image_was_built_with(engine: Engine, client: Client, wanted: Settings, knows: bool) -> None:
    """The bad version came with another port, health check, user and budget, and since then the base has been renewed under its name."""
    publish = f"127.0.0.1:{free_port()}"
    common = {"args": ["exec httpd -f -p $PORT -h /srv"], "waivers": NO_GO, "runtime_image": BASE, "publish": publish}
    history.History(NAME, {}).save(engine)
    play(engine, wanted(image_tag=TAG["running"], **common, **WAYS["running"]))
    bad = {**common, **WAYS["new"]}
    play(engine, wanted(image_tag=TAG["new"], **{**bad, "waivers": {**NO_GO, "image-size": "It grew."}}))
    assert get(int(publish.partition(":")[2]), "/other")[0] == 200
    if not knows:
        forgotten(engine, service_directory(wanted()))
    client("build", "-q", "-t", BASE, "-", stdin=f"FROM {RUNTIME}\nRUN echo renewed >/etc/renewed\n")
    # Of how its container ran, the history alone knows.
    if knows:
        bad.update(args=["exec httpd --flag-of-the-bad-version"], memory="16m")
    done = play(engine, wanted(image_tag="previous", **bad))
    found = stands(engine)
    assert found["Config"]["Image"] == f"{NAME}:{TAG['running']}"
    assert list(found["HostConfig"]["PortBindings"]) == ["8080/tcp"]
    assert get(int(publish.partition(":")[2]), "/health")[0] == 200
    base = next(check for check in done["verify"]["facts"]["checks"] if check["id"] == "config-base")
    assert (base["verdict"], base["reason"]) == ("pass", f"it was proven before, on what {BASE} was then")
    assert play(engine, wanted(image_tag=TAG["running"], **common, **WAYS["new"]))["deploy"]["action"] == "kept"


@pytest.mark.engine
@pytest.mark.usefixtures("ways")
def test_an_image_that_was_never_proven_is_judged_by_todays_variables(engine: Engine, wanted: Settings) -> None:
    common = {"args": ["exec httpd -f -p $PORT -h /srv"], "waivers": NO_GO, "runtime_image": BASE}
    history.History(NAME, {}).save(engine)
    with pytest.raises(Failure, match="breaks the contract") as caught:
        play(engine, wanted(image_tag=TAG["running"], **common, **{**WAYS["running"], "user": "other"}))
    assert "USER is app, not other" in str(caught.value.evidence)


@pytest.mark.engine
def test_each_rollback_goes_further_back(engine: Engine, wanted: Settings, in_state: Callable[[str], str]) -> None:
    in_state("running")
    history.History(NAME, {}).save(engine)
    for reference in ("latest", "previous"):
        engine.remove_image(f"{NAME}:{reference}")
    for version in ("old", "running", "new"):
        play(engine, wanted(image_tag=TAG[version]))
    for version in ("running", "old"):
        play(engine, wanted(image_tag="previous"))
        assert stands(engine)["Config"]["Image"] == f"{NAME}:{TAG[version]}"
    with pytest.raises(Failure, match="no image of utest-states was in service before the one that runs") as caught:
        play(engine, wanted(image_tag="previous"))
    assert TAG["new"] in caught.value.remedy and TAG["running"] in caught.value.remedy and TAG["old"] not in caught.value.remedy
    play(engine, wanted(image_tag=TAG["new"]))
    play(engine, wanted(image_tag="previous"))
    assert stands(engine)["Config"]["Image"] == f"{NAME}:{TAG['old']}"
