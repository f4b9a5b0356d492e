"""What the role must know about a Go module before it builds it, read from the source tree with no Go on the host.

The role has to choose the main package, to know which standard-library packages are worth compiling ahead of the
source, which files are embedded (and so must not be ignored), and whether the builder's Go is new enough. `go list`
would tell, but neither the controller nor the target has a Go toolchain. This module follows the documented rules of
the go command; nothing is compiled, and of a Go file only the head, up to the end of its imports, is read.

Sources of the rules:
- modules, go.mod, vendoring, workspaces: https://go.dev/ref/mod
- build constraints: https://pkg.go.dev/cmd/go#hdr-Build_constraints and the packages go/build and go/build/constraint
- embedding: https://pkg.go.dev/embed#hdr-Directives and `resolveEmbed` in cmd/go/internal/load
- versions and toolchains: https://go.dev/doc/toolchain

Where the source is broken in a way the compiler reports better (a syntax error, an import of a package that does not
exist, an embed pattern without files), this module takes what it understands and says nothing.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Past, present and future values that cmd/go recognises in file names: internal/syslist.
_OTHER_OS = ("js", "nacl", "plan9", "wasip1", "windows", "zos")
_UNIX_OS = frozenset(
    {
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd"),
        *("illumos", "ios", "linux", "netbsd", "openbsd", "solaris"),
    }
)
_KNOWN_OS = _UNIX_OS.union(_OTHER_OS)
_KNOWN_ARCH = frozenset(
    {
        *("386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64"),
        *("mips", "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le"),
        *("ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm"),
    }
)
_IMPLIED_OS = {"android": "linux", "illumos": "solaris", "ios": "darwin"}
# The architecture features that are on unless GO386, GOAMD64 and their like say otherwise: `go help buildconstraint`.
_ARCH_FEATURES = {
    "386": ("386.sse2",),
    "amd64": ("amd64.v1",),
    "arm": ("arm.5", "arm.6", "arm.7"),
    "arm64": ("arm64.v8.0",),
    "mips": ("mips.hardfloat",),
    "mipsle": ("mipsle.hardfloat",),
    "mips64": ("mips64.hardfloat",),
    "mips64le": ("mips64le.hardfloat",),
    "ppc64": ("ppc64.power8",),
    "ppc64le": ("ppc64le.power8",),
    "riscv64": ("riscv64.rva20u64",),
    "wasm": ("wasm.satconv", "wasm.signext"),
}

# `./...` passes over testdata and vendor. node_modules is this module's own addition: npm packages hold stray Go files,
# main packages among them, and thousands of directories.
_UNSEARCHED = frozenset({"testdata", "vendor", "node_modules"})
_SHOWN = 20
_CHUNK = 8192
_MAX_NESTING = 100


class SourceError(Exception):
    """The source cannot be built as it is.

    message: what is wrong, and where.
    remedy: what to change, as a sentence.
    variable: the role variable to look at, "" if the source itself has to change.
    """

    def __init__(self, message: str, remedy: str = "", variable: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.variable = variable

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class LocalReplace:
    """A `replace` directive whose target is a directory: https://go.dev/ref/mod#go-mod-file-replace.

    module: the path of the replaced module.
    target: the directory as written.
    directory: the directory relative to the root of the source, "../x" or absolute if it lies outside.
    leaves_module: it is not below the module's directory.
    leaves_root: it is not below the root of the source, so no build context can hold it.
    """

    module: str
    target: str
    directory: str
    leaves_module: bool
    leaves_root: bool


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
    toolchain_directive: the name on the `toolchain` line ("go1.27.3", "default"), "" without one.
    go_minimum: the Go that cmd/go insists on under GOTOOLCHAIN=local: the `go` line of go.mod, or of go.work if newer.
    toolchain_required: the Go that GOTOOLCHAIN=auto would choose, the newer of go_minimum and the `toolchain` line. A
        `toolchain` line alone makes no Go refuse: https://go.dev/doc/toolchain#select.
    main_package: the main package for `go build`, run in module_dir: "." or "./cmd/x".
    main_packages: every main package of the module in the same form, sorted.
    vendored: cmd/go takes dependencies from vendor/ without being told to: https://go.dev/ref/mod#vendoring.
    workspace: a go.work stands in the module's directory or above it, within root: https://go.dev/ref/mod#workspaces.
    has_requirements: go.mod has a `require` directive.
    local_replaces: the `replace` directives with a directory as target.
    std_imports: standard-library packages imported by the main package and the packages of the module it needs, sorted.
    third_party_imports: packages of other modules imported by the same, sorted; those of locally replaced modules and
        of a workspace's sibling modules are among them. When vendored, only those vendor/ has.
    cgo_files: files relative to root that would build but for `import "C"`: CGO_ENABLED=0 leaves them out.
    embeds: the //go:embed patterns of the same packages, sorted by file.
    """

    root: Path
    module_dir: str
    module_path: str
    go_directive: str
    toolchain_directive: str
    go_minimum: str
    toolchain_required: str
    main_package: str
    main_packages: tuple[str, ...]
    vendored: bool
    workspace: bool
    has_requirements: bool
    local_replaces: tuple[LocalReplace, ...]
    std_imports: tuple[str, ...]
    third_party_imports: tuple[str, ...]
    cgo_files: tuple[str, ...]
    embeds: tuple[Embed, ...]

    @property
    def uses_cgo(self) -> bool:
        """Whether the module's own code imports "C" in a file that is not guarded by a `cgo` constraint."""
        return bool(self.cgo_files)

    @property
    def embedded_files(self) -> tuple[str, ...]:
        """The files that the //go:embed patterns match, relative to root, sorted, each once."""
        return tuple(sorted({file for embed in self.embeds for file in embed.files}))


# Versions


def _version_key(version: str) -> tuple[int, int, int, str, int]:
    """Return a key that orders versions without their "go" prefix as cmd/go does, the malformed before all others.

    1.21 < 1.21rc1 < 1.21.0, and before 1.21 a missing patch is 0: https://go.dev/doc/toolchain#version, internal/gover.
    """
    match = re.fullmatch(r"(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*)|([a-z]+)(0|[1-9][0-9]*)?)?)?", version, re.ASCII)
    if not match:
        return (-1, -1, -1, "", -1)
    major, minor, patch, kind, number = match.groups()
    if minor is None:
        return (int(major), 0, 0, "", -1)
    if patch is None and kind is None and int(minor) < 21:
        patch = "0"
    return (int(major), int(minor), int(patch or -1), kind or "", int(number or -1))


def _toolchain_version(name: str) -> str:
    """Return the version in a toolchain's name, "" if it has none: "go1.27.3-suffix" -> "1.27.3", "default" -> ""."""
    version = re.split(r"[ \t-]", name.removeprefix("go"), maxsplit=1)[0] if name.startswith("go") else ""
    return version if _version_key(version)[0] >= 0 else ""


def check_go_version(project: GoProject, builder_version: str) -> None:
    """Raise SourceError if the module needs a newer Go than the builder has.

    project: the module.
    builder_version: the builder's Go, "1.27.3" or "1.27rc1", with or without "go" before it, compared as cmd/go does. A
        release line ("1.27": no toolchain since 1.21 is called that, but tags of builder images are) stands for the
        newest release of that line.
    """
    version = _toolchain_version("go" + builder_version.strip().removeprefix("go"))
    if not version:
        raise SourceError(
            f"the builder's Go version {builder_version!r} is not understood",
            "Give it as go version prints it, for example 1.27.3.",
            "go_service_builder_image",
        )
    have, minimum = _version_key(version), _version_key(project.go_minimum)
    is_line = version.count(".") == 1 and version.replace(".", "").isdigit()
    if have >= minimum or (is_line and have[:2] >= minimum[:2]):
        return
    file = "go.mod" if project.go_directive == project.go_minimum else "go.work"
    need = f"Go {project.go_minimum} or newer"
    raise SourceError(
        f"the {file} of module {project.module_path} needs {need}, the builder has Go {version}",
        f"Set go_service_builder_image to an image with {need}, or lower the go line of {file}.",
        "go_service_builder_image",
    )


# Quoted strings, as strconv.Unquote reads them

_ESCAPES = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b'"': 34}
_ESCAPE = re.compile(rb"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL)


def _unescape(match: re.Match[bytes]) -> bytes:
    simple, hexadecimal, octal, short, long, unknown = match.groups()
    if unknown is not None:
        raise ValueError("unknown escape")
    if simple:
        return bytes([_ESCAPES[simple]])
    if hexadecimal or octal:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8)])
    return chr(int(short or long, 16)).encode()


def _unquote(literal: bytes) -> str:
    """Return the text of a Go string literal, raw or interpreted; raise ValueError if it is malformed or not UTF-8."""
    body = literal[1:-1]
    if literal.startswith(b"`"):
        body = body.replace(b"\r", b"")
    elif b"\\" in body:
        body = _ESCAPE.sub(_unescape, body)
    return body.decode()


# go.mod and go.work


@dataclass(frozen=True)
class _ModFile:
    """The directives of a go.mod or go.work that matter here."""

    module: str
    go: str
    toolchain: str
    requires: tuple[str, ...]
    replaces: tuple[tuple[str, str], ...]  # module, directory; "" as directory where another module takes its place
    ignores: tuple[str, ...]
    uses: tuple[str, ...]


_MOD_TOKEN = re.compile(r'[ \t\r\f\v]*(?:(//.*)|("(?:[^"\\]|\\.)*"|`[^`]*`|[()\[\]{},]|(?:(?!//)[^\s()\[\]{},])+)|\Z)')
_GO_VERSION = re.compile(r"[1-9][0-9]*\.(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))?([a-z]+[0-9]+)?", re.ASCII)
_TOOLCHAIN = re.compile(r"default|go1(\..*)?", re.ASCII)


class _ModSyntaxError(Exception):
    """A line of a go.mod that cannot be read."""


def _mod_tokens(line: str) -> list[str]:
    """Split a line of a go.mod: words, quoted strings with their quotes, punctuation; comments dropped."""
    tokens = []
    position = 0
    while position < len(line):
        match = _MOD_TOKEN.match(line, position)
        if not match or match.end() == position:
            raise _ModSyntaxError(f"unexpected {line[position]!r}")
        token = match[2]
        if token:
            if token[0] in '"`' and (len(token) < 2 or token[-1] != token[0]):
                raise _ModSyntaxError("a quoted string does not end on its line")
            if token[0] not in '"`' and "/*" in token:
                raise _ModSyntaxError("comments must be written with //, not /* */")
            tokens.append(token)
        position = match.end()
    return tokens


def _mod_string(token: str) -> str:
    if token[0] not in '"`':
        return token
    try:
        return _unquote(token.encode())
    except ValueError:
        raise _ModSyntaxError(f"invalid quoted string {token}") from None


def _mod_statements(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, directive and arguments, a block's line by line; raise _ModSyntaxError(problem, line)."""
    block, opened = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        try:
            tokens = _mod_tokens(line)
        except _ModSyntaxError as error:
            raise _ModSyntaxError(str(error), number) from None
        if not tokens:
            continue
        if block:
            if tokens == [")"]:
                block = ""
            elif tokens[0] == ")":
                raise _ModSyntaxError("expected the end of the line after )", number)
            else:
                yield number, block, tokens
        elif tokens[-1] == "(" and len(tokens) == 2:
            block, opened = tokens[0], number
        elif tokens[1:] != ["(", ")"]:
            yield number, tokens[0], tokens[1:]
    if block:
        raise _ModSyntaxError(f"the block {block} ( is not closed", opened)


def _mod_replace(arguments: list[str]) -> tuple[str, str]:
    """Return the replaced module and its directory, "" if the target is a module: https://go.dev/ref/mod#go-mod-file-replace."""
    arrow = 1 if arguments[1:2] == ["=>"] else 2
    targets = arguments[arrow + 1 :]
    if arguments[arrow : arrow + 1] != ["=>"] or len(targets) not in (1, 2):
        raise _ModSyntaxError("usage: replace module/path [v1.2.3] => other/module v1.4.0, or => ../local/directory")
    module, target = _mod_string(arguments[0]), _mod_string(targets[0])
    is_directory = target in (".", "..") or target.startswith(("./", "../", "/"))
    if is_directory == (len(targets) == 2):
        problem = "is a directory and cannot have a version" if is_directory else "is no directory (./x, ../x, /x) and has no version"
        raise _ModSyntaxError(f"the target {target} of a replace {problem}")
    return module, target if is_directory else ""


def _parse_mod(data: bytes, where: str, *, workspace: bool = False) -> _ModFile:
    """Parse a go.mod, or a go.work: https://go.dev/ref/mod#go-mod-file, #workspaces.

    Directives this module does not need are passed over, and those it does not know (a newer Go may have more) if they
    look like directives. where: the name of the file in errors. Raises SourceError.
    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {"ignore": [], "require": [], "use": []}
    replaces: list[tuple[str, str]] = []
    line = 1
    try:
        if data.startswith(codecs.BOM_UTF8):
            raise _ModSyntaxError("the file begins with a byte order mark, which cmd/go refuses")
        for number, verb, arguments in _mod_statements(data.decode()):
            line = number
            if not re.fullmatch(r"[a-z]+", verb):
                raise _ModSyntaxError(f"unknown directive {verb}")
            if verb in ("module", "go", "toolchain", "ignore", "use") and len(arguments) != 1:
                raise _ModSyntaxError(f"{verb} takes exactly one argument")
            if verb == "require" and len(arguments) != 2:
                raise _ModSyntaxError("usage: require module/path v1.2.3")
            if verb in ("module", "go", "toolchain"):
                if verb in single:
                    raise _ModSyntaxError(f"{verb} is given twice")
                single[verb] = _mod_string(arguments[0])
            elif verb in several:
                several[verb].append(_mod_string(arguments[0]))
            elif verb == "replace":
                replaces.append(_mod_replace(arguments))
            if verb == "go" and not _GO_VERSION.fullmatch(single["go"]):
                raise _ModSyntaxError(f"invalid Go version {single['go']}, it must look like 1.23.0")
            if verb == "toolchain" and not _TOOLCHAIN.fullmatch(single["toolchain"]):
                raise _ModSyntaxError(f"invalid toolchain {single['toolchain']}, it must look like go1.23.0")
        if not workspace and not single.get("module"):
            raise _ModSyntaxError("there is no module directive", 1)
    except _ModSyntaxError as error:
        raise SourceError(
            f"{where}:{error.args[1] if len(error.args) > 1 else line}: {error.args[0]}",
            "Correct the line; `go mod edit -json` checks the file.",
        ) from None
    except UnicodeDecodeError:
        raise SourceError(f"{where} is not UTF-8", "Save the file as UTF-8.") from None
    return _ModFile(
        module=single.get("module", ""),
        go=single.get("go", ""),
        toolchain=single.get("toolchain", ""),
        requires=tuple(several["require"]),
        replaces=tuple(replaces),
        ignores=tuple(several["ignore"]),
        uses=tuple(several["use"]),
    )


# Build constraints


@dataclass(frozen=True)
class BuildContext:
    """What build constraints are judged by: https://pkg.go.dev/cmd/go#hdr-Build_constraints. Cgo is off, gc compiles.

    goos, goarch: the target, as Go spells them.
    build_tags: the tags given to `go build -tags`.
    go_version: the builder's Go, (1, 27) or (1, 27, 3); None: newer than any release a constraint may ask for.
    """

    goos: str = "linux"
    goarch: str = "amd64"
    build_tags: frozenset[str] = frozenset()
    go_version: tuple[int, ...] | None = None

    def satisfied(self, tag: str) -> bool:
        """Whether a build tag is on."""
        if tag in (self.goos, self.goarch, "gc", _IMPLIED_OS.get(self.goos)) or tag in self.build_tags:
            return True
        if tag == "unix":
            return self.goos in _UNIX_OS
        release = re.fullmatch(r"go1\.([1-9][0-9]*)", tag, re.ASCII)
        if release:
            return self.go_version is None or (1, int(release[1])) <= self.go_version[:2]
        return tag in _ARCH_FEATURES.get(self.goarch, ())


_CONSTRAINT_TOKEN = re.compile(r"[ \t]*(?:(&&|\|\||[()!])|([\w.]+)|\Z)")
_GO_BUILD = re.compile(r"//go:build(?:\s+(.*))?")
_PLUS_BUILD = re.compile(r"//\s*\+build(?:\s+(.*))?")


class _Expression:
    """A //go:build expression, evaluated as it is parsed.

    either = both {"||" both}; both = negated {"&&" negated}; negated = ["!"] atom; atom = tag | "(" either ")".
    """

    def __init__(self, text: str, satisfied: Callable[[str], bool]) -> None:
        self.satisfied = satisfied
        self.tokens: list[tuple[str, str]] = []
        self.nesting = 0
        position = 0
        while position < len(text):
            match = _CONSTRAINT_TOKEN.match(text, position)
            if not match:
                raise ValueError(f"invalid syntax at {text[position:].lstrip()[:1]}")
            if match.lastindex:
                self.tokens.append((match[1] or "", match[2] or ""))
            position = match.end()
        self.tokens.append(("", ""))
        self.tokens.reverse()

    def _accept(self, operator: str) -> bool:
        if self.tokens[-1][0] == operator:
            self.tokens.pop()
            return True
        return False

    def value(self) -> bool:
        result = self._either()
        if self.tokens != [("", "")]:
            raise ValueError(f"unexpected {''.join(self.tokens[-1])}")
        return result

    def _either(self) -> bool:
        result = self._both()
        while self._accept("||"):
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._negated()
        while self._accept("&&"):
            result = self._negated() and result
        return result

    def _negated(self) -> bool:
        if self._accept("!"):
            return not self._atom()
        return self._atom()

    def _atom(self) -> bool:
        if self._accept("("):
            self.nesting += 1
            if self.nesting > _MAX_NESTING:
                raise ValueError("the expression is nested too deeply")
            result = self._either()
            if not self._accept(")"):
                raise ValueError("missing )")
            self.nesting -= 1
            return result
        tag = self.tokens[-1][1]
        if not tag:
            raise ValueError(f"unexpected {self.tokens[-1][0] or 'end'}")
        self.tokens.pop()
        return self.satisfied(tag)


def evaluate_go_build(expression: str, satisfied: Callable[[str], bool]) -> bool:
    """Evaluate what follows //go:build; raise ValueError if malformed: https://pkg.go.dev/go/build/constraint."""
    return _Expression(expression, satisfied).value()


def evaluate_plus_build(arguments: str, satisfied: Callable[[str], bool]) -> bool:
    """Evaluate what follows // +build: of clauses, split by spaces, one must hold; of terms, split by commas, all."""

    def term(text: str) -> bool:
        negated = text.startswith("!")
        tag = text[1:] if negated else text
        if negated and not re.fullmatch(r"[\w.]+", tag) and (not tag or tag.startswith("!")):
            return satisfied("ignore")
        return satisfied(tag if re.fullmatch(r"[\w.]+", tag) else "ignore") != negated

    clauses = arguments.split() or ["ignore"]
    return any(all(term(text) for text in clause.split(",")) for clause in clauses)


def _constraint_lines(header: str) -> tuple[list[str], list[str]]:
    """Return the expressions of the //go:build and of the effective // +build lines before a package clause.

    A // +build line counts only in the leading run of // comments and blank lines, with a blank line after it: go/build
    parseFileHeader.
    """
    go_build: list[str] = []
    plus_build: list[str] = []
    unconfirmed: list[str] = []
    leading, in_comment = True, False
    for raw in header.split("\n"):
        line = raw.strip()
        if not line and leading:
            plus_build += unconfirmed
            unconfirmed = []
            continue
        leading = leading and line.startswith("//")
        if not in_comment:
            match = _GO_BUILD.fullmatch(line)
            if match:
                go_build.append(match[1] or "")
            match = _PLUS_BUILD.fullmatch(line)
            if match and leading:
                unconfirmed.append(match[1] or "")
        while line:
            if in_comment:
                _comment, closed, line = line.partition("*/")
                line = line.strip()
                in_comment = not closed
            elif line.startswith("/*"):
                in_comment = True
                line = line[2:]
            elif line.startswith("//"):
                break
            else:
                return go_build, plus_build
    return go_build, plus_build


def _excluded_by_header(header: bytes, context: BuildContext) -> str:
    """Return why a file is left out by the constraints before its package clause, "" if it is not."""
    if b"//go:build" not in header and b"+build" not in header:
        return ""
    go_build, plus_build = _constraint_lines(header.decode(errors="replace"))
    if len(go_build) > 1:
        return "it has more than one //go:build line"
    if go_build:
        try:
            holds = evaluate_go_build(go_build[0], context.satisfied)
        except ValueError as error:
            return f"//go:build {go_build[0]}: {error}"
        return "" if holds else f"//go:build {go_build[0]}"
    return next((f"// +build {line}" for line in plus_build if not evaluate_plus_build(line, context.satisfied)), "")


def _excluded_by_name(name: str, context: BuildContext) -> str:
    """Return why _GOOS, _GOARCH or _GOOS_GOARCH in its name leave a file out, "" if not: go/build goodOSArchFile."""
    _stem, underscore, rest = name.partition(".")[0].partition("_")
    if not underscore:
        return ""
    parts = rest.split("_")
    if parts[-1] == "test":
        parts.pop()
    tags = parts[-1:]
    if len(parts) >= 2 and parts[-2] in _KNOWN_OS and parts[-1] in _KNOWN_ARCH:
        tags = parts[-2:]
    wrong = [tag for tag in tags if (tag in _KNOWN_OS or tag in _KNOWN_ARCH) and not context.satisfied(tag)]
    return f"_{wrong[0]} in its name" if wrong else ""


# Go files


@dataclass(frozen=True)
class _Head:
    """A Go file up to the end of its imports: the package's name or "", the imports, the text before `package`."""

    package: str
    imports: tuple[str, ...]
    header: bytes


@dataclass(frozen=True)
class _GoFile:
    """A Go file as one build sees it.

    excluded: why it is left out of the build, "" if it is part of it.
    cgo: it is left out for `import "C"` alone.
    patterns: of its //go:embed directives.
    """

    name: str
    package: str = ""
    imports: tuple[str, ...] = ()
    excluded: str = ""
    cgo: bool = False
    patterns: tuple[str, ...] = ()


_IDENTIFIER = rb"[A-Za-z0-9_\x80-\xff]"
_SPACE = re.compile(rb"(?:[ \t\r\n\f;]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PACKAGE = re.compile(rb"package(?!" + _IDENTIFIER + rb")")
_IMPORT = re.compile(rb"import(?!" + _IDENTIFIER + rb")")
_NAME = re.compile(_IDENTIFIER + rb"+")
_ALIAS = re.compile(rb"\.|" + _IDENTIFIER + rb"+")
_STRING = re.compile(rb'"(?:[^"\\\n]|\\.)*"|`[^`]*`', re.DOTALL)
# What may hold text that looks like a comment, and comments: https://go.dev/ref/spec#Lexical_elements
_LITERAL = re.compile(rb"//[^\n]*|/\*.*?\*/|`[^`]*`|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
_EMBED = re.compile(r"//go:embed(?:\s+(.*))?", re.DOTALL)
_EMBED_ARGUMENT = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)(?=\s|\Z)|([^\s"`]\S*))')
_VALID_IMPORT = re.compile(r"[^\s!\"#$%&'()*,:;<=>?\[\\\]^{|}`\ufffd]+")


def _scan_head(data: bytes) -> tuple[_Head, int]:
    """Read the package clause and the imports, as go/build readGoInfo does; return also how far they reach.

    The second value is the length of data where data ends too early or is broken: who gave the first part of a file
    tries again with all of it.
    """
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    position = _SPACE.match(data, start).end()
    keyword = _PACKAGE.match(data, position)
    if not keyword:
        return _Head("", (), data[start:]), len(data)
    header = data[start : keyword.end()]
    name = _NAME.match(data, _SPACE.match(data, keyword.end()).end())
    if not name:
        return _Head("", (), header), len(data)

    literals: list[bytes] = []

    def specification(position: int) -> int:
        alias = _ALIAS.match(data, position)
        if alias:
            position = _SPACE.match(data, alias.end()).end()
        literal = _STRING.match(data, position)
        if not literal:
            return len(data)
        literals.append(literal[0])
        return _SPACE.match(data, literal.end()).end()

    position = _SPACE.match(data, name.end()).end()
    while True:
        keyword = _IMPORT.match(data, position)
        if not keyword:
            break
        position = _SPACE.match(data, keyword.end()).end()
        if data[position : position + 1] != b"(":
            position = specification(position)
            continue
        position = _SPACE.match(data, position + 1).end()
        while position < len(data) and data[position : position + 1] != b")":
            position = specification(position)
        position = _SPACE.match(data, min(position + 1, len(data))).end()
    if data[position : position + 1] == b"/":
        position = len(data)

    imports = []
    for literal in literals:
        try:
            path = _unquote(literal)
        except ValueError:
            continue
        if _VALID_IMPORT.fullmatch(path):
            imports.append(path)
    return _Head(name[0].decode(errors="replace"), tuple(imports), header), position


def _read_head(path: str) -> tuple[_Head, bytes]:
    """Read the head of a Go file; return also the bytes read if the file embeds something, all of it then."""
    with open(path, "rb", buffering=0) as file:
        data = file.read(_CHUNK)
        complete = len(data) < _CHUNK
        head, end = _scan_head(data)
        # The longest token that could go on behind the part that was read is the keyword `import`.
        if not complete and end + len("import") >= len(data):
            data += file.read()
            complete = True
            head, end = _scan_head(data)
        if "embed" not in head.imports:
            return head, b""
        return head, data if complete else data + file.read()


def _embed_patterns(data: bytes) -> list[str]:
    """Return the patterns of the //go:embed directives of a Go file; a malformed directive counts for nothing."""
    if b"//go:embed" not in data:
        return []
    patterns: list[str] = []
    for literal in _LITERAL.finditer(data):
        comment = literal[0]
        if not comment.startswith(b"//go:embed"):
            continue
        match = _EMBED.fullmatch(comment.decode(errors="replace").rstrip())
        if not match:
            continue
        text, position, found = match[1] or "", 0, []
        while position < len(text):
            argument = _EMBED_ARGUMENT.match(text, position)
            if not argument:
                break
            try:
                found.append(argument[2] or _unquote(argument[1].encode()))
            except ValueError:
                break
            position = argument.end()
        else:
            patterns += found
    return patterns


def _read_go_file(directory: str, name: str, context: BuildContext) -> _GoFile:
    """Read a Go file as a build with CGO_ENABLED=0 sees it: go/build matchFile."""
    excluded = _excluded_by_name(name, context)
    if excluded:
        return _GoFile(name, excluded=excluded)
    head, data = _read_head(os.path.join(directory, name))
    excluded = _excluded_by_header(head.header, context)
    if not head.package:
        excluded = "it has no package clause"
    elif head.package == "documentation":
        excluded = "package documentation"
    cgo = not excluded and "C" in head.imports
    if cgo:
        excluded = 'import "C", and CGO_ENABLED is 0'
    return _GoFile(name, head.package, head.imports, excluded, cgo, () if excluded else tuple(_embed_patterns(data)))


# Embedded files

_BAD_EMBED_NAMES = frozenset({".bzr", ".hg", ".git", ".svn"})
# golang.org/x/mod/module.CheckFilePath: what a module may hold.
_BAD_FILE_NAME = re.compile(r"(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\..*)?|.*\.", re.IGNORECASE | re.DOTALL)
_FILE_NAME_CHARACTERS = frozenset("!#$%&()+,-.=@[]^_{}~ 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _embeddable_name(name: str) -> bool:
    """Whether a file or directory of that name may be embedded: cmd/go/internal/load isBadEmbedName."""
    if name in _BAD_EMBED_NAMES or _BAD_FILE_NAME.fullmatch(name):
        return False
    return all(char in _FILE_NAME_CHARACTERS or (ord(char) > 127 and char.isalpha()) for char in name)


def _glob_regex(pattern: str) -> re.Pattern[str]:
    """Translate one element of a path.Match pattern; raise ValueError if it is malformed: https://pkg.go.dev/path#Match."""
    out, position = [], 0

    def character() -> str:
        nonlocal position
        if pattern[position : position + 1] == "\\":
            position += 1
        char = pattern[position : position + 1]
        if not char:
            raise ValueError("malformed pattern")
        position += 1
        return char

    while position < len(pattern):
        char = pattern[position]
        if char in "*?":
            position += 1
            out.append("[^/]*" if char == "*" else "[^/]")
        elif char == "[":
            position += 1
            negated = pattern[position : position + 1] == "^"
            position += negated
            ranges: list[str] = []
            while pattern[position : position + 1] != "]" or not ranges:
                if pattern[position : position + 1] in ("-", "]"):
                    raise ValueError("malformed pattern")
                low = high = character()
                if pattern[position : position + 1] == "-":
                    position += 1
                    if pattern[position : position + 1] in ("-", "]"):
                        raise ValueError("malformed pattern")
                    high = character()
                if low <= high:
                    ranges.append(f"{re.escape(low)}-{re.escape(high)}")
                else:
                    ranges.append("")
            position += 1
            members = "".join(ranges)
            if members:
                out.append(f"[{'^' if negated else ''}{members}]")
            else:
                out.append("." if negated else r"(?!)")
        else:
            out.append(re.escape(character()))
    return re.compile("".join(out), re.DOTALL)


def _glob(directory: str, elements: list[str]) -> list[str]:
    """Return the paths below directory that match a pattern's elements, as filepath.Glob does: `*` takes dot files."""
    found = [""]
    for element in elements:
        magic = any(char in element for char in "*?[\\")
        regex = _glob_regex(element) if magic else None
        matched = []
        for parent in found:
            if regex is None:
                names = [element] if os.path.lexists(os.path.join(directory, parent, element)) else []
            else:
                try:
                    names = [name for name in os.listdir(os.path.join(directory, parent)) if regex.fullmatch(name)]
                except (FileNotFoundError, NotADirectoryError):
                    names = []
            matched += [posixpath.join(parent, name) for name in names]
        found = matched
    return found


def _embed_directory(directory: str, start: str, hidden: bool) -> Iterator[str]:
    """Yield the regular files below a directory that embedding it takes, stopping at other modules."""
    with os.scandir(os.path.join(directory, start)) as entries:
        for entry in entries:
            if not _embeddable_name(entry.name) or (entry.name[0] in "._" and not hidden):
                continue
            path = posixpath.join(start, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if not os.path.exists(os.path.join(directory, path, "go.mod")):
                    yield from _embed_directory(directory, path, hidden)
            elif entry.is_file(follow_symlinks=False):
                yield path


def resolve_embed(directory: str, pattern: str) -> list[str]:
    """Return the files that a //go:embed pattern in a package directory embeds, relative to it, sorted.

    A pattern is matched element by element; a directory it matches is taken with all that is below it but names that
    begin with "." or "_" (taken too under `all:`). Symbolic links, other modules and version control directories never
    are: https://pkg.go.dev/embed#hdr-Directives. An invalid pattern embeds nothing.
    """
    glob = pattern.removeprefix("all:")
    elements = glob.split("/")
    if any(element in ("", ".", "..") for element in elements):
        return []
    try:
        matches = _glob(directory, elements)
    except ValueError:
        return []
    files: set[str] = set()
    for match in matches:
        parts = match.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
        if not all(_embeddable_name(part) for part in parts):
            continue
        if any(os.path.islink(os.path.join(directory, path)) for path in [*parents, match]):
            continue
        if any(os.path.exists(os.path.join(directory, path, "go.mod")) for path in [*parents, match]):
            continue
        path = os.path.join(directory, match)
        if os.path.isdir(path):
            files.update(_embed_directory(directory, match, pattern.startswith("all:")))
        elif os.path.isfile(path):
            files.add(match)
    return sorted(files)


# The module


@dataclass(frozen=True)
class _Listing:
    """A directory: the Go files that are not hidden, its subdirectories, whether it is a module's."""

    go_files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    has_go_mod: bool = False


def _list_directory(path: str) -> _Listing:
    """List a directory; what is missing or no directory is empty."""
    go_files, directories, has_go_mod = [], [], False
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    directories.append(name)
                elif name.endswith(".go") and name[0] not in "._":
                    if entry.is_file():
                        go_files.append(name)
                elif name == "go.mod":
                    has_go_mod = entry.is_file()
    except (FileNotFoundError, NotADirectoryError):
        return _Listing()
    return _Listing(tuple(sorted(go_files)), tuple(sorted(directories)), has_go_mod)


def _argument(directory: str) -> str:
    """Return a directory relative to the module as an argument of `go build`: "" -> ".", "cmd/x" -> "./cmd/x"."""
    return f"./{directory}" if directory else "."


def _shown(items: Iterable[str]) -> str:
    """Join a list for a message, cut where it gets long."""
    items = list(items)
    return ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


@dataclass(frozen=True)
class _Gathered:
    """What a set of packages needs, those of the module that they import included."""

    std: frozenset[str]
    third_party: frozenset[str]
    cgo_files: tuple[str, ...]
    patterns: tuple[tuple[str, str, str], ...]  # package directory, file name, pattern


class _Module:
    """A module's tree. Directories are relative to the module, "" for its root; what was read once is kept."""

    def __init__(self, path: str, mod: _ModFile, dependencies: Iterable[str], context: BuildContext) -> None:
        self.path = path
        self.mod = mod
        self.context = context
        self.dependencies = frozenset(dependencies)
        self._listings: dict[str, _Listing] = {}
        self._files: dict[tuple[str, str], _GoFile] = {}

    def absolute(self, directory: str) -> str:
        return os.path.join(self.path, directory) if directory else self.path

    def listing(self, directory: str) -> _Listing:
        if directory not in self._listings:
            self._listings[directory] = _list_directory(self.absolute(directory))
        return self._listings[directory]

    def files(self, directory: str, *, tests: bool = False) -> Iterator[_GoFile]:
        """Yield the Go files of a directory in the order of their names, those of tests only if asked for."""
        for name in self.listing(directory).go_files:
            if tests or not name.endswith("_test.go"):
                key = (directory, name)
                if key not in self._files:
                    self._files[key] = _read_go_file(self.absolute(directory), name, self.context)
                yield self._files[key]

    def search(self) -> tuple[list[str], list[str]]:
        """Return the directories `./...` looks into, and those of nested modules, both sorted.

        Passed over are vendor, testdata, node_modules, names that begin with "." or "_", other modules, and what an
        `ignore` directive names (https://go.dev/ref/mod#go-mod-file-ignore); symbolic links are not followed.
        """
        anchored = tuple(f"/{path[2:].strip('/')}/" for path in self.mod.ignores if path.startswith("./"))
        anywhere = tuple(f"/{path.strip('/')}/" for path in self.mod.ignores if not path.startswith("./"))
        searched, nested, pending = [], [], [""]
        while pending:
            directory = pending.pop()
            try:
                listing = self.listing(directory)
            except PermissionError:
                # A database's data beside the code, as a rule. Where a package is needed from there, reading it fails.
                if not directory:
                    raise
                continue
            if directory and listing.has_go_mod:
                nested.append(directory)
                continue
            searched.append(directory)
            for name in listing.directories:
                if name[0] in "._" or name in _UNSEARCHED:
                    continue
                child = f"{directory}/{name}" if directory else name
                if self.mod.ignores:
                    key = f"/{child}/"
                    if key.startswith(anchored) or any(part in key for part in anywhere):
                        continue
                pending.append(child)
        return sorted(searched), sorted(nested)

    def package_name(self, directory: str) -> str:
        """Return the package that builds in a directory, "" if none does: that of its first file, as in go/build."""
        return next((file.package for file in self.files(directory) if not file.excluded), "")

    def other_module(self, directory: str) -> str:
        """Return the nested module that a directory belongs to, "" if it is part of this module."""
        parts = directory.split("/") if directory else []
        ancestors = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return next((ancestor for ancestor in ancestors if self.listing(ancestor).has_go_mod), "")

    def resolve(self, path: str) -> tuple[str, str]:
        """Return what an import path is, and its directory if it is "local", a package of this module.

        "std" is a path whose first element has no dot, unless a module of that name is this one or a dependency
        (https://go.dev/ref/mod#resolve-pkg-mod); "third-party" are the others; "" is what cannot be built or found.
        """
        if path in ("C", "unsafe") or any(part in ("", ".", "..") for part in path.split("/")):
            return "", ""
        inside = path == self.mod.module or path.startswith(self.mod.module + "/")
        if inside:
            directory = path[len(self.mod.module) + 1 :]
            if self.listing(directory).go_files and not self.other_module(directory):
                return "local", directory
        prefix = path
        while prefix:
            if prefix in self.dependencies:
                return "third-party", ""
            prefix = prefix.rpartition("/")[0]
        if inside:
            return "", ""
        return ("third-party" if "." in path.partition("/")[0] else "std"), ""

    def gather(self, packages: Iterable[str], tested: Iterable[str] = ()) -> _Gathered:
        """Collect what packages need, through the packages of this module that they import.

        packages: directories to start from.
        tested: directories whose tests count too.
        """
        with_tests = frozenset(tested)
        known = {*packages, *with_tests}
        pending = sorted(known)
        resolved: dict[str, tuple[str, str]] = {}
        cgo_files: list[str] = []
        patterns: list[tuple[str, str, str]] = []
        while pending:
            directory = pending.pop()
            for file in self.files(directory, tests=directory in with_tests):
                if file.cgo:
                    cgo_files.append(posixpath.join(directory, file.name))
                if file.excluded:
                    continue
                patterns += [(directory, file.name, pattern) for pattern in dict.fromkeys(file.patterns)]
                for path in file.imports:
                    if path not in resolved:
                        resolved[path] = self.resolve(path)
                        kind, target = resolved[path]
                        if kind == "local" and target not in known:
                            known.add(target)
                            pending.append(target)
        return _Gathered(
            std=frozenset(path for path, (kind, _target) in resolved.items() if kind == "std"),
            third_party=frozenset(path for path, (kind, _target) in resolved.items() if kind == "third-party"),
            cgo_files=tuple(sorted(cgo_files)),
            patterns=tuple(sorted(patterns)),
        )


# The main package

_MAIN = "go_service_main_package"
_MODULE_DIR = "go_service_module_dir"
_BUILD_TAGS = "go_service_build_tags"
_SOURCE = "go_service_source"


class _MainChoice:
    """The choice of the main package in a module."""

    def __init__(self, module: _Module, target: str) -> None:
        self.module = module
        self.target = target
        self.searched, self.nested = module.search()
        self.candidates = [directory for directory in self.searched if module.package_name(directory) == "main"]

    def choose(self, name: str, wanted: str) -> str:
        """Return the main package's directory: the wanted one, the module's root, ./cmd/<name>, or the only one."""
        if wanted:
            directory = self._explicit(wanted)
        elif "" in self.candidates:
            directory = ""
        elif f"cmd/{name}" in self.candidates:
            directory = f"cmd/{name}"
        elif len(self.candidates) == 1:
            directory = self.candidates[0]
        elif self.candidates:
            raise SourceError(
                f"module {self.module.mod.module} has {len(self.candidates)} main packages, "
                f"but none at its root or in ./cmd/{name}: {self._listed()}",
                f"Set {_MAIN} to one of them.",
                _MAIN,
            )
        else:
            raise self._none()
        packages = self._packages(directory)
        if len(packages) > 1:
            found = " and ".join(f"{package} ({file})" for package, file in packages.items())
            raise SourceError(
                f"{_argument(directory)} holds files of more than one package: {found}",
                "Move one of them to a directory of its own, or keep it out of the build with //go:build ignore.",
            )
        return directory

    def _listed(self) -> str:
        return _shown(map(_argument, self.candidates))

    def _packages(self, directory: str) -> dict[str, str]:
        """Return the packages that build in a directory with the first file of each."""
        packages: dict[str, str] = {}
        for file in self.module.files(directory):
            if not file.excluded:
                packages.setdefault(file.package, file.name)
        return packages

    def _excluded(self, directory: str) -> list[str]:
        """Return the files of package main in a directory that do not build, with the reason; scripts do not count."""
        return [
            f"{posixpath.join(_argument(directory), file.name)} ({file.excluded})"
            for file in self.module.files(directory)
            if file.excluded
            and not file.excluded.endswith("build ignore")
            and _read_head(os.path.join(self.module.absolute(directory), file.name))[0].package == "main"
        ]

    def _wrong(self, wanted: str, problem: str, remedy: str = "") -> SourceError:
        if not remedy:
            remedy = f"Set {_MAIN} to one of: {self._listed()}." if self.candidates else f"Correct {_MAIN}; no main package was found."
        return SourceError(f"{_MAIN} is {wanted!r}, but {problem}", remedy, _MAIN)

    def _explicit(self, wanted: str) -> str:
        """Return the directory of a main package given as cmd/x, ./cmd/x or by import path; raise SourceError."""
        module_path = self.module.mod.module
        value = wanted.strip()
        directory = posixpath.normpath(value)
        directory = "" if directory == "." else directory
        if not os.path.isdir(self.module.absolute(directory)) and f"{directory}/".startswith(f"{module_path}/"):
            directory = directory[len(module_path) + 1 :]
        if posixpath.isabs(directory) or directory.split("/")[0] == "..":
            raise self._wrong(wanted, f"that is outside of module {module_path}")
        path = self.module.absolute(directory)
        if os.path.isfile(path):
            parent = _argument(posixpath.dirname(directory))
            raise self._wrong(wanted, "that is a file, not a directory", f"Set {_MAIN} to {parent}.")
        if not os.path.isdir(path):
            raise self._wrong(wanted, f"module {module_path} has no such directory ({path})")
        other = self.module.other_module(directory)
        if other:
            raise self._wrong(
                wanted,
                f"{_argument(other)} is a module of its own (it has a go.mod)",
                f"Set {_MODULE_DIR} to that directory and {_MAIN} to {_argument(directory[len(other) + 1 :])}.",
            )
        package = self.module.package_name(directory)
        if not package:
            files = list(self.module.files(directory))
            if not files:
                raise self._wrong(wanted, "there is no Go file in it")
            reasons = _shown(f"{file.name} ({file.excluded})" for file in files)
            raise self._wrong(wanted, f"no Go file in it builds for {self.target}: {reasons}")
        if "main" not in self._packages(directory):
            raise self._wrong(wanted, f"it is package {package}, not package main")
        return directory

    def _none(self) -> SourceError:
        """Return the error for a module without a main package, with what comes closest."""
        where = f"module {self.module.mod.module} ({self.module.path})"
        problem, remedy, variable = (
            f"there is no main package in {where}",
            f"Set {_SOURCE} to the source of a program, with a func main in package main.",
            _SOURCE,
        )
        excluded = [text for directory in self.searched for text in self._excluded(directory)]
        mixed = [directory for directory in self.searched if "main" in self._packages(directory)]
        if not any(self.module.listing(directory).go_files for directory in self.searched):
            problem = f"there is no Go file in {where}"
        if mixed:
            problem += f"; package main shares a directory with another package in {_shown(map(_argument, mixed))}"
            remedy = f"Set {_MAIN} to that directory to see which files collide, and part them."
            variable = _MAIN
        if excluded:
            problem += f"; files of package main that do not build for {self.target}: {_shown(excluded)}"
            remedy = f"Set {_BUILD_TAGS} to the tags the program is built with, or {_SOURCE} to one for {self.target}."
            variable = _BUILD_TAGS
        if self.nested:
            remedy = f"Set {_MODULE_DIR} to the service's module; in this one lie {_shown(map(_argument, self.nested))}."
            variable = _MODULE_DIR
        return SourceError(problem, remedy, variable)


# The project


def _within(directory: str) -> str | None:
    """Return a relative directory cleaned, "" for the root, None if it is absolute or leads out."""
    cleaned = posixpath.normpath(directory.strip() or ".")
    if posixpath.isabs(cleaned) or cleaned.split("/")[0] == "..":
        return None
    return "" if cleaned == "." else cleaned


def _upwards(directory: str) -> Iterator[str]:
    """Yield a relative directory and those above it, the root, "", last."""
    yield directory
    while directory:
        directory = posixpath.dirname(directory)
        yield directory


def _with_file(root: str, directories: Iterable[str], name: str) -> str | None:
    """Return the first of the directories below root that holds a file of that name, None if none does."""
    return next((directory for directory in directories if os.path.isfile(os.path.join(root, directory, name))), None)


def _modules_below(path: str, levels: int) -> list[str]:
    """Return the directories with a go.mod, one to that many levels below, relative to path, sorted."""
    found = []
    for name in _list_directory(path).directories:
        if name[0] in "._" or name in _UNSEARCHED:
            continue
        child = os.path.join(path, name)
        try:
            if _list_directory(child).has_go_mod:
                found.append(name)
            if levels > 1:
                found += [posixpath.join(name, item) for item in _modules_below(child, levels - 1)]
        except PermissionError:
            continue
    return found


def _module_directory(root: str, module_dir: str) -> str:
    """Return the module's directory relative to root, "" for root itself; raise SourceError if no go.mod is in it."""
    if not os.path.isdir(root):
        raise SourceError(f"there is no directory {root}", f"Set {_SOURCE} to the directory of the source.", _SOURCE)
    directory = _within(module_dir)
    if directory is None:
        raise SourceError(
            f"{_MODULE_DIR} is {module_dir!r}, which leads out of the source {root}",
            "Give a directory below the source, relative to it.",
            _MODULE_DIR,
        )
    path = os.path.join(root, directory) if directory else root
    if os.path.isfile(os.path.join(path, "go.mod")):
        return directory
    exists = os.path.isdir(path)
    problem = f"there is no go.mod in {path}" if exists else f"there is no directory {path}"
    below = [posixpath.join(directory, found) for found in _modules_below(path, levels=2)]
    above = _with_file(root, _upwards(directory), "go.mod")
    if below:
        remedy = f"Set {_MODULE_DIR} to one of the directories with a go.mod: {_shown(below)}."
    elif above is not None:
        remedy = f"Set {_MODULE_DIR} to {above or '.'!r}, where a go.mod is"
        remedy += f", and {_MAIN} to './{posixpath.relpath(directory, above or '.')}'." if exists else "."
    else:
        remedy = f"Set {_SOURCE} and {_MODULE_DIR} to the directory of a Go module, or make it one with `go mod init`."
    raise SourceError(problem, remedy, _MODULE_DIR if directory or below else _SOURCE)


def _read_mod(root: str, directory: str, name: str) -> _ModFile:
    file = posixpath.join(directory, name)
    return _parse_mod(Path(root, file).read_bytes(), file, workspace=name == "go.work")


@dataclass(frozen=True)
class _Modules:
    """The go.mod of a module, and the go.work that governs it if there is one: https://go.dev/ref/mod#workspaces.

    directory, work_dir: where they lie, relative to root.
    """

    root: str
    directory: str
    mod: _ModFile
    work_dir: str
    work: _ModFile | None

    @classmethod
    def read(cls, root: str, directory: str) -> _Modules:
        mod = _read_mod(root, directory, "go.mod")
        work_dir = _with_file(root, _upwards(directory), "go.work")
        if work_dir is None:
            return cls(root, directory, mod, "", None)
        return cls(root, directory, mod, work_dir, _read_mod(root, work_dir, "go.work"))

    def go_minimum(self) -> str:
        return max(self.mod.go, self.work.go if self.work else "", key=_version_key)

    def toolchain_required(self) -> str:
        toolchain = self.work.toolchain if self.work else self.mod.toolchain
        return max(self.go_minimum(), _toolchain_version(toolchain), key=_version_key)

    def _replaces(self) -> Iterator[tuple[str, str, str]]:
        """Yield module, directory as written or "", and the directory of the file that says so."""
        for file, directory in ((self.mod, self.directory), (self.work, self.work_dir)):
            for module, target in file.replaces if file else ():
                yield module, target, directory

    def local_replaces(self) -> tuple[LocalReplace, ...]:
        found = []
        for module, target, directory in self._replaces():
            if target:
                resolved = posixpath.normpath(posixpath.join(directory, target))
                leaves_root = _within(resolved) is None
                below = not leaves_root and f"{resolved}/".startswith(f"{self.directory}/" if self.directory else "")
                found.append(LocalReplace(module, target, resolved, not below, leaves_root))
        return tuple(found)

    def dependencies(self) -> set[str]:
        """Return the paths of the modules that packages may come from besides this one and the standard library."""
        paths = {*self.mod.requires, *(module for module, _target, _directory in self._replaces())}
        for use in self.work.uses if self.work else ():
            directory = _within(posixpath.join(self.work_dir, use))
            if directory not in (None, self.directory) and _with_file(self.root, [directory], "go.mod") is not None:
                paths.add(_read_mod(self.root, directory, "go.mod").module)
        return paths

    def vendor_directory(self) -> str:
        """Return the vendor directory that cmd/go uses by itself, "" if none: https://go.dev/ref/mod#vendoring.

        It lies beside the governing file, whose go line must be there and at least 1.14. A vendor/modules.txt with
        "## workspace" on its first line was made for a workspace, and is used only in one.
        """
        governing, directory = (self.work, self.work_dir) if self.work else (self.mod, self.directory)
        vendor = os.path.join(self.root, directory, "vendor")
        if _version_key(governing.go) < _version_key("1.14"):
            return ""
        try:
            with open(os.path.join(vendor, "modules.txt"), encoding="utf-8", errors="replace") as file:
                first = file.readline()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        notes = [note.strip() for note in first[3:].split(";")] if first.startswith("## ") else []
        return vendor if ("workspace" in notes) == bool(self.work) else ""


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn an error of the file system into a SourceError."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"cannot read {error.filename}: {error.strerror}",
            "Make the source readable for the user who runs the play.",
            _SOURCE,
        ) from error


def analyze(
    root: Path,
    *,
    name: str,
    main_package: str = "",
    module_dir: str = ".",
    build_tags: Sequence[str] = (),
    goos: str = "linux",
    goarch: str = "amd64",
    go_version: tuple[int, ...] | None = None,
    with_tests: bool = False,
) -> GoProject:
    """Read a Go module and choose its main package.

    root: the root of the source.
    name: the service; ./cmd/<name> is preferred where the module's root is no main package.
    main_package: the main package as cmd/x, ./cmd/x, "." or its import path; "" to find it.
    module_dir: the directory of go.mod relative to root.
    build_tags: as given to `go build -tags`.
    goos, goarch: what is built for, as Go spells them.
    go_version: the builder's Go, (1, 27) or (1, 27, 3), for constraints like go1.27; None: newer than all.
    with_tests: also take in what `go test ./...` needs: every package of the module, with its tests. cgo_files stay
        those of the main package.

    Raises SourceError, naming the variable and the remedy: no go.mod, an invalid one, no Go files, a main package that
    is missing, ambiguous, not main, or left out by build constraints, a file that cannot be read.
    """
    with _reading():
        base = os.fspath(root)
        directory = _module_directory(base, module_dir)
        modules = _Modules.read(base, directory)
        module = _Module(
            os.path.join(base, directory) if directory else base,
            modules.mod,
            modules.dependencies(),
            BuildContext(goos, goarch, frozenset(build_tags), go_version),
        )
        choice = _MainChoice(module, f"{goos}/{goarch}")
        main = choice.choose(name, main_package)
        gathered = module.gather([main])
        cgo_files = gathered.cgo_files
        if with_tests:
            gathered = module.gather([main], choice.searched)
        vendor = modules.vendor_directory()
        third_party = sorted(gathered.third_party)
        if vendor:
            third_party = [path for path in third_party if _list_directory(os.path.join(vendor, path)).go_files]
        embeds = [
            (package, file, pattern, resolve_embed(module.absolute(package), pattern)) for package, file, pattern in gathered.patterns
        ]
    return GoProject(
        root=Path(root),
        module_dir=directory or ".",
        module_path=modules.mod.module,
        go_directive=modules.mod.go,
        toolchain_directive=modules.mod.toolchain,
        go_minimum=modules.go_minimum(),
        toolchain_required=modules.toolchain_required(),
        main_package=_argument(main),
        main_packages=tuple(map(_argument, choice.candidates)),
        vendored=bool(vendor),
        workspace=modules.work is not None,
        has_requirements=bool(modules.mod.requires),
        local_replaces=modules.local_replaces(),
        std_imports=tuple(sorted(gathered.std)),
        third_party_imports=tuple(third_party),
        cgo_files=tuple(posixpath.join(directory, file) for file in cgo_files),
        embeds=tuple(
            Embed(
                file=posixpath.join(directory, package, file),
                pattern=pattern,
                files=tuple(posixpath.join(directory, package, path) for path in files),
            )
            for package, file, pattern, files in embeds
        ),
    )
