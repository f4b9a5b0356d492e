"""What the text of Go files says about how to run a service: where it listens, which paths it answers, which files and variables it needs.

No code of a source is run, and nothing is certain: a value may be computed, or belong to something else. Each clue names its place, so
that a reader can judge it.
"""

from __future__ import annotations

import bisect
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...module_utils.common.files import read_source_file
from ...module_utils.source.gofile import LITERAL

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# How certain a clue is: from "it listens there" to "there is such a text".
SURE, LIKELY, POSSIBLE, FAINT = 4, 3, 2, 1


@dataclass(frozen=True)
class Clue:
    """One find. value: what was found; file: relative to the source; line: from 1; weight: SURE to FAINT; flag, env: what changes the value.

    host: where it listens; apart: flag and env change only the host, and not the port with it.
    """

    value: str
    file: str
    line: int
    weight: int = POSSIBLE
    host: str = ""
    flag: str = ""
    env: str = ""
    apart: bool = False

    @property
    def everywhere(self) -> str:
        """The value for flag or env with which it listens on all addresses."""
        return "0.0.0.0" if self.apart else f":{self.value}"

    @property
    def place(self) -> str:
        """Where it was found, in the form that compilers print."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Clues:
    """What a Go file says. Each part is in the order of the file.

    serves: how certain it is that it serves HTTP, 0 if nothing says so. reads_port: where it reads the variable PORT. handlers: the paths that it answers.
    health: those of them with a usual name of a health check. opened: relative paths that it reads (whether these exist is not known here).
    named: further texts that look like the name of a file. wanted_env, wanted_flags: what it needs to start; POSSIBLE if it only returns an error.
    """

    serves: int = 0
    ports: tuple[Clue, ...] = ()
    reads_port: tuple[Clue, ...] = ()
    health: tuple[Clue, ...] = ()
    handlers: tuple[Clue, ...] = ()
    opened: tuple[Clue, ...] = ()
    named: tuple[Clue, ...] = ()
    wanted_env: tuple[Clue, ...] = ()
    wanted_flags: tuple[Clue, ...] = ()


# The last part of the path of a health check, the best one first: "alive" before "ready", since a service may never be ready without other services.
HEALTH_NAMES = (
    *("health", "healthz", "healthy", "_health", "_healthz", "health-check", "healthcheck", "livez", "live", "liveness", "alive", "_live"),
    *("heartbeat", "up", "status", "ready", "readyz", "readiness", "_ready", "ping"),
)

_STRING = r'"((?:[^"\\\n]|\\.)*)"'
_HOST = r"(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[0-9a-fA-F:]*\]|\*)?"
_ADDRESS = rf'"({_HOST}):(\d{{2,5}})"'
_LISTENING = re.compile(
    r"\b(?:\w*ListenAndServe\w*|Listen\w*|Run|RunTLS|Start|StartTLS|Serve)\(\s*"
    rf'(?:[\w.()]+,\s*)?(?:"tcp[46]?",\s*)?{_ADDRESS}|\bAddr:\s*{_ADDRESS}|\.Addr\s*=\s*{_ADDRESS}'
)
_ANY_ADDRESS = re.compile(_ADDRESS)
# Where it listens, as a URL; but services are also given URLs of other services.
_LISTENING_URL = re.compile(rf'"https?://({_HOST}):(\d{{2,5}})/?"')
# A word that ends in "port", except those that mean something else: import, report, export, support, transport.
_PORT = r"(?:(?<![Ii]m)(?<![Rr]e)(?<![Ee]x)(?<![Ss]up)(?<![Tt]rans)port|Port|PORT)"
_PORT_NUMBER = re.compile(rf'(?<![A-Za-z])\w*{_PORT}\b[\w.]*"?\)?(?:\s+(?:string|u?int\w*))?\s*(?::=|=|,|:)\s*"?:?(\d{{2,5}})\b(?![.\w])"?')
_PORT_TAG = re.compile(rf'{_PORT}.*(?i:envdefault|default):"(\d{{2,5}})"')
_PORT_FUNCTION = re.compile(r'\bfunc\b[^\n{]*[pP]ort\w*\([^\n]*\{\n(?:[^\n}][^\n]*\n|\n){0,20}?\s*return "?:?(\d{2,5})"?\n')
_ABOUT_LISTENING = re.compile(r"(?i)listen|addr|port|bind|http|serve|web")
# Words for ports of other programs, or for further ports of the service.
_ELSEWHERE = re.compile(
    r"(?i)redis|postgres|mysql|maria|mongo|kafka|nats|amqp|rabbit|smtp|mail|memcache|etcd|consul|vault|zookeeper|elastic|influx|otlp|otel|jaeger|"
    r"zipkin|collector|statsd|syslog|grpc|dial|upstream|backend|database|proxy_?url|endpoint|sql\.Open|usage|example"
)
# Words for the address on which a service listens for clients, which is not the address of a client.
_CLIENT = re.compile(r"(?i)client")
_LISTEN = re.compile(r"(?i)listen")
# A file that is about one of these other programs, and the usual ports of such programs.
_STORE_FILE = re.compile(
    r"(?i)(?:^|[/_])(?:database|db|storage|postgres\w*|pg|redis|mysql|mariadb|mongo\w*|kafka|nats|rabbit\w*|amqp|mail|smtp|cache)(?:[/_.]|$)"
)
_STORE_PORTS = frozenset({"1433", "2379", "3306", "4222", "4317", "4318", "5432", "5672", "6379", "9092", "11211", "27017"})
# Ports of protocols that an HTTP service does not speak (DNS, mail, shells, directories, SOCKS), and numbers that are a base or a size in calls that parse or format a port.
_NO_HTTP = frozenset({"10", "16", "32", "64", "21", "22", "23", "25", "53", "110", "143", "389", "465", "587", "636", "993", "995", "1080"})
# A file with which a service sends requests to others.
_CALLING_FILE = re.compile(
    r"(?i)(?:^|[/_])(?:clients?|discovery|notif\w*|alerting|providers?|connectors?|integrations?|scrap\w*|collectors?|exporters?)(?:[/_.]|$)"
)
# A file that stands in for something in tests, or that serves plugins, debuggers or gRPC: its ports come after those of other files.
_OTHER_SERVER_FILE = re.compile(
    r"(?i)(?:^|[/_])(?:mock(?:s|ed)?|fakes?|stubs?|fixtures?|test(?:s|ing|utils?|helpers?|data)?|plugins?|debug|pprof|grpc)(?:[/_.]|$)"
)
# What a second server on port 80 does, if the service itself speaks TLS: it sends clients on, or answers an authority for certificates.
_SENDS_ON = re.compile(r"(?i)redirect|acme|\.HTTPHandler\(")
# What stands above the port that a URL without one means.
_SCHEME = re.compile(r'(?i)scheme|"https?"')
_ASIDE = re.compile(r"(?i)pprof|debug|metric|admin|mgmt|management|monitor|telemetry|profil|plugin|peer|gossip")
# The name of a function that serves something else than the service's own pages.
_OTHER_FUNCTION = re.compile(rf"{_ASIDE.pattern}|{_SENDS_ON.pattern.removeprefix('(?i)')}")
# A block of code for something else than the service's own pages: for an option that is on, or for a part of its settings.
_OTHERS = re.compile(rf"{_ASIDE.pattern}|{_ELSEWHERE.pattern.removeprefix('(?i)')}")
# The name of a variable for the address if it is separate from the port, but not a name for another program's address.
_OWN_HOST = re.compile(r"(?i)host|addr|listen|bind|\bip")
_STORE_HOST = re.compile(r"(?i)db|\bpg|cache|queue|broker|allowed|trusted|cors|origin|remote|target|peer")
_LOOPBACK_ALONE = re.compile(r'"(localhost|127\.0\.0\.1)"')
# How many lines away from the port it may be.
_LINES_BESIDE = 3
_PORT_ENV = re.compile(r'(?i)\b\w*env\w*\(\s*"PORT"|\benv(?:config)?:"PORT[",]')
_ENV_NAME = re.compile(r'\b(?i:\w*env\w*)\(\s*(?:[^"\n]*,\s*)?"([A-Z][A-Z0-9_]+)"|\benv(?:config)?:"([A-Z][A-Z0-9_]+)[",]')
# A name that stands for a value: a constant or a variable.
_NAMED = re.compile(r"\A\s*(?:const\s+|var\s+)?(\w+)(?:\s+string)?\s*:?=\s*\S+\s*\Z")
_FUNCTION = re.compile(r"func (?:\([^)]*\) )?(\w+)")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_FLAG = re.compile(rf"\b(?i:\w*flags?|fs|f|kingpin|app|cmd)(?:\(\))?\.(?:\w*)\(\s*(?:&[\w.]+,\s*)?{_STRING}")

_HANDLING = re.compile(r"\b(?:Handle\w*|GET|Get|Any|All|Path\w*|Route|HEAD|Head|Method\w*|Add|Register\w*|Pattern|Mount)\b|\bcase\b|==")
_OTHER_METHOD = re.compile(r"\b(?:POST|PUT|PATCH|DELETE|Post|Put|Patch|Delete|Method(?:Post|Put|Patch|Delete))\b")
_ASKING = re.compile(r"\bhttp\.Get\(|NewRequest|httptest|\bclient\b|\bGet\(\s*ctx|://|curl")
_PATH = re.compile(r'"(?:(?P<method>[A-Z]+) )?(?P<path>/[A-Za-z0-9._~/-]*(?:\{\$\})?)"')
# A path after a prefix that is in a variable.
_PATH_BEHIND = re.compile(r'\+\s*"/?([A-Za-z_-]+)"')
_SERVES = (
    (SURE, re.compile(r"\bListenAndServe\w*\(|\bhttp\.Serve(?:TLS)?\(")),
    (
        LIKELY,
        re.compile(r"\.(?:Run|RunTLS|Start|StartTLS|Listen)\(\s*(?:\"[^\"\n]*:\d+\"|\w*[aA]ddr\w*|fmt\.Sprintf\(\"[^\"\n]*:%|\":\"\s*\+)"),
    ),
    (
        POSSIBLE,
        re.compile(r"\bhttp\.(?:HandleFunc|Handle|NewServeMux|Server\{)|\bgin\.(?:Default|New)\(|\becho\.New\(|\bfiber\.New\(|\bchi\.New"),
    ),
)

_OPENING = re.compile(
    r"\b(?:ParseGlob|ParseFiles|LoadHTMLGlob|LoadHTMLFiles|http\.Dir|os\.(?:Open|ReadFile|ReadDir|DirFS|Stat)|ioutil\.(?:ReadFile|ReadDir)|ServeFile|"
    r"StaticFile|Static|StaticFS|filepath\.(?:Glob|Walk|WalkDir)|(?:html|django|pug|handlebars|mustache)\.New|godotenv\.(?:Load|Overload)|SetConfigFile|"
    r"AddConfigPath|LoadX509KeyPair|DecodeFile)\((?P<arguments>[^()]{0,400}(?:\([^()]{0,400}\)[^()]{0,400}){0,4})\)"
)
_JOINED = re.compile(rf"\b(?:filepath|path)\.Join\(\s*({_STRING}(?:\s*,\s*{_STRING})*)\s*,?\s*\)")
_RELATIVE = re.compile(r"(?:\./)?[A-Za-z0-9_@*][A-Za-z0-9_@.*?/+-]*/?")
_FILE_NAME = re.compile(
    r'"((?:\./)?[A-Za-z0-9_][A-Za-z0-9_./-]*\.(?:ya?ml|json|toml|ini|conf|cfg|html?|gohtml|tmpl|tpl|csv|txt|css|js|sql|mmdb|crt))"'
)

_ENV_READ = re.compile(r'\b(?:os\.)?(?:Getenv|LookupEnv)\(\s*"([A-Za-z_][A-Za-z0-9_]*)"\s*\)')
_ENV_MUST = re.compile(r'\b(?i:(?!\w*bind)\w*(?:must|require)\w*)\(\s*(?:[^"()\n]*,\s*)?"([A-Z][A-Z0-9_]{2,})"')
_ENV_TAG = re.compile(
    r'\benv:"([A-Z][A-Z0-9_]+)(?:,[^"]*)?,\s*(?:required|notEmpty)\b|\benv:"([A-Z][A-Z0-9_]+)"[^`\n]*\benv-required:"true"|'
    r'\benvconfig:"([A-Z][A-Z0-9_]+)"[^`\n]*\brequired:"true"|\brequired:"true"[^`\n]*\benvconfig:"([A-Z][A-Z0-9_]+)"'
)
_ENDS = re.compile(r"\b(?:panic|\w*\.?Fatal\w*|os\.Exit)\(|\breturn\b[^\n]*\b(?:errors\.New|fmt\.Errorf)\(")
_MISSED = re.compile(r'== ""|!ok\b|!found\b|!exists\b|!present\b|len\(\w+\) == 0')
_COMPLAINT = re.compile(
    r'"((?:[^"\\\n]|\\.)*(?i:missing|required|must be (?:set|given|specified|provided|defined|configured|present)|must provide|must specify|not set|be empty|'
    r'please (?:set|give|specify))(?:[^"\\\n]|\\.)*)"'
)
# A setting is not required if it excludes others, if only another setting requires it, or if the message is about a wrong value.
_CONDITIONAL = re.compile(r"(?i)\binvalid (?:format|value)|\bonly one|\bboth\b|mutually|together with|\bwhen\b|\bif\b|\bfor -|_[A-Z]+=")
_FLAG_WORD = re.compile(r"(?<![\w-])--?([A-Za-z][\w.-]*)")
_ENV_WORD = re.compile(r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b")
_KINGPIN_REQUIRED = re.compile(rf"\.Flag\(\s*{_STRING}[^\n]*\.Required\(\)")
_COBRA_REQUIRED = re.compile(rf"\bMark(?:Persistent)?FlagRequired\(\s*{_STRING}")
# A longer line contains data.
_LONGEST = 1000
# How many lines above a line its block is looked for.
_LINES_ABOVE = 30
# How many lines after reading a variable the message may be that the program cannot go on without it.
_LINES_AFTER = 5


def code_of(data: bytes) -> str:
    """Return a Go file's text without comments, raw strings of several lines and very long lines; line numbers do not change.

    Other raw strings are put in double quotes, and a path that is joined from literals becomes one literal.
    """

    def plain(match: re.Match[bytes]) -> bytes:
        literal = match[0]
        if literal.startswith((b"//", b"/*")):
            return re.sub(rb"[^\n]", b" ", literal)
        if literal.startswith(b"`"):
            inner = literal[1:-1]
            if b"\n" in literal:
                return b'""' + b"\n" * literal.count(b"\n")
            # The tag of a field contains quotes itself, which have a meaning.
            return literal if b'"' in inner or b"\\" in inner else b'"' + inner + b'"'
        return literal

    text = LITERAL.sub(plain, data).decode(errors="replace")
    text = "\n".join(line if len(line) <= _LONGEST else "" for line in text.split("\n"))
    return _JOINED.sub(lambda match: f'"{posixpath.join(*re.findall(_STRING, match[1]))}"' + "\n" * match[0].count("\n"), text)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("\t"))


class _Text:
    """A file's code and where its lines begin."""

    def __init__(self, file: str, code: str) -> None:
        self.file = file
        self.code = code
        self.lines = code.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._taking: dict[str, str] | None = None

    def number(self, position: int) -> int:
        """Return the line of a position, from 1."""
        return bisect.bisect_right(self._starts, position)

    def around(self, number: int) -> str:
        """Return a line, together with the line before it if a call continues from there."""
        line, before = self.lines[number - 1], self.lines[number - 2] if number > 1 else ""
        return f"{before} {line}" if before.rstrip().endswith(("(", ",")) else line

    def taking(self, number: int) -> str:
        """Return the line that gives a flag or a variable this line's value as its default: this line, or one that uses the value by its name."""
        line = self.around(number)
        named = _NAMED.match(self.lines[number - 1])
        if not named or _FLAG.search(line) or _ENV_NAME.search(line):
            return line
        if self._taking is None:
            takers = [taker for taker in map(self.around, range(1, len(self.lines) + 1)) if _FLAG.search(taker) or _ENV_NAME.search(taker)]
            self._taking = {
                word: taker for taker in reversed(takers) for word in _WORD.findall(re.sub(_STRING, "", taker.partition("(")[2]))
            }
        return self._taking.get(named[1], line)

    def enclosing(self, number: int) -> str:
        """Return the lines that open the blocks around a line, found by indentation; without that of the function."""
        found, depth = [], _depth(self.lines[number - 1])
        for line in reversed(self.lines[max(number - 1 - _LINES_ABOVE, 0) : number - 1]):
            if line.strip() and _depth(line) < depth:
                depth = _depth(line)
                if not depth:
                    break
                found.append(line.strip())
        return "\n".join(found)

    def function(self, number: int) -> str:
        """Return the name of the function that a line is in, "" if it is in none."""
        for line in reversed(self.lines[: number - 1] if _depth(self.lines[number - 1]) else []):
            if line and not line.startswith(("\t", " ", ")")):
                named = _FUNCTION.match(line)
                return named[1] if named else ""
        return ""

    def clue(self, value: str, position: int, weight: int = POSSIBLE) -> Clue:
        return Clue(value, self.file, self.number(position), weight)


def read_clues(root: Path, file: str) -> Clues:
    """Return what a Go file says; file: relative to root. Raises OSError."""
    return find_clues(file, read_source_file(root, root / file))


def find_clues(file: str, data: bytes) -> Clues:
    """Return what the content of a Go file says."""
    text = _Text(file, code_of(data))
    handlers = sorted(_handlers(text), key=lambda clue: clue.line)
    return Clues(
        serves=max((weight for weight, pattern in _SERVES if pattern.search(text.code)), default=0),
        ports=tuple(_ports(text)),
        reads_port=tuple(text.clue("PORT", match.start()) for match in _PORT_ENV.finditer(text.code)),
        health=tuple(clue for clue in handlers if health_rank(clue.value) < len(HEALTH_NAMES)),
        handlers=tuple(handlers),
        opened=tuple(_opened(text)),
        named=tuple(text.clue(match[1], match.start()) for match in _FILE_NAME.finditer(text.code)),
        wanted_env=tuple(_wanted_env(text)),
        wanted_flags=tuple(_wanted_flags(text)),
    )


def health_rank(path: str) -> int:
    """Return how good a path is for a health check, 0 is the best; len(HEALTH_NAMES) if it does not have a usual name."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    return HEALTH_NAMES.index(name) if name in HEALTH_NAMES else len(HEALTH_NAMES)


def _ports(text: _Text) -> Iterator[Clue]:
    seen: dict[tuple[int, str], Clue] = {}

    def found(position: int, host: str, port: str, weight: int) -> None:
        if not 0 < int(port) <= 65535:
            return
        number = text.number(position)
        line = text.around(number)
        listens = weight == SURE or bool(_LISTEN.search(line))
        if (
            _ELSEWHERE.search(line)
            or (not listens and (_CLIENT.search(line) or port in _STORE_PORTS))
            or port in _NO_HTTP
            or (weight < SURE and _STORE_FILE.search(text.file))
        ):
            weight = 0
        elif (
            _ASIDE.search(line)
            or _OTHER_FUNCTION.search(text.function(number))
            or (not listens and _CALLING_FILE.search(text.file))
            or _OTHER_SERVER_FILE.search(text.file)
            or _OTHERS.search(text.enclosing(number))
            or (
                port in ("80", "443") and not listens and _SCHEME.search("\n".join(text.lines[max(number - 1 - _LINES_BESIDE, 0) : number]))
            )
            or (port == "80" and _SENDS_ON.search("\n".join(text.lines[number - 1 : number + 1])))
        ):
            weight = min(weight, FAINT)
        taking = text.taking(number)
        flag, env = _FLAG.search(taking), _ENV_NAME.search(taking)
        clue = replace(
            text.clue(port, position, weight), host=host, flag=flag[1] if flag else "", env=(env[1] or env[2] or "") if env else ""
        )
        if weight >= LIKELY and not host:
            clue = _with_host_beside(text, clue)
        if weight and weight > seen.get((number, port), replace(clue, weight=0)).weight:
            seen[number, port] = clue

    for match in _LISTENING.finditer(text.code):
        host, port = next((host or "", port) for host, port in zip(match.groups()[::2], match.groups()[1::2]) if port)
        found(match.end() - 1, host, port, SURE)
    for match in _ANY_ADDRESS.finditer(text.code):
        number = text.number(match.start())
        line = _ANY_ADDRESS.sub("", text.around(number))
        about = _ABOUT_LISTENING.search(text.function(number) if line.strip() == "return" else line)
        found(match.start(), match[1] or "", match[2], LIKELY if about else POSSIBLE)
    for match in _LISTENING_URL.finditer(text.code):
        if _LISTEN.search(text.around(text.number(match.start()))):
            found(match.start(), match[1] or "", match[2], LIKELY)
    for pattern in (_PORT_NUMBER, _PORT_TAG):
        for match in pattern.finditer(text.code):
            found(match.start(), "", match[1], LIKELY)
    for match in _PORT_FUNCTION.finditer(text.code):
        found(match.start(1), "", match[1], POSSIBLE)
    yield from (seen[key] for key in sorted(seen))


def _with_host_beside(text: _Text, clue: Clue) -> Clue:
    """Return a port with the address from the lines around it, if that is a loopback address and a flag or a variable changes it."""
    around = range(max(clue.line - _LINES_BESIDE, 1), min(clue.line + _LINES_BESIDE, len(text.lines)) + 1)
    for number in sorted(around, key=lambda number: abs(number - clue.line)):
        line = text.lines[number - 1]
        host = _LOOPBACK_ALONE.search(line)
        flag, env = _FLAG.search(line), _ENV_NAME.search(line)
        if host and (flag or env) and _OWN_HOST.search(line) and not (_STORE_HOST.search(line) or _OTHERS.search(line)):
            return replace(clue, host=host[1], flag=flag[1] if flag else "", env=(env[1] or env[2] or "") if env else "", apart=True)
    return clue


def _handlers(text: _Text) -> Iterator[Clue]:
    for match in _PATH.finditer(text.code):
        line = text.around(text.number(match.start()))
        rest = line.replace(match[0], "")
        if match["method"] not in (None, "GET", "HEAD") or _ASKING.search(line) or _OTHER_METHOD.search(rest):
            continue
        path = match["path"].removesuffix("{$}")
        handled = bool(_HANDLING.search(rest))
        if handled or health_rank(path) < len(HEALTH_NAMES):
            yield text.clue(path, match.start(), LIKELY if handled else FAINT)
    for match in _PATH_BEHIND.finditer(text.code):
        line = text.lines[text.number(match.start()) - 1]
        if match[1].lower() in HEALTH_NAMES and '"/' + match[1] not in match[0] and _HANDLING.search(line) and not _ASKING.search(line):
            yield text.clue("/" + match[1], match.start(), POSSIBLE)


def _opened(text: _Text) -> Iterator[Clue]:
    for match in _OPENING.finditer(text.code):
        for literal in re.finditer(_STRING, match["arguments"]):
            if _RELATIVE.fullmatch(literal[1]) and "//" not in literal[1]:
                # After another part of a path, it need not be in the directory where the program is started.
                behind = re.search(r"\bJoin\([^)]*[\w)]\s*,[^)]*\Z", match["arguments"][: literal.start()])
                yield text.clue(literal[1], match.start("arguments") + literal.start(), FAINT if behind else POSSIBLE)


def _wanted_env(text: _Text) -> Iterator[Clue]:
    for match in _ENV_READ.finditer(text.code):
        number = text.number(match.start())
        after = text.lines[number - 1 : number + _LINES_AFTER]
        # Up to the next variable, or the end of the function.
        end = next((i for i, line in enumerate(after) if i and (_ENV_READ.search(line) or line.startswith("}"))), len(after))
        window = "\n".join(after[:end])
        missed = _MISSED.search(window)
        ended = _ENDS.search(window, missed.end()) if missed else None
        if ended:
            yield text.clue(match[1], match.start(), POSSIBLE if ended[0].startswith("return") else SURE)
    for match in _ENV_MUST.finditer(text.code):
        yield text.clue(match[1], match.start(), LIKELY)
    for match in _ENV_TAG.finditer(text.code):
        yield text.clue(next(filter(None, match.groups())), match.start(), SURE)
    for match in _complaints(text):
        for name in _ENV_WORD.findall(match[1]):
            if re.search(rf'"{name}"', text.code):
                yield text.clue(name, match.start(), _insists(text, match))


def _wanted_flags(text: _Text) -> Iterator[Clue]:
    known = {match[1] for match in _FLAG.finditer(text.code)}
    for match in _complaints(text):
        for name in _FLAG_WORD.findall(match[1]):
            if name.rstrip(".") in known:
                yield text.clue(name.rstrip("."), match.start(), _insists(text, match))
    for pattern in (_KINGPIN_REQUIRED, _COBRA_REQUIRED):
        for match in pattern.finditer(text.code):
            yield text.clue(match[1], match.start(), SURE)


def _insists(text: _Text, complaint: re.Match[str]) -> int:
    """Return how certain it is that the program ends with this message: a returned error may belong to a part that nobody uses."""
    number = text.number(complaint.start())
    ended = _ENDS.search("\n".join(text.lines[number - 1 : number + 2]))
    return POSSIBLE if ended and ended[0].startswith("return") else LIKELY


def _complaints(text: _Text) -> Iterator[re.Match[str]]:
    """Yield the messages that something is missing, if the program ends soon after them."""
    for match in _COMPLAINT.finditer(text.code):
        number = text.number(match.start())
        if (
            not _FLAG.search(text.around(number))
            and not _CONDITIONAL.search(match[1])
            and _ENDS.search("\n".join(text.lines[number - 1 : number + 2]))
        ):
            yield match
