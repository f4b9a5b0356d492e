"""Checks of the service's executable."""

from __future__ import annotations

from ...common.text import count, listed, megabytes
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, needs_binary, needs_layers, passed, warned

GROUP = Group("binary")


@GROUP.check(
    "binary-elf",
    "Executable",
    severity="critical",
    remedy="Check go_service_main_package: a package that is not main builds into an archive, without an error.",
)
def binary_elf(evidence: Evidence, _expected: Expected) -> Outcome:
    """There is a file at the binary's path, it is an ELF executable, and its execute bits are set."""
    binary = evidence.binary
    limit = f"an ELF executable at {evidence.binary_path}"
    if binary is None:
        return failed("no file", limit, f"the image has nothing at {evidence.binary_path}")
    if binary.elf is None:
        return failed(megabytes(binary.entry.size), limit, binary.problem)
    measured = f"{megabytes(binary.entry.size)}, {binary.elf.type}"
    if binary.elf.type not in ("executable", "position independent"):
        return failed(measured, limit, f"it is a {binary.elf.type} file, which cannot be run")
    if binary.entry.mode & 0o111 != 0o111:
        return failed(f"{measured}, mode {binary.entry.mode:04o}", limit, "not everybody may execute it")
    return passed(measured, limit)


@GROUP.check(
    "binary-static",
    "Static linking",
    severity="high",
    remedy='Build with CGO_ENABLED=0 (remove it from go_service_build_env if it is set to "1").',
)
@needs_binary
def binary_static(evidence: Evidence, _expected: Expected) -> Outcome:
    """No program interpreter (PT_INTERP) and no shared library (DT_NEEDED): it runs on any Linux userland, or none."""
    elf = evidence.elf
    if elf.static:
        return passed("static", "static")
    libraries = listed(elf.needed) or "none by name"
    reason = f"it is loaded by {elf.interpreter or 'nothing'} and needs the libraries {libraries}"
    return failed("dynamic", "static", reason)


@GROUP.check(
    "binary-stripped",
    "Symbols",
    severity="low",
    remedy="Build with go_service_ldflags: -w -s.",
)
@needs_binary
def binary_stripped(evidence: Evidence, _expected: Expected) -> Outcome:
    """No symbol table (.symtab) and no debugging sections (.debug_*): about a third smaller, with stack traces
    unharmed."""
    sections = evidence.elf.symbol_sections
    if sections:
        return failed(count(len(sections), "symbol section"), "stripped", listed(sections))
    return passed("stripped", "stripped")


@GROUP.check(
    "binary-architecture",
    "Architecture",
    severity="critical",
    remedy="Remove GOARCH and GOOS from go_service_build_env.",
)
@needs_binary
def binary_architecture(evidence: Evidence, _expected: Expected) -> Outcome:
    """The ELF header's machine is the architecture that the image is declared for."""
    measured, limit = evidence.elf.architecture, evidence.image.architecture
    if measured != limit:
        return failed(measured, limit, f"an {measured} binary in an image for {limit}")
    return passed(measured, limit)


@GROUP.check(
    "binary-single-copy",
    "Copies of the binary",
    severity="medium",
    remedy="Set owner and mode in the COPY itself (--chown); a later RUN chown or chmod copies the whole file into another layer.",
)
@needs_binary
@needs_layers
def binary_single_copy(evidence: Evidence, _expected: Expected) -> Outcome:
    """No other file in any layer has the binary's content, and no other layer contains another version of the binary."""
    copies = evidence.executable.copies
    if copies:
        return failed(count(len(copies) + 1, "copy", "copies"), "1 copy", f"also {listed(copies)}")
    return passed("1 copy", "1 copy")


@GROUP.check(
    "binary-build-info",
    "Go build information",
    severity="medium",
    remedy="Build in module mode with Go 1.18 or newer, and do not strip the .go.buildinfo section.",
    rules=("OWASP #13",),
)
@needs_binary
def binary_build_info(evidence: Evidence, _expected: Expected) -> Outcome:
    """Go's embedded build information can be read: main module, Go version and dependencies, of which the SBOM is
    made."""
    binary = evidence.executable
    info = binary.build_info
    if info is None:
        return warned("none", "module, Go version, dependencies", binary.problem)
    if info.main is None:
        return warned(info.go_version, "module, Go version, dependencies", "it was built without module mode")
    measured = f"{info.main.path}, {info.go_version}, {count(len(info.deps), 'dependency', 'dependencies')}"
    return passed(measured, "module, Go version, dependencies")
