#!/usr/bin/env python3
"""Run the project on each line of Ansible that it supports, each in an environment of its own, and write the table in README.md.

Usage: make matrix [ARGS="..."], or python3 scripts/matrix.py [--lines 3.11,3.13] [--parts unit,job,scenario]
  --lines  the Pythons to run on; requirements.txt says which Ansible each gets. Default: all of them
  --parts  unit: the unit tests. job: the main job twice, the second time without a change. scenario: the Molecule scenario `default`, which
           takes several minutes for each line. Default: all of them

What is not run keeps its place in the table. All output is in .cache/matrix/<line>.<part>.log. Ends with 1 where something failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/matrix"
README = ROOT / "README.md"
LINES = ("3.11", "3.12", "3.13")
PARTS = ("unit", "job", "scenario")
COLUMNS = ("line", "ansible-core", "community.docker", "Python", "unit tests", "main job", "second run", "scenario default")
MARKED = re.compile(r"(?<=<!-- BEGIN MATRIX -->\n).*(?=<!-- END MATRIX -->)", re.S)
NOT_RUN = "not run"


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version, in PATH or of pyenv's; a shim of pyenv's in PATH may be one that runs nothing."""
    found = [shutil.which(f"python{version}"), *sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python3"))]
    for one in filter(None, found):
        if subprocess.run([one, "--version"], capture_output=True, check=False).returncode == 0:
            return Path(one)
    return None


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of the table in a README by their Python, such as "3.12"."""
    lines = [line for line in MARKED.search(text)[0].splitlines() if line.startswith("|")][2:]
    rows = [dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")))) for line in lines]
    return {row["Python"].rpartition(".")[0]: row for row in rows}


def table(rows: dict[str, dict[str, str]]) -> str:
    """Return the table of these rows."""
    shown = [COLUMNS, ["---"] * len(COLUMNS), *([rows[line][column] for column in COLUMNS] for line in LINES if line in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in shown)


def write(line: str, cells: dict[str, str]) -> None:
    """Write cells of a line into the README; where it is another Ansible than before, what was measured with that is dropped."""
    text = README.read_text(encoding="utf-8")
    rows = rows_of(text)
    before = rows.get(line, {})
    same = all(before.get(column) == cells.get(column, before.get(column)) for column in COLUMNS[:4])
    rows[line] = {column: NOT_RUN for column in COLUMNS} | (before if same else {}) | cells
    README.write_text(MARKED.sub(lambda _old: table(rows), text), encoding="utf-8")


class Line:
    """One line of Ansible, in an environment of its own."""

    def __init__(self, version: str, python: Path) -> None:
        self.version, self.python = version, python
        self.directory = CACHE / version
        self.bin = self.directory / "bin"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.environment = {
            **kept,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(ROOT / ".ansible"),
            # What changed is read of Ansible's own output.
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_DEPRECATION_WARNINGS": "true",
            "PY_COLORS": "0",
        }

    def run(self, part: str, *command: str | Path) -> tuple[bool, str, float]:
        """Run a command; return whether it succeeded, its output, and how many seconds it took."""
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        with (CACHE / f"{self.version}.{part}.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(map(str, command))}\n{done.stdout}\n")
        return done.returncode == 0, done.stdout, time.monotonic() - began

    def make(self, part: str, *goals: str) -> tuple[bool, str, float]:
        """Run goals of the Makefile in this line's environment."""
        return self.run(part, "make", f"VENV={self.directory.relative_to(ROOT)}", f"PYTHON={self.python}", "ARGS=", *goals)

    def prepare(self) -> dict[str, str]:
        """Make the environment and the machine ready; return what it is. Exits where that fails."""
        place = self.directory.relative_to(ROOT)
        ready, output, _seconds = self.make("prepare", f"{place}/.tools", f"{place}/checkov/bin/checkov")
        if ready:
            ready, output, _seconds = self.run("prepare", self.bin / "ansible-playbook", "tests/machine.yml")
        if not ready:
            sys.exit(f"{self.version}: the environment cannot be made ready:\n{output[-3000:]}")
        script = (
            "import importlib.metadata as m, platform; print(m.version('ansible'), m.version('ansible-core'), platform.python_version())"
        )
        ansible, core, python = self.run("prepare", self.bin / "python", "-c", script)[1].split()
        listed = self.run("prepare", self.bin / "ansible-galaxy", "collection", "list", "community.docker", "--format", "json")[1]
        docker = next(iter(json.loads(listed).values()))["community.docker"]["version"]
        return {"line": f"ansible {ansible}", "ansible-core": core, "community.docker": docker, "Python": python}

    def unit(self) -> dict[str, str]:
        """Run the unit tests."""
        success, output, seconds = self.run("unit", self.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit")
        return {"unit tests": told(success, seconds, counts(output))}

    def job(self) -> dict[str, str]:
        """Run the main job for a service of its own, twice, and remove it. A warning of whatever kind is a failure."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        variables = {
            "go_service_name": f"matrix-{self.version.replace('.', '-')}",
            "go_service_publish": f"127.0.0.1:{port}",
            "go_service_work_dir": str(self.directory / "work"),
            "go_service_report_dir": str(self.directory / "reports"),
        }
        play = [self.bin / "ansible-playbook", "-e", json.dumps(variables)]
        self.run("job", *play, "playbooks/remove.yml")
        cells = {}
        for column in ("main job", "second run"):
            success, output, seconds = self.run("job", *play, "playbooks/build.yml")
            changed = "".join(re.findall(r"changed=(\d+)", output))
            quiet = not re.search(r"\[(DEPRECATION )?WARNING\]", output)
            right = success and quiet and (changed != "0") == (column == "main job")
            cells[column] = told(right, seconds, f"changed={changed}" + ("" if quiet else ", with warnings"))
        self.run("job", *play, "playbooks/remove.yml")
        return cells

    def scenario(self) -> dict[str, str]:
        """Run the Molecule scenario `default`."""
        success, output, seconds = self.make("scenario", "scenarios", "SCENARIOS=default")
        return {"scenario default": told(success, seconds, counts(output))}


def counts(output: str) -> str:
    """Return how many tests passed, failed and were skipped, of all runs of pytest in an output."""
    summaries = re.findall(r"^[= ]*((?:\d+ \w+(?:, )?)+) in [\d.]+s", output, re.M)
    numbers = {
        word: sum(int(n) for text in summaries for n in re.findall(rf"(\d+) {word}", text))
        for word in ("failed", "error", "passed", "skipped")
    }
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def told(success: bool, seconds: float, what: str) -> str:
    """Return a cell of the table."""
    return f"{'' if success else '**FAILED** '}{what + ', ' if what else ''}{seconds:.0f} s"


def chosen(known: tuple[str, ...]) -> object:
    """Return what reads a list of some of these words, as an option's type."""

    def read(text: str) -> list[str]:
        wrong = [word for word in text.split(",") if word not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: choose from {','.join(known)}")
        return [word for word in known if word in text.split(",")]

    return read


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=chosen(LINES), default=list(LINES), metavar=",".join(LINES))
    parser.add_argument("--parts", type=chosen(PARTS), default=list(PARTS), metavar=",".join(PARTS))
    options = parser.parse_args()
    pythons = {version: find_python(version) for version in options.lines}
    missing = [version for version, python in pythons.items() if not python]
    if missing:
        print(f"Python {', '.join(missing)} is missing: neither in PATH (python{missing[0]}) nor in ~/.pyenv/versions.", file=sys.stderr)
        print("Install it, or leave its line out, by --lines.", file=sys.stderr)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    lines = [Line(version, python) for version, python in pythons.items()]
    failed = False
    # All environments first: the unit tests hold the table's versions to those that are declared.
    for line in lines:
        for log in CACHE.glob(f"{line.version}.*.log"):
            log.unlink()
        print(f"{line.version}: makes its environment ready", flush=True)
        write(line.version, line.prepare())
    for line in lines:
        for part in options.parts:
            cells = getattr(line, part)()
            write(line.version, cells)
            failed |= "FAILED" in "".join(cells.values())
            print(f"{line.version}: " + "; ".join(f"{column}: {cell}" for column, cell in cells.items()), flush=True)
    print(f"\n{MARKED.search(README.read_text(encoding='utf-8'))[0]}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
