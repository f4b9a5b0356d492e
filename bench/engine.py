"""The Docker client, and how everything that the benchmark made is found again and taken away."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import APIClient

from bench.plays import ROOT, BenchError

# Every container and image that the benchmark makes has a name that begins so.
PREFIX = "bench-"
# Work directory: sources, logs, what the role keeps. `make clean` removes it with .cache.
WORK = ROOT / ".cache/bench"
LOGS = WORK / "logs"
# The classic builder for all, as the role's default builder is: BuildKit would compare builders, not ways of working.
CLASSIC = {"DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}
# How the command ends by which the expert's builds are known.
EXPERT = "-o /out/service ."
_LAYER = re.compile(r"---> ([0-9a-f]{12})\b")


def command(*arguments: str, log: Path | None = None, check: bool = True, **variables: str) -> str:
    """Run a command and return what it prints; with a log, what it says is kept there also while it runs. variables: of its environment.

    Raises:
        BenchError: it failed, unless check is off.
    """
    environment = {**os.environ, **CLASSIC, **variables}
    if log is None:
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, close_fds=False)
        output, errors = done.stdout, done.stderr
    else:
        with open(log, "w", encoding="utf-8") as file:
            done = subprocess.run(arguments, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False, close_fds=False)
        output = errors = log.read_text(encoding="utf-8")
    if check and done.returncode:
        raise BenchError(f"{' '.join(arguments[:4])} ... failed:\n{errors.strip()[-2000:]}")
    return output.strip()


def docker(*arguments: str, log: Path | None = None, check: bool = True, **variables: str) -> str:
    """Run the Docker client."""
    return command("docker", *arguments, log=log, check=check, **variables)


def has_buildkit() -> bool:
    """Say whether this client builds by BuildKit as its plugin buildx does, which the role calls as well."""
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


def inspect(kind: str, name: str) -> dict[str, Any]:
    """Return `docker inspect` of a container or image, empty where there is none."""
    found = docker(kind, "inspect", name, check=False)
    return json.loads(found)[0] if found and found != "[]" else {}


def timed(what: Callable[[], Any]) -> float:
    """Run something and return how long it took, in seconds."""
    began = time.monotonic()
    what()
    return time.monotonic() - began


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def file_size(container: str, path: str) -> int:
    """Return the size of a file in a container, in bytes."""
    packed = subprocess.run(["docker", "cp", f"{container}:{path}", "-"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return max(member.size for member in archive.getmembers())


def events(began: float, ended: float, *names: str) -> list[dict[str, Any]]:
    """Return what the Engine noted between two moments about containers and images whose names begin so, oldest first.

    The health tests that it runs in containers, at all times, are left out; what they find ("health_status") is not.
    """
    noted = docker("events", "--since", f"{began:.9f}", "--until", f"{ended:.9f}", "--format", "{{json .}}")
    found = [json.loads(line) for line in noted.splitlines()]
    about = [event for event in found if event["Actor"]["Attributes"].get("name", "").startswith(names)]
    return [event for event in about if not event["Action"].startswith("exec_")]


def health_moments(found: Sequence[Mapping[str, Any]], container: str) -> tuple[float, float, float]:
    """Return when a container started, when it became healthy, and when something else happened next, in seconds since 1970.

    The last one is when whoever waited for its health went on, at the latest; 0 where nothing else happened.

    Raises:
        BenchError: the Engine noted no such thing.
    """
    of_it = [event for event in found if event["Actor"]["Attributes"].get("name") == container]
    moments = {event["Action"]: event["timeNano"] / 1e9 for event in of_it}
    try:
        started, healthy = moments["start"], moments["health_status: healthy"]
    except KeyError as missing:
        raise BenchError(
            f"The Engine noted no {missing} of the container {container}; it noted {sorted(moments) or 'nothing'}."
        ) from missing
    later = [event["timeNano"] / 1e9 for event in found if event["timeNano"] / 1e9 > healthy]
    return started, healthy, min(later, default=0.0)


@contextmanager
def alone() -> Iterator[None]:
    """Keep other benchmarks of this machine away, whose containers and images have the same names.

    Raises:
        BenchError: one runs.
    """
    with open(Path(tempfile.gettempdir()) / f"go-service-bench-{os.getuid()}.lock", "w", encoding="utf-8") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError(
                "Another benchmark runs on this machine, or a play that a killed one had begun. Wait until it has ended."
            ) from error
        # What this one starts holds the lock too: if this one is killed, a play that outlives it is not disturbed, and disturbs nobody.
        os.set_inheritable(turn.fileno(), True)
        yield


def forget_caches(directory: str, command_of: str = "") -> None:
    """Take away what BuildKit keeps of the directories that begin so, from one build to the next; command_of: how the command ends that has it mounted."""
    client = APIClient()
    try:
        for cache in client.df()["BuildCache"] or []:
            told = cache.get("Description", "")
            if cache["Type"] == "exec.cachemount" and told.startswith(f"cached mount {directory}") and told.endswith(command_of):
                client.prune_builds(filters={"id": cache["ID"]}, all=True)
    finally:
        client.close()


def layers(log: str) -> list[str]:
    """Return the ids of the images that a build left as its steps, newest first, from what the classic builder printed."""
    return list(dict.fromkeys(reversed(_LAYER.findall(log))))


def clean() -> None:
    """Take away what this run or an earlier, killed one made: containers, images, steps of builds, the work directory."""
    containers = docker("ps", "--all", "--quiet", "--filter", f"name=^/{PREFIX}").split()
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    listed = docker("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    tagged = [image for image in listed if image.startswith(PREFIX)]
    if tagged:
        docker("rmi", "--force", *tagged)
    for image in docker("image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true", "--filter", "label=go-service.name").split():
        if inspect("image", image)["Config"]["Labels"]["go-service.name"].startswith(PREFIX):
            docker("rmi", image, check=False)
    forget_caches("/", EXPERT)
    # Builder stages of a plain Dockerfile carry no mark. The logs tell them; an image with a tag, such as a base, is never touched.
    there = {image[7:19] for image in docker("image", "ls", "--all", "--quiet", "--no-trunc").split()}
    logs = sorted(LOGS.glob("*.log"), key=lambda log: log.stat().st_mtime)
    steps = dict.fromkeys(image for log in reversed(logs) for image in layers(log.read_text(encoding="utf-8", errors="replace")))
    for image in steps:
        if image in there and not inspect("image", image).get("RepoTags", ["gone"]):
            docker("rmi", image, check=False)
    shutil.rmtree(WORK, ignore_errors=True)
