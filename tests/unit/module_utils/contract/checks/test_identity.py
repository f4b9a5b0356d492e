"""Who the service runs as, and which accounts there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import identity
from violations import GOOD, Violation, assert_all_provoked, assert_caught, with_process

VIOLATIONS: dict[str, Violation] = {
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
    "another uid": (lambda: GOOD, {"uid": 10001}, {"user-uid"}, "another uid"),
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
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(identity.GROUP, VIOLATIONS)
