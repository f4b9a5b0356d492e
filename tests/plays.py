"""Runs of playbooks, and looks at what came of them."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
# The sources of small services.
SERVICES = PROJECT / "tests/services"
EXAMPLES = PROJECT / "examples"
_BASES = yaml.safe_load((PROJECT / "roles/base_images/defaults/main.yml").read_text(encoding="utf-8"))
# The images that every test machine has put together.
RUNTIME = f"stand-in/runtime:alpine-{_BASES['base_images_alpine_version']}"
BUILDER = f"stand-in/go-builder:{_BASES['base_images_go_version']}-alpine{_BASES['base_images_alpine_version']}"
# The instruction that gives an image a small HTTP server and what it serves, and the command by which it serves as a service does.
_HTTPD = base64.b64encode((PROJECT / "tests/httpd.sh").read_bytes()).decode()
SERVING = f"RUN mkdir -p /srv && echo ok >/srv/health && echo {_HTTPD} | base64 -d >/usr/bin/httpd && chmod 755 /usr/bin/httpd"
SERVE = "exec httpd -f -p 8080 -h /srv"


def environment(**given: str | Path) -> dict[str, str]:
    """Return this process's environment with what is given, no other setting of Ansible's, and the commands of this Python first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    # Of Ansible's own output tasks and changes can be read; what the project's settings make of it has tests of its own.
    own = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    return {**kept, "PATH": path, **own, **{name: str(value) for name, value in given.items()}}


def run(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> str:
    """Run a command and return what it printed; fail with it where it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def ansible_playbook(*arguments: str | Path, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook and return how it ended; env: what `environment` returns, with Ansible's settings."""
    command = [Path(sys.executable).with_name("ansible-playbook"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def play(playbook: str, variables: Mapping[str, Any], *arguments: str, env: Mapping[str, str] | None = None, succeeds: bool = True) -> str:
    """Run a playbook of the checkout and return what it printed, which holds no warning; fail with it where it does not end as said."""
    settings = {
        "ANSIBLE_CONFIG": PROJECT / "ansible.cfg",
        "ANSIBLE_HOME": PROJECT / ".ansible",
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
        # Ansible forks beside threads of its own, which Python 3.12 advises against.
        "PYTHONWARNINGS": "default::DeprecationWarning,ignore::DeprecationWarning:multiprocessing.popen_fork",
    }
    whole = {**environment(**settings), **(env or {})}
    done = ansible_playbook(f"playbooks/{playbook}.yml", "-e", json.dumps(variables), *arguments, cwd=PROJECT, env=whole)
    told = f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert (done.returncode == 0) == succeeds, f"{playbook}.yml ended with {done.returncode}:\n{told}"
    # Those of the Docker client, of Python and of Ansible alike: a user cannot tell whose they are.
    assert not re.findall(r"^.*(?:\[(?:DEPRECATION )?WARNING\]|DeprecationWarning:).*", done.stdout + done.stderr, re.M), told
    return done.stdout


def on_terminal(command: Sequence[str | Path], env: Mapping[str, str], width: int, interrupt: str = "") -> tuple[str, list[str]]:
    """Run a command on a terminal; return all that was written to it, and the lines that stand on it in the end.

    width: columns; interrupt: a text after which the command is interrupted, as by Ctrl-C.
    """
    outer, inner = pty.openpty()
    subprocess.run(["stty", "cols", str(width), "rows", "40"], stdin=inner, check=True)
    env = {**env, "TERM": "xterm", "COLUMNS": str(width)}
    with subprocess.Popen(command, cwd=PROJECT, env=env, stdin=inner, stdout=inner, stderr=inner) as running:
        os.close(inner)
        written = b""
        while True:
            try:
                part = os.read(outer, 4096)
            except OSError:
                break
            if not part:
                break
            written += part
            if interrupt and interrupt.encode() in written:
                running.send_signal(signal.SIGINT)
                interrupt = ""
        running.wait(60)
    os.close(outer)
    text = written.decode()
    lines = []
    for row in text.split("\r\n"):
        stands = ""
        for part in row.split("\r"):
            cleared = part.removeprefix("\033[K")
            stands = cleared if cleared != part else cleared + stands[len(cleared) :]
        lines.append(stands)
    return text, lines


def changed(output: str) -> int:
    """Return how many tasks of a run changed something."""
    return sum(int(number) for number in re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", output, re.M))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, ""


def service_variables(name: str, source: Path, directory: Path, port: int = 0) -> dict[str, Any]:
    """Return the variables of a test's service, with its work and its reports below a directory; port: where it is published, 0 for a free one."""
    return {
        "go_service_name": name,
        "go_service_source": str(source),
        "go_service_publish": f"127.0.0.1:{port or free_port()}",
        "go_service_work_dir": str(directory / "work"),
        "go_service_report_dir": str(directory / "reports"),
    }


def left_on_engine(name: str) -> list[str]:
    """Return what the Engine still holds of a service: containers, images and builder stages."""
    label = f"label=go-service.name={name}"
    commands = (["ps", "--all", "--quiet", "--filter", label], ["images", "--all", "--quiet", "--filter", label])
    return [line for command in commands for line in subprocess.check_output(["docker", *command], text=True).split()]
