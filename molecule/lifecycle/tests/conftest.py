"""Each machine is tested by a pytest process of its own, side by side; every test starts from a healthy service and a client that asks.

`molecule verify -s lifecycle` runs all; PYTEST_ADDOPTS="-k killed" chooses. What the client saw is printed as one table at the end, and is
kept as lifecycle.json in Molecule's scratch directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lifecycle_tools import DEPLOY, SCRATCH, Case, Client, Service, Vm, nothing_left, play, say, until

if TYPE_CHECKING:
    from testinfra.host import Host

# Names the machine that this process tests; without it, this is the process that starts one for each machine.
CHILD = "GO_SERVICE_LIFECYCLE_MACHINE"
CASES = pytest.StashKey[list[dict[str, Any]]]()


def results(machine: str) -> Path:
    """Where the process of a machine keeps what its client saw."""
    return SCRATCH / f"lifecycle-{machine}.json"


# ------------------------------------------------------------------------------------------------- one process for each machine


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Test the machines side by side, and print all that their processes print."""
    if CHILD in os.environ or config.option.collectonly or "MOLECULE_SCENARIO_NAME" not in os.environ:
        return None
    chosen = inventory()
    for machine in chosen:
        results(machine).unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", *map(str, config.invocation_params.args)]
    codes: dict[str, int] = {}
    threads = [threading.Thread(target=follow, args=(command, machine, codes)) for machine in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell([case for machine in chosen if results(machine).exists() for case in json.loads(results(machine).read_text(encoding="utf-8"))])
    # A machine that none of the chosen tests is for is no failure.
    failed = [code for code in codes.values() if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)]
    return failed[0] if failed else min(codes.values())


def inventory() -> list[str]:
    """The names of the scenario's machines."""
    molecule = yaml.safe_load(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "molecule.yml").read_text(encoding="utf-8"))
    return [platform["name"] for platform in molecule["platforms"]]


def follow(command: list[str], machine: str, codes: dict[str, int]) -> None:
    """Run the process of a machine and print its lines, each with the machine's name before it."""
    environment = {**os.environ, CHILD: machine, "PYTHONUNBUFFERED": "1", "COLUMNS": "130"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            say(f"{machine} | {line.rstrip()}")
    codes[machine] = running.returncode


def tell(cases: list[dict[str, Any]]) -> None:
    """Print what the clients saw as one table, and keep it."""
    (SCRATCH / "lifecycle.json").write_text(json.dumps(cases, indent=2) + "\n", encoding="utf-8")
    say("")
    say(f"{'Engine':15} {'test':60} {'requests':>8} {'failed':>7} {'longest gap':>12} {'candidate':>10} {'runs':>14}")
    for case in cases:
        lifetime = "" if case["lifetime"] is None else f"{case['lifetime']:.1f} s"
        runs = " ".join(f"{seconds:.0f}" for seconds in case["runs"])
        gap = f"{case['gap']:.2f} s" if case["failed"] else "none"
        mark = "" if case["passed"] else "  FAILED"
        say(f"{case['engine']:15} {case['name']:60} {case['requests']:8} {case['failed']:7} {gap:>12} {lifetime:>10} {runs:>14}{mark}")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave one machine to this process, and name the marker."""
    config.addinivalue_line("markers", "core: runs on every machine; other tests run on the machines named in expected.yml only")
    config.stash[CASES] = []
    if CHILD in os.environ:
        config.option.hosts = next(host for host in config.option.hosts.split(",") if f"-{os.environ[CHILD]}-" in host)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not the core, on a machine that is not for everything."""
    expected = yaml.safe_load(Path(__file__).with_name("expected.yml").read_text(encoding="utf-8"))
    if CHILD not in os.environ or os.environ[CHILD] in expected["every_fault_on"]:
        return
    others = [item for item in items if not item.get_closest_marker("core")]
    items[:] = [item for item in items if item.get_closest_marker("core")]
    config.hook.pytest_deselected(items=others)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what the client saw, for the process that started this one."""
    if CHILD in os.environ:
        text = json.dumps(session.config.stash[CASES], indent=2)
        results(os.environ[CHILD]).write_text(text + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------------- what a test starts from


@pytest.fixture(scope="module")
def vm(host: Host, machine_name: str) -> Vm:
    """The machine."""
    return Vm(host.backend.name, machine_name)


def stands(vm: Vm) -> Service | None:
    """The service's container where it is as the baseline has it and healthy, with nothing left over beside it."""
    found = vm.service()
    if found is None or found.config != BASELINE.get(vm.name):
        return None
    record = vm.inspect(found.id)
    healthy = record is not None and record["State"]["Running"] and record["State"]["Health"]["Status"] != "unhealthy"
    if not healthy or vm.version() not in ("A", "B"):
        return None
    try:
        nothing_left(vm)
    except AssertionError:
        return None
    return found


# The configuration label of the service as the scenario's own variables make it, by machine; unknown before the first run.
BASELINE: dict[str, str] = {}


@pytest.fixture
def case(vm: Vm, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A healthy service as the scenario's variables make it, in version A or B, and a client that asks it until the test ends."""
    vm.forget()
    before = stands(vm)
    if before is None:
        play(vm, DEPLOY, version="A").must_succeed()
        made = vm.service()
        assert made is not None
        BASELINE[vm.name] = made.config
        before = until(lambda: stands(vm))
    version = vm.version()
    client = Client(vm.address)
    name = request.node.name.replace(f"docker://{vm.container}", "").replace("[-", "[").replace("[]", "")
    case = Case(vm, before, version, "B" if version == "A" else "A", client, name)
    client.start()
    yield case
    client.stop()
    for run in case.runs:
        if not run.ended():
            run.kill()
    vm.forget()
    tally = asdict(client.tally())
    report = request.node.stash.get(REPORT, None)
    request.config.stash[CASES].append(
        {
            "machine": vm.name,
            "engine": vm.engine(),
            "name": case.name.removeprefix("test_"),
            "passed": bool(report and report.passed),
            **tally,
            "lifetime": case.lifetime,
            "runs": [run.seconds for run in case.runs],
            "message": case.message,
        }
    )


REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep how a test went, for its line in the table."""
    report = yield
    if call.when == "call":
        item.stash[REPORT] = report
    return report
