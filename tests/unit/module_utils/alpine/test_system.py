"""Alpine is put together as its own package database says it is, and whatever differs from that is found."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from alpines import INSTALLED, PASSWD, RELEASED, FakeDisk, database, disk, scripts
from ansible_collections.proven.go_service.plugins.module_utils.alpine import system
from ansible_collections.proven.go_service.plugins.module_utils.alpine.nodes import DIRECTORY, FILE, SYMLINK, Node, read_layer
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import RUNTIME

Nodes = dict[str, Node]
# What `apk info` says of the official image: its world, and what that needs.
OFFICIAL = (*system.WORLD, "alpine-baselayout-data", "libapk", "libcrypto3", "libssl3", "musl", "zlib")


def names(archive: bytes) -> list[str]:
    """Return the names in a packed tar."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return tar.getnames()


def test_the_official_world_is_taken_and_nothing_else() -> None:
    found = system.system(disk())
    assert system.problems(found) == []
    assert system.release(found) == "3.99.1"
    assert not [path for path in found if "kmod" in path or path.startswith("/home")]
    assert found["/etc/apk/world"].text.split() == list(system.WORLD)
    assert "P:kmod" not in found[system.DATABASE].text
    assert "P:musl\n" in found[system.DATABASE].text, "a package that another one needs by what it provides"
    assert [name[:9] for name in names(found["/lib/apk/db/scripts.tar.gz"].content)] == ["busybox-1"]
    assert found["/lib/apk/db/triggers"].text.count("\n") == 1


def test_what_others_changed_is_put_right() -> None:
    found = system.system(disk())
    assert found["/etc/passwd"].text == found["/etc/passwd-"].text == PASSWD
    assert "vm" not in found["/etc/group"].text + found["/etc/group-"].text + found["/etc/shadow"].text + found["/etc/shadow-"].text
    assert found["/etc/shadow"].text.startswith("root:*:"), "the lock of root's password stays"
    assert (found["/etc/hostname"].text, found["/etc/hostname"].mode) == ("localhost\n", 0o644)
    assert found["/etc/mtab"].target == "../proc/mounts"
    assert found["/etc/modules"].text == "ipv6\n"
    assert (found["/sbin/modprobe"].kind, found["/sbin/modprobe"].target) == (SYMLINK, "/bin/busybox"), "kmod had taken its place"
    assert (found["/bin/sh"].target, found["/bin/ls"].target) == ("/bin/busybox", "/bin/busybox")


def test_no_time_is_that_of_the_disk() -> None:
    found = system.system(disk())
    assert {node.time for node in found.values()} == {RELEASED, RELEASED - 5}
    later = disk()
    for path, node in later.files.items():
        if node.time == INSTALLED:
            later.change(path, time=INSTALLED + 99)
    assert system.system(later) == found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (system.DATABASE, "no file /lib/apk/db/installed"),
        (system.RELEASE, "no file /etc/alpine-release"),
        ("/etc/apk/arch", "no file /etc/apk/arch"),
        ("/lib/apk/db/triggers", "no file /lib/apk/db/triggers"),
    ],
)
def test_a_disk_that_lacks_what_is_needed_is_refused(path: str, words: str) -> None:
    lacking = disk()
    del lacking.files[path]
    with pytest.raises(system.NotAsItShouldBe, match=words) as caught:
        system.system(lacking)
    assert "base_images_alpine_wheel" in caught.value.remedy and "base_images_source" in caught.value.remedy


def test_a_package_that_is_missing_is_named() -> None:
    lacking = disk()
    lacking.change(system.DATABASE, content=database(*system.WORLD).encode())
    with pytest.raises(system.NotAsItShouldBe, match=r"lacks the package (alpine-baselayout-data|so:libc)"):
        system.system(lacking)


def test_what_cannot_be_put_right_is_found_afterwards() -> None:
    """What is neither as the package noted it nor a package's file with something appended stays, and is not passed."""
    damaged = disk()
    damaged.change("/bin/busybox", content=b"Busybox")
    damaged.change("/etc/passwd", content=b"evil:x:0:0::/:/bin/sh\n" + PASSWD.encode())
    found = system.problems(system.system(damaged))
    assert [problem.split(" ")[0] for problem in found if "another content" in problem] == ["/bin/busybox", "/etc/passwd"]


def changed(path: str, **changes: object) -> Callable[[Nodes], None]:
    def change(found: Nodes) -> None:
        found[path] = replace(found[path], **changes)

    return change


def added(path: str, node: Node) -> Callable[[Nodes], None]:
    return lambda found: found.update({path: node})


def removed(path: str) -> Callable[[Nodes], None]:
    return lambda found: found.pop(path) and None


def more_packages(found: Nodes) -> None:
    found[system.DATABASE] = replace(found[system.DATABASE], content=found[system.DATABASE].content + database("kmod").encode())


DIFFERENCES: dict[str, tuple[Callable[[Nodes], None], str]] = {
    "a file is missing": (removed("/bin/busybox"), "/bin/busybox is missing"),
    "a directory is missing": (removed("/root"), "/root is missing"),
    "a link of BusyBox is missing": (removed("/bin/ls"), "/bin/ls is missing"),
    "a file of apk's is missing": (removed("/etc/apk/repositories"), "/etc/apk/repositories is missing"),
    "the database is missing": (removed(system.DATABASE), f"{system.DATABASE} is missing"),
    "a file is left over": (added("/.dockerenv", Node(FILE, 0o644)), "/.dockerenv is left over"),
    "a directory is left over": (added("/home/vm", Node(DIRECTORY, 0o755)), "/home/vm is left over"),
    "a link is left over": (added("/bin/kmod", Node(SYMLINK, 0o777, target="/bin/busybox")), "/bin/kmod is left over"),
    "a package is left over": (more_packages, "the package kmod is left over"),
    "a content": (changed("/bin/busybox", content=b"x"), "/bin/busybox has another content than its package noted"),
    "a target": (changed("/bin/sh", target="/bin/evil"), "/bin/sh has another content"),
    "a target of BusyBox": (changed("/bin/ls", target="/bin/evil"), "/bin/ls is no link of root's to /bin/busybox"),
    "a mode": (changed("/bin/busybox", mode=0o4755), "/bin/busybox has owner 0:0 and mode 4755 instead of 0:0 and 755"),
    "a mode of a directory": (changed("/tmp", mode=0o777), "/tmp has owner 0:0 and mode 777 instead of 0:0 and 1777"),
    "an owner": (changed("/etc/passwd", uid=1000), "/etc/passwd has owner 1000:0 and mode 644"),
    "the group of the passwords": (changed("/etc/shadow", gid=0), "/etc/shadow has owner 0:0 and mode 640 instead of 0:42"),
    "a kind": (changed("/etc/modules", kind=DIRECTORY), "/etc/modules is a directory"),
    "root's password": (
        changed("/etc/shadow", content=b"root:::0:::::\nnobody:!::0:::::\n"),
        "/etc/shadow lets root in without a password",
    ),
    "a user": (changed("/etc/passwd", content=PASSWD.encode() + b"vm:x:1::::\n"), "/etc/passwd has another content"),
    "a user of a backup": (
        changed("/etc/passwd-", content=PASSWD.encode() + b"vm:x:1::::\n"),
        "/etc/passwd- names vm, which is none of Alpine's",
    ),
    "a mode of a backup": (changed("/etc/shadow-", mode=0o644), "/etc/shadow- differs in owner or mode"),
    "a mode of a file of apk's": (changed("/etc/apk/world", mode=0o666), "/etc/apk/world is no file that root alone can write to"),
    "the world": (changed("/etc/apk/world", content=b"busybox\n"), "/etc/apk/world is not that of the official image"),
    "a trigger": (changed("/lib/apk/db/triggers", content=b"Q1other /bin\n"), "a trigger of a package that is not there: Q1other /bin"),
    "a script": (changed("/lib/apk/db/scripts.tar.gz", content=scripts("kmod")), "a script of a package that is not there: kmod-1."),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_every_difference_from_the_database_is_found(difference: str) -> None:
    change, words = DIFFERENCES[difference]
    found = system.system(disk())
    change(found)
    assert [problem for problem in system.problems(found) if words in problem], system.problems(found)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 200_000])
def test_stored_content_is_gzip(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    packed = system.stored(content)
    assert gzip.decompress(packed) == zlib.decompress(packed, 31) == content


def test_the_same_disk_gives_the_same_system() -> None:
    first, other = system.system(disk()), system.system(FakeDisk(disk().files))
    assert first == other


@pytest.mark.engine
def test_the_image_on_this_machine_is_what_its_package_database_says(engine: Engine) -> None:
    """Each file of the real image, with its checksum, mode and owner; nothing missing, nothing left over."""

    def layers(stream: object) -> list[Nodes]:
        found = []
        with tarfile.open(fileobj=stream, mode="r|") as outer:  # type: ignore[call-overload]
            for member in outer:
                content = outer.extractfile(member) if member.isfile() else None
                begin = content.read() if content else b""
                if begin[257:262] == b"ustar":
                    found.append(read_layer(io.BytesIO(begin)))
        return found

    (found,) = engine.read_image(RUNTIME, layers)
    assert len(found) > 400
    assert system.problems(found) == []
    assert RUNTIME.endswith(system.release(found))


@pytest.mark.engine
def test_the_real_apk_and_busybox_find_nothing_to_do(engine: Engine, client: Callable[..., str]) -> None:
    """apk knows of no change to its packages, and BusyBox of no link that is missing."""
    asked = "apk audit --system --check-permissions; apk fix --no-network --simulate 2>/dev/null && /bin/busybox --install -s; id nobody"
    made = client("create", "--name", "utest-alpine", RUNTIME, "sh", "-c", asked).strip()
    try:
        said = client("start", "--attach", made).splitlines()
        # What the Engine mounts into each container.
        assert [line for line in said if line not in ("m proc/", "m sys/", "m dev/shm/")] == [
            f"OK: {said[-2].split()[1]} KiB in {len(OFFICIAL)} packages",
            "uid=65534(nobody) gid=65534(nobody) groups=65534(nobody)",
        ]
        assert [line for line in client("diff", made).splitlines() if "bin" in line] == [], "BusyBox made links that were missing"
        found = client("run", "--rm", RUNTIME, "apk", "info").split()
        assert sorted(found) == sorted(OFFICIAL)
    finally:
        client("rm", "--force", made)
