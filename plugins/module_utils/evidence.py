"""What can be known of an image and of a container made from it, gathered once on the target, before anything is
judged.

`collect` speaks to the Engine (inspect of the image, the base and the container, one pass over the image's layers, one
reading of its memory), reads the kernel's own record of the container's first process, and asks a vulnerability scanner
where the host has one. Nothing is written, started or changed. Judging is done in `contract`, on the result alone.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any

from . import archive as archives
from . import scan as scanners
from .archive import FileEntry, LayerFiles
from .elf import (
    BuildInfoError,
    ElfError,
    ElfInfo,
    GoBuildInfo,
    read_build_info,
    read_elf,
)
from .engine import Engine, Missing

# Where apk keeps what is installed: up to apk-tools 2, and since Alpine's merged /usr.
APK_DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_OS_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
_PASSWD, _GROUP, _SHADOW = "/etc/passwd", "/etc/group", "/etc/shadow"
# What the Engine itself puts into every container, which only a container's own file system shows.
_ENGINE_PATHS = ("/.dockerenv", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab")


@dataclass(frozen=True)
class LayerFacts:
    """One layer. size: uncompressed bytes. in_base: part of the base image."""

    index: int
    diff_id: str
    size: int
    created_by: str
    created: str
    in_base: bool


@dataclass(frozen=True)
class ImageFacts:
    """The image. reported_size: what the Engine calls its size, which is compressed on the containerd image store."""

    reference: str
    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    created: str
    architecture: str
    os: str
    reported_size: int
    config: dict[str, Any]
    history: tuple[str, ...] = ()
    layers: tuple[LayerFacts, ...] = ()
    measured: bool = True

    @property
    def size(self) -> int:
        """Uncompressed bytes of all layers; the Engine's own figure where they could not be measured."""
        return sum(layer.size for layer in self.layers) if self.measured else self.reported_size

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        return self.config.get("Labels") or {}

    @property
    def user(self) -> str:
        """What USER says, "" for none."""
        return self.config.get("User") or ""


@dataclass(frozen=True)
class BaseFacts:
    """The base image. found: the Engine has it; matches: its layers are the lowest ones of the image."""

    reference: str
    found: bool = False
    matches: bool = False
    id: str = ""
    digests: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    layers: int = 0


@dataclass(frozen=True)
class BinaryFacts:
    """The service's executable. copies: every other place in the layers with the same content, or of the same path."""

    entry: FileEntry
    elf: ElfInfo | None = None
    build_info: GoBuildInfo | None = None
    problem: str = ""
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Account:
    """A line of /etc/passwd, with the password field of /etc/shadow (None where there is none)."""

    name: str
    uid: int
    gid: int
    shell: str
    password: str | None = None


@dataclass(frozen=True)
class Group:
    """A line of /etc/group."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """An installed package of the base's package manager. files: absolute paths it owns."""

    name: str
    version: str
    architecture: str = ""
    license: str = ""
    origin: str = ""
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ProcessFacts:
    """The kernel's record of the container's first process (/proc/<pid>/status). resident: its memory in bytes."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    effective_capabilities: int
    bounding_capabilities: int
    no_new_privileges: bool
    seccomp: int
    resident: int = 0


@dataclass(frozen=True)
class EngineFacts:
    """The Engine."""

    version: str
    api_version: str
    storage_driver: str
    architecture: str
    os: str
    cgroup_version: str
    security_options: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything the checks look at.

    files, base_files: the file systems that the image's and the base's layers make up, by absolute path. layers: what
    each layer changes, the lowest first; empty when some could not be read. container: the Engine's record of the
    container, None when only the image is looked at. process: None where the kernel's record is out of reach (a remote
    Engine, another process namespace). memory: bytes the container uses as `docker stats` counts them (without
    reclaimable cache), None when it was not read. dockerfile: what the linters found in the Dockerfile (`lint.examine`), None
    where the run has none. gaps: what could not be read, as sentences.
    """

    image: ImageFacts
    base: BaseFacts
    engine: EngineFacts
    binary_path: str
    files: dict[str, FileEntry] = field(default_factory=dict)
    base_files: dict[str, FileEntry] = field(default_factory=dict)
    layers: tuple[LayerFiles, ...] = ()
    binary: BinaryFacts | None = None
    accounts: tuple[Account, ...] = ()
    groups: tuple[Group, ...] = ()
    packages: tuple[Package, ...] = ()
    base_packages: tuple[Package, ...] = ()
    os_release: dict[str, str] = field(default_factory=dict)
    container: dict[str, Any] | None = None
    process: ProcessFacts | None = None
    memory: int | None = None
    scan: scanners.ScanResult | None = None
    dockerfile: Mapping[str, Any] | None = None
    gaps: tuple[str, ...] = ()

    @property
    def account(self) -> Account | None:
        """The account that USER names (root's without one), None where the image has no such account."""
        user = self.image.user.partition(":")[0] or "root"
        for account in self.accounts:
            if user in (account.name, str(account.uid)):
                return account
        return None

    @property
    def user_ids(self) -> tuple[int | None, int | None]:
        """The (uid, gid) that the image's USER comes to; None where it cannot be told without running it."""
        user, _colon, group = self.image.user.partition(":")
        account = self.account
        uid = account.uid if account else int(user) if user.isdigit() else None if user else 0
        if group:
            gid = next((item.gid for item in self.groups if group in (item.name, str(item.gid))), None)
            return uid, gid if gid is not None else int(group) if group.isdigit() else None
        return uid, account.gid if account else 0 if user.isdigit() or not user else None

    @property
    def added_packages(self) -> tuple[Package, ...]:
        """The packages that the base does not have, or has in another version."""
        known = {(package.name, package.version) for package in self.base_packages}
        return tuple(package for package in self.packages if (package.name, package.version) not in known)

    def added_entries(self) -> Iterator[FileEntry]:
        """Every path that the layers above the base bring, also what a later layer hides again."""
        for layer in self.layers[self.base.layers if self.base.matches else 0 :]:
            yield from layer.entries.values()


def parse_accounts(passwd: str, shadow: str) -> tuple[Account, ...]:
    """Read /etc/passwd and /etc/shadow; damaged lines are passed over (passwd(5), shadow(5))."""
    passwords = {row[0]: row[1] for row in (line.split(":") for line in shadow.splitlines()) if len(row) >= 2}
    accounts = []
    for line in passwd.splitlines():
        row = line.split(":")
        if len(row) == 7 and row[2].isdigit() and row[3].isdigit():
            # "x" means that the password is in /etc/shadow; anything else in this field is the password itself.
            password = passwords.get(row[0]) if row[1] == "x" else row[1]
            accounts.append(Account(row[0], int(row[2]), int(row[3]), row[6], password))
    return tuple(accounts)


def parse_groups(text: str) -> tuple[Group, ...]:
    """Read /etc/group; damaged lines are passed over (group(5))."""
    groups = []
    for line in text.splitlines():
        row = line.split(":")
        if len(row) == 4 and row[2].isdigit():
            groups.append(Group(row[0], int(row[2]), tuple(name for name in row[3].split(",") if name)))
    return tuple(groups)


def parse_apk_database(text: str) -> tuple[Package, ...]:
    """Read apk's list of what is installed: blocks of ``<letter>:<value>`` lines
    (https://wiki.alpinelinux.org/wiki/Apk_spec)."""
    packages = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        files: list[str] = []
        folder = ""
        for line in block.splitlines():
            letter, _colon, value = line.partition(":")
            if letter == "F":
                folder = value
            elif letter == "R":
                files.append("/" + posixpath.join(folder, value))
            else:
                fields.setdefault(letter, value)
        if fields.get("P") and fields.get("V"):
            packages.append(
                Package(
                    name=fields["P"],
                    version=fields["V"],
                    architecture=fields.get("A", ""),
                    license=fields.get("L", ""),
                    origin=fields.get("o", ""),
                    files=frozenset(files),
                )
            )
    return tuple(sorted(packages, key=lambda package: package.name))


def parse_os_release(text: str) -> dict[str, str]:
    """Read os-release(5): KEY=value lines, the values possibly quoted."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _equals, value in pairs}


def parse_process_status(text: str) -> ProcessFacts | None:
    """Read /proc/<pid>/status (proc(5)); None when it lacks what is looked for."""
    fields = {key: value.split() for key, _colon, value in (line.partition(":") for line in text.splitlines())}
    try:
        return ProcessFacts(
            uid=int(fields["Uid"][1]),
            gid=int(fields["Gid"][1]),
            groups=tuple(int(group) for group in fields["Groups"]),
            effective_capabilities=int(fields["CapEff"][0], 16),
            bounding_capabilities=int(fields["CapBnd"][0], 16),
            no_new_privileges=fields["NoNewPrivs"][0] == "1",
            seccomp=int(fields["Seccomp"][0]),
            resident=int(fields["VmRSS"][0]) * 1024 if fields.get("VmRSS") else 0,
        )
    except (KeyError, IndexError, ValueError):
        return None


def memory_in_use(stats: dict[str, Any]) -> int | None:
    """The bytes that `docker stats` shows: usage without the cache that the kernel would give back at once.

    total_inactive_file is cgroup v1's name and inactive_file cgroup v2's (docker/cli, stats_helpers.go).
    """
    memory = stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return memory["usage"] - cache if cache < memory["usage"] else memory["usage"]


def read_process(pid: int, container_id: str, proc: str = "/proc") -> ProcessFacts | None:
    """Read the record of a container's first process; None when the kernel of this machine does not run that
    container."""
    with contextlib.suppress(OSError):
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            if container_id not in stream.read():
                return None
        with open(f"{proc}/{pid}/status", encoding="utf-8", errors="replace") as stream:
            return parse_process_status(stream.read())
    return None


def read_engine(engine: Engine) -> EngineFacts:
    """Ask the Engine what it is."""
    info, version = engine.info(), engine.version()
    return EngineFacts(
        version=version.get("Version", ""),
        api_version=version.get("ApiVersion", ""),
        storage_driver=info.get("Driver", ""),
        architecture=info.get("Architecture", ""),
        os=info.get("OperatingSystem", ""),
        cgroup_version=str(info.get("CgroupVersion", "")),
        security_options=tuple(info.get("SecurityOptions") or ()),
    )


def _read_base(engine: Engine, reference: str, diff_ids: tuple[str, ...]) -> BaseFacts:
    record = engine.image(reference)
    if record is None:
        return BaseFacts(reference)
    layers = tuple((record.get("RootFS") or {}).get("Layers") or ())
    return BaseFacts(
        reference=reference,
        found=True,
        matches=bool(layers) and diff_ids[: len(layers)] == layers,
        id=record["Id"],
        digests=tuple(record.get("RepoDigests") or ()),
        labels=(record.get("Config") or {}).get("Labels") or {},
        layers=len(layers),
    )


def _text(contents: dict[str, IO[bytes]], *paths: str) -> str:
    """The content of the first of these paths that there is, "" for none."""
    for path in paths:
        if path in contents:
            contents[path].seek(0)
            return contents[path].read().decode("utf-8", "replace")
    return ""


def _final_contents(layers: tuple[LayerFiles, ...], files: dict[str, FileEntry]) -> dict[str, IO[bytes]]:
    """The kept contents as the file system shows them: of each path, the one of the layer it comes from."""
    return {
        path: stream
        for index, layer in enumerate(layers)
        for path, stream in layer.contents.items()
        if path in files and files[path].layer == index
    }


def read_binary(entry: FileEntry, content: IO[bytes], copies: tuple[str, ...] = ()) -> BinaryFacts:
    """Read what the service's executable says about itself."""
    try:
        elf = read_elf(content)  # type: ignore[arg-type]
    except ElfError as error:
        return BinaryFacts(entry, problem=str(error), copies=copies)
    try:
        return BinaryFacts(entry, elf, read_build_info(content), copies=copies)  # type: ignore[arg-type]
    except (BuildInfoError, ElfError) as error:
        return BinaryFacts(entry, elf, problem=str(error), copies=copies)


def find_copies(entry: FileEntry, layers: tuple[LayerFiles, ...]) -> tuple[str, ...]:
    """Every other place in the layers that holds the same content, and every older version of the same path."""
    found = []
    for index, layer in enumerate(layers):
        for other in layer.entries.values():
            if other.type != archives.FILE or (other.path == entry.path and index == entry.layer):
                continue
            if other.sha256 == entry.sha256:
                found.append(f"{other.path} in layer {index + 1}")
            elif other.path == entry.path:
                found.append(f"another version of it in layer {index + 1}")
    return tuple(found)


def collect(
    engine: Engine,
    image_ref: str,
    container_id: str,
    *,
    base_image_ref: str,
    binary_path: str,
    scanner: str | None = None,
) -> Evidence:
    """Gather the evidence of an image and of a container made from it.

    :param engine: the Engine that has both.
    :param image_ref: reference or id of the image.
    :param container_id: name or id of a running container of that image; "" to look at the image alone.
    :param base_image_ref: reference of the base image as the Engine knows it (a stand-in's own name, where one is
        used).
    :param binary_path: absolute path of the service's executable in the image.
    :param scanner: path of trivy or grype; None looks for one in PATH, "" uses none.
    :raises ArchiveError, tarfile.TarError: the Engine's image archive cannot be read.
    :raises EngineError: the Engine refuses or is out of reach; Missing where it has no such image or container.
    """
    record = engine.image(image_ref)
    if record is None:
        raise Missing(f"there is no image {image_ref}")
    diff_ids = tuple(record["RootFS"]["Layers"])
    wanted = (binary_path, _PASSWD, _GROUP, _SHADOW, *_OS_RELEASES, *APK_DATABASES)
    archive = engine.read_image(image_ref, lambda stream: archives.read_image(stream, diff_ids, wanted))
    base = _read_base(engine, base_image_ref, diff_ids)
    evidence = Evidence(
        image=_image_facts(image_ref, record, archive, base),
        base=base,
        engine=read_engine(engine),
        binary_path=binary_path,
    )
    if archive.complete:
        layers = tuple(layer for layer in archive.layers if layer is not None)
        evidence = with_files(evidence, layers)
    else:
        gap = "Some layers are compressed in a way that this Python cannot read (zstd needs Python 3.14)"
        evidence = _with_exported_files(engine, replace(evidence, gaps=(gap,)), container_id, frozenset(wanted))
    evidence = replace(evidence, scan=scanners.scan(image_ref, scanner))
    return observe(engine, evidence, container_id) if container_id else evidence


def of_container(engine: Engine, container_id: str) -> Evidence:
    """Gather the evidence of a container alone, with nothing of its image: all that the checks of the group `runtime` look at."""
    image = ImageFacts(
        reference="", id="", tags=(), digests=(), created="", architecture="", os="", reported_size=0, config={}, measured=False
    )
    return observe(engine, Evidence(image, BaseFacts(""), read_engine(engine), binary_path=""), container_id)


def observe(engine: Engine, evidence: Evidence, container_id: str) -> Evidence:
    """Return the evidence with a container's part; the image's part stays."""
    container = engine.container(container_id)
    if container is None:
        raise Missing(f"there is no container {container_id}")
    state = container.get("State") or {}
    process = memory = None
    if state.get("Running"):
        process = read_process(state.get("Pid") or 0, container["Id"])
        memory = memory_in_use(engine.stats(container_id))
    return replace(evidence, container=container, process=process, memory=memory)


def _image_facts(reference: str, record: dict[str, Any], archive: archives.ImageArchive, base: BaseFacts) -> ImageFacts:
    made_by = list(archives.instructions(archive.config))
    layers = []
    for index, diff_id in enumerate(archive.diff_ids):
        files = archive.layers[index]
        created_by, created = made_by[index] if index < len(made_by) else ("", "")
        in_base = base.matches and index < base.layers
        layers.append(LayerFacts(index, diff_id, files.size if files else 0, created_by, created, in_base))
    return ImageFacts(
        reference=reference,
        id=record["Id"],
        tags=tuple(record.get("RepoTags") or ()),
        digests=tuple(record.get("RepoDigests") or ()),
        created=record.get("Created") or "",
        architecture=record.get("Architecture") or "",
        os=record.get("Os") or "",
        reported_size=record.get("Size") or 0,
        config=record.get("Config") or {},
        history=tuple(step.get("created_by") or "" for step in archive.config.get("history") or ()),
        layers=tuple(layers),
        measured=archive.complete,
    )


def with_files(evidence: Evidence, layers: tuple[LayerFiles, ...]) -> Evidence:
    """Return the evidence with everything that the layers' files tell."""
    base_layers = layers[: evidence.base.layers] if evidence.base.matches else ()
    files, base_files = archives.merge(layers), archives.merge(base_layers)
    base_contents = _final_contents(base_layers, base_files)
    return replace(
        _with_contents(evidence, files, _final_contents(layers, files), layers),
        base_files=base_files,
        base_packages=parse_apk_database(_text(base_contents, *APK_DATABASES)),
        layers=layers,
    )


def _with_contents(
    evidence: Evidence, files: dict[str, FileEntry], contents: dict[str, IO[bytes]], layers: tuple[LayerFiles, ...]
) -> Evidence:
    entry = files.get(evidence.binary_path)
    binary = None
    if entry is not None:
        content = contents.get(evidence.binary_path)
        binary = BinaryFacts(entry, problem=f"it is a {entry.type}, not a file")
        if content is not None:
            binary = read_binary(entry, content, find_copies(entry, layers))
    return replace(
        evidence,
        files=files,
        binary=binary,
        accounts=parse_accounts(_text(contents, _PASSWD), _text(contents, _SHADOW)),
        groups=parse_groups(_text(contents, _GROUP)),
        packages=parse_apk_database(_text(contents, *APK_DATABASES)),
        os_release=parse_os_release(_text(contents, *_OS_RELEASES)),
    )


def _with_exported_files(engine: Engine, evidence: Evidence, container_id: str, wanted: frozenset[str]) -> Evidence:
    """Take the file system from the container instead, where the layers cannot be read; what is whose layer stays
    unknown."""
    if not container_id:
        return evidence
    exported = engine.read_files(container_id, lambda stream: archives.read_layer(stream, wanted))
    for path in [path for path in exported.entries if path in _ENGINE_PATHS or path.startswith(("/dev/", "/proc/", "/sys/"))]:
        del exported.entries[path]
    return _with_contents(evidence, archives.merge([exported]), exported.contents, ())
