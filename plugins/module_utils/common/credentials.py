"""What files with credentials are usually called: one list, for what no build sees and for what no image may hold.

Names are exact or end in a wildcard that no Go file matches: `id_*` would also be `id_generator.go`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

# In every .dockerignore file, in this order. A change of it is a new digest of every image, and one build more of every service.
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
# The others are denied by their paths, where a source has them: `credentials` is also a usual name for a Go package's directory.
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
    """Say whether a file or a directory is called as credentials are, in whatever case."""
    name = name.lower()
    return name in DIRECTORIES or (not directory and any(fnmatchcase(name, pattern) for pattern in FILES))
