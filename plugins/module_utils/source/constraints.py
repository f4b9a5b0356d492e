"""Build constraints: which Go files belong to a build."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass

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
_MAX_NESTING = 100


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
        release = re.fullmatch(r"go1\.([1-9][0-9]{0,8})", tag, re.ASCII)
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


def excluded_by_header(header: bytes, context: BuildContext) -> str:
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


def tags_that_admit(reason: str, context: BuildContext) -> tuple[str, ...]:
    """Return the build tags with which a file would be part of the build; () if it is not left out by a line, or by one that such tags do not decide.

    reason: as `excluded_by_header` returns it.
    """
    asked: dict[str, None] = {}
    go_build, plus_build = _GO_BUILD.fullmatch(reason), _PLUS_BUILD.fullmatch(reason)

    def admits(given: Container[str]) -> bool:
        def satisfied(tag: str) -> bool:
            if tag not in _KNOWN_OS and tag not in _KNOWN_ARCH and "." not in tag and tag not in ("unix", "cgo", "gccgo", "ignore"):
                asked[tag] = None
            return tag in given or context.satisfied(tag)

        if go_build:
            return evaluate_go_build(go_build[1] or "", satisfied)
        return bool(plus_build) and evaluate_plus_build((plus_build[1] if plus_build else "") or "", satisfied)

    try:
        admits(())
        return next((tags for tags in (*((tag,) for tag in asked), tuple(asked)) if admits(tags)), ())
    except ValueError:
        return ()


def excluded_by_name(name: str, context: BuildContext) -> str:
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
