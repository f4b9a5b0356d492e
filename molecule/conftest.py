"""What the verify tests of every scenario share: the machines to look at, and how to look into them.

A scenario says in its `tests/expected.yml` what its service must look like, in literal values rather than in the role's variables, so that a
wrong default is found too. `testbed/tests/` holds the tests that every scenario runs against that file; a scenario's own tests are in its
`tests/`.

The tests are run by Molecule (`molecule verify -s <scenario>`), which names the scenario in environment variables.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import pytest
import testinfra
import yaml

if TYPE_CHECKING:
    from testinfra.host import Host

T = TypeVar("T")

if "MOLECULE_SCENARIO_NAME" not in os.environ:  # some other pytest has come by
    collect_ignore_glob = ["*"]

# In a VM: one GET request, no proxy, no redirect; prints JSON {status, headers, body}, or {error} where no HTTP server answers.
GET_SCRIPT = """
import http.client, json, sys
address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
try:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode(errors="replace")
    print(json.dumps({"status": response.status, "headers": dict(response.getheaders()), "body": body}))
except OSError as error:
    print(json.dumps({"error": str(error)}))
"""


def expectations() -> dict[str, Any]:
    """The scenario's `expected.yml`."""
    return yaml.safe_load(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "tests", "expected.yml").read_text(encoding="utf-8"))


def machines() -> dict[str, str]:
    """The developer VMs of this scenario and checkout that run: {name in the inventory: name of the container}."""
    labels = {
        "go-service-test.checkout": os.environ["MOLECULE_PROJECT_DIRECTORY"],
        "go-service-test.scenario": os.environ["MOLECULE_SCENARIO_NAME"],
    }
    command = ["docker", "ps", "--format", '{{.Label "go-service-test.instance"}} {{.Names}}']
    for label, value in labels.items():
        command += ["--filter", f"label={label}={value}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split() for line in lines)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the hosts of testinfra.

    Its own choice, Molecule's inventory, does not know the containers' names: they hold a mark of the checkout, which a template makes.

    Raises:
        pytest.UsageError: no VM of the scenario runs.
    """
    if "MOLECULE_SCENARIO_NAME" not in os.environ:
        return
    found = machines()
    if not found:
        scenario = os.environ["MOLECULE_SCENARIO_NAME"]
        raise pytest.UsageError(f"No developer VM of the scenario {scenario} runs here: molecule converge -s {scenario}")
    config.option.hosts = ",".join(f"docker://{container}" for container in sorted(found.values()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for every entry of a list or mapping of `expected.yml`: it asks for `each_<key>`."""
    for fixture in metafunc.fixturenames:
        if fixture.startswith("each_"):
            section = expectations()[fixture.removeprefix("each_")]
            entries = list(section.items()) if isinstance(section, dict) else section
            metafunc.parametrize(fixture, entries, ids=[str(e[0] if isinstance(e, tuple) else e) for e in entries])


@dataclass(frozen=True)
class Response:
    """What came of a request: an HTTP status, or 0 and the error where no HTTP server answered."""

    status: int
    body: str
    headers: dict[str, str]
    error: str = ""


class Machine:
    """A developer VM: its inner Engine and what it answers."""

    def __init__(self, host: Host) -> None:
        """Look into the VM that testinfra calls `host`."""
        self.host = host
        self._inspected: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, command: str, *args: str) -> str:
        """The output of a command in the VM, which must succeed."""
        return self.host.check_output(command, *args)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """`docker inspect` of a container or an image; asked once."""
        if (kind, name) not in self._inspected:
            self._inspected[kind, name] = json.loads(self.run("docker inspect --type=%s %s", kind, name))[0]
        return self._inspected[kind, name]

    def exec(self, container: str, *command: str, user: str = "") -> tuple[int, str]:
        """Run a command in a container of the VM: its exit status and all that it said."""
        argv = ["docker", "exec", *(["--user", user] if user else []), container, *command]
        result = self.host.run(shlex.join(argv))
        return result.rc, result.stdout + result.stderr

    def get(self, path: str, address: str, port: int) -> Response:
        """Ask for a page from within the VM."""
        answer = json.loads(self.run("python3 -c %s %s %s %s", GET_SCRIPT, address, str(port), path))
        return Response(answer.get("status", 0), answer.get("body", ""), answer.get("headers", {}), answer.get("error", ""))

    def outer_address(self) -> str:
        """The address at which this machine, which has the outer Engine, reaches the VM."""
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        command = ["docker", "inspect", "--format", template, self.host.backend.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]

    def addresses(self) -> list[str]:
        """The VM's own addresses that are not of the loopback."""
        links = json.loads(self.run("ip -json -4 address show scope global"))
        return [address["local"] for link in links for address in link["addr_info"]]


def until(what: Callable[[], T], good: Callable[[T], bool], seconds: float) -> T:
    """Ask until the answer is good or the time is over; the last answer."""
    deadline = time.monotonic() + seconds
    while not good(answer := what()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """The scenario's `expected.yml`."""
    return expectations()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """The function `until`."""
    return until


@pytest.fixture(scope="module")
def machine(host: Host) -> Machine:
    """The developer VM."""
    return Machine(host)


@pytest.fixture(scope="session")
def every_machine() -> dict[str, Machine]:
    """All developer VMs of the scenario, by their names in the inventory."""
    return {name: Machine(testinfra.get_host(f"docker://{container}")) for name, container in machines().items()}


@pytest.fixture(scope="module")
def container(machine: Machine, expected: dict[str, Any]) -> dict[str, Any]:
    """What the inner Engine says about the service's container."""
    return machine.inspect("container", expected["name"])


@pytest.fixture(scope="module")
def image(machine: Machine, container: dict[str, Any]) -> dict[str, Any]:
    """What the inner Engine says about the image that the service runs."""
    return machine.inspect("image", container["Image"])


@pytest.fixture(scope="module")
def machine_name(host: Host) -> str:
    """The VM's name in the inventory."""
    return next(name for name, container in machines().items() if container == host.backend.name)


@pytest.fixture(scope="session")
def last_recap() -> dict[str, dict[str, int]]:
    """How Ansible summed up its last run, by host: {"ok": 12, "changed": 0, ...}."""
    log = Path(os.environ["ANSIBLE_LOG_PATH"]).read_text(encoding="utf-8")
    recap = log.rpartition("PLAY RECAP")[2]
    hosts = re.findall(r"\|\s*(\S+)\s+: (ok=.*)$", recap, flags=re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in hosts}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the state of the VM and the service's log with a test that failed."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        name = shlex.quote(expectations()["name"])
        for title, command in {
            "containers": "docker ps --all --no-trunc",
            "log of the service": f"docker logs --tail 50 {name}",
            "health of the service": f"docker inspect --format '{{{{json .State.Health}}}}' {name}",
            "log of the Engine": "journalctl --unit docker --no-pager --output cat | grep -v level=info | tail -n 15",
        }.items():
            result = host.run(command)
            report.sections.append((f"{title} on {host.backend.hostname}", result.stdout + result.stderr))
    return report
