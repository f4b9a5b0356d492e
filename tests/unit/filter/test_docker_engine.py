"""What a distribution is taken for, by what it says of itself."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.filter.docker_engine import docker_engine_platform, os_release
from plays import PROJECT

# The entries of real /etc/os-release files that say what a system is.
RELEASES = {
    "Debian 11": ('ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye', ""),
    "Debian 12": ('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm', "Debian-12"),
    "Debian 13": ('ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie', "Debian"),
    "Debian testing": ("ID=debian\nVERSION_CODENAME=forky", "Debian"),
    "Debian without a codename": ('ID=debian\nPRETTY_NAME="Debian GNU/Linux"', "Debian"),
    "Debian 10 without a codename": ('ID=debian\nVERSION_ID="10"', ""),
    "Raspbian 11": ("ID=raspbian\nID_LIKE=debian\nVERSION_ID=11\nVERSION_CODENAME=bullseye", ""),
    "Raspbian 12": ("ID=raspbian\nID_LIKE=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm", "Debian-12"),
    "LMDE 6": ("ID=linuxmint\nID_LIKE=debian\nVERSION_ID=6\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm", "Debian-12"),
    "LMDE 7": ("ID=linuxmint\nID_LIKE=debian\nVERSION_ID=7\nVERSION_CODENAME=gigi\nDEBIAN_CODENAME=trixie", "Debian"),
    "Linux Mint 22": ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID=22\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble', "Ubuntu"),
    "Linux Mint 20": ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID=20\nVERSION_CODENAME=ulyana\nUBUNTU_CODENAME=focal', ""),
    "Pop!_OS 22.04": ('ID=pop\nID_LIKE="ubuntu debian"\nVERSION_ID=22.04\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=jammy', "Ubuntu"),
    "Ubuntu 20.04": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\nVERSION_CODENAME=focal\nUBUNTU_CODENAME=focal', ""),
    "Ubuntu 24.04": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble', "Ubuntu"),
    "an Ubuntu to come": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="30.04"\nVERSION_CODENAME=zesty', "Ubuntu"),
    "Kali": ('ID=kali\nID_LIKE=debian\nVERSION_ID="2025.2"\nVERSION_CODENAME=kali-rolling', "Debian"),
    "Devuan 5": ("ID=devuan\nID_LIKE=debian\nVERSION_ID=5\nVERSION_CODENAME=daedalus", "Debian-12"),
    "a Debian that nobody knows": ("ID=own\nID_LIKE=debian\nVERSION_ID=1\nVERSION_CODENAME=own", ""),
    "Fedora": ("ID=fedora\nVERSION_ID=42", "Fedora"),
    "Rocky": ('ID=rocky\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"', ""),
    "Manjaro": ("ID=manjaro\nID_LIKE=arch", "Archlinux"),
    "openSUSE Leap": ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"', "Suse"),
    "Alpine": ("ID=alpine\nVERSION_ID=3.22.0", "Alpine"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "file"), RELEASES.values(), ids=RELEASES)
def test_platform(text: str, file: str) -> None:
    """A derivative is what it is made of; what is too old or not known is told, and never taken for the newest."""
    assert docker_engine_platform(text)["file"] == file


@pytest.mark.parametrize(
    ("name", "family", "suite"),
    [
        ("Debian 12", "debian", "bookworm"),
        ("LMDE 7", "debian", "trixie"),
        ("Devuan 5", "debian", "bookworm"),
        ("Linux Mint 22", "ubuntu", "noble"),
        ("Pop!_OS 22.04", "ubuntu", "jammy"),
        ("Debian testing", "debian", ""),
        ("an Ubuntu to come", "ubuntu", ""),
        ("Kali", "", ""),
        ("Fedora", "", ""),
        ("nothing", "", ""),
    ],
)
def test_which_packages_of_docker_s_own_repository_are_for_it(name: str, family: str, suite: str) -> None:
    """A suite that is not known is none, and never the one of another release."""
    found = docker_engine_platform(RELEASES[name][0])
    assert (found["family"], found["suite"]) == (family, suite)


def test_each_file_is_there_and_used() -> None:
    files = {path.stem for path in (PROJECT / "roles/docker_engine/vars").glob("*.yml")} - {"main"}
    assert {file for _text, file in RELEASES.values()} - {""} == files


def test_an_unsupported_one_is_told_by_its_name_and_why() -> None:
    found = docker_engine_platform('PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye')
    assert (found["name"], "python3-docker" in found["reason"]) == ("Debian GNU/Linux 11 (bullseye)", True)


def test_os_release() -> None:
    assert os_release("A='b c'\n# D=e\nF=\"g\\\"h\"\nnonsense\nI='") == {"A": "b c", "F": 'g"h', "I": "'"}
