"""Third-party modules for the services that are built: made here, and served as a module proxy does it (https://go.dev/ref/mod#goproxy-protocol)."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.engine import docker

VERSION = "v1.0.0"
FUNCTIONS = 60
FUNCTION = """
// Say{number} says something about what it is given.
func Say{number}(about map[string]string) (string, error) {{
	packed, err := json.Marshal(about)
	if err != nil {{
		return "", fmt.Errorf("{name}, {number}: %w", err)
	}}
	return strings.ToUpper(string(packed)), nil
}}
"""


def path(number: int) -> str:
    """Return the path of a module."""
    return f"modules.bench.example/m{number:03}"


def sources(number: int) -> dict[str, str]:
    """Return the files of a module, name to content."""
    name = f"m{number:03}"
    text = f'// Package {name} is one of many.\npackage {name}\n\nimport (\n\t"encoding/json"\n\t"fmt"\n\t"strings"\n)\n'
    text += "".join(FUNCTION.format(name=name, number=function) for function in range(FUNCTIONS))
    return {"go.mod": f"module {path(number)}\n\ngo 1.24\n", f"{name}.go": text}


def h1(files: Mapping[str, str]) -> str:
    """Return the hash of files as go.sum has it (https://go.dev/ref/mod#go-sum-files)."""
    lines = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items()))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def requirements(count: int) -> tuple[str, str]:
    """Return what go.mod and go.sum have of so many modules."""
    wanted, sums = [], []
    for number in range(count):
        files = sources(number)
        wanted.append(f"\t{path(number)} {VERSION}\n")
        sums.append(f"{path(number)} {VERSION} {h1({f'{path(number)}@{VERSION}/{name}': text for name, text in files.items()})}\n")
        sums.append(f"{path(number)} {VERSION}/go.mod {h1({'go.mod': files['go.mod']})}\n")
    return f"\nrequire (\n{''.join(wanted)})\n" if wanted else "", "".join(sums)


def answer(asked: str) -> bytes | None:
    """Return what the proxy answers to a path, None where it has nothing."""
    module, _, what = asked.lstrip("/").partition("/@v/")
    number = module.rpartition("/m")[2]
    if not number.isdigit() or module != path(int(number)):
        return None
    files = sources(int(number))
    if what == "list":
        return f"{VERSION}\n".encode()
    if what == f"{VERSION}.info":
        return f'{{"Version": "{VERSION}", "Time": "2026-01-01T00:00:00Z"}}'.encode()
    if what == f"{VERSION}.mod":
        return files["go.mod"].encode()
    if what != f"{VERSION}.zip":
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{module}@{VERSION}/{name}", text)
    return packed.getvalue()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = answer(self.path)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_said: object) -> None:
        """Keep silent."""


@contextmanager
def proxy() -> Iterator[str]:
    """Serve the modules where build containers reach them, and yield the address."""
    address = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    with ThreadingHTTPServer((address, 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
