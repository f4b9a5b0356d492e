"""Every kind of violation is caught by a run of the role, called by its name, and leaves the old container alone.

What the role's own Dockerfile cannot produce is built by hand on the machine, from that Dockerfile with an instruction more, and deployed by its tag.
`PYTEST_ADDOPTS="-k setuid" molecule verify -s contract` runs one of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Machine

PROJECT = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", "."))
SOURCE = PROJECT / "molecule/contract/services/lantern"
# The runtime that the archives of a machine without registry hold.
RUNTIME = "stand-in/runtime:alpine-{base_images_alpine_version}".format(
    **yaml.safe_load((PROJECT / "roles/base_images/defaults/main.yml").read_text(encoding="utf-8"))
)
BUILD, DEPLOY = PROJECT / "playbooks/build.yml", PROJECT / "molecule/contract/deploy.yml"
CONTEXT = "/root/.local/state/go_service/lantern/context"
RUN_LIMIT = 600  # seconds that a run of a playbook may take
# How busy the machine is, is not what these tests are about.
PATIENT = {"go_service_budget": {"start_seconds": 8}}

# Instructions that the role would not write. They stand before the last one of its Dockerfile, by which it knows an image as its own.
BY_HAND = {
    "root": "USER root",
    "setuid": "USER root\nRUN echo tool > /srv/tool && chmod 4755 /srv/tool\nUSER app",
    "secret-file": "USER root\nRUN echo PASSWORD=hunter2 > /srv/.env\nUSER app",
    "secret-env": "ENV API_TOKEN=hunter2",
    "no-health": "HEALTHCHECK NONE",
    "dynamic": "COPY loader.so /lib/loader.so",
}
# The role's own build with these instructions ($2) in it, under the name $1; $3 is run in its context before.
MAKE = f"""
set -e
rm -rf /tmp/by-hand
cp -r {CONTEXT} /tmp/by-hand
cd /tmp/by-hand
sh -ec "$3"
# Only a Dockerfile of which an image was built has the labels that it ends with: those of the good image will do.
sed -i '/^# Where this image comes from/,$d' Dockerfile
printf '%s\\nLABEL %s\\n' "$2" "$(docker inspect --format '{{{{range $name, $value := .Config.Labels}}}}{{{{$name}}}}="{{{{$value}}}}" {{{{end}}}}' lantern:latest)" >> Dockerfile
docker build --quiet --tag "$1" . && rm -r /tmp/by-hand
"""
# Position independent, which Go links dynamically; the loader is the machine's.
DYNAMIC = """
cp -L /lib*/ld-linux-*.so.* loader.so
sed -i 's|^RUN go build -ldflags="|RUN go build -buildmode=pie -ldflags="-I /lib/loader.so |' Dockerfile
sed -i '/^RUN go build [^-]/,/^ || true$/d' Dockerfile
grep -q buildmode=pie Dockerfile
echo '!loader.so' >> .dockerignore
"""


@dataclass(frozen=True)
class Violation:
    """What breaks the contract, and what the run must say of it.

    checks: ids of all checks that fail by it, the one that it is about first. says, remedy: words of the first one's sentence. variables: of
    the role. tag: of an image made by hand, "" for the good image.
    """

    checks: tuple[str, ...]
    says: str
    remedy: str
    variables: dict[str, Any] = field(default_factory=dict)
    tag: str = ""


VIOLATIONS = {
    "slow start": Violation(
        ("start-time",),
        "over the budget by",
        "what the service does before it listens",
        {"go_service_env": {"DELAY": "3s"}, "go_service_budget": {"start_seconds": 2}},
    ),
    "memory": Violation(
        ("memory-use",),
        "instead of 32 MB",
        "go_service_budget.memory_mb",
        {"go_service_env": {"HOLD_MB": "40"}, "go_service_budget": {**PATIENT["go_service_budget"], "memory_mb": 32}},
    ),
    "open capabilities": Violation(
        ("runtime-capabilities",), "DAC_OVERRIDE", "Set go_service_cap_drop: [ALL]", {"go_service_cap_drop": []}
    ),
    "added capability": Violation(
        ("runtime-capabilities",), "SYS_PTRACE instead of none", "go_service_cap_add", {"go_service_cap_add": ["SYS_PTRACE"]}
    ),
    "writable root": Violation(
        ("runtime-read-only",), "writable instead of read-only", "Set go_service_read_only: true", {"go_service_read_only": False}
    ),
    "root user": Violation(
        ("user-not-root", "user-no-login", "user-groups"), "the image runs as root", "a USER that is not root", tag="root"
    ),
    "setuid file": Violation(("files-setuid", "files-differences"), "/srv/tool (4755)", "`chmod a-s`", tag="setuid"),
    "secret file": Violation(("files-secrets", "files-differences"), "/srv/.env", "go_service_dockerignore", tag="secret-file"),
    "secret variable": Violation(("config-env-secrets",), "API_TOKEN", "give it to the service at run time", tag="secret-env"),
    "missing health check": Violation(
        ("config-healthcheck",), "the image has no health check", "give its Dockerfile the HEALTHCHECK", tag="no-health"
    ),
    "dynamic binary": Violation(("binary-static", "files-differences"), "/lib/loader.so", "CGO_ENABLED=0", tag="dynamic"),
}


# ------------------------------------------------------------------------------------------------------------------ a run


@dataclass(frozen=True)
class Run:
    """A run of a playbook that is over. reports: the directory it wrote its reports to; variables: what it was given."""

    code: int
    output: str
    reports: Path
    variables: dict[str, Any]

    @property
    def message(self) -> str:
        """The message of the task that failed at last, with every piece of white space as one blank; "" where none failed."""
        found = re.findall(r"^fatal: \[[^\]]*\]: FAILED! =>\s*\n((?:[ ]+.*\n|\n)+)", self.output, re.MULTILINE)
        return " ".join(str(yaml.safe_load(found[-1])["msg"]).split()) if found else ""

    @property
    def report(self) -> dict[str, Any]:
        """The report as data; there must be one, with its page."""
        assert list(self.reports.glob("*/lantern.html")), self.output
        (path,) = self.reports.glob("*/lantern.json")
        return json.loads(path.read_text(encoding="utf-8"))

    def with_verdict(self, *verdicts: str) -> set[str]:
        """The ids of the report's checks that have one of these verdicts."""
        return {check["id"] for check in self.report["checks"] if check["verdict"] in verdicts}

    def check(self, identifier: str) -> dict[str, Any]:
        """The report's entry of a check."""
        return next(check for check in self.report["checks"] if check["id"] == identifier)


Play = Callable[..., Run]


@pytest.fixture
def play(tmp_path: Path, request: pytest.FixtureRequest) -> Play:
    """Run a playbook on the machine, with a label that makes the container a new one."""
    return lambda playbook, **variables: run(
        tmp_path / "reports", playbook, {"go_service_labels": {"attempt": request.node.name}, **variables}
    )


def run(reports: Path, playbook: Path, variables: dict[str, Any]) -> Run:
    """Run a playbook on Molecule's inventory."""
    command = ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], str(playbook)]
    command += ["--limit", "vms", "--extra-vars", json.dumps({**variables, "go_service_report_dir": str(reports)})]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    }
    environment.pop("ANSIBLE_FORCE_COLOR", None)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        check=False,
        timeout=RUN_LIMIT,
    )
    return Run(done.returncode, done.stdout, reports, variables)


# ------------------------------------------------------------------------------------------------------------------ the machine


@dataclass(frozen=True)
class State:
    """What tells whether a machine is as it was: its containers by name, with id, start and image."""

    containers: dict[str, tuple[str, str, str]]
    body: str


def state(machine: Machine, expected: dict[str, Any]) -> State:
    """The containers of the machine, stopped ones too, and what the service answers."""
    ids = machine.run("docker ps --all --quiet --no-trunc").split()
    records = json.loads(machine.run("docker inspect --type=container " + " ".join(ids))) if ids else []
    containers = {record["Name"].strip("/"): (record["Id"], record["State"]["StartedAt"], record["Image"]) for record in records}
    return State(containers, machine.get(expected["health_path"], expected["address"], expected["host_port"]).body)


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that puts the good image in place, by a container that is new."""
    reports = tmp_path_factory.mktemp("good") / "reports"
    done = run(reports, BUILD, {**PATIENT, "go_service_labels": {"attempt": f"good-{os.getpid()}"}})
    assert done.code == 0, done.output
    return done


@pytest.fixture(scope="module")
def good(good_run: Run, machine: Machine, expected: dict[str, Any]) -> str:
    """The good image, which runs."""
    return machine.run("docker inspect --format '{{.Config.Image}}' %s", expected["name"])


@pytest.fixture(scope="module")
def by_hand(machine: Machine) -> Callable[[str], str]:
    """Make one of the bad images on the machine, and return its tag."""

    def make(kind: str) -> str:
        machine.run("sh -c %s sh %s %s %s", MAKE, f"lantern:{kind}", BY_HAND[kind], DYNAMIC if kind == "dynamic" else "")
        return kind

    return make


@pytest.fixture
def untouched(good: str, machine: Machine, expected: dict[str, Any]) -> Any:
    """The old container answers, and after the test it is the same one, never restarted, and the only one."""
    before = state(machine, expected)
    assert list(before.containers) == [expected["name"]]
    assert before.body == "lit\n"
    yield
    assert state(machine, expected) == before


# ------------------------------------------------------------------------------------------------------------------ the tests


def test_good_image(good_run: Run, expected) -> None:
    """The good image passes every check that can be judged here, with no waiver."""
    assert good_run.with_verdict("fail", "warn", "waived") == set()
    assert good_run.with_verdict("skip") == set(expected["skips"])
    assert good_run.report["verdict"] == "pass"


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(untouched: None, play: Play, by_hand, good: str, name: str) -> None:
    """The run fails, names the check with what was measured and what to do, and reports it."""
    violation = VIOLATIONS[name]
    tag = by_hand(violation.tag) if violation.tag else good.partition(":")[2]
    # Of an image that was proven and is asked for by its tag no budget is asked: these are asked of what is built.
    asked = {} if "go_service_budget" in violation.variables else {"go_service_image_tag": tag}
    done = play(DEPLOY if asked else BUILD, **{**PATIENT, **violation.variables, **asked})
    refused(done, violation)


def test_large_binary(untouched: None, play: Play, tmp_path: Path) -> None:
    """A binary of 60 MB, built by the role, is over the budget of the image."""
    source = tmp_path / "source"
    shutil.copytree(SOURCE, source)
    with (source / "ballast").open("wb") as file:
        file.truncate(58_000_000)
    (source / "ballast.go").write_text(
        'package main\n\nimport _ "embed"\n\n//go:embed ballast\nvar ballast string\n\n'
        'func init() {\n\tif ballast == "" {\n\t\tpanic("no ballast")\n\t}\n}\n',
        encoding="utf-8",
    )
    done = play(BUILD, go_service_source=str(source), **PATIENT)
    refused(done, Violation(("image-size",), "instead of 50 MB", "go_service_budget.image_mb"))
    assert done.report["image"]["size"] > 60_000_000


def refused(done: Run, violation: Violation) -> None:
    """Assert that a run failed by a violation, and by nothing else."""
    about = violation.checks[0]
    assert done.code != 0, done.output
    assert "breaks the contract" in done.message, done.output
    assert done.report["failure"]["evidence"], done.output
    assert f"({about}): " in done.message
    assert violation.says in done.message
    assert violation.remedy in done.message
    assert "Nothing that ran before was touched." in done.message
    assert done.with_verdict("fail") == set(violation.checks)
    assert done.report["verdict"] == "fail"
    assert done.report["failure"]["stage"] == "contract"
    assert violation.remedy in done.check(about)["remedy"]


def test_dockerfile(untouched: None, play: Play, machine: Machine) -> None:
    """What the linters object to stops the run as every other check does: here a base image without a release."""
    machine.run(f"docker tag {RUNTIME} stand-in/runtime:latest")
    done = play(BUILD, go_service_runtime_image="stand-in/runtime:latest", base_images_runtime="stand-in/runtime:latest", **PATIENT)
    refused(done, Violation(("dockerfile-hadolint", "config-base"), "DL3007", "hadolint/hadolint/wiki"))


def test_budget_alone(untouched: None, good_run: Run, tmp_path: Path) -> None:
    """A budget that is lowered is asked for at once, although nothing else changes."""
    asked = {**good_run.variables, "go_service_budget": {**PATIENT["go_service_budget"], "image_mb": 1}}
    refused(run(tmp_path, BUILD, asked), Violation(("image-size",), "instead of 1 MB", "go_service_budget.image_mb"))
    again = run(tmp_path, BUILD, good_run.variables)
    assert again.code == 0, again.output
    assert re.search(r"changed=0\b", again.output), again.output


def test_unknown_waiver(untouched: None, play: Play, good: str) -> None:
    """A waiver for a check that does not exist is an error, with the one that was meant."""
    done = play(DEPLOY, go_service_image_tag=good.partition(":")[2], go_service_waivers={"file-setuid": "A typing error."})
    assert done.code != 0, done.output
    assert "go_service_waivers" in done.message, done.output
    assert "'file-setuid'" in done.message
    assert "did you mean files-setuid?" in done.message


def test_waiver(good: str, play: Play, by_hand, machine: Machine, expected) -> None:
    """A waiver with its reason lets a violation through; the report shows it as waived, with the reason, and never as passed."""
    reasons = {"files-setuid": "The tool drops its rights itself.", "files-differences": "The tool is wanted."}
    done = play(DEPLOY, go_service_image_tag=by_hand("setuid"), go_service_waivers=reasons, **PATIENT)
    assert done.code == 0, done.output
    assert done.with_verdict("waived") == set(reasons)
    assert done.with_verdict("fail") == set()
    for identifier, reason in reasons.items():
        assert reason in json.dumps(done.check(identifier))
    now = state(machine, expected)
    assert now.body == "lit\n"
    assert list(now.containers) == [expected["name"]]
    assert now.containers[expected["name"]][2] == machine.run("docker image inspect --format '{{.Id}}' lantern:setuid")
