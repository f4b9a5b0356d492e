"""What the unit tests share: the role's Python package under the name it has on a target, its settings, and the real Engine."""

from __future__ import annotations

import fcntl
import importlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.plugins.loader import init_plugin_loader
from plays import PROJECT, RUNTIME, SERVE, SERVING

ROLE = PROJECT / "roles/go_service"

# As Ansible's commands do before they run a plugin: the checkout is found under its collection's name.
init_plugin_loader([str(PROJECT / "collections")])

from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_LOCK
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.proven.go_service.plugins.plugin_utils import variables
from module_processes import run_module

# The Go facts of a service like the example.
GO_FACTS = {
    "module_path": "example.com/cat-server",
    "module_dir": ".",
    "go_directive": "1.24",
    "go_minimum": "1.24",
    "main_package": ".",
    "vendored": False,
    "work_dir": None,
    "has_requirements": False,
    "local_modules": [],
    "profiled": False,
    "packages": [""],
    "std_packages": ["fmt", "net/http"],
    "module_packages": [],
    "embedded_files": [],
    "files": [],
    "origin": {"revision": "", "date": "", "url": ""},
}
NOBODY = 65534


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "engine: needs a Docker Engine, which make unit starts (tests/machine.yml)")


def load(name: str) -> ModuleType:
    """Import a plugin of the collection, such as `action.prepare`."""
    return importlib.import_module(f"ansible_collections.proven.go_service.plugins.{name}")


@pytest.fixture(scope="session")
def module() -> Callable[..., dict[str, Any]]:
    """Return what runs a module of the collection."""
    return run_module


@pytest.fixture(scope="session")
def role() -> Path:
    """Return the directory of the role."""
    return ROLE


@pytest.fixture(scope="session")
def plugin() -> Callable[[str], ModuleType]:
    """Return what imports a plugin of the collection by its name, such as `action.prepare`."""
    return load


@pytest.fixture(scope="session")
def defaults() -> dict[str, Any]:
    """Return the role's defaults as they are written, by name."""
    return yaml.safe_load((ROLE / "defaults/main.yml").read_text())


@pytest.fixture(scope="session")
def raw(defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the role's defaults without the prefix of their names."""
    return {name[len(variables.PREFIX) :]: value for name, value in defaults.items()}


@pytest.fixture(scope="session")
def settings(raw: dict[str, Any]) -> Callable[..., Settings]:
    """Return what makes checked settings from the defaults and changes to them."""

    def make(**changes: Any) -> Settings:
        return variables.check_variables({**raw, **changes})

    return make


@pytest.fixture
def wanted(settings: Callable[..., Settings]) -> Settings:
    """Return the role's settings."""
    return settings()


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """Return the Go facts of a service like the example."""
    return dict(GO_FACTS)


@pytest.fixture(scope="session")
def generate(settings: Callable[..., Settings]) -> Callable[..., dict[str, Any]]:
    """Return what makes {"dockerfile", "dockerignore"} as the role's actions do, from changes to the Go facts and the settings."""
    lists = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    ignored = {name: lists[f"__go_service_{name}"] for name in ("ignored", "ignored_tests")}

    def make(project: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        wanted = settings(**changes)
        bases = [wanted.builder_image, wanted.runtime_base]
        return load("plugin_utils.description").generate(wanted, {**GO_FACTS, **(project or {})}, bases, ignored)

    return make


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Run a test as a user whom file modes hold back, also where the tests run as root; yield a directory of that user's."""
    with tempfile.TemporaryDirectory(prefix="utest-") as directory:
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(directory)
        finally:
            os.seteuid(os.getuid())


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run the Docker client and return what it prints. It builds by the classic builder, which knows images by their ids, also where it has buildx."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=True, env=environment).stdout.strip()


LABELLED = ["-q", "--filter", "label=go-service.name=utest-web"]


def _clean_up() -> None:
    containers = docker("ps", "-aq", "--filter", "name=^/utest-").split()
    if containers:
        docker("rm", "-fv", *containers)
    volumes = docker("volume", "ls", "-q", "--filter", "name=^utest-").split()
    if volumes:
        docker("volume", "rm", *volumes)
    # By their names first: an image that another one was made of goes with the last of these.
    for which in (["--filter", "reference=utest-*", "--filter", "reference=utest-*/*", "--format", "{{.Repository}}:{{.Tag}}"], LABELLED):
        images = set(docker("images", *which).split())
        if images:
            docker("rmi", "-f", *images)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return the Engine of this machine; what the tests make in it is called utest-* and is gone afterwards.

    Tests of another checkout on this machine, which use the same names, are waited for.
    """
    try:
        answering = Engine()
    except EngineError as error:
        pytest.skip(f"no Docker Engine answers on this machine (ansible-playbook tests/machine.yml starts one): {error}")
    assert answering.image(RUNTIME), f"{RUNTIME} is missing; ansible-playbook tests/machine.yml assembles it"
    with open(Path(tempfile.gettempdir()) / f"go-service-engine-tests-{os.getuid()}.lock", "w", encoding="utf-8") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _clean_up()
        yield answering
        _clean_up()


@pytest.fixture(scope="session")
def client(engine: Engine) -> Callable[..., str]:
    """Return what runs the Docker client against that Engine."""
    assert engine.api_version
    return docker


@pytest.fixture(scope="session")
def web(client: Callable[..., str]) -> str:
    """Return an image that runs its argument in a shell, and whose health check asks for http://localhost:8080/health."""
    dockerfile = f"""FROM {RUNTIME}
    LABEL go-service.name=utest-web go-service.kind=image
    {SERVING}
    HEALTHCHECK CMD ["wget", "-q", "--spider", "http://localhost:8080/health"]
    ENTRYPOINT ["/bin/sh", "-c"]
    """
    client("build", "-q", "-t", "utest-web:1", "-", stdin=dockerfile)
    return "utest-web:1"


@pytest.fixture
def service(settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Return what makes the settings of a small service that starts at once and stops at once."""

    def make(command: str = SERVE, **changes: Any) -> Settings:
        quick = {"name": "utest-web", "publish": "", "stop_timeout": 0, "stable_seconds": 0, "start_timeout": 5, "args": [command]}
        return settings(**{**quick, **changes})

    return make


@pytest.fixture
def clean(engine: Engine) -> Iterator[Engine]:
    """Return the Engine, without containers of the service before and after."""

    def empty() -> None:
        for made in engine.containers(name="utest-web"):
            engine.remove(made["Id"])
        for held in engine.volumes(LABEL_LOCK, "utest-web"):
            engine.remove_volume(held["Name"])

    empty()
    yield engine
    empty()
