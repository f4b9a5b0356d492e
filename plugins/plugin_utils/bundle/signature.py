"""The signature of a bundle: one of OpenSSH (ssh-keygen -Y, from 8.2 on), which lies on each controller, by a key as people have them already."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .archive import SIGNATURE, SUMS, BundleError

# What the signature is for: one that the key gave to something else is none of a bundle.
_NAMESPACE = _WHO = "go-service-bundle"
_SECONDS = 60


def _ssh_keygen(arguments: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", *arguments], input=content, capture_output=True, check=False, timeout=_SECONDS)
    except FileNotFoundError as error:
        raise BundleError(
            "ssh-keygen is missing on the controller, which signs and verifies bundles", "Install OpenSSH's client there."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(
            "ssh-keygen did not end: it waits for a passphrase or a token", "Add the key to an agent (ssh-add), and run again."
        ) from error


def sign(content: bytes, key: str) -> bytes:
    """Return the signature of some content; key: path of a private key, or of the public one whose private key an agent has."""
    done = _ssh_keygen(["sign", "-q", "-f", str(Path(key).expanduser()), "-n", _NAMESPACE], content)
    if done.returncode:
        raise BundleError(
            f"the bundle cannot be signed with {key}: {done.stderr.decode(errors='replace').strip()}",
            "Correct bundle_key; where the key has a passphrase, add it to an agent (ssh-add) and name its public key.",
        )
    return done.stdout


def verify(sums: bytes, signature: bytes | None, public_key: str) -> bool:
    """Return whether a key vouches for the checksums: False where none is asked to; raise BundleError where it does not.

    public_key: one as in a .pub file ("ssh-ed25519 AAAA..."), or several, a line each; "" for none.
    """
    keys = [line.strip() for line in public_key.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        return False
    if signature is None:
        raise BundleError(
            "the bundle has no signature, and bundle_public_key asks for one",
            "Write it with bundle_key; or, if its checksum came by a way that you trust, leave bundle_public_key out.",
        )
    with tempfile.TemporaryDirectory() as made:
        signers, signed = Path(made, "signers"), Path(made, SIGNATURE)
        signers.write_text("".join(f'{_WHO} namespaces="{_NAMESPACE}" {key}\n' for key in keys), encoding="utf-8")
        signed.write_bytes(signature)
        done = _ssh_keygen(["verify", "-q", "-f", str(signers), "-I", _WHO, "-n", _NAMESPACE, "-s", str(signed)], sums)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise BundleError(
            f"the signature of the bundle's {SUMS} is not one of bundle_public_key: {said}",
            "Use none of it, unless bundle_public_key is the wrong one; get the bundle from those who sign it.",
        )
    return True
