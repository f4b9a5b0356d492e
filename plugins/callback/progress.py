"""What a run prints: one line for each step of the work, with its time, and each cause of a failure once."""

from __future__ import annotations

DOCUMENTATION = """
name: progress
type: stdout
short_description: One line for each step of a run, each failure once
version_added: 1.0.0
description:
  - Prints one sentence for each step of the roles of this collection, with the time that it took and what it changed. A task of any other role
    or play is a step of its own.
  - On a terminal the current step is shown with the time that passes, and while an image is built with the command of the build that runs.
    Elsewhere a line is printed every 30 seconds for a step that takes longer than that; ansible-runner (AWX, ansible-navigator) counts as
    elsewhere, since it keeps what is printed.
  - Text from elsewhere, such as messages, differences and names, is printed with control characters shown as escapes, so that it cannot control the
    terminal.
  - A failure is printed once. A failure that a C(rescue) handles is not printed, unless the host fails in the end and nothing else says why.
  - With C(-v) and more the output is that of P(ansible.builtin.default#callback).
author:
  - The authors of proven.go_service
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set as C(stdout_callback) in the configuration; for ansible-runner in the environment, as C(ANSIBLE_STDOUT_CALLBACK).
"""

import atexit
import contextlib
import functools
import json
import os
import shutil
import sys
import textwrap
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, TextIO

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.fqcn import add_internal_fqcns

from ..module_utils.common.text import one_line, spelled
from ..plugin_utils.board import BOARD

# The name of a step, by the role and by the first beginning of its task's file that matches. None: it prints no line.
STEPS: dict[str, dict[str, str | None]] = {
    "docker_engine": {"machine": "Look at the machine", "": "Make sure that a Docker Engine runs"},
    "base_images": {"names": None, "": "Make sure that the base images are there"},
    "bundle": {
        "write": "Write the bundle",
        "packages": "Fetch Debian's packages",
        "controller": "Add what a controller needs",
        "": "Verify the checksums of the bundle",
    },
    "pull": {"": "See whether the machine keeps itself up to date"},
    "go_service": {
        "machine": "Look at the machine and its services",
        "stages/begin": "Check the variables",
        "sources/": "Bring the source to the host",
        "stages/see": "See what runs",
        "stages/receive": "Receive the image",
        "stages/prepare": "Look at the service and its source",
        "stages/build": "Build the image",
        "stages/deploy": "Prove the image and put it in the service's place",
        "stages/report": "Write the report",
        "keep": "Save the image of the service",
        "remove": "Remove the service",
        "publish": "Publish the image",
        "": None,
    },
}
COLLECTION = "proven.go_service"
# Seconds between two signs of life: on a terminal, and in a log.
TERMINAL, LOG = 0.25, 30.0
# The columns of a step's title, and of its time.
_TITLE, _TIME = 52, len(" 9999.9 s")
# The most characters of a sign of life in a log.
_LOG_WIDTH = 160
_LAST_LINES = 20
# The actions whose message was written for the reader.
SPEAKING = add_internal_fqcns(("fail", "assert"))
DEBUG = add_internal_fqcns(("debug",))
# The keys in a result of debug that are neither a message nor a variable.
_NOT_SHOWN = frozenset({"changed", "failed", "skipped", "censored", "warnings", "deprecations", "exception"})
_COLOURS = {"failed": C.COLOR_ERROR, "unreachable": C.COLOR_UNREACHABLE, "changed": C.COLOR_CHANGED}


def step_of(role: str, path: str, name: str) -> str | None:
    """Return the step to which a task belongs: a sentence for a role of this collection, else the task's name; None if it has no line.

    role: the role's full name, empty outside of roles; path: of the file of the task; name: of the task.
    """
    collection, _dot, short = role.rpartition(".")
    if collection != COLLECTION or short not in STEPS:
        return name
    file = str(PurePath(path)).partition(f"/roles/{short}/tasks/")[2]
    return next(sentence for start, sentence in STEPS[short].items() if file.startswith(start))


def line_of(title: str, seconds: float, notes: Mapping[str, list[str]], hosts: int, columns: int) -> str:
    """Return the line of a step that has ended; notes: hosts by what happened to them; hosts: how many the play has; columns: of the terminal."""
    told = [kind if hosts < 2 or len(names) == hosts else f"{kind} on {', '.join(names)}" for kind, names in notes.items() if names]
    return f"{title:<{max(min(_TITLE, columns - _TIME), 0)}} {seconds:6.1f} s  {'; '.join(told)}".rstrip()


def why(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that say why a task failed: its message, and the last lines of what its command printed."""
    if "censored" in result:
        return [str(result["censored"])]
    lines = str(result.get("msg") or "it does not say why").splitlines()
    for part in ("module_stdout", "module_stderr", "stdout", "stderr"):
        printed = str(result.get(part) or "").strip().splitlines()
        lines += [f"  | {line}" for line in printed[-_LAST_LINES:]]
    return lines


def told(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of what a task of debug shows: its message, or the value of its variable."""
    if "msg" in result:
        message = result["msg"]
        return [str(line) for line in message] if isinstance(message, list) else str(message).splitlines()
    shown = {name: value for name, value in result.items() if name not in _NOT_SHOWN and not name.startswith(("_", "ansible_"))}
    if len(shown) > 1:
        # The current item of the loop, unless it is the only value.
        shown.pop(str(result.get("ansible_loop_var")), None)
    texts = [f"{name}: {json.dumps(value, indent=2, ensure_ascii=False, default=str)}" for name, value in shown.items()]
    return "\n".join(texts).splitlines()


def failures(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that say why a task failed; for a loop, those of each item that failed."""
    items = [item for item in result.get("results") or [] if isinstance(item, Mapping) and item.get("failed")]
    for item in items:
        yield f"{item.get('_ansible_item_label', item.get('item', ''))}:"
        yield from (f"  {line}" for line in why(item))
    if not items:
        yield from why(result)


def _first_path(part: Any) -> str:
    """Return the file of the first task of a block, or of a task."""
    while getattr(part, "block", None):
        part = part.block[0]
    return str(part.get_path() or "").rpartition(":")[0]


def is_rescued(task: Any) -> bool:
    """Return whether a failure of the task is handled: it is in a block, however deep, that has a rescue."""
    # If one of several services fails, that is a failure, although the next service is still processed.
    # For imported tasks, the block contains further blocks, with the import between them.
    below, parent = {task._uuid}, task._parent
    while parent is not None:
        if getattr(parent, "rescue", None) and any(part._uuid in below for part in parent.block):
            return not _first_path(parent.rescue[0]).endswith("/roles/go_service/tasks/services/one.yml")
        below.add(parent._uuid)
        parent = parent._parent
    return False


def is_terminal(out: TextIO) -> bool:
    """Return whether a person reads the output on a terminal.

    ansible-runner, which AWX and ansible-navigator use, also gives a run a terminal, but stores what is written to it as the lines of a log.
    """
    return out.isatty() and "AWX_ISOLATED_DATA_DIR" not in os.environ


def folded(text: str) -> list[str]:
    """Return the lines of a long sentence: as wide as the terminal, or on one line if there is no terminal."""
    if not is_terminal(sys.stdout):
        return [text]
    return textwrap.wrap(text, max(40, shutil.get_terminal_size().columns - 1), break_on_hyphens=False)


def narrowed(text: str, columns: int) -> str:
    """Return the beginning of a text that takes no more than a number of columns of a terminal."""
    taken = 0
    for number, character in enumerate(text):
        if not unicodedata.combining(character):
            taken += 2 if unicodedata.east_asian_width(character) in ("F", "W") else 1
        if taken > columns:
            return text[:number]
    return text


class Alive:
    """Shows that a step is still at work, from a separate thread: in place on a terminal, with lines in a log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = is_terminal(out) and os.environ.get("TERM") != "dumb"
        self._interval = TERMINAL if self._terminal else LOG
        # Reentrant, since a signal may let the thread that has it print something.
        self._turn = threading.RLock()
        self._title = ""
        self._began = 0.0
        self._ended = threading.Event()
        # How many hosts the play has: of one, its name is not shown.
        self.hosts = 1
        self._thread: threading.Thread | None = None

    def begin(self, title: str, began: float) -> None:
        """Show a step from now on."""
        with self._turn:
            self._title, self._began = one_line(spelled(title)), began
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop showing the step, and leave no trace of it on the terminal."""
        with self.hidden():
            self._title = ""

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Show nothing of the step as long as the block runs, so that what else is printed stands alone on its lines."""
        with self._turn:
            if self._title and self._terminal:
                self._write("\r\033[K")
            yield

    def stop(self) -> None:
        """End the thread."""
        self.end()
        self._ended.set()

    def _tell(self) -> None:
        while not self._ended.wait(self._interval):
            with self._turn:
                seconds = time.monotonic() - self._began
                if not self._title or seconds < self._interval:
                    continue
                if self._terminal:
                    # The cursor goes back to the beginning of the line, so that other output overwrites this text.
                    self._write(f"\r\033[K{self._shown(seconds, shutil.get_terminal_size().columns - 1)}\r")
                else:
                    self._write(f"{self._shown(seconds, _LOG_WIDTH)}\n")

    def _shown(self, seconds: float, columns: int) -> str:
        """Return the sign of life, in which the time has its place however long the rest is."""
        time_taken = f" … {seconds:.0f} s"
        return narrowed(narrowed(self._title, columns - len(time_taken)) + time_taken + self._now(), columns)

    def _now(self) -> str:
        """Return what a build does at this moment, with a separator before it, "" if that is not known."""
        host, text = BOARD.read()
        return ": " + one_line(spelled(f"[{host}] {text}" if self.hosts > 1 else text)) if text else ""

    def _write(self, text: str) -> None:
        # Not through the file object: a worker that Ansible forks at this moment would inherit its lock, which would then be held for ever.
        # If nobody reads it any more, that is nothing that the reader of the errors has to know.
        with contextlib.suppress(OSError):
            os.write(self._out.fileno(), text.encode(self._out.encoding or "utf-8", "replace"))


def unless_verbose(event: Callable[..., None]) -> Callable[..., None]:
    """Let Ansible's own callback handle an event if `-v` asks for its output."""

    @functools.wraps(event)
    def either(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        (getattr(Default, event.__name__) if self._display.verbosity else event)(self, *args, **kwargs)

    return either


def _nothing(name: str) -> Callable[..., None]:
    """Return what prints nothing of an event unless `-v` asks for it."""

    def event(self: CallbackModule, *_args: Any, **_kwargs: Any) -> None:
        pass

    event.__name__ = name
    return unless_verbose(event)


class CallbackModule(Default):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = f"{COLLECTION}.progress"

    def __init__(self) -> None:
        super().__init__()
        self._alive = Alive(sys.stdout)
        BOARD.is_read = not self._display.verbosity
        self._title = ""
        self._began = self._run_began = time.monotonic()
        self._notes: dict[str, list[str]] = {}
        self._hosts: list[str] = []
        # Failures of the current step, printed below its line; and those that a rescue handles.
        self._waiting: list[str] = []
        # Whether all tasks of the step were skipped on all hosts; None: none has ended.
        self._skipped: bool | None = None
        self._held: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self._let_others_print()
        # A run that Ctrl-C ends has no last event.
        atexit.register(self._alive.stop)

    def _let_others_print(self) -> None:
        """Take the sign of life away before anything is printed, also what comes to no callback: warnings, what an action tells, the end by Ctrl-C."""
        display, process = self._display.display, os.getpid()

        @functools.wraps(display)
        def alone(*args: Any, **kwargs: Any) -> None:
            # A worker has a copy of this; what it prints it gives to this process.
            with self._alive.hidden() if os.getpid() == process else contextlib.nullcontext():
                display(*args, **kwargs)

        self._display.display = alone

    # ------------------------------------------------------------------------------------------------------------- steps

    def _print(self, text: str, color: str | None = None, stderr: bool = False) -> None:
        """Print text that may come from elsewhere: only this method writes to the terminal. `color` is added around the text here."""
        self._display.display(spelled(text), color=color, stderr=stderr)

    def _say(self, text: str, color: str | None = None) -> None:
        self._alive.end()
        self._print(text, color=color)
        if self._title:
            self._alive.begin(self._title, self._began)

    def _step(self, title: str | None) -> None:
        if title == self._title:
            return
        self._end_step()
        self._title, self._began, self._notes = title or "", time.monotonic(), {"failed": [], "unreachable": [], "changed": []}
        self._skipped = None
        self._alive.begin(self._title, self._began)

    def _end_step(self) -> None:
        self._alive.end()
        title, self._title = self._title, ""
        # What no host had to do is no step.
        if title and not self._skipped:
            color = next((_COLOURS[kind] for kind, names in self._notes.items() if names), C.COLOR_OK)
            columns = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else _LOG_WIDTH
            self._print(line_of(title, time.monotonic() - self._began, self._notes, len(self._hosts), columns), color=color)
        waiting, self._waiting = self._waiting, []
        for text in waiting:
            self._print(text, color=C.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))

    def _note(self, kind: str, host: str) -> None:
        if self._title and host not in self._notes[kind]:
            self._notes[kind].append(host)

    def _of_host(self, host: str, lines: list[str]) -> str:
        return "\n".join([f"[{host}]", *lines] if len(self._hosts) > 1 else lines)

    # ------------------------------------------------------------------------------------------------------------ events

    @unless_verbose
    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._end_step()
        self._play = play
        self._hosts = [host.name for host in play.get_variable_manager()._inventory.get_hosts(play.hosts)]
        self._alive.hosts = len(self._hosts)
        mode = " (a check: nothing is changed)" if play.check_mode else ""
        where = self._hosts[0] if len(self._hosts) == 1 else f"{len(self._hosts)} hosts"
        self._print(f"{play.get_name().strip()}, {where}{mode}")

    @unless_verbose
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._last_task_name = task.get_name().strip()
        role = task._role.get_name() if task._role else ""
        self._step(step_of(role, str(task.get_path() or ""), self._last_task_name))

    @unless_verbose
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    @unless_verbose
    def v2_playbook_on_include(self, _included_file: Any) -> None:
        self._skipped = False

    @unless_verbose
    def v2_runner_on_ok(self, result: Any) -> None:
        host, found = result.host.get_name(), result.result
        self._skipped = False
        self._handle_warnings(found)
        if found.get("changed"):
            self._note("changed", host)
        if result.task.action in DEBUG:
            shown = [item for item in found.get("results") or [found] if not item.get("skipped")]
            for lines in filter(None, map(told, shown)):
                self._tell(host, lines)

    def _tell(self, host: str, lines: list[str]) -> None:
        """Print a message for a person: unchanged if it has several lines, folded if it is one long line."""
        if len(lines) > 1:
            self._end_step()
            self._say("\n" + self._of_host(host, lines))
        else:
            label = f"[{host}] " if len(self._hosts) > 1 else ""
            self._say("\n".join(folded(label + "".join(lines))))

    @unless_verbose
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._skipped = False
        if ignore_errors:
            return
        host, found = result.host.get_name(), result.result
        self._handle_warnings(found)
        lines = list(failures(found))
        if is_rescued(result.task):
            self._held[host] = [f"{result.task.get_name().strip()}:", *lines]
            if "failure" in found:
                self._note("failed", host)
            return
        self._note("failed", host)
        self._told.add(host)
        # What says why in its own words needs no name of a task.
        speaks = result.task.action in SPEAKING or "failure" in found
        self._failure(host, lines if speaks else [f"{result.task.get_name().strip()}:", *lines])

    def _failure(self, host: str, lines: list[str]) -> None:
        self._waiting.append("\n" + self._of_host(host, lines))
        if not self._title:
            self._end_step()

    @unless_verbose
    def v2_runner_on_unreachable(self, result: Any) -> None:
        host = result.host.get_name()
        self._skipped = False
        self._note("unreachable", host)
        self._told.add(host)
        self._failure(host, ["The host cannot be reached:" if len(self._hosts) > 1 else f"{host} cannot be reached:", *why(result.result)])

    @unless_verbose
    def v2_runner_on_skipped(self, _result: Any) -> None:
        if self._skipped is None:
            self._skipped = True

    v2_runner_item_on_ok = _nothing("v2_runner_item_on_ok")

    v2_runner_item_on_failed = _nothing("v2_runner_item_on_failed")

    v2_runner_item_on_skipped = _nothing("v2_runner_item_on_skipped")

    v2_runner_retry = _nothing("v2_runner_retry")

    @unless_verbose
    def v2_on_file_diff(self, result: Any) -> None:
        for found in result.result.get("results") or [result.result]:
            diff = self._get_diff(found["diff"]) if found.get("diff") and found.get("changed") else ""
            if diff:
                self._say(self._of_host(result.host.get_name(), diff.rstrip("\n").split("\n")))

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._say("No host of the inventory is meant by this play.", color=C.COLOR_SKIP)

    v2_playbook_on_no_hosts_remaining = _nothing("v2_playbook_on_no_hosts_remaining")

    @unless_verbose
    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_step()
        hosts = sorted(stats.processed)
        for host in hosts:
            if stats.summarize(host)["failures"] and host not in self._told and host in self._held:
                self._failure(host, self._held[host])
        self._print("")
        width = max(map(len, hosts), default=0)
        seconds = time.monotonic() - self._run_began
        for host in hosts:
            counts = stats.summarize(host)
            state = next((kind for kind in ("unreachable", "failed", "changed") if counts[kind.replace("failed", "failures")]), "unchanged")
            tasks = f"{counts['ok']} tasks, {counts['changed']} changed"
            self._print(f"{host:<{width}}  {state}: {tasks}, {seconds:.1f} s", color=_COLOURS.get(state, C.COLOR_OK))
        self._alive.stop()
