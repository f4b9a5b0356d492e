"""The evidence: what is known about an image and a container made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import scanners
from .build_info import GoBuildInfo
from .elf import ElfInfo
from .image_archive import FileEntry, LayerFiles


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
    """The base image. found: the Engine has it; matches: its layers are the lowest ones of the image; renewed: these are known only from the image,
    since the base's name refers to another image today, or to none."""

    reference: str
    found: bool = False
    matches: bool = False
    id: str = ""
    digests: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    layers: int = 0
    renewed: bool = False


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
    """A line of /etc/passwd, with the password field of /etc/shadow (None if there is none)."""

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
    """An installed package of the base's package manager. files: absolute paths it owns. needs: names of the installed packages that it needs."""

    name: str
    version: str
    architecture: str = ""
    license: str = ""
    origin: str = ""
    files: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProcessFacts:
    """The kernel's record of the container's first process (/proc/<pid>/status); users and groups by their numbers in the container. resident: its memory in bytes. confinement: its AppArmor profile
    with the mode, or its SELinux label (/proc/<pid>/attr/current), "" if the kernel tells none."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    effective_capabilities: int
    bounding_capabilities: int
    no_new_privileges: bool
    seccomp: int
    resident: int = 0
    confinement: str = ""


@dataclass(frozen=True)
class EngineFacts:
    """The Engine. limits_not_held: the limits that its kernel has no controller for, by the names of the variables that ask for them."""

    version: str
    api_version: str
    storage_driver: str
    architecture: str
    os: str
    cgroup_version: str
    security_options: tuple[str, ...]
    limits_not_held: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Everything the checks look at.

    files, base_files: the file systems that the image's and the base's layers make up, by absolute path. layers: what
    each layer changes, the lowest first; empty when some could not be read. container: the Engine's record of the
    container, None when only the image is looked at. process: None if the kernel's record is out of reach (a remote
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
    def executable(self) -> BinaryFacts:
        """The service's executable, for checks that run only if there is one (`needs_binary`)."""
        if self.binary is None:
            raise AssertionError("a check without needs_binary asks for the executable")
        return self.binary

    @property
    def elf(self) -> ElfInfo:
        """What its ELF header says, likewise."""
        if self.executable.elf is None:
            raise AssertionError("a check without needs_binary asks for the ELF header")
        return self.executable.elf

    @property
    def host_config(self) -> dict[str, Any]:
        """The HostConfig with which the container was created; empty without a container."""
        return (self.container or {}).get("HostConfig") or {}

    @property
    def account(self) -> Account | None:
        """The account that USER names (root's without one), None if the image has no such account."""
        user = self.image.user.partition(":")[0] or "root"
        for account in self.accounts:
            if user in (account.name, str(account.uid)):
                return account
        return None

    @property
    def user_ids(self) -> tuple[int | None, int | None]:
        """The (uid, gid) that the image's USER comes to; None if it cannot be told without running it."""
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
