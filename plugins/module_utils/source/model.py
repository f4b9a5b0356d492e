"""The Go facts of a source, as typed records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalModule:
    """Another module that the build takes from a directory: the target of a `replace`, or what a workspace uses.

    https://go.dev/ref/mod#go-mod-file-replace, #go-work-file-use

    said: the directive, as "go.mod replaces example.com/x by ../x".
    path: what its packages are imported by, "" if a workspace uses a directory without a go.mod.
    directory: relative to the root of the source, "" for the root itself, "../x" or absolute if it lies outside.
    used: a workspace uses it, so cmd/go needs it even if it is vendored.
    """

    said: str
    path: str
    directory: str
    used: bool
    leaves_root: bool
    has_go_mod: bool


@dataclass(frozen=True)
class Embed:
    """A pattern of a //go:embed directive.

    file: the Go file it stands in, relative to the root of the source.
    pattern: as written, unquoted, with its `all:` prefix if it has one.
    files: what it embeds, relative to the root of the source, sorted; empty if nothing matches (the build fails then).
    """

    file: str
    pattern: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class GoProject:
    """A Go module and the main package chosen in it.

    root: the root of the source, as given.
    module_dir: the module's directory relative to root, "." for root itself.
    module_path: the `module` directive.
    go_directive: the version of the `go` line of go.mod, "" without one.
    go_minimum: the Go that cmd/go requires under GOTOOLCHAIN=local: the `go` line of go.mod, or of go.work if newer. A `toolchain`
        line makes no Go refuse: https://go.dev/doc/toolchain#select.
    main_package: the main package for `go build`, run in module_dir: "." or "./cmd/x".
    vendored: cmd/go takes dependencies from vendor/ without being told to: https://go.dev/ref/mod#vendoring.
    work_dir: the directory, relative to root, of the go.work that stands in the module's directory or above it, within root:
        https://go.dev/ref/mod#workspaces. "." is root itself; None without one.
    has_requirements: a `require` directive names a module that is not in the source.
    local_modules: the other modules that the build takes from directories.
    packages: the directories of the main package and of the packages of the source that it needs, relative to root, "." for root itself.
    std_imports: standard-library packages imported by the main package and the packages of the source it needs, sorted.
    third_party_imports: packages of modules that are not in the source imported by the same, sorted. When vendored, only
        those vendor/ has.
    cgo_files: files relative to root that would build but for `import "C"`: CGO_ENABLED=0 leaves them out.
    tagged_files: files relative to root that would be built only with further build tags: (file, its package, the tags with commas), sorted.
    embeds: the //go:embed patterns of the same packages, sorted by file.
    """

    root: Path
    module_dir: str
    module_path: str
    go_directive: str
    go_minimum: str
    main_package: str
    vendored: bool
    work_dir: str | None
    has_requirements: bool
    local_modules: tuple[LocalModule, ...]
    packages: tuple[str, ...]
    std_imports: tuple[str, ...]
    third_party_imports: tuple[str, ...]
    cgo_files: tuple[str, ...]
    tagged_files: tuple[tuple[str, str, str], ...]
    embeds: tuple[Embed, ...]

    @property
    def embedded_files(self) -> tuple[str, ...]:
        """The files that the //go:embed patterns match, relative to root, sorted, each once."""
        return tuple(sorted({file for embed in self.embeds for file in embed.files}))
