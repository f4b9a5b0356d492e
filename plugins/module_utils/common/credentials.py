"""The usual names of files with credentials: one list, for the files that no build sees and that no image may contain.

Names are exact or end in a wildcard that no Go file matches: `id_*` would also be `id_generator.go`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

# In every .dockerignore file, in this order. A change of this list changes the digest of every image, and causes a build of every service.
ALWAYS_DENIED = (
    ".env",
    ".env.*",
    ".envrc",
    ".netrc",
    ".npmrc",
    ".git-credentials",
    ".aws",
    ".ssh",
    ".gnupg",
    ".kube",
    ".docker",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    ".vault_pass*",
    "*.tfstate",
)
DIRECTORIES = frozenset({".git", ".svn", ".hg", ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker"})
# The others are excluded by their full paths, if a source has them: `credentials` is also a usual name for the directory of a Go package.
FILES = (
    *(name for name in ALWAYS_DENIED if name not in DIRECTORIES),
    "*.ovpn",
    "*.secret",
    "*.private_key",
    ".pypirc",
    ".htpasswd",
    "credentials",
    "credentials.json",
    "credential.json",
    "password.txt",
)


def is_named_so(name: str, *, directory: bool = False) -> bool:
    """Say whether a file or a directory has a usual name of credentials, in upper or lower case."""
    name = name.lower()
    return name in DIRECTORIES or (not directory and any(fnmatchcase(name, pattern) for pattern in FILES))
