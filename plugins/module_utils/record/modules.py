"""What is known about the Go modules in an executable, in addition to its own build information: licenses, hashes, and which module requires which.

These are the sources, the cheapest first: the bill of materials of the run before, if the same modules were linked; the staged source
(go.mod, go.sum, vendor/); the module cache in the build stage. If the Engine has that stage as an image, as with the classic builder, one short-lived
container without network or privileges reads it; BuildKit, which keeps the stage in its cache, reads it in one more step there. Both happen
only in a run that links other modules than the run before: after an edit that does not change go.mod, nothing is looked up. One version of a module never
changes its content, which Go verifies with go.sum.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..common.files import read_source_file
from ..common.names import KIND_CANDIDATE, LABEL_KIND, LABEL_NAME, modules_name
from ..contract.evidence.build_info import GoBuildInfo, GoModule
from ..engine import errand
from ..engine.builder import file_of_stage
from ..engine.client import Engine, EngineError
from . import licenses

# The key of the service's own module in the facts.
MAIN = ""
_LICENSE_FILE = re.compile(r"(?:un)?licen[cs]e.*|copying.*", re.I)
_REQUIREMENT = re.compile(r'"?([^\s"]+)"?\s+"?v\d[^\s"]*"?\s*(//\s*indirect\b.*)?')
_SUM = re.compile(r"(\S+) (v[^\s/]+) (h1:\S+)")
_SECONDS = 20.0
# If BuildKit no longer has what it built, it would download all modules anew.
_BUILDKIT_SECONDS = 60.0
# In a staged Dockerfile: what is above the source, how it shows that modules are in a layer there, and the caches that are mounted where they are not.
_SOURCE = "\nCOPY . /src/\n"
_DOWNLOAD = "go mod download"
_CACHE = re.compile(r"--mount=type=cache,\S+/modules\b")
_LISTING = "go-service-modules"
# Arguments: a mark, the module cache, modules as the cache has them. Prints of each its go.mod and, after the mark, its license files.
_SCRIPT = """mark=$1; cache=$2; shift 2
for module; do
  printf '%s module %s\\n' "$mark" "$module"
  cat "$cache/cache/download/${module%@*}/@v/${module##*@}.mod"
  for file in "$cache/$module"/*; do
    case ${file##*/} in
      [Uu][Nn][Ll][Ii][Cc]* | [Ll][Ii][Cc][Ee][Nn][CcSs][Ee]* | [Cc][Oo][Pp][Yy][Ii][Nn][Gg]*)
        [ -f "$file" ] && printf '\\n%s license\\n' "$mark" && head -c 40000 "$file" ;;
    esac
  done
  printf '\\n'
done 2>/dev/null"""


@dataclass(frozen=True)
class ModuleFacts:
    """license: SPDX id or expression, "" if no file tells. sum: its hash in go.sum, "" if that is not known. requires: paths of the modules that its own
    packages require, None if that is not known."""

    license: str = ""
    sum: str = ""
    requires: tuple[str, ...] | None = None


def key(module: GoModule) -> str:
    """Return the name of a module in the facts: path@version."""
    return f"{module.path}@{module.version}"


def is_directory(module: GoModule) -> bool:
    """Say whether a replacement is a directory, not a module: https://go.dev/ref/mod#go-mod-file-replace."""
    return module.path.startswith((".", "/"))


def linked(info: GoBuildInfo) -> dict[str, GoModule]:
    """Return the modules whose code is in an executable, by their keys, without those that are directories."""
    modules = [dependency.effective for dependency in info.deps]
    return {key(module): module for module in modules if not is_directory(module)}


def direct(go_mod: str) -> tuple[str, ...]:
    """Return the paths of the modules that a go.mod requires for its own packages, not for those of others (`// indirect`)."""
    found, block = [], ""
    for line in go_mod.splitlines():
        words = line.strip()
        if block and words.startswith(")"):
            block = ""
        elif not block and (opened := re.fullmatch(r"(\w+)\s*\(\s*(?://.*)?", words)):
            block = opened[1]
        else:
            verb, _space, rest = (block, "", words) if block else words.partition(" ")
            required = _REQUIREMENT.match(rest.strip()) if verb == "require" else None
            if required and not required[2]:
                found.append(required[1])
    return tuple(dict.fromkeys(found))


def of_document(document: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, ModuleFacts]:
    """Return what an earlier bill of materials says about modules, {} if it has other modules, or does not know them."""
    components = {item["bom-ref"]: item for item in document.get("components") or () if _is_module(item)}
    keys = {reference: f"{item['name']}@{item['version']}" for reference, item in components.items()}
    needs = {edge["ref"]: edge["dependsOn"] for edge in document.get("dependencies") or () if edge["ref"] in keys}
    if set(keys.values()) != set(wanted) or set(needs) != set(keys):
        return {}
    return {
        keys[reference]: ModuleFacts(
            _license_of(item), "", tuple(components[need]["name"] for need in needs[reference] if need in components)
        )
        for reference, item in components.items()
    }


def _is_module(component: Mapping[str, Any]) -> bool:
    is_go = component.get("purl", "").startswith("pkg:golang/") and "version" in component
    return component["type"] == "library" and is_go and component["name"] != "stdlib"


def _license_of(component: Mapping[str, Any]) -> str:
    said = (component.get("licenses") or [{}])[0]
    return str(said.get("expression") or (said.get("license") or {}).get("id") or "")


def of_source(context: Path, module_dir: str, modules: Mapping[str, GoModule]) -> dict[str, ModuleFacts]:
    """Return what the staged source says: the requirements of its own module, hashes, and the licenses of vendored modules.

    context: the staged source. module_dir: the service's module in it; "" for its top.
    """
    places = dict.fromkeys((os.path.join(module_dir, ""), ""))
    sums: dict[str, str] = {}
    for place in places:
        for name in ("go.sum", "go.work.sum"):
            sums.update({f"{path}@{version}": value for path, version, value in _SUM.findall(_text(context, place + name))})
    found = {MAIN: ModuleFacts(requires=direct(_text(context, next(iter(places)) + "go.mod")) or None)}
    for name, module in modules.items():
        texts = [text for place in places for text in _vendored(context, f"{place}vendor/{module.path}")]
        found[name] = ModuleFacts(licenses.of_text("\n".join(texts)), sums.get(name, ""))
    return found


def _text(context: Path, relative: str) -> str:
    with contextlib.suppress(OSError):
        return read_source_file(context, context / relative).decode(errors="replace")
    return ""


def _vendored(context: Path, directory: str) -> Iterator[str]:
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(context / directory) if _LICENSE_FILE.fullmatch(name))
    for name in names:
        yield _text(context, f"{directory}/{name}")


def of_builder_stage(engine: Engine, name: str, stage: Mapping[str, Any], modules: Iterable[str]) -> dict[str, ModuleFacts]:
    """Return what the module cache in the image of a builder's stage says of modules, {} if it cannot be read.

    name: the service's. stage: the record of that image. modules: keys.
    """
    cached = {_escaped(module): module for module in modules}
    mark = secrets.token_hex(16)
    body = {
        "Image": stage["Id"],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": [_SCRIPT, "sh", mark, _cache(stage), *cached],
        "User": "0",
        "Labels": {LABEL_NAME: name, LABEL_KIND: KIND_CANDIDATE},
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            # Whatever the Engine's log driver is: the output must be readable.
            "LogConfig": {"Type": "json-file", "Config": {}},
        },
    }
    lines: list[str] = []
    with contextlib.suppress(EngineError), errand.short_lived(engine, modules_name(name), body) as made:
        engine.start(made)
        errand.wait(engine, made, _SECONDS)
        lines = engine.logs(made, lines=1_000_000)
    return parse_listing(lines, mark, cached)


def of_build_cache(context: Path, network: str, modules: Iterable[str]) -> dict[str, ModuleFacts]:
    """Return what the module cache in BuildKit's own cache says of modules, {} if it cannot be read.

    context: what an image was just built from, with its Dockerfile. network: the build's. modules: keys.
    """
    above, source, below = _text(context, "Dockerfile").partition(_SOURCE)
    cache = _CACHE.search(below)
    if not source or not (cache or _DOWNLOAD in above):
        return {}
    cached = {_escaped(module): module for module in modules}
    mark = secrets.token_hex(16)
    script = base64.b64encode(_SCRIPT.encode()).decode()
    asked = " \\\n    ".join(map(shlex.quote, cached))
    look = f'RUN {cache[0] if cache else ""} echo {script} | base64 -d >/tmp/look && sh /tmp/look {mark} "$(go env GOMODCACHE)" \\\n    {asked} >/{_LISTING}'
    dockerfile = f"{above}\n{look}\n\nFROM scratch\nCOPY --from=build /{_LISTING} /\n"
    listing = file_of_stage(context, dockerfile, _LISTING, network, _BUILDKIT_SECONDS)
    return parse_listing(listing.decode(errors="replace").splitlines(), mark, cached)


def parse_listing(lines: Iterable[str], mark: str, cached: Mapping[str, str]) -> dict[str, ModuleFacts]:
    """Read the output of the script above. cached: the name of a module in the cache -> its key."""
    parts: dict[str, list[list[str]]] = {}
    texts: list[list[str]] = []
    for line in lines:
        begun, _space, rest = line.partition(" ")
        kind, _space, module = rest.partition(" ")
        if begun != mark:
            if texts:
                texts[-1].append(line)
        elif kind == "module":
            texts = parts.setdefault(cached.get(module, ""), [[]])
        else:
            texts.append([])
    return {
        name: ModuleFacts(licenses.of_text("\n".join(line for text in found for line in text)), "", direct("\n".join(go_mod)))
        for name, (go_mod, *found) in parts.items()
        if go_mod and name
    }


def _escaped(module: str) -> str:
    """Return the name of a module in the cache's file names: https://go.dev/ref/mod#goproxy-protocol."""
    return re.sub("[A-Z]", lambda letter: "!" + letter[0].lower(), module)


def _cache(stage: Mapping[str, Any]) -> str:
    """Return where a builder keeps the modules: https://go.dev/ref/mod#environment-variables."""
    env = dict(pair.partition("=")[::2] for pair in (stage.get("Config") or {}).get("Env") or ())
    return env.get("GOMODCACHE") or os.path.join((env.get("GOPATH") or "/root/go").partition(":")[0], "pkg/mod")


def gather(
    info: GoBuildInfo | None,
    *,
    source: tuple[Path, str] | None,
    before: Mapping[str, Any],
    builder_stage: Callable[[tuple[str, ...]], Mapping[str, ModuleFacts]],
) -> dict[str, ModuleFacts]:
    """Put together what is known of the modules in an executable, by their keys; of the service's own under MAIN.

    :param source: the staged source that it was built from, and its module in there; None if another one is staged.
    :param before: the bill of materials of the run before, {} for none.
    :param builder_stage: asks the builder's stage about modules, wherever that is.
    """
    if info is None:
        return {}
    modules = linked(info)
    found = of_source(*source, modules) if source else {}
    known: Mapping[str, ModuleFacts] = {}
    if modules:
        known = of_document(before, modules) or builder_stage(tuple(modules))
    for name in modules:
        own, other = found.get(name, ModuleFacts()), known.get(name, ModuleFacts())
        found[name] = replace(own, license=own.license or other.license, requires=other.requires)
    return found
