"""Git hosts of a test's own: by HTTPS with a password and a certificate of the test's own authority, and by SSH; and a builder image that has git and ssh.

The programs are those of this machine, a Debian: its libraries go with them, beside those of Alpine.
"""

from __future__ import annotations

import base64
import contextlib
import io
import ipaddress
import json
import os
import re
import shutil
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BUILDER = "test/go-builder-with-git:1"
SSH_PORT = 7999
# Where the host of the containers is for them: the gateway of the Engine's own network.
_PROGRAMS = ("/usr/bin/git", "/usr/lib/git-core/git-remote-http", "/usr/bin/ssh")
_PACKAGES = ("openssh-server", "libwrap0")
_GIT = ("-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main", "-c", "safe.directory=*")


def docker(*arguments: str, stdin: bytes = b"") -> str:
    """Run the Docker client and return what it prints."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()[-2000:]}"
    return done.stdout.decode().strip()


def gateway() -> str:
    """Return the address of this machine for containers in the Engine's own network."""
    (config,) = json.loads(docker("network", "inspect", "--format", "{{json .IPAM.Config}}", "bridge"))
    # An Engine that has just been started for the first time tells the network alone, of which it takes the first address.
    return str(config.get("Gateway") or next(ipaddress.ip_network(config["Subnet"]).hosts()))


def _libraries(program: Path, beside: Path) -> set[Path]:
    """Return the libraries that a program needs; beside: a directory with more of them."""
    env = {**os.environ, "LD_LIBRARY_PATH": f"{beside}/lib/x86_64-linux-gnu:{beside}/usr/lib/x86_64-linux-gnu"}
    printed = subprocess.check_output(["ldd", program], text=True, env=env)
    return {Path(path) for path in re.findall(r"(/\S+\.so\S*) \(0x", printed)}


def _packages(directory: Path) -> Path:
    """Unpack the server of SSH from Debian's packages; skip the test where they cannot be had."""
    directory.mkdir()
    try:
        subprocess.run(["apt-get", "download", "-q", *_PACKAGES], cwd=directory, check=True, capture_output=True)
        for package in directory.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, directory / "root"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"Debian's openssh-server cannot be had: {error}")
    return directory / "root"


def build_builder(base: str, authority: str, directory: Path) -> None:
    """Build the builder image with git and ssh, which trusts an authority (PEM), and has the server of SSH as well."""
    for program in _PROGRAMS:
        if not Path(program).exists():
            pytest.skip(f"this machine has no {program}")
    unpacked = _packages(directory / "packages")
    sshd = unpacked / "usr/sbin/sshd"
    wanted = {Path(program): program for program in _PROGRAMS} | {sshd: "/usr/sbin/sshd"}
    for program in list(wanted):
        for library in _libraries(program, unpacked):
            wanted[library] = f"/{library.relative_to(unpacked)}" if library.is_relative_to(unpacked) else str(library)
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for source, target in wanted.items():
            archive.add(source.resolve(), f"root{target}")
        for name, text in {"Dockerfile": _DOCKERFILE.format(base), "authority.pem": authority}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    docker("build", "-q", "-t", BUILDER, "-", stdin=context.getvalue())


_DOCKERFILE = """\
FROM {0}
COPY root/ /
COPY authority.pem /tmp/
RUN ln -s git-remote-http /usr/lib/git-core/git-remote-https && ln -s ../../bin/git /usr/lib/git-core/git \\
 && for name in upload-pack receive-pack; do ln -s git /usr/bin/git-$name; done \\
 && cat /tmp/authority.pem >>/etc/ssl/certs/ca-certificates.crt \\
 && mkdir -p /run/sshd && sed -i 's/^root:[^:]*:/root:x:/' /etc/shadow
"""


def make_authority(directory: Path, address: str, *names: str) -> tuple[str, Path]:
    """Make a certificate authority, and a certificate for an address and names; return the authority (PEM) and the file with certificate and key."""
    directory.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=an authority of a test")
    openssl("req", *key, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=host")
    (directory / "host.ext").write_text("subjectAltName=" + ",".join([f"IP:{address}", *(f"DNS:{name}" for name in names)]) + "\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "host.ext")
    openssl("x509", "-req", "-in", "host.csr", "-out", "host.pem", *signing)
    both = directory / "both.pem"
    both.write_text((directory / "host.pem").read_text() + (directory / "host.key").read_text())
    return (directory / "ca.pem").read_text(), both


def make_repository(directory: Path, module: str, files: dict[str, str], tag: str = "v1.2.0") -> None:
    """Make a repository with a module in it, and a tag."""
    directory.mkdir(parents=True)
    for name, text in {"go.mod": f"module {module}\n\ngo 1.21\n", **files}.items():
        (directory / name).write_text(text)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"], ["tag", tag]):
        subprocess.run(["git", *_GIT, *arguments], cwd=directory, check=True, capture_output=True)


@dataclass
class Host:
    """A git host by HTTPS. accepted: user:password of who may read; port: where it listens; asked: the paths that were asked for, with the status of the answer."""

    directory: Path
    accepted: str
    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def served(self, path: str) -> int:
        """Return how often a path was answered well."""
        return len([None for asked, status in self.asked if asked.startswith(path) and status == 200])


@contextlib.contextmanager
def serving(directory: Path, address: str, certificate: Path | None, accepted: str, port: int = 443) -> Iterator[Host]:
    """Serve the repositories and files of a directory as long as the block runs; certificate: none for plain HTTP."""
    host = Host(directory, accepted)

    class Handler(BaseHTTPRequestHandler):
        """Asks for a password, then answers as git, as go wants to know a module's repository, or with a file."""

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

        def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
            host.asked.append((self.path, status))
            self.send_response(status)
            for name, value in {**headers, "Content_Length": str(len(content))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            """Answer."""
            wanted = "Basic " + base64.b64encode(host.accepted.encode()).decode()
            if self.headers["Authorization"] != wanted:
                return self._answer(401, WWW_Authenticate='Basic realm="git"')
            path, _mark, query = self.path.partition("?")
            if "go-get=1" in query:
                root = path.strip("/")
                meta = f'<meta name="go-import" content="{address}/{root} git https://{address}/{root}.git">'
                return self._answer(200, meta.encode(), Content_Type="text/html")
            if "/info/refs" in path or path.endswith("/git-upload-pack"):
                return self._git(path, query)
            file = directory / path.strip("/")
            return self._answer(200, file.read_bytes()) if file.is_file() else self._answer(404)

        do_POST = do_GET

        def _git(self, path: str, query: str) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            env = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(directory),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path.replace(".git/", "/.git/"),
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers["Content-Type"] or "",
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
                "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
                "REMOTE_USER": "me",
                **{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
            }
            head, _gap, content = subprocess.run(
                ["git", "http-backend"], input=body, capture_output=True, check=True, env=env
            ).stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            status = int(headers.pop("Status", "200").split()[0])
            self._answer(status, content, **{name.replace("-", "_"): value for name, value in headers.items()})

    server = ThreadingHTTPServer((address, port), Handler)
    host.port = server.server_port
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_key(path: Path) -> str:
    """Make a key of SSH without a passphrase; return the private part, the public one lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.read_text()


@contextlib.contextmanager
def serving_ssh(directory: Path, repositories: Path, address: str, authorized: Path) -> Iterator[str]:
    """Serve repositories by SSH, in a container, to who has a key; yield the line of known_hosts. authorized: the public key."""
    directory.mkdir()
    make_key(directory / "host")
    shutil.copy(authorized, directory / "authorized")
    (directory / "sshd_config").write_text(_SSHD)
    for path in directory.iterdir():
        path.chmod(0o600)
    script = (
        f"cp -r /given /keys && chown -R root:root /keys && chmod 700 /keys && exec /usr/sbin/sshd -D -e -f /keys/sshd_config -p {SSH_PORT}"
    )
    mounts = ["--volume", f"{directory}:/given:ro", "--volume", f"{repositories}:/team:ro"]
    made = docker("run", "-d", "--publish", f"{address}:{SSH_PORT}:{SSH_PORT}", *mounts, BUILDER, "sh", "-c", script)
    try:
        kind, key = (directory / "host.pub").read_text().split()[:2]
        yield f"[{address}]:{SSH_PORT} {kind} {key}\n"
    finally:
        printed = subprocess.run(["docker", "logs", made], capture_output=True, text=True, check=False).stderr
        docker("rm", "--force", "--volumes", made)
        print(printed[-2000:])


_SSHD = """\
HostKey /keys/host
AuthorizedKeysFile /keys/authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*
"""
