"""Role pull on a machine that does not stay as it was: runs that are killed, directories that change or have two names, and values that would do harm."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from plays import PROJECT, ansible_playbook, environment

# Stands in for systemd: it keeps what it has loaded of the units beside them, and each call that it got.
SYSTEMCTL = """#!/bin/sh
cd '{machine}'
echo "$@" >>calls
for last; do :; done
case "$*" in
  *ActiveState*) cat state ;;
  *NeedDaemonReload*) if test -e loaded/"$last" && ! cmp -s loaded/"$last" units/"$last"; then echo yes; else echo no; fi ;;
  show*) echo "LoadState=loaded"; echo "ActiveState=$(test -e active && echo active || echo inactive)" ;;
  is-enabled*) test -e enabled && echo enabled || { echo disabled; exit 1; } ;;
  daemon-reload) rm -rf loaded; cp -R units loaded ;;
  disable*) rm -f enabled active ;;
  enable*) touch enabled ;;
  stop*.timer) rm -f active ;;
  start*.timer | restart*.timer) mkdir -p loaded; test -e loaded/"$last" || cp units/* loaded; touch active ;;
esac
"""
# Stands in for the Python of the machine, whose environments have an ansible-pull without a network.
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; touch "$3/pyvenv.cfg"; for name in pip ansible-pull; do printf '#!/bin/sh\\n' >"$3/bin/$name"; chmod 755 "$3/bin/$name"; done ;;
  *) exec '{python}' "$@" ;;
esac
"""


class Machine:
    """A copy of the role whose absolute paths are below a directory, and stand-ins for what it calls."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.units = place / "units"
        self.first = place / "lib/go-service-pull"
        self.known = place / "lib/go-service-pull.directories"
        for name in ("units", "lib", "bin", "run/systemd/system"):
            (place / name).mkdir(parents=True)
        (place / "state").write_text("inactive\n")
        role = place / "play/roles/pull"
        shutil.copytree(PROJECT / "roles/pull", role)
        for file in [*role.glob("*/*.yml"), *role.glob("*/*.sh")]:
            text = file.read_text(encoding="utf-8").replace("owner: root", f"owner: {getpass.getuser()}")
            for path, instead in (("/etc/systemd/system", "units"), ("/run/", "run/"), ("/var/lib/go-service-pull", "lib/go-service-pull")):
                text = text.replace(path, str(place / instead) + "/" * path.endswith("/"))
            file.write_text(text, encoding="utf-8")
        self.put("systemctl", SYSTEMCTL.replace("{machine}", str(place)))
        self.put("python3", PYTHON.replace("{python}", str(shutil.which("python3"))))
        # What is to be tried is left out, but for a machine with a repository.
        self.put("systemd-run", f'#!/bin/sh\ncase "$*" in */try) ;; *) echo "$@" >\'{place}/waiting\' ;; esac\n')

    def put(self, name: str, text: str) -> None:
        program = self.place / "bin" / name
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    def run(self, directory: Path | None = None, dies_at: str = "", **given: Any) -> tuple[int, str]:
        """Run the role; dies_at: the task that is not reached any more. Return how it ended, and what it printed."""
        repository = given.pop("pull_repository", "https://me:s3cret@git.example.com/fleet.git")
        variables = {"pull_repository": repository, "pull_directory": str(directory or self.first), "ansible_become": False, **given}
        role = self.place / "play/roles/pull"
        tasks = (role / "tasks/set_up.yml").read_text(encoding="utf-8")
        killed = f"    - name: Die\n      ansible.builtin.fail:\n\n    - name: {dies_at}\n"
        (role / "tasks/set_up.yml").write_text(tasks.replace(f"    - name: {dies_at}\n", killed) if dies_at else tasks, encoding="utf-8")
        plays = self.place / "play/play.yml"
        plays.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["pull"]}]), encoding="utf-8")
        settings = environment(ANSIBLE_HOME=self.place / "home", ANSIBLE_LOCALHOST_WARNING="false", ANSIBLE_PIPELINING="true")
        settings["PATH"] = f"{self.place / 'bin'}{os.pathsep}{settings['PATH']}"
        extra = json.dumps({**variables, "ansible_playbook_python": "/usr/bin/python3"})
        done = ansible_playbook("-i", PROJECT / "inventory/local.yml", plays, "-e", extra, cwd=self.place, env=settings)
        (role / "tasks/set_up.yml").write_text(tasks, encoding="utf-8")
        assert not dies_at or done.returncode, done.stdout
        return done.returncode, done.stdout + done.stderr

    def runs(self, directory: Path, **given: Any) -> str:
        code, told = self.run(directory, **given)
        assert code == 0, told
        return told

    def is_set_up_in(self, directory: Path) -> bool:
        """Whether the units that systemd has loaded are those on the disk, and lead to what is there."""
        names = ("go-service-pull.service", "go-service-pull.timer")
        loaded = [(self.place / "loaded" / name).read_text() == (self.units / name).read_text() for name in names]
        runs = f"ExecStart={directory}/pull\n" in (self.units / names[0]).read_text()
        there = all((directory / name).exists() for name in ("pull", "credentials", "gitconfig", "current/bin/ansible-pull"))
        on = (self.place / "active").exists() and (self.place / "enabled").exists()
        return all(loaded) and runs and there and on and self.known.read_text() == f"{directory}\n"

    def has_nothing(self) -> bool:
        return not [*self.units.iterdir(), *(self.place / "lib").iterdir()] and not (self.place / "enabled").exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Path]:
    """A machine that pulls, and a copy of all that is on it."""
    place = tmp_path_factory.mktemp("pull")
    machine = Machine(place / "machine")
    machine.runs(machine.first)
    assert machine.is_set_up_in(machine.first)
    shutil.copytree(machine.place, place / "copy", symlinks=True)
    return machine, place / "copy"


@pytest.fixture
def computer(kept: tuple[Machine, Path]) -> Machine:
    """A machine that pulls, each time as it was."""
    machine, copy = kept
    shutil.rmtree(machine.place)
    shutil.copytree(copy, machine.place, symlinks=True)
    return machine


@pytest.mark.long
def test_a_directory_that_is_left_is_removed_whatever_runs_were_killed_on_the_way(computer: Machine) -> None:
    second, third = computer.place / "second", computer.place / "third"
    computer.run(second, dies_at="Write the credentials of the repository")
    # Until all is there, the machine pulls as before.
    assert f"ExecStart={computer.first}/pull\n" in (computer.units / "go-service-pull.service").read_text()
    computer.run(third, dies_at="Remove the directories of before")
    assert computer.first.exists() and second.exists()
    computer.runs(third)
    assert computer.is_set_up_in(third)
    assert not computer.first.exists() and not second.exists()
    assert "changed=0" in computer.runs(third)


@pytest.mark.long
def test_what_a_killed_first_run_has_begun_is_removed_with_the_variable(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(dies_at="Write the credentials of the repository")
    assert (machine.first / "current").exists() and not [*machine.units.iterdir()]
    machine.runs(machine.place / "second", pull_repository=None)
    assert machine.has_nothing()


@pytest.mark.long
def test_what_an_earlier_version_has_set_up_is_found_by_its_service(computer: Machine) -> None:
    computer.known.unlink()
    second = computer.place / "second"
    computer.runs(second)
    assert computer.is_set_up_in(second) and not computer.first.exists()


@pytest.mark.long
def test_systemd_has_the_units_that_are_written_although_a_run_was_killed_after_that(computer: Machine) -> None:
    second = computer.place / "second"
    for every, dies_at in (("2h", "Write the timer"), ("3h", "Start the timer")):
        computer.run(second, dies_at=dies_at, pull_every=every)
        (computer.place / "calls").unlink()
        computer.runs(second, pull_every=every)
        assert computer.is_set_up_in(second)
        assert f"OnBootSec={every}" in (computer.place / "loaded/go-service-pull.timer").read_text()
        assert "restart go-service-pull.timer" in (computer.place / "calls").read_text()


@pytest.mark.long
def test_another_name_of_the_directory_leaves_what_is_in_it(computer: Machine) -> None:
    link = computer.place / "link"
    link.symlink_to(computer.first)
    computer.runs(link)
    assert computer.is_set_up_in(link)
    computer.runs(computer.first)
    assert computer.is_set_up_in(computer.first)
    computer.runs(computer.first, pull_repository="")
    assert computer.has_nothing()


@pytest.mark.long
def test_a_directory_that_cannot_be_removed_itself_is_left_empty(computer: Machine) -> None:
    """A link; the root of a file system is the same to rmdir."""
    disk = computer.place / "disk"
    computer.first.rename(disk)
    computer.first.symlink_to(disk)
    computer.runs(computer.place / "second")
    assert computer.is_set_up_in(computer.place / "second") and not [*disk.iterdir()]
    computer.runs(computer.first)
    computer.runs(computer.first, pull_repository="")
    assert computer.first.is_symlink() and not [*disk.iterdir()]
    computer.first.unlink()
    assert computer.has_nothing()


IDENTITY = {f"GIT_{role}_{what}": "me@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def sh(text: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(["sh", "-c", text], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_another_way_to_pull_is_taken_only_if_it_leads_to_what_is_asked_for(computer: Machine) -> None:
    """A machine that pulls from where nothing comes is cut off from the edit that would mend it."""
    repository = computer.place / "fleet.git"
    repository.mkdir()
    made = sh(
        "git init -qb main; mkdir playbooks inventory; touch playbooks/site.yml; echo 'all: {hosts: {localhost: }}' >inventory/fleet.yml; git add .; "
        f"git update-index --add --cacheinfo 160000,{'1' * 40},sub; git commit -qm one",
        repository,
    )
    assert made.returncode == 0, made.stderr
    number = sh("git rev-parse HEAD", repository).stdout.strip()
    computer.put("systemd-run", '#!/bin/sh\nfor last; do :; done\nexec sh "$last"\n')
    good = {"pull_repository": str(repository), "pull_playbook": "playbooks/site.yml"}
    pull = computer.first / "current/bin/ansible-pull"
    for program in (pull, pull.with_name("ansible")):
        program.write_text(f'#!/bin/sh\nexec {Path(sys.executable).with_name(program.name)} "$@"\n')
        program.chmod(0o755)
    for version in ("main", number, number[:9]):
        computer.runs(computer.first, **good, pull_version=version)
        assert f"--checkout {version} " in (computer.first / "pull").read_text()
    # What is in a submodule is fetched by the pull itself.
    computer.runs(computer.first, **{**good, "pull_playbook": "sub/playbooks/site.yml"})
    computer.runs(computer.first, **good)
    before = (computer.first / "pull").read_bytes()
    for bad, words in (
        ({"pull_repository": str(computer.place / "flet.git")}, "flet.git' does not appear to be a git repository"),
        ({"pull_version": "mian"}, "couldn't find remote ref mian"),
        ({"pull_version": "0" * 40}, "there is no such commit in it"),
        ({"pull_playbook": "playbooks/other.yml"}, "there is no playbooks/other.yml in it"),
        ({"pull_inventory": "inventory/other.yml"}, "there is no inventory/other.yml in it"),
        ({"pull_limit": "nobody"}, "there is no machine nobody (pull_limit) in inventory/fleet.yml"),
        ({"pull_arguments": ["--acept-host-key"]}, "unrecognized arguments: --acept-host-key"),
        *(
            ({"pull_arguments": arguments}, "there is no file /none on the machine")
            for arguments in (
                ["--vault-password-file=/none"],
                ["--vault-id", "prod@/none"],
                ["--become-pass-file", "/none"],
                ["-e", "@/none"],
            )
        ),
        ({"pull_arguments": ["--private-key", str(repository / "playbooks/site.yml")]}, "is no private key that can be used without"),
    ):
        code, told = computer.run(computer.first, **{**good, **bad})
        told = " ".join(told.split())
        assert code and words in told and "It goes on pulling as before." in told, told
        assert (computer.first / "pull").read_bytes() == before and not (computer.first / "trial").exists()


def rendered(place: Path, *arguments: str) -> str:
    """Return the script that the timer runs."""
    templates = jinja2.Environment()
    templates.filters.update(quote=shlex.quote, regex_replace=lambda text, _what, by: by + text)
    names = ("__pull_unit", "__pull_address", "pull_version", "pull_inventory", "pull_limit", "pull_playbook")
    template = templates.from_string((PROJECT / "roles/pull/templates/pull.j2").read_text())
    given = {"pull_directory": str(place), "pull_arguments": list(arguments), "__pull_credentials": ""}
    known = yaml.safe_load((PROJECT / "roles/pull/vars/main.yml").read_text())
    templates.tests["match"] = lambda text, start: text.startswith(start)
    accept = templates.from_string(known["__pull_accept"]).render(given)
    return template.render(**dict.fromkeys(names, "x"), **given, __pull_accept=accept)


# Stands in for ansible-pull, which hands these to git.
PULL = """#!/bin/sh
set -e
test -e checkout || git clone --quiet "file://{repository}" checkout
git -C checkout fetch --quiet origin
git -C checkout reset --quiet --hard origin/HEAD
"""
# What a power cut leaves of a checkout.
DAMAGES = {
    "locks": "touch .git/index.lock .git/HEAD.lock",
    "an empty HEAD": ": >.git/HEAD",
    "no repository": "rm -rf .git",
    "empty objects": "find .git/objects -type f | while read -r name; do chmod u+w $name; : >$name; done",
    "an empty index": "printf x >.git/index",
    "a clone that was broken off": "rm -rf .git/refs/* .git/packed-refs; rm playbook.yml",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkout_that_a_run_has_left_broken_is_made_anew(tmp_path: Path, damage: str) -> None:
    """By the next run of the timer: nobody may be there to mend it."""
    repository, place = tmp_path / "repository", tmp_path / "pull"
    (place / "current/bin").mkdir(parents=True)
    pull = place / "current/bin/ansible-pull"
    pull.write_text(PULL.format(repository=repository))
    pull.chmod(0o755)
    script = rendered(place)
    repository.mkdir()
    assert sh("git init -q; echo 1 >playbook.yml; git add .; git commit -qm one", repository).returncode == 0
    assert sh(script, place).returncode == 0
    assert not (place / "unfinished").exists()
    assert sh("echo 2 >playbook.yml; git commit -qam two", repository).returncode == 0
    assert sh(DAMAGES[damage], place / "checkout").returncode == 0
    # The run that was cut off had begun.
    (place / "unfinished").touch()
    done = sh(script, place)
    assert done.returncode == 0, done.stderr
    assert (place / "checkout/playbook.yml").read_text() == "2\n"
    assert not (place / "unfinished").exists()


@pytest.mark.parametrize(("argument", "accepts"), [("--accept-host-key", "accept-new"), ("--verify-commit", "false")])
def test_a_server_in_the_place_of_the_one_that_was_trusted_is_not(tmp_path: Path, argument: str, accepts: str) -> None:
    """Ansible's module git turns the question off altogether: it adds its option after this one, and of two ssh takes the first."""
    (tmp_path / "current/bin").mkdir(parents=True)
    pull = tmp_path / "current/bin/ansible-pull"
    pull.write_text("#!/bin/sh\nssh -G $GIT_SSH_OPTS -o StrictHostKeyChecking=no host.invalid >asked\n")
    pull.chmod(0o755)
    done = sh(rendered(tmp_path, argument), tmp_path)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in (tmp_path / "asked").read_text().splitlines())
    assert said["stricthostkeychecking"] == accepts


@pytest.mark.long
def test_what_is_not_of_the_role_is_not_removed(computer: Machine) -> None:
    """Its list names a directory that has been used for something else since."""
    second = computer.place / "second"
    computer.run(second, dies_at="Make the directory of ansible-pull")
    (second / "checkout").mkdir(parents=True)
    computer.runs(computer.first)
    assert computer.is_set_up_in(computer.first) and (second / "checkout").exists()


@pytest.mark.long
def test_a_directory_in_the_one_of_before_is_refused(computer: Machine) -> None:
    code, told = computer.run(computer.first / "checkout/pull")
    assert code and "which is in the directory of before" in told
    assert computer.is_set_up_in(computer.first)


@pytest.mark.long
def test_a_removal_that_waits_knows_all_that_is_to_be_removed(computer: Machine) -> None:
    (computer.place / "state").write_text("activating\n")
    second = computer.place / "second"
    computer.runs(second)
    assert computer.first.exists()
    computer.runs(second, pull_repository="")
    script, *arguments = (computer.place / "waiting").read_text().partition("/bin/sh ")[2].split()
    assert "stop go-service-pull-removal.service" in (computer.place / "calls").read_text()
    (computer.place / "state").write_text("inactive\n")
    # The empty argument was lost by the words of the stand-in.
    words = ["wait", "", *arguments[1:]]
    path = f"{computer.place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["/bin/sh", script, *words], check=True, env={**os.environ, "PATH": path}, timeout=20)
    assert computer.has_nothing() and not second.exists()


SECRET = "s3cret"
ENCODE = "percent-encode the characters / ? # @ %"
NONE = [(name, None, f"{name} is null") for name in ("version", "playbook", "inventory", "limit", "every", "spread", "directory")]
REFUSED = [
    *((f"pull_{name}", value, f"pull_{told}") for name, value, told in NONE),
    *(("pull_directory", f"/var/lib{end}", "pull_directory is") for end in ("/", "//x", "/./x", "/.", "/../x", "/x/..")),
    *(("pull_repository", f"https://me:{SECRET}{mark}x@git.example.com/fleet.git", ENCODE) for mark in "/?#"),
    *(("pull_repository", f"{scheme}://me:{SECRET}@git.example.com/fleet.git", ENCODE) for scheme in ("ssh", "git", "ftp", "SSH")),
    ("pull_repository", f"https://me:pw@git.example.com/{SECRET}@x", ENCODE),
    ("pull_repository", f"me:{SECRET}@git.example.com:fleet.git", ENCODE),
    ("pull_repository", f"me:{SECRET}@git.example.com/fleet.git", ENCODE),
    ("pull_repository", f"{SECRET}@git.example.com/fleet.git", ENCODE),
    ("pull_repository", f"https:/me:{SECRET}@git.example.com/fleet.git", ENCODE),
    *(("pull_repository", f"https://me:{SECRET}%{code}x@git.example.com/fleet.git", "line break") for code in ("0A", "0d", "00")),
    ("pull_repository", f"https://{SECRET}%0a@git.example.com/fleet.git", "line break"),
    ("pull_repository", f"https://me:{SECRET}%@git.example.com/fleet.git", "write it as %25"),
    ("pull_repository", f"https://:{SECRET}@git.example.com/fleet.git", "such as oauth2"),
    ("pull_repository", "https://@git.example.com/fleet.git", "such as oauth2"),
    *(("pull_packages", value, "pull_packages is not a list of texts") for value in (None, {"ansible": "12"}, [None], [{"a": "b"}])),
    *(("pull_arguments", value, "pull_arguments is not a list of texts") for value in (None, {"-a": "b"}, [None])),
    ("pull_packages", [f"--index-url https://me:{SECRET}/x@y/simple"], "--index-url https://***@y/simple"),
    ("pull_limit", "", "pull_limit is"),
]


def validated(place: Path, values: list[tuple[str, Any]]) -> list[str]:
    """Return what the role says of each value, "" where it takes it."""
    include = {"name": "proven.go_service.pull", "tasks_from": "validate"}
    told = {"ansible.builtin.set_fact": {"told": "{{ told + [ansible_failed_result.msg] }}"}}
    tasks: list[dict[str, Any]] = []
    for name, value in values:
        good = {"ansible.builtin.set_fact": {"told": "{{ told + [''] }}"}}
        tasks.append({"block": [{"ansible.builtin.include_role": include, "vars": {name: value}}, good], "rescue": [told]})
    content = {"content": "{{ told | to_json }}", "dest": str(place / "told.json"), "mode": "0600"}
    tasks.append({"ansible.builtin.copy": content})
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"told": []}, "tasks": tasks}
    (place / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    settings = environment(ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections", ANSIBLE_HOME=place / "home", ANSIBLE_LOCALHOST_WARNING="false")
    done = ansible_playbook("-i", PROJECT / "inventory/local.yml", place / "play.yml", cwd=place, env=settings)
    assert done.returncode == 0, done.stdout
    assert SECRET not in done.stdout + done.stderr
    return json.loads((place / "told.json").read_text(encoding="utf-8"))


def test_values_that_would_do_harm_are_refused_by_name_and_no_secret_is_told(tmp_path: Path) -> None:
    told = validated(tmp_path, [(name, value) for name, value, _words in REFUSED])
    for (name, value, words), message in zip(REFUSED, told, strict=True):
        assert name in message and words in " ".join(message.split()), (name, value, message)


def test_addresses_that_git_takes_are_not_refused(tmp_path: Path) -> None:
    addresses = [
        None,
        "",
        "git@git.example.com:team/fleet.git",
        "git@[::1]:fleet.git",
        "ssh://git@git.example.com:22/fleet.git",
        "/srv/git/fleet@home.git",
        "https://me:a%2Fb%40c@git.example.com/fleet.git",
        "https://me@corp.example:p@w@git.example.com/fleet.git",
        "https://token@git.example.com/%40team/fleet.git",
    ]
    told = validated(tmp_path, [("pull_repository", address) for address in addresses])
    assert dict(zip(addresses, told, strict=True)) == dict.fromkeys(addresses, "")
