"""The report is written without a change, compared, and listed in an index."""

from __future__ import annotations

import json
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import samples
from ansible_collections.proven.go_service.plugins.action import report as action
from ansible_collections.proven.go_service.plugins.module_utils.record import sbom
from reports import RAW, Page, problems, statement


def run(tmp_path: Path, check_mode: bool = False, **args):
    """Run the action plugin as Ansible does, without a connection."""
    task = MagicMock(check_mode=check_mode, async_val=0)
    task.args = {"report": RAW["good"], "dir": str(tmp_path), "host": "vm1", "service": "cat-server", "still_runs": "The old one.", **args}
    plugin = action.ActionModule(
        task=task,
        connection=MagicMock(),
        play_context=MagicMock(check_mode=check_mode),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    return plugin.run(None, {})


def files(folder: Path):
    """All files below a directory."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


BILL, STATEMENT = sbom.cyclonedx(samples.good_evidence(), service="cat-server"), statement()


def test_action_writes(tmp_path):
    """Data, page and bill of materials, readable for all; no change, and no index for one report."""
    result = run(tmp_path, sbom=BILL, provenance=STATEMENT)
    assert files(tmp_path) == [
        "vm1/cat-server.html",
        "vm1/cat-server.json",
        "vm1/cat-server.junit.xml",
        "vm1/cat-server.provenance.json",
        "vm1/cat-server.sbom.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "vm1").iterdir()} == {0o600}
    assert (result["changed"], result.get("failed", False), result["verdict"]) == (False, False, "pass")
    assert result["path"] == result["paths"]["html"] == str(tmp_path / "vm1/cat-server.html")
    assert problems(json.loads((tmp_path / "vm1/cat-server.json").read_text())) == []
    assert json.loads((tmp_path / "vm1/cat-server.sbom.json").read_text()) == BILL
    assert json.loads((tmp_path / "vm1/cat-server.provenance.json").read_text()) == STATEMENT
    assert {"cat-server.sbom.json", "cat-server.provenance.json"} <= set(Page((tmp_path / "vm1/cat-server.html").read_text()).outside)
    assert "index" not in result["paths"]


def test_action_is_quick(tmp_path):
    """Without a linter to start, well below what a person notices."""
    run(tmp_path)
    began = time.process_time()  # not the clock's time, which depends on what else the machine does
    run(tmp_path, sbom=BILL)
    assert time.process_time() - began < 0.2


def test_action_in_check_mode(tmp_path):
    """Nothing is written, and the answer is the same."""
    result = run(tmp_path, check_mode=True, sbom=BILL)
    assert files(tmp_path) == []
    assert (result["changed"], result["verdict"]) == (False, "pass")


def test_action_compares(tmp_path):
    """The report before is what the next one is compared with."""
    run(tmp_path, report=RAW["build failed"])
    run(tmp_path)
    document = json.loads((tmp_path / "vm1/cat-server.json").read_text())
    assert document["changes"]["items"] == [{"what": "verdict", "before": "fail", "after": "pass"}]


@pytest.mark.parametrize("kind", ["sbom", "provenance"])
def test_action_and_the_documents_beside(tmp_path, kind):
    """They stay through a run that found nothing to do, and go when they would belong to another image."""
    run(tmp_path, sbom=BILL, provenance=STATEMENT)
    result = run(tmp_path, report={"unchanged": samples.DIGEST})
    assert f"vm1/cat-server.{kind}.json" in files(tmp_path)
    assert result["paths"][kind]
    result = run(tmp_path, report=RAW["build failed"])
    assert f"vm1/cat-server.{kind}.json" not in files(tmp_path)
    assert kind not in result["paths"]


def test_index(tmp_path):
    """With several reports there is a page of all, the worst first, with addresses that lead to them."""
    run(tmp_path, sbom=BILL)
    (tmp_path / "vm1/notes.json").write_text("[]")
    (tmp_path / "vm1/broken.json").write_text("{")
    result = run(tmp_path, host="vm2", report=RAW["build failed"])
    found = Page(Path(result["paths"]["index"]).read_text())
    assert found.outside == ["vm2/cat-server.html", "vm1/cat-server.html"]
    assert all((tmp_path / address).is_file() for address in found.outside)
    assert "1 failed" in " ".join(found.text.split())


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "/abs", ".hidden"])
def test_names_stay_in_the_directory(tmp_path, name):
    """No inventory name leads out of the directory."""
    root = tmp_path / "reports"
    result = run(root, host=name, service=name)
    assert not result.get("failed")
    assert len(files(root)) == len(files(tmp_path)) == 3


def test_directory_that_cannot_be_made(tmp_path):
    """A file in the way is said."""
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file")
    assert result["failed"]
    assert "the report cannot be written" in result["msg"] and "What still runs: The old one." in result["msg"]
