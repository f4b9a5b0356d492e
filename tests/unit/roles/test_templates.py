"""The two generated files, rendered by the role's own action: the design's letter, quoting, other tools' opinion of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.module_utils.image.dockerfile import with_values, without_values
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.source import errors
from plays import RUNTIME

Generate = Callable[..., dict[str, str]]
INSTRUCTIONS = {"FROM", "LABEL", "ENV", "ARG", "WORKDIR", "RUN", "COPY", "EXPOSE", "USER", "HEALTHCHECK", "ENTRYPOINT"}


def instructions(dockerfile: str) -> list[str]:
    """Return the instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.split("\n") if not line.startswith("#")]
    return [line for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n") if line]


@pytest.mark.parametrize(
    "line",
    [
        "FROM golang:1.27-alpine3.24 AS build",
        'ENV CGO_ENABLED=0 GOOS=linux GOTOOLCHAIN=local GOCACHE=/var/cache/go-build GOFLAGS="-trimpath -buildvcs=false -gcflags=all=-dwarf=false"',
        "COPY . /src/",
        'RUN go build -ldflags="-w -s" -o /out/cat-server .',
        "FROM alpine:3.24",
        "RUN adduser -D -H -s /sbin/nologin app",
        "ENV PORT=8080",
        "EXPOSE 8080",
        "USER app",
        "HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 "
        'CMD ["wget", "--no-verbose", "--tries=1", "--spider", "http://localhost:8080/health"]',
        'ENTRYPOINT ["/usr/local/bin/cat-server"]',
        "COPY --from=build --chown=app:app /out/cat-server /usr/local/bin/cat-server",
    ],
)
def test_the_design_to_the_letter(generate: Generate, line: str) -> None:
    assert line in instructions(generate()["dockerfile"])


def test_two_stages_and_only_the_binary_crosses(generate: Generate) -> None:
    found = instructions(generate()["dockerfile"])
    stages = [line for line in found if line.startswith("FROM")]
    second = found[found.index(stages[1]) :]
    assert len(stages) == 2
    assert [line for line in second if line.startswith(("COPY", "ADD", "RUN"))] == [
        "RUN adduser -D -H -s /sbin/nologin app",
        "COPY --from=build --chown=app:app /out/cat-server /usr/local/bin/cat-server",
    ]


@pytest.mark.parametrize(
    ("project", "changes", "expected", "unexpected"),
    [
        pytest.param({}, {"packages": ["tzdata", "curl>=8"]}, ["RUN apk add --no-cache tzdata 'curl>=8'"], [], id="packages"),
        pytest.param({}, {"uid": 10001}, ["RUN adduser -D -H -s /sbin/nologin -u 10001 app", "USER app"], [], id="uid"),
        pytest.param({}, {"uid": 10001, "numeric_user": True}, ["USER 10001"], ["USER app"], id="numeric user"),
        pytest.param({}, {"user": "web"}, ["USER web", "COPY --from=build --chown=web:web"], ["app"], id="user"),
        pytest.param({}, {}, [], ["image.version"], id="no version"),
        pytest.param({}, {"version": "1.4"}, ['LABEL org.opencontainers.image.version="1.4"'], [], id="version"),
        pytest.param({}, {"name": "api"}, ["-o /out/api .", "/usr/local/bin/api"], ["cat-server"], id="name"),
        pytest.param(
            {},
            {"port": 9000, "health_path": "/-/ready", "health_host": "127.0.0.1", "health_retries": 5, "health_interval": "1m30s"},
            ["EXPOSE 9000", "ENV PORT=9000", "--interval=1m30s", "--retries=5", '"--spider", "http://127.0.0.1:9000/-/ready"'],
            ["8080"],
            id="health",
        ),
        pytest.param(
            {},
            {"health_scheme": "https", "health_headers": {"X-Probe": 'a "b" $c'}},
            ['"--spider", "--no-check-certificate", "--header=X-Probe: a \\"b\\" $c", "https://localhost:8080/health"]'],
            ["http://"],
            id="health by TLS, with a header",
        ),
        pytest.param(
            {},
            {"health_command": ["/usr/local/bin/api", "health"]},
            ['CMD ["/usr/local/bin/api", "health"]'],
            ["wget"],
            id="health command",
        ),
        pytest.param({}, {"ldflags": ""}, ['-ldflags=""'], ["-w"], id="no flags"),
        pytest.param(
            {}, {"build_tags": ["a", "b.c"]}, ['GOFLAGS="-trimpath -buildvcs=false -gcflags=all=-dwarf=false -tags=a,b.c"'], [], id="tags"
        ),
        pytest.param({}, {"build_args": {"REV": "1"}}, ['ARG REV="***"'], ["REV=1"], id="arguments"),
        pytest.param({}, {"run_tests": True}, ["RUN go test ./..."], [], id="tests"),
        pytest.param({"main_package": "./cmd/x"}, {}, ["-o /out/cat-server ./cmd/x"], [], id="main package"),
        pytest.param({"std_packages": []}, {}, ["COPY . /src/"], ["for package in"], id="no imports"),
        pytest.param(
            {"module_dir": "services/api", "has_requirements": True, "module_packages": ["example.org/x"]},
            {},
            ["WORKDIR /src/services/api", "COPY services/api/go.mod services/api/go.su[m] ./", "RUN go mod download", "example.org/x"],
            ["vendor"],
            id="module below the root, with requirements",
        ),
        pytest.param(
            {"has_requirements": True, "vendored": True, "module_packages": ["example.org/x"]},
            {},
            ["COPY go.mod go.su[m] ./", "COPY vendor/ vendor/"],
            ["go mod download"],
            id="vendored",
        ),
        pytest.param(
            {
                "has_requirements": True,
                "work_dir": ".",
                "module_dir": "app",
                "local_modules": ["lib", "."],
                "module_packages": ["example.org/x"],
            },
            {},
            [
                "WORKDIR /src/app",
                "COPY app/go.mod app/go.su[m] ./\nCOPY lib/go.mod lib/go.su[m] /src/lib/\nCOPY go.mod go.su[m] /src/\n"
                "COPY go.work go.work.su[m] /src/\nRUN go mod download\nRUN go build example.org/x",
            ],
            ["vendor"],
            id="workspace",
        ),
        pytest.param(
            {"has_requirements": True, "work_dir": "a", "module_dir": "a/app", "vendored": True, "module_packages": ["example.org/x"]},
            {},
            ["COPY a/go.work a/go.work.su[m] /src/a/\nCOPY a/vendor/ /src/a/vendor/\nRUN go build example.org/x"],
            ["go mod download"],
            id="vendored workspace",
        ),
        pytest.param({"profiled": True, "module_packages": ["example.org/x"]}, {}, [], ["for package in", "example.org"], id="profile"),
    ],
)
def test_what_follows_from_the_input(
    generate: Generate, project: dict[str, Any], changes: dict[str, Any], expected: list[str], unexpected: list[str]
) -> None:
    text = "\n".join(instructions(generate(project, **changes)["dockerfile"]))
    assert [part for part in expected if part not in text] == []
    assert [part for part in unexpected if re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", text)] == []


def test_the_same_input_gives_the_same_bytes(generate: Generate) -> None:
    assert generate() == generate()


# Whatever the input lets through: quotes, shell and Dockerfile syntax, Jinja, trailing escapes.
HOSTILE = [
    'a"b',
    "a'b",
    "a\\",
    "\\",
    '\\"',
    "$HOME ${PATH} $$",
    "`id` $(id)",
    "{{ 1 + 1 }}{% for %}",
    "a # b",
    " a  b ",
    "\\n USER root",
    "*",
    "é€",
    '" USER root "',
    "",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_starts_an_instruction(generate: Generate, settings: Callable[..., Settings], value: str) -> None:
    everywhere = {
        "build_env": {"A": value, "B": "b"},
        "build_args": {"C": value},
        "args": [value],
        "env": {"A": value},
        "labels": {"a": value},
        "waivers": {"binary-static": value or "x"},
    }
    plain = instructions(generate(build_env={"A": "a", "B": "b"}, build_args={"C": "c"})["dockerfile"])
    found = instructions(generate(**everywhere)["dockerfile"])
    assert [line for line in plain if not line.startswith("ENV A=")] == [line for line in found if not line.startswith("ENV A=")]
    assert {line.partition(" ")[0] for line in found} <= INSTRUCTIONS
    assert {'ENV A="***"', 'ARG C="***"'} <= set(found)
    built = instructions(with_values(generate(**everywhere)["dockerfile"], settings(**everywhere)))
    assert [line for line in found if "***" not in line] == [line for line in built if line in found]
    assert {line.partition("=")[0] for line in built if line not in found} <= {"ENV A", "ENV B", "ARG C"}
    assert instructions(without_values("\n".join(built))) == found


@pytest.mark.engine
def test_the_engine_reads_quoted_values_as_they_were(
    engine: Engine, client: Callable[..., str], generate: Generate, settings: Callable[..., Settings]
) -> None:
    wanted = {f"V{number}": value for number, value in enumerate(HOSTILE)}
    both = {"build_env": wanted, "build_args": {f"A{name}": value for name, value in wanted.items()}}
    lines = instructions(with_values(generate(**both)["dockerfile"], settings(**both)))
    arguments = "".join(f"{line}\n" for line in lines if line.startswith("ARG AV"))
    # Few instructions: each costs the Engine a commit.
    pairs = [line[4:] for line in lines if line.startswith("ENV V")] + [f"{name}=${name}" for name in both["build_args"]]
    client("build", "-q", "-t", "utest-env", "-", stdin=f"FROM scratch\n{arguments}ENV {' '.join(pairs)}\n")
    stored = dict(item.split("=", 1) for item in engine.image("utest-env")["Config"]["Env"])
    assert {name: stored[name] for name in both["build_env"]} == wanted
    assert {name[1:]: stored[name] for name in both["build_args"]} == wanted


# What the directories of a source may be called.
NAMES = ["$(id>x) `id>x`;id>x&&#", "q'd\" $HOME ${PATH}", "--from=x", "[b]*? back\\slash\\", "é€ {{ 1 }} %s ", "<<EOF|!x,'"]


@pytest.mark.engine
@pytest.mark.parametrize("buildkit", ["0", "1"])
def test_no_name_of_a_directory_reaches_a_shell_or_the_dockerfile(
    engine: Engine, generate: Generate, tmp_path: Path, buildkit: str
) -> None:
    """Each builder takes every name for what it is: a stand-in for go notes where it is called, and with what."""
    client = "/usr/bin/docker" if buildkit == "1" and Path("/usr/bin/docker").exists() else "docker"
    lines = [f"FROM {RUNTIME}", "COPY go /usr/bin/go", "COPY . /src/"]
    for name in NAMES:
        (tmp_path / name / "vendor").mkdir(parents=True)
        (tmp_path / name / "go.mod").write_text(name)
        (tmp_path / name / "vendor/modules.txt").write_text(name)
        facts = {"module_dir": name, "main_package": f"./{name}", "has_requirements": True, "vendored": True, "std_packages": []}
        found = instructions(generate(facts)["dockerfile"])
        lines += [
            line for line in found[: found.index("FROM alpine:3.24")] if line.startswith(("WORKDIR", "COPY go", "COPY [", "RUN go build"))
        ]
    (tmp_path / "go").write_text('#!/bin/sh\nshift 4\nprintf "%s\\n%s\\n%s\\n" "$PWD" "$*" "$(cat go.mod vendor/modules.txt)" >>/called\n')
    (tmp_path / "go").chmod(0o755)
    (tmp_path / "Dockerfile").write_text("\n".join(lines) + "\n")
    command = [client, "build", "-q", "-t", f"utest-names-{buildkit}", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": buildkit}, capture_output=True, text=True, check=False)
    if buildkit == "1" and "buildx" in done.stderr and done.returncode:
        pytest.skip("no BuildKit on this machine")
    assert done.returncode == 0, done.stderr
    show = [client, "run", "--rm", "--entrypoint", "cat", f"utest-names-{buildkit}", "/called"]
    called = subprocess.run(show, capture_output=True, text=True, check=True).stdout.splitlines()
    assert called == [line for name in NAMES for line in (f"/src/{name}", f"./{name}", name + name)]


@pytest.mark.parametrize("where", ["module_dir", "main_package"])
@pytest.mark.parametrize("name", ["a\nUSER root", "a\rb", "a\u2028b", "a\x1bb", "a\udcffb"])
def test_a_name_that_no_dockerfile_can_hold_is_refused(generate: Generate, where: str, name: str) -> None:
    with pytest.raises(errors.SourceError, match="does not print") as caught:
        generate({where: f"./{name}"})
    assert str(caught.value).isprintable()


CHECKOV = Path(sys.executable).parents[1] / "checkov/bin/checkov"
HADOLINT = shutil.which("hadolint") or str(Path(sys.executable).with_name("hadolint"))


TOKEN = {"git.example.com": {"token": "t0ken-of-the-host"}}
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
LINTED = {
    "default": ({}, {}),
    "packages and tests": ({}, {"packages": ["tzdata=2026a-r0"], "run_tests": True, "build_tags": ["netgo"]}),
    "packages without versions": ({}, {"packages": ["tzdata", "ca-certificates"], "version": "1.2", "health_host": "127.0.0.1"}),
    # hadolint takes the quote after a backslash for a part of the value, even if that backslash is escaped itself.
    "environment": ({}, {"build_env": {f"V{n}": v for n, v in enumerate(HOSTILE) if "\\" not in v}, "build_args": {"REV": "1"}}),
    "files, directories and the rest": (
        {"files": [{"src": "web", "dest": "/app/web", "owner": "root", "kind": "directory"}]},
        {
            "workdir": "/app",
            "directories": ["files", "/data"],
            "image_labels": {"com.example.team": "a"},
            "publish_more": ["127.0.0.1:9100:9100"],
            "stop_signal": "SIGQUIT",
            "health_scheme": "https",
            "health_headers": {"X-Probe": "yes"},
        },
    ),
    "private modules": ({"has_requirements": True, "module_packages": ["example.org/x"]}, {"build_secrets": TOKEN}),
    "private modules, mounted": ({"has_requirements": True}, {"build_secrets": TOKEN, "builder": "buildx"}),
    "an authority of the build's own": ({"has_requirements": True}, {"ca_certificates": AUTHORITY, "packages": ["tzdata"]}),
    "an authority of the service as well": (
        {"std_packages": []},
        {"ca_certificates": AUTHORITY, "ca_in_image": True, "packages": ["tzdata"]},
    ),
    "requirements": ({"has_requirements": True, "module_packages": ["example.org/x"], "module_dir": "a/b"}, {}),
    "vendored": ({"has_requirements": True, "vendored": True, "module_packages": ["example.org/x"], "std_packages": ["fmt"]}, {}),
}


def test_hadolint_is_content(generate: Generate, tmp_path: Path) -> None:
    """Nothing at `warning`; where the user is named by its number nothing at all."""
    for name, (project, changes) in LINTED.items():
        (tmp_path / f"{name}, named user").write_text(generate(project, **changes)["dockerfile"])
        (tmp_path / f"{name}, numeric user").write_text(generate(project, **changes, uid=10001, numeric_user=True)["dockerfile"])
    command = [HADOLINT, "--no-color", "--format", "json", *sorted(file.name for file in tmp_path.iterdir())]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    findings = [
        f"{item['file']}, line {item['line']}: {item['level']} {item['code']} {item['message']}" for item in json.loads(done.stdout)
    ]
    expected = "named user, line [0-9]+: info DL3066 "
    assert [finding for finding in findings if not re.search(expected, finding)] == []
    assert len(findings) == len(LINTED)


# The .dockerignore file


@pytest.fixture(scope="module")
def rules(generate: Generate) -> IgnoreRules:
    """Return the rules of the default .dockerignore file."""
    return IgnoreRules(generate()["dockerignore"].splitlines())


KEPT_OUT = [
    ".git/config",
    ".env",
    ".env.local",
    ".envrc",
    "id_rsa",
    "id_ed25519",
    "tls.pem",
    "tls.key",
    ".ssh/known_hosts",
    ".netrc",
    ".aws/credentials",
]


@pytest.mark.parametrize("above", ["", "a/", "a/b/c/d/", "vendor/example.org/x/", "cmd/.hidden/"])
@pytest.mark.parametrize("path", KEPT_OUT)
def test_what_is_secret_stays_out_at_any_depth(rules: IgnoreRules, above: str, path: str) -> None:
    assert rules.ignored(above + path)


@pytest.mark.parametrize(
    "path", ["go.mod", "go.sum", "main.go", "a/b.go", "vendor/modules.txt", "static/index.html", "a/README.txt", "environment.go"]
)
def test_what_a_build_needs_comes_in(rules: IgnoreRules, path: str) -> None:
    assert not rules.ignored(path)


@pytest.mark.parametrize(("run_tests", "ignored"), [(False, True), (True, False)])
def test_tests_come_along_only_where_they_run(generate: Generate, run_tests: bool, ignored: bool) -> None:
    rules = IgnoreRules(generate(run_tests=run_tests)["dockerignore"].splitlines())
    assert rules.ignored("a/x_test.go") is ignored


def test_the_users_patterns_come_last(generate: Generate) -> None:
    rules = IgnoreRules(generate(dockerignore=["/web", "!testdata/public.pem"])["dockerignore"].splitlines())
    assert rules.ignored("web/x.js")
    assert not rules.ignored("testdata/public.pem")
    assert rules.ignored("testdata/private.pem")


@pytest.mark.parametrize("path", ["README.md", "web/node_modules/left-pad/index.js", "docs.md", "README[1].md", "CHANGELOG ünd.md"])
def test_embedded_files_come_back_in(generate: Generate, path: str) -> None:
    rules = IgnoreRules(generate({"embedded_files": [path, "static/x"]})["dockerignore"].splitlines())
    assert not rules.ignored(path)
    assert rules.ignored("README.txt")


@pytest.mark.parametrize("path", [".env", "static/server.pem"])
def test_an_embedded_credential_is_a_question(generate: Generate, path: str) -> None:
    with pytest.raises(errors.SourceError) as caught:
        generate({"embedded_files": [path]})
    assert path in caught.value.message
    assert f'go_service_dockerignore: ["!{path}"]' in caught.value.remedy
    assert not IgnoreRules(generate({"embedded_files": [path]}, dockerignore=[f"!{path}"])["dockerignore"].splitlines()).ignored(path)


@pytest.mark.skipif(not CHECKOV.exists(), reason="no checkov: make unit installs it")
def test_checkov_is_content(generate: Generate, tmp_path: Path) -> None:
    """None of its Dockerfile checks fails."""
    for name, (project, changes) in LINTED.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(generate(project, **changes)["dockerfile"])
    command = [CHECKOV, "--directory", tmp_path, "--framework", "dockerfile", "--output", "json", "--compact", "--skip-download"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["results"]["failed_checks"] == []
    assert report["summary"]["parsing_errors"] == 0
    assert {check["file_path"] for check in report["results"]["passed_checks"]} == {f"/{name}/Dockerfile" for name in LINTED}


CROSS = {"platform": "linux/arm64", "directories": [".", "data/new"], "files": [{"src": "a", "mode": "0755", "owner": "app"}]}


def stages(dockerfile: str) -> list[list[str]]:
    """Return the instructions of each stage."""
    found: list[list[str]] = []
    for line in instructions(dockerfile):
        if line.startswith("FROM"):
            found.append([])
        found[-1].append(line)
    return found


@pytest.mark.parametrize("kind", ["dockerfile", "dockerfile_buildkit"])
def test_nothing_is_run_on_the_base_of_another_platform(generate: Generate, kind: str) -> None:
    """The builder is the host's own, and compiles for the other one."""
    build, base, system, image = stages(generate(**CROSS, ca_certificates=AUTHORITY, ca_in_image=True)[kind])
    assert (build[0], system[0]) == ("FROM golang:1.27-alpine3.24 AS build", "FROM golang:1.27-alpine3.24 AS system")
    assert base == ["FROM --platform=linux/arm64 alpine:3.24-linux-arm64 AS base"] and image[0] == "FROM base"
    assert not [line for line in image if line.startswith("RUN")]
    assert " GOARCH=arm64 " in build[1]
    assert any('base.name="alpine:3.24"' in line for line in image)


def test_the_hosts_own_image_knows_nothing_of_other_platforms(generate: Generate) -> None:
    own = generate(**{**CROSS, "platform": ""})["dockerfile"]
    assert not [word for word in ("GOARCH", "--platform", "go-service.platform", "AS system") if word in own]


def test_tests_run_by_the_host_also_where_the_image_is_for_another_platform(generate: Generate) -> None:
    assert "RUN env -u GOARCH go test ./..." in instructions(generate(**CROSS, run_tests=True)["dockerfile"])
