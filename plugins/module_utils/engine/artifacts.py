"""Documents beside an image in a registry, which the Engine itself cannot push: by the registry's own API (OCI Distribution 1.1).

A document is an artifact whose `subject` is the image's manifest. A registry that supports referrers of a manifest says so with the header OCI-Subject;
for other registries this module keeps the list, under the fallback tag that the specification defines.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from .client import Engine
from .transfer import RegistryRefuses

try:
    import requests
    from requests.auth import AuthBase, HTTPBasicAuth
except ImportError:
    AuthBase = object  # type: ignore[assignment, misc]

MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_EMPTY_TYPE, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_SECONDS = 60
_WORDS = 300


def digest_of(content: bytes) -> str:
    """Return the digest of some content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def document_of(value: Mapping[str, Any]) -> bytes:
    """Return plain data as JSON, the same bytes for the same data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class _Bearer(AuthBase):
    """Authorizes requests by a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def is_insecure(registry: str, info: Mapping[str, Any]) -> bool:
    """Say whether the Engine uses a registry without verifying its certificate; info: the Engine's system record."""
    configured = info.get("RegistryConfig") or {}
    host = registry.partition("/")[0]
    if (configured.get("IndexConfigs") or {}).get(host, {}).get("Secure") is False:
        return True
    name = re.sub(r":\d+\Z", "", host).strip("[]")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
        return any(address in ipaddress.ip_network(network) for network in configured.get("InsecureRegistryCIDRs") or [])
    return False


class Repository:
    """One repository of a registry."""

    def __init__(self, session: Any, base: str, name: str) -> None:
        """session: of requests, which knows how to authorize; base: address of the registry; name: of the repository in it."""
        self._session, self._url = session, f"{base}/v2/{name}"

    def _ask(self, method: str, url: str, *fine: int, **how: Any) -> Any:
        try:
            answer = self._session.request(method, url if "://" in url else f"{self._url}{url}", **_how(self._session), **how)
        except requests.RequestException as error:
            raise RegistryRefuses(f"{method} {self._url}{url}: {error}") from error
        if answer.status_code not in fine:
            raise RegistryRefuses(f"the registry answers {answer.status_code} to {method} {answer.url}: {answer.text[:_WORDS]}")
        return answer

    def digest(self, reference: str) -> str:
        """Return the digest of what a tag or a digest names, "" if there is none."""
        accept = {"Accept": f"{MANIFEST}, {INDEX}, {_DOCKER}"}
        answer = self._ask("HEAD", f"/manifests/{reference}", 200, 404, headers=accept)
        return str(answer.headers.get("Docker-Content-Digest") or "") if answer.status_code == 200 else ""

    def _manifest(self, reference: str) -> tuple[str, bytes]:
        """Return the kind and the content of a manifest, ("", b"") where there is none."""
        accept = {"Accept": f"{MANIFEST}, {INDEX}, {_DOCKER}"}
        answer = self._ask("GET", f"/manifests/{reference}", 200, 404, headers=accept)
        return (answer.headers["Content-Type"], answer.content) if answer.status_code == 200 else ("", b"")

    def _blob(self, content: bytes) -> dict[str, Any]:
        """Store some content in the registry; return its digest and size in the form of a descriptor."""
        digest = digest_of(content)
        if self._ask("HEAD", f"/blobs/{digest}", 200, 404).status_code == 404:
            place = self._ask("POST", "/blobs/uploads/", 202).headers["Location"]
            where = place if "://" in place else f"{self._url.partition('/v2/')[0]}{place}"
            joined = f"{where}{'&' if '?' in where else '?'}digest={digest}"
            self._ask("PUT", joined, 201, data=content, headers={"Content-Type": "application/octet-stream"})
        return {"digest": digest, "size": len(content)}

    def attach(self, subject: str, kind: str, document: bytes, title: str) -> tuple[str, bool]:
        """Store a document that refers to a digest; return the document's own digest, and whether it is new there.

        kind: media type of the document; title: a file's name for it.
        """
        subject_kind, subject_content = self._manifest(subject)
        if not subject_content:
            raise RegistryRefuses(f"the registry does not have {subject}")
        described = {"mediaType": subject_kind, "digest": subject, "size": len(subject_content)}
        manifest = document_of(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": kind,
                "config": {"mediaType": _EMPTY_TYPE, **self._blob(_EMPTY)},
                "layers": [{"mediaType": kind, **self._blob(document), "annotations": {"org.opencontainers.image.title": title}}],
                "subject": described,
            }
        )
        digest = digest_of(manifest)
        new = not self.digest(digest)
        answer = self._ask("PUT", f"/manifests/{digest}", 201, data=manifest, headers={"Content-Type": MANIFEST})
        if not answer.headers.get("OCI-Subject"):
            self._list(subject, {"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "artifactType": kind})
        return digest, new

    def _list(self, subject: str, referrer: Mapping[str, Any]) -> None:
        """Add a referrer to the list under a tag, if the registry does not keep such a list itself."""
        tag = subject.replace(":", "-")
        _kind, content = self._manifest(tag)
        index: dict[str, Any] = json.loads(content) if content else {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        if referrer["digest"] not in [known["digest"] for known in index["manifests"]]:
            index["manifests"].append(dict(referrer))
            self._ask("PUT", f"/manifests/{tag}", 201, data=document_of(index), headers={"Content-Type": INDEX})


def _how(session: Any) -> dict[str, Any]:
    """Return the options of each request. An authority in the request overrides that of REQUESTS_CA_BUNDLE; one in the session would not."""
    return {"timeout": _SECONDS, "verify": session.verify}


def _authorize(session: Any, base: str, name: str, credentials: Mapping[str, str]) -> None:
    """Make a session authorize its requests in the way that the registry requires (https://distribution.github.io/distribution/spec/auth/token/)."""
    asked = session.get(f"{base}/v2/", **_how(session)).headers.get("WWW-Authenticate", "")
    account = HTTPBasicAuth(credentials["username"], credentials["password"]) if credentials.get("username") else None
    scheme, _blank, rest = asked.partition(" ")
    if scheme.lower() == "basic" and account:
        session.auth = account
    if scheme.lower() != "bearer":
        return
    words = dict(re.findall(r'([a-z]+)="([^"]*)"', rest))
    query = {"service": words.get("service", ""), "scope": f"repository:{name}:pull,push"}
    answer = session.get(words["realm"], params=query, auth=account, **_how(session))
    if answer.status_code != 200:
        raise RegistryRefuses(f"the registry's {words['realm']} answers {answer.status_code}: {answer.text[:_WORDS]}")
    token = answer.json()
    session.auth = _Bearer(token.get("token") or token.get("access_token") or "")


@contextlib.contextmanager
def repository(engine: Engine, where: str, credentials: Mapping[str, str], certificates: str) -> Iterator[Repository]:
    """Yield a repository. where: registry and path; credentials: "username" and "password", {} for those of `docker login`; certificates: PEM."""
    registry, _slash, name = where.partition("/")
    insecure = is_insecure(registry, engine.info())
    with contextlib.closing(requests.Session()) as session, tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(certificates)
        authority.flush()
        session.verify = authority.name if certificates else not insecure
        base = f"https://{registry}"
        try:
            try:
                _authorize(session, base, name, credentials or engine.login_of(registry))
            except requests.exceptions.SSLError:
                if not insecure:
                    raise
                base = f"http://{registry}"
                _authorize(session, base, name, credentials or engine.login_of(registry))
        except requests.RequestException as error:
            raise RegistryRefuses(f"the registry {registry} cannot be asked: {error}") from error
        yield Repository(session, base, name)
