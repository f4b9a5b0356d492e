"""A bundle's signature: of the key that is asked for, of these checksums, and for bundles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle import signature
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle.archive import BundleError

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen signs")
SUMS = b"0" * 64 + b"  bundle.json\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return made(tmp_path / "key")


def made(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "someone with blanks", "-f", str(path)], check=True)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()


def test_the_key_vouches_for_what_it_signed(key: Path, tmp_path: Path) -> None:
    signed = signature.sign(SUMS, str(key))
    assert signature.verify(SUMS, signed, public(key))
    other = made(tmp_path / "other")
    # One of several.
    assert signature.verify(SUMS, signed, f"# ours\n{public(other)}\n{public(key)}")


def test_without_a_key_nobody_vouches(key: Path) -> None:
    assert signature.verify(SUMS, None, "") is False
    assert signature.verify(SUMS, signature.sign(SUMS, str(key)), "") is False


@pytest.mark.parametrize("text", ["# release key\n", "\n", "  ", "\t\n# a\n\n# b"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_text_without_a_key_is_refused_and_not_taken_for_none(key: Path, text: str, signed: bool) -> None:
    with pytest.raises(BundleError, match="bundle_public_key holds no key"):
        signature.verify(SUMS, signature.sign(SUMS, str(key)) if signed else None, text)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/keys/our release.pub",
        "~/.ssh/release.pub",
        "keys/release",
        "release.pub",
        "../release",
        "/srv/" + "keys" * 12 + "/release.pub",
    ],
)
def test_a_path_in_place_of_a_key_is_told_as_one(key: Path, path: str) -> None:
    with pytest.raises(BundleError, match=f"bundle_public_key is the path {path}, but the key itself is wanted") as error:
        signature.verify(SUMS, signature.sign(SUMS, str(key)), path)
    assert f"lookup('ansible.builtin.file', '{path}')" in error.value.remedy


AGE = "AGE-SECRET-KEY-1QQPQZRFR7ZZ4ZVK0L8XJ9RDY6F5D2P5H8ZG0N6H3W7C4M9S2K1TQSXL8AE"
PUTTY = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPrivate-Lines: 1\n/AAAIBs3cretS3cret/s3cretS3cretS3cretS3cret=\n"
MINISIGN = "untrusted comment: minisign encrypted secret key\nRWRTY0Iy/s3cretS3cretS3cretS3cretS3cretS3cretS3cretS3cret=\n"
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgEZs3cretS3cret/s3cretS3cretS3cretS3cretS3cretS3cretS3cretS3cre\n=s3cr\n"


def pieces(text: str) -> list[str]:
    """Return what must not be shown of a key: each word of it that is long enough to be told from others."""
    return [word for word in text.replace(" ", "\n").split() if len(word) > 11 and word not in ("untrusted", "ssh-ed25519")]


@pytest.fixture
def rsa(tmp_path: Path) -> Path:
    """Return a private key in which lines begin with a slash, and hold some: those were taken for paths."""
    path = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", str(path)], check=True)
    assert "/" in path.read_text()
    return path


@pytest.mark.parametrize("signed", [True, False])
def test_nothing_of_a_private_key_is_shown(key: Path, rsa: Path, signed: bool) -> None:
    whole = rsa.read_text()
    texts = [
        whole,
        key.read_text(),
        whole.replace("\n", " "),
        f"{public(key)}{whole}",
        f"{public(key).strip()} {whole}",
        "# ours\n" + whole,
        AGE,
        PUTTY,
        MINISIGN,
        PGP,
    ]
    for text in texts:
        with pytest.raises(BundleError, match=r"bundle_public_key holds a private key \(it is not shown\)") as error:
            signature.verify(SUMS, signature.sign(SUMS, str(key)) if signed else None, text)
        shown = str(error.value) + error.value.remedy
        assert [piece for piece in pieces(text) if piece in shown] == []
        assert "ssh-keygen -y" in error.value.remedy
        with pytest.raises(BundleError, match="bundle_key holds a key itself") as error:
            signature.sign(SUMS, text)
        shown = str(error.value) + error.value.remedy
        assert [piece for piece in pieces(text) if piece in shown] == []


def test_nothing_is_shown_of_a_piece_of_a_key(key: Path, rsa: Path) -> None:
    """The first and the last line are often left out where a text is copied."""
    lines = rsa.read_text().splitlines()[1:-1]
    for text in (
        "\n".join(lines),
        "\n".join(["/" + lines[0], lines[1]]),
        "/" + lines[0],
        lines[-1] + "\n/" + lines[-1],
        " ".join(["/" + lines[0], *lines]),
    ):
        with pytest.raises(BundleError) as error:
            signature.verify(SUMS, signature.sign(SUMS, str(key)), text)
        assert [line for line in lines if line in str(error.value) + error.value.remedy] == []


def test_a_public_key_whose_comment_speaks_of_a_private_key_is_one(key: Path) -> None:
    text = f"{public(key).strip()} of my private key\n"
    assert signature.verify(SUMS, signature.sign(SUMS, str(key)), text)


def test_the_path_of_a_private_key_is_told_with_that_of_its_public_one(key: Path) -> None:
    with pytest.raises(BundleError, match=f"is the path {key} of a private key, but the public key itself is wanted") as error:
        signature.verify(SUMS, signature.sign(SUMS, str(key)), str(key))
    assert f"lookup('ansible.builtin.file', '{key}.pub')" in error.value.remedy


def test_another_key_other_checksums_and_another_purpose_are_refused(key: Path, tmp_path: Path) -> None:
    signed, other = signature.sign(SUMS, str(key)), made(tmp_path / "other")
    for sums, found, asked in (
        (SUMS, signed, public(other)),
        (SUMS.replace(b"0", b"1"), signed, public(key)),
        (SUMS, b"no signature", public(key)),
    ):
        with pytest.raises(BundleError, match="was not made with bundle_public_key"):
            signature.verify(sums, found, asked)
    mail = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "email"], input=SUMS, capture_output=True, check=True
    ).stdout
    with pytest.raises(BundleError, match="was not made with bundle_public_key"):
        signature.verify(SUMS, mail, public(key))


@pytest.mark.parametrize("line", ["no key", "ssh-ed25519 AAAA", 'valid-before="20200101" {key}'])
def test_a_line_that_is_no_key_is_said_to_be_at_fault_and_not_the_bundle(key: Path, line: str) -> None:
    with pytest.raises(BundleError, match="bundle_public_key holds a line that is no public key") as error:
        signature.verify(SUMS, signature.sign(SUMS, str(key)), line.format(key=public(key)))
    assert "Do not use the bundle" not in error.value.remedy


def test_a_bundle_without_a_signature_is_refused_where_one_is_asked_for(key: Path) -> None:
    with pytest.raises(BundleError, match="has no signature") as error:
        signature.verify(SUMS, None, public(key))
    assert "bundle_key" in error.value.remedy


def test_a_key_that_cannot_sign_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot be signed with .*none") as error:
        signature.sign(SUMS, str(tmp_path / "none"))
    assert "bundle_key" in error.value.remedy
