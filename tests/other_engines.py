"""Engines that are not as the one of this machine: a second daemon beside it, with a directory, a socket and options of its own, for as long as a test needs it.

Each kind starts in a second or two. None touches the rules of the firewall, and each is gone with its processes and files.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from plays import RUNTIME

_SECONDS = 40
_BRIDGE = "go-service-t"


@dataclass(frozen=True)
class Other:
    """An Engine beside this machine's own. environment: what leads the docker command and the role to it; pid: its daemon's, as this machine has it."""

    docker_host: str
    environment: dict[str, str]
    pid: int

    def docker(self, *arguments: str, stdin: str | None = None) -> str:
        """Run the docker command against it and return what it prints."""
        command = ["docker", "--host", self.docker_host, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=_SECONDS)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def needs_root() -> None:
    """Skip a test where a second daemon cannot be started."""
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("a second Engine of the test's own needs dockerd and root")


@contextlib.contextmanager
def second_engine(*options: str, before: str = "", namespaces: tuple[str, ...] = ("--mount",)) -> Iterator[Other]:
    """Run a second daemon with options of dockerd, and the runtime's image in it.

    before: a command of the shell that comes first in the daemon's own namespaces (unshare(1)). The daemon has the network of this machine unless one of its
    own is among the namespaces; there it has the loopback interface alone.
    """
    needs_root()
    own_network = "--net" in namespaces
    with tempfile.TemporaryDirectory(prefix="go-service-engine-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        (directory / "daemon.json").write_text("{}")
        socket = directory / "docker.sock"
        bridge = ["--bridge", "none"] if own_network else ["--bridge", _BRIDGE]
        command = ["dockerd", f"--config-file={directory}/daemon.json", f"--data-root={directory}/data", f"--exec-root={directory}/exec"]
        command += [f"--pidfile={directory}/pid", f"--host=unix://{socket}", "--iptables=false", *bridge, *options]
        first = f"ip link set lo up; {before}" if own_network else before
        if not own_network:
            subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)
            _run("ip", "link", "add", _BRIDGE, "type", "bridge")
            _run("ip", "addr", "add", "10.199.77.1/24", "dev", _BRIDGE)
            _run("ip", "link", "set", _BRIDGE, "up")
        log = directory / "log"
        with log.open("w") as written:
            script = f"set -e; {first or ':'}; exec {' '.join(command)}"
            daemon = subprocess.Popen(
                ["unshare", *namespaces, "sh", "-c", script],
                stdout=written,
                stderr=written,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            other = _ready(Other(f"unix://{socket}", {"DOCKER_HOST": f"unix://{socket}"}, daemon.pid), daemon, log)
            yield other
            left = other.docker("ps", "--all", "--quiet").split()
            if left:
                other.docker("rm", "--force", *left)
        finally:
            end(daemon)
            if not own_network:
                subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)


@contextlib.contextmanager
def rootless_engine(user: str) -> Iterator[Other]:
    """Run a daemon as a user who has numbers in /etc/subuid, with all that Debian's docker.io, rootlesskit, slirp4netns and uidmap bring, and the runtime's image in it."""
    needs_root()
    start = Path("/usr/share/docker.io/contrib/dockerd-rootless.sh")
    missing = [program for program in ("rootlesskit", "slirp4netns", "newuidmap", "setpriv") if not shutil.which(program)]
    if missing or not start.exists():
        pytest.skip(f"a rootless Engine needs {', '.join([*missing, str(start)])}")
    account = pwd.getpwnam(user)
    with tempfile.TemporaryDirectory(prefix="go-service-rootless-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        for name in ("run", "home"):
            (directory / name).mkdir()
            os.chown(directory / name, account.pw_uid, account.pw_gid)
        socket, log = directory / "run/docker.sock", directory / "log"
        path = f"/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:{start.parent}"
        own = ["env", "-i", f"PATH={path}", f"HOME={directory}/home", f"XDG_RUNTIME_DIR={directory}/run", str(start), "--config-file="]
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", *own]
        # The user may have no right to make a network device on this machine's own node.
        node = f"mknod {made}/tun c 10 200; chmod 666 {made}/tun; mount --bind {made}/tun /dev/net/tun"
        script = f"{node}; cd {made}; exec {' '.join(as_user)}"
        with log.open("w") as written:
            daemon = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script], stdout=written, stderr=written, stdin=subprocess.DEVNULL, start_new_session=True
            )
        try:
            yield _ready(Other(f"unix://{socket}", {"DOCKER_HOST": f"unix://{socket}"}, daemon.pid), daemon, log)
        finally:
            end(daemon)


def _ready(other: Other, daemon: subprocess.Popen[bytes], log: Path) -> Other:
    """Wait until an Engine answers, and give it the runtime's image."""
    deadline = time.monotonic() + _SECONDS
    while subprocess.run(["docker", "--host", other.docker_host, "version"], capture_output=True, check=False).returncode:
        assert daemon.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)
    saved = subprocess.run(["docker", "save", RUNTIME], capture_output=True, check=True).stdout
    subprocess.run(["docker", "--host", other.docker_host, "load"], input=saved, capture_output=True, check=True)
    return other


def end(daemon: subprocess.Popen[bytes]) -> None:
    """End a daemon, and all that it started."""
    daemon.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()


def facts(other: Other) -> dict[str, object]:
    """Return the system record of an Engine."""
    return json.loads(other.docker("info", "--format", "{{json .}}"))
