"""The role docker_engine on machines that are half ready: what is there already is started or told, and nothing is installed over it.

Each machine is this one in namespaces of its own (mounts, network, processes), with what makes it another one mounted over it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plays import PROJECT, environment

pytestmark = pytest.mark.skipif("ENGINES" not in os.environ, reason="make engines runs it")
Machine = Callable[..., subprocess.CompletedProcess[str]]

# No engine answers, and none of this machine's own files is written to.
BARE = """
mount -t tmpfs none /run
mount -t tmpfs none /etc/docker
mount -t tmpfs none /var/lib/docker
mount -t tmpfs none /var/lib/containerd
mount -t tmpfs none /var/log
ip link set lo up
"""
# What a program or a database of packages is when another one lies over it.
LAYERED = """
hide() { for path; do test ! -e "$path" || { touch %(top)s/none; mount --bind %(top)s/none "$path"; }; done; }
over() { mkdir -p %(top)s/over"$1" %(top)s/work"$1"; mount -t overlay -o lowerdir="$1",upperdir=%(top)s/over"$1",workdir=%(top)s/work"$1" none "$1"; }
"""
WITHOUT_DAEMON = "hide /usr/sbin/dockerd /usr/bin/dockerd /usr/local/bin/dockerd /usr/local/bin/docker"
OF_ANOTHER = """
over /var/lib/dpkg
sed -i '\\#^/usr/bin/docker$#d' /var/lib/dpkg/info/docker.io.list
echo /usr/bin/docker >/var/lib/dpkg/info/%(package)s.list
printf '\\nPackage: %(package)s\\nStatus: install ok installed\\nArchitecture: all\\nMaintainer: x <x@example.com>\\nVersion: 1\\nDescription: x\\n' >>/var/lib/dpkg/status
"""
APPARMOR = """
mount -t tmpfs none /sys/module
mkdir -p /sys/module/apparmor/parameters
echo Y >/sys/module/apparmor/parameters/enabled
hide /usr/sbin/apparmor_parser /sbin/apparmor_parser
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return what runs the role on such a machine: `prepare`, commands of the shell; it returns how the play ended."""
    if os.geteuid() or not shutil.which("dockerd") or not shutil.which("dpkg-query"):
        pytest.skip("a machine of the test's own needs root, dockerd and dpkg")

    def run(prepare: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        plays = tmp_path / "play.yml"
        plays.write_text(
            "- hosts: localhost\n  gather_facts: false\n  roles: [proven.go_service.docker_engine]\n  tasks: [{debug: {var: docker_engine_server.proxies}}]\n"
        )
        given = [part for name, value in variables.items() for part in ("-e", f"docker_engine_{name}={value}")]
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", PROJECT / "inventory/local.yml", plays, *given, *arguments]
        lines = ["set -e", BARE, LAYERED % {"top": tmp_path}, prepare, "exec " + shlex.join(map(str, command))]
        settings = {
            "ANSIBLE_CONFIG": PROJECT / "ansible.cfg",
            "ANSIBLE_COLLECTIONS_PATH": PROJECT / "collections",
            "ANSIBLE_HOME": tmp_path / "home",
        }
        env = {name: value for name, value in environment(**settings).items() if not name.startswith("DOCKER_")}
        own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", "\n".join(lines)]
        return subprocess.run(own, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=180)

    return run


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a run printed, in one line."""
    return " ".join((done.stdout + done.stderr).split())


def test_an_engine_that_is_only_stopped_is_started(machine: Machine) -> None:
    """Whoever installed it: nothing is installed."""
    done = machine("hide /usr/bin/apt-get /usr/bin/dpkg")
    assert done.returncode == 0, told(done)
    assert "Start the daemon" in done.stdout
    assert "Install the packages" not in done.stdout


def test_an_engine_of_others_is_started_with_its_own_settings(machine: Machine) -> None:
    """The role's defaults may contradict how it is started; what differs is told."""
    asked = '{"docker_engine_registry_mirrors": ["https://mirror.invalid"]}'
    done = machine("echo '{\"debug\": true}' >/etc/docker/daemon.json", "-e", asked)
    assert done.returncode == 0, told(done)
    assert "Write the settings, checked by the daemon" not in done.stdout
    assert "was not set up by this role, and keeps its settings. Not as asked for: registry-mirrors" in told(done)


def test_beside_an_engine_that_a_user_runs_without_root_nothing_is_started_or_installed(machine: Machine) -> None:
    """It is named, and is used where it is asked for. An Engine with mounts of its own stands for one of a user, which not every machine can run."""
    host = "unix:///run/user/1234/docker.sock"
    daemon = f"unshare --mount dockerd --host {host} --pidfile /run/user/1234/docker.pid >/dev/null 2>&1 &"
    of_user = f"mkdir -p /run/user/1234; {daemon} until docker --host {host} version >/dev/null 2>&1; do sleep 0.2; done"
    for bare in ("", WITHOUT_DAEMON):
        done = machine(f"{of_user}; {bare}")
        assert done.returncode
        assert f"runs without root and that serves as {host}. Nothing was installed or started beside it" in told(done)
        assert "Start the daemon" not in done.stdout and "Install the packages" not in done.stdout
    done = machine(f"{of_user}; export DOCKER_HOST={host}")
    assert done.returncode == 0, told(done)
    assert "Start the daemon" not in done.stdout


def test_an_engine_that_runs_and_does_not_answer_is_left_alone(machine: Machine) -> None:
    """A restart may end its containers."""
    hangs = "dockerd >/dev/null 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.2; done; kill -STOP $(cat /run/docker.pid)"
    done = machine(hangs, start_timeout=3)
    assert done.returncode
    assert "runs (process " in told(done) and "Nothing was changed" in told(done)
    assert "Write the settings, checked by the daemon" not in done.stdout and "Start the daemon" not in done.stdout


def test_settings_that_the_daemon_refuses_to_reload_are_taken_back(machine: Machine, tmp_path: Path) -> None:
    """Where it runs; those that it takes are in force at once, by a link as well."""
    kept, link = tmp_path / "kept", tmp_path / "kept/daemon.json"
    kept.mkdir()
    (kept / "go-service.json").write_text('{"source": "distribution", "packages": ["docker.io"]}')
    (kept / "real.json").write_text('{"debug": false}')
    (kept / "real.json").chmod(0o640)
    link.symlink_to("real.json")
    runs = (
        f"mount --bind {kept} /etc/docker; dockerd >>/var/log/dockerd.log 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.2; done"
    )
    refused = {
        '"labels": ["no-label"]': "bad attribute format: no-label",
        '"registry-mirrors": ["ftp://x"]': "unsupported scheme",
        '"bogus": 1': "bogus",
    }
    for option, words in refused.items():
        done = machine(runs, "-e", f'{{"docker_engine_daemon_options": {{{option}}}}}')
        assert done.returncode
        key = option.split('"')[1]
        assert f"refuses its new settings ({key}). The earlier ones are back" in told(done) and words in told(done)
        assert link.is_symlink() and (kept / "real.json").read_text() == '{"debug": false}'
    done = machine(runs, "-e", '{"docker_engine_daemon_options": {"labels": ["team=fleet"]}}')
    assert done.returncode == 0, told(done)
    assert json.loads((kept / "real.json").read_text()) == {"debug": False, "labels": ["team=fleet"]}
    assert link.is_symlink() and (kept / "real.json").stat().st_mode & 0o777 == 0o640
    assert not (kept / "go-service.pending").exists()


# The last one: what another run tells in between cannot be written over them.
@pytest.mark.parametrize("then", ["it runs on", "it ends", "it cannot be mended"])
def test_settings_of_a_run_that_was_killed_do_not_count_as_the_earlier_ones(machine: Machine, tmp_path: Path, then: str) -> None:
    """A daemon of the role's that has not used them yet: what it used before is what the next run goes on from."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "go-service.json").write_text('{"source": "distribution", "packages": ["docker.io"]}')
    (kept / "daemon.json").write_text('{"debug": false, "bip": "10.9.0.1/24"}')
    asked = '{"docker_engine_daemon_options": {"storage-driver": "nonsense"}}'
    command = [
        Path(sys.executable).with_name("ansible-playbook"),
        "-i",
        PROJECT / "inventory/local.yml",
        tmp_path / "play.yml",
        "-e",
        asked,
    ]
    serves = "dockerd >>/var/log/dockerd.log 2>&1 & daemon=$!; until docker version >/dev/null 2>&1; do sleep 0.2; done"
    killed = f"setsid {shlex.join(map(str, command))} & run=$!; until grep -q nonsense /etc/docker/daemon.json; do sleep 0.05; done; kill -9 -$run"
    mended = shlex.join([*map(str, command[:-1]), asked.replace("nonsense", "overlay")])
    file = "/etc/docker/daemon.json"
    meanwhile = {
        "it runs on": "",
        "it ends": "kill $daemon; wait $daemon || true",
        "it cannot be mended": f"mount --bind {file} {file}; ! {mended} >{tmp_path}/refused; umount {file}; grep -q nonsense {file}",
    }
    done = machine(f"mount --bind {kept} /etc/docker\n{serves}\n{killed}\n{meanwhile[then]}")
    assert done.returncode == 0, told(done)
    settings = json.loads((kept / "daemon.json").read_text())
    assert "storage-driver" not in settings and settings["bip"] == "10.9.0.1/24"
    assert not (kept / "go-service.pending").exists()


def test_a_link_that_leads_nowhere_yet_stays_a_link(machine: Machine, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "go-service.json").write_text('{"source": "distribution", "packages": ["docker.io"]}')
    (kept / "daemon.json").symlink_to("real.json")
    place = f"mount --bind {kept} /etc/docker"
    refused = machine(place, "-e", '{"docker_engine_daemon_options": {"storage-driver": "nonsense"}}', start_timeout=5)
    assert refused.returncode
    assert "nonsense" in told(refused).partition("The last lines of its log")[2]
    assert (kept / "daemon.json").is_symlink() and not (kept / "real.json").exists()
    done = machine(place)
    assert done.returncode == 0, told(done)
    assert (kept / "daemon.json").is_symlink() and json.loads((kept / "real.json").read_text())["live-restore"] is True


def test_an_engine_that_ended_and_gets_settings_with_which_it_does_not_start_serves_with_the_earlier_ones(
    machine: Machine, tmp_path: Path
) -> None:
    """Those of the daemon and its proxies, also after a run that was killed; what else it has stays."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "go-service.json").write_text('{"source": "distribution", "packages": ["docker.io"]}')
    (kept / "daemon.json").write_text('{"debug": true}')
    written = {"storage-driver": "nonsense"}
    left = {"written": [hashlib.sha1(json.dumps(written).encode()).hexdigest()], "earlier": {"content": "", "mode": "0644"}, "proxies": {}}
    left["earlier"]["content"] = base64.b64encode(b'{"debug": true}').decode()
    asked = (
        "-e",
        json.dumps({"docker_engine_daemon_options": written, "docker_engine_proxies": {"http_proxy": "http://later.invalid:3128"}}),
    )
    for killed in (False, True):
        if killed:
            (kept / "daemon.json").write_text(json.dumps(written))
            (kept / "go-service-proxies.env").write_text("HTTP_PROXY=http://meanwhile.invalid:3128\n")
            (kept / "go-service.pending").write_text(json.dumps(left))
        done = machine(f"mount --bind {kept} /etc/docker", *asked, start_timeout=8)
        assert done.returncode
        assert "nonsense" in told(done) and "The earlier settings are back, and the engine runs with them." in told(done)
        assert json.loads((kept / "daemon.json").read_text()) == {"debug": True}
        assert sorted(path.name for path in kept.iterdir() if path.name.startswith("go-service")) == ["go-service.json"]


def test_where_another_program_has_the_socket_nothing_is_installed(machine: Machine, tmp_path: Path) -> None:
    """One that takes connections and does not answer, and a link to one that is not there."""
    listens = "import socket, time; held = socket.socket(socket.AF_UNIX); held.bind('/run/docker.sock'); held.listen(); time.sleep(120)"
    silent = f"{WITHOUT_DAEMON}\nhide /usr/bin/docker\n{shlex.quote(sys.executable)} -c {shlex.quote(listens)} &\nsleep 1"
    linked = f"{WITHOUT_DAEMON}\nhide /usr/bin/docker\nln -s /run/podman/podman.sock /run/docker.sock"
    for prepare, words in ((silent, "takes connections and does not answer"), (linked, "leads to /run/podman/podman.sock")):
        for options in ((), ("--check",)):
            done = machine(prepare, *options, start_timeout=3)
            assert done.returncode
            assert f"another program has its socket: /var/run/docker.sock {words}" in told(done), told(done)[-3000:]
            assert "Install the packages" not in done.stdout and "Would install" not in told(done)


def test_without_an_init_system_the_daemon_gets_its_proxies(machine: Machine) -> None:
    """One that the role has set up; characters that a shell knows are no words of it."""
    prepare = 'echo \'{"source": "distribution", "packages": ["docker.io"]}\' >/etc/docker/go-service.json'
    given = '{"docker_engine_proxies": {"https_proxy": "http://me:a*b&c@proxy.invalid:3128", "no_proxy": "localhost,*.invalid"}}'
    done = machine(prepare, "-e", given)
    assert done.returncode == 0, told(done)
    assert "https_proxy: http://proxy.invalid:3128 no_proxy: localhost,*.invalid" in told(done)
    assert "a*b&c" not in told(done)


@pytest.mark.parametrize(
    ("package", "remedy"),
    [("podman-docker", "remove podman-docker, or set DOCKER_HOST"), ("docker-ce-cli", "docker_engine_source: docker")],
)
def test_nothing_is_installed_over_another_package(machine: Machine, package: str, remedy: str) -> None:
    done = machine(WITHOUT_DAEMON + OF_ANOTHER % {"package": package})
    assert done.returncode
    assert f"its docker command (/usr/bin/docker) comes from the package {package}, which docker.io would replace" in told(done)
    assert remedy in told(done)
    assert "Install the packages" not in done.stdout


def test_settings_that_no_daemon_can_read_are_told_in_its_own_words(machine: Machine) -> None:
    done = machine("echo '{\"live-restore\": tru' >/etc/docker/daemon.json")
    assert done.returncode
    assert "/etc/docker/daemon.json on localhost holds no JSON object" in told(done)
    assert "unable to configure the Docker daemon with file /etc/docker/daemon.json" in told(done)
    assert "correct it, or move it away" in told(done)


def test_settings_that_the_daemon_refuses_are_told_in_its_own_words(machine: Machine) -> None:
    done = machine('echo \'{"storage-driver": "nonsense"}\' >/etc/docker/daemon.json', start_timeout=5)
    assert done.returncode
    assert "nonsense" in told(done).partition("The last lines of its log")[2]


def test_the_parser_of_apparmor_comes_with_the_engine(machine: Machine) -> None:
    """Of a kernel with AppArmor alone."""
    prepare = f"{WITHOUT_DAEMON}\n{APPARMOR}"
    assert "Would install docker.io, ca-certificates, apparmor." in told(machine(prepare, "--check"))
    assert "Would install docker.io, ca-certificates. " in told(machine(WITHOUT_DAEMON, "--check"))


@pytest.mark.parametrize(
    ("release", "says"),
    [("bullseye", "not supported, since its python3-docker is older"), ("own", "not supported. It knows Debian 12 and 13")],
)
def test_a_distribution_that_is_not_supported(machine: Machine, tmp_path: Path, release: str, says: str) -> None:
    (tmp_path / "os-release").write_text(f'ID=own\nID_LIKE=debian\nPRETTY_NAME="Own 1"\nVERSION_CODENAME={release}\n')
    done = machine(f"{WITHOUT_DAEMON}\nmount --bind {tmp_path}/os-release $(readlink -f /etc/os-release)", "--check")
    assert done.returncode
    assert f"docker_engine does not know the packages of Own 1: {says}" in told(done)


def test_locks_of_apt_are_waited_for_and_their_holder_is_named(machine: Machine, tmp_path: Path) -> None:
    locks = ("/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock")
    hold = (
        f"import fcntl, time; held = [open(p, 'w') for p in {locks!r}]; [fcntl.lockf(one, fcntl.LOCK_EX) for one in held]; time.sleep(120)"
    )
    mounts = "\n".join(f"touch {tmp_path}/lock{number}; mount --bind {tmp_path}/lock{number} {path}" for number, path in enumerate(locks))
    done = machine(f"{APPARMOR}\n{mounts}\n{shlex.quote(sys.executable)} -c {shlex.quote(hold)} &\nsleep 1", lock_timeout=3)
    assert done.returncode
    assert "The locks of apt are held by python" in told(done)
    assert "were waited for 3 s (docker_engine_lock_timeout)" in told(done)
