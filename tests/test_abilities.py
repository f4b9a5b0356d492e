"""What ordinary services have beside a port, built and run by the playbooks on this machine's Engine, and asked of the service itself."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plays import PROJECT, changed, free_port, get, left_on_engine, play

NAME = "desk-trial"
Run = Callable[..., str]


def docker(*arguments: str) -> str:
    """Run the Docker client and return what it prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def inspected() -> dict[str, Any]:
    """Return the Engine's record of the service's container."""
    return json.loads(docker("inspect", NAME))[0]


def of_file(port: int, action: str, path: str) -> tuple[int, str]:
    """Have the service read or write a path; return how it answers."""
    return get(port, f"/{action}?path={urllib.parse.quote(path)}")


@pytest.fixture
def port() -> int:
    """Return the host port of the service."""
    return free_port()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the source of the service, to change."""
    return Path(shutil.copytree(PROJECT / "tests/services/desk", tmp_path / "source"))


@pytest.fixture
def deploy(builder_image: str, source: Path, port: int, tmp_path: Path) -> Iterator[Run]:
    """Return what runs a playbook for the service with variables without their prefix; the service is gone afterwards, all of it."""
    assert builder_image
    common = {
        "name": NAME,
        "source": str(source),
        "publish": f"127.0.0.1:{port}",
        "work_dir": str(tmp_path / "work"),
        "report_dir": str(tmp_path / "reports"),
        "stable_seconds": 0,
        "stop_timeout": 1,
    }

    def run(playbook: str = "build", *arguments: str, succeeds: bool = True, **variables: Any) -> str:
        given = {f"go_service_{name}": value for name, value in {**common, **variables}.items()}
        return play(playbook, given, *arguments, succeeds=succeeds)

    yield run
    run("remove")
    assert left_on_engine(NAME) == []
    assert not (tmp_path / "work" / NAME).exists()


def test_files_beside_the_binary(deploy: Run, source: Path, port: int) -> None:
    """They are where they were asked for, belong to root, and are part of what the image is made from."""
    asked = {
        "workdir": "/app",
        "files": [
            {"src": "web/templates", "dest": "templates"},
            {"src": "desk.toml", "dest": f"/etc/{NAME}/desk.toml"},
            {"src": "web/templates/page.html", "dest": "own.html", "owner": "app"},
            {"src": "web/templates/inner", "dest": "runs", "mode": "0755"},
        ],
        "directories": ["files"],
        "volumes": [f"{NAME}-files:/app/files"],
        "read_only": False,
        "waivers": {"runtime-read-only": "it is tried what the service may write to"},
    }
    try:
        deploy(**asked)
        read = ("templates/page.html", "/app/templates/inner/page.html", f"/etc/{NAME}/desk.toml", "own.html")
        assert [of_file(port, "read", path) for path in read] == [
            (200, "A page"),
            (200, "An inner page"),
            (200, 'title = "Desk"'),
            (200, "A page"),
        ]
        assert docker("exec", NAME, "sh", "-c", "stat -c %a /app/runs/* /app/templates/inner/*").split() == ["755", "644"]
        written = ("templates/page.html", "templates/new.html", f"/etc/{NAME}/desk.toml", "new", "own.html", "files/new")
        assert [of_file(port, "write", path)[0] for path in written] == [403, 403, 403, 403, 200, 200]
        assert changed(deploy(**asked)) == 0
        (source / "web/templates/page.html").write_text("Another page")
        assert changed(deploy(**asked)) > 0
        assert of_file(port, "read", "templates/page.html") == (200, "Another page")
    finally:
        deploy("remove")
        docker("volume", "rm", "--force", f"{NAME}-files")


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        pytest.param(
            {"health_scheme": "https", "health_headers": {"X-Desk": "me"}, "env": {"DESK_HEADER": "me"}, "args": ["-tls"]},
            "curl -k -H 'X-Desk: me' https://127.0.0.1:{port}/health",
            id="by TLS, with a header",
        ),
        pytest.param(
            {"health_command": [f"/usr/local/bin/{NAME}", "health"], "args": ["-tls"]},
            f"docker exec {NAME} /usr/local/bin/{NAME} health",
            id="by a command",
        ),
    ],
)
def test_health(deploy: Run, port: int, asked: dict[str, Any], command: str) -> None:
    """The image's own test passes, the service answers on the host, and what is shown to try it works."""
    told = deploy(**asked)
    assert "contract  kept" in told
    assert command.format(port=port) in told
    assert subprocess.run(command.format(port=port), shell=True, capture_output=True, check=False).returncode == 0
    assert changed(deploy(**asked)) == 0


def test_health_by_plain_http_where_the_service_speaks_tls(deploy: Run) -> None:
    """The first error leads to the variable."""
    assert "Set go_service_health_scheme to https" in deploy(args=["-tls"], start_timeout=2, succeeds=False)


def test_ports_networks_labels_and_the_stop_signal(deploy: Run, port: int) -> None:
    """Each does what it is for, a second run changes nothing, and what was changed by hand is put right."""
    second, network = free_port(), f"{NAME}-network"
    asked = {
        "publish_more": [f"127.0.0.1:{second}:9100"],
        "args": ["-also", ":9100"],
        "networks": [network],
        "stop_signal": "SIGQUIT",
        "stop_timeout": 20,
        "image_labels": {"com.example.team": 'a "b" $c'},
    }
    # A run that was killed may have left it.
    subprocess.run(["docker", "network", "rm", network], capture_output=True, check=False)
    assert f"there is no network {network}" in deploy(**asked, succeeds=False)
    docker("network", "create", network)
    try:
        deploy(**asked)
        assert [get(held, "/health") for held in (port, second)] == [(200, "ok")] * 2
        assert sorted(inspected()["NetworkSettings"]["Networks"]) == ["bridge", network]
        assert inspected()["Config"]["Labels"]["com.example.team"] == 'a "b" $c'
        assert changed(deploy(**asked)) == 0
        docker("network", "disconnect", network, NAME)
        deploy(**asked)
        assert sorted(inspected()["NetworkSettings"]["Networks"]) == ["bridge", network]
        docker("stop", NAME)
        assert inspected()["State"]["ExitCode"] == 0
    finally:
        deploy("remove")
        docker("network", "rm", network)


def test_a_further_port_that_is_taken(deploy: Run) -> None:
    """It is told before anything is built, with the variable to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        held = f"127.0.0.1:{taken.getsockname()[1]}"
        told = deploy(publish_more=[f"{held}:9100"], succeeds=False)
    assert f"the host port {held} is taken by" in told
    assert "go_service_publish_more" in told


def test_secrets_as_files(deploy: Run, port: int, tmp_path: Path) -> None:
    """The service's user alone can read them; they are nowhere else, and another content replaces the container."""
    secret = "correct-horse\nbattery-staple\n"
    told = deploy("build", "-vvv", secret_files={"token": secret}, uid=10001)
    assert of_file(port, "read", "/run/secrets/token") == (200, secret.strip())
    assert of_file(port, "write", "/run/secrets/token")[0] == 403
    first = inspected()
    (mount,) = first["Mounts"]
    assert (mount["Destination"], mount["RW"], mount["Type"]) == ("/run/secrets", False, "volume")
    on_host = Path(mount["Source"]) / "token"
    assert (on_host.stat().st_uid, on_host.stat().st_mode & 0o777) == (10001, 0o400)
    # Others of the host do not come so far.
    assert any(not parent.stat().st_mode & 0o001 for parent in on_host.parents)
    reports = "".join(path.read_text() for path in (tmp_path / "reports").rglob("*") if path.is_file())
    assert [part for part in secret.split() if part in told + reports + json.dumps(first)] == []
    assert changed(deploy(secret_files={"token": secret}, uid=10001)) == 0
    assert inspected()["Id"] == first["Id"]
    assert subprocess.run(["docker", "volume", "rm", "--force", mount["Name"]], capture_output=True, check=False).returncode
    deploy(secret_files={"token": "another"}, uid=10001)
    assert of_file(port, "read", "/run/secrets/token") == (200, "another")
    assert inspected()["Id"] != first["Id"]
    assert not on_host.exists()


def test_the_first_error_of_a_service_that_wants_a_directory_leads_there(deploy: Run, port: int) -> None:
    """The example of docs/services.md: a directory in the working directory, little memory, a tenth of a processor."""
    asked = {"args": ["-needs", "files"]}
    told = deploy(**asked, succeeds=False)
    assert "open files: no such file or directory" in told
    assert "go_service_directories makes an empty directory for the service's user" in " ".join(told.split())
    assert "contract  kept" in deploy(**asked, workdir="/app", directories=["files"], memory="64m", cpus=0.1)
    assert of_file(port, "read", "/app/files")[1] == ""


@pytest.mark.long
@pytest.mark.parametrize("source_type", ["controller", "host"])
def test_what_is_left_in_a_source_builds_nothing(deploy: Run, source: Path, source_type: str) -> None:
    """A program that was built there, what git ignores, the role's own reports and files; what the service embeds is built anew."""
    subprocess.run(["git", "init", "-q"], cwd=source, check=True)
    (source / ".gitignore").write_text("*.log\n")
    asked = {"source_type": source_type, "report_dir": str(source / "reports"), "work_dir": str(source / "work")}
    try:
        deploy(**asked)
        shutil.copy(shutil.which("true"), source / "desk")
        (source / "desk.log").write_text("a line")
        assert changed(deploy(**asked)) == 0
        (source / "desk.log").write_text("more lines")
        assert changed(deploy(**asked)) == 0
        (source / "more.go").write_text("package main\n")
        told = deploy(**asked)
        assert changed(told) > 0
        assert [
            reason for reason in ("this role has written: ", "git ignores: desk.log", "a build has left behind: desk") if reason not in told
        ] == []
    finally:
        deploy("remove", **asked)
