"""Sockets in front of the Engine of this machine: what the tests ask by other addresses than its own, and take away."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from pathlib import Path

ENGINE = "/var/run/docker.sock"


class Handler(socketserver.BaseRequestHandler):
    """Copies in both directions until one side ends; the server keeps what it heard."""

    def handle(self) -> None:
        """Hand one connection on."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        with socket.socket(socket.AF_UNIX) as behind:
            behind.connect(self.server.engine)
            self.copy_both_ways(behind)

    def copy_both_ways(self, behind: socket.socket) -> None:
        """Copy between the client and the Engine until both have ended."""
        back = threading.Thread(target=self.copy, args=(behind, self.request), daemon=True)
        back.start()
        self.copy(self.request, behind)
        back.join()

    def passed_on(self, piece: bytes) -> bytes:
        """Return what the other side gets of what one side sent."""
        return piece

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        """Copy until the source ends."""
        try:
            while piece := source.recv(65536):
                if source is self.request:
                    self.server.heard += piece
                target.sendall(self.passed_on(piece))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn):
    """What both kinds have in common; heard: all that clients sent; engine: the socket behind it."""

    engine = ENGINE
    daemon_threads = True
    block_on_close = False

    def begin(self) -> None:
        """Serve in a thread."""
        self.heard = b""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def end(self) -> None:
        """Go away."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that were refused."""


class Relay(Server, socketserver.UnixStreamServer):
    """A socket of the file system."""

    def __init__(self, path: Path, handler: type = Handler) -> None:
        super().__init__(str(path), handler)
        self.begin()


class TlsRelay(Server, socketserver.TCPServer):
    """A port that speaks TLS, with clients that its CA knows alone, as a Docker daemon with --tlsverify."""

    def __init__(self, certificate: Path, key: Path, ca: Path) -> None:
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.tls.load_verify_locations(ca)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        super().__init__(("127.0.0.1", 0), Handler)
        self.begin()

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        """Accept a connection, the handshake is the handler's."""
        plain, where = super().get_request()
        return self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), where
