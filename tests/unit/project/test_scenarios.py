"""The tests of each Molecule scenario can be imported and collected, which a run finds out only after many minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from plays import PROJECT

SCENARIOS = sorted(path.parents[1] for path in (PROJECT / "molecule").glob("*/tests/expected.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_the_tests_of_a_scenario_can_be_collected(scenario: Path, tmp_path: Path) -> None:
    """By a Docker client that only says which machines run: nothing of them is asked."""
    machines = [platform["name"] for platform in yaml.safe_load((scenario / "molecule.yml").read_text(encoding="utf-8"))["platforms"]]
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\n" + "".join(f"echo {name} go-service-{name}-machine\n" for name in machines))
    client.chmod(0o755)
    names = {
        "SCENARIO_NAME": scenario.name,
        "SCENARIO_DIRECTORY": scenario,
        "PROJECT_DIRECTORY": PROJECT,
        "EPHEMERAL_DIRECTORY": tmp_path,
        "INVENTORY_FILE": tmp_path / "inventory",
    }
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", **{f"MOLECULE_{key}": str(of) for key, of in names.items()}}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(scenario / "tests")]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "::test_" in done.stdout
