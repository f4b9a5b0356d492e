"""The image's configuration: health check, port, labels, base."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Endpoint, Publication
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import configuration
from violations import GOOD, Violation, assert_all_provoked, assert_caught, in_container, result

VIOLATIONS: dict[str, Violation] = {
    "no health check": (lambda: samples.good_evidence(config={"Healthcheck": None}), {}, {"config-healthcheck"}, "no health check"),
    "health check NONE": (
        lambda: samples.good_evidence(config={"Healthcheck": {"Test": ["NONE"]}}),
        {},
        {"config-healthcheck"},
        "no health check",
    ),
    "another health check": (lambda: GOOD, {"health_test": ("true",)}, {"config-healthcheck"}, "command differs"),
    "another interval": (lambda: GOOD, {"health_interval": 31.0}, {"config-healthcheck"}, "times differ"),
    "health check off in the container": (
        lambda: replace(GOOD, container={**samples.container_record(), "Config": {"User": "app", "Healthcheck": {"Test": ["NONE"]}}}),
        {},
        {"config-healthcheck"},
        "switches the health check off",
    ),
    "another port": (lambda: GOOD, {"port": 9090}, {"config-port", "runtime-publish"}, "not exposed"),
    "further port": (
        lambda: samples.good_evidence(config={"ExposedPorts": {"8080/tcp": {}, "22/tcp": {}}}),
        {},
        {"config-port"},
        "other ports",
    ),
    "secret in the environment": (
        lambda: samples.good_evidence(config={"Env": ["PATH=/bin", "DB_PASSWORD=x", "GPG_KEY=public", "MONKEY=1"]}),
        {},
        {"config-env-secrets"},
        "DB_PASSWORD",
    ),
    "password in an address": (
        lambda: samples.good_evidence(config={"Env": ["DATABASE_URL=postgres://me:secret@db/x"]}),
        {},
        {"config-env-secrets"},
        "DATABASE_URL",
    ),
    "secret as a build argument": (
        lambda: replace(GOOD, image=replace(GOOD.image, history=("|2 API_TOKEN=x HTTP_PROXY=http://p:1 /bin/sh -c make",))),
        {},
        {"config-env-secrets"},
        "API_TOKEN",
    ),
    "no labels": (lambda: samples.good_evidence(config={"Labels": None}), {}, {"config-labels"}, "missing"),
    "date of the build": (
        lambda: samples.good_evidence(config={"Labels": samples.labels(created="2026-11-24T09:00:00Z")}),
        {},
        {"config-labels"},
        "the source's date",
    ),
    "no date": (
        lambda: samples.good_evidence(config={"Labels": samples.labels(created="yesterday")}),
        {"source_date": ""},
        {"config-labels"},
        "RFC 3339",
    ),
    "label not as asked for": (lambda: GOOD, {"labels": {"org.opencontainers.image.version": "2.0"}}, {"config-labels"}, "version"),
    "latest base": (lambda: GOOD, {"base_name": "registry.example.com:5000/alpine"}, {"config-base"}, "changes with each new release"),
    "other base": (
        lambda: replace(GOOD, base=replace(GOOD.base, matches=False)),
        {},
        {"config-base"},
        "not built on",
    ),
    "shell form": (
        lambda: samples.good_evidence(config={"Entrypoint": ["/bin/sh", "-c", samples.BINARY]}),
        {},
        {"config-command"},
        "process 1 is not the binary",
    ),
    "volume over /etc": (lambda: samples.good_evidence(config={"Volumes": {"/etc/": {}}}), {}, {"config-volumes"}, "/etc/"),
    "further port that is not exposed": (
        lambda: in_container(
            PortBindings={
                "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": p} for p in ("8080", "81")],
                "9/tcp": [{"HostIp": "::1", "HostPort": "9"}],
            }
        ),
        {"publish_more": (Publication(Endpoint("127.0.0.1", 81), 8080), Publication(Endpoint("::1", 9), 9))},
        {"config-port"},
        "not exposed",
    ),
    "another working directory": (lambda: GOOD, {"workdir": "/app"}, {"config-workdir"}, "it is another directory"),
    "another stop signal": (
        lambda: replace(samples.good_evidence(config={"StopSignal": "SIGQUIT"}), container=samples.container_record()),
        {"stop_signal": "SIGQUIT"},
        {"config-stop-signal"},
        "another one in the container",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(configuration.GROUP, VIOLATIONS)


def test_health_check_as_a_list():
    """The exec form of the same command is the same health check; so is one with `|| exit 1`."""
    times = {"Interval": 30_000_000_000, "Timeout": 3_000_000_000, "StartPeriod": 5_000_000_000, "Retries": 3}
    for test in (["CMD", *samples.HEALTH], ["CMD-SHELL", " ".join(samples.HEALTH) + " || exit 1"]):
        found = samples.good_evidence(config={"Healthcheck": {"Test": test, **times}})
        assert result("config-healthcheck", found).verdict == "pass"


def test_a_source_outside_of_git_needs_no_date():
    found = samples.good_evidence(config={"Labels": samples.labels(created="", source="", revision="")})
    labels = result("config-labels", found, samples.expected(source_date=""))
    assert (labels.verdict, "no git checkout" in labels.reason) == ("pass", True)
