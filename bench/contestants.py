"""The ways to bring a service to a machine: by hand, by scripts, by the role. Each has a source, an image and a container of its own."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jinja2

from bench import engine, services
from bench.engine import LOGS, WORK, docker, timed
from bench.plays import ROOT, BenchError, Play, run

HERE = Path(__file__).parent
# How long a container may take until its health check passes: by hand that is one interval of 30 s on Engines before 25.
PATIENCE = 120.0
# What is in no version of an earlier run: BuildKit keeps its steps.
RUN = f"{time.time_ns():x}"
POLL = 0.1
# Files of the role whose tasks are measured one by one.
BUILD_TASKS = "go_service/tasks/stages/build.yml"
LOOK_TASKS = "go_service/tasks/machine.yml"


@dataclass(frozen=True)
class Bases:
    """The two base images: references as they are on this machine."""

    builder: str
    runtime: str


def answered(port: int) -> str:
    """Return the version that the service on a port of this machine answers with.

    Raises:
        BenchError: it does not answer.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/version", timeout=5) as response:
            return json.load(response)["version"]
    except OSError as error:
        raise BenchError(f"The service on port {port} does not answer: {error}") from error


class Contestant:
    """What all have in common. name: of its image and its container; key: its name in the figures."""

    key = ""

    def __init__(self, bases: Bases, files: int = services.SMALLEST, name: str = "") -> None:
        self.bases = bases
        self.files = files
        self.name = engine.PREFIX + (name or self.key)
        self.source = WORK / self.name
        self.port = engine.free_port()
        self.version = ""
        # Variables of the build that modules need.
        self.build_env: dict[str, str] = {}
        self._logs = 0

    def log(self, what: str) -> Path:
        """Return where the next command keeps what it says."""
        self._logs += 1
        return LOGS / f"{self.name}-{self._logs:03}-{what}.log"

    def write(self) -> None:
        """Write the source anew."""
        services.write(self.source, self.files)

    def edit(self, version: str) -> None:
        """Change one line of the source; no two contestants have the same, and no two runs, lest one finds what another has built."""
        self.version = f"{self.name}-{RUN}-{version}"
        services.edit(self.source, self.version)

    def check(self) -> None:
        """Insist on the version that was deployed last.

        Raises:
            BenchError: another one answers.
        """
        found = answered(self.port)
        if found != self.version:
            raise BenchError(
                f"{self.name} answers with version {found} instead of {self.version}: what was measured is not what was meant."
            )

    def image(self) -> dict[str, float]:
        """Return the figures of the image: its bytes, and those above base and binary."""
        size = engine.inspect("image", self.name)["Size"]
        binary = engine.file_size(self.name, self.binary)
        return {"image-bytes": size, "image-overhead": size - engine.inspect("image", self.bases.runtime)["Size"] - binary}

    @property
    def binary(self) -> str:
        """Where the binary is in the image."""
        raise NotImplementedError


class ByHand(Contestant):
    """The design's Dockerfile, `docker build`, `docker run`, and `docker inspect` until it says healthy."""

    key = "hand"
    binary = "/usr/local/bin/service"
    dockerfile = "Dockerfile.j2"
    environment: ClassVar[dict[str, str]] = {}

    def write(self) -> None:
        super().write()
        template = jinja2.Template((HERE / "by_hand" / self.dockerfile).read_text(encoding="utf-8"), keep_trailing_newline=True)
        text = template.render(builder=self.bases.builder, runtime=self.bases.runtime, build_env=self.build_env)
        (self.source / "Dockerfile").write_text(text, encoding="utf-8")
        (self.source / ".dockerignore").write_text((HERE / "by_hand/dockerignore").read_text(encoding="utf-8"), encoding="utf-8")

    def build(self, *options: str) -> float:
        """Build the image and return how long that took."""
        log = self.log("build")
        build = ["build", *options, "--tag", self.name, str(self.source)]
        return timed(lambda: docker(*build, log=log, **self.environment))

    def first(self, mark: str) -> dict[str, float]:
        """Build without any cache."""
        del mark
        return {"build-first": self.build("--no-cache")}

    def nothing(self) -> dict[str, float]:
        """Build again; who sees that every step came from the cache leaves the container as it is."""
        seconds = self.build()
        return {"build-nothing": seconds, "whole-nothing": seconds}

    def change(self) -> dict[str, float]:
        """Build, replace the container, wait until the Engine calls it healthy."""
        build = self.build()
        began = time.time()
        docker("rm", "--force", self.name, check=False)
        docker("run", "--detach", "--name", self.name, "--publish", f"127.0.0.1:{self.port}:8080", self.name)
        while docker("inspect", "--format", "{{.State.Health.Status}}", self.name) != "healthy":
            if time.time() - began > PATIENCE:
                raise BenchError(f"{self.name} did not become healthy within {PATIENCE:.0f} s: docker logs {self.name}")
            time.sleep(POLL)
        ended = time.time()
        self.check()
        started, healthy, _next = engine.health_moments(engine.events(began, time.time(), self.name), self.name)
        return {"build-edit": build, "whole-edit": build + ended - began, "start-healthy": healthy - started, "notice": ended - healthy}

    def new_import(self) -> dict[str, float]:
        """Build after a file was added that imports another package."""
        return {"build-import": self.build()}


class Script(ByHand):
    """The same Dockerfile with a script that asks the service itself instead of waiting for the Engine."""

    key = "script"
    program = "deploy.sh"

    def deploy(self) -> tuple[float, float]:
        """Run the script and return when it began and ended."""
        began = time.time()
        engine.command(str(HERE / "by_hand" / self.program), self.name, str(self.source), str(self.port), log=self.log("deploy"))
        return began, time.time()

    def change(self) -> dict[str, float]:
        """Let the script build, replace the container and wait until it answers."""
        began, ended = self.deploy()
        self.check()
        events = engine.events(began, ended, self.name)
        started = next(event["timeNano"] / 1e9 for event in events if event["Action"] == "start")
        return {"whole-edit": ended - began, "start-healthy": ended - started}

    def nothing(self) -> dict[str, float]:
        """Let the script find that nothing changed."""
        began, ended = self.deploy()
        return {"whole-nothing": ended - began}


class Expert(Script):
    """BuildKit with cache mounts, and a script that tries the new container beside the old one."""

    key = "expert"
    program = "expert.sh"
    dockerfile = "Dockerfile.buildkit.j2"
    environment: ClassVar[dict[str, str]] = {"DOCKER_BUILDKIT": "1"}

    def first(self, mark: str) -> dict[str, float]:
        """Build without any cache, that of cache mounts too."""
        engine.forget_caches("/", engine.EXPERT)
        return super().first(mark)

    def change(self) -> dict[str, float]:
        """Build, which is measured by itself, and let the script do the whole with another edit."""
        build = self.build()
        self.edit(f"{self.version.rpartition('-')[2]}.again")
        began, ended = self.deploy()
        self.check()
        return {"build-edit": build, "whole-edit": ended - began}


class Role(Contestant):
    """`ansible-playbook playbooks/build.yml`."""

    key = "role"
    builder = "docker_image"

    def __init__(self, bases: Bases, files: int = services.SMALLEST, name: str = "", checkout: Path = ROOT) -> None:
        """checkout: of the project, whose role it is; this one unless two versions are compared."""
        super().__init__(bases, files, name)
        self.user = "app"
        self.mark = "none"
        self.checkout = checkout

    @property
    def binary(self) -> str:
        return f"/usr/local/bin/{self.name}"

    @property
    def variables(self) -> dict[str, Any]:
        """What a user would set, and where the role may keep its files in a benchmark."""
        return {
            "go_service_name": self.name,
            "go_service_source": str(self.source),
            "go_service_publish": f"127.0.0.1:{self.port}",
            "go_service_user": self.user,
            "go_service_builder": self.builder,
            # Read by nobody; it stands above what services have in common, so that none finds in the cache what another one has compiled.
            "go_service_build_env": {"GO_BENCH": self.mark, **self.build_env},
            "go_service_work_dir": str(WORK / "state"),
            "go_service_report_dir": str(WORK / "reports"),
        }

    def report(self) -> Mapping[str, Any]:
        """Return the role's report of its last run."""
        return json.loads((WORK / f"reports/localhost/{self.name}.json").read_text(encoding="utf-8"))

    def play(self, what: str) -> Play:
        """Run the main job."""
        return run("playbooks/build.yml", self.log(what), self.variables, checkout=self.checkout)

    def remove(self) -> None:
        """Take the service away, and all that the role keeps of it."""
        run("playbooks/remove.yml", self.log("remove"), self.variables, checkout=self.checkout)

    def first(self, mark: str = "first") -> dict[str, float]:
        """Take everything away that an earlier build left, and build, prove and run the service.

        The base of a service with the same user's name may be in the Engine's cache, and what another service was compiled on, so both are
        others each time.

        Raises:
            BenchError: a command of the build came from a cache all the same.
        """
        self.remove()
        self.user, self.mark = f"app-{mark}", f"{self.name}-{mark}"
        play = self.play("first")
        cached = [
            step["instruction"]
            for stage in self.report()["timeline"]
            for step in stage.get("steps") or []
            if step["cached"] and step["instruction"].startswith("RUN")
        ]
        if cached:
            raise BenchError(f"The first build of {self.name} was not the first: {cached[0]} came from the Engine's cache.")
        return {
            "build-first": play.seconds_of(BUILD_TASKS),
            "whole-first": play.seconds,
            "peak": play.peak,
            "ansible-peak": play.ansible_peak,
        }

    def change(self) -> dict[str, float]:
        """Let the play build, prove and deploy the new version."""
        play = self.play("edit")
        self.check()
        # As soon as the candidate is healthy, the play reads its image, which the Engine notes with the image's id.
        events = engine.events(play.began, play.ended, f"{self.name}-candidate", engine.inspect("image", self.name)["Id"])
        started, healthy, went_on = engine.health_moments(events, f"{self.name}-candidate")
        return {
            "build-edit": play.seconds_of(BUILD_TASKS),
            "whole-edit": play.seconds,
            "start-healthy": healthy - started,
            "notice": went_on - healthy,
            "peak": play.peak,
            "ansible-peak": play.ansible_peak,
        }

    def new_import(self) -> dict[str, float]:
        """Let the play deploy a version that imports another package."""
        play = self.play("import")
        self.check()
        return {
            "build-import": play.seconds_of(BUILD_TASKS),
            "whole-import": play.seconds,
            "peak": play.peak,
            "ansible-peak": play.ansible_peak,
        }

    def look_again(self) -> tuple[Play, dict[str, float]]:
        """Let the play find that nothing changed.

        Raises:
            BenchError: it changed something.
        """
        play = self.play("nothing")
        if play.changed:
            raise BenchError(f"The play changed something although nothing had changed; what it said is in {LOGS}.")
        # Its health tests go on meanwhile, and one may be the first that passes.
        noted = engine.events(play.began, play.ended, self.name)
        touched = [event for event in noted if not event["Action"].startswith("health_status")]
        return play, {"build-nothing": play.seconds_of(LOOK_TASKS), "whole-nothing": play.seconds, "touched": len(touched)}

    def nothing(self) -> dict[str, float]:
        """The figures of a play that finds that nothing changed."""
        return self.look_again()[1]


class RoleBuildKit(Role):
    """The role with its builder buildx."""

    key = "role-buildx"
    builder = "buildx"

    def remove(self) -> None:
        """Take the caches away as well, which services of a host share."""
        super().remove()
        engine.forget_caches("/var/cache/go-service/")


class Several:
    """Several services of one host, in one play. The first build of each is measured by itself; each imports one package that no other does."""

    def __init__(self, bases: Bases, count: int) -> None:
        self.roles = [Role(bases, name=f"several-{number + 1}") for number in range(count)]
        self._mark = f"several-{time.time_ns()}"
        for number, role in enumerate(self.roles):
            role.write()
            services.add_rare(role.source, services.RARE[number])
            role.edit("0")

    def _play(self, count: int, what: str) -> Play:
        variables = [role.variables for role in self.roles[:count]]
        several = [{name.removeprefix("go_service_"): value for name, value in of.items()} for of in variables]
        shared = {"go_services": several, "go_service_build_env": {"GO_BENCH": self._mark}}
        for of in several:
            del of["build_env"]
        return run("playbooks/build.yml", self.roles[count - 1].log(what), shared, checkout=ROOT)

    def first(self, count: int) -> float:
        """Bring one service more to the host; return how long its image took."""
        return self._play(count, "first").seconds_of(BUILD_TASKS)

    def nothing(self, count: int) -> float:
        """Return how long a play takes that finds that none of them changed.

        Raises:
            BenchError: it changed something.
        """
        play = self._play(count, "nothing")
        if play.changed:
            raise BenchError(f"The play of {count} services changed something although nothing had changed; what it said is in {LOGS}.")
        return play.seconds

    def change(self, count: int, version: str) -> float:
        """Return how long a play takes that finds an edit of the last one of them."""
        role = self.roles[count - 1]
        role.edit(version)
        seconds = self._play(count, "edit").seconds
        role.check()
        return seconds


class Ping:
    """The least that Ansible can do: a play of one task."""

    key = "ping"

    def __init__(self) -> None:
        self._runs = 0

    def look_again(self) -> tuple[Play, dict[str, float]]:
        """Run it."""
        self._runs += 1
        play = run("bench/ping.yml", LOGS / f"{engine.PREFIX}ping-{self._runs:03}.log")
        return play, {"whole-nothing": play.seconds}
