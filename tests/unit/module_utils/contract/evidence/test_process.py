"""The kernel's record of a process, and its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import model
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import process as processes


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        ({"memory_stats": {"usage": 10, "stats": {"total_inactive_file": 4, "inactive_file": 1}}}, 6),
        ({"memory_stats": {"usage": 10, "stats": {"inactive_file": 3}}}, 7),
        ({"memory_stats": {"usage": 10, "stats": {"inactive_file": 30}}}, 10),
        ({"memory_stats": {"usage": 10}}, 10),
        ({"memory_stats": {}}, None),
        ({}, None),
    ],
)
def test_memory(stats, expected):
    """As `docker stats` counts on both versions of cgroups."""
    assert processes.memory_in_use(stats) == expected


STATUS = (
    "Name:\tcat-server\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t1000 2000\nVmRSS:\t  "
    "6248 kB\n"
    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n"
)


def test_process(tmp_path: Path):
    """The kernel's record is read where it is the container's, and only there."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(STATUS)
    (tmp_path / "7/cgroup").write_text("0::/system.slice/docker-abc123.scope\n")
    process = processes.read_process(7, "abc123", str(tmp_path))
    assert process == model.ProcessFacts(1000, 1000, (1000, 2000), 0, 0x400, True, 2, 6248 * 1024)
    (tmp_path / "7/attr").mkdir()
    (tmp_path / "7/attr/current").write_text("docker-default (enforce)\n")
    assert processes.read_process(7, "abc123", str(tmp_path)).confinement == "docker-default (enforce)"
    assert processes.read_process(7, "another", str(tmp_path)) is None
    assert processes.read_process(8, "abc123", str(tmp_path)) is None


@pytest.mark.parametrize("line", ["Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Groups"])
def test_incomplete_process(line):
    """A kernel that says less is no record at all, rather than one with zeros."""
    text = "\n".join(row for row in STATUS.splitlines() if not row.startswith(line))
    assert processes.parse_process_status(text) is None


def test_numbers_of_another_namespace(tmp_path: Path) -> None:
    """An Engine that gives its containers users of their own: the container's numbers count, as its image has them."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(STATUS.replace("1000", "101000").replace("2000", "102000"))
    (tmp_path / "7/cgroup").write_text("0::/abc123\n")
    (tmp_path / "7/uid_map").write_text("         0     100000      65536\n")
    (tmp_path / "7/gid_map").write_text("         0     100000       1500\n      1500     101500       1000\n")
    process = processes.read_process(7, "abc123", str(tmp_path))
    assert (process.uid, process.gid, process.groups) == (1000, 1000, (1000, 2000))


@pytest.mark.parametrize(
    ("number", "text", "inside"),
    [
        (1000, "0 0 4294967295", 1000),
        (231072, "0 231072 65536", 0),
        (296608, "0 231072 65536", 296608),
        (1000, "0 1000 1\n1 100000 65536", 0),
        (1000, "", 1000),
        (1000, "nonsense", 1000),
    ],
)
def test_a_number_in_a_namespace(number: int, text: str, inside: int) -> None:
    assert processes.in_namespace(number, text) == inside
