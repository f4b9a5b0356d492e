"""A fleet of machines for tests, on which plays are run; the build host is this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import git_hosts
import scanners
from machines import GATEWAY, Machine
from plays import EXAMPLES, PROJECT, ansible_playbook, environment, free_port, get

NAME, BUILDER = "utest-fleet", "builder"
SECRETS = {"env": "hidden-Kq3w-env", "file": "hidden-Lm5x-file", "account": "hidden-Rq7Z-word"}
# Of SECRETS' account, as htpasswd writes it, at the lowest cost: each request has to prove itself.
ACCOUNT = "robot:$2b$04$bulJSROwi/KhE8lAbgKYRuywjUp7ksbuG6ZwWXphSgYwbo82sdjTO"

# A connection that is cut when an image's archive passes it, as long as a file says so; a stand-in for a machine that goes away in the middle.
CUT = """
DOCUMENTATION = "{{name: cut, short_description: cut, description: [cut], options: {{}}, extends_documentation_fragment: [connection_pipelining]}}"
import os
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

class Connection(Local):
    transport = "cut"
    gone = "{mark}-gone"

    def _passes(self, *paths):
        if os.path.exists("{mark}") and any("go-service-image" in path for path in paths):
            open(self.gone, "w").close()
        if os.path.exists(self.gone):
            raise AnsibleConnectionFailure("the line is dead")

    def exec_command(self, cmd, *args, **kwargs):
        self._passes()
        return super().exec_command(cmd, *args, **kwargs)

    def put_file(self, in_path, out_path):
        self._passes(out_path)
        return super().put_file(in_path, out_path)

    def fetch_file(self, in_path, out_path):
        self._passes(in_path)
        return super().fetch_file(in_path, out_path)
"""


def service(directory: Path, builder_image: str, runtime_image: str, port: int, **own: Any) -> dict[str, Any]:
    """Write the source of the fleet's service to a directory, and return its variables; port: where it is published on each host; own: further variables."""
    shutil.copytree(EXAMPLES / "cat-server", directory / "source")
    return {
        "go_service_name": NAME,
        "go_service_source": str(directory / "source"),
        "go_service_builder_image": builder_image,
        "go_service_runtime_image": runtime_image,
        "go_service_publish": f"127.0.0.1:{port}",
        "go_service_report_dir": str(directory / "reports"),
        **own,
    }


@dataclass
class Fleet:
    """The machines, and how plays are run on them. variables: of all hosts; own: of single ones."""

    directory: Path
    machines: dict[str, Machine]
    port: int
    variables: dict[str, Any]
    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """Where the service's source is."""
        return self.directory / "source"

    def edit(self, word: str) -> None:
        """Change the service."""
        main = next(path for path in self.source.rglob("*.go") if "func main()" in path.read_text())
        text = re.sub(r"\n// edited: .*", "", main.read_text())
        main.write_text(f'{text}\n// edited: {word}\nvar _ = "{word}"\n')

    def _command(self, playbook: str, *options: str) -> tuple[list[str | Path], dict[str, str]]:
        here = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(self.directory / BUILDER / "tmp"),
            "go_service_work_dir": str(self.directory / BUILDER / "work"),
        }
        hosts = {BUILDER: here, **{name: machine.variables() for name, machine in self.machines.items()}}
        known = {
            name: {**variables, **self.own.get(name, {})}
            for name, variables in {**hosts, **self.own}.items()
            for variables in [hosts.get(name, {})]
        }
        inventory = self.directory / "inventory.json"
        followers = {"hosts": dict.fromkeys(self.machines)}
        inventory.write_text(json.dumps({"all": {"vars": self.variables, "hosts": known, "children": {"followers": followers}}}))
        connections = self.directory / "connections"
        connections.mkdir(exist_ok=True)
        (connections / "cut.py").write_text(CUT.format(mark=str(self.directory / "cut")))
        env = environment(
            ANSIBLE_CONFIG=PROJECT / "ansible.cfg",
            ANSIBLE_HOME=self.directory / "controller",
            ANSIBLE_FORKS="4",
            PYTHONUNBUFFERED="1",
            ANSIBLE_CONNECTION_PLUGINS=connections,
        )
        return ["-i", inventory, f"playbooks/{playbook}.yml", *options], env

    def play(self, *options: str, playbook: str = "fleet", succeeds: bool = True) -> str:
        """Run a playbook on the fleet and return what it printed, in which no secret is."""
        arguments, env = self._command(playbook, *options)
        done = ansible_playbook(*arguments, cwd=PROJECT, env=env)
        told = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, told[-4000:]
        assert [word for word in SECRETS.values() if word in told] == []
        return told

    def play_until(self, task: str) -> None:
        """Run the fleet's playbook and kill it, with all that it started, when a task of that name begins."""
        arguments, env = self._command("fleet")
        command = [Path(sys.executable).with_name("ansible-playbook"), *arguments]
        running = subprocess.Popen(
            command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert running.stdout
        seen = next((line for line in running.stdout if line.startswith("TASK") and task in line), "")
        time.sleep(0.3)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert seen, f"no task {task!r} began"

    @contextlib.contextmanager
    def cut(self, host: str) -> Iterator[None]:
        """Let the connection to a host be cut in the block, when an archive passes it."""
        mark = self.directory / "cut"
        mark.touch()
        self.own[host] = {"ansible_connection": "cut"}
        try:
            yield
        finally:
            del self.own[host]
            mark.unlink()
            mark.with_name("cut-gone").unlink()

    def docker(self, host: str, *arguments: str) -> str:
        """Run the docker command on a host."""
        if host in self.machines:
            return self.machines[host].docker(*arguments)
        return subprocess.check_output(["docker", *arguments], text=True).strip()

    def containers(self) -> dict[str, tuple[str, str]]:
        """Return container and image of the service on each host, ("", "") where it does not run."""
        found = {}
        for host in (BUILDER, *self.machines):
            listed = self.docker(host, "ps", "--no-trunc", "--filter", f"name=^{NAME}$", "--format", "{{.ID}}")
            found[host] = (listed, self.docker(host, "inspect", "--format", "{{.Image}}", NAME)) if listed else ("", "")
        return found

    def images(self) -> set[str]:
        """Return the ids of the images that the hosts run."""
        return {image for _container, image in self.containers().values()}

    def health(self, host: str) -> str:
        """Ask the service on a host, and return what it says of itself."""
        address = f"http://127.0.0.1:{self.port}/health"
        said = self.machines[host].run("curl", "-fsS", address) if host in self.machines else get(self.port, "/health")[1]
        return str(json.loads(said)["status"])

    def archives(self) -> list[str]:
        """Return what is left of the archives, on the controller and on the hosts."""
        places = [*self.directory.rglob("go-service-image-*"), *self.directory.rglob("go-service-fleet")]
        places += [path for machine in self.machines.values() for path in machine.home.rglob("go-service-image-*")]
        return sorted(map(str, places))


def sent(told: str) -> dict[str, float]:
    """Return how many megabytes each host got, by what a run tells of it."""
    found = re.findall(
        r"\[([\w-]+)\] => *\n *msg: \|-\n(?:.*\n){1,6}? *build +none: the image of builder came by archive \(([\d.]+) MB\)", told
    )
    return {host: float(size) for host, size in found}


def rows(told: str) -> dict[str, list[str]]:
    """Return the last table that a run told, host -> its row."""
    heads = list(re.finditer(r"host +service +image id", told))
    assert heads, told[-4000:]
    table = told[heads[-1].start() :]
    return {line.split()[0]: re.split(r"  +", line.strip()) for line in table.splitlines()[1:] if re.match(r" *\w+ +" + NAME, line)}


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[dict[str, Any]]:
    """Run CNCF Distribution with TLS by an authority of its own, and one account, as long as the block runs; yield the variables that lead to it."""
    authority, certificate = git_hosts.make_authority(directory / "tls", GATEWAY)
    (directory / "htpasswd").write_text(ACCOUNT + "\n")
    port = free_port()
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"{GATEWAY}:{port}", "tls": {"certificate": str(certificate), "key": str(certificate)}},
        "auth": {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}},
    }
    (directory / "config.yml").write_text(json.dumps(settings))
    server = subprocess.Popen(
        [scanners.program("registry"), "serve", directory / "config.yml"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        yield {
            "go_service_registry": f"{GATEWAY}:{port}/team",
            "go_service_registry_credentials": {"username": "robot", "password": SECRETS["account"]},
            "go_service_registry_ca": authority,
        }
    finally:
        server.terminate()
        server.wait()
        # The build host's Engine is this machine's: what it was told to trust is not left.
        shutil.rmtree(f"/etc/docker/certs.d/{GATEWAY}:{port}", ignore_errors=True)
