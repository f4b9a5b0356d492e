"""What the lifecycle tests work with: the machine, runs of the project's playbooks on it, and a client that asks the service all along."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, TypeVar

import yaml

T = TypeVar("T")

PROJECT = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", "."))
SCENARIO = PROJECT / "molecule/lifecycle"
SCRATCH = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "."))
SERVICE = "faulty"
PORT = 8080
STATE = "/srv/faulty"
DIRECTORY = f"/root/.local/state/go_service/{SERVICE}"
SOURCE = SCENARIO / "services/faulty"
# The runtime that the archives of a machine without registry hold.
RUNTIME = "stand-in/runtime:alpine-{base_images_alpine_version}".format(
    **yaml.safe_load((PROJECT / "roles/base_images/defaults/main.yml").read_text(encoding="utf-8"))
)
# The playbooks: the project's main job, its way back, and the main job without the roles that look after Engine and base images.
BUILD, ROLLBACK, DEPLOY = PROJECT / "playbooks/build.yml", PROJECT / "playbooks/rollback.yml", SCENARIO / "service.yml"
# Makes the service answer its health check with 500 from now on.
BREAK = f"python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:{PORT}/break\")'"
# What the containers in which the classic builder works have: the label of the stage.
BUILDER = {"go-service.kind": "builder"}
# How long a test waits for something that should happen at once, and for a run of a playbook, in seconds.
SOON, RUN_LIMIT = 60.0, 600.0
# What a test allows above the time that it waits for anyway, in seconds: far more than is usual, which is printed, on a machine that has
# other work too; less than the timeouts that would be waited out if the role did not notice (go_service_start_timeout is 30 here).
SLACK = 12.0


def until(what: Callable[[], T], seconds: float = SOON, pause: float = 0.1) -> T:
    """Ask until the answer is true, and return it; raise TimeoutError when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s; the last answer was {answer!r}")
        time.sleep(pause)
    return answer


def unbuilt(version: str) -> str:
    """Return a version that begins with this and that no earlier run on the machine has built."""
    return f"{version}{time.time_ns()}"


# ------------------------------------------------------------------------------------------------------------------ the client


@dataclass(frozen=True)
class Request:
    """One request: when it began and ended (monotonic seconds), and what went wrong, "" where the answer was 200."""

    began: float
    ended: float
    problem: str


@dataclass(frozen=True)
class Tally:
    """What a client saw. gap: the longest time between two good answers with a failure between them, in seconds."""

    requests: int
    failed: int
    gap: float
    problems: list[str]


class Client(threading.Thread):
    """Asks for /health every 100 ms, over a connection of its own each time, until it is stopped.

    A request that gets no answer does not keep the next ones waiting, as with many clients.
    """

    INTERVAL, PATIENCE, AT_ONCE = 0.1, 5.0, 64

    def __init__(self, address: str) -> None:
        """Ask at this address."""
        super().__init__(daemon=True)
        self.address = address
        self._requests: list[Request] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        """Ask and ask."""
        with ThreadPoolExecutor(self.AT_ONCE) as pool:
            while not self._stopped.wait(self.INTERVAL):
                pool.submit(self._ask)

    def _ask(self) -> None:
        began = time.monotonic()
        problem = self._problem()
        self._requests.append(Request(began, time.monotonic(), problem))

    def _problem(self) -> str:
        connection = http.client.HTTPConnection(self.address, PORT, timeout=self.PATIENCE)
        try:
            connection.request("GET", "/health", headers={"Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        return "" if status == 200 else f"status {status}"

    def stop(self) -> None:
        """Stop asking, and wait for the answers that are still out."""
        self._stopped.set()
        self.join()

    def tally(self) -> Tally:
        """What was seen so far."""
        return tally(list(self._requests))


def tally(seen: list[Request]) -> Tally:
    """Sum up requests, in whatever order they ended."""
    if not seen:
        return Tally(0, 0, 0.0, [])
    failed = [request for request in seen if request.problem]
    good = sorted(request.ended for request in seen if not request.problem)
    times = [min(request.began for request in seen), *good, max(request.ended for request in seen)]
    gaps = [after - before for before, after in zip(times, times[1:]) if any(before <= request.began < after for request in failed)]
    return Tally(len(seen), len(failed), round(max(gaps, default=0.0), 2), sorted({request.problem for request in failed}))


# ------------------------------------------------------------------------------------------------------------------ a run


class Run:
    """A run of one of the project's playbooks on one machine, in a process group of its own."""

    def __init__(self, machine: str, playbook: Path, variables: dict[str, Any], options: list[str]) -> None:
        """Start it."""
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        command = ["ansible-playbook", "--inventory", inventory, "--limit", machine, str(playbook)]
        command += ["--extra-vars", json.dumps(variables), *options]
        if playbook != BUILD:
            command += ["--extra-vars", f"@{SCRATCH / f'base-images-{machine}.json'}"]
        # What is forced wins over what is switched off: Molecule forces colours where its own are on.
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
        }
        environment.pop("ANSIBLE_LOG_PATH", None)
        self.machine = machine
        self.began = time.monotonic()
        self.seconds = 0.0
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - it lives as long as the run
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            text=True,
        )

    @property
    def output(self) -> str:
        """All that it printed so far."""
        self._file.seek(0)
        return self._file.read()

    @property
    def said(self) -> str:
        """The same with every piece of white space as one blank: Ansible breaks lines where it likes."""
        return " ".join(self.output.split())

    @property
    def message(self) -> str:
        """The message of the task that it failed at last, "" where none failed."""
        found = re.findall(r"^fatal: \[[^\]]*\]: FAILED! =>\s*\n((?:[ ]+.*\n|\n)+)", self.output, re.M)
        return str(yaml.safe_load(found[-1])["msg"]) if found else ""

    @property
    def summary(self) -> str:
        """What it told at its end, "" where it failed."""
        found = re.findall(
            r"^TASK \[proven\.go_service\.go_service : Sum up\] \**\nok: \[[^\]]*\] =>\s*\n((?:[ ]+.*\n|\n)+)", self.output, re.M
        )
        return str(yaml.safe_load(found[-1])["msg"]) if found else ""

    @property
    def changed(self) -> int:
        """How many tasks changed something, by its recap."""
        return int(re.findall(r"changed=(\d+)", self.output)[-1])

    def ended(self) -> bool:
        """Say whether it is over."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for its end and return its exit code; a run without an end is killed."""
        try:
            return self._process.wait(timeout=RUN_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self.seconds = round(time.monotonic() - self.began, 1)

    def kill(self) -> None:
        """End it at once, with all of its processes on this machine; what it started on the target goes on."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=SOON)

    def must_succeed(self) -> Run:
        """Wait for it, and show its message and its output where it failed."""
        assert self.wait() == 0, f"it failed: {' '.join(self.message.split())}\n{self.output}"
        return self

    def must_fail(self) -> Run:
        """Wait for it, and show its output where it did not fail, or not in the role's own words."""
        assert self.wait() != 0, f"it did not fail:\n{self.output}"
        assert self.message, f"it failed without a message:\n{self.output}"
        return self


# ------------------------------------------------------------------------------------------------------------------ the machine


@dataclass(frozen=True)
class Service:
    """The service's container: what tells whether it is the same one, and what it runs."""

    id: str
    started_at: str
    image: str
    config: str


# Ends every process that came into the VM from outside, with all it started: modules of Ansible that outlived their run.
KILL_GUESTS = """
for pid in $(ps -eo pid=,ppid= | awk -v self=$$ '$2 == 0 && $1 != 1 && $1 != self {print $1}'); do pkill -KILL -s "$pid"; done; true
"""


class Vm:
    """A developer VM, looked into by `docker exec`."""

    def __init__(self, container: str, name: str) -> None:
        """container: its name for the outer Engine; name: in the inventory."""
        self.container = container
        self.name = name
        self.address = json.loads(self.sh("ip -json -4 address show scope global dev eth0"))[0]["addr_info"][0]["local"]

    def run(self, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in it; text: its standard input."""
        argv = ["docker", "exec", *(["--interactive"] if text is not None else []), self.container, *command]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=SOON * 2)
        assert done.returncode == 0 or not check, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return done

    def sh(self, script: str) -> str:
        """The output of a shell script in it, which must succeed."""
        return self.run("sh", "-ec", script).stdout.strip()

    def docker(self, *arguments: str) -> str:
        """The output of a command to its Engine, which must succeed."""
        return self.run("docker", *arguments).stdout.strip()

    def inspect(self, name: str, kind: str = "container") -> dict[str, Any] | None:
        """A container's or an image's record, None where there is none."""
        found = self.run("docker", "inspect", f"--type={kind}", name, check=False)
        return json.loads(found.stdout)[0] if found.returncode == 0 else None

    def image_id(self, reference: str) -> str:
        """The id of an image, "" where there is none."""
        return (self.inspect(reference, "image") or {"Id": ""})["Id"]

    def names(self) -> set[str]:
        """The names of all containers."""
        return set(self.docker("ps", "--all", "--format", "{{.Names}}").split())

    def service(self) -> Service | None:
        """The service's container, None where there is none."""
        found = self.inspect(SERVICE)
        if found is None:
            return None
        return Service(found["Id"], found["State"]["StartedAt"], found["Image"], found["Config"]["Labels"].get("go-service.config", ""))

    def version(self) -> str:
        """The version that answers on the service's port, "" where none does."""
        try:
            connection = http.client.HTTPConnection(self.address, PORT, timeout=5)
            connection.request("GET", "/health", headers={"Connection": "close"})
            answer = connection.getresponse()
            return json.loads(answer.read())["version"] if answer.status == 200 else ""
        except (OSError, http.client.HTTPException):
            return ""

    def engine(self) -> str:
        """The version of its Engine."""
        return self.docker("version", "--format", "{{.Server.Version}}")

    def script(self, version: str, *modes: str) -> None:
        """Tell a version how to run: one mode for each start, the last one for all after it."""
        path = f"{STATE}/script-{version}"
        self.sh(f"printf '%s' {shlex.quote(chr(10).join(modes))} > {path}; chmod 666 {path}")

    def stop_delay(self, duration: str) -> None:
        """Let the service take its time to stop, at most until that is taken back."""
        self.sh(f"echo {duration} > {STATE}/stop-delay; chmod 644 {STATE}/stop-delay")

    def forget(self) -> None:
        """Take back what the service was told."""
        self.sh(f"rm -f {STATE}/script-* {STATE}/stop-delay")

    def listen(self, port: int) -> str:
        """Start a process that listens on a port, and return its number once it does."""
        program = f"import socket, signal; held = socket.create_server(('', {port})); signal.pause()"
        self.run("sh", "-c", f"exec setsid python3 -c {shlex.quote(program)} </dev/null >/dev/null 2>&1 &")
        return until(lambda: self.sh(f"ss -Hltnp 'sport = :{port}' | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p'"))

    def kill_guests(self) -> None:
        """End the modules of a run that was killed."""
        self.run("sh", "-c", KILL_GUESTS)

    def now(self) -> str:
        """Its time as the Engine's events are asked for."""
        return self.sh("date +%s.%N")

    def events(self, since: str, *actions: str, **attributes: str) -> list[dict[str, Any]]:
        """What the Engine did with containers since a time of `now`: those of the actions whose attributes are these."""
        command = shlex.join(["docker", "events", "--since", since, *FORMAT, *(f"--filter=event={action}" for action in actions)])
        events = [json.loads(line) for line in self.sh(command + ' --until "$(date +%s.%N)"').splitlines()]
        return [event for event in events if concerns(event, attributes)]

    def lifetime(self, since: str, name: str) -> float:
        """How many seconds a container of that name was there, between the Engine's events of making and removing it."""
        times = [event["timeNano"] for event in self.events(since, "create", "destroy", name=name)]
        assert len(times) == 2, times
        return round((times[1] - times[0]) / 1e9, 1)

    @contextlib.contextmanager
    def watch(self, action: str, **attributes: str) -> Iterator[Callable[[], dict[str, Any]]]:
        """Within it, wait for the next event of a container, from now on: `event()`."""
        command = ["docker", "exec", self.container, "docker", "events", "--since", self.now(), f"--filter=event={action}", *FORMAT]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            stream = watching.stdout

            def event() -> dict[str, Any]:
                while True:
                    ready, _, _ = select.select([stream], [], [], RUN_LIMIT)
                    assert ready, f"no event {action} of {attributes}"
                    found = json.loads(stream.readline())
                    if concerns(found, attributes):
                        return found

            try:
                yield event
            finally:
                watching.kill()


# How `docker events` is asked to tell what happens to containers.
FORMAT = ("--filter=type=container", "--format={{json .}}")


def concerns(event: dict[str, Any], attributes: dict[str, str]) -> bool:
    """Say whether an event is of a container with these attributes, among them its name and its labels, or with this id."""
    found = {**event["Actor"]["Attributes"], "id": event["Actor"]["ID"]}
    return all(found.get(name) == value for name, value in attributes.items())


# ------------------------------------------------------------------------------------------------------------------ a test


@dataclass
class Case:
    """What one test starts from, and what it finds in the end.

    before: the service's container as it stood, healthy; version: what it runs; other: the version that a test may deploy.
    """

    vm: Vm
    before: Service
    version: str
    other: str
    client: Client
    name: str
    runs: list[Run] = field(default_factory=list)
    message: str = ""
    lifetime: float | None = None

    def play(self, playbook: Path = DEPLOY, *options: str, version: str = "", **variables: Any) -> Run:
        """Start a run; version: to build, the one that stands by default; variables: of the role, without their prefix."""
        run = play(self.vm, playbook, *options, version=version or self.version, **variables)
        self.runs.append(run)
        return run

    def failed(self, run: Run) -> str:
        """Wait for a run that fails, and return its message in one line."""
        run.must_fail()
        self.message = run.message
        return " ".join(run.message.split())

    def health(self) -> str:
        """What the Engine thinks of the service's container."""
        record = self.vm.inspect(SERVICE)
        return record["State"]["Health"]["Status"] if record else ""

    def swapped(self, waits: float = 0.0) -> None:
        """Another container answers, from the image that is `latest` now; the old one is gone, and the client missed it briefly at most.

        waits: how many seconds may be waited in the midst of it.
        """
        after = self.vm.service()
        assert after is not None
        assert after.id != self.before.id
        assert after.image != self.before.image
        assert self.vm.version() == self.other
        assert self.vm.image_id(f"{SERVICE}:latest") == after.image
        assert self.vm.inspect(self.before.id) is None
        self.missed_little(waits)

    def untouched(self, *, beside: tuple[str, ...] = (), failures: int = 0) -> None:
        """The very same container runs as before and answers, no request failed, and nothing is left over but what `beside` names."""
        assert self.vm.service() == self.before
        assert self.vm.version() == self.version
        tally = self.client.tally()
        assert tally.failed <= failures, tally
        assert tally.requests > 0
        self.nothing_left(*beside)

    def missed_little(self, waits: float = 0.0) -> None:
        """The client had no longer gap than these seconds, and the little that a swap takes."""
        tally = self.client.tally()
        assert tally.gap < waits + SLACK, tally

    def came_back(self) -> None:
        """The very same container as before runs again and answers; the tags have not moved, and nothing is left over."""
        after = self.vm.service()
        assert after is not None
        assert (after.id, after.image) == (self.before.id, self.before.image)
        assert self.vm.version() == self.version
        assert self.vm.image_id(f"{SERVICE}:latest") == self.before.image
        self.nothing_left()

    def nothing_left(self, *beside: str) -> None:
        """One container of the service is there, the lock is free, and no image without a name lacks the role's label."""
        nothing_left(self.vm, *beside)


def play(vm: Vm, playbook: Path, *options: str, version: str, **variables: Any) -> Run:
    """Start a playbook on a machine; version: of the service; variables: of the role, without their prefix."""
    given = {"go_service_ldflags": f"-w -s -X main.version={version}"}
    given.update({name if name.startswith("base_images_") else f"go_service_{name}": value for name, value in variables.items()})
    return Run(vm.name, playbook, given, list(options))


def locks(vm: Vm) -> list[str]:
    """Return the volumes by which runs hold the service's lock."""
    return vm.docker("volume", "ls", "--quiet", "--filter", f"label=go-service.lock={SERVICE}").split()


def nothing_left(vm: Vm, *beside: str) -> None:
    """No container is there but the service's and those named; nobody holds the lock; each image without a name is labelled."""
    assert vm.names() == {SERVICE, *beside}
    assert not locks(vm), "the lock is held"
    for image in vm.docker("images", "--quiet", "--filter", "dangling=true").split():
        record = vm.inspect(image, "image")
        assert record is not None
        labels = record["Config"]["Labels"] or {}
        assert labels.get("go-service.name") == SERVICE, f"the image {image} has neither a name nor the service's label: {record}"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
