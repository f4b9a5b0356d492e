"""The callback `progress`: what a person reads of a run, on a terminal and in a log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.callback import progress
from plays import PROJECT, environment, on_terminal

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
SLOW = f"{sys.executable} -c 'import time; time.sleep(1.2)'"


def arrange(directory: Path, tasks: list[dict[str, Any]], hosts: int = 1, **play: Any) -> tuple[list[str], dict[str, str]]:
    """Return the command of a play with this callback, and its environment."""
    (directory / "ansible.cfg").touch()
    names = ["web1", "web2", "web3"][:hosts]
    (directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(names, HERE)}}))
    (directory / "play.yml").write_text(yaml.safe_dump([{"name": "A play", "hosts": "all", "gather_facts": False, "tasks": tasks, **play}]))
    env = environment(
        ANSIBLE_STDOUT_CALLBACK="proven.go_service.progress",
        ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections",
        ANSIBLE_HOME=directory / "home",
        ANSIBLE_CONFIG=directory / "ansible.cfg",
    )
    return [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        str(directory / "inventory.yml"),
        str(directory / "play.yml"),
    ], env


def run(directory: Path, tasks: list[dict[str, Any]], *arguments: str, hosts: int = 1, **play: Any) -> tuple[int, str]:
    """Run a play and return its exit code and all that it printed, without what differs from run to run."""
    command, env = arrange(directory, tasks, hosts, **play)
    done = subprocess.run([*command, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, re.sub(r" +\d+\.\d s", " T", done.stdout)


def fail(message: str, **more: Any) -> dict[str, Any]:
    return {"name": "Fail", "ansible.builtin.fail": {"msg": message}, **more}


def say(message: Any, **more: Any) -> dict[str, Any]:
    return {"name": "Say", "ansible.builtin.debug": {"msg": message}, **more}


def command(line: str, **more: Any) -> dict[str, Any]:
    return {"name": "Command", "ansible.builtin.command": line, **more}


def test_each_file_of_tasks_of_the_roles_has_its_step_and_each_step_has_a_file() -> None:
    met = set()
    for role, steps in progress.STEPS.items():
        for file in (PROJECT / "roles" / role / "tasks").rglob("*.yml"):
            met.add((role, progress.step_of(f"{progress.COLLECTION}.{role}", str(file), "the name")))
        met.add((role, steps[""]))
    assert met == {(role, sentence) for role, steps in progress.STEPS.items() for sentence in steps.values()}
    assert set(progress.STEPS) == {path.name for path in (PROJECT / "roles").iterdir()}


@pytest.mark.parametrize("role", ["", "other", "other.collection.go_service", "proven.go_service.more"])
def test_a_task_of_anybody_else_is_a_step_of_its_own(role: str) -> None:
    assert progress.step_of(role, "/x/roles/go_service/tasks/stages/build.yml:3", "Do it") == "Do it"


def test_a_step_is_one_line_with_its_time_and_what_it_changed(tmp_path: Path) -> None:
    code, printed = run(tmp_path, [command("true"), {"name": "Look", "ansible.builtin.ping": {}}])
    assert code == 0
    lines = printed.splitlines()
    assert lines[:3] == ["A play, web1", "Command T  changed", "Look T"]
    assert lines[-1].startswith("web1  changed: 2 tasks, 1 changed,")


def test_of_several_hosts_it_says_which_changed_and_which_failed(tmp_path: Path) -> None:
    code, printed = run(
        tmp_path,
        [command("true", when="inventory_hostname == 'web2'"), fail("no\nmore", when="inventory_hostname == 'web3'"), say(["a", "b"])],
        hosts=3,
    )
    assert code == 2
    assert "A play, 3 hosts\n" in printed
    assert "Command T  changed on web2\n" in printed
    assert "Fail T  failed on web3\n\n[web3]\nno\nmore\n" in printed
    assert "\n[web1]\na\nb\n" in printed
    assert "web1  unchanged: " in printed
    assert "web3  failed: " in printed


@pytest.mark.parametrize(
    ("tasks", "told", "not_told"),
    [
        ([fail("the cause")], ["the cause"], []),
        ([{"block": [fail("held")], "rescue": [fail("the cause")]}], ["the cause"], ["held"]),
        ([{"block": [{"block": [fail("held")]}], "rescue": [fail("the cause")]}], ["the cause"], ["held"]),
        ([{"block": [fail("the cause")], "always": [say("in the end")]}], ["the cause", "in the end"], []),
        ([{"block": [fail("held")], "rescue": [{"block": [fail("the cause")], "always": [say("then")]}]}], ["the cause"], ["held"]),
        ([command("sh -c 'echo the cause >&2; exit 3'")], ["the cause"], []),
        ([command("sh -c 'echo the cause; exit 3'")], ["the cause"], []),
        ([command("false", loop=["first", "the cause"])], ["the cause"], []),
        ([command("sh -c 'echo held; exit 3'", no_log=True), say("x")], ["no_log: true"], ["held"]),
    ],
)
def test_a_failure_is_told_once_whatever_shape_it_has(tmp_path: Path, tasks: list[Any], told: list[str], not_told: list[str]) -> None:
    code, printed = run(tmp_path, tasks)
    assert code == 2
    for text in told:
        assert sum(text in line for line in printed.splitlines()) == 1, printed
    for text in [*not_told, "Traceback", "[ERROR]", "fatal:"]:
        assert text not in printed


@pytest.mark.parametrize(
    "tasks",
    [[{"block": [fail("held")], "rescue": [say("well")]}], [fail("held", ignore_errors=True), say("well")]],
    ids=["rescued", "ignored"],
)
def test_a_failure_that_is_handled_is_not_told(tmp_path: Path, tasks: list[Any]) -> None:
    code, printed = run(tmp_path, tasks)
    assert (code, "held" in printed, "well" in printed) == (0, False, True)


def test_a_failed_service_of_several_is_told_though_the_next_one_goes_on(tmp_path: Path) -> None:
    """Its file stands where the role has it."""
    place = tmp_path / "roles/go_service/tasks/services"
    place.mkdir(parents=True)
    block = [{"block": [fail("the cause {{ number }}")]}]
    (place / "one.yml").write_text(yaml.safe_dump([{"block": block, "rescue": [say("the next")]}]))
    each = {"name": "Each", "ansible.builtin.include_tasks": str(place / "one.yml"), "loop": [1, 2], "loop_control": {"loop_var": "number"}}
    _code, printed = run(tmp_path, [each, {"block": [fail("held")], "rescue": [say("well")]}])
    assert [printed.count(text) for text in ("the cause 1", "the cause 2", "the next", "held")] == [1, 1, 2, 0]


def test_of_imported_tasks_a_handled_failure_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "part.yml").write_text(yaml.safe_dump([fail("held")]))
    for include in ("import_tasks", "include_tasks"):
        part = {"name": "Part", f"ansible.builtin.{include}": "part.yml"}
        code, printed = run(tmp_path, [{"block": [part], "rescue": [say("well")]}])
        assert (code, "held" in printed, "well" in printed) == (0, False, True)


def test_a_host_that_cannot_be_reached_is_told_with_why(tmp_path: Path) -> None:
    (code, printed) = run(
        tmp_path, [{"name": "Look", "ansible.builtin.ping": {}, "vars": {"ansible_connection": "ssh", "ansible_port": 1}}]
    )
    assert code == 4
    assert "web1 cannot be reached:" in printed
    assert "web1  unreachable: " in printed


def test_a_warning_and_a_diff_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "file"
    copy = {"name": "Write", "ansible.builtin.copy": {"content": "new words\n", "dest": str(file), "mode": "0644"}}
    loop = {**copy, "ansible.builtin.copy": {**copy["ansible.builtin.copy"], "dest": f"{file}{{{{ item }}}}"}, "loop": ["a", "b"]}
    warns = {"name": "Warn", "ansible.builtin.debug": {"msg": "{{ lookup('ansible.builtin.file', 'none', errors='warn') }}"}}
    _code, printed = run(tmp_path, [copy, loop, warns], "--diff", "--check")
    assert printed.count("+new words") == 3
    assert "[WARNING]" in printed
    assert "(a check: nothing is changed)" in printed


def test_debug_shows_a_variable_as_it_shows_a_message(tmp_path: Path) -> None:
    def show(name: str, **more: Any) -> dict[str, Any]:
        return {"name": "Show", "ansible.builtin.debug": {"var": name}, **more}

    hidden = show("secret", vars={"secret": "hidden-value"}, no_log=True)
    one = show("one", vars={"one": "1st"})
    each = show("item", loop=["2nd", {"a": "3rd"}])
    other = show("other", vars={"other": "{{ item }}4"}, loop=["th"])
    _code, printed = run(tmp_path, [one, each, other, hidden])
    assert 'one: "1st"\n' in printed
    assert printed.index('item: "2nd"') < printed.index('"a": "3rd"') < printed.index('other: "th4"')
    assert "hidden" not in printed


def test_foreign_text_cannot_command_the_terminal_wherever_it_comes_from(tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;title\x07\u202e\x9b2J"
    file = {"name": "Write", "ansible.builtin.copy": {"content": f"{evil}\n", "dest": str(tmp_path / "file"), "mode": "0644"}}
    show = {"name": "Show", "ansible.builtin.debug": {"var": "item"}, "loop": [evil]}
    prints = f"{sys.executable} -c 'import sys; print(sys.argv[1]); sys.exit(3)' '{evil}'"
    tasks = [
        {"name": f"Look {evil}", "ansible.builtin.ping": {}},
        say(evil),
        say([evil, evil]),
        show,
        file,
        command(prints, ignore_errors=True),
        {"block": [command(prints)], "always": [fail(evil)]},
    ]
    _code, printed = run(tmp_path, tasks, "--diff")
    assert not [character for character in "\x1b\x07\u202e\x9b" if character in printed]
    for before in ("Look ", "\n", "+", "| "):
        assert before + r"\x1b[2J\x1b]0;title\x07\u202e\x9b2J" in printed, before
    assert r'item: "\u001b[2J\u001b]0;title\u0007\u202e\x9b2J"' in printed


def test_verbose_it_is_the_output_of_ansible_itself(tmp_path: Path) -> None:
    _code, printed = run(tmp_path, [command("true"), say("x"), fail("no")], "-v")
    assert "TASK [Command] ***" in printed
    assert "PLAY RECAP ***" in printed
    assert "fatal: [web1]: FAILED!" in printed


def test_no_host_is_said(tmp_path: Path) -> None:
    code, printed = run(tmp_path, [say("x")], hosts=0)
    assert code == 0
    assert "No host of the inventory is meant by this play." in printed


def terminal(directory: Path, tasks: list[dict[str, Any]], width: int, interrupt: str = "", **more: str) -> tuple[str, list[str]]:
    """Run a play on a terminal; return all that was written to it, and the lines that stand on it in the end. more: of the environment."""
    line, env = arrange(directory, tasks)
    return on_terminal(line, {**env, **more}, width, interrupt)


@pytest.mark.parametrize("width", [100, 40])
def test_on_a_terminal_the_step_at_work_is_alive_and_leaves_no_trace(tmp_path: Path, width: int) -> None:
    text, lines = terminal(tmp_path, [command(SLOW), say("well " * 20)], width)
    assert re.search(r"\r\033\[KCommand … \d s\r", text)
    assert not any("…" in line for line in lines), lines
    assert all(len(line) <= max(width, 72) for line in lines if line.startswith("well"))
    ended = next(line for line in lines if line.startswith("Command  "))
    assert re.search(r"\d\.\d s  changed$", ended)
    assert len(ended.removesuffix("  changed")) <= width


@pytest.mark.parametrize(
    "title", ["Make sure that the base images are there, and more", "基" * 30, "e\u0301" * 60, "Two\nlines\tand more" * 3]
)
def test_on_a_narrow_terminal_the_sign_of_life_is_one_line_and_has_the_time(tmp_path: Path, title: str) -> None:
    text, lines = terminal(tmp_path, [command(SLOW, name=title)], 40)
    alive = [part for part in re.findall(r"\r\033\[K([^\r]*)\r", text) if "…" in part]
    assert alive
    for shown in alive:
        assert re.search(r" … \d s$", shown)
        assert "\n" not in shown and "\t" not in shown
        assert sum(2 if character == "基" else character != "\u0301" for character in shown) < 40
    assert not any("…" in line for line in lines), lines


@pytest.mark.parametrize(
    "text, columns, shown",
    [
        ("abc", 3, "abc"),
        ("abc", 2, "ab"),
        ("abc", 0, ""),
        ("abc", -5, ""),
        ("", 5, ""),
        ("a基b", 2, "a"),
        ("a基b", 3, "a基"),
        ("e\u0301x", 1, "e\u0301"),
    ],
)
def test_what_is_narrowed_takes_no_more_columns(text: str, columns: int, shown: str) -> None:
    assert progress.narrowed(text, columns) == shown


def test_what_is_printed_while_a_step_is_alive_stands_alone_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tell.py").write_text(
        "import time\nfrom ansible.plugins.action import ActionBase\n\nclass ActionModule(ActionBase):\n"
        "    def run(self, *_args, **_kwargs):\n        time.sleep(1.2)\n        self._display.display('told')\n        return {}\n"
    )
    _text, lines = terminal(tmp_path, [{"name": "A title that is longer", "tell": {}}], 80)
    assert "told" in lines, lines


def test_a_run_that_is_interrupted_leaves_no_trace_of_its_step(tmp_path: Path) -> None:
    title = "A title that is longer than what is said of an end by Ctrl-C"
    text, lines = terminal(tmp_path, [command(SLOW.replace("1.2", "9"), name=title)], 80, interrupt="…")
    assert f"{title} …" in text
    assert [line for line in lines if "interrupted" in line] == ["[ERROR]: User interrupted execution"]
    assert not any("…" in line for line in lines), lines


def test_where_nobody_reads_any_more_no_error_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setattr(progress, "LOG", 0.05)
    read, write = os.pipe()
    os.close(read)
    alive = progress.Alive(os.fdopen(write, "w"))
    alive.begin("Build the image", time.monotonic() - 60)
    time.sleep(0.3)
    alive.stop()
    assert raised == []


def test_a_terminal_whose_output_is_kept_gets_whole_lines_and_no_commands(tmp_path: Path) -> None:
    """ansible-runner (AWX, ansible-navigator) runs a play on a terminal of its own, and keeps what comes as the lines of a log."""
    text, lines = terminal(tmp_path, [command(SLOW), say("well " * 40)], 40, AWX_ISOLATED_DATA_DIR=str(tmp_path))
    assert "\033[K" not in text
    assert "…" not in text
    assert ("well " * 40).strip() in [line.strip() for line in lines]


def test_in_a_log_a_long_step_is_told_while_it_lasts(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG", 0.1)
    alive = progress.Alive(os.fdopen(os.dup(1), "w"))
    alive.begin("Build the image", time.monotonic() - 59.8)
    time.sleep(0.5)
    alive.stop()
    said = capfd.readouterr().out
    assert re.match(r"(Build the image … 60 s\n)+$", said), said
    time.sleep(0.3)
    assert capfd.readouterr().out == ""


def test_what_no_host_had_to_do_is_no_step(tmp_path: Path) -> None:
    """One of several hosts is enough to make it one."""
    never, one = {"name": "Never", "when": False}, {"name": "One", "when": "inventory_hostname == 'web2'"}
    tasks = [
        command("true", **never),
        command("true", **one),
        {"name": "Include never", "ansible.builtin.include_tasks": "none.yml", "when": False},
    ]
    code, told = run(tmp_path, tasks, hosts=2)
    assert code == 0 and "\nOne " in told and "Never" not in told and "Include never" not in told
