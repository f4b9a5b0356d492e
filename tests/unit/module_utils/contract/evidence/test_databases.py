"""Accounts, groups, packages and names of systems, from the files that hold them."""

from __future__ import annotations

import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    databases,
    model,
    process,
)
from fuzzing import EXAMPLES, LINES
from hypothesis import given


def test_accounts():
    """Passwords are taken from where they are; damaged lines are passed over."""
    passwd = "root:x:0:0:root:/root:/bin/sh\nopen::5:5::/:/bin/sh\nbroken:x:y\napp:x:1000:1000::/:/sbin/nologin\n"
    accounts = databases.parse_accounts(passwd, "root:*:1::::::\napp::1::::::\nshort\n")
    assert [(a.name, a.uid, a.password) for a in accounts] == [("root", 0, "*"), ("open", 5, ""), ("app", 1000, "")]
    assert databases.parse_accounts("a:x:1:1:::\n", "")[0].password is None


def test_groups():
    """Members are read; damaged lines are passed over."""
    groups = databases.parse_groups("root:x:0:\nwheel:x:10:root,app\nbroken\n")
    assert groups == (model.Group("root", 0), model.Group("wheel", 10, ("root", "app")))


def test_apk_database():
    """Packages with their files, and blocks without a name left out."""
    packages = databases.parse_apk_database(samples.APK_DATABASE + "C:x\nT:nothing\n")
    assert [(p.name, p.version, p.license) for p in packages] == [
        ("busybox", "1.37.0-r12", "GPL-2.0-only"),
        ("musl", "1.2.5-r9", "MIT"),
    ]
    assert packages[1].files == {"/lib/ld-musl-x86_64.so.1"}
    assert databases.parse_apk_database("") == ()


def test_os_release():
    """Quotes and comments."""
    assert databases.parse_os_release('# x\nID=alpine\nPRETTY_NAME="Alpine Linux"\nnothing\n') == {
        "ID": "alpine",
        "PRETTY_NAME": "Alpine Linux",
    }


@EXAMPLES
@given(text=LINES, other=LINES)
def test_any_database_of_an_image_is_read(text: str, other: str) -> None:
    databases.parse_accounts(text, other)
    databases.parse_groups(text)
    databases.parse_apk_database(text)
    databases.parse_os_release(text)
    process.parse_process_status(text)
