"""The input of the role: each variable takes what it should, and refuses the rest with a sentence that helps."""

from __future__ import annotations

import contextlib
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import fuzzing
import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import SECRET, conceal, pack, reveal, without_credentials
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import (
    BUDGETS,
    Budget,
    Endpoint,
    File,
    Publication,
    Settings,
)
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile
from ansible_collections.proven.go_service.plugins.module_utils.source.address import fault_of, shown_address
from ansible_collections.proven.go_service.plugins.plugin_utils import units, variables
from hypothesis import given
from hypothesis import strategies as st
from samples import IMAGE_DIGEST as DIGEST

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
    "platform": ("linux/arm64", "linux/arm64", "arm64"),
    "builder": ("buildx", "buildx", "kaniko"),
    "build_tags": (["netgo", "go1.27"], ("netgo", "go1.27"), ["a,b"]),
    "ldflags": ("-X main.version=1.4+5", "-X main.version=1.4+5", '-w" && id #'),
    "run_tests": ("yes", True, 1),
    "build_args": ({"REV": 7}, {"REV": "7"}, {"A B": ""}),
    "build_env": ({"GOPROXY": "off"}, {"GOPROXY": "off"}, {"GOPROXY": True}),
    "build_secrets": (
        {"git.example.com": {"user": "ci", "token": "t0ken"}},
        {"git.example.com": {"user": "ci", "token": "t0ken"}},
        {"git.example.com": "t0ken"},
    ),
    "build_modules": ("/srv/api.tar", "/srv/api.tar", ["/srv/api.tar"]),
    "ca_certificates": (
        "# a company's\n-----BEGIN CERTIFICATE-----\r\nMAA=\r\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "/etc/ssl/company.pem",
    ),
    "ca_in_image": ("yes", True, "image"),
    "build_network": ("host", "host", "--rm"),
    "build_timeout": ("60", 60, 0),
    "dockerignore": (["/web", "!web/dist"], ("/web", "!web/dist"), ["../x"]),
    "context_limit_mb": ("0.5", 0.5, "nan"),
    "workdir": ("/app/", "/app", "app"),
    "files": (
        [{"src": "web/./templates", "dest": "t"}, {"src": "a.toml", "owner": "app", "mode": "640"}],
        (File("web/templates", "t", "root"), File("a.toml", "a.toml", "app", "0640")),
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
        ["127.0.0.1:9100:9101", "[::1]:80:8080/tcp", "90:91", "90:91/udp"],
        (
            Publication(Endpoint("127.0.0.1", 9100), 9101),
            Publication(Endpoint("::1", 80), 8080),
            Publication(Endpoint("0.0.0.0", 90), 91),
            Publication(Endpoint("0.0.0.0", 90), 91, "udp"),
        ),
        ["90:91/sctp"],
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
    "vulnerability_database": ("/srv/vulndb", "/srv/vulndb", "srv/vulndb"),
    "waivers": ({"binary-static": "uses cgo"}, {"binary-static": "uses cgo"}, {"binary-static": " "}),
    "registry": ("registry.example.com:5000/team", "registry.example.com:5000/team", "team/web"),
    "registry_credentials": ({"username": "ci", "password": "a b"}, {"username": "ci", "password": "a b"}, {"username": "ci"}),
    "registry_ca": (
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "/etc/ssl/registry.pem",
    ),
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


SSH_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n"
WITH_PASSPHRASE = SSH_KEY.replace("AAAABG5vbmU=", "AAAACmFlczI1Ni1jdHI=")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("hunter2x", "is a text, not a mapping"),
        ({"git.example.com": "hunter2x"}, "has 'git.example.com' with a value (not shown) that is not a credential"),
        ({"git.example.com": {"token": "hunter 2x"}}, "has a blank in it"),
        ({"git.example.com": {"token": "hunter2x", "pasword": "hunter2x"}}, "has 'pasword'; there are token, user"),
        ({"git.example.com": {"user": "hunter2x"}}, "is not a credential"),
        ({"https://me:hunter2x@git.example.com": {"token": "x"}}, "has a name (not shown) that is not valid; write a host"),
        ({"git.example.com:x": {"token": "hunter2x"}}, "has a name (not shown) that is not valid"),
        ({"git.example.com/path": {"token": "hunter2x"}}, "has a name (not shown) that is not valid"),
        ({"git.example.com": {"ssh_key": "hunter2x", "known_hosts": "a b c"}}, "is not a private SSH key"),
        ({"git.example.com": {"ssh_key": SSH_KEY}}, "has no known_hosts"),
        ({"git.example.com": {"ssh_key": SSH_KEY, "known_hosts": "hunter2x"}}, "is not a list of host keys"),
        ({"git.example.com": {"ssh_key": WITH_PASSPHRASE, "known_hosts": "a b c"}}, "is a private key with a passphrase"),
        ({"git.example.com": {"ssh_key": SSH_KEY, "known_hosts": "a b c", "port": "hunter2x"}}, "a whole number from 1 to 65535"),
        ({"netrc": "password hunter2x"}, "names no machine"),
        ({"netrc": {"token": "hunter2x"}}, "not the content of a file"),
    ],
)
def test_a_credential_that_is_wrong_is_told_without_it(raw: dict[str, Any], given: Any, told: str) -> None:
    sentence = problem(raw, build_secrets=given)
    assert sentence.startswith("go_service_build_secrets ") and told in sentence
    assert "hunter" not in sentence and "b3BlbnNz" not in sentence


def test_nothing_but_certificates_comes_of_certificates(raw: dict[str, Any]) -> None:
    """They stand in the Dockerfile."""
    block = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    given = f"'; id #\nUSER root\n{block}$(id)\n{block}\\"
    assert variables.FIELDS["ca_certificates"](given) == block * 2
    sentence = problem(raw, ca_certificates=block + SSH_KEY)
    assert "has a private key in it" in sentence and "b3BlbnNz" not in sentence
    assert "64 KiB" in problem(raw, ca_certificates=block * 2000)


def test_every_variable_has_its_examples() -> None:
    lacking = set(variables.FIELDS) - set(EXAMPLES)
    assert not lacking, f"EXAMPLES of this file lacks {sorted(lacking)}"
    assert not set(EXAMPLES) - set(variables.FIELDS), f"no variables any more: {sorted(set(EXAMPLES) - set(variables.FIELDS))}"


def fits(value: Any, kind: Any) -> bool:
    """Say whether a value is of an annotated type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(key, inner[0]) and fits(item, inner[1]) for key, item in value.items())
    return type(value) is (kind or type(None))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_setting_is_what_its_field_says_here_and_on_the_target(raw: dict[str, Any], name: str) -> None:
    kind = typing.get_type_hints(Settings)[name]
    for checked in (variables.check_variables(raw), variables.check_variables({**raw, name: EXAMPLES[name][0]})):
        value = getattr(checked, name)
        assert fits(value, kind), f"FIELDS makes {value!r} of go_service_{name}; the field of Settings says {kind}"
        there = getattr(Settings.from_json(json.loads(json.dumps(checked.as_json()))), name)
        assert there == value, f"go_service_{name} arrives as {there!r} on the target; Settings.from_json has to make {kind} of it"


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


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("secret_files", "ca_certificates", "registry_ca")])
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
    [
        name
        for name, take in variables.FIELDS.items()
        if name in EXAMPLES and not isinstance(EXAMPLES[name][1], (bool, tuple, dict, Budget))
    ],
)
def test_a_boolean_is_neither_a_text_nor_a_number(raw: dict[str, Any], name: str) -> None:
    check_sentence(problem(raw, **{name: True}), name, True)


@pytest.mark.parametrize("value", [0, 65536, -1, True, "8080\n", " 8080", "0x50", "80.0", 8080.0, "", None, "٨٠"])
def test_wrong_ports(raw: dict[str, Any], value: Any) -> None:
    assert "from 1 to 65535" in problem(raw, port=value)


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
        (
            {"platform": "linux/arm64", "packages": ["tzdata"]},
            ["go_service_packages has tzdata", "'linux/arm64'", "cannot be run in the build"],
        ),
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
        ({"networks": ["host"]}, "go_service_networks has host, which cannot be combined with another network"),
        ({"publish_more": ["127.0.0.1:8080:9100"]}, "have 127.0.0.1:8080 more than once"),
        ({"publish_more": ["9:1", "9:2"]}, "have 0.0.0.0:9 more than once"),
        ({"health_headers": {"authorization": "x"}}, "go_service_health_headers has authorization, whose value everybody could read"),
        ({"health_command": ["/x"], "health_scheme": "https"}, "go_service_health_command is set, and so is"),
        ({"image_labels": {"go-service.kind": "x"}}, "which this role itself sets on its images"),
        ({"labels": {"go-service.kind": "x"}}, "which this role itself sets on its containers"),
        ({"image_labels": {"org.opencontainers.image.version": "x"}}, "which this role itself sets on its images"),
    ],
)
def test_what_does_not_go_together(settings: Callable[..., Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(variables.InputError) as caught:
        settings(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["DB_PASSWORD=hunter2x", ["hunter2x"], {"DB=hunter2x": None}, {"DB: hunter2x": None}, {"DB hunter2x": None}, {"A": ["hunter2x"]}, 7],
)
@pytest.mark.parametrize("name", secrets.SECRET)
def test_wrong_input_is_told_without_its_value(raw: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(variables.InputError) as told:
        variables.check_variables({**raw, name: value})
    assert f"go_service_{name}" in str(told.value)
    assert "hunter2" not in str(told.value) and "7" not in str(told.value)


def test_no_setting_shows_the_password_of_an_address(raw: dict[str, Any]) -> None:
    hidden = "https://user:hunter2@host/x.git"
    for change in ({"source": hidden}, {"source": f"{hidden}\n", "source_type": "git"}):
        with pytest.raises(variables.InputError) as caught:
            variables.check_variables({**raw, **change})
        assert "hunter2" not in str(caught.value) and "go_service_source" in str(caught.value)


@pytest.mark.parametrize("version", ["--orphan=x", "a b", "a..b", "a~1", "-x", "a:b"])
def test_a_version_that_is_an_option_or_more_than_a_name_is_refused(raw: dict[str, Any], version: str) -> None:
    with pytest.raises(variables.InputError, match="go_service_source_version"):
        variables.check_variables({**raw, "source_version": version})


# Variable -> the least and the most that it takes, and what is beyond.
ENDS: dict[str, tuple[Any, Any, Any, Any]] = {
    "build_timeout": (1, 86400, 0, 86401),
    "port": (1, 65535, 0, 65536),
    "uid": (1, 60000, 0, 60001),
    "health_retries": (1, 100, 0, 101),
    "pids_limit": (1, 4194304, 0, 4194305),
    "log_max_file": (1, 1000, 0, 1001),
    "stop_timeout": (0, 3600, -1, 3601),
    "keep_images": (1, 1000, 0, 1001),
    "lock_timeout": (0, 86400, -1, 86401),
    "stable_seconds": (0, 999_999_999, -0.1, 1e9),
    "start_timeout": (0.001, 999_999_999, 0, 1e9),
}


@pytest.mark.parametrize(("name", "ends"), ENDS.items(), ids=ENDS)
def test_a_range_is_taken_to_its_ends_and_no_further(name: str, ends: tuple[Any, Any, Any, Any]) -> None:
    low, high, below, above = ends
    assert [variables.FIELDS[name](value) for value in (low, high)] == [low, high]
    for value in (below, above):
        with pytest.raises(units.Rejected, match="is out of range"):
            variables.FIELDS[name](value)


TEXT = st.one_of(
    st.sampled_from(
        ["", "a", "/x", "/x:/y", "8080", "64m", "1m30s", "[::1]:80", "a:b@c", "$(id)", "`id`", '"', "\\", "\n", "{{ x }}", "a=b"]
    ),
    st.text(max_size=12),
)


VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.one_of(TEXT, st.integers()), inner, max_size=3),
    max_leaves=5,
)


@fuzzing.EXAMPLES
@given(changes=st.dictionaries(st.sampled_from(sorted(variables.FIELDS)), VALUE, min_size=1, max_size=4))
def test_any_settings_are_taken_or_told(raw: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        wanted = variables.check_variables({**raw, **changes})
    except variables.InputError as error:
        for sentence in error.problems:
            assert re.match(r"go_service_\w+ ", sentence) and "\n" not in visible(sentence)
        assert {sentence.split()[0] for sentence in error.problems} <= {f"go_service_{name}" for name in variables.FIELDS}
        return
    # What was taken travels, and gives a Dockerfile and a container.
    shown = json.loads(json.dumps(conceal(wanted).as_json()))
    assert reveal(Settings.from_json(shown), pack(vars(wanted))) == wanted
    json.dumps(container.create_body(wanted, "image", (1, 44))).encode()


@fuzzing.EXAMPLES
@given(kind=st.sampled_from(SECRET), values=st.dictionaries(TEXT, VALUE, min_size=1, max_size=3))
def test_no_problem_shows_a_secret_value(raw: dict[str, Any], kind: str, values: dict[str, Any]) -> None:
    canary = "hunter2-canary"
    marked = {name: [f"{canary}{value}"] if isinstance(value, list) else f"{canary}{value}" for name, value in values.items()}
    try:
        variables.check_variables({**raw, kind: marked})
    except variables.InputError as error:
        assert canary not in str(error)
    for whole in (canary, [canary], [{"a": canary}], {canary: {"a": canary}}):
        with suppress(variables.InputError):
            try:
                variables.check_variables({**raw, kind: whole})
            except variables.InputError as error:
                assert canary not in str(error) or isinstance(whole, dict)
                raise


@fuzzing.EXAMPLES
@given(name=st.sampled_from(["A", "B_1"]), value=st.text(max_size=30))
def test_a_value_of_the_build_comes_and_goes_whole(settings: Any, name: str, value: str) -> None:
    with suppress(variables.InputError):
        wanted = settings(build_env={name: value}, build_args={name: value})
        template = f'ARG {name}="***"\nENV {name}="***"\nRUN x\n'
        filled = dockerfile.with_values(template, wanted)
        assert len(filled.split("\n")) == 4
        assert dockerfile.without_values(filled) == template


ANY_ADDRESS = st.text(st.sampled_from("ab1:/@?#%[]. ~-é\n+"), max_size=25)


@fuzzing.EXAMPLES
@given(
    scheme=st.sampled_from(["", "https://", "HTTPS://", "ssh://", "git://", "file://", "x::", "https:/", " https://"]),
    user=ANY_ADDRESS,
    rest=ANY_ADDRESS,
)
def test_no_address_that_is_taken_hands_git_a_secret(raw: dict[str, Any], scheme: str, user: str, rest: str) -> None:
    """As far as a secret is what stands before an "@", behind a "?" or a "#"."""
    secret = "hunter2"
    for address in (
        f"{scheme}{user}:{secret}@h/{rest}",
        f"{scheme}me:{user}{secret}@h/{rest}",
        f"{scheme}h/{rest}?{secret}",
        f"{scheme}h/{rest}#{secret}",
    ):
        is_path = "://" not in address and not set(":@") & set(address.partition("/")[0])
        if address.startswith(("/", "./", "../", "~")) or scheme == "file://" or is_path:
            continue
        try:
            wanted = variables.check_variables({**raw, "source": address, "source_type": "git"})
        except variables.InputError as error:
            assert secret not in str(error)
            continue
        assert secret not in without_credentials(address)
        assert secret not in shown_address(wanted.source)
        assert fault_of(address) == ""


@pytest.mark.parametrize("name", sorted(variables.FIELDS))
def test_deep_and_long_values_are_taken_or_told(raw: dict[str, Any], name: str) -> None:
    deep: Any = "x"
    for _level in range(200):
        deep = [deep]
    for value in (deep, {"a": deep}, "x" * 200_000, ["x"] * 5000, {str(number): "x" for number in range(5000)}):
        with suppress(variables.InputError):
            variables.check_variables({**raw, name: value})


# What a value of one kind or another is told as


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("args", True, "a boolean, not a list"),
        ("args", 1, "a number, not a list"),
        ("args", 1.5, "a number, not a list"),
        ("args", {}, "a mapping, not a list"),
        ("args", None, "null, not a list"),
        ("args", "x", "a text, not a list"),
        ("env", [], "a list, not a mapping"),
        ("report_dir", [], "a list, not a text"),
        ("port", "x", "a text, not a whole number"),
        ("cpus", True, "a boolean, not a number"),
        ("cpus", "x", "a text, not a number"),
        ("secret_files", {"a": True}, "a boolean, not the content of a file"),
        ("files", ["a"], "a text, not a mapping of src, dest, owner"),
    ],
)
def test_a_value_of_another_kind_is_told_by_its_kind(raw: dict[str, Any], name: str, value: Any, kind: str) -> None:
    assert f"is {kind}" in problem(raw, **{name: value})


@pytest.mark.parametrize(
    ("value", "taken"),
    [(True, True), ("true", True), ("Yes", True), ("ON", True), (False, False), ("false", False), ("No", False), ("off", False)],
)
def test_a_boolean_is_taken_in_each_of_its_words(value: Any, taken: bool) -> None:
    assert variables.FIELDS["read_only"](value) is taken


# Variables that may be "", and what that becomes.
EMPTY = {
    "build_modules": "",
    "ca_certificates": "",
    "version": "",
    "module_dir": "",
    "main_package": "",
    "ldflags": "",
    "uid": None,
    "publish": None,
    "platform": "",
    "stop_signal": "",
    "image_tag": "",
    "vulnerability_database": "",
    "registry": "",
    "registry_ca": "",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_only_what_has_a_meaning_when_empty_may_be_empty(name: str) -> None:
    if name in EMPTY:
        assert variables.FIELDS[name]("") == EMPTY[name]
        return
    with suppress(units.Rejected):
        variables.FIELDS[name]("")
        pytest.fail(f"go_service_{name} may be empty: say what that becomes in a line of EMPTY of this file, or refuse it in FIELDS")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in ("source", "source_version", "builder_image", "workdir", "work_dir", "report_dir")),
        *((name, [""]) for name in ("dockerignore", "directories", "publish_more", "health_command")),
        ("files", [{"src": ""}]),
        ("files", [{"src": "a", "dest": ""}]),
        ("files", [{"src": "a", "owner": ""}]),
        *((name, {"": "x"}) for name in ("env", "labels", "tmpfs", "waivers")),
    ],
)
def test_what_is_empty_is_told_so(name: str, value: Any) -> None:
    with pytest.raises(units.Rejected, match="is empty; give it a value"):
        variables.FIELDS[name](value)


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("publish_more", [["9:1"], ["9:65535"]], [["9:0"], ["9:65536"], ["9:x"], ["9:"], [":9"]]),
        (
            "budget",
            [{"max_high": 0}, {"max_high": 1_000_000}, {"image_mb": 0.1}, {"image_mb": None}],
            [{"max_high": -1}, {"max_high": 1_000_001}, {"max_high": 1.5}, {"image_mb": 0}],
        ),
        ("secret_files", [{"a": "x" * (1 << 20)}, {"a": 1.5}], [{"a": "x" * ((1 << 20) + 1)}, {"a": ""}, {"a": "\0"}, {".a": "x"}]),
        (
            "volumes",
            [["a1:/x:ro,z"], ["/a:/b:Z,rw"]],
            [["a1:/"], ["a1://"], ["a1:/."], ["a1:/.."], ["a1:x"], ["a1:/x:wr"], ["a1"], ["a:b:c:d"], ["a:/x"], ["a1:/x:"]],
        ),
        ("tmpfs", [{"/a": "size=1m"}], [{"/": ""}, {"//": ""}, {"/.": ""}, {"/a/..": ""}, {"a": ""}]),
        ("memory", ["6m", str(6 << 20)], ["5m", str((6 << 20) - 1)]),
        ("name", ["ab", "a1.b_c-d__e--f"], ["a", "a..b", "-a", "a-", "A1"]),
        ("user", ["a" * 31], ["a" * 32, "1a"]),
        ("version", ["a" * 128], ["a" * 129, ".a"]),
        ("main_package", ["./cmd/x", "."], ["../x", "a/../b", "a b"]),
        ("workdir", ["/app", "//app"], ["app", "/a/../b", "./app"]),
        (
            "files",
            [[{"src": "a/./b", "mode": "0755"}]],
            [
                *([{"src": "a", "mode": mode}] for mode in (755, "0777", "8", "04755", "0755\n")),
                [{"src": "/a"}],
                [{"src": "a/../b"}],
                [{"src": "./."}],
                [{"dest": "a"}],
                [{"src": "a", "x": 1}],
            ],
        ),
        ("work_dir", ["/a", "~/a"], ["a", "./a"]),
        (
            "vulnerability_database",
            ["/a", "/go/pkg/mod/golang.org/x/vulndb@v0.0.0-1-a/data/osv", "https://vuln.example.com:8/x", "http://[::1]/v1"],
            ["a", "ftp://a", "https://u:p@a", "https://", "/a b", "-db"],
        ),
        ("source_version", ["a.b/c-d"], ["-a", "a..b", "a b", "a^", "a~1", "a:b", "a*", "a[", "a\\b", "a?"]),
        ("dockerignore", [["a..b", "..a"]], [[".."], ["a/.."]]),
        ("port", [1, "65535"], [1.0, "1.0", "+1", " 1", True]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_just_right_is_taken_and_what_is_not_is_refused(name: str, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        variables.FIELDS[name](value)
    for value in refused:
        with pytest.raises(units.Rejected):
            variables.FIELDS[name](value)


def test_a_path_begins_with_one_slash_at_the_most() -> None:
    assert [variables.FIELDS["workdir"](path) for path in ("//app", "/app//x/", "/")] == ["/app", "/app/x", "/"]


def test_each_action_reads_the_secrets_and_nothing_else_of_a_hosts_variables() -> None:
    host = {"go_service_env": {"A": "{{ a }}"}, "go_service_port": 1, "env": {"B": "x"}, "go_service_secret_files": {"k": "x"}}

    def template(value: Any) -> Any:
        return {name: item.replace("{{ a }}", "hunter2x") for name, item in value.items()} if isinstance(value, dict) else value

    assert variables.secret_variables(host, template) == {"env": {"A": "hunter2x"}, "secret_files": {"k": "x"}}
    more = {
        **host,
        "go_service_source": "https://me:ghp_abcdef@h/a.git",
        "go_service_labels": {"d": "d-label-x"},
        "go_service_args": ["d-label-x"],
    }
    hidden = variables.secret_texts(more, template)
    assert "hunter2x" in hidden and "ghp_abcdef" in hidden
    assert "d-label-x" not in hidden


def told(raw: dict[str, Any], **changes: Any) -> list[str]:
    """Return the problems of changes to good input, none where it is taken."""
    try:
        variables.check_variables({**raw, **changes})
    except variables.InputError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("changes", "beginnings"),
    [
        ({"source": "-x", "source_type": "git"}, ["go_service_source (not shown) begins with a hyphen"]),
        ({"source": "-x"}, []),
        ({"source": "https://h/x"}, ["go_service_source (not shown) is an address, but go_service_source_type is 'controller'"]),
        (
            {"source": "git@h:x", "source_type": "host"},
            ["go_service_source (not shown) is an address, but go_service_source_type is 'host'"],
        ),
        ({"source": "git@h:x", "source_type": "git"}, []),
        ({"source": "/a/git@h:x"}, []),
        ({"numeric_user": True, "uid": "x"}, ["go_service_uid is 'x'"]),
        ({"numeric_user": True, "uid": 5}, []),
        ({"health_headers": {"Cookie": "x", "X-A": "y"}}, ["go_service_health_headers has Cookie, whose value"]),
        (
            {"health_headers": {"X-Api-Key": "x", "X-Vault-Token": "y"}},
            ["go_service_health_headers has X-Api-Key, X-Vault-Token, whose value"],
        ),
        ({"health_headers": {"X-AuthKey": "x"}}, ["go_service_health_headers has X-AuthKey, whose value"]),
        ({"health_path": "/health?access_token=x"}, ["go_service_health_path has access_token, whose value"]),
        ({"health_path": "/auth/health?deep=1"}, []),
        ({"health_headers": {"X-A": "y", "X-Author": "me", "Idempotency-Key": "1"}}, []),
        ({"health_command": ["/x"], "health_headers": {"X-A": "y"}}, ["go_service_health_command is set, and so is"]),
        ({"health_command": ["/x"]}, []),
        ({"health_scheme": "https"}, []),
        ({"network": "none", "publish": "", "publish_more": ["9:9"]}, ["go_service_publish_more is set"]),
        ({"network": "back", "publish": "80", "publish_more": ["9:9"], "networks": ["front"]}, []),
        ({"networks": ["none", "a1"]}, ["go_service_networks has none, which cannot be combined"]),
        ({"publish": "80", "publish_more": ["81:80"]}, []),
        ({"publish": "80", "publish_more": ["80:80"]}, ["go_service_publish and go_service_publish_more have 0.0.0.0:80 more"]),
        ({"network": "host", "publish": "80"}, ["go_service_publish is '0.0.0.0:80', but a container in the network 'host'"]),
        ({"workdir": "/etc"}, ["go_service_workdir is '/etc', which belongs to the system (/etc)"]),
        ({"workdir": "/etc/cat-server"}, []),
        ({"directories": ["/usr/x"]}, ["go_service_directories has '/usr/x', which belongs to the system (/usr)"]),
        ({"files": [{"src": "a", "dest": "/lib/x"}]}, ["go_service_files puts a at '/lib/x', which belongs to the system (/lib)"]),
        (
            {"files": [{"src": "a", "dest": "data/x"}], "volumes": ["data:/srv/data/"]},
            ["go_service_files puts a at 'data/x', which go_service_volumes hides by a mount at /srv/data."],
        ),
        (
            {"files": [{"src": "a", "dest": "/scratch"}], "tmpfs": {"/scratch": ""}},
            ["go_service_files puts a at '/scratch', which go_service_tmpfs hides by a mount at /scratch."],
        ),
        ({"files": [{"src": "a", "dest": "/scratch2"}], "tmpfs": {"/scratch": ""}}, []),
        (
            {"files": [{"src": "a", "dest": "x"}, {"src": "b", "dest": "/srv/x"}]},
            ["go_service_files puts a at 'x', and another file", "go_service_files puts b at '/srv/x', and another file"],
        ),
        ({"files": [{"src": "a", "owner": "bob"}]}, ["go_service_files gives a to 'bob', who is neither root nor go_service_user (app)."]),
        ({"files": [{"src": "a", "owner": "root"}, {"src": "b", "owner": "app"}]}, []),
    ],
)
def test_what_does_and_what_does_not_go_together(raw: dict[str, Any], changes: dict[str, Any], beginnings: list[str]) -> None:
    found = told(raw, **changes)
    assert len(found) == len(beginnings), found
    assert [sentence for sentence, words in zip(found, beginnings) if not sentence.startswith(words)] == []


def test_what_is_missing_hides_nothing_that_is_wrong_behind_it(raw: dict[str, Any]) -> None:
    found = told({name: value for name, value in raw.items() if name != "name"}, port=0)
    assert [sentence.split()[0] for sentence in found] == ["go_service_name", "go_service_port"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("source", "a b\n", True),
        ("source", "me:pw@h\n", False),
        ("source", "a@b\n", False),
        ("port", 0, True),
        ("args", [True], False),
        ("env", "x", False),
        ("port", units.Rejected("is wrong"), False),
    ],
)
def test_a_value_is_shown_where_it_is_one_and_may_be_seen(raw: dict[str, Any], name: str, value: Any, shown: bool) -> None:
    assert (f"go_service_{name} is {value!r}, which " in problem(raw, **{name: value})) is shown


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ("prices", ["go_services is a text, not a list"]),
        ({"prices": {}}, ["go_services is a mapping, not a list"]),
        (["prices", {"name": "orders"}], ["service 1 of go_services is a text, not a mapping"]),
        ([{"source": "x"}, {"name": ""}, {"name": 3}], ["service 1 of go_services has no name", "service 2 of", "service 3 of"]),
        ([{"name": "a"}, {"name": "b"}, {"name": "a"}], ["service 3 of go_services has the same name 'a' as service 1"]),
        (
            [{"name": "a", "go_service_port": 1}, {"name": "b", "sorce": "x"}],
            ["has go_service_port,", "(write port)", "has sorce,", "(did you mean source?)"],
        ),
    ],
)
def test_what_is_wrong_with_a_list_of_services_is_told_all_at_once(services: Any, told: list[str]) -> None:
    with pytest.raises(variables.InputError) as caught:
        variables.check_services(services)
    assert [word for word in told if word not in str(caught.value)] == []


def test_services_may_have_every_variable_of_the_role(defaults: dict[str, Any]) -> None:
    whole = {name.removeprefix(variables.PREFIX): value for name, value in defaults.items()}
    assert variables.check_services([{**whole, "name": "a"}, {"name": "b"}]) == ["a", "b"]


def test_a_service_of_several_wins_over_what_all_share_and_an_entry_point_over_both() -> None:
    host = {
        "go_service_port": 1,
        "go_service_env": {"A": "1"},
        "go_service_user": "app",
        "__go_service_of": "{{ of }}",
        "__go_service_override": {"user": "x"},
    }
    of = {"port": 2, "env": {}, "user": "own"}
    found = variables.given(host, lambda value: of if value == "{{ of }}" else value)
    assert {name: found[f"go_service_{name}"] for name in of} == {"port": 2, "env": {}, "user": "x"}
    assert variables.given({"go_service_port": 1}, str) == {"go_service_port": 1}
