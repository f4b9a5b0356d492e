"""Every failure of every stage says three things: what happened, what still runs, what to do.

Each fault is caused for real, in one play with a host for each, which are all this machine.
"""

from __future__ import annotations

import errno
import json
import socketserver
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common import stages
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure, Problem, Progress, failed, folded
from ansible_collections.proven.go_service.plugins.module_utils.common.names import KIND_SERVICE, LABEL_KIND, LABEL_NAME
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence.image_archive import ArchiveError
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, signals
from ansible_collections.proven.go_service.plugins.module_utils.deploy import lock as locks
from ansible_collections.proven.go_service.plugins.module_utils.deploy.candidate import prove_candidate
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError, EngineUnreachable
from ansible_collections.proven.go_service.plugins.modules import deploy as deploy_module
from small_plays import QUICK, SERVE, digest_of, play, service_image
from test_deploy import Memory, listener

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


# Stages whose faults this machine cannot be made to have at will are caused below, on an Engine in memory, or have no fault of their own.
ELSEWHERE = {stages.TAGS, stages.ROLE}


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
    params = {"settings": wanted, "image": "good", "earlier": False}
    with pytest.raises(EngineError) as caught:
        deploy_module.put_in_place(Tagless(), params, history.History("utest-web", {}), progress=progress, known=known)
    failure = Failure.of(caught.value, progress.stage, progress.still_runs)
    assert (failure.stage, known["deploy"]["action"]) == (stages.TAGS, "created")
    assert failure.still_runs.endswith("of good runs and is healthy.")
    assert "Free space" in failure.remedy


# One class


ERRORS = [
    (Failure("port", "m", "r", "s", ["e"]), "port", "m", "r"),
    (Problem("m", "r"), "look", "m", "r"),
    (EngineUnreachable("gone"), "engine", "gone", "Start the Engine"),
    (EngineError("x: write: no space left on device"), "look", "x", "Free space"),
    (ArchiveError("no manifest"), "look", "no manifest", "Run again."),
    (OSError(errno.ENOSPC, "No space left on device", "/x"), "look", "/x: No space left on device", "Free space"),
    (OSError(errno.EACCES, "Permission denied", "/x"), "look", "/x: Permission denied", "become"),
    (OSError(errno.EROFS, "Read-only file system", "/x"), "look", "/x: Read-only", "go_service_work_dir"),
    (tarfile.ReadError("bad checksum"), "look", "an archive cannot be read: bad checksum", "Run again"),
    (KeyError("Id"), "look", "unexpected: KeyError: 'Id'", "-vvv"),
]


@pytest.mark.parametrize(("error", "stage", "message", "remedy"), ERRORS, ids=[type(case[0]).__name__ for case in ERRORS])
def test_whatever_is_raised_becomes_one_failure(error: Exception, stage: str, message: str, remedy: str) -> None:
    failure = Failure.of(error, "look", "The old one.")
    assert failure.stage == stage and message in failure.message and remedy in failure.remedy
    assert failure.still_runs == ("s" if isinstance(error, Failure) else "The old one.")
    again = Failure.from_dict(json.loads(json.dumps(failure.as_dict())))
    assert (again.as_dict(), again.text("api")) == (failure.as_dict(), failure.text("api"))


@pytest.mark.parametrize("verbosity", [0, 2, 3])
def test_only_an_unexpected_error_shows_its_traceback_and_only_at_vvv(verbosity: int) -> None:
    try:
        {}["Id"]
    except KeyError as error:
        told = failed(error, "api", Progress("swap", "The old one."), verbosity)
    assert ("test_failures.py" in str(told.get("traceback"))) == (verbosity == 3)
    assert told["msg"].startswith("api: unexpected: KeyError: 'Id'\nWhat still runs: The old one.\nWhat to do: ")
    assert "traceback" not in failed(Problem("m"), "api", Progress("swap", "x"), verbosity)


def test_a_module_of_the_role_that_meets_a_bug_says_so_with_what_still_runs(module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Settings that no action would hand on."""
    told = module("deploy", tmp_path, settings={"name": "api", "work_dir": str(tmp_path)}, image="api:1", bases=["a", "b"], lock="t")
    assert told["failed"] and "Traceback" not in json.dumps(told)
    assert "What still runs: " in told["msg"] and told["failure"]["stage"] in stages.STAGES


# Evidence


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["boom"] * 20, ["boom (20 times)"]),
        (["a", "b", "b", "a"], ["a", "b (2 times)", "a"]),
        (["2026/11/25 15:16:43 listen: no", "2026/11/25 15:16:44 listen: no"], ["2026/11/25 15:16:44 listen: no (2 times)"]),
        (["log: 2026-11-25T15:16:43.123Z no", "log: 2026-11-25T15:16:44.5+01:00 no"], ["log: 2026-11-25T15:16:44.5+01:00 no (2 times)"]),
        (["try 1", "try 2"], ["try 1", "try 2"]),
        (["\x1b[31mred\x1b[0m", "red"], ["red (2 times)"]),
        (["a\x07"], ["a\\x07"]),
        (["FAIL\tx"], ["FAIL\tx"]),
    ],
    ids=range(8),
)
def test_lines_that_say_the_same_are_one_with_their_number(lines: list[str], shown: list[str]) -> None:
    assert Failure("candidate", "m", "r", "s", lines).evidence == Problem("m", evidence=lines).evidence == folded(lines) == shown
    assert folded(shown) == shown


@pytest.mark.engine
def test_what_a_service_said_before_it_repeated_itself_is_still_shown(engine: Engine, web: str, settings: Callable[..., Settings]) -> None:
    command = "echo cause; for i in $(seq 100); do echo again; done; exit 3"
    wanted = settings(name="utest-web", publish="", stable_seconds=0, args=[command])
    with pytest.raises(Failure) as caught:
        prove_candidate(engine, wanted, web, str)
    assert [line for line in caught.value.evidence if line.startswith("log: ")] == ["log: cause", "log: again (100 times)"]


# Who ended a container


def ended(engine: Engine, web: str, command: str, *kill: str, memory: int = 0) -> tuple[str, str]:
    """Run a command in a container until it ends, or is killed by what is named, and return what is said of its end."""
    made = engine.create("utest-ended", {"Image": web, "Cmd": [command], "HostConfig": {"Memory": memory, "MemorySwap": memory}})
    try:
        engine.start(made)
        if kill:
            pid = str(engine.container(made)["State"]["Pid"])
            subprocess.run([word.format(pid=pid, id=made) for word in kill], check=True, capture_output=True)
        subprocess.run(["docker", "wait", made], check=True, capture_output=True)
        found = engine.container(made)
        return signals.who_ended(engine, found, found["State"]["ExitCode"])
    finally:
        engine.remove(made)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "kill", "words"),
    [
        ("sleep 60", ["docker", "kill", "{id}"], "through the Engine by signal 9 (SIGKILL)"),
        ("sleep 60", ["docker", "stop", "-t", "0", "{id}"], "through the Engine by signal 9 (SIGKILL)"),
        ("trap 'exit 0' TERM; while :; do sleep 0.1; done", ["docker", "stop", "{id}"], "through the Engine by signal 15 (SIGTERM)"),
        ("exec sleep 60", ["kill", "-9", "{pid}"], "by signal 9 (SIGKILL, exit code 137); it is not known by whom"),
        ("exit 3", [], ""),
        ("exit 200", [], ""),
        ("exit 139", [], "it was ended by signal 11 (SIGSEGV, exit code 139)"),
    ],
    ids=["docker kill", "docker stop, at once", "docker stop, obeyed", "kill", "exit", "no signal", "a crash"],
)
def test_an_end_by_a_signal_names_who_sent_it_as_far_as_that_is_known(
    engine: Engine, web: str, command: str, kill: list[str], words: str
) -> None:
    how, remedy = ended(engine, web, command, *kill)
    assert (words in how) and bool(how) == bool(words), how
    assert "memory" not in how + remedy or "not known" in how, "nothing but a guess, and called one"


@pytest.mark.engine
@pytest.mark.skipif(not signals.kernel_log(), reason="the kernel's log may not be read")
def test_an_end_by_the_memory_limit_is_known_though_the_engine_does_not_say_so(engine: Engine, web: str) -> None:
    how, remedy = ended(engine, web, "exec tail /dev/zero", memory=8 << 20)
    assert "killed by its memory limit of 8 MiB (exit code 137)" in how
    assert "go_service_memory" in remedy


@pytest.mark.parametrize(
    ("age", "words"), [(0.4, "for 0 s"), (75, "for 75 s"), (-4995, "since a time that the host's clock has not reached")]
)
def test_no_time_is_told_that_cannot_be(age: float, words: str) -> None:
    assert locks.since(age).startswith(words)
    assert "-" not in locks.since(age)
