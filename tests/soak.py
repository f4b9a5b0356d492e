"""Many edits of one service in a row, with faults strewn in, by playbooks/build.yml on the real Engine: nothing grows, and nothing of an edit stays.

Too long for every day: `make soak` runs it, EDITS=200 of them unless it is told otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from plays import PROJECT, environment, free_port, get, left_on_engine, play, service_variables

NAME = "soaked"
EDITS = int(os.environ.get("EDITS", "200"))
SERVICE = """package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	%s
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(%d) })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "edit %d") })
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}
"""
# Of ten edits: what is wrong with one, as (what it does first, what its health check is answered), and the words that tell it.
FAULTS = {
    3: ("undefined()", 200, "undefined: undefined"),
    5: ("os.Exit(3)", 200, "exited with code 3"),
    7: ("", 500, "did not become healthy"),
}
KILLED = 9
# What a run may leave behind at most: what is kept to return to, the running image, the builder stage; each save of the history is one volume.
KEPT, SLACK = 3, 1.25


@dataclass
class Reading:
    """What there is of the service after an edit: unique bytes of its images, numbers of images, containers and volumes, bytes of the controller's process."""

    edit: int
    disk: int
    images: int
    containers: int
    volumes: int
    controller: int


def ours(labels: dict[str, str] | None) -> bool:
    """Say whether something belongs to the service, by its labels."""
    held = labels or {}
    return NAME in (held.get("go-service.name"), held.get("go-service.lock"), held.get("go-service.history"))


def read(edit: int, controller: int) -> Reading:
    """Return what there is now."""
    client = docker.APIClient()
    found = client.df()
    images = [image for image in found["Images"] if ours(image["Labels"])]
    volumes = [volume for volume in client.volumes()["Volumes"] or [] if ours(volume["Labels"])]
    containers = [container for container in client.containers(all=True) if ours(container["Labels"])]
    client.close()
    disk = sum(image["Size"] - max(image["SharedSize"], 0) for image in images)
    return Reading(edit, disk, len(images), len(containers), len(volumes), controller)


class Soak:
    """A service that is edited again and again."""

    def __init__(self, directory: Path) -> None:
        self.source = directory / "source"
        self.source.mkdir()
        (self.source / "go.mod").write_text("module example.com/soaked\n\ngo 1.22\n")
        self.port = free_port()
        self.variables = {
            **service_variables(NAME, self.source, directory, self.port),
            "go_service_start_timeout": 4,
            "go_service_stop_timeout": 1,
            "go_service_keep_images": KEPT,
        }

    def edit(self, number: int, first: str = "", health: int = 200) -> None:
        """Write another version."""
        (self.source / "main.go").write_text(SERVICE % (first, health, number))

    def build(self, seconds: float = 0) -> tuple[int, str, int]:
        """Run playbooks/build.yml, killed after some seconds where any are given; return (exit code, what it printed, most memory of its process)."""
        settings = {"ANSIBLE_CONFIG": PROJECT / "ansible.cfg", "ANSIBLE_HOME": PROJECT / ".ansible"}
        command = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/build.yml", "-e", json.dumps(self.variables)]
        with (self.source.parent / "output").open("w+") as output:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=environment(**settings), stdout=output, stderr=output, start_new_session=True
            )
            if seconds:
                time.sleep(seconds)
                # The modules on this host as well: all that a person who pulls the plug would end.
                os.killpg(process.pid, signal.SIGKILL)
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            return process.returncode, output.read(), usage.ru_maxrss * 1024

    def served(self) -> str:
        """Return what the service answers."""
        status, text = get(self.port, "/")
        return text if status == 200 else f"status {status}"

    def binary(self) -> str:
        """Return the digest of the binary that runs."""
        copied = self.source.parent / "binary"
        subprocess.run(["docker", "cp", f"{NAME}:/usr/local/bin/{NAME}", copied], check=True, capture_output=True)
        return hashlib.sha256(copied.read_bytes()).hexdigest()


@pytest.fixture
def soak(builder_image: str, tmp_path: Path) -> Iterator[Soak]:
    """Return a service of which nothing is there yet, and is left afterwards."""
    assert builder_image
    here = Soak(tmp_path)
    play("remove", here.variables)
    yield here
    play("remove", here.variables)
    assert left_on_engine(NAME) == []


def test_edits_in_a_row_leave_nothing_behind(soak: Soak) -> None:
    chance = random.Random(EDITS)
    readings: list[Reading] = []
    last = ""
    for number in range(1, EDITS + 1):
        turn = number % 10
        first, health, words = FAULTS.get(turn, ("", 200, ""))
        soak.edit(number, first, health)
        code, printed, memory = soak.build(chance.uniform(2, 12) if turn == KILLED else 0)
        if turn == KILLED:
            assert code in (-signal.SIGKILL, 0)
            # Wherever it was: the next run stands upon what is there.
            code, printed, memory = soak.build()
        assert (code == 0) == (not words), printed[-4000:]
        assert words in printed
        last = last if words else f"edit {number}"
        assert soak.served() == last
        readings.append(read(number, memory))
        print(readings[-1], flush=True)
    settled = readings[2 * KEPT :]
    assert {reading.containers for reading in settled} == {1}
    assert {reading.volumes for reading in settled} == {1}
    assert max(reading.images for reading in settled) <= KEPT + 3
    # What a failed or killed build leaves until the next one is no growth: the second half is held against the first.
    half = len(readings) // 2
    for what in ("disk", "controller"):
        earlier, later = ([getattr(reading, what) for reading in part] for part in (readings[:half], readings[half:]))
        assert max(later) <= SLACK * max(earlier), (what, earlier, later)
    edited = soak.binary()
    play("remove", soak.variables)
    assert soak.build()[0] == 0
    assert soak.binary() == edited, "the binary of the last edit is that of a clean build"
