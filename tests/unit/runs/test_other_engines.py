"""Engines that are not as the one of this machine: the same run proves the service there, says what is not to be had, and a second one changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from other_engines import Other, facts, needs_root, rootless_engine, second_engine
from plays import PROJECT, RUNTIME, SERVING, free_port, get
from small_plays import ALL_WAIVED, QUICK, play, service_image

pytestmark = pytest.mark.skipif("ENGINES" not in os.environ, reason="make engines runs it")
NAME = "utest-elsewhere"
HELD = (
    "user-groups",
    "user-uid",
    "user-not-root",
    "runtime-memory-limit",
    "runtime-cpu-limit",
    "runtime-pids-limit",
    "runtime-secret-files",
)
LIMITS = HELD[3:6]
Run = Callable[..., str]


def image(other: Other) -> None:
    """Make the service's image in an Engine: a user of its own, a health check, and what the role ends an image with."""
    own = f"""FROM {RUNTIME}
    {SERVING}
    RUN adduser -D -H -s /sbin/nologin -u 10001 app
    USER app
    EXPOSE 8080
    HEALTHCHECK CMD ["wget", "-q", "--spider", "http://localhost:8080/health"]
    ENTRYPOINT ["/bin/sh", "-c"]
    """
    other.docker("build", "-q", "-t", f"{NAME}:base", "-", stdin=own)
    service_image(other.docker, NAME, f"{NAME}:base")


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Other], Run]:
    """Return what makes, for an Engine, what runs the role with it; the checks of HELD are not waived."""

    def to(other: Other) -> Run:
        image(other)

        def deploy(*, succeeds: bool = True, tasks_from: str = "main", **variables: Any) -> str:
            given = {
                **QUICK,
                "go_service_name": NAME,
                "go_service_uid": 10001,
                "go_service_waivers": {name: why for name, why in ALL_WAIVED.items() if name not in HELD},
                **{f"go_service_{name}": value for name, value in variables.items()},
                "asked": other.environment,
            }
            tasks = [{"ansible.builtin.include_role": {"name": "proven.go_service.go_service", "tasks_from": tasks_from}}]
            done = play(tmp_path, tasks, {"host": {}}, given)
            assert (done.returncode == 0) == succeeds, done.stdout[-6000:] + done.stderr[-2000:]
            return done.stdout + done.stderr

        return deploy

    return to


def inspected(other: Other) -> dict[str, Any]:
    """Return the Engine's record of the service's container."""
    return json.loads(other.docker("inspect", NAME))[0]


def verdicts(directory: Path) -> dict[str, str]:
    """Return what the last report says of each check."""
    (report,) = (path for path in (directory / "reports").rglob(f"{NAME}.json"))
    return {check["id"]: f"{check['verdict']}: {check['reason']}" for check in json.loads(report.read_text())["checks"]}


def untouched(other: Other, run: Run, **asked: Any) -> None:
    """Run again; insist that nothing changes, the container least of all."""
    before = inspected(other)
    told = run(**asked)
    assert "changed=0" in told
    assert (inspected(other)["Id"], inspected(other)["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])


@pytest.fixture(scope="module")
def remapped() -> Iterator[Other]:
    """Return an Engine that gives its containers users and groups of their own."""
    needs_root()
    for database in ("/etc/subuid", "/etc/subgid"):
        if "dockremap:" not in Path(database).read_text():
            pytest.skip(f"{database} has no numbers for dockremap")
    with second_engine("--userns-remap=default") as other:
        yield other


@pytest.fixture(scope="module")
def rootless() -> Iterator[Other]:
    """Return an Engine that runs as a user without rights."""
    if "dockremap:" not in Path("/etc/subuid").read_text():
        pytest.skip("/etc/subuid has no numbers for dockremap")
    with rootless_engine("dockremap") as other:
        yield other


@pytest.fixture(scope="module")
def bare() -> Iterator[Other]:
    """Return an Engine without the controllers that limits need, whose network is not this machine's."""
    theirs = "mount -t tmpfs none /media && mkdir /media/theirs && touch /media/theirs/here"
    unmount = "for tree in memory cpu cpuacct cpu,cpuacct pids; do umount /sys/fs/cgroup/$tree 2>/dev/null || true; done"
    with second_engine(before=f"{theirs}; {unmount}", namespaces=("--mount", "--net")) as other:
        if facts(other)["MemoryLimit"]:
            pytest.skip("the control groups of this machine are of version 2, where a controller cannot be hidden")
        yield other


def test_numbers_of_another_namespace(remapped: Other, run: Callable[[Other], Run], tmp_path: Path) -> None:
    """The contract holds, secrets are read by the service's user alone, and what is published answers here."""
    deploy, port = run(remapped), free_port()
    serve = (
        "cat /run/secrets/token >/tmp/token && mkdir /tmp/www && cp /srv/health /tmp/token /tmp/www && exec httpd -f -p 8080 -h /tmp/www"
    )
    asked = {"secret_files": {"token": "hidden-word"}, "publish": f"127.0.0.1:{port}", "args": [serve]}
    deploy(**asked)
    assert get(port, "/token") == (200, "hidden-word")
    assert {name: said for name, said in verdicts(tmp_path).items() if name in HELD} == dict.fromkeys(HELD, "pass: ")
    assert remapped.docker("exec", "--user", "12345", NAME, "sh", "-c", "cat /run/secrets/token 2>&1 || true").endswith("Permission denied")
    untouched(remapped, deploy, **asked)


def test_an_engine_without_root(rootless: Other, run: Callable[[Other], Run], tmp_path: Path) -> None:
    """The same; its port answers on this machine, and the limits that it cannot hold are told."""
    deploy, port = run(rootless), free_port()
    serve = "mkdir /tmp/www && cp /srv/health /run/secrets/token /tmp/www && exec httpd -f -p 8080 -h /tmp/www"
    asked = {"secret_files": {"token": "hidden-word"}, "publish": f"127.0.0.1:{port}", "args": [serve]}
    told = deploy(**asked)
    assert ("is not asked from here" in told, "cannot hold" in told) == (False, not facts(rootless)["MemoryLimit"])
    assert get(port, "/token") == (200, "hidden-word")
    said = verdicts(tmp_path)
    assert [name for name in HELD if not said[name].startswith(("pass: ", "skip: not applicable: this Engine has no "))] == []
    untouched(rootless, deploy, **asked)


def test_secrets_do_not_depend_on_who_deploys(remapped: Other, run: Callable[[Other], Run], tmp_path: Path) -> None:
    """Another user, with a work directory of his own, has the same container; another value is another one, and nothing is left of the first."""
    deploy = run(remapped)
    asked = {"secret_files": {"token": "hidden-word"}}
    deploy(**asked)
    untouched(remapped, deploy, **asked, work_dir=str(tmp_path / "another"))
    first = inspected(remapped)["Mounts"][0]["Name"]
    deploy(secret_files={"token": "another"})
    assert remapped.docker("exec", NAME, "cat", "/run/secrets/token") == "another"
    assert first not in remapped.docker("volume", "ls", "--quiet").split()
    deploy(tasks_from="remove")
    assert [name for name in remapped.docker("volume", "ls", "--quiet").split() if NAME in name] == []


def test_limits_that_the_engine_cannot_hold(bare: Other, run: Callable[[Other], Run], tmp_path: Path) -> None:
    """They are told once, with the remedy, and are not applicable in the contract; a waiver is taken for an answer."""
    deploy = run(bare)
    asked = {"network": "none"}
    told = " ".join(deploy(**asked).split())
    assert "The Engine cannot hold go_service_memory (256m), go_service_cpus (1.0), go_service_pids_limit (128)" in told
    assert "set go_service_waivers: {runtime-memory-limit: reason" in told
    said = verdicts(tmp_path)
    assert [name for name in LIMITS if not said[name].startswith("skip: not applicable: this Engine has no ")] == []
    untouched(bare, deploy, **asked)
    waived = {"waivers": ALL_WAIVED, "memory": "128m"}
    assert "cannot hold" not in deploy(**asked, **waived)


def test_what_an_engine_elsewhere_publishes(bare: Other, run: Callable[[Other], Run]) -> None:
    """A port that is taken here is none there: the service is proven inside of its container, and the run says what it could not ask."""
    deploy = run(bare)
    network = "utest-elsewhere-net"
    bare.docker("network", "create", network)
    with subprocess.Popen(
        ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port := free_port())], stderr=subprocess.DEVNULL, cwd=PROJECT / "docs"
    ) as here:
        try:
            asked = {"network": network, "publish": f"127.0.0.1:{port}"}
            told = " ".join(deploy(**asked).split())
            assert f"127.0.0.1:{port} is not asked from here, since the Engine publishes it elsewhere: what serves" in told
            assert "(on the machine of the Engine)" in told
            answer = subprocess.run(
                ["nsenter", f"--net=/proc/{bare.pid}/ns/net", "wget", "-qO-", f"http://127.0.0.1:{port}/health"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert answer.stdout.strip() == "ok", answer.stderr
            untouched(bare, deploy, **asked)
            inside = deploy(**asked, args=["exec httpd -f -p 127.0.0.1:8080 -h /srv"], succeeds=False)
            assert "it listens only on its own loopback address" in " ".join(inside.split())
        finally:
            here.kill()


def test_what_is_mounted_is_looked_for_where_the_engine_is(bare: Other, run: Callable[[Other], Run]) -> None:
    """A directory that is on its machine alone is there; one that is not there is told before anything is touched, and not made."""
    deploy = run(bare)
    asked = {"network": "none", "volumes": ["/media/theirs:/data:ro"], "args": ["test -e /data/here && exec httpd -f -p 8080 -h /srv"]}
    assert not Path("/media/theirs").exists()
    deploy(**asked)
    untouched(bare, deploy, **asked)
    told = deploy(network="none", volumes=["/media/missing:/data", "/media/theirs:/more"], succeeds=False)
    assert "/media/missing does not exist on the machine of the Engine (go_service_volumes)" in told
    assert subprocess.run(["test", "-e", f"/proc/{bare.pid}/root/media/missing"], check=False).returncode == 1
