"""An installation of the Engine: what keeps the daemon from being started meanwhile keeps nothing else, and one that was broken off is finished.

On a machine of the test's own directory, with an apt and a dpkg that note what is asked of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import PROJECT, ansible_playbook, environment

# Many small tasks each; the scenario `provision` installs an Engine in earnest.
pytestmark = pytest.mark.long
TASKS, VARIABLES = PROJECT / "roles/docker_engine/tasks", PROJECT / "roles/docker_engine/vars/main.yml"
RECORD = {"source": "distribution", "packages": ["docker.io", "docker-cli"]}
# Each notes its words; a package that is unpacked is for dpkg, one that is unpacked by half for apt.
PROGRAMS = {
    "systemctl": "",
    "dpkg-query": 'case $* in *--search*) exit 1;; esac; cat "$PLACE/status"',
    "dpkg": 'test "${*#*--configure -a}" != "$*" || exit 2; sed -i "s/^i[UF] /ii /" "$PLACE/status"; rm -f "$PLACE"/updates/*; ! grep -q "^iHR" "$PLACE/status"',
    "apt-get": 'case $* in *--fix-broken*) sed -i "s/^iHR/ii /" "$PLACE/status";; esac',
}
# In place of Ansible's own, which asks this machine's apt.
APT = """
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in ("name", "update_cache", "cache_valid_time", "lock_timeout", "install_recommends")})
if module.params["name"]:
    place = os.environ["PLACE"]
    held = [path for path in os.environ["HELD"].split() if os.path.exists(path)]
    policy = os.path.join(place, "policy-rc.d")
    refused = [name for name in ("docker", "cron") if os.path.exists(policy) and os.system(f"sh {policy} {name} start") >> 8 == 101]
    with open(os.path.join(place, "said"), "a") as said:
        said.write(f"install {' '.join(module.params['name'])}: {len(held)} units, refused {refused}\\n")
    if os.path.exists(os.path.join(place, "fails")):
        module.fail_json(msg="no space left")
module.exit_json(changed=bool(module.params["name"]))
"""


class Machine:
    """A machine, and the tasks that install there."""

    def __init__(self, place: Path) -> None:
        self.place, self.policy, self.units = place, place / "policy-rc.d", place / "run/systemd/system"
        self.installing = place / "installing"
        self.conditions = [self.units / f"docker.{kind}.d/go-service-installing.conf" for kind in ("service", "socket")]
        for part in ("bin", "library", "tasks", "updates"):
            (place / part).mkdir()
        for name, does in PROGRAMS.items():
            program = place / "bin" / name
            program.write_text(
                f'#!/bin/sh\ncase "$*" in *--show*|*--search*|*--simulate*) ;; *) echo "{name} $*" >>"$PLACE/said";; esac\n{does}\n'
            )
            program.chmod(0o755)
        (place / "library/own_apt.py").write_text(APT)
        self.status("ii  base-files")
        for file in TASKS.glob("*.yml"):
            text = file.read_text(encoding="utf-8").replace("ansible.builtin.apt:", "own_apt:")
            for path, own in (
                ("/run/systemd/system", self.units),
                ("/usr/sbin/policy-rc.d", self.policy),
                ("/var/lib/dpkg/updates", place / "updates"),
            ):
                text = text.replace(path, str(own))
            (place / "tasks" / file.name).write_text(text)

    def status(self, *lines: str) -> None:
        """Say what dpkg knows of the packages."""
        (self.place / "status").write_text("\n".join(lines) + "\n")

    def said(self) -> list[str]:
        """Return what was asked of the programs since it was asked for last."""
        file = self.place / "said"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def held(self) -> list[Path]:
        """Return what lies there that keeps services from being started."""
        return [path for path in (*self.conditions, self.policy) if path.exists()]

    def run(self, file: str, *arguments: str, record: dict[str, Any] | None = None, process: int = 0) -> tuple[int, str]:
        """Run a file of tasks; return how it ended, and all that was printed."""
        known = yaml.safe_load(VARIABLES.read_text(encoding="utf-8"))
        variables = {
            "__docker_engine_unfinished_list": known["__docker_engine_unfinished_list"].replace(
                "/var/lib/dpkg/updates", str(self.place / "updates")
            ),
            "__docker_engine_installing": str(self.installing),
            "docker_engine_source": "distribution",
            "docker_engine_package_archive": "",
            "docker_engine_packages": [],
            "docker_engine_buildx": False,
            "docker_engine_lock_timeout": 10,
            "__docker_engine_distribution_packages": ["docker.io"],
            "__docker_engine_probe": {"set_up": {"record": record or {}, "process": process, "installing": self.installing.exists()}},
            "__docker_engine_install": ["docker.io", "docker-cli"],
            "ansible_facts": {"pkg_mgr": "apt"},
            "ansible_become": False,
        }
        # What is asked for from outside counts more than what a task gives.
        if file == "present":
            del variables["__docker_engine_install"]
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_tasks": str(self.place / f"tasks/{file}.yml")}],
        }
        (self.place / "play.yml").write_text(json.dumps([{**play, "vars": variables}]))
        settings = environment(
            ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections",
            ANSIBLE_HOME=self.place / "home",
            ANSIBLE_LIBRARY=self.place / "library",
            ANSIBLE_LOCALHOST_WARNING="false",
            PLACE=self.place,
            HELD=" ".join(map(str, self.conditions)),
        )
        settings["PATH"] = f"{self.place}/bin{os.pathsep}{settings['PATH']}"
        done = ansible_playbook("-i", PROJECT / "inventory/local.yml", self.place / "play.yml", *arguments, cwd=self.place, env=settings)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(params=[True, False])
def systemd(machine: Machine, request: pytest.FixtureRequest) -> bool:
    """Whether the machine has systemd."""
    if request.param:
        machine.units.mkdir(parents=True)
    return request.param


def test_the_daemon_is_not_started_while_it_is_installed_and_everything_else_is(machine: Machine, systemd: bool) -> None:
    code, told = machine.run("packages")
    assert code == 0, told
    laid = "2 units, refused []" if systemd else "0 units, refused ['docker']"
    assert machine.said() == [f"install docker.io docker-cli: {laid}", *(["systemctl daemon-reload"] if systemd else [])]
    assert machine.held() == []


def test_after_an_installation_that_failed_it_may_be_started(machine: Machine) -> None:
    (machine.place / "fails").touch()
    code, told = machine.run("packages")
    assert code and "no space left" in told
    assert machine.said() == ["install docker.io docker-cli: 0 units, refused ['docker']"] and machine.held() == []


def test_a_policy_of_the_machine_itself_stays(machine: Machine) -> None:
    machine.policy.write_text("#!/bin/sh\nexit 101\n")
    code, told = machine.run("packages")
    assert code == 0, told
    assert machine.said() == ["install docker.io docker-cli: 0 units, refused ['docker', 'cron']"]
    assert machine.policy.read_text() == "#!/bin/sh\nexit 101\n"


def test_while_a_daemon_runs_nothing_is_laid(machine: Machine) -> None:
    code, told = machine.run("packages", process=4711)
    assert code == 0, told
    assert machine.said() == ["install docker.io docker-cli: 0 units, refused []"]


def test_what_a_run_that_was_killed_has_laid_keeps_no_other_service_and_is_taken_away_by_the_next(machine: Machine, systemd: bool) -> None:
    code, told = machine.run("hold_start")
    assert code == 0, told
    assert machine.held() == (machine.conditions if systemd else [machine.policy])
    if not systemd:
        for words, refused in (
            (["docker", "start"], True),
            (["--quiet", "docker", "start", "2"], True),
            (["docker-x", "start"], False),
            (["cron", "start"], False),
        ):
            assert subprocess.run([machine.policy, *words], check=False).returncode == (101 if refused else 0)
    code, told = machine.run("present")
    assert code == 0, told
    assert machine.held() == []
    assert machine.said() == (["systemctl daemon-reload"] if systemd else [])


@pytest.mark.parametrize(
    ("status", "interrupted"),
    [
        (["iHR containerd", "iU  runc", "ii  base-files"], False),
        # Of what the engine needs.
        (["iHR iptables"], False),
        (["ii  base-files"], True),
    ],
)
def test_an_own_installation_that_was_broken_off_is_finished(machine: Machine, status: list[str], interrupted: bool) -> None:
    machine.units.mkdir(parents=True)
    machine.status(*status)
    if interrupted:
        (machine.place / "updates/0001").touch()
    machine.installing.touch()
    code, told = machine.run("present", record=RECORD)
    assert code == 0, told
    configured, updated, fixed, installed, reloaded = machine.said()
    assert configured.startswith("dpkg ") and configured.endswith("--configure -a") and updated == "apt-get update"
    assert fixed.startswith("apt-get --yes --no-remove ") and fixed.endswith("--fix-broken install")
    assert installed == "install docker.io docker-cli: 2 units, refused []" and reloaded == "systemctl daemon-reload"
    assert {line[:3] for line in (machine.place / "status").read_text().splitlines()} == {"ii "}
    assert machine.held() == []


@pytest.mark.parametrize("file", ["packages", "apt_settle"])
def test_whatever_apt_was_installing_when_a_run_was_killed_is_finished_before_apt_is_asked_for_more(machine: Machine, file: str) -> None:
    """Known by the note of that run: what else the roles need, or what Ansible's module of apt itself does; also if nothing more is needed."""
    (machine.place / "updates/0001").touch()
    machine.status("iF  python3-apt", "iHR git")
    machine.installing.touch()
    code, told = machine.run(file, process=4711)
    assert code == 0, told
    done = [words.split()[0] for words in machine.said()]
    assert done == ["dpkg", "apt-get", "apt-get", *(["install"] if file == "packages" else [])]
    assert {line[:3] for line in (machine.place / "status").read_text().splitlines()} == {"ii "}
    assert not machine.installing.exists()


def test_what_others_have_not_finished_is_not_taken_for_what_this_role_installs(machine: Machine) -> None:
    """Their packages may be such that they never can be finished."""
    machine.status("iF  theirs")
    code, told = machine.run("packages", process=4711)
    assert code == 0 and not machine.installing.exists(), told
    assert machine.said() == ["install docker.io docker-cli: 0 units, refused []"]
    # A run that was killed before it installed anything.
    machine.installing.write_text("theirs\n")
    code, told = machine.run("apt_settle", process=4711)
    assert code == 0 and not machine.installing.exists(), told
    assert machine.said() == []


def test_what_could_not_be_finished_is_told_and_tried_again_by_the_next_run(machine: Machine) -> None:
    machine.status("iF  git")
    machine.installing.touch()
    program = machine.place / "bin/apt-get"
    whole = program.read_text()
    program.write_text("#!/bin/sh\necho no space left >&2\nexit 100\n")
    (machine.place / "bin/dpkg").write_text("#!/bin/sh\nexit 1\n")
    code, told = machine.run("apt_settle", process=4711)
    assert code and "could not be finished (git): no space left. Finish it there, as root" in told, told
    assert machine.installing.exists()
    program.write_text(whole)
    machine.status("ii  git")
    code, told = machine.run("apt_settle", process=4711)
    assert code == 0 and not machine.installing.exists(), told


def test_nothing_is_finished_that_is_finished_nor_in_check_mode(machine: Machine) -> None:
    code, told = machine.run("present", record=RECORD)
    assert code == 0 and machine.said() == [], told
    machine.status("iHR containerd")
    machine.installing.touch()
    code, told = machine.run("present", "--check", record=RECORD)
    assert code == 0 and machine.said() == [], told
    assert "Would install docker.io, docker-cli." in told


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (["iU  docker.io", "iF  containerd"], "finished with docker.io, containerd. Finish it there, as root (dpkg --configure -a), then"),
        (
            ["iHR runc", "iHR other"],
            "finished with runc. Finish it there, as root (dpkg --configure -a, then apt-get --fix-broken install), then",
        ),
        (["iHR other"], ""),
    ],
)
def test_of_an_installation_of_others_it_is_said_how_to_finish_it(machine: Machine, status: list[str], says: str) -> None:
    machine.status(*status)
    code, told = machine.run("present")
    assert bool(code) == bool(says) and says in told, told
    assert machine.said() == []
