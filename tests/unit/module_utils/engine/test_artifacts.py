"""Documents beside an image, in a small registry of the test's own: one that keeps the list of referrers, one that does not; by password and by token."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.artifacts import document_of, is_insecure, repository
from ansible_collections.proven.go_service.plugins.module_utils.engine.transfer import RegistryRefuses

IMAGE = json.dumps({"schemaVersion": 2}).encode()
SUBJECT = f"sha256:{hashlib.sha256(IMAGE).hexdigest()}"
KIND = "application/vnd.cyclonedx+json"
ACCOUNT = {"username": "robot", "password": "word"}


class Registry(http.server.BaseHTTPRequestHandler):
    """A registry that keeps everything in memory."""

    blobs: dict[str, bytes]
    manifests: dict[str, tuple[str, bytes]]
    refers = by_token = False

    def log_message(self, *_words: Any) -> None:
        """Be silent."""

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refused(self) -> bool:
        given = self.headers.get("Authorization", "")
        basic = "Basic " + base64.b64encode(b"robot:word").decode()
        if self.path.startswith("/token"):
            self._answer(200 if given == basic and "repository%3Ateam%2Fweb%3Apull%2Cpush" in self.path else 401, b'{"token": "t"}')
            return True
        if given == ("Bearer t" if self.by_token else basic):
            return False
        port = self.server.server_address[1]
        asked = f'Bearer realm="http://127.0.0.1:{port}/token",service="s"' if self.by_token else 'Basic realm="test"'
        self._answer(401, b"who are you", WWW_Authenticate=asked)
        return True

    def do_GET(self) -> None:
        if self._refused():
            return
        kind, name = re.match(r"/v2/(?:team/web/(\w+)/)?(.*)", self.path).groups()
        if kind == "manifests" and name in self.manifests:
            media_type, content = self.manifests[name]
            self._answer(200, content, Content_Type=media_type, Docker_Content_Digest=f"sha256:{hashlib.sha256(content).hexdigest()}")
        else:
            self._answer(200 if not kind or name in self.blobs else 404, self.blobs.get(name, b""))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if not self._refused():
            self._answer(202, Location="/v2/team/web/blobs/uploads/1?state=x")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refused():
            return
        if "/manifests/" in self.path:
            self.manifests[self.path.rpartition("/")[2]] = (self.headers["Content-Type"], content)
            subject = json.loads(content).get("subject")
            self._answer(201, **({"OCI_Subject": subject["digest"]} if subject and self.refers else {}))
        else:
            assert "state=x&digest=" in self.path
            self.blobs[self.path.partition("digest=")[2]] = content
            self._answer(201)


class Engine:
    """An Engine that takes this machine's registries as they are."""

    def info(self) -> dict[str, Any]:
        return {"RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"]}}

    def login_of(self, _registry: str) -> dict[str, str]:
        return ACCOUNT


@pytest.fixture(params=[(False, False), (True, False), (False, True)], ids=["no referrers", "referrers", "by token"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Registry]]]:
    """Serve a registry; return where its repository is, and what it keeps."""
    refers, by_token = request.param
    kept = {"blobs": {}, "manifests": {SUBJECT: ("application/vnd.docker.distribution.manifest.v2+json", IMAGE)}}
    handler = type("Kept", (Registry,), {**kept, "refers": refers, "by_token": by_token})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/team/web", handler
        server.shutdown()


@pytest.mark.parametrize("credentials", [ACCOUNT, {}], ids=["given", "of docker login"])
def test_a_document_refers_to_the_image(served: tuple[str, type[Registry]], credentials: dict[str, str]) -> None:
    where, kept = served
    with repository(Engine(), where, credentials, "") as place:
        digest, new = place.attach(SUBJECT, KIND, document_of({"b": 1, "a": 2}), "sbom.json")
        assert new and place.attach(SUBJECT, KIND, document_of({"a": 2, "b": 1}), "sbom.json") == (digest, False)
        other, _new = place.attach(SUBJECT, KIND, document_of({"a": 3}), "sbom.json")
    manifest = json.loads(kept.manifests[digest][1])
    assert manifest["subject"] == {"mediaType": kept.manifests[SUBJECT][0], "digest": SUBJECT, "size": len(IMAGE)}
    assert kept.blobs[manifest["layers"][0]["digest"]] == b'{"a":2,"b":1}' and manifest["artifactType"] == KIND
    listed = kept.manifests.get(SUBJECT.replace(":", "-"))
    assert (listed is None) == kept.refers
    if listed:
        assert [known["digest"] for known in json.loads(listed[1])["manifests"]] == [digest, other]


def test_what_a_registry_refuses_is_told(served: tuple[str, type[Registry]]) -> None:
    where, _kept = served
    with repository(Engine(), where, ACCOUNT, "") as place, pytest.raises(RegistryRefuses, match="does not have sha256:gone"):
        place.attach("sha256:gone", KIND, b"{}", "sbom.json")
    wrong = {"username": "robot", "password": "wrong"}
    with pytest.raises(RegistryRefuses, match="answers 401") as told, repository(Engine(), where, wrong, "") as place:
        place.digest(SUBJECT)
    assert "go_service_registry_credentials" in told.value.remedy


def test_a_registry_that_is_not_there_is_told() -> None:
    with pytest.raises(RegistryRefuses, match=r"127\.0\.0\.1:1 cannot be asked"), repository(Engine(), "127.0.0.1:1/team/web", {}, ""):
        pass


@pytest.mark.parametrize(
    ("registry", "insecure"),
    [
        ("127.0.0.1:5000/x", True),
        ("localhost:5000/x", True),
        ("10.0.0.1/x", False),
        ("known:5000/x", True),
        ("proven:5000/x", False),
        ("other/x", False),
    ],
)
def test_it_is_spoken_to_as_the_engine_does(registry: str, insecure: bool) -> None:
    configured = {
        "IndexConfigs": {"known:5000": {"Secure": False}, "proven:5000": {"Secure": True}},
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
    }
    assert is_insecure(registry, {"RegistryConfig": configured}) is insecure
