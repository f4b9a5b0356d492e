"""The signature of a bundle, made with OpenSSH (ssh-keygen -Y, from 8.2 on), which each controller has, and with the keys that people already have."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .archive import SIGNATURE, SUMS, BundleError

# The purpose of the signature: a signature that the key made for another purpose is not valid for a bundle.
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
    """Return the signature of some content; key: path of a private key, or of a public key whose private key an SSH agent has."""
    done = _ssh_keygen(["sign", "-q", "-f", str(Path(key).expanduser()), "-n", _NAMESPACE], content)
    if done.returncode:
        raise BundleError(
            f"the bundle cannot be signed with {key}: {done.stderr.decode(errors='replace').strip()}",
            "Correct bundle_key; if the key has a passphrase, add it to an SSH agent (ssh-add) and name its public key.",
        )
    return done.stdout


def _is_path(key: str) -> bool:
    """Say whether a line names a file instead of being a key, which consists of several words."""
    return key.startswith(("/", "~", "./", "../")) or (len(key.split()) == 1 and ("/" in key or key.endswith(".pub")))


def verify(sums: bytes, signature: bytes | None, public_key: str) -> bool:
    """Verify the signature of the checksums: return True if it is valid, False if no key is given; raise BundleError if it is not valid.

    public_key: a key in the form of a .pub file ("ssh-ed25519 AAAA..."), or several, one on each line; "" for none. A text without any key is refused: it
    asks for a signature.
    """
    if not public_key:
        return False
    keys = [line.strip() for line in public_key.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise BundleError(
            "bundle_public_key holds no key, only blanks or comments, so no signature can be verified",
            'Give it the content of a .pub file; to require no signature, leave it out (bundle_public_key: "").',
        )
    for key in keys:
        if _is_path(key):
            raise BundleError(
                f"bundle_public_key is the path {key}, but the key itself is wanted",
                "Give the content of that file: bundle_public_key: \"{{ lookup('ansible.builtin.file', '" + key + "') }}\".",
            )
    if signature is None:
        raise BundleError(
            "the bundle has no signature, but bundle_public_key requires one",
            "Write the bundle with bundle_key; or, if you got its checksum from a source that you trust, leave bundle_public_key out.",
        )
    with tempfile.TemporaryDirectory() as made:
        signers, signed = Path(made, "signers"), Path(made, SIGNATURE)
        signers.write_text("".join(f'{_WHO} namespaces="{_NAMESPACE}" {key}\n' for key in keys), encoding="utf-8")
        signed.write_bytes(signature)
        done = _ssh_keygen(["verify", "-q", "-f", str(signers), "-I", _WHO, "-n", _NAMESPACE, "-s", str(signed)], sums)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise BundleError(
            f"the signature of the bundle's {SUMS} was not made with bundle_public_key: {said}",
            "Do not use the bundle, unless bundle_public_key is the wrong key; get the bundle from those who sign it.",
        )
    return True
