"""The contract: a good image passes every check, and each violation is caught by the check that is there for it, and by
no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Endpoint, Publication
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge, rules
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import model, scanners
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS, SEVERITIES
from ansible_collections.proven.go_service.plugins.module_utils.contract.registry import CheckResult, Group
from ansible_collections.proven.go_service.plugins.plugin_utils import lint
from plays import PROJECT

GOOD = samples.good_evidence()
# What cannot be judged of the good image here, which is said and not passed.
GOOD_SKIPS = {"user-uid", "user-numeric", "dockerfile-hadolint", "dockerfile-checkov", "vulnerabilities"}


def verdicts(found, asked=None, waivers=None) -> dict[str, str]:
    """Verdicts by check."""
    return {result.id: result.verdict for result in judge.evaluate(found, asked or samples.expected(), waivers or {})}


def result(identifier: str, found, asked=None, waivers=None):
    """The result of one check."""
    results = judge.evaluate(found, asked or samples.expected(), waivers or {})
    return next(item for item in results if item.id == identifier)


def with_verdict(word: str, found, asked=None) -> set[str]:
    """Checks with that verdict."""
    return {identifier for identifier, verdict in verdicts(found, asked).items() if verdict == word}


def in_container(**host):
    """The good evidence with another HostConfig; the kernel's record is out of reach, so that the configuration is
    judged."""
    return replace(GOOD, container=samples.container_record(**host), process=None)


def with_process(**facts):
    """The good evidence with another record of the kernel."""
    return replace(GOOD, process=replace(samples.GOOD_PROCESS, **facts))


# --- The good image


def test_good_image():
    """Everything passes without a waiver."""
    results = judge.evaluate(GOOD, samples.expected(), {})
    assert {item.id for item in results if item.verdict == "skip"} == GOOD_SKIPS
    assert {item.verdict for item in results if item.id not in GOOD_SKIPS} == {"pass"}
    assert judge.verdict(results) == "pass"
    assert judge.failures(results) == []
    assert all(item.reason for item in results if item.verdict == "skip")


def test_good_candidate():
    """A candidate has neither host port nor restart policy by design: both are skipped with the reason."""
    candidate = in_container(PortBindings={}, RestartPolicy={"Name": "no"})
    asked = samples.expected(candidate=True)
    assert with_verdict("skip", candidate, asked) == {*GOOD_SKIPS, "runtime-publish", "runtime-restart-policy"}
    assert with_verdict("fail", candidate, asked) == set()
    assert "by design" in result("runtime-publish", candidate, asked).reason


def test_image_alone():
    """Without a container, what needs one is skipped with that reason, never passed."""
    alone = replace(GOOD, container=None, process=None, memory=None)
    skipped = {item.id for item in judge.evaluate(alone, samples.expected(), {}) if "no container" in item.reason}
    assert skipped == {identifier for identifier in judge.CHECKS if identifier.startswith("runtime-")} | {"memory-use"}


def test_unreadable_layers():
    """What needs the layers is skipped with the reason, never passed."""
    gap = "zstd"
    blind = replace(GOOD, layers=(), base_files={}, gaps=(gap,))
    results = {item.id: item for item in judge.evaluate(blind, samples.expected(), {})}
    for identifier in ("files-secrets", "files-leftovers", "files-differences", "binary-single-copy", "image-overhead"):
        assert (results[identifier].verdict, results[identifier].reason) == ("skip", gap)
    assert judge.verdict(results.values()) == "pass"


def test_unknown_base():
    """A base that is gone is a warning, and the comparison with it is a skip."""
    gone = replace(GOOD, base=model.BaseFacts("alpine:3.24"), base_files={})
    found = verdicts(gone)
    assert (found["config-base"], found["files-differences"], found["image-overhead"]) == ("warn", "skip", "skip")


# --- Each violation


def secret_below(path: str):
    """A secret that a later layer hides again."""
    hidden = samples.Layer().add(path, "x")
    folder, _slash, name = path.rpartition("/")
    return samples.good_evidence(hidden, samples.Layer().add(f"{folder}/.wh.{name}"))


DYNAMIC = samples.elf(info=samples.build_info(), interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.musl-x86_64.so.1"])
UNSTRIPPED = samples.elf(info=samples.build_info(), sections=[".text", ".symtab", ".debug_info"])
HEAVY = samples.GOOD_BINARY + b"\0" * 60_000_000
TWO_CAPABILITIES = 1 << 10 | 1 << 21


VIOLATIONS = {
    "60 MB binary": (lambda: samples.good_evidence(replace_binary=samples.binary_layer(HEAVY)), {}, {"image-size"}, "60"),
    "heavy file": (
        lambda: samples.good_evidence(samples.Layer().add("/srv/video", b"\0" * 2_000_000)),
        {},
        {"files-differences", "image-overhead"},
        "/srv/video",
    ),
    "many layers": (
        lambda: samples.good_evidence(*(samples.Layer() for _number in range(4))),
        {},
        {"image-layers"},
        "2 more",
    ),
    "slow start": (lambda: GOOD, {"start_seconds": 3.0}, {"start-time"}, "50%"),
    "slow first build": (lambda: GOOD, {"build_seconds": 61.0}, {"build-time"}, "over the budget"),
    "slow cached build": (lambda: GOOD, {"build_seconds": 31.0, "build_cached": True}, {"build-time"}, "over the budget"),
    "hungry service": (lambda: replace(GOOD, memory=40_000_000), {}, {"memory-use"}, "25%"),
    "no binary": (lambda: samples.good_evidence(replace_binary=samples.Layer()), {}, {"binary-elf"}, "nothing at"),
    "script instead": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(b"#!/bin/sh\n")),
        {},
        {"binary-elf"},
        "not an ELF file",
    ),
    "archive instead": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(kind=1, info=samples.build_info()))),
        {},
        {"binary-elf"},
        "cannot be run",
    ),
    "not executable": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(mode=0o744)),
        {},
        {"binary-elf"},
        "not everybody",
    ),
    "dynamic binary": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(DYNAMIC)),
        {},
        {"binary-static"},
        "libc.musl-x86_64.so.1",
    ),
    "symbols": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(UNSTRIPPED)),
        {},
        {"binary-stripped"},
        ".symtab, .debug_info",
    ),
    "other processor": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(machine=183, info=samples.build_info()))),
        {},
        {"binary-architecture"},
        "arm64 binary in an image for amd64",
    ),
    "chown in a layer of its own": (
        lambda: samples.good_evidence(samples.binary_layer(uid=1000), replace_binary=samples.binary_layer(uid=0, gid=0)),
        {},
        {"binary-single-copy"},
        "layer 3",
    ),
    "root user": (lambda: samples.good_evidence(config={"User": "root"}), {}, {"user-not-root", "user-groups"}, "runs as root"),
    "no user": (lambda: samples.good_evidence(config={"User": ""}), {}, {"user-not-root", "user-groups"}, "runs as root"),
    "uid 0 by another name": (
        lambda: samples.good_evidence(replace_user=samples.user_layer("app:x:0:0::/:/sbin/nologin\n")),
        {},
        {"user-not-root", "user-groups", "accounts"},
        "runs as root",
    ),
    "unknown user": (
        lambda: samples.good_evidence(config={"User": "ghost"}),
        {},
        {"user-not-root"},
        "no account 'ghost'",
    ),
    "another user": (lambda: replace(samples.good_evidence(config={"User": "nobody"}), process=None), {}, {"user-not-root"}, "not app"),
    "container as root": (
        lambda: replace(GOOD, container={**samples.container_record(), "Config": {"User": "0"}}),
        {},
        {"user-not-root"},
        "another user than the image's",
    ),
    "process as root": (lambda: with_process(uid=0), {}, {"user-not-root"}, "kernel"),
    "login shell": (
        lambda: samples.good_evidence(replace_user=samples.user_layer("app:x:1000:1000::/home/app:/bin/sh\n")),
        {},
        {"user-no-login"},
        "/bin/sh",
    ),
    "empty shell field": (
        lambda: samples.good_evidence(replace_user=samples.user_layer("app:x:1000:1000::/home/app:\n")),
        {},
        {"user-no-login"},
        "/bin/sh",
    ),
    "further group": (
        lambda: samples.good_evidence(replace_user=samples.user_layer().add("/etc/group", "root:x:0:\nwheel:x:10:app\napp:x:1000:\n")),
        {},
        {"user-groups"},
        "wheel",
    ),
    "further group of the process": (lambda: with_process(groups=(1000, 999)), {}, {"user-groups"}, "999"),
    "another uid": (lambda: GOOD, {"uid": 10001}, {"user-uid"}, "another number"),
    "named user": (lambda: GOOD, {"numeric_user": True}, {"user-numeric"}, "a name"),
    "open account": (
        lambda: samples.good_evidence(replace_user=samples.user_layer(shadow="app::20000::::::\n")),
        {},
        {"accounts"},
        "no password is needed for app",
    ),
    "shared number": (
        lambda: samples.good_evidence(
            replace_user=samples.user_layer(
                "app:x:1000:1000::/:/sbin/nologin\ntwin:x:1000:1000::/:/sbin/nologin\n", "app:!:::::::\ntwin:!:::::::\n"
            )
        ),
        {},
        {"accounts"},
        "app, twin",
    ),
    "setuid file": (
        lambda: samples.good_evidence(samples.Layer().add("/usr/local/bin/su", b"x", mode=0o4755)),
        {},
        {"files-differences", "files-setuid"},
        "/usr/local/bin/su (4755)",
    ),
    "setgid file of the base": (
        lambda: samples.good_evidence(samples.Layer().add("/bin/busybox", b"busybox" * 1000, mode=0o2755)),
        {},
        {"files-differences", "files-setuid"},
        "/bin/busybox (2755)",
    ),
    "file capabilities": (
        lambda: samples.good_evidence(samples.Layer().add("/usr/local/bin/ping", b"x", xattrs={"security.capability": "v"})),
        {},
        {"files-differences", "files-setuid"},
        "capabilities",
    ),
    "world-writable file": (
        lambda: samples.good_evidence(samples.Layer().directory("/srv/data", 0o1777).add("/tmp/x", mode=0o666)),
        {},
        {"files-differences", "files-world-writable"},
        "/srv/data",
    ),
    "difference": (
        lambda: samples.good_evidence(
            samples.Layer().add("/etc/motd", "hi").add("/bin/busybox", "changed", mode=0o755).add("/media/.wh.x").add("/.wh.home")
        ),
        {},
        {"files-differences"},
        "+ /etc/motd, - /home, ~ /bin/busybox",
    ),
    "file that was asked for is missing": (
        lambda: GOOD,
        {"files": {"/srv/templates": "root"}},
        {"files-beside"},
        "/srv/templates is missing",
    ),
    "file that the service may write": (
        lambda: samples.good_evidence(samples.Layer().directory("/srv/pages").add("/srv/pages/a", uid=1000, mode=0o644)),
        {"files": {"/srv/pages": "root"}},
        {"files-beside"},
        "/srv/pages/a can be written to by the service",
    ),
    "file that belongs to another user": (
        lambda: samples.good_evidence(samples.Layer().add("/srv/page", uid=0)),
        {"files": {"/srv/page": "app"}},
        {"files-beside"},
        "/srv/page belongs to 0",
    ),
    "file beside what was asked for": (
        lambda: samples.good_evidence(samples.Layer().add("/srv/page").add("/srv/pages")),
        {"files": {"/srv/page": "root"}},
        {"files-differences"},
        "/srv/pages",
    ),
    "asked for in the place of the base's": (
        lambda: samples.good_evidence(samples.Layer().add("/bin/busybox", "changed", mode=0o755)),
        {"files": {"/bin": "root"}},
        {"files-differences"},
        "~ /bin/busybox",
    ),
    "directory of another user": (
        lambda: samples.good_evidence(samples.Layer().directory("/data")),
        {"directories": ("/data", "/more")},
        {"files-beside"},
        "/data belongs to 0, not to the service's user (1000), /more is no directory",
    ),
    "binary writable for all": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(mode=0o757, uid=0, gid=0)),
        {},
        {"files-binary-writable", "files-world-writable"},
        "mode bits",
    ),
    "binary writable for the group": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(mode=0o775, uid=0)),
        {},
        {"files-binary-writable"},
        "mode bits",
    ),
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
    "further port that is not published": (
        lambda: samples.good_evidence(config={"ExposedPorts": {"8080/tcp": {}, "9100/tcp": {}}}),
        {"publish_more": (Publication(Endpoint("127.0.0.1", 9100), 9100),)},
        {"runtime-publish"},
        "other addresses",
    ),
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
    "another network": (lambda: GOOD, {"networks": ("bridge", "backend")}, {"runtime-networks"}, "they are others"),
    "secret file that is not mounted": (lambda: GOOD, {"secret_files": ("key",)}, {"runtime-secret-files"}, "/run/secrets/key is missing"),
    "secret file that can be written to": (
        lambda: replace(
            GOOD, container={**samples.container_record(), "Mounts": [{"Source": "/x", "Destination": "/run/secrets/key", "RW": True}]}
        ),
        {"secret_files": ("key",)},
        {"runtime-secret-files"},
        "can be written to",
    ),
    "another working directory": (lambda: GOOD, {"workdir": "/app"}, {"config-workdir"}, "it is another directory"),
    "another stop signal": (
        lambda: replace(samples.good_evidence(config={"StopSignal": "SIGQUIT"}), container=samples.container_record()),
        {"stop_signal": "SIGQUIT"},
        {"config-stop-signal"},
        "another one in the container",
    ),
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
    "latest base": (lambda: GOOD, {"base_name": "registry.example.com:5000/alpine"}, {"config-base"}, "latest on the day"),
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
    "privileged": (
        lambda: in_container(Privileged=True),
        {},
        {"runtime-privileged", "runtime-capabilities"},
        "every capability",
    ),
    "open capabilities": (lambda: in_container(CapDrop=[]), {}, {"runtime-capabilities"}, "14 capabilities"),
    "capabilities by the kernel": (
        lambda: with_process(bounding_capabilities=TWO_CAPABILITIES),
        {"cap_add": ("NET_BIND_SERVICE",)},
        {"runtime-capabilities"},
        "1 capability",
    ),
    "grave capability, asked for": (
        lambda: in_container(CapAdd=["CAP_SYS_ADMIN"]),
        {"cap_add": ("SYS_ADMIN",)},
        {"runtime-capabilities"},
        "1 capability",
    ),
    "new privileges": (lambda: in_container(SecurityOpt=[]), {}, {"runtime-no-new-privileges"}, "not set"),
    "new privileges by the kernel": (lambda: with_process(no_new_privileges=False), {}, {"runtime-no-new-privileges"}, ""),
    "no seccomp": (
        lambda: in_container(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
        {},
        {"runtime-seccomp"},
        "no seccomp filter",
    ),
    "no seccomp by the kernel": (lambda: with_process(seccomp=0), {}, {"runtime-seccomp"}, ""),
    "no AppArmor": (
        lambda: replace(GOOD, container={**samples.container_record(), "AppArmorProfile": "unconfined"}),
        {},
        {"runtime-lsm"},
        "unconfined",
    ),
    "no AppArmor by the kernel": (lambda: with_process(confinement="unconfined"), {}, {"runtime-lsm"}, "does not hold"),
    "AppArmor that only complains": (lambda: with_process(confinement="docker-default (complain)"), {}, {"runtime-lsm"}, "does not hold"),
    "no SELinux by the kernel": (
        lambda: replace(
            with_process(confinement="system_u:system_r:spc_t:s0"),
            engine=replace(GOOD.engine, security_options=("name=seccomp", "name=selinux")),
        ),
        {},
        {"runtime-lsm"},
        "does not hold",
    ),
    "no SELinux": (
        lambda: replace(GOOD, engine=replace(GOOD.engine, security_options=("name=seccomp", "name=selinux"))),
        {},
        {"runtime-lsm"},
        "no SELinux label",
    ),
    "no process limit": (lambda: in_container(PidsLimit=None), {}, {"runtime-pids-limit"}, "no limit"),
    "other memory limit": (lambda: in_container(Memory=1 << 30), {}, {"runtime-memory-limit"}, "another limit"),
    "no processor limit": (lambda: in_container(NanoCpus=0), {}, {"runtime-cpu-limit"}, "no limit"),
    "host network": (lambda: in_container(NetworkMode="host"), {"networks": ("host",)}, {"runtime-host-namespaces"}, "network"),
    "host processes": (lambda: in_container(PidMode="host", UTSMode="host"), {}, {"runtime-host-namespaces"}, "process, UTS"),
    "socket": (
        lambda: replace(
            GOOD,
            container={
                **samples.container_record(),
                "Mounts": [{"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/d.sock"}],
            },
        ),
        {},
        {"runtime-docker-socket"},
        "/var/run/docker.sock",
    ),
    "directory of the socket": (
        lambda: replace(
            GOOD,
            container={**samples.container_record(), "Mounts": [{"Type": "bind", "Source": "/run/", "Destination": "/r"}]},
        ),
        {},
        {"runtime-docker-socket", "runtime-mounts"},
        "/run/",
    ),
    "system directory": (
        lambda: replace(
            GOOD,
            container={**samples.container_record(), "Mounts": [{"Type": "bind", "Source": "/etc", "Destination": "/e"}]},
        ),
        {},
        {"runtime-mounts"},
        "/etc at /e",
    ),
    "shared mounts": (
        lambda: replace(
            GOOD,
            container={
                **samples.container_record(),
                "Mounts": [{"Type": "bind", "Source": "/data", "Destination": "/d", "Propagation": "rshared"}],
            },
        ),
        {},
        {"runtime-mounts"},
        "/d (shared)",
    ),
    "device": (lambda: in_container(Devices=[{"PathOnHost": "/dev/kvm"}]), {}, {"runtime-devices"}, "devices"),
    "other address": (
        lambda: in_container(PortBindings={"8080/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        {},
        {"runtime-publish"},
        "other addresses",
    ),
    "not published": (lambda: in_container(PortBindings={}), {}, {"runtime-publish"}, "other addresses"),
    "all ports": (lambda: in_container(PublishAllPorts=True), {}, {"runtime-publish"}, "every exposed port"),
    "published candidate": (lambda: GOOD, {"candidate": True}, {"runtime-publish"}, "other addresses"),
    "other restart policy": (
        lambda: in_container(RestartPolicy={"Name": "always"}),
        {},
        {"runtime-restart-policy"},
        "another policy",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name):
    """It is caught by the checks that are there for it and by no other, with the words that name it and a remedy."""
    make, asked, caught, words = VIOLATIONS[name]
    results = judge.evaluate(make(), samples.expected(**asked), {})
    failed = [item for item in results if item.verdict == "fail"]
    assert {item.id for item in failed} == caught
    assert judge.verdict(results) == "fail"
    assert words in " ".join(f"{item.measured} {item.reason}" for item in failed)
    assert all(item.remedy and item.reason for item in failed)
    assert all(item.id in sentence for item, sentence in zip(failed, judge.failures(results)))


def test_every_check_is_provoked():
    """No check is without a test that makes it fail or warn."""
    provoked = set().union(*(caught for _make, _asked, caught, _words in VIOLATIONS.values()))
    elsewhere = {
        "binary-build-info",
        "files-secrets",
        "files-leftovers",
        "runtime-read-only",
        "dockerfile-hadolint",
        "dockerfile-checkov",
        "vulnerabilities",
    }
    assert provoked | elsewhere == set(judge.CHECKS)


@pytest.mark.parametrize(
    "path",
    [
        "/srv/.env",
        "/srv/.env.production",
        "/root/.ssh/id_ed25519",
        "/srv/id_rsa",
        "/srv/.git/config",
        "/srv/tls.key",
        "/srv/tls.pem",
        "/root/.aws/credentials",
        "/srv/credentials.json",
        "/root/.docker/config.json",
    ],
)
def test_secrets(path):
    """A secret is found where it lies, also when a later layer hides it again."""
    parent = path.rpartition("/")[0]
    layer = samples.Layer().directory(parent).add(path, "x")
    found = samples.good_evidence(layer)
    assert {"files-secrets"} <= with_verdict("fail", found)
    named = result("files-secrets", found)
    assert parent in named.reason
    hidden = result("files-secrets", secret_below(path if "/." not in parent else "/srv/.env"))
    assert "hidden again after layer 4, still in the image" in hidden.reason


@pytest.mark.parametrize("path", ["/etc/ssl/certs/new.pem", "/usr/share/ca-certificates/x.pem", "/srv/key", "/srv/id_rsa.pub"])
def test_no_secrets(path):
    """Certificates and public keys are none."""
    assert result("files-secrets", samples.good_evidence(samples.Layer().add(path, "x"))).verdict == "pass"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/srv/go.mod", "/srv/go.mod"),
        ("/srv/main.go", "/srv/main.go"),
        ("/srv/Dockerfile", "/srv/Dockerfile"),
        ("/srv/.dockerignore", "/srv/.dockerignore"),
        ("/root/.cache/go-build/00/x", "/root/.cache"),
        ("/go/pkg/mod/x", "/go"),
        ("/var/cache/apk/APKINDEX.1.tar.gz", "/var/cache/apk"),
    ],
)
def test_leftovers(path, named):
    """What a build leaves behind is named."""
    found = result("files-leftovers", samples.good_evidence(samples.Layer().add(path, "x")))
    assert (found.verdict, found.reason) == ("fail", named)


def test_packages_are_no_differences():
    """What installed packages own, and apk's own book-keeping, are allowed where packages were installed."""
    database = samples.APK_DATABASE + "P:tzdata\nV:2026a-r0\nF:usr/share/zoneinfo\nR:UTC\nR:tz.pem\n\n"
    layer = samples.Layer().directory("/usr/share").directory("/usr/share/zoneinfo").add("/usr/share/zoneinfo/UTC", "x" * 2_000_000)
    layer.add("/usr/share/zoneinfo/tz.pem", "x").add("/lib/apk/db/installed", database).add("/etc/apk/world", "tzdata\n")
    layer.directory("/etc/apk")
    found = samples.good_evidence(layer)
    assert [package.name for package in found.added_packages] == ["tzdata"]
    assert with_verdict("fail", found) == set()
    stray = samples.good_evidence(layer_copy(layer, database).add("/etc/stray", "x"))
    assert with_verdict("fail", stray) == {"files-differences"}


def layer_copy(_layer, database):
    """The package layer once more; a finished tar takes no further file."""
    layer = samples.Layer().directory("/usr/share").directory("/usr/share/zoneinfo").add("/usr/share/zoneinfo/UTC", "x")
    return layer.add("/usr/share/zoneinfo/tz.pem", "x").add("/lib/apk/db/installed", database)


def test_mount_points_are_no_differences():
    """What a builder mounts into its steps may leave an empty place behind, but nothing with a content."""
    empty = samples.Layer().directory("/dev").directory("/proc").directory("/sys").add("/etc/resolv.conf")
    assert with_verdict("fail", samples.good_evidence(empty)) == set()
    full = samples.Layer().directory("/proc").add("/proc/x", "x").add("/etc/hosts", "127.0.0.1 x\n")
    assert result("files-differences", samples.good_evidence(full)).reason == "+ /etc/hosts, + /proc/x"


def test_writable_root():
    """A writable root file system fails, and then the owned binary is a warning."""
    found = in_container(ReadonlyRootfs=False)
    assert with_verdict("fail", found) == {"runtime-read-only"}
    assert with_verdict("warn", found) == {"files-binary-writable"}


def test_build_info_missing():
    """A binary without build information is a warning: the SBOM has a hole."""
    found = samples.good_evidence(replace_binary=samples.binary_layer(samples.elf()))
    assert with_verdict("warn", found) == {"binary-build-info"}
    assert judge.verdict(judge.evaluate(found, samples.expected(), {})) == "warn"


def test_health_check_as_a_list():
    """The exec form of the same command is the same health check; so is one with `|| exit 1`."""
    times = {"Interval": 30_000_000_000, "Timeout": 3_000_000_000, "StartPeriod": 5_000_000_000, "Retries": 3}
    for test in (["CMD", *samples.HEALTH], ["CMD-SHELL", " ".join(samples.HEALTH) + " || exit 1"]):
        found = samples.good_evidence(config={"Healthcheck": {"Test": test, **times}})
        assert result("config-healthcheck", found).verdict == "pass"


def test_open_address():
    """An address of every interface that was asked for is a warning."""
    bindings = {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    found = result("runtime-publish", in_container(PortBindings=bindings), samples.expected(publish=Endpoint("0.0.0.0", 8080)))
    assert (found.verdict, "every interface" in found.reason) == ("warn", True)


def test_net_bind_service_passes():
    """The one capability that Kubernetes' restricted profile allows, where it was asked for."""
    asked = samples.expected(cap_add=("NET_BIND_SERVICE",))
    assert result("runtime-capabilities", with_process(bounding_capabilities=1 << 10), asked).verdict == "pass"
    assert result("runtime-capabilities", with_process(bounding_capabilities=1 << 10)).verdict == "fail"


def test_budget_without_limit():
    """No limit is a skip that still shows what was measured."""
    found = result("image-size", GOOD, samples.expected(budgets={}))
    assert (found.verdict, found.allowed, found.unit) == ("skip", None, "MB")
    assert found.amount > 0
    assert "go_service_budget.image_mb" in found.reason


def test_budget_that_only_warns():
    """A budget of go_service_budget_warn_only warns where another fails."""
    asked = samples.expected(build_seconds=61.0, start_seconds=3.0, warn_only=("first_build_seconds",))
    assert (result("build-time", GOOD, asked).verdict, result("start-time", GOOD, asked).verdict) == ("warn", "fail")


def test_budget_at_its_limit():
    """Exactly the limit keeps it."""
    assert result("start-time", GOOD, samples.expected(start_seconds=2.0)).verdict == "pass"


@pytest.mark.parametrize(
    ("scanned", "budgets", "verdict"),
    [
        (scanners.ScanResult("trivy", {"critical": 0, "high": 0, "medium": 3, "low": 0, "unknown": 0}), {}, "pass"),
        (scanners.ScanResult("trivy", {"critical": 0, "high": 1, "medium": 0, "low": 0, "unknown": 0}), {}, "warn"),
        (scanners.ScanResult("trivy", {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0}), {"max_critical": 0}, "fail"),
        (
            scanners.ScanResult("trivy", {"critical": 1, "high": 2, "medium": 0, "low": 0, "unknown": 0}),
            {"max_critical": 1, "max_high": 2},
            "pass",
        ),
        (scanners.ScanResult("grype", problem="no database"), {"max_critical": 0}, "warn"),
        (None, {"max_critical": 0}, "skip"),
    ],
)
def test_vulnerabilities(scanned, budgets, verdict):
    """Over the budget fails, without one grave findings warn; no scanner is a skip, never a pass."""
    asked = samples.expected(budgets={**samples.expected().budgets, **budgets})
    assert result("vulnerabilities", replace(GOOD, scan=scanned), asked).verdict == verdict


# --- Waivers


def test_waiver():
    """A waived failure shows as waived with both reasons; the verdict no longer fails, and other checks are
    untouched."""
    found = in_container(ReadonlyRootfs=False)
    waivers = {"runtime-read-only": "It writes its index beside its binary.", "files-binary-writable": "The same."}
    results = judge.evaluate(found, samples.expected(), waivers)
    waived = next(item for item in results if item.id == "runtime-read-only")
    assert (waived.verdict, waived.waiver) == ("waived", "It writes its index beside its binary.")
    assert waived.reason
    assert judge.verdict(results) == "pass"


def test_waiver_does_not_make_a_pass_or_a_skip():
    """A waiver of a check that is met, or that could not be judged, changes nothing."""
    waivers = {"runtime-read-only": "x", "vulnerabilities": "y"}
    assert verdicts(GOOD, waivers=waivers) == verdicts(GOOD)


@pytest.mark.parametrize(
    ("waivers", "message"),
    [
        ({"runtime-readonly": "x"}, r"did you mean runtime-read-only\?"),
        ({"zzz": "x"}, r"'zzz', which does not exist\."),
        ({"image-size": " "}, "image-size gives no reason"),
        ({"image-size": None}, "image-size gives no reason"),
    ],
)
def test_bad_waiver(waivers, message):
    """A waiver for nothing, or without a reason, is an error."""
    with pytest.raises(judge.WaiverError, match=message):
        judge.evaluate(GOOD, samples.expected(), waivers)


# --- The registry and its documentation


def test_registry():
    """Every check is complete, and every rule that is listed is answered by a check."""
    for item in judge.CHECKS.values():
        assert item.about
        assert item.remedy.endswith((".", "?"))
        assert item.group in GROUPS
        assert item.severity in SEVERITIES
    used = {rule for item in judge.CHECKS.values() for rule in item.rules}
    assert used == set(rules.RULES)
    assert {rule.partition(" ")[0] for rule in used} == set(rules.SOURCES)


@pytest.mark.parametrize("change", [{"rules": ("CIS 9.9",)}, {"group": "x"}, {"severity": "x"}, {"identifier": "taken"}])
def test_wrong_entry(change):
    """A check that names an unknown rule, group or severity, or a taken id, is refused when it is entered."""
    fields = {"identifier": "new", "title": "x", "group": "files", "severity": "low", "remedy": "x.", **change}

    def function(_evidence, _expected):
        """About."""

    group = Group(fields.pop("group"))
    if fields["identifier"] == "taken":
        group.check("taken", "x", severity="low", remedy="x.")(function)
    with pytest.raises(ValueError, match="entered wrongly"):
        group.check(fields.pop("identifier"), fields.pop("title"), **fields)(function)


def test_documentation_is_fresh():
    """docs/checks.md is what the code says."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scripts/generate_docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- The Dockerfile's linters

DOCKERFILE = 'FROM alpine:3.24\nRUN adduser -D app\nUSER app\nENTRYPOINT ["/x"]\n'
CHECKOV = {
    "check_type": "dockerfile",
    "results": {
        "passed_checks": [{"check_id": "CKV_DOCKER_7"}],
        "failed_checks": [
            {
                "check_id": "CKV_DOCKER_2",
                "check_name": "Ensure that HEALTHCHECK instructions have been added to container images ",
                "file_line_range": [1, 4],
            }
        ],
    },
}


CHECKOV_PROGRAM = Path(sys.executable).parents[1] / "checkov/bin/checkov"


def judged(answers: dict | None, name: str = "hadolint", **asked) -> CheckResult:
    """The result of a Dockerfile's check, from what the linters answered."""
    dockerfile = None if answers is None else {"fingerprint": "x", "linters": answers}
    waivers = asked.pop("waivers", {})
    results = judge.evaluate(replace(GOOD, dockerfile=dockerfile), samples.expected(**asked), waivers, "dockerfile")
    return next(item for item in results if item.id == f"dockerfile-{name}")


@pytest.mark.skipif(not lint.find_tool("hadolint"), reason="no hadolint")
def test_hadolint():
    """The real linter: clean at the threshold warning, a finding at info with a numeric user, and findings of a bad
    file."""
    tools = {"hadolint": lint.find_tool("hadolint")}
    good = lint.lint(DOCKERFILE, tools)
    assert judged(good).verdict == "pass"
    strict = judged(good, numeric_user=True)
    assert (strict.verdict, "DL3066" in strict.reason) == ("fail", True)
    bad = judged(lint.lint("FROM alpine\nADD x /y\nUSER root\n", tools))
    assert bad.verdict == "fail"
    assert all(code in bad.reason for code in ("DL3006", "DL3020", "DL3002"))
    numeric = lint.lint(DOCKERFILE.replace("USER app", "USER 10001"), tools)
    assert judged(numeric, numeric_user=True).verdict == "pass"
    broken = judged(lint.lint("FROM\n", tools))
    assert broken.verdict == "fail"


@pytest.mark.skipif(not CHECKOV_PROGRAM.exists(), reason="no checkov: make unit installs it")
def test_checkov():
    """The real linter: the missing health check is found."""
    answer = lint.lint(DOCKERFILE, {"checkov": str(CHECKOV_PROGRAM)})
    assert [finding["code"] for finding in answer["checkov"]["findings"]] == ["CKV_DOCKER_2"]
    assert judged(answer, "checkov").verdict == "fail"


def test_checkov_format():
    """checkov's JSON, as documented."""
    assert lint.parse_checkov(CHECKOV) == [
        {
            "code": "CKV_DOCKER_2",
            "level": "warning",
            "line": 1,
            "message": "Ensure that HEALTHCHECK instructions have been added to container images",
        }
    ]
    with pytest.raises(ValueError, match="not checkov's report"):
        lint.parse_checkov([])


def test_linters_that_are_not_there():
    """A linter that is not there is a skip, one that fails a warning; neither is a pass."""
    assert lint.lint("FROM x:1\n", {"hadolint": "", "checkov": ""}) == {}
    absent = [judged({}, name) for name in lint.TOOLS]
    assert [(item.verdict, item.reason) for item in absent] == [
        ("skip", "no hadolint on the controller"),
        ("skip", "no checkov on the controller"),
    ]
    assert (judged(None).verdict, "earlier image" in judged(None).reason) == ("skip", True)
    failing = lint.lint("FROM x:1\n", {"hadolint": "/bin/false"})
    assert judged(failing).verdict == "warn"
    wrong = lint.lint("FROM x:1\n", {"hadolint": shutil.which("echo")})
    assert judged(wrong).verdict == "warn"


def test_what_the_linters_found_is_kept_for_the_same_dockerfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run again for another Dockerfile only."""
    asked: list[str] = []
    monkeypatch.setattr(lint, "lint", lambda dockerfile, tools: asked.append(dockerfile) or {})
    first = lint.examine("FROM x:1\n", None)
    assert lint.examine("FROM x:1\n", first) == first
    assert asked == ["FROM x:1\n"]
    assert lint.examine("FROM x:2\n", first) != first
    assert asked == ["FROM x:1\n", "FROM x:2\n"]


def test_lint_waiver():
    """The Dockerfile's checks can be waived as all others."""
    answer = {"hadolint": {"findings": [{"code": "DL3018", "level": "warning", "line": 2, "message": "Pin"}], "problem": ""}}
    found = judged(answer, waivers={"dockerfile-hadolint": "Pinned by the base's release line."})
    assert (found.verdict, found.limit) == ("waived", "nothing at warning or above")


def test_one_group_alone():
    """The running service is held to the checks of its group."""
    found = judge.evaluate(GOOD, samples.expected(), {}, "runtime")
    assert {item.group for item in found} == {"runtime"}
    assert [item.id for item in found] == [check.id for check in judge.CHECKS.values() if check.group == "runtime"]


def test_results_are_plain_data():
    """Results travel as JSON."""
    for item in judge.evaluate(GOOD, samples.expected(), {}):
        assert json.loads(json.dumps(item.as_dict())) == item.as_dict()


def test_a_source_outside_of_git_needs_no_date():
    found = samples.good_evidence(config={"Labels": samples.labels(created="", source="", revision="")})
    labels = result("config-labels", found, samples.expected(source_date=""))
    assert (labels.verdict, "no git checkout" in labels.reason) == ("pass", True)
