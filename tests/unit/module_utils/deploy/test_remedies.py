"""What the last words of a service mean, and which variable the Engine refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure, folded
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy import remedies
from ansible_collections.proven.go_service.plugins.module_utils.deploy import swap as swaps
from ansible_collections.proven.go_service.plugins.module_utils.deploy.container import create_body
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from fuzzing import EXAMPLES, LOG_TEXT
from hypothesis import given
from hypothesis import strategies as st
from samples import Settings

REMEDIES = {
    "health check: exit -1: OCI runtime exec failed: write /tmp/runc-process1296774239: no space left on device: unknown": "could not start the health check",
    "log: cannot save: write /data/x: no space left on device": "another volume",
    "log: write /data/x: disk quota exceeded": "another volume",
    "open /data/x.db: read-only file system": "go_service_tmpfs",
    "exec /usr/local/bin/api: exec format error": "GOARCH",
    'exec: "wget": executable file not found in $PATH: unknown': "BusyBox",
    "/bin/sh: wget: not found": "BusyBox",
    "health check: exit 1: wget: can't execute 'ssl_client': No such file or directory": "go_service_packages",
    "health check: exit 1: wget: not an http or ftp url: https://localhost:8080/health": "go_service_packages",
    'health check: exit -1: exec: "/app/x": stat /app/x: no such file or directory: unknown': "go_service_health_command",
    "health check: exit 1: wget: can't connect to remote host (127.0.0.1): Connection refused": "go_service_port",
    "log: dial tcp 10.0.0.5:5432: connect: connection refused": "another server that the service needs does not answer",
    "log: http: TLS handshake error from 127.0.0.1:5: client sent an HTTP request to an HTTPS server": "speaks TLS",
    "log: memory usage: 5 %": "Read the log lines",
    "log: wget: server returned error: HTTP/1.1 404 Not Found": "Read the log lines",
    "wget: server returned error: HTTP/1.1 404 Not Found": "go_service_health_command",
    "health check: exit 1: Connecting to localhost:8080 (127.0.0.1:8080)\nwget: bad address 'example.com' (3 times)": "redirects to another address",
    "health check: exit 1: Connecting to localhost:80 ([::1]:80)\nConnecting to localhost:443 ([::1]:443)\nwget: can't execute 'ssl_client'": "redirects",
    "health check: exit 1: Connecting to localhost:80 ([::1]:80)\nConnecting to localhost:80 ([::1]:80)\nwget: server returned error: HTTP/1.1 500": "an error",
    "health check: exit 1: wget: bad address 'no-such-host'": "Read the log lines",
    "wget: server returned error: HTTP/1.1 503 Service Unavailable": "answers the health check with an error",
    "flag provided but not defined: -listen": "go_service_args",
    "Usage of api:": "go_service_args",
    "open /srv/config.yml: permission denied": "go_service_volumes",
    "dial tcp: lookup db on 127.0.0.11:53: no such host": "go_service_network",
    "log: open files: no such file or directory": "go_service_directories",
    "log: cannot read directory 'files': open ./files: no such file or directory": "go_service_workdir",
    "log: stat data/cats: no such file or directory": "go_service_files",
    "log: open templates/page.html: no such file or directory": "go_service_files",
    "log: mkdir files: read-only file system": "go_service_directories",
    'log: level=ERROR msg="failed" error="failed to migrate: unable to open database file (14)"': "SQLite cannot make or write its file",
    "log: attempt to write a readonly database (8)": "SQLite cannot make or write its file",
    "log: open /data/x: no such file or directory": "go_service_files (dest",
    "log: stat config file /etc/api/config.yaml: no such file or directory": "go_service_volumes (a configuration with :ro)",
    "log: failed to open file: '/etc/api/config.yaml': no such file or directory": "If the host has it, mount it",
    'log: searching modules: running go with ["list" "-m"]: exec: "go": executable file not found in $PATH:': "go_service_packages",
    'log: cannot convert: exec: "/usr/bin/magick": stat /usr/bin/magick: no such file or directory': "go_service_packages",
    "log: fork/exec /usr/bin/ffmpeg: no such file or directory": "go_service_packages",
    "log: ERROR listen tcp [::1]:3000: bind: cannot assign requested address": "one of IPv6",
    "log: listen tcp6 [::]:3000: socket: address family not supported by protocol": "one of IPv6",
    "log: dial tcp: connect: cannot assign requested address": "Read the log lines",
    "log: exec /etc/api/hook: not found": "Read the log lines",
    "log: Binary was compiled with 'CGO_ENABLED=0', go-sqlite3 requires cgo to work. This is a stub": "another database",
    "log: SQLite is not available: binary compiled without CGO support. Recompile with CGO_ENABLED=1": "another database",
    "log: storage bolt: cgo is disabled in this build": "another database",
    "log: cgo.go: served": "Read the log lines",
    "panic: runtime error": "Read the log lines",
}


@pytest.mark.parametrize(("line", "word"), REMEDIES.items())
def test_a_remedy_for_the_last_words(line: str, word: str) -> None:
    assert word in remedies.remedy_for(["log: started", line])


ROOT = {"DockerRootDir": "/var/lib/docker", "SecurityOptions": ["name=seccomp"]}
REMAPPED = {"DockerRootDir": "/var/lib/docker/231072.231073", "SecurityOptions": ["name=seccomp", "name=userns"]}
SNAP = {"DockerRootDir": "/var/snap/docker/common/var-lib-docker", "SecurityOptions": []}


@pytest.mark.parametrize(
    ("info", "words", "told"),
    [
        pytest.param(
            ROOT,
            'starting: AppArmor enabled on system but: exec: "apparmor_parser": not found in $PATH',
            "the package apparmor",
            id="no parser",
        ),
        pytest.param(SNAP, "exec /usr/local/bin/web: operation not permitted", "remove the snap", id="snap"),
        pytest.param(ROOT, "exec /usr/local/bin/web: operation not permitted", "as before", id="no snap"),
        pytest.param(REMAPPED, "log: open /data/x: permission denied", "231072 and 231073 on the host", id="remapped"),
        pytest.param(ROOT, "log: open /data/x: permission denied", "as before", id="not remapped"),
        pytest.param(REMAPPED, "log: panic", "as before", id="remapped, something else"),
    ],
)
def test_what_comes_from_the_engine(settings: Settings, info: dict[str, Any], words: str, told: str) -> None:
    assert told in remedies.of_engine(info, settings(volumes=["/data:/data"]), [words], "as before")


def test_without_last_words_there_is_a_general_remedy() -> None:
    assert "go_service_args" in remedies.remedy_for([])


# What the Engine refuses -> the variable that has to be named, and one that must not be.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "cpus": ({"cpus": 512}, "go_service_cpus (512", "go_service_args"),
    "pids": ({"pids_limit": 9_999_999_999}, "go_service_pids_limit (9999999999)", "go_service_args"),
    "memory": ({"memory": 1 << 20}, "go_service_memory (1m)", "go_service_args"),
    "a capability": ({"cap_add": ["NONSENSE"]}, "go_service_cap_add", "go_service_cap_drop"),
    "a dropped capability": ({"cap_drop": ["NONSENSE"]}, "go_service_cap_drop", "go_service_cap_add"),
    "an option of tmpfs": ({"tmpfs": {"/tmp": "foo"}}, "go_service_tmpfs", "go_service_volumes"),
    "a size of tmpfs": ({"tmpfs": {"/tmp": "size=bogus"}}, "go_service_tmpfs", "go_service_volumes"),
    "a mode of a volume": ({"volumes": ["utest-a:/data:zz"]}, "go_service_volumes", "go_service_tmpfs"),
    "two volumes at one place": ({"volumes": ["utest-a:/data", "utest-b:/data"]}, "go_service_volumes", "go_service_tmpfs"),
    "a volume and tmpfs at one place": ({"volumes": ["utest-a:/tmp"]}, "go_service_volumes", "go_service_args"),
    "a file over a directory": ({"volumes": ["/etc/passwd:/etc"]}, "go_service_volumes", "go_service_tmpfs"),
    "a size of the log": ({"log_max_size": 0}, "go_service_log_max_size (0)", "go_service_args"),
    "a number of logs": ({"log_max_file": 0}, "go_service_log_max_size", "go_service_args"),
    "a network": ({"network": "utest-none"}, "go_service_network (utest-none)", "go_service_args"),
}


@pytest.mark.engine
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_the_engine_refuses_names_the_variable(
    clean: Engine, client: Callable[..., str], web: str, service: Settings, case: Any
) -> None:
    """Settings that the check of the input may not know to be wrong on this host; the Engine's own words are shown."""
    changes, named, other = case
    try:
        with pytest.raises(Failure) as caught:
            candidates.prove_candidate(clean, replace(service(), **changes), web, str)
    finally:
        client("volume", "rm", "-f", "utest-a", "utest-b")
    assert named in caught.value.remedy, caught.value.message
    assert other not in caught.value.remedy


@pytest.mark.engine
def test_what_the_engine_refuses_in_the_services_place_names_the_variable(clean: Engine, web: str, service: Settings) -> None:
    with pytest.raises(Failure) as caught:
        wanted = replace(service(), cpus=512)
        swaps.swap(clean, wanted, create_body(wanted, web, clean.api_version))
    assert "go_service_cpus (512" in caught.value.remedy


def test_a_secret_value_that_the_engine_refuses_is_not_told(settings: Settings) -> None:
    told = remedies.refused("invalid environment variable: KEY", replace(settings(), env={"KEY": "hunter2"}), "")
    assert "go_service_env" in told
    assert "hunter2" not in told


def test_words_that_name_nothing_keep_the_general_remedy(settings: Settings) -> None:
    assert remedies.refused("the Engine is out of order", settings(), "Run again.") == "Run again."


@EXAMPLES
@given(evidence=st.lists(LOG_TEXT, max_size=5), values=st.lists(LOG_TEXT, max_size=3))
def test_any_words_of_a_service_and_of_the_engine_have_a_remedy(wanted: typed.Settings, evidence: list[str], values: list[str]) -> None:
    assert remedies.remedy_for(evidence)
    asked = replace(wanted, volumes=tuple(values), tmpfs=dict.fromkeys(values, "x"), env={"A": "b"}, publish=None, cap_add=tuple(values))
    assert remedies.refused("\n".join(evidence), asked, "otherwise")
    assert len(folded(evidence)) <= len(evidence)


def test_a_container_that_ends_while_it_is_tested_lacks_no_command() -> None:
    line = "health check: OCI runtime exec failed: exec failed: unable to start container process: error executing setns process: exit status 1: unknown"
    assert "does not have the command" not in remedies.remedy_for([line])
    missing = 'health check: OCI runtime exec failed: exec failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown'
    assert "does not have the command" in remedies.remedy_for([missing])
