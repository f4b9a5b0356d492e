"""The signature of a bundle, made with OpenSSH (ssh-keygen -Y, from 8.2 on), which each controller has, and with the keys that people already have."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path

from .archive import SIGNATURE, SUMS, BundleError

# The purpose of the signature: a signature that the key made for another purpose is not valid for a bundle.
_NAMESPACE = _WHO = "go-service-bundle"
_SECONDS = 60
# What private keys say of themselves: those of OpenSSH, PEM and OpenPGP, of PuTTY, of age, of minisign and signify.
_PRIVATE = re.compile(
    r"PRIVATE KEY(?: BLOCK)? ?---|PuTTY-User-Key-File-\d|Private-(?:Lines|MAC):|AGE-SECRET-KEY-|(?:minisign|signify).{0,40}secret key",
    re.IGNORECASE,
)
# A public key, whose comment may say anything.
_PUBLIC = re.compile(r"^[ \t]*(?:ssh|ecdsa|sk)-\S+[ \t]+AAAA(?:(?!----).)*$", re.MULTILINE)
# What may be a piece of a key: it is not shown, since nobody can tell of which.
_PIECE = re.compile(r"[A-Za-z0-9+/=]{40,}")
# More than any key has.
_LARGEST = 1 << 16


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
    if _is_private(key) or len(key.splitlines()) > 1:
        raise BundleError(
            "bundle_key holds a key itself (it is not shown), but the path of its file is wanted",
            "Name the file of the key: bundle_key: ~/.ssh/release. If the text was in a file that others read, make another key.",
        )
    done = _ssh_keygen(["sign", "-q", "-f", str(Path(key).expanduser()), "-n", _NAMESPACE], content)
    if done.returncode:
        raise BundleError(
            f"the bundle cannot be signed with {key}: {done.stderr.decode(errors='replace').strip()}",
            "Correct bundle_key; if the key has a passphrase, add it to an SSH agent (ssh-add) and name its public key.",
        )
    return done.stdout


def _is_private(text: str) -> bool:
    """Say whether a text holds a private key; nothing of such a text may be shown."""
    return _PRIVATE.search(_PUBLIC.sub("", text)) is not None


def _holds_private(path: str) -> bool:
    """Say whether a file of the controller holds a private key."""
    with contextlib.suppress(OSError, RuntimeError, ValueError), Path(path).expanduser().open("rb") as file:
        return _is_private(file.read(_LARGEST).decode("utf-8", "replace"))
    return False


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
    if _is_private(public_key):
        raise BundleError(
            "bundle_public_key holds a private key (it is not shown), but the public one is wanted",
            "Give the content of its .pub file; ssh-keygen -y prints it, too. If the private key was in a file that others read, make another one.",
        )
    keys = [line.strip() for line in public_key.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise BundleError(
            "bundle_public_key holds no key, only blanks or comments, so no signature can be verified",
            'Give it the content of a .pub file; to require no signature, leave it out (bundle_public_key: "").',
        )
    for key in keys:
        if not _is_path(key):
            continue
        if len(keys) > 1 or (_PIECE.search(key) and not key.endswith(".pub")):
            raise BundleError(
                "a line of bundle_public_key is neither a public key nor a comment (it is not shown)",
                "Give the content of a .pub file, or of several; each key is one line.",
            )
        private = _holds_private(key)
        what = f"{key} of a private key, but the public key" if private else f"{key}, but the key"
        file = f"{key}.pub" if private else key
        raise BundleError(
            f"bundle_public_key is the path {what} itself is wanted",
            "Give the content of that file: bundle_public_key: \"{{ lookup('ansible.builtin.file', '" + file + "') }}\".",
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
        if said.endswith("invalid key"):
            raise BundleError(
                "bundle_public_key holds a line that is no public key, and the signature was made with none of the others",
                "Give the content of a .pub file, or of several: each line begins with the kind of the key, such as ssh-ed25519, without options before it.",
            )
        raise BundleError(
            f"the signature of the bundle's {SUMS} was not made with bundle_public_key{f': {said}' if said else ''}",
            "Do not use the bundle, unless bundle_public_key is the wrong key; get the bundle from those who sign it.",
        )
    return True
