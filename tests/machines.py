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

import pytest
from other_engines import end, needs_root
from relays import Handler, Relay

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


class _ForArm(Handler):
    """Says of a machine's Engine that it is for arm64. What the Engine runs is for arm64 all the same, where `emulation` is there."""

    def passed_on(self, piece: bytes) -> bytes:
        """Name the other architecture; of the same length, so that the rest of the answer stays true."""
        return piece.replace(b'"Arch":"amd64"', b'"Arch":"arm64"')


@contextlib.contextmanager
def emulation(emulator: Path) -> Iterator[None]:
    """Let this machine, and its containers, run programs for arm64 as long as the block runs (https://docs.kernel.org/admin-guide/binfmt-misc.html)."""
    place = Path("/proc/sys/fs/binfmt_misc")
    if (
        not (place / "register").exists()
        and subprocess.run(["mount", "-t", "binfmt_misc", "none", place], capture_output=True, check=False).returncode
    ):
        pytest.skip("this kernel lets nobody register an emulator (binfmt_misc)")
    name = "go-service-arm64"
    magic = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    (place / "register").write_bytes(b":%s:M::%s:%s:%s:F" % (name.encode(), magic, mask, bytes(emulator)))
    try:
        yield
    finally:
        (place / name).write_text("-1")


def disguise(machine: Machine) -> Relay:
    """Let a machine say to Ansible's modules that it is for arm64."""
    address = machine.home / "arm64.sock"
    _python(machine.python, machine.pid, f"unix://{address}")
    relay = Relay(address, _ForArm)
    relay.engine = str(machine.home / "docker.sock")
    return relay


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
