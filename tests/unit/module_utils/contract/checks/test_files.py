"""What is in the file system of the image."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import files
from violations import GOOD, Violation, assert_all_provoked, assert_caught, result, with_verdict

VIOLATIONS: dict[str, Violation] = {
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
        "/data belongs to 0, not to the service's user (1000), /more is not a directory",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(files.GROUP, VIOLATIONS, "files-secrets", "files-leftovers")


def secret_below(path: str):
    """A secret that a later layer hides again."""
    hidden = samples.Layer().add(path, "x")
    folder, _slash, name = path.rpartition("/")
    return samples.good_evidence(hidden, samples.Layer().add(f"{folder}/.wh.{name}"))


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


def test_authorities_that_were_asked_for_are_no_difference_and_others_are():
    """go_service_ca_in_image changes the base's bundle, and keeps what it adds where the package ca-certificates looks for it."""
    trusting = samples.Layer().add("/etc/ssl/certs/ca-certificates.crt", "more")
    for directory in ("/usr/local/share", "/usr/local/share/ca-certificates"):
        trusting.directory(directory)
    found = samples.good_evidence(trusting.add("/usr/local/share/ca-certificates/go-service.crt", "more"))
    assert with_verdict("fail", found, samples.expected(ca_in_image=True)) == set()
    assert with_verdict("fail", found) == {"files-differences"}
    other = samples.good_evidence(samples.Layer().add("/usr/local/share/ca-certificates/other.crt", "x"))
    assert with_verdict("fail", other, samples.expected(ca_in_image=True)) == {"files-differences"}


def test_mount_points_are_no_differences():
    """What a builder mounts into its steps may leave an empty place behind, but nothing with a content."""
    empty = samples.Layer().directory("/dev").directory("/proc").directory("/sys").add("/etc/resolv.conf")
    assert with_verdict("fail", samples.good_evidence(empty)) == set()
    full = samples.Layer().directory("/proc").add("/proc/x", "x").add("/etc/hosts", "127.0.0.1 x\n")
    assert result("files-differences", samples.good_evidence(full)).reason == "+ /etc/hosts, + /proc/x"
