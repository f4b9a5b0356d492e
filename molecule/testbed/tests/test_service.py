"""What every scenario's service must be, seen from the outside; the values are in the scenario's `expected.yml`."""

from __future__ import annotations

import base64
import socket
import struct
from typing import Any, Callable

import pytest

# Numbers of capabilities in the kernel's masks, from linux/capability.h.
CAPABILITIES = {"NET_BIND_SERVICE": 10}


def at(tree: Any, path: str) -> Any:
    """The value at a dotted path of a tree of mappings; None for an empty list, which Engines write in both ways."""
    for key in path.split("."):
        tree = tree[key]
    return None if tree == [] else tree


def test_it_answers(machine, expected, each_answers) -> None:
    """The service answers where it is published, with what it should say."""
    path, words = each_answers
    response = machine.get(path, expected["address"], expected["host_port"])
    assert response.status == 200, response
    for word in words:
        assert word in response.body


def test_it_refuses(machine, expected, each_refusals) -> None:
    """The service refuses what it should refuse."""
    path, status = each_refusals
    assert machine.get(path, expected["address"], expected["host_port"]).status == status


def test_it_answers_nowhere_else(machine, expected) -> None:
    """The port is open on the address that was asked for, and on no other one."""
    others = machine.addresses() if expected["address"] != "0.0.0.0" else []
    assert others or expected["address"] == "0.0.0.0", "the VM has no address to try"
    for address in others:
        response = machine.get(expected["health_path"], address, expected["host_port"])
        assert response.error, f"{address} answers {response.status}"


def test_it_cannot_be_reached_from_another_machine(machine, expected) -> None:
    """Another machine (the one that runs the tests) reaches the service only where it is published to the world."""
    published_to_all = expected["address"] == "0.0.0.0"
    try:
        socket.create_connection((machine.outer_address(), expected["host_port"]), timeout=3).close()
        reached = True
    except OSError:
        reached = False
    assert reached == published_to_all


def test_the_engine_calls_it_healthy(machine, expected, wait_until: Callable[..., Any]) -> None:
    """The Engine's own probes, which may take an interval to begin, find the service healthy."""

    def state() -> str:
        return machine.run("docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' %s", expected["name"])

    assert wait_until(state, lambda said: said == "running healthy", seconds=60) == "running healthy"


def test_it_never_restarted(container) -> None:
    """The service has not died since it was started."""
    assert container["RestartCount"] == 0


def test_container_setting(container, each_container) -> None:
    """A setting of the container, as the Engine knows it."""
    path, value = each_container
    assert at(container, path) == value


def test_image_setting(image, each_image) -> None:
    """A setting of the image, as the Engine knows it."""
    path, value = each_image
    assert at(image, path) == value


def test_health_check(image, container, expected) -> None:
    """The health check is the one that was asked for, in the image, and in the container, which may only begin it sooner."""
    second = 1_000_000_000
    asked = expected["health"]
    for config in (image["Config"], container["Config"]):
        check = dict(config["Healthcheck"])
        if config is container["Config"]:
            check.pop("StartInterval", None)
        form, *words = check.pop("Test")
        assert form in ("CMD", "CMD-SHELL")
        assert " ".join(words) == asked["command"]
        assert check == {
            "Interval": asked["interval"] * second,
            "Timeout": asked["timeout"] * second,
            "StartPeriod": asked["start_period"] * second,
            "Retries": asked["retries"],
        }


def test_labels(container, image, expected) -> None:
    """Everything says whose it is, and the image what was built."""
    name = expected["name"]
    image_labels, container_labels = image["Config"]["Labels"], container["Config"]["Labels"]
    assert image_labels["go-service.name"] == name
    assert image_labels["go-service.kind"] == "image"
    assert image_labels["org.opencontainers.image.title"] == name
    assert image_labels["org.opencontainers.image.version"] == expected.get("version", image_labels["go-service.digest"][:12])
    assert container_labels["go-service.name"] == name
    assert container_labels["go-service.kind"] == "service"
    assert container_labels["go-service.config"]
    for label, value in expected["labels"].items():
        assert container_labels[label] == value


def test_tags(image, expected) -> None:
    """The image is tagged by the digest of its content, which it also knows itself, and `latest` is the one that runs."""
    tags = image["RepoTags"]
    digests = [tag.split(":")[1] for tag in tags if tag != f"{expected['name']}:latest"]
    assert f"{expected['name']}:latest" in tags
    assert len(digests) == 1
    assert len(digests[0]) == 12
    assert int(digests[0], 16)


def test_size(image) -> None:
    """The image is smaller than the design's 50 MB."""
    assert image["Size"] < 50_000_000


def test_the_process_has_no_rights(machine, container, expected) -> None:
    """Seen by the kernel: the service is not root, has no capabilities, could get only those it was granted, and is under a seccomp filter."""
    text = machine.run("cat /proc/%s/status", str(container["State"]["Pid"]))
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(expected["uid"])] * 4
    assert status["Gid"].split() == [str(expected["uid"])] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert int(status["CapBnd"], 16) == sum(1 << CAPABILITIES[name] for name in expected["capabilities"])
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_user(machine, expected) -> None:
    """The user of the service is the one that was asked for, with no shell and no other group."""
    name, user = expected["name"], expected["user"]
    assert machine.exec(name, "id", "-un") == (0, f"{user}\n")
    assert machine.exec(name, "id", "-Gn") == (0, f"{user}\n")
    status, entry = machine.exec(name, "grep", f"^{user}:", "/etc/passwd")
    assert status == 0
    assert entry.strip().endswith(":/sbin/nologin")


@pytest.mark.parametrize("path", ["/", "/etc", "/srv", "/usr/local/bin"])
def test_file_system(machine, expected, path: str) -> None:
    """Not even root writes into the container's own file system where it is read-only."""
    status, said = machine.exec(expected["name"], "touch", f"{path.rstrip('/')}/written", user="0")
    if expected["read_only"]:
        assert status != 0
        assert "Read-only file system" in said
    else:
        assert status == 0, said


def test_scratch_space(machine, expected) -> None:
    """The service may write to /tmp, and cannot run what it has written there."""
    name = expected["name"]
    assert machine.exec(name, "sh", "-c", "printf '#!/bin/sh\\n' > /tmp/run && chmod +x /tmp/run") == (0, "")
    status, _said = machine.exec(name, "/tmp/run")
    assert (status == 0) == expected["tmp_runs_programs"]


def test_limits(machine, container, expected) -> None:
    """The kernel holds the service to its limits of memory and of processes."""
    groups = machine.run("cat /proc/%s/cgroup", str(container["State"]["Pid"])).splitlines()
    paths = {controller: path for _id, controllers, path in (g.split(":", 2) for g in groups) for controller in controllers.split(",")}
    unified = "memory" not in paths
    memory_file = f"{paths['']}/memory.max" if unified else f"/memory{paths['memory']}/memory.limit_in_bytes"
    pids_file = f"{paths['']}/pids.max" if unified else f"/pids{paths['pids']}/pids.max"
    assert int(machine.run("cat %s", f"/sys/fs/cgroup{memory_file}")) == expected["memory"]
    assert int(machine.run("cat %s", f"/sys/fs/cgroup{pids_file}")) == expected["pids"]


def test_static_binary(machine, expected) -> None:
    """The binary is an ELF file that asks for no loader, and it is stripped."""
    binary = f"/usr/local/bin/{expected['name']}"
    script = f"docker cp {expected['name']}:{binary} - | tar -xO | head -c 4096 | base64 -w0"
    head = base64.b64decode(machine.run(script))
    assert head[:5] == b"\x7fELF\x02"
    offset = struct.unpack_from("<Q", head, 32)[0]
    entry_size, entries = struct.unpack_from("<HH", head, 54)
    kinds = [struct.unpack_from("<I", head, offset + number * entry_size)[0] for number in range(entries)]
    assert kinds
    assert 3 not in kinds, "the binary has a PT_INTERP segment: it is dynamically linked"


def test_nothing_is_left_over(machine, expected) -> None:
    """One container runs; no candidate, no container set aside, no image without a name but labelled builder stages."""
    assert machine.run("docker ps --all --format '{{.Names}}'").split() == [expected["name"]]
    nameless = machine.run("docker images --filter dangling=true --format '{{.ID}}'").split()
    for identity in nameless:
        assert machine.inspect("image", identity)["Config"]["Labels"]["go-service.name"] == expected["name"]


def test_context(machine, expected) -> None:
    """What is staged for the builder holds the source and the two templated files, and nothing that the build does not need."""
    context = f"{expected['work_dir']}/{expected['name']}/context"
    staged = set(machine.run("cd %s && find . -type f -printf '%%P\\n'", context).split("\n"))
    assert {"Dockerfile", ".dockerignore", *expected["staged"]} <= staged
    for path in staged:
        parts = path.split("/")
        assert ".git" not in parts
        assert not any(part.startswith(".env") or part.startswith("id_") or part.endswith((".pem", ".key")) for part in parts), path


def test_files_on_the_target(machine, expected) -> None:
    """What the role keeps on the target belongs to the user of the play, and no one else writes there."""
    lines = machine.run("find %s -printf '%%u %%m %%y %%p\\n'", expected["work_dir"]).splitlines()
    assert lines
    for line in lines:
        owner, mode, kind, path = line.split(" ", 3)
        assert owner == expected["owner"], path
        assert kind == "l" or not int(mode, 8) & 0o022, f"{path} can be written by others: {mode}"
