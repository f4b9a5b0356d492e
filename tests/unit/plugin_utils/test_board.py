"""The line that a worker shows a person while it works."""

from __future__ import annotations

import multiprocessing

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.board import Board


def test_what_a_forked_worker_writes_is_read_in_the_process_that_it_came_from() -> None:
    board = Board()
    assert board.read() == ("", "")
    worker = multiprocessing.get_context("fork").Process(target=board.write, args=("web1", "go build ."))
    worker.start()
    worker.join()
    assert board.read() == ("web1", "go build .")
    board.write("web1", "")
    assert board.read() == ("", "")


def test_a_host_on_which_nothing_happens_leaves_what_another_one_shows() -> None:
    board = Board()
    board.write("web1", "go build .")
    board.write("web2", "")
    assert board.read() == ("web1", "go build .")
    board.write("web1", "")
    assert board.read() == ("", "")


@pytest.mark.parametrize("text", ["x" * 5000, "ä" * 5000, "x" + "ä" * 5000])
def test_a_text_of_any_length_is_cut_and_a_shorter_one_after_it_is_whole(text: str) -> None:
    board = Board()
    board.write("web1", text)
    host, read = board.read()
    assert host == "web1" and text.startswith(read) and len(read.encode()) > 1000
    board.write("web2", "short")
    assert board.read() == ("web2", "short")
