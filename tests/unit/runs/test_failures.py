"""Every failure of every stage says three things: what happened, what still runs, what to do.

Each fault is caused for real, in one play with a host for each, which are all this machine.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common import stages
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure, Progress
from ansible_collections.proven.go_service.plugins.module_utils.common.names import KIND_SERVICE, LABEL_KIND, LABEL_NAME
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history
from ansible_collections.proven.go_service.plugins.module_utils.deploy import lock as locks
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.proven.go_service.plugins.modules import deploy as deploy_module
from deploys import Memory, listener
from small_plays import QUICK, SERVE, digest_of, play, service_image

GOOD = "{{ top }}/source"
FROM_SOURCE = {"go_service_source": GOOD, "go_service_image_tag": ""}
# The candidate, which comes first, leaves a mark on the volume; the service, which finds it, ends.
SECOND_FAILS = "test -e /mark/1 && exit 3; touch /mark/1; " + SERVE
ONCE = "test -e /srv/once && exit 4; touch /srv/once; " + SERVE
BACK = "The very same earlier container"


def fails_in_place(name: str) -> dict[str, Any]:
    """Return the settings of a service that only its candidate can run."""
    return {"go_service_args": [SECOND_FAILS], "go_service_volumes": [f"utest-{name}:/mark"], "go_service_read_only": False}


# Fault -> (stage, settings, words of the text, words of what still runs). `entry` is the role's entry point, main by default.
FAULTS: dict[str, tuple[str, dict[str, Any], list[str], str]] = {
    "input": (stages.INPUT, {"go_service_port": 0}, ["go_service_port is 0"], UNTOUCHED),
    "report-dir": (
        stages.INPUT,
        {"go_service_report_dir": "{{ top }}/file"},
        ["go_service_report_dir is", "/file is not a directory"],
        UNTOUCHED,
    ),
    "no-source": (stages.SOURCE, {**FROM_SOURCE, "go_service_source": "{{ top }}/none"}, ["no such directory"], UNTOUCHED),
    "host-source": (
        stages.SOURCE,
        {**FROM_SOURCE, "go_service_source": "{{ top }}/reports", "go_service_source_type": "host"},
        ["go.mod"],
        UNTOUCHED,
    ),
    "git": (
        stages.SOURCE,
        {**FROM_SOURCE, "go_service_source": "{{ top }}/none", "go_service_source_type": "git"},
        ["cannot be fetched", "does not appear to be a git repository", "go_service_source"],
        UNTOUCHED,
    ),
    "no-python": (stages.LOOK, {"ansible_python_interpreter": "/nonexistent/python"}, ["/nonexistent/python"], UNTOUCHED),
    "base": (
        stages.BASE,
        {**FROM_SOURCE, "go_service_builder_image": "utest-none:1"},
        ["utest-none:1 is not on the host", "base_images"],
        UNTOUCHED,
    ),
    "engine": (stages.ENGINE, {"asked": {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}}, ["Start the Engine"], UNTOUCHED),
    "image": (
        stages.IMAGE,
        {"go_service_image_tag": "none", "entry": "rollback"},
        ["there is no image utest-image:none", f"Set go_service_image_tag to a tag that is there: {digest_of('utest-image')[:12]}."],
        UNTOUCHED,
    ),
    "unbuilt": (stages.IMAGE, {**FROM_SOURCE, "entry": "deploy"}, ["is not built on this host", "playbooks/build.yml"], UNTOUCHED),
    "foreign": (stages.CONTAINER, {}, ["the name utest-foreign is held", "docker rename"], UNTOUCHED),
    "network": (
        stages.NETWORK,
        {"go_service_network": "utest-none"},
        ["there is no network utest-none", "docker network create"],
        UNTOUCHED,
    ),
    "volumes": (stages.VOLUMES, {"go_service_volumes": ["/nonexistent:/data"]}, ["/nonexistent does not exist"], UNTOUCHED),
    "lock": (stages.LOCK, {"go_service_lock_timeout": 0}, ["bob@laptop, process 1", "has not reached (it was set back)"], UNTOUCHED),
    "recovery": (stages.RECOVERY, {}, ["utest-none"], "docker ps -a --filter label=go-service.name=utest-recovery"),
    "directory": (stages.DIRECTORY, {"go_service_work_dir": "{{ top }}/file"}, ["is no directory", "go_service_work_dir"], UNTOUCHED),
    "disk": (stages.STAGE, {**FROM_SOURCE, "go_service_work_dir": "{{ top }}/small"}, ["No space left on device", "Free space"], UNTOUCHED),
    "build": (stages.BUILD, FROM_SOURCE, ["the build failed at: RUN", "go: not found"], UNTOUCHED),
    "buildx": (stages.BUILD, {**FROM_SOURCE, "go_service_builder": "buildx"}, ["build"], UNTOUCHED),
    "candidate": (stages.CANDIDATE, {"go_service_args": ["echo boom; exit 3"]}, ["exited with code 3", "| log: boom"], UNTOUCHED),
    "contract": (stages.CONTRACT, {"go_service_waivers": {}}, ["breaks the contract", "go_service_waivers"], UNTOUCHED),
    "port": (stages.PORT, {"go_service_publish": "127.0.0.1:{{ taken }}"}, ["is taken by", "go_service_publish"], UNTOUCHED),
    "swap": (stages.SWAP, fails_in_place("swap"), ["failed in the service's place", "exited with code 3"], BACK),
    "first": (stages.SWAP, fails_in_place("first"), ["exited with code 3"], "There was no earlier container"),
    "rollback": (stages.ROLLBACK, fails_in_place("rollback"), ["could not be brought back", "docker start"], "The service does not run."),
    "remove": (
        stages.REMOVE,
        {"asked": {"DOCKER_HOST": "unix://{{ top }}/e"}, "entry": "remove"},
        ["out of order", "Engine's log"],
        "was not removed yet",
    ),
    "report": (
        stages.REPORT,
        {"go_service_report_dir": "{{ top }}/held"},
        ["the report cannot be written", "Is a directory"],
        "runs and is healthy.",
    ),
}
TASKS = """
- block: []
  rescue:
    - ansible.builtin.copy:
        content: "{{ ansible_failed_result | to_json }}"
        dest: "{{ top }}/told-{{ inventory_hostname }}"
        mode: "0644"
      vars:
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""
ROLE = """
- ansible.builtin.include_role:
    name: proven.go_service.go_service
    tasks_from: {entry}
  when: entry | default('main') == '{entry}'
"""


class Disorder(BaseHTTPRequestHandler):
    """An Engine that says which one it is, lets locks be taken, and fails at everything else."""

    def do_GET(self) -> None:
        works = self.path.endswith("/version") or "/volumes" in self.path
        body = json.dumps({"ApiVersion": "1.41", "Version": "20.10"} if works else {"message": "out of order"}).encode()
        self.send_response(200 if works else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_words: Any) -> None:
        pass


class DisorderServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        connection, _address = super().get_request()
        return connection, ("local", 0)


def old_container(engine: Engine, name: str, image: str, command: str, suffix: str = "", **host_config: Any) -> str:
    """Make a container that the role would take for one of its own."""
    labels = {LABEL_NAME: name, LABEL_KIND: KIND_SERVICE}
    config = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, **host_config}
    return engine.create(name + suffix, {"Image": image, "Cmd": [command], "Labels": labels, "HostConfig": config})


@pytest.fixture(scope="module")
def told(engine: Engine, client: Callable[..., str], web: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """Cause all faults; return what is told of each, and under "output" all that was printed."""
    top = tmp_path_factory.mktemp("f")
    (top / "source").mkdir()
    (top / "source/go.mod").write_text("module example.com/app\n\ngo 1.22\n")
    (top / "source/main.go").write_text("package main\n\nfunc main() {}\n")
    (top / "reports").mkdir()
    (top / "held/report/utest-report.html").mkdir(parents=True)
    (top / "file").touch()
    marks = [f"utest-{name}" for name in ("swap", "first", "rollback")]
    client("volume", "rm", "-f", "utest-small", *marks)
    # A directory that is full is one of a file system that is.
    client("volume", "create", "--driver", "local", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=8k", "utest-small")
    mounter = client("run", "-d", "--name", "utest-mounter", "-v", "utest-small:/m", "--entrypoint", "/bin/sleep", web, "600")
    (top / "small").symlink_to(client("volume", "inspect", "-f", "{{.Mountpoint}}", "utest-small"))
    for fault in FAULTS:
        service_image(client, f"utest-{fault}", web)
    client("tag", "utest-image:1", f"utest-image:{digest_of('utest-image')[:12]}")
    client("tag", "utest-image:1", "utest-elsewhere/image:2")
    engine.create("utest-foreign", {"Image": web})
    engine.start(old_container(engine, "utest-swap", web, SERVE))
    engine.start(old_container(engine, "utest-rollback", web, ONCE))
    old_container(engine, "utest-recovery", web, SERVE, "-set-aside", NetworkMode="utest-none")
    holder = locks.Holder("t1", "bob@laptop, process 1", "elsewhere|1|1", locks.boot_id(), 4e9)
    engine.create_volume("utest-lock-lock-t1", {locks.LABEL_LOCK: "utest-lock", locks.LABEL_HOLDER: json.dumps(asdict(holder))})
    hosts = {
        fault: {**QUICK, "go_service_name": f"utest-{fault}", **variables} for fault, (_stage, variables, _words, _runs) in FAULTS.items()
    }
    with listener() as port, DisorderServer(str(top / "e"), Disorder) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        # Ansible takes one host's value of a template in tasks_from for all.
        (tasks,) = yaml.safe_load(TASKS)
        tasks["block"] = [task for entry in ("main", "deploy", "rollback", "remove") for task in yaml.safe_load(ROLE.format(entry=entry))]
        done = play(top, [tasks], hosts, {"taken": port})
        server.shutdown()
    yield {
        "output": done.stdout + done.stderr,
        "reports": top / "reports",
        **{file.name[5:]: json.loads(file.read_text()) for file in top.glob("told-*")},
    }
    client("rm", "-fv", mounter, *(f"utest-{name}" for name in ("swap", "rollback", "rollback-failed", "report")))
    client("volume", "rm", "utest-small", "utest-lock-lock-t1", *marks)
    # Images that are made from another have to go before it.
    steps = client("images", "-q", "--filter", "label=go-service.name=utest-build").split()
    client("rmi", "-f", "utest-image:1", "utest-elsewhere/image:2", *steps)


@pytest.mark.engine
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_of_each_stage_says_what_happened_what_still_runs_and_what_to_do(told: Mapping[str, Any], fault: str) -> None:
    stage, _variables, words, still_runs = FAULTS[fault]
    assert fault in told, told["output"][-6000:]
    text = told[fault]["msg"]
    lines = text.splitlines()
    assert lines[0].startswith(f"utest-{fault}: ") and len(lines[0]) > len(fault) + 15, text
    assert [word for word in words if word not in text] == [], text
    (runs,) = [line for line in lines if line.startswith("What still runs: ")]
    (remedy,) = [line for line in lines if line.startswith("What to do: ")]
    assert still_runs in runs, text
    assert len(remedy) > 30, text
    assert lines.index(runs) < lines.index(remedy)
    assert not [line for line in lines[lines.index(runs) :] if line.startswith("  | ")], "the evidence stands above"
    report = told["reports"] / fault / f"utest-{fault}.json"
    if report.exists():
        failure = json.loads(report.read_text())["failure"]
        assert (failure["stage"], failure["standing"]) == (stage, runs.partition(": ")[2])
        assert f"Report: {report.with_suffix('.html')}" in text
    else:
        assert stage in (stages.INPUT, stages.REMOVE, stages.REPORT)
        assert told[fault]["failure"]["stage"] == stage


# Stages whose faults this machine cannot be made to have at will are caused below, on an Engine in memory, or have no fault of
# their own; what goes wrong between hosts is in tests/test_fleet.py.
ELSEWHERE = {stages.TAGS, stages.ROLE, stages.TRANSFER}


def test_no_stage_is_forgotten() -> None:
    assert {stage for stage, _variables, _words, _runs in FAULTS.values()} | ELSEWHERE == set(stages.STAGES)


def test_tags_that_cannot_be_moved_are_told_while_the_new_container_runs(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tagless(Memory):
        def image(self, reference: str) -> dict[str, Any]:
            return {"Id": reference}

        def tag(self, *_words: str) -> None:
            raise EngineError("tagging good: no space left on device")

    monkeypatch.setattr(deploy_module.RunningService, "approve", lambda _self, _id, _seconds: None)
    wanted = settings(name="utest-web", publish="", stable_seconds=0)
    progress, known = Progress(stages.SWAP, UNTOUCHED), {"verify": {"facts": {"checks": [], "gaps": []}}}
    params = {"settings": wanted, "image": "good", "earlier": False, "received": False}
    with pytest.raises(EngineError) as caught:
        deploy_module.put_in_place(Tagless(), params, history.History("utest-web", {}), progress=progress, known=known)
    failure = Failure.of(caught.value, progress.stage, progress.still_runs)
    assert (failure.stage, known["deploy"]["action"]) == (stages.TAGS, "created")
    assert failure.still_runs.endswith("of good runs and is healthy.")
    assert "Free space" in failure.remedy


# One class


def test_a_module_of_the_role_that_meets_a_bug_says_so_with_what_still_runs(module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Settings that no action would hand on."""
    told = module("deploy", tmp_path, settings={"name": "api", "work_dir": str(tmp_path)}, image="api:1", bases=["a", "b"], lock="t")
    assert told["failed"] and "Traceback" not in json.dumps(told)
    assert "What still runs: " in told["msg"] and told["failure"]["stage"] in stages.STAGES


# Evidence


# Who ended a container
