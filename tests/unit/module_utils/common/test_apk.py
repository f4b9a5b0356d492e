"""apk's database: what is read of it, and what a world of packages needs."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import apk
from fuzzing import EXAMPLES, LINES
from hypothesis import given

TEXT = """C:Q1sum=
P:busybox
V:1.37.0-r30
p:/bin/sh cmd:ls=1.37.0-r30
D:so:libc.so.1 !other
F:
F:bin
R:busybox
a:0:0:755
Z:Q1abc=
R:plain
F:tmp
M:0:42:1777

P:musl
V:1
p:so:libc.so.1=1

P:ssl
V:1
D:busybox>=1 /bin/sh

P:broken

"""


def test_what_is_said_of_each_path() -> None:
    (busybox, musl, _ssl) = apk.parse(TEXT)
    assert busybox.owned == {
        "/": apk.Owned(True),
        "/bin": apk.Owned(True),
        "/bin/busybox": apk.Owned(False, 0, 0, 0o755, "Q1abc="),
        "/bin/plain": apk.Owned(False, 0, 0, 0o644),
        "/tmp": apk.Owned(True, 0, 42, 0o1777),
    }
    assert (busybox.fields["C"], musl.version, musl.owned) == ("Q1sum=", "1", {})
    assert TEXT.startswith(busybox.block + "\n\n")


@pytest.mark.parametrize(
    ("world", "needed"),
    [((), []), (("musl",), ["musl"]), (("ssl",), ["busybox", "musl", "ssl"]), (("/bin/sh",), ["busybox", "musl"])],
)
def test_a_world_has_what_its_packages_need(world: tuple[str, ...], needed: list[str]) -> None:
    assert [package.name for package in apk.closure(apk.parse(TEXT), world)] == needed


def test_what_no_package_provides_is_named() -> None:
    with pytest.raises(LookupError, match="zlib"):
        apk.closure(apk.parse(TEXT), ("ssl", "zlib>1"))


@EXAMPLES
@given(text=LINES)
def test_any_database_is_read(text: str) -> None:
    apk.parse(text)
