"""What is special to the scenario `alternative`: secrets beside the source, and a user who is not root."""

from __future__ import annotations

import pytest

# Counts the files of the Engine that hold a text: layers of images and of every stage that the builder keeps, and what is recorded of them.
SEARCH = "grep -rlaF %s /var/lib/docker | wc -l"


def test_the_search_finds_what_is_there(machine) -> None:
    """A file of the source that is no secret is found in the builder stage: so a secret would be found too."""
    assert int(machine.run(SEARCH, "PLANTED-IN-PLAIN-SIGHT")) > 0


def test_no_secret_in_any_layer(machine) -> None:
    """None of the secrets beside the source is in a layer of any stage."""
    assert machine.run(SEARCH, "PLANTED-SECRET-IN") == "0"


def test_no_secret_on_the_target(machine, expected) -> None:
    """They have not even been copied to the target."""
    assert machine.run("grep -rlF PLANTED-SECRET-IN %s || true", expected["work_dir"]) == ""


@pytest.mark.parametrize("name", ["zones", "clock"])
def test_one_binary_is_in_the_image(machine, expected, name: str) -> None:
    """The other main package of the module is not in the image, and the binary has the service's name rather than its package's."""
    status, _said = machine.exec(expected["name"], "test", "-e", f"/usr/local/bin/{name}")
    assert status == 1


def test_the_note_cannot_be_written(machine, expected) -> None:
    """The volume is mounted read-only."""
    status, said = machine.exec(expected["name"], "touch", "/notes/today.txt", user="0")
    assert status != 0
    assert "Read-only file system" in said


def test_nothing_is_left_in_the_home_of_root(host) -> None:
    """The play was the user's own: root's directory has nothing of it."""
    assert not host.file("/root/.local/state/go_service").exists
