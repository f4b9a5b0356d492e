"""What the tests of the contract share: executables, layers and image archives made in memory, and an Engine that holds
them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import IO, Any

from ansible_collections.proven.go_service.plugins.module_utils.common import settings as settings_of
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Endpoint
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import collect, image_archive, model
from ansible_collections.proven.go_service.plugins.module_utils.contract.expected import Expected

# What makes checked settings from changes to the defaults.
Settings = Callable[..., settings_of.Settings]
BINARY = "/usr/local/bin/cat-server"
HEALTH = ("wget", "--no-verbose", "--tries=1", "--spider", "http://localhost:8080/health")
DIGEST = "c0ffee" + "0" * 58
IMAGE_DIGEST = "sha256:" + "0123456789abcdef" * 4
SOURCE_DATE = "2026-11-01T10:00:00Z"
BUILD_TEXT = (
    "path\texample.com/cat-server\n"
    "mod\texample.com/cat-server\tv1.2.0\t\n"
    "dep\tgolang.org/x/net\tv0.39.0\th1:abc=\n"
    "dep\texample.com/old\tv1.0.0\n"
    "=>\texample.com/Fork\tv1.0.1+incompatible\th1:def=\n"
    'build\t-ldflags="-w -s"\n'
    "build\tCGO_ENABLED=0\n"
    "build\tGOARCH=amd64\n"
)
PASSWD = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
APK_DATABASE = (
    "C:Q1abc=\nP:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n"
    "C:Q1def=\nP:busybox\nV:1.37.0-r12\nA:x86_64\nL:GPL-2.0-only\no:busybox\nF:bin\nR:busybox\nF:etc\n\n"
)


def varint(number: int) -> bytes:
    """An unsigned number as Go's encoding/binary writes it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def build_info(version: str = "go1.27.3", text: str = BUILD_TEXT, flags: int = 2) -> bytes:
    """The blob of a .go.buildinfo section, as cmd/link writes it since Go 1.18."""
    framed = bytes.fromhex("3077af0c9274080241e1c107e6d618e6") + text.encode() + bytes.fromhex("f932433186182072008242104116d8f2")
    header = b"\xff Go buildinf:" + bytes([8, flags]) + b"\0" * 16
    return header + varint(len(version)) + version.encode() + varint(len(framed)) + framed


def elf(
    *,
    machine: int = 62,
    kind: int = 2,
    interpreter: str = "",
    needed: Iterable[str] = (),
    sections: Iterable[str] = (".text",),
    info: bytes | None = None,
    bits: int = 64,
    order: str = "<",
) -> bytes:
    """A small ELF file with the asked-for headers: everything is loaded at 0x400000 by one segment."""
    base, word = 0x400000, "Q" if bits == 64 else "I"
    header_size, segment_size, section_size = (64, 56, 64) if bits == 64 else (52, 32, 40)
    names = list(needed)
    segments: list[tuple[int, int, int]] = []
    body = bytearray()
    start = header_size + 3 * segment_size
    start += -start % 16

    def place(data: bytes) -> int:
        body.extend(b"\0" * (-len(body) % 16))
        position = start + len(body)
        body.extend(data)
        return position

    if interpreter:
        data = interpreter.encode() + b"\0"
        segments.append((3, place(data), len(data)))
    if names:
        table = b"\0" + b"".join(name.encode() + b"\0" for name in names)
        at = place(table)
        entries = [(1, table.index(name.encode())) for name in names] + [(5, base + at), (10, len(table)), (0, 0)]
        data = b"".join(struct.pack(f"{order}{word}{word}", *entry) for entry in entries)
        segments.append((2, place(data), len(data)))
    described = [(name, place(b"\0" * 8), 8) for name in sections]
    if info is not None:
        described.append((".go.buildinfo", place(info), len(info)))
    strings = b"\0" + b"".join(name.encode() + b"\0" for name, _at, _size in described) + b".shstrtab\0"
    strings_at = place(strings)
    rows = [(0, 0, 0, 0, 0)]
    rows += [(strings.index(name.encode() + b"\0"), 1, base + at, at, size) for name, at, size in described]
    rows.append((strings.index(b".shstrtab"), 3, 0, strings_at, len(strings)))
    layout = f"{order}II{word}{word}{word}{word}II{word}{word}"
    sections_at = place(
        b"".join(struct.pack(layout, name, type_, 0, address, at, size, 0, 0, 1, 0) for name, type_, address, at, size in rows)
    )
    segments.insert(0, (1, 0, start + len(body)))

    def program(type_: int, at: int, size: int) -> bytes:
        if bits == 64:
            return struct.pack(f"{order}IIQQQQQQ", type_, 5, at, base + at, base + at, size, size, 16)
        return struct.pack(f"{order}IIIIIIII", type_, at, base + at, base + at, size, size, 5, 16)

    programs = b"".join(program(*segment) for segment in segments)
    ident = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1 if order == "<" else 2, 1]) + b"\0" * 9
    header = ident + struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH",
        kind,
        machine,
        1,
        base,
        header_size,
        sections_at,
        0,
        header_size,
        segment_size,
        len(segments),
        section_size,
        len(rows),
        len(rows) - 1,
    )
    return (header + programs).ljust(start, b"\0") + bytes(body)


GOOD_BINARY = elf(info=build_info())


class Layer:
    """A layer in the making."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(
        self,
        path: str,
        content: bytes | str = b"",
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        type: bytes = tarfile.REGTYPE,
        target: str = "",
        xattrs: Mapping[str, str] | None = None,
    ) -> Layer:
        """Add a path (absolute)."""
        data = content.encode() if isinstance(content, str) else content
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.mode, member.uid, member.gid, member.linkname = type, mode, uid, gid, target
        member.size = len(data) if type == tarfile.REGTYPE else 0
        member.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in (xattrs or {}).items()}
        self._tar.addfile(member, io.BytesIO(data))
        return self

    def directory(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Layer:
        """Add a directory."""
        return self.add(path, mode=mode, uid=uid, gid=gid, type=tarfile.DIRTYPE)

    def link(self, path: str, target: str) -> Layer:
        """Add a symbolic link."""
        return self.add(path, type=tarfile.SYMTYPE, target=target, mode=0o777)

    def tar(self) -> bytes:
        """The layer as a tar."""
        self._tar.close()
        return self._buffer.getvalue()


def base_layer() -> Layer:
    """A base image's layer: a shell, accounts, the usual directories."""
    layer = Layer()
    for path in ("/bin", "/etc", "/etc/ssl", "/etc/ssl/certs", "/home", "/media", "/root", "/usr", "/usr/local", "/usr/local/bin"):
        layer.directory(path)
    layer.directory("/srv").directory("/tmp", 0o1777)
    layer.add("/bin/busybox", b"busybox" * 1000, mode=0o755).link("/bin/sh", "/bin/busybox")
    layer.add("/etc/passwd", PASSWD).add("/etc/group", "root:x:0:\nnobody:x:65534:\n")
    layer.add("/etc/shadow", "root:*::0:::::\nnobody:!::0:::::\n", mode=0o640)
    layer.add("/etc/ssl/certs/ca.pem", "certificate")
    layer.add("/etc/os-release", 'ID=alpine\nVERSION_ID=3.24.1\nPRETTY_NAME="Alpine Linux v3.24"\n')
    layer.directory("/lib").directory("/lib/apk").directory("/lib/apk/db").add("/lib/apk/db/installed", APK_DATABASE)
    return layer


def user_layer(passwd: str = "app:x:1000:1000::/home/app:/sbin/nologin\n", shadow: str = "app:!:20000:0:99999:7:::\n") -> Layer:
    """What adduser changes."""
    layer = Layer().directory("/etc")
    layer.add("/etc/passwd", PASSWD + passwd).add("/etc/passwd-", PASSWD)
    layer.add("/etc/group", "root:x:0:\nnobody:x:65534:\napp:x:1000:\n")
    layer.add("/etc/shadow", "root:*::0:::::\nnobody:!::0:::::\n" + shadow, mode=0o640)
    return layer


def binary_layer(binary: bytes = GOOD_BINARY, mode: int = 0o755, uid: int = 1000, gid: int = 1000) -> Layer:
    """What the COPY of the binary adds."""
    layer = Layer().directory("/usr").directory("/usr/local").directory("/usr/local/bin")
    return layer.add(BINARY, binary, mode=mode, uid=uid, gid=gid)


STEPS = (
    "/bin/sh -c #(nop) COPY dir:" + "a" * 64 + " in / ",
    "/bin/sh -c adduser -D -H -s /sbin/nologin app",
    "/bin/sh -c #(nop) COPY --chown=app:appfile:" + "b" * 64 + " in /usr/local/bin/cat-server ",
)


def image_config(diff_ids: list[str], history: Iterable[str]) -> dict[str, Any]:
    """An image's configuration document."""
    steps = [{"created": "2026-11-02T08:00:00Z", "created_by": step} for step in history]
    steps.insert(1, {"created": "2026-11-02T08:00:00Z", "created_by": "/bin/sh -c #(nop)  USER app", "empty_layer": True})
    return {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": steps}


def diff_id(tar: bytes) -> str:
    """A layer's digest."""
    return "sha256:" + hashlib.sha256(tar).hexdigest()


def save(tars: list[bytes], history: Iterable[str] = STEPS, form: str = "docker", twins: bool = False) -> bytes:
    """What `docker save` writes.

    form: "docker" (Engine up to 24), "oci" (from 25), "gzip" or "zstd" (containerd's store). twins: a second image
    before it.
    """
    config = json.dumps(image_config([diff_id(tar) for tar in tars], history)).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as outer:

        def put(name: str, data: bytes) -> str:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            outer.addfile(member, io.BytesIO(data))
            return name

        def blob(data: bytes) -> str:
            return put("blobs/sha256/" + hashlib.sha256(data).hexdigest(), data)

        names: list[str] = []
        if form == "docker":
            placed: dict[bytes, str] = {}
            for index, tar in enumerate(tars):
                put(f"{index:064x}/VERSION", b"1.0")
                name = f"{index:064x}/layer.tar"
                if tar in placed:
                    member = tarfile.TarInfo(name)
                    member.type, member.linkname = tarfile.SYMTYPE, f"../{placed[tar]}"
                    outer.addfile(member)
                else:
                    put(name, tar)
                    placed[tar] = name
                names.append(name)
            config_name = put(hashlib.sha256(config).hexdigest() + ".json", config)
        else:
            pack: Callable[[bytes], bytes] = {
                "oci": lambda tar: tar,
                "gzip": lambda tar: gzip.compress(tar, 1),
                "zstd": lambda tar: b"\x28\xb5\x2f\xfd" + tar,
            }[form]
            names = [blob(pack(tar)) for tar in tars]
            config_name = blob(config)
            put("index.json", b"{}")
        manifest = [{"Config": config_name, "RepoTags": ["cat-server:latest"], "Layers": names}]
        if twins:
            manifest.insert(0, {"Config": put("other.json", b'{"rootfs": {"diff_ids": ["sha256:0"]}}'), "Layers": ["x"]})
        put("manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def labels(**changes: str) -> dict[str, str]:
    """The labels of a good image."""
    prefix = "org.opencontainers.image."
    found = {
        "go-service.name": "cat-server",
        "go-service.digest": DIGEST,
        prefix + "title": "cat-server",
        prefix + "version": "1.2.0",
        prefix + "created": SOURCE_DATE,
        prefix + "source": "https://example.com/cat-server.git",
        prefix + "revision": "0123456789abcdef0123456789abcdef01234567",
        prefix + "base.name": "alpine:3.24",
        prefix + "base.digest": "sha256:" + "d" * 64,
    }
    found.update({prefix + name.replace("__", "."): value for name, value in changes.items()})
    return found


def image_record(tars: list[bytes], **config: Any) -> dict[str, Any]:
    """The Engine's record of a good image; `config` replaces entries of its Config."""
    return {
        "Id": "sha256:" + "1" * 64,
        "RepoTags": ["cat-server:c0ffee000000"],
        "RepoDigests": [],
        "Created": "2026-11-02T08:00:00Z",
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 4242,
        "RootFS": {"Type": "layers", "Layers": [diff_id(tar) for tar in tars]},
        "Config": {
            "User": "app",
            "WorkingDir": "/srv",
            "Env": ["PATH=/usr/local/bin:/bin", "PORT=8080"],
            "ExposedPorts": {"8080/tcp": {}},
            "Entrypoint": [BINARY],
            "Cmd": None,
            "Volumes": None,
            "Healthcheck": {
                "Test": ["CMD-SHELL", " ".join(HEALTH)],
                "Interval": 30_000_000_000,
                "Timeout": 3_000_000_000,
                "StartPeriod": 5_000_000_000,
                "Retries": 3,
            },
            "Labels": labels(),
            **config,
        },
    }


def container_record(**host: Any) -> dict[str, Any]:
    """The Engine's record of a well hardened container; `host` replaces entries of its HostConfig."""
    return {
        "Id": "c" * 64,
        "Name": "/cat-server",
        "State": {"Running": True, "Pid": 4321},
        "Config": {"User": "app"},
        "AppArmorProfile": "docker-default",
        "Mounts": [],
        "HostConfig": {
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": None,
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 128,
            "Memory": 256 << 20,
            "NanoCpus": 1_000_000_000,
            "NetworkMode": "bridge",
            "IpcMode": "private",
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            **host,
        },
    }


class Engine:
    """An Engine that answers from tables what evidence asks of `engine.Engine`; asked: what it was asked, in order."""

    limits_not_held: tuple[str, ...] = ()

    def __init__(self, answers: Mapping[str, Any], streams: Mapping[str, bytes]) -> None:
        self.answers, self.streams, self.asked = answers, dict(streams), []

    def _answer(self, asked: str) -> Any:
        self.asked.append(asked)
        return json.loads(json.dumps(self.answers.get(asked)))

    def _read(self, asked: str, read: Callable[[IO[bytes]], Any]) -> Any:
        self.asked.append(asked)
        return read(io.BytesIO(self.streams[asked]))

    def version(self) -> Any:
        """Return the version record."""
        return self._answer("version")

    def info(self) -> Any:
        """Return the system record."""
        return self._answer("info")

    def image(self, reference: str) -> Any:
        """Return an image's record, None where there is none."""
        return self._answer(f"image {reference}")

    def container(self, name: str) -> Any:
        """Return a container's record, None where there is none."""
        return self._answer(f"container {name}")

    def stats(self, name: str) -> Any:
        """Return a container's resources."""
        return self._answer(f"stats {name}")

    def read_image(self, reference: str, read: Callable[[IO[bytes]], Any]) -> Any:
        """Have an image's archive read."""
        return self._read(f"archive {reference}", read)

    def read_files(self, name: str, read: Callable[[IO[bytes]], Any]) -> Any:
        """Have a container's files read."""
        return self._read(f"files {name}", read)


INFO = {
    "Driver": "overlay2",
    "Architecture": "x86_64",
    "OperatingSystem": "Debian GNU/Linux 12",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
}
STATS = {"memory_stats": {"usage": 9_000_000, "stats": {"inactive_file": 2_000_000}}}


def engine(tars: list[bytes], record: dict[str, Any], container: dict[str, Any] | None = None, form: str = "docker", **more: Any) -> Engine:
    """An Engine with an image, its base and a container."""
    base = {
        "Id": "sha256:" + "2" * 64,
        "RepoDigests": ["alpine@sha256:" + "d" * 64],
        "RootFS": {"Layers": [diff_id(tars[0])]},
        "Config": {"Labels": None},
    }
    answers = {
        "image cat-server:1": record,
        "image alpine:3.24": base,
        "container cat-server": container or container_record(),
        "stats cat-server": STATS,
        "info": INFO,
        "version": {"Version": "28.5.2", "ApiVersion": "1.51"},
        **more,
    }
    return Engine(answers, {"archive cat-server:1": save(tars, form=form)})


def good_tars() -> list[bytes]:
    """The layers of a good image."""
    return [base_layer().tar(), user_layer().tar(), binary_layer().tar()]


GOOD_PROCESS = model.ProcessFacts(1000, 1000, (1000,), 0, 0, True, 2, 6_000_000)


def good_evidence(
    *layers: Layer, replace_binary: Layer | None = None, replace_user: Layer | None = None, config: Mapping[str, Any] | None = None
) -> model.Evidence:
    """The evidence of a good image and container, with further layers on top or others in the places of its own."""
    tars = [base_layer().tar(), (replace_user or user_layer()).tar(), (replace_binary or binary_layer()).tar()]
    tars += [layer.tar() for layer in layers]
    record = image_record(tars, **(config or {}))
    steps = (*STEPS, *("/bin/sh -c more" for _layer in layers))
    holder = Engine(
        engine(tars, record).answers,
        {"archive cat-server:1": save(tars, steps)},
    )
    found = collect.collect(holder, "cat-server:1", "cat-server", base_image_ref="alpine:3.24", binary_path=BINARY, scanner_paths=())
    return replace(found, process=GOOD_PROCESS)


def expected(**changes: Any) -> Expected:
    """What a good image was asked to be."""
    fields: dict[str, Any] = {
        "service": "cat-server",
        "port": 8080,
        "health_test": HEALTH,
        "publish": Endpoint("127.0.0.1", 8080),
        "base_name": "alpine:3.24",
        "labels": {"go-service.name": "cat-server"},
        "source_date": SOURCE_DATE,
        "budgets": {
            "image_mb": 50.0,
            "start_seconds": 2.0,
            "first_build_seconds": 60.0,
            "cached_build_seconds": 30.0,
            "memory_mb": 32.0,
            "max_critical": None,
            "max_high": None,
        },
        "start_seconds": 0.4,
        "build_seconds": 21.0,
        "build_cached": False,
    }
    return Expected(**{**fields, **changes})


def read_layers(*layers: Layer) -> list[image_archive.LayerFiles]:
    """Layers as the archive reader sees them."""
    return [image_archive.read_layer(io.BytesIO(layer.tar())) for layer in layers]
