"""The proposed inventory for a service, as text: each guess is marked as one, with the place in the source from which it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ...module_utils.common.failure import Problem
from ...module_utils.common.text import count, one_line, spelled
from ...module_utils.source.packages import argument
from .clues import LOOPBACK, Clue
from .service import Beside, Candidate, Service, listening_argument, reason_for

_SHOWN = 12
_DEFAULT_PORT = "8080"
# How many ports are tried to find a free one.
_PORTS = 100
_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~@+-]*")
# Ansible would evaluate these when it reads the inventory, and the source is not trusted.
_TEMPLATE = re.compile(r"\{[{%#]")
_PATH = re.compile(r"[A-Za-z0-9_.@+/~-]+")
_INDENT = " " * 6


def render(service: Service, source: str, command: str, taken: Callable[[int], bool] = lambda port: False) -> str:
    """Return the inventory.

    source: the value for go_service_source; command: the command that runs the main job with this inventory; taken: whether a port of this machine is taken.
    """
    if _TEMPLATE.search(source):
        raise Problem(
            f"the path {source} contains text that Ansible takes for a template", "Move the source to a directory without {{, {% or {#."
        )
    name = service.name
    lines = [
        "---",
        f"# Proposed for the source {_comment(source)}: no code of it was run, it was only read. Each guess says so, and names the place in the",
        "# source that it comes from. Read it, correct what is wrong, then run:",
        f"#   {_comment(command)}",
        "all:",
        "  hosts:",
        "    localhost:",
        "      ansible_connection: local",
        '      ansible_python_interpreter: "{{ ansible_playbook_python }}"',
        "      # If no image registry can be reached, build on stand-ins for the base images, whose names say so.",
        "      base_images_fallback: assemble",
        "",
        f"      go_service_name: {_value(name)}",
        f"      go_service_source: {_value(source)}",
        *_main(service),
        *_listening(service, taken),
        *_health(service),
        *_files(service),
        *_wanted(service),
        *(f"{_INDENT}# Look at this: {_comment(problem)}" for problem in service.problems),
    ]
    return "\n".join(lines) + "\n"


def open_points(service: Service) -> list[str]:
    """Return what the user has to decide before the first run, one sentence for each point."""
    points = list(service.problems)
    if not service.chosen:
        points.insert(
            0,
            f"None of {count(len(service.candidates), 'main package')} seems to serve HTTP: choose one (go_service_main_package).",
        )
    names = ", ".join(dict.fromkeys([*(f"--{clue.value}" for clue in service.wanted_flags), *(clue.value for clue in service.wanted_env)]))
    if names:
        points.append(f"The program seems to require {one_line(names)}: give values (go_service_args, go_service_env).")
    if _hears_itself_alone(service) and service.port:
        points.append(
            f"By default it listens only on {one_line(service.port.host)} ({one_line(service.port.place)}): let it listen on all addresses (go_service_args, go_service_env)."
        )
    if service.absent:
        points.append(
            f"It reads {one_line(_listed(service.absent))}, which the source does not have: mount it from the host (go_service_volumes)."
        )
    return points


def _hears_itself_alone(service: Service) -> bool:
    """Say whether it listens only on its own machine, and no argument or variable was found that changes that."""
    port = service.port
    return bool(port and port.host in LOOPBACK and not port.env and not listening_argument(service))


def guesses(service: Service) -> dict[str, str]:
    """Return the guesses with their names for a reader: the values and where they come from."""
    found = {}
    if service.chosen:
        found["main package"] = f"{_shown(service.chosen)}, {reason_for(service)}"
    found["port"] = f"{service.port.value} ({service.port.place})" if service.port else f"{_DEFAULT_PORT}, as none was found"
    found["health"] = f"{service.health.value} ({service.health.place})" if service.health else "/, as no handler was found"
    if service.beside:
        found["files"] = ", ".join(beside.src for beside in service.beside[:_SHOWN])
    return {name: one_line(text) for name, text in found.items()}


def _main(service: Service) -> list[str]:
    """The module and the main package; the others as comments that can replace it."""
    chosen, others = service.chosen, [one for one in service.candidates if one is not service.chosen]
    lines = []
    if chosen:
        lines += [f"# Guess: {reason_for(service)}."] if others or not chosen.serves else []
        if not chosen.serves:
            lines.append("# It does not seem to serve HTTP.")
        if chosen.module_dir != ".":
            lines.append(f"go_service_module_dir: {_value(chosen.module_dir)}")
        if others or chosen.main_package != ".":
            lines.append(f"go_service_main_package: {_value(chosen.main_package)}")
    else:
        lines.append("# Choose one: none of these main packages seems to serve HTTP.")
    shown = others[:_SHOWN]
    if shown and chosen:
        lines.append("# The others:")
    for one in shown:
        told = "" if one.serves else "   # does not seem to serve HTTP"
        module = f"go_service_module_dir: {_value(one.module_dir)}, " if len(service.modules) > 1 else ""
        lines.append(f"#   {module}go_service_main_package: {_value(one.main_package)}{told}")
    if len(others) > len(shown):
        lines.append(f"#   and {len(others) - len(shown)} more")
    return _indented(["", *lines] if lines else [])


def _listening(service: Service, taken: Callable[[int], bool]) -> list[str]:
    """The port, the published port, and the setting that makes the service listen on all addresses."""
    port = service.port
    lines = [""]
    if port:
        lines.append(f"# Guess, from {_comment(port.place)}." + _also(service.other_ports))
    elif service.reads_port:
        lines.append(f"# It reads PORT ({_comment(service.reads_port.place)}), which the role sets to this port.")
    else:
        lines.append("# Guess: no address on which it listens was found in the source.")
    value = port.value if port else _DEFAULT_PORT
    lines.append(f"go_service_port: {value}")
    # The port to use on this machine: not below 1024, where only root may listen.
    wanted = int(value) + (8000 if int(value) < 1024 else 0)
    published = next((port for port in range(wanted, min(wanted + _PORTS, 65536)) if not taken(port)), wanted)
    if published != wanted:
        lines.append(f"# Port {wanted} of this machine is taken.")
    lines.append(f"go_service_publish: 127.0.0.1:{published}")
    given = listening_argument(service)
    if given and port:
        lines += [
            f"# By default it listens only on {_comment(port.host)} ({_comment(port.place)}), which nothing outside of its container reaches.",
            f"go_service_args: [{_value(given)}]",
        ]
    elif port and port.host in LOOPBACK and port.env:
        lines += [
            f"# By default it listens only on {_comment(port.host)} ({_comment(port.place)}), which nothing outside of its container reaches.",
            "go_service_env:",
            f'  {port.env}: "{port.everywhere}"',
        ]
    elif port and _hears_itself_alone(service):
        lines += [
            f"# Look at this: by default it listens only on {_comment(port.host)}, which nothing outside of its container reaches. Give it an argument or",
            "# a variable with which it listens on all addresses (go_service_args, go_service_env); if it has none, change the source there.",
        ]
    return _indented(lines)


def _health(service: Service) -> list[str]:
    health = service.health
    if not health:
        return _indented(["", "# Guess: no handler was found in the source. The path must answer with 200.", "go_service_health_path: /"])
    named = "the front page, as no path of a health check was found; it" if health.value == "/" else "it"
    return _indented(
        [
            "",
            f"# Guess, from {_comment(health.place)}: {named} must answer with 200.{_also(service.other_health)}",
            f"go_service_health_path: {_value(health.value)}",
        ]
    )


def _files(service: Service) -> list[str]:
    """The files beside the binary, and those that the program reads, but the source does not have."""
    lines = []
    taken = [beside for beside in service.beside if _PATH.fullmatch(beside.dest) and not _TEMPLATE.search(beside.src)]
    if taken:
        lines += ["", "# Guess: it reads these beside its binary.", "go_service_files:"]
        lines += [_file(beside) for beside in taken]
    if service.absent:
        lines += [
            "",
            "# It reads these, which the source does not have. If it needs them, mount them, like go_service_volumes: [/etc/x.yml:/srv/x.yml:ro]",
        ]
        lines += [f"#   {_comment(clue.value)}   ({_comment(clue.place)})" for clue in service.absent[:_SHOWN]]
    return _indented(lines)


def _file(beside: Beside) -> str:
    dest = f", dest: {_value(beside.dest)}" if beside.dest != beside.src else ""
    return f"  - {{src: {_value(beside.src)}{dest}}}   # {_comment(beside.clue.place)}"


def _wanted(service: Service) -> list[str]:
    """What the program requires, as comments to be filled in: an invented value would hide that the real one is missing."""
    lines = []
    if service.wanted_flags:
        lines += ["", "# It seems to require these arguments. Give them values."]
        lines += ["#go_service_args:"]
        lines += [f"#  - {_comment(f'--{clue.value}=...')}   # {_comment(clue.place)}" for clue in service.wanted_flags[:_SHOWN]]
    if service.wanted_env:
        also = "Or these" if service.wanted_flags else "It seems to require these"
        lines += ["", f"# {also} environment variables. Give them values; secret values belong into a vault.", "#go_service_env:"]
        lines += [f'#  {_comment(clue.value)}: "..."   # {_comment(clue.place)}' for clue in service.wanted_env[:_SHOWN]]
    return _indented(lines)


def _also(others: list[Clue]) -> str:
    return f" Also seen: {_comment(_listed(others))}." if others else ""


def _listed(clues: Iterable[Clue]) -> str:
    found = list(clues)
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return ", ".join(f"{clue.value} ({clue.place})" for clue in found[:4]) + more


def _shown(candidate: Candidate) -> str:
    return argument(candidate.directory) if candidate.directory else "at the top"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}" if line else "" for line in lines]


def _comment(text: str) -> str:
    """Return text of others for a comment: in one line, without anything that controls a terminal."""
    return one_line(spelled(text))


def _value(text: str) -> str:
    """Return a text as a value in YAML, in quotes if it needs them."""
    reads_otherwise = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "~") or re.fullmatch(r"[\d.]+", text)
    return text if _PLAIN.fullmatch(text) and not reads_otherwise else json.dumps(text)


def _exists(path: Path) -> Problem:
    remedy = "Use it, remove it, or choose another place (new_inventory) or name (go_service_name)."
    return Problem(f"{path} exists, and is not overwritten", remedy)


def refuse_existing(path: Path) -> None:
    """Raise Problem if the file already exists."""
    if path.exists() or path.is_symlink():
        raise _exists(path)


def write_new(path: Path, text: str) -> None:
    """Write a new file; raise Problem if it already exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None
