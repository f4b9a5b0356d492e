"""Machines of a fleet on this one: for each an Engine with a network, a directory of settings and a Python of its own, by which Ansible's modules get there.

No container of a machine's own is needed for it: a second daemon in namespaces (unshare), and for `ansible_python_interpreter` a program that enters them.
They are joined by a bridge, at which the test machine has the address GATEWAY.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from other_engines import end, needs_root

GATEWAY = "10.199.78.1"
_BRIDGE = "go-service-f"
_SECONDS = 40


@dataclass(frozen=True)
class Machine:
    """A machine: its name, the program that is its Python, its Engine's address, its daemon's process, and where its files are."""

    name: str
    python: Path
    docker_host: str
    pid: int
    home: Path

    def variables(self) -> dict[str, str]:
        """Return what an inventory says of it."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(self.python),
            "ansible_remote_tmp": str(self.home / "tmp"),
            "go_service_work_dir": str(self.home / "work"),
        }

    def docker(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run the docker command against its Engine and return what it prints."""
        command = ["docker", "--host", self.docker_host, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def run(self, *command: str) -> str:
        """Run a command in its network and return what it prints; fail where it fails."""
        return _run("nsenter", f"--net=/proc/{self.pid}/ns/net", *command)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


def _python(path: Path, pid: int, docker_host: str) -> Path:
    """Write the program that enters a machine and is Python there."""
    enter = f"nsenter --net=/proc/{pid}/ns/net --mount=/proc/{pid}/ns/mnt --wdns=/ --"
    path.write_text(f'#!/bin/sh\nexec {enter} env DOCKER_HOST={docker_host} {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def _start(name: str, number: int, directory: Path) -> tuple[subprocess.Popen[bytes], Machine]:
    home = directory / name
    for part in ("etc", "tmp", "work"):
        (home / part).mkdir(parents=True)
    (home / "daemon.json").write_text("{}")
    address = f"unix://{home}/docker.sock"
    options = [f"--config-file={home}/daemon.json", f"--data-root={home}/data", f"--exec-root={home}/exec", f"--pidfile={home}/pid"]
    options += [f"--host={address}", "--iptables=false"]
    script = f"set -e; mkdir -p /etc/docker; mount --bind {home}/etc /etc/docker; ip link set lo up; exec dockerd {' '.join(options)}"
    with (home / "log").open("w") as log:
        daemon = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    deadline = time.monotonic() + _SECONDS
    while subprocess.run(["docker", "--host", address, "version"], capture_output=True, check=False).returncode:
        assert daemon.poll() is None and time.monotonic() < deadline, (home / "log").read_text()[-3000:]
        time.sleep(0.2)
    link = f"gsf{number}"
    _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(daemon.pid))
    _run("ip", "link", "set", link, "master", _BRIDGE, "up")
    machine = Machine(name, _python(home / "python", daemon.pid, address), address, daemon.pid, home)
    machine.run("ip", "addr", "add", f"10.199.78.{number + 10}/24", "dev", "eth0")
    machine.run("ip", "link", "set", "eth0", "up")
    return daemon, machine


@contextlib.contextmanager
def machines(*names: str) -> Iterator[dict[str, Machine]]:
    """Run machines, by their names, for as long as a test needs them; their Engines have no image."""
    needs_root()
    subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)
    _run("ip", "link", "add", _BRIDGE, "type", "bridge")
    _run("ip", "addr", "add", f"{GATEWAY}/24", "dev", _BRIDGE)
    _run("ip", "link", "set", _BRIDGE, "up")
    daemons = []
    with tempfile.TemporaryDirectory(prefix="go-service-fleet-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        try:
            found = {}
            for number, name in enumerate(names):
                daemon, found[name] = _start(name, number, Path(made))
                daemons.append(daemon)
            yield found
            for machine in found.values():
                left = machine.docker("ps", "--all", "--quiet").split()
                if left:
                    machine.docker("rm", "--force", *left)
        finally:
            for daemon in daemons:
                end(daemon)
            subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)
