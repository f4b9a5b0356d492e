"""The measurement: what is run, in which order, how often."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from bench import engine, modules, services
from bench.contestants import Bases, ByHand, Expert, Ping, Role, RoleBuildKit, Script, Several
from bench.engine import LOGS, WORK, docker
from bench.figures import FLEETS, HOSTS, MODULES, SERVICES, SIZES, Samples, add, add_profile, rotated
from bench.plays import ROOT, BenchError, run

SCENARIO = "bench"


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def short(values: dict[str, float]) -> str:
    """Return figures in one line."""
    return ", ".join(f"{what} {value / 1e6:.1f} MB" if value > 1e4 else f"{what} {value:.2f}" for what, value in values.items())


class Measurement:
    """All figures of one benchmark, written to a file after each step so that nothing is lost."""

    def __init__(self, file: Path, rounds: int, parts: Sequence[str]) -> None:
        self.file = file
        self.rounds = rounds
        # How cost grows is seen in fewer rounds: what is compared there lies further apart.
        self.growth_rounds = max(1, rounds - 1)
        self.parts = parts
        self.samples: Samples = {}
        self.profiles: dict[str, list[list[Any]]] = {}
        self.bases = Bases("", "")
        self.machine: dict[str, Any] = {}
        self.began = now()

    def run(self) -> None:
        """Measure everything and leave the machine as it was found."""
        prepare_directory()
        try:
            self.bases = find_bases()
            # After that an Engine answers. What an earlier run left is away, and this one's sources are there.
            self.machine = describe(self.bases)
            if "main" in self.parts:
                self.main()
            if "files" in self.parts:
                self.by_files()
            if "large" in self.parts:
                self.large()
            if "modules" in self.parts:
                self.by_modules()
            if "services" in self.parts:
                self.by_services()
            if "hosts" in self.parts:
                self.by_hosts()
        finally:
            say("Cleaning up")
            engine.clean()

    def keep(self, who: str, values: dict[str, float], what: str) -> None:
        """Add figures and tell them."""
        add(self.samples, who, values)
        say(f"{what}: {who}: {short(values)}")
        self.save()

    def save(self) -> None:
        """Write all figures."""
        content = {
            "began": self.began,
            "ended": now(),
            "rounds": self.rounds,
            "growth_rounds": self.growth_rounds,
            "parts": list(self.parts),
            "machine": self.machine,
            "samples": self.samples,
            "profiles": self.profiles,
        }
        self.file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def main(self) -> None:
        """The contestants side by side: in each round the same step of each, one after the other."""
        hand, script, role, ping = ByHand(self.bases), Script(self.bases), Role(self.bases), Ping()
        contestants: list[ByHand | Role] = [hand, script, role]
        if engine.has_buildkit():
            contestants += [Expert(self.bases), RoleBuildKit(self.bases)]
        else:
            say("Without BuildKit: this Docker client lacks the plugin buildx")
        say("Warming up: one play, so that Python's compiled files are there")
        ping.look_again()
        for turn in range(self.rounds):
            title = f"round {turn + 1} of {self.rounds}"
            for contestant in contestants:
                contestant.write()
                contestant.edit(f"{turn}.0")
            for each in rotated([each for each in contestants if each is not script], turn):
                self.keep(each.key, each.first(str(turn)), f"{title}, first build")
            for each in rotated(contestants, turn):
                each.edit(f"{turn}.1")
                self.keep(each.key, each.change(), f"{title}, edit")
            for each in rotated([*contestants, ping], turn):
                if isinstance(each, (Role, Ping)):
                    play, values = each.look_again()
                    add_profile(self.profiles, each.key, play.profile())
                else:
                    values = each.nothing()
                self.keep(each.key, values, f"{title}, nothing changed")
            for each in rotated([hand, role], turn):
                self.keep(each.key, each.image(), f"{title}, image")
            for each in rotated([hand, role], turn):
                services.add_import(each.source)
                self.keep(each.key, each.new_import(), f"{title}, new import")

    def by_files(self) -> None:
        """The role with services of more and more files."""
        sized = [Role(self.bases, files, f"files-{files}") for files in SIZES]
        for role in sized:
            role.write()
            role.edit("0")
            values = role.first(str(role.files))
            self.keep(str(role.files), {"files-first": values["build-first"], **memory(values)}, "by files, first build")
        for turn in range(self.growth_rounds):
            for role in rotated(sized, turn):
                role.edit(f"{turn}.1")
                changed = role.change()
                self.keep(str(role.files), {"files-edit": changed["whole-edit"], **memory(changed)}, f"by files, edit {turn + 1}")
            for role in rotated(sized, turn):
                values = role.nothing()
                figures = {"files-nothing": values["whole-nothing"], "files-look": values["build-nothing"]}
                self.keep(str(role.files), figures, f"by files, nothing changed {turn + 1}")

    def large(self) -> None:
        """The role's builders and the expert side by side, with a service of the most files and the most third-party modules."""
        kinds: list[type[Expert] | type[Role]] = [Role, *([Expert, RoleBuildKit] if engine.has_buildkit() else [])]
        with modules.proxy() as address:
            contestants = [kind(self.bases, max(SIZES), f"large-{kind.key}") for kind in kinds]
            for each in contestants:
                each.build_env = {"GOPROXY": address, "GOSUMDB": "off"}
                each.write()
                services.require(each.source, max(MODULES))
                each.edit("0")
                self.keep(each.key, {"large-first": each.first("large")["build-first"]}, "many files and modules, first build")
            for turn in range(self.rounds):
                for each in rotated(contestants, turn):
                    each.edit(f"{turn}.1")
                    changed = each.change()
                    figures = {"large-edit": changed["build-edit"], "large-whole": changed["whole-edit"]}
                    self.keep(each.key, figures, f"many files and modules, edit {turn + 1}")
            for each in contestants:
                if isinstance(each, Role):
                    each.remove()

    def by_modules(self) -> None:
        """The role, by each builder, with services of more and more third-party modules. The last build of a round has one module more."""
        with modules.proxy() as address:
            for kind in [Role, RoleBuildKit] if engine.has_buildkit() else [Role]:
                for count in MODULES:
                    role = kind(self.bases, name=f"modules-{kind.key}-{count}")
                    role.build_env = {"GOPROXY": address, "GOSUMDB": "off"}
                    role.write()
                    role.edit("0")
                    services.require(role.source, count)
                    first = role.first(f"{kind.key}-{count}")["build-first"]
                    self.keep(str(count), {f"modules-first-{kind.key}": first}, "by modules, first build")
                    for turn in range(self.growth_rounds):
                        role.edit(f"{turn}.1")
                        edited = role.change()["build-edit"]
                        services.require(role.source, count + turn + 1)
                        added = role.change()["build-edit"]
                        figures = {f"modules-edit-{kind.key}": edited, f"modules-add-{kind.key}": added}
                        self.keep(str(count), figures, f"by modules, round {turn + 1}")
                    role.remove()

    def by_services(self) -> None:
        """The role with more and more services of one host."""
        several = Several(self.bases, max(SERVICES))
        for count in range(1, max(SERVICES) + 1):
            first = several.first(count)
            if count in SERVICES:
                self.keep(str(count), {"services-first": first}, "by services, first build")
        for turn in range(self.growth_rounds):
            for count in rotated(SERVICES, turn):
                self.keep(str(count), {"services-nothing": several.nothing(count)}, f"by services, nothing changed {turn + 1}")
            for count in rotated(SERVICES, turn):
                self.keep(str(count), {"services-edit": several.change(count, f"{turn}.{count}")}, f"by services, edit {turn + 1}")

    def by_hosts(self) -> None:
        """The role on more and more machines at once, each a systemd container with an Engine of its own: each builds for itself, and one builds for all."""
        role = Role(self.bases, name="hosts")
        role.write()
        role.edit("0")
        with machines(max(HOSTS)) as inventory:

            def play(hosts: int, what: str, playbook: str = "build", serial: Sequence[str | int] = ()) -> float:
                log = role.log(f"{what}-{hosts}")
                variables = {**role.variables, "go_service_publish": "", "go_service_work_dir": "/root/.local/state/go_service"}
                if serial:
                    variables["go_service_fleet_serial"] = serial
                limit = ",".join(names(hosts))
                return run(f"playbooks/{playbook}.yml", log, variables, inventory=inventory, limit=limit, forks=hosts).seconds

            say(f"Building on {max(HOSTS)} hosts for the first time")
            say(f"by hosts, first: {play(max(HOSTS), 'first'):.1f} s")
            for turn in range(self.growth_rounds):
                for hosts in rotated(HOSTS, turn):
                    role.edit(f"{turn}.{hosts}")
                    self.keep(str(hosts), {"hosts-edit": play(hosts, "edit")}, f"by hosts, edit {turn + 1}")
                    self.keep(str(hosts), {"hosts-nothing": play(hosts, "nothing")}, f"by hosts, nothing changed {turn + 1}")
                for hosts in rotated(HOSTS, turn):
                    for what, serial in FLEETS.items():
                        role.edit(f"{turn}.{hosts}.{what}")
                        self.keep(str(hosts), {what: play(hosts, what, "fleet", serial)}, f"by hosts, built once {turn + 1}")


def memory(values: dict[str, float]) -> dict[str, float]:
    """Return the memory of a play as figures by files."""
    return {"files-ansible-peak": values["ansible-peak"], "files-peak": values["peak"]}


def now() -> str:
    """Return the time, RFC 3339."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def prepare_directory() -> None:
    """Make the work directory where there is none."""
    LOGS.mkdir(parents=True, exist_ok=True)


def find_bases() -> Bases:
    """Bring up an Engine and the base images as the role's own playbooks do, take away what an earlier run left, and return the bases."""
    say("Looking for an Engine and the base images")
    note = WORK / "bases.json"
    run("bench/prepare.yml", LOGS / "prepare.log", {"bench_note": str(note)})
    found = json.loads(note.read_text(encoding="utf-8"))
    engine.clean()
    prepare_directory()
    return Bases(**found)


def describe(bases: Bases) -> dict[str, Any]:
    """Return what this machine is and what it runs."""
    version = json.loads(docker("version", "--format", "{{json .}}"))
    environment = dict(entry.split("=", 1) for entry in engine.inspect("image", bases.builder)["Config"]["Env"])
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    collection = Path(import_module("ansible_collections.community.docker").__path__[0]) / "MANIFEST.json"
    return {
        "project": engine.command("git", "-C", str(ROOT), "describe", "--always", "--dirty", check=False),
        "engine": version["Server"]["Version"],
        "client": version["Client"]["Version"],
        "storage": docker("info", "--format", "{{.Driver}}"),
        "ansible": metadata.version("ansible-core"),
        "community_docker": json.loads(collection.read_text(encoding="utf-8"))["collection_info"]["version"],
        "python": platform.python_version(),
        "go": environment.get("GOLANG_VERSION", ""),
        "builder": bases.builder,
        "runtime": bases.runtime,
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "load": round(os.getloadavg()[0], 2),
    }


def names(count: int) -> list[str]:
    """Return the names of the first machines of the scenario."""
    return [f"debian12-{number + 1}" for number in range(count)]


def molecule(action: str) -> None:
    """Run a command of Molecule for the benchmark's scenario.

    Raises:
        BenchError: it failed.
    """
    log = LOGS / f"molecule-{action}.log"
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(
            ["molecule", action, "-s", SCENARIO], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False, close_fds=False
        )
    if done.returncode:
        tail = log.read_text(encoding="utf-8").strip()[-2000:]
        raise BenchError(f"molecule {action} -s {SCENARIO} failed:\n{tail}\nmolecule/README.md says what the machines need.")


@contextmanager
def machines(count: int) -> Iterator[Path]:
    """Make the scenario's machines, yield an inventory of them, and destroy them."""
    say(f"Making {count} machines, each with an Engine of its own")
    molecule("destroy")
    try:
        molecule("create")
        listed = docker(
            "ps", "--format", '{{.Label "go-service-test.instance"}} {{.Names}}', "--filter", f"label=go-service-test.scenario={SCENARIO}"
        )
        hosts = {
            name: {"ansible_connection": "community.docker.docker", "ansible_host": container}
            # The first one builds for the others, also where only some take part.
            for name, container in sorted(line.split() for line in listed.splitlines())
        }
        variables = {"base_images_source": "load", "base_images_archive_dir": "/srv/base-images", "base_images_fallback": "assemble"}
        inventory = WORK / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
        yield inventory
    finally:
        molecule("destroy")
