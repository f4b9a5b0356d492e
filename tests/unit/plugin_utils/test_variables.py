"""The input of the role: each variable takes what it should, and refuses the rest with a sentence that helps."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import references
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import BUDGETS, Budget, Endpoint, File, Publication
from ansible_collections.proven.go_service.plugins.plugin_utils import units, variables

DIGEST = "sha256:" + "0123456789abcdef" * 4

# Variable -> (accepted value, what it becomes), rejected value.
EXAMPLES: dict[str, tuple[Any, Any, Any]] = {
    "name": ("price-api", "price-api", "Price API"),
    "source": ("~/src/price api", "~/src/price api", ""),
    "source_type": ("git", "git", "svn"),
    "source_version": ("v1.4.2", "v1.4.2", "main\n"),
    "module_dir": ("services/price", "services/price", "../price"),
    "main_package": ("./cmd/server", "./cmd/server", "./cmd/a b"),
    "version": (1.4, "1.4", "-1"),
    "builder_image": ("golang:1.27-alpine3.24", "golang:1.27-alpine3.24", "golang:"),
    "runtime_image": (f"alpine@{DIGEST}", f"alpine@{DIGEST}", "alpine:3.24 AS x"),
    "builder": ("buildx", "buildx", "kaniko"),
    "build_tags": (["netgo", "go1.27"], ("netgo", "go1.27"), ["a,b"]),
    "ldflags": ("-X main.version=1.4+5", "-X main.version=1.4+5", '-w" && id #'),
    "run_tests": ("yes", True, 1),
    "build_args": ({"REV": 7}, {"REV": "7"}, {"A B": ""}),
    "build_env": ({"GOPROXY": "off"}, {"GOPROXY": "off"}, {"GOPROXY": True}),
    "build_network": ("host", "host", "--rm"),
    "build_timeout": ("60", 60, 0),
    "dockerignore": (["/web", "!web/dist"], ("/web", "!web/dist"), ["../x"]),
    "context_limit_mb": ("0.5", 0.5, "nan"),
    "workdir": ("/app/", "/app", "app"),
    "files": (
        [{"src": "web/./templates", "dest": "t"}, {"src": "a.toml", "owner": "app"}],
        (File("web/templates", "t", "root"), File("a.toml", "a.toml", "app")),
        [{"src": "../x"}],
    ),
    "directories": (["files", "/data/"], ("files", "/data"), ["a b"]),
    "packages": (["tzdata", "curl>=8.0-r1"], ("tzdata", "curl>=8.0-r1"), ["a;id"]),
    "image_labels": ({"com.example/team": 1}, {"com.example/team": "1"}, {"a b": "1"}),
    "user": ("_web-1", "_web-1", "app:app"),
    "uid": ("10001", 10001, 0),
    "numeric_user": (False, False, "maybe"),
    "port": (65535, 65535, 65536),
    "publish": ("[::1]:443", Endpoint("::1", 443), "localhost:443"),
    "publish_more": (
        ["127.0.0.1:9100:9101", "[::1]:80:8080", "90:91"],
        (
            Publication(Endpoint("127.0.0.1", 9100), 9101),
            Publication(Endpoint("::1", 80), 8080),
            Publication(Endpoint("0.0.0.0", 90), 91),
        ),
        ["9100"],
    ),
    "health_path": ("/-/ready?full=1", "/-/ready?full=1", "health"),
    "health_host": ("[::1]", "[::1]", "a b"),
    "health_scheme": ("https", "https", "ftp"),
    "health_headers": ({"X-Probe": 1}, {"X-Probe": "1"}, {"X Probe": "1"}),
    "health_command": (["/usr/local/bin/api", "health"], ("/usr/local/bin/api", "health"), "api health"),
    "health_interval": ("1m30s", 90.0, "30"),
    "health_timeout": ("1.5s", 1.5, "0s"),
    "health_start_period": ("500ms", 0.5, "soon"),
    "health_retries": (1, 1, 101),
    "args": (["-dir", 5], ("-dir", "5"), "-dir /srv"),
    "env": ({"LOG_LEVEL": "debug"}, {"LOG_LEVEL": "debug"}, {"1A": "x"}),
    "secret_files": ({"tls.key": "a\nb\n", "n": 1}, {"tls.key": "a\nb\n", "n": "1"}, {"../x": "a"}),
    "volumes": (["/srv:/srv:ro", "data:/data"], ("/srv:/srv:ro", "data:/data"), ["srv"]),
    "labels": ({"com.example/team": "x"}, {"com.example/team": "x"}, ["team"]),
    "network": ("backend", "backend", "a b"),
    "networks": (["backend"], ("backend",), ["a b"]),
    "restart_policy": ("no", "no", False),
    "memory": ("6m", 6 << 20, "5m"),
    "cpus": (0.5, 0.5, 0),
    "pids_limit": (10, 10, -1),
    "read_only": (True, True, None),
    "tmpfs": ({"/run": ""}, {"/run": ""}, {"run": ""}),
    "cap_drop": (["ALL"], ("ALL",), ["all"]),
    "cap_add": (["CAP_NET_RAW"], ("CAP_NET_RAW",), ["NET RAW"]),
    "log_max_size": ("1G", 10**9, "big"),
    "log_max_file": (1, 1, 0),
    "stop_timeout": (0, 0, 3601),
    "stop_signal": ("SIGQUIT", "SIGQUIT", "SIGKILL"),
    "image_tag": ("3f2a91c07b6e", "3f2a91c07b6e", "a" * 129),
    "deploy_strategy": ("recreate", "recreate", "rolling"),
    "start_timeout": (0.5, 0.5, 0),
    "stable_seconds": (0, 0.0, -1),
    "keep_images": (1, 1, 0),
    "lock_timeout": (0, 0, 86401),
    "work_dir": ("/srv/go", "/srv/go", ""),
    "report_dir": ("reports/", "reports/", []),
    "budget": ({"image_mb": "20", "max_high": 0}, Budget(image_mb=20.0, max_high=0), {"image_mb": -1}),
    "budget_warn_only": (["image_mb"], ("image_mb",), ["size"]),
    "waivers": ({"binary-static": "uses cgo"}, {"binary-static": "uses cgo"}, {"binary-static": " "}),
}


def problem(raw: dict[str, Any], **changes: Any) -> str:
    """Return the one problem that changes to good input lead to."""
    with pytest.raises(variables.InputError) as caught:
        variables.check_variables({**raw, **changes})
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def check_sentence(sentence: str, name: str, value: Any) -> None:
    """Insist on the variable, the value or the part of it that is wrong, and what to write instead."""
    beginning = "" if isinstance(value, (dict, list)) else f"is {value!r}, which "
    assert sentence.startswith(f"go_service_{name} {beginning}")
    assert sentence.endswith(".")
    assert re.search(r"; |: |, not a |is allowed|are allowed", sentence.removeprefix(f"go_service_{name} {beginning}")), (
        f"no remedy: {sentence}"
    )


@pytest.mark.parametrize("name", ["env", "build_env", "build_args"])
def test_what_may_be_a_secret_is_not_shown(raw: dict[str, Any], name: str) -> None:
    """Neither the wrong value nor the right ones beside it."""
    sentence = problem(raw, **{name: {"PASSWORD": "correct horse", "TOKEN": "battery\nstaple"}})
    assert sentence.startswith(f"go_service_{name} has 'TOKEN' with a value (not shown) that has a line break")
    assert "horse" not in sentence and "battery" not in sentence


def test_every_variable_has_its_examples() -> None:
    assert set(EXAMPLES) == set(variables.FIELDS)


def test_the_defaults_are_taken(raw: dict[str, Any]) -> None:
    checked = variables.check_variables(raw)
    assert set(vars(checked)) == set(variables.FIELDS)
    assert checked.port == 8080


@pytest.mark.parametrize(("name", "value", "expected"), [(name, *example[:2]) for name, example in EXAMPLES.items()])
def test_accepted(raw: dict[str, Any], name: str, value: Any, expected: Any) -> None:
    taken = getattr(variables.check_variables({**raw, name: value}), name)
    assert (taken, type(taken)) == (expected, type(expected))


@pytest.mark.parametrize(("name", "value"), [(name, example[2]) for name, example in EXAMPLES.items()])
def test_rejected(raw: dict[str, Any], name: str, value: Any) -> None:
    check_sentence(problem(raw, **{name: value}), name, value)


HOSTILE = ["\nUSER root", "\n", "\r", "\x00", "\x1b[0m", "\x7f", "\x85", "\u2028", "\u2029", "\t", "\x0b", "\x1c"]


def spoiled(value: Any, ending: str) -> Iterator[Any]:
    """Yield a value with an ending on each text in it, one at a time; numbers and booleans count as the texts they are written as."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {f"{key}{ending}": item}
            yield from ({key: worse} for worse in spoiled(item, ending))
    elif isinstance(value, list):
        yield from ([worse] for item in value for worse in spoiled(item, ending))
    else:
        yield f"{value}{ending}"


# The content of a file may have lines.
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "secret_files"])
def test_no_line_break_and_no_control_character_gets_in(name: str) -> None:
    for ending in HOSTILE:
        for value in spoiled(EXAMPLES[name][0], ending):
            with pytest.raises(units.Rejected):
                variables.FIELDS[name](value)


WRONG_KINDS = [None, True, False, 1, 1.5, -1, "", "x", [], ["x"], [None], [[]], [{}], {}, {"x": None}, {"x": []}, {1: {}}, object()]
HUGE = ["9" * 5000, "-" + "9" * 5000, "9" * 400 + "s", "9" * 400 + "g", "1e999", 10**400, float("inf"), float("nan"), "a" * 100_000]


@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_comes_is_taken_or_rejected(name: str) -> None:
    taken = 0
    for value in [*WRONG_KINDS, *HUGE, *({"image_mb": huge} for huge in HUGE), *([huge] for huge in HUGE)]:
        with contextlib.suppress(units.Rejected):
            variables.FIELDS[name](value)
            taken += 1
    assert taken < len(WRONG_KINDS)


@pytest.mark.parametrize(
    "name",
    [name for name, take in variables.FIELDS.items() if not isinstance(EXAMPLES[name][1], (bool, tuple, dict, Budget))],
)
def test_a_boolean_is_neither_a_text_nor_a_number(raw: dict[str, Any], name: str) -> None:
    check_sentence(problem(raw, **{name: True}), name, True)


@pytest.mark.parametrize("value", [0, 65536, -1, True, "8080\n", " 8080", "0x50", "80.0", 8080.0, "", None, "٨٠"])
def test_wrong_ports(raw: dict[str, Any], value: Any) -> None:
    assert "from 1 to 65535" in problem(raw, port=value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("8080", Endpoint("0.0.0.0", 8080)),
        ("127.0.0.1:1", Endpoint("127.0.0.1", 1)),
        ("0.0.0.0:65535", Endpoint("0.0.0.0", 65535)),
        ("[::]:80", Endpoint("::", 80)),
        ("[0:0::1]:80", Endpoint("::1", 80)),
    ],
)
def test_publish(value: str, expected: Any) -> None:
    assert units.parse_publish(value) == expected


@pytest.mark.parametrize(
    "value", ["0", "65536", "127.0.0.1:", ":", "1.2.3:80", "256.0.0.1:80", "127.0.0.1:80/udp", "127.0.0.1:80-90", "-1"]
)
def test_wrong_publish(value: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_publish(value)


@pytest.mark.parametrize(("text", "expected"), [("1ms", 0.001), ("1.5s", 1.5), ("1m30s", 90.0), ("1h", 3600.0)])
def test_durations(text: str, expected: float) -> None:
    assert units.parse_duration(text) == expected


@pytest.mark.parametrize("text", ["30", "s", "30 s", "30s\n", "-1s", "1d", "1s1", "0s", "0.5ms", "1..5s", "99999999h", ""])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_duration(text)


@pytest.mark.parametrize(("text", "expected"), [("64m", 64 << 20), ("1G", 1 << 30), ("512k", 512 << 10), ("7b", 7), ("7", 7)])
def test_sizes(text: str, expected: int) -> None:
    assert units.parse_size(text) == expected


@pytest.mark.parametrize("text", ["64mb", "1.5g", "64 m", "-1m", "m", "64m\n", "8589934592g"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(units.Rejected):
        units.parse_size(text)


@pytest.mark.parametrize(
    "reference",
    [
        "alpine",
        "alpine:3.24",
        "library/alpine:3.24",
        "registry.example.com/base/alpine:3.24",
        "localhost:5000/alpine",
        f"alpine:3.24@{DIGEST}",
        "a__b/c-d.e:V1_2",
    ],
)
def test_image_references(reference: str) -> None:
    assert references.is_image_reference(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "Alpine",
        "alpine:3.24\n",
        "alpine:3.24\nUSER root",
        "alpine:",
        "alpine:-1",
        "a b",
        "alpine@sha256:12",
        f"alpine@{DIGEST}0",
        "/alpine",
        "alpine//x",
        "https://x/alpine",
        "a..b",
        "-alpine",
        "alpine:" + "x" * 129,
    ],
)
def test_wrong_image_references(reference: str) -> None:
    assert not references.is_image_reference(reference)


@pytest.mark.parametrize(
    ("reference", "parts", "listed"),
    [
        ("alpine", ("alpine", "", ""), "alpine:latest"),
        ("docker.io/library/alpine:3.24", ("docker.io/library/alpine", "3.24", ""), "alpine:3.24"),
        ("library/alpine:3.24", ("library/alpine", "3.24", ""), "alpine:3.24"),
        ("localhost:5000/alpine", ("localhost:5000/alpine", "", ""), "localhost:5000/alpine:latest"),
        (
            "registry.example.com/library/alpine:1",
            ("registry.example.com/library/alpine", "1", ""),
            "registry.example.com/library/alpine:1",
        ),
        ("index.docker.io/user/app", ("index.docker.io/user/app", "", ""), "user/app:latest"),
        (f"alpine:3.24@{DIGEST}", ("alpine", "3.24", DIGEST), f"alpine@{DIGEST}"),
    ],
)
def test_parts_of_an_image_reference(reference: str, parts: tuple[str, str, str], listed: str) -> None:
    assert references.parts_of(reference) == parts
    assert references.canonical(reference) == listed == references.canonical(listed)


@pytest.mark.parametrize(
    ("repo_digests", "digest"), [([f"alpine@{DIGEST}", "alpine@sha256:2"], DIGEST), ([], "sha256:1"), (None, "sha256:1")]
)
def test_the_digest_of_an_image(repo_digests: list[str] | None, digest: str) -> None:
    assert references.digest_of(repo_digests, "sha256:1") == digest


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("go_service_prot", "did you mean go_service_port?"),
        ("go_service_healthpath", "did you mean go_service_health_path?"),
        ("go_service_", ""),
        ("go_service_xyzzy", ""),
    ],
)
def test_unknown_names(name: str, suggestion: str) -> None:
    (sentence,) = variables.unknown_names([name, "go_service_port", "go_servicex", "port"])
    assert sentence.startswith(f"{name} is not a variable")
    assert "Correct or remove it." in sentence
    assert suggestion in sentence and ("did you mean" in sentence) is bool(suggestion)


def test_a_wrong_budget_name_is_corrected(raw: dict[str, Any]) -> None:
    sentence = problem(raw, budget={"imagemb": 1})
    assert "did you mean image_mb?" in sentence
    assert ", ".join(BUDGETS) in sentence


def test_all_problems_come_at_once(raw: dict[str, Any]) -> None:
    wrong = {"port": 0, "user": "Root", "health_interval": "30"}
    with pytest.raises(variables.InputError) as caught:
        variables.check_variables({**raw, **wrong})
    assert [sentence.partition(" ")[0] for sentence in caught.value.problems] == [
        "go_service_user",
        "go_service_port",
        "go_service_health_interval",
    ]
    assert str(caught.value).splitlines() == caught.value.problems


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("volumes", ["a", "/a:/b", "c"], ["'a'", "'c'"]),
        ("env", {"A-B": "x", "C": "y", "D": []}, ["'A-B'", "'D'"]),
        ("tmpfs", {"tmp": "", "/tmp": "", "run": ""}, ["'tmp'", "'run'"]),
        ("budget", {"image": 1, "image_mb": 1, "memory_mb": "much"}, ["'image'", "'memory_mb'"]),
        ("waivers", {"a": "", "b": "why", "c": " "}, ["'a'", "'c'"]),
    ],
)
def test_every_wrong_entry_is_told(raw: dict[str, Any], name: str, value: Any, wrong: list[str]) -> None:
    with pytest.raises(variables.InputError) as caught:
        variables.check_variables({**raw, name: value})
    assert [sentence.startswith(f"go_service_{name} has ") for sentence in caught.value.problems] == [True, True]
    assert [word in sentence for word, sentence in zip(wrong, caught.value.problems)] == [True, True]


def test_what_does_not_go_together_is_told_beside_what_is_wrong_by_itself(raw: dict[str, Any]) -> None:
    with pytest.raises(variables.InputError) as caught:
        variables.check_variables({**raw, "numeric_user": True, "network": "host", "port": 0})
    assert [sentence.partition(" ")[0] for sentence in caught.value.problems] == [
        "go_service_port",
        "go_service_numeric_user",
        "go_service_publish",
    ]


def test_a_missing_variable_is_named(raw: dict[str, Any]) -> None:
    with pytest.raises(variables.InputError, match="go_service_port is missing"):
        variables.check_variables({name: value for name, value in raw.items() if name != "port"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"numeric_user": True}, ["go_service_numeric_user", "Set go_service_uid"]),
        ({"network": "host"}, ["go_service_publish", "'host'", 'Set go_service_publish to ""']),
        ({"network": "none"}, ["go_service_publish", "'none'"]),
    ],
)
def test_values_that_do_not_go_together(raw: dict[str, Any], changes: dict[str, Any], words: list[str]) -> None:
    sentence = problem(raw, **changes)
    assert [word for word in words if word not in sentence] == []


@pytest.mark.parametrize("changes", [{"numeric_user": True, "uid": 10001}, {"network": "host", "publish": ""}])
def test_values_that_go_together(raw: dict[str, Any], changes: dict[str, Any]) -> None:
    assert variables.check_variables({**raw, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"network": "none", "publish": "", "publish_more": ["9:9"]},
            "go_service_publish_more is set, but a container in the network 'none'",
        ),
        ({"network": "host", "publish": "", "networks": ["backend"]}, "go_service_networks is set, but a container in the network 'host'"),
        ({"networks": ["host"]}, "go_service_networks has host, which goes with no other network"),
        ({"publish_more": ["127.0.0.1:8080:9100"]}, "have 127.0.0.1:8080 more than once"),
        ({"publish_more": ["9:1", "9:2"]}, "have 0.0.0.0:9 more than once"),
        ({"health_headers": {"authorization": "x"}}, "go_service_health_headers has authorization, whose value everybody could read"),
        ({"health_command": ["/x"], "health_scheme": "https"}, "go_service_health_command is set, and so is"),
        ({"image_labels": {"go-service.kind": "x"}}, "which this role gives to its images itself"),
        ({"image_labels": {"org.opencontainers.image.version": "x"}}, "which this role gives to its images itself"),
    ],
)
def test_what_does_not_go_together(settings: Callable[..., Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(variables.InputError) as caught:
        settings(**changes)
    assert words in str(caught.value)
