"""A small Alpine on a disk, installed among other things, as the tests of how it is put together have it."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.proven.go_service.plugins.module_utils.alpine import system
from ansible_collections.proven.go_service.plugins.module_utils.alpine.nodes import DIRECTORY, FILE, SYMLINK, Node

# When the release was made, and when somebody installed it, in seconds since 1970.
RELEASED, INSTALLED = 1_700_000_000, 1_800_000_000
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\n"
GROUP = "root:x:0:root\nshadow:x:42:\n"
SHADOW = "root:::0:::::\nnobody:!::0:::::\n"
# Paths of the packages -> what the packages have there: text, "-> target", or "" for a directory.
FILES = {
    "alpine-baselayout": {"/etc": "", "/root": "", "/tmp": "", "/etc/mtab": "-> ../proc/mounts"},
    "alpine-baselayout-data": {
        "/etc": "",
        "/etc/passwd": PASSWD,
        "/etc/group": GROUP,
        "/etc/shadow": SHADOW,
        "/etc/hostname": "localhost\n",
        "/etc/modules": "ipv6\n",
    },
    "alpine-release": {"/etc": "", "/etc/alpine-release": "3.99.1\n"},
    "busybox": {
        "/bin": "",
        "/bin/busybox": "BusyBox",
        "/etc": "",
        "/etc/busybox-paths.d": "",
        "/etc/busybox-paths.d/busybox": "bin/ls\nsbin/modprobe\nbin/sh\n",
        "/sbin": "",
    },
    "busybox-binsh": {"/bin": "", "/bin/sh": "-> /bin/busybox"},
    "apk-tools": {"/lib": "", "/lib/apk": "", "/lib/apk/db": "", "/etc": "", "/etc/apk": ""},
    "ca-certificates-bundle": {
        "/etc/ssl": "",
        "/etc/ssl/certs": "",
        "/etc/ssl/certs/ca-certificates.crt": "-----BEGIN CERTIFICATE-----\nalpine\n",
    },
    "kmod": {"/sbin": "", "/sbin/modprobe": "-> ../bin/kmod", "/bin/kmod": "kmod"},
}
MODES = {"/root": 0o700, "/tmp": 0o1777, "/etc/shadow": 0o640, "/bin/busybox": 0o755, "/bin/kmod": 0o755}
NEEDS = {"alpine-baselayout": "alpine-baselayout-data=1 /bin/sh", "busybox-binsh": "busybox=1", "busybox": "so:libc.musl.so.1"}
PROVIDES = {"busybox-binsh": "/bin/sh cmd:sh=1", "musl": "so:libc.musl.so.1=1"}


def checksum(content: str) -> str:
    """Return apk's checksum of a text."""
    return "Q1" + base64.b64encode(hashlib.sha1(content.encode()).digest()).decode()


def block(name: str) -> str:
    """Return what apk's database has of a package."""
    lines = [f"C:{checksum(name)}", f"P:{name}", "V:1", "L:MIT"]
    lines += [f"D:{NEEDS[name]}"] if name in NEEDS else []
    lines += [f"p:{PROVIDES[name]}"] if name in PROVIDES else []
    files = FILES.get(name, {})
    for folder in [path for path, content in files.items() if not content]:
        lines.append(f"F:{folder[1:]}")
        lines += [f"M:0:0:{MODES[folder]:o}"] if folder in MODES else []
        for path, content in files.items():
            if content and path.rpartition("/")[0] == folder:
                link = content.startswith("-> ")
                lines.append(f"R:{path.rpartition('/')[2]}")
                lines += [f"a:0:0:{0o777 if link else MODES[path]:o}"] if link or path in MODES else []
                lines.append(f"Z:{checksum(content.removeprefix('-> '))}")
    return "\n".join(lines)


def scripts(*names: str) -> bytes:
    """Return apk's archive of scripts with one of each package."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(f"{name}-1.X{name.encode().hex()}.trigger")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"#!\n"))
    return packed.getvalue()


def database(*names: str) -> str:
    """Return apk's database of packages."""
    return "".join(f"{block(name)}\n\n" for name in names)


class FakeDisk:
    """A disk in memory. files: path -> what is there."""

    def __init__(self, files: Mapping[str, Node]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> Node | None:
        return self.files.get(path)

    def change(self, path: str, **changes: object) -> None:
        """Change what is at a path."""
        self.files[path] = replace(self.files[path], **changes)


def disk() -> FakeDisk:
    """Return a disk with the world of the official image and kmod, two users more, and what a container engine leaves when it exports a system."""
    packages = (*system.WORLD, "alpine-baselayout-data", "musl", "kmod")
    found = {}
    for name in packages:
        for path, content in FILES.get(name, {}).items():
            kind = DIRECTORY if not content else SYMLINK if content.startswith("-> ") else FILE
            time = RELEASED if path == system.RELEASE else RELEASED - 5 if kind == FILE else INSTALLED
            mode = MODES.get(path, 0o644 if kind == FILE else 0o755) if kind != SYMLINK else 0o777
            text = "" if kind == SYMLINK else content
            target = content.removeprefix("-> ") if kind == SYMLINK else ""
            found[path] = Node(kind, mode, time=time, content=text.encode(), target=target)

    def put(path: str, content: str | bytes, mode: int = 0o644, gid: int = 0) -> None:
        found[path] = Node(FILE, mode, gid=gid, time=INSTALLED, content=content.encode() if isinstance(content, str) else content)

    locked = SHADOW.replace("root::", "root:*:")
    for path, text, more, mode, gid in (
        ("/etc/passwd", PASSWD, "vm:x:1000:1000::/home/vm:/bin/sh\n", 0o644, 0),
        ("/etc/group", GROUP, "vm:x:1000:\n", 0o644, 0),
        ("/etc/shadow", locked, "vm:!:20740::::::\n", 0o640, 42),
    ):
        put(path, text + more, mode, gid)
        put(f"{path}-", text + more, mode, gid)
    put("/etc/hostname", "", 0o755)
    put("/etc/modules", "ipv6\n9p\n")
    found["/etc/mtab"] = Node(SYMLINK, 0o777, time=INSTALLED, target="/proc/mounts")
    found["/bin/ls"] = Node(SYMLINK, 0o777, time=INSTALLED, target="/bin/busybox")
    put("/home/vm/.profile", "hello\n")
    put("/etc/apk/arch", "x86_64\n")
    put("/etc/apk/repositories", "https://example.com/main\n")
    put("/etc/apk/world", "curl\nlinux-virt\n")
    put("/lib/apk/db/lock", "", 0o600)
    put("/lib/apk/db/installed", database(*packages))
    put("/lib/apk/db/triggers", f"{checksum('busybox')} /bin\n{checksum('kmod')} /lib/modules/*\n")
    put("/lib/apk/db/scripts.tar.gz", scripts("busybox", "kmod"))
    return FakeDisk(found)
