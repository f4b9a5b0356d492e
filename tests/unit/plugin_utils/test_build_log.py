"""What a build printed, read: its steps, whether it had a cache, why it failed and what to do."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import mask
from ansible_collections.proven.go_service.plugins.plugin_utils import build_log
from ansible_collections.proven.go_service.plugins.plugin_utils.build_log import explain
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import buildx, docker_image
from build_logs import BUILDKIT, CLASSIC, classic, failed
from fuzzing import EXAMPLES, LOG_TEXT, assert_shown
from hypothesis import example, given
from hypothesis import strategies as st


def test_steps() -> None:
    steps = build_log.steps(CLASSIC.format(cached=" ---> Using cache\n"))
    assert [step["cached"] for step in steps] == [False, True, True, False]
    assert steps[1]["instruction"] == 'LABEL go-service.kind="builder"'
    assert build_log.steps("") == []


def test_a_step_of_a_build_that_goes_on_from_the_last_one_is_told_as_the_services_dockerfile_has_it() -> None:
    step = 'RUN sh /changes/apply && go build -ldflags="-w -s" -o /out/api .'
    plain = 'RUN go build -ldflags="-w -s" -o /out/api .'
    assert build_log.steps(f"Step 1/1 : {step}\n") == [{"instruction": plain, "cached": False}]
    assert build_log.explain("", step, ["./main.go:3:1: syntax error"]).message == f"the build failed at: {plain}"


@pytest.mark.parametrize(
    ("builder", "output", "cached"),
    [
        (docker_image, CLASSIC.format(cached=" ---> Using cache\n"), True),
        (docker_image, CLASSIC.format(cached=" ---> Running in 0c1d2e3f4a5b\n"), False),
        (docker_image, "", False),
        (buildx, BUILDKIT.format(cached="#6 CACHED"), True),
        (buildx, BUILDKIT.format(cached="#6 DONE 20.1s"), False),
        (buildx, "", False),
    ],
    ids=itertools.count(),
)
def test_a_build_had_a_cache_where_go_did_not_run_anew(builder: ModuleType, output: str, cached: bool) -> None:
    assert builder.was_cached(output) is cached


# What Go, apk, adduser and the Engine print -> a word of what to do.
REMEDIES = {
    "write /root/.cache/go-build/x: no space left on device": "Free space on the host",
    "--- FAIL: TestHealth (0.00s)": "go_service_run_tests",
    "FAIL\texample.com/api\t0.004s": "go_service_run_tests",
    "go: go.mod requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "go_service_builder_image",
    "go: github.com/x/y@v1.2.3: Get https://proxy.example.com/x: dial tcp: lookup proxy.example.com: i/o timeout": "GOPROXY",
    "go: x/y@v1.0.0: reading http://p/x: 403 Forbidden": "GOPROXY",
    "main.go:4:2: missing go.sum entry for module providing package github.com/x/y": "go mod tidy",
    "go: inconsistent vendoring in /src:": "go mod vendor",
    "main.go:9:2: cannot find module providing package example.org/x: import lookup disabled by -mod=vendor": "go mod vendor",
    "main.go:9:2: no required module provides package example.org/x; to add it:": "go mod tidy",
    "go: example.org/dep@v1.2.3 requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "example.org/dep@v1.2.3, on which the source depends, needs Go 1.30",
    "go: module example.org/dep@v1.2.3 requires go >= 1.30rc1 (running go 1.27.3)": "needs Go 1.30rc1",
    'go: example.org/p@v1: git init: exec: "git": executable file not found in $PATH': "has no git",
    "fatal: could not read Username for 'https://git.example.org': terminal prompts disabled": "git.example.org lets nobody read a module without",
    'go: a.org/b@v1.2.0: unrecognized import path "a.org/b": reading https://a.org/b?go-get=1: 401 Unauthorized': "a.org lets nobody read a module without",
    "go: a.org/b.git@v1.2.0: no secure protocol found for repository": "Give the credentials for a.org in go_service_build_secrets",
    "go: missing Git command. See https://go.dev/s/gogetcmd": "The builder image has no git",
    "go: a.org/b.git@v1.2.0: no secure protocol found for repository\nroot@a.org: Permission denied (publickey,keyboard-interactive).": "The git host does not accept the key",
    'Load key "/run/go-service/key-0": error in libcrypto\nroot@a.org: Permission denied (publickey).': "ssh cannot read the key",
    "No ED25519 host key is known for [a.org]:7999 and you have requested strict checking.\nHost key verification failed.": "with ssh-keyscan",
    "go: a.org/x/b@v1.2.0: reading https://proxy.golang.org/a.org/x/b/@v/v1.2.0.mod: 404 Not Found": "set GOPRIVATE in go_service_build_env to a.org,",
    "pkg/a.go:17:2: a.org/x/b@v1.2.0: reading https://proxy.golang.org/a.org/x/b/@v/v1.2.0.zip: 404 Not Found": "set GOPRIVATE in go_service_build_env to a.org,",
    "error: cannot run ssh: No such file or directory": "The builder image has no ssh",
    "Error searching for image api - ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))": "The Engine ended or was restarted",
    "Error building api - ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))": "The Engine ended or was restarted",
    "tls: failed to verify certificate: x509: certificate signed by unknown authority": "go_service_ca_certificates",
    "WARNING: Ignoring https://mirror.example.org/main: DNS: name does not exist\nERROR: unable to select packages:\n  tzdata (no such package):": (
        "apk does not reach the address"
    ),
    "ERROR: https://mirror.example.org/main: temporary error (try again later)\nERROR: unable to select packages:": "apk does not reach the address",
    "pull access denied for api-base, repository does not exist": "base image in a registry",
    "#1 [internal] booting buildkit": "docker buildx use default",
    "package example.com/app\n\timports example.com/app/db: build constraints exclude all Go files in /src/db": "No file of /src/db",
    "/go/pkg/mod/example.org/hsm@v1.1.1/slot.go:8:2: undefined: C_Initialize": "comes from another module",
    "/go/pkg/mod/example.org/rpc@v1.81.1/handler.go:271:18: undefined: http2.TrailerPrefix": "older than the builder's Go",
    "./main.go:4:18: undefined: pkcs11.SessionHandle": "If the package pkcs11 does define that name",
    "net/http: /usr/local/go/pkg/tool/linux_amd64/compile: signal: killed": "GOMAXPROCS",
    "main.go:7:12: pattern static/*: no matching files found": "go:embed",
    "package example.com/x: C source files not allowed when not using cgo or SWIG: x.c": "cgo",
    "/bin/sh: apk: not found": "go_service_packages",
    "ERROR: unable to select packages:\n  nosuch (no such package)": "go_service_packages",
    "adduser: user 'nobody' in use": "go_service_user",
    "adduser: uid '0' in use": "go_service_uid",
    "./main.go:12:2: undefined: foo": "Correct the source at the lines named",
    "internal/api/api.go:3: syntax error": "Correct the source at the lines named",
    "Segmentation fault": "Read the lines above",
}


@pytest.mark.parametrize(("printed", "remedy"), REMEDIES.items())
def test_a_failed_build_says_what_to_do(printed: str, remedy: str) -> None:
    failure = classic(failed(*printed.splitlines()))
    assert remedy in failure.remedy
    assert failure.message == "the build failed at: RUN go build ."
    assert failure.evidence == printed.splitlines()
    assert (failure.stage, failure.still_runs) == ("build", "Nothing that ran before was touched.")


APP = {"module_path": "example.com/app", "cgo_files": ["db/native.go"]}


@pytest.mark.parametrize(
    ("printed", "remedy"),
    [
        (
            "main.go:3:8: no required module provides package example.com/app/internal/gen; to add it:",
            "The package example.com/app/internal/gen belongs",
        ),
        (
            "main.go:3:8: package example.com/app/gen is not in std (/usr/local/go/src/example.com/app/gen)",
            "The package example.com/app/gen belongs",
        ),
        ("main.go:3:8: no required module provides package example.com/application; to add it:", "go mod tidy"),
        ("./main.go:4:18: undefined: db.Open", "db/native.go of the source is left out"),
        (
            "package example.com/app\n\timports example.com/app/db: build constraints exclude all Go files in /src/db",
            "db/native.go of the source",
        ),
        ("main.go:9: syntax error", "Correct the source at the lines named, then"),
    ],
)
def test_a_failure_of_the_sources_own_module_names_what_is_missing(printed: str, remedy: str) -> None:
    failure = docker_image.failure({"failed": True, "msg": failed(*printed.splitlines())}, APP)
    assert remedy in failure.remedy


TAGGED = {
    "module_path": "example.com/app",
    "module_dir": "svc",
    "cgo_files": ["svc/db/native.go"],
    "tagged_files": [["svc/dev.go", "main", "dev"], ["svc/asset/asset.go", "asset", "dev,local"]],
}


@pytest.mark.parametrize(
    ("printed", "remedy"),
    [
        ("./main.go:135:63: undefined: asset.Assets", "svc/asset/asset.go is left out of the build, since it asks for build tags"),
        (
            "./main.go:135:63: undefined: asset.Assets",
            "go_service_build_tags: [dev, local]. If it is in a file that a tool makes, make that before",
        ),
        ("asset/open.go:3:2: undefined: files", "svc/asset/asset.go is left out"),
        ("./main.go:3:2: undefined: pages", "svc/dev.go is left out of the build"),
        ("./main.go:3:2: undefined: db.Open", "svc/db/native.go of the source is left out, since it imports"),
        ("other/open.go:3:2: undefined: files", "svc/db/native.go of the source is left out, since it imports"),
        ("/go/pkg/mod/example.org/x@v1.0.0/a.go:3:2: undefined: asset.Assets", "svc/db/native.go"),
    ],
)
def test_a_name_that_a_file_left_out_for_its_tags_may_have_is_told_with_the_tags(printed: str, remedy: str) -> None:
    failure = docker_image.failure({"failed": True, "msg": failed(*printed.splitlines())}, TAGGED)
    assert remedy in failure.remedy


@pytest.mark.parametrize(
    ("printed", "work_dir", "told"),
    [
        ("go: example.com/app@v1.5.6: reading https://proxy.example.org/example.com/app/@v/v1.5.6.mod: 403 Forbidden", ".", True),
        ("lib/a.go:17:2: example.com/app@v1.5.6: reading https://p/example.com/app/@v/v1.5.6.mod: 404 Not Found", ".", True),
        ("go: example.com/app@v1.5.6: dial tcp: lookup p: no such host", None, False),
        ("go: example.com/apples@v1.5.6: reading https://p/x.mod: 403 Forbidden", ".", False),
        ("./main.go:12:2: undefined: foo", ".", False),
    ],
)
def test_a_workspace_that_looks_elsewhere_for_the_sources_own_module_is_told_how_to_be_left_out(
    printed: str, work_dir: str | None, told: bool
) -> None:
    failure = docker_image.failure({"failed": True, "msg": failed(*printed.splitlines())}, {**APP, "work_dir": work_dir})
    assert ('GOWORK: "off"' in failure.remedy) is told


@pytest.mark.parametrize(
    ("builder", "message", "output", "words"),
    [
        (docker_image, "Error building api - message: pull access denied for golang", "", "pull access denied for golang"),
        (docker_image, "Error building api - code: 1, message: x, logs: [not a list", "", "the build failed: x"),
        (
            docker_image,
            "('Connection broken: IncompleteRead(0 bytes read)', IncompleteRead(0 bytes read)): invalid literal for int() with base 16: b''",
            "",
            "the build failed: the connection to the Engine broke",
        ),
        (buildx, "Building failed", "ERROR: failed to connect to the builder", "failed to connect to the builder"),
    ],
)
def test_a_build_that_fails_before_its_first_step(builder: ModuleType, message: str, output: str, words: str) -> None:
    failure = builder.failure({"failed": True, "msg": message, "stderr": output})
    assert words in "\n".join([failure.message, *failure.evidence])
    assert failure.remedy


DNS_2 = (
    "fetch https://dl-cdn.alpinelinux.org/alpine/v3.20/main/x86_64/APKINDEX.tar.gz\n"
    "WARNING: fetching https://dl-cdn.alpinelinux.org/alpine/v3.20/main: temporary error (try again later)\n"
    "ERROR: unable to select packages:\n  tzdata (no such package):\n    required by: world[tzdata]"
)


DNS_3 = (
    "WARNING: updating and opening https://dl-cdn.alpinelinux.org/alpine/v3.24/main/x86_64/APKINDEX.tar.gz: DNS: name does not exist\n"
    "4 unavailable, 0 stale; 17 distinct packages available\n"
    "ERROR: unable to select packages:\n  tzdata (no such package):\n    required by: world[tzdata]"
)


ALIKE = {
    DNS_2: "apk does not reach",
    DNS_3: "apk does not reach",
    "ERROR: tzdata-2025b-r0: package mentioned in index not found (try 'apk update')": "apk does not reach",
    "ERROR: curl-8.1-r0: TLS: server certificate not trusted": "go_service_ca_certificates",
    "ERROR: unable to select packages:\n  curl-8.17.0-r1:\n    breaks: world[curl=8.1.0-r0]": "names and versions in go_service_packages",
    "ERROR: 'cu rl' is not a valid world dependency, format is name(@tag)([<>~=]version)": "names and versions in go_service_packages",
    "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied": "go_service_runtime_image that runs as root",
    "adduser: /etc/passwd: Permission denied": "go_service_runtime_image that runs as root",
    "Error building app - code: None, message: network nonet not found": "The Engine has no network nonet. Set go_service_build_network",
    "go: unsupported GOOS/GOARCH pair linux/z80": "Leave GOOS and GOARCH out of go_service_build_env",
    "go: example.org/y@v1.0.0: module lookup disabled by GOPROXY=off": "cannot download modules",
    "go: module ./dep requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)": "./dep, on which the source depends, needs Go 1.99",
    "go: example.org/dep@v1.2.3 requires go >= 1.30 (running go 1.27.3)": "example.org/dep@v1.2.3, on which the source depends, needs Go 1.30",
    "go: go.work requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "The module needs a newer Go",
}


@pytest.mark.parametrize(("printed", "remedy"), ALIKE.items())
def test_words_that_look_alike_are_told_apart(printed: str, remedy: str) -> None:
    assert remedy in explain("", "RUN x", printed.splitlines()).remedy


def test_lines_with_nothing_on_them_are_left_out() -> None:
    assert explain("", "RUN x", ["a", "", " ", "", "b"]).evidence == ["a", "b"]


PROJECT = st.fixed_dictionaries(
    {},
    optional={
        "module_path": LOG_TEXT,
        "cgo_files": st.lists(LOG_TEXT, max_size=2),
        "tagged_files": st.lists(st.lists(LOG_TEXT, min_size=3, max_size=3), max_size=2),
    },
)


@EXAMPLES
@given(head=LOG_TEXT, instruction=LOG_TEXT, printed=st.lists(LOG_TEXT, max_size=5), project=PROJECT)
@example(head="", instruction="", printed=[], project={})
@example(head="", instruction="", printed=["package x is not in std {0} {1}"], project={"module_path": "x"})
@example(head="", instruction="", printed=["build constraints exclude all Go files in {1}{x}"], project={})
def test_any_build_log_is_explained(head: str, instruction: str, printed: list[str], project: dict[str, Any]) -> None:
    assert_shown(build_log.explain(head, instruction, printed, project))


@EXAMPLES
@given(message=LOG_TEXT, stdout=LOG_TEXT, stderr=LOG_TEXT, project=PROJECT)
@example(message=", logs: [" + "[" * 50_000, stdout="", stderr="", project={})
@example(message=", logs: " + "-" * 50_000 + "1", stdout="", stderr="", project={})
@example(message=", logs: ['a', 1, None, b'x', {}]", stdout="", stderr="", project={})
@example(message=", logs: 1", stdout="", stderr="", project={})
@example(message=", logs: None", stdout="", stderr="", project={})
def test_any_result_of_a_builder_is_explained(message: str, stdout: str, stderr: str, project: dict[str, Any]) -> None:
    result = {"failed": True, "msg": message, "stdout": stdout, "stderr": stderr}
    for builder in (docker_image, buildx):
        assert_shown(builder.failure(result, project))
        assert_shown(builder.failure({"stdout": stdout, "stderr": stderr}, project))
        for step in build_log.steps(builder.log(result)):
            assert step["instruction"] is not None
        builder.was_cached(builder.log(result))


@EXAMPLES
@given(value=st.text(min_size=8, max_size=30), before=LOG_TEXT, after=LOG_TEXT)
def test_no_value_is_quoted(value: str, before: str, after: str) -> None:
    """Wherever it stands: the values of the build by their instruction, all others by what they are."""
    masked = mask(f"{before}{value}{after}", (value,))
    assert value not in masked or value in before + after or not mask(value, (value,)).count("***")


REFUSED = {
    'go: a.org/b@v1.2.0: unrecognized import path "a.org/b": reading https://a.org/b?go-get=1: 401 Unauthorized': "a.org",
    "go: m.org/b@v1.2.0: reading https://me:xxxxx@a.org/goproxy/m.org/b/@v/v1.2.0.mod: 403 Forbidden": "a.org",
    "fatal: Authentication failed for 'https://a.org/team/b.git/'": "a.org",
    # Go and git take a host with a port for another one than without.
    "fatal: Authentication failed for 'https://me@a.org:8443/team/b.git/'": "a.org:8443",
    "fatal: repository 'https://a.org/team/b/' not found": "a.org",
}


@pytest.mark.parametrize(("printed", "host"), REFUSED.items())
def test_a_host_that_refuses_a_credential_is_told_from_one_that_got_none(printed: str, host: str) -> None:
    for credentials, words in {
        (): "lets nobody read a module without a credential",
        ("b.org",): "lets nobody read a module without a credential",
        ("a.org:1",): "lets nobody read a module without a credential",
        (host,): "refuses the user or the token",
        (f"{host}/team/b",): "refuses the user or the token",
        ("netrc",): "refuses the user or the token",
    }.items():
        assert explain("", "RUN x", [printed], {"credentials": credentials}).remedy.startswith(f"{host} {words}")
