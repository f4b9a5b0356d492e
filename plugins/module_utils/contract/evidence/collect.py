"""Everything that can be known about an image and a container made from it, gathered once on the target, before anything is
judged.

`collect` asks the Engine (inspect of the image, the base and the container, one pass over the image's layers, one
reading of its memory), reads the kernel's own record of the container's first process, and runs the vulnerability scanners
of the host. Nothing is written, started or changed. `contract` then judges only this result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import IO, Any

from ...common.names import OCI
from ...engine.client import Engine, Missing
from ...engine.records import layers, limits_not_held
from . import image_archive, scanners
from .build_info import BuildInfoError, read_build_info
from .databases import APK_DATABASES, GROUP, OS_RELEASES, PASSWD, SHADOW, parse_accounts, parse_apk_database, parse_groups, parse_os_release
from .elf import ElfError, read_elf
from .image_archive import FileEntry, LayerFiles
from .model import BaseFacts, BinaryFacts, EngineFacts, Evidence, ImageFacts, LayerFacts
from .process import memory_in_use, read_process

# Files that the Engine itself puts into every container, and that are visible only in a container's own file system.
_ENGINE_PATHS = ("/.dockerenv", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab")


# What the role's Dockerfile adds to a base first: the user, after packages where some are asked for; on a base for another platform, the file of passwords.
OWN_FIRST, OWN_PACKAGES = re.compile(r"adduser -D -H -s /sbin/nologin|COPY --chown=root:shadow "), "apk add --no-cache"


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
        limits_not_held=limits_not_held(info),
    )


def _read_base(engine: Engine, reference: str, diff_ids: tuple[str, ...]) -> BaseFacts:
    record = engine.image(reference)
    if record is None:
        return BaseFacts(reference)
    own = tuple(layers(record))
    return BaseFacts(
        reference=reference,
        found=True,
        matches=bool(own) and diff_ids[: len(own)] == own,
        id=record["Id"],
        digests=tuple(record.get("RepoDigests") or ()),
        labels=(record.get("Config") or {}).get("Labels") or {},
        layers=len(own),
    )


def _base_of_its_time(base: BaseFacts, archive: image_archive.ImageArchive, labels: Mapping[str, str]) -> BaseFacts:
    """Return the base from which one of the role's images was made, if the base's name refers to another image today, or to none: the layers below the
    role's first own instruction. Returns it unchanged if that instruction is not found."""
    made_by = [step for step, _when in image_archive.instructions(archive.config)]
    own = [number for number, step in enumerate(made_by) if OWN_FIRST.search(step)][-1:]
    if not own:
        return base
    first = own[0] - 1 if own[0] and OWN_PACKAGES in made_by[own[0] - 1] else own[0]
    digest = labels.get(OCI + "base.digest", "")
    digests = (f"{base.reference}@{digest}",) if digest else ()
    return replace(base, found=True, matches=first > 0, renewed=True, id="", digests=digests, layers=first)


def _text(contents: dict[str, IO[bytes]], *paths: str) -> str:
    """The content of the first of these paths that there is, "" for none."""
    for path in paths:
        if path in contents:
            contents[path].seek(0)
            return contents[path].read().decode("utf-8", "replace")
    return ""


def _final_contents(layers: tuple[LayerFiles, ...], files: dict[str, FileEntry]) -> dict[str, IO[bytes]]:
    """The kept contents as the file system shows them: for each path, the content from the layer where the path comes from."""
    return {
        path: stream
        for index, layer in enumerate(layers)
        for path, stream in layer.contents.items()
        if path in files and files[path].layer == index
    }


def read_binary(entry: FileEntry, content: IO[bytes], copies: tuple[str, ...] = ()) -> BinaryFacts:
    """Read what the service's executable says about itself."""
    try:
        elf = read_elf(content)
    except ElfError as error:
        return BinaryFacts(entry, problem=str(error), copies=copies)
    try:
        return BinaryFacts(entry, elf, read_build_info(content), copies=copies)
    except (BuildInfoError, ElfError) as error:
        return BinaryFacts(entry, elf, problem=str(error), copies=copies)


def find_copies(entry: FileEntry, layers: tuple[LayerFiles, ...]) -> tuple[str, ...]:
    """Every other place in the layers that holds the same content, and every older version of the same path."""
    found = []
    for index, layer in enumerate(layers):
        for other in layer.entries.values():
            if other.type != image_archive.FILE or (other.path == entry.path and index == entry.layer):
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
    earlier: bool = False,
    scanner_paths: tuple[str, ...] | None = None,
    vulnerability_database: str = "",
) -> Evidence:
    """Gather the evidence of an image and of a container made from it.

    :param engine: the Engine that has both.
    :param image_ref: reference or id of the image.
    :param container_id: name or id of a running container of that image; "" to look at the image alone.
    :param base_image_ref: reference of the base image as the Engine knows it (a stand-in's own name, where one is
        used).
    :param binary_path: absolute path of the service's executable in the image.
    :param earlier: the image was proven before, or on another host, so that its own lowest layers are its base, whatever that is today.
    :param scanner_paths: of the scanners for vulnerabilities; None looks for them on the host.
    :param vulnerability_database: as `scanners.scan` takes it.
    :raises ArchiveError, tarfile.TarError: the Engine's image archive cannot be read.
    :raises EngineError: the Engine refuses or is out of reach; Missing where it has no such image or container.
    """
    record = engine.image(image_ref)
    if record is None:
        raise Missing(f"there is no image {image_ref}")
    diff_ids = tuple(record["RootFS"]["Layers"])
    wanted = (binary_path, PASSWD, GROUP, SHADOW, *OS_RELEASES, *APK_DATABASES)
    archive = engine.read_image(image_ref, lambda stream: image_archive.read_image(stream, diff_ids, wanted))
    base = _read_base(engine, base_image_ref, diff_ids)
    if earlier and not base.matches:
        base = _base_of_its_time(base, archive, (record.get("Config") or {}).get("Labels") or {})
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
    binary = _final_contents(evidence.layers, evidence.files).get(binary_path)
    evidence = replace(evidence, scan=scanners.scan(image_ref, binary, scanner_paths, vulnerability_database))
    return observe(engine, evidence, container_id) if container_id else evidence


def of_container(engine: Engine, container_id: str) -> Evidence:
    """Gather only the evidence of a container, without its image: everything that the checks of the group `runtime` look at."""
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
        # Without the controller the Engine counts what all that it runs uses together.
        memory = None if "memory" in engine.limits_not_held else memory_in_use(engine.stats(container_id))
    return replace(evidence, container=container, process=process, memory=memory)


def _image_facts(reference: str, record: dict[str, Any], archive: image_archive.ImageArchive, base: BaseFacts) -> ImageFacts:
    made_by = list(image_archive.instructions(archive.config))
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
    files, base_files = image_archive.merge(layers), image_archive.merge(base_layers)
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
        accounts=parse_accounts(_text(contents, PASSWD), _text(contents, SHADOW)),
        groups=parse_groups(_text(contents, GROUP)),
        packages=parse_apk_database(_text(contents, *APK_DATABASES)),
        os_release=parse_os_release(_text(contents, *OS_RELEASES)),
    )


def _with_exported_files(engine: Engine, evidence: Evidence, container_id: str, wanted: frozenset[str]) -> Evidence:
    """Take the file system from the container instead, if the layers cannot be read; then it is not known from which layer
    a file comes."""
    if not container_id:
        return evidence
    exported = engine.read_files(container_id, lambda stream: image_archive.read_layer(stream, wanted))
    for path in [path for path in exported.entries if path in _ENGINE_PATHS or path.startswith(("/dev/", "/proc/", "/sys/"))]:
        del exported.entries[path]
    return _with_contents(evidence, image_archive.merge([exported]), exported.contents, ())
