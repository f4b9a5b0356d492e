"""Templates are rendered from what was compiled before, as long as that fits, and wherever it may be kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from ansible import constants as C
from ansible_collections.proven.go_service.plugins.plugin_utils import templates


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return Ansible's own directory, a new one; what was compiled in this process is forgotten."""
    monkeypatch.setattr(C.config, "get_config_value", lambda name: str(tmp_path / "home") if name == "ANSIBLE_HOME" else "")
    templates._environment.cache_clear()
    yield tmp_path / "home"
    templates._environment.cache_clear()


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of templates."""
    monkeypatch.setattr(templates, "TEMPLATES", tmp_path / "templates")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.j2").write_text("{{ word }} {{ ['x/y', 'x'] | select('search', '/y$') | first | quote }}\n")
    return tmp_path / "templates"


def again(template: str, **variables: str) -> str:
    """Render as another process would."""
    templates._environment.cache_clear()
    return templates.text(template, **variables)


def kept(home: Path) -> list[Path]:
    """Return the files of compiled templates."""
    return sorted(path for path in home.rglob("*") if path.is_file())


def test_what_was_compiled_is_kept_for_this_user_alone(home: Path, two: Path) -> None:
    assert templates.text("a.j2", word="<one>") == "<one> x/y\n"
    (file,) = kept(home)
    before = file.stat().st_mtime_ns
    assert again("a.j2", word="two") == "two x/y\n"
    assert file.stat().st_mtime_ns == before
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_an_edited_template_is_compiled_anew(home: Path, two: Path) -> None:
    assert templates.text("a.j2", word="one") == "one x/y\n"
    (two / "a.j2").write_text("another {{ word }}\n")
    assert again("a.j2", word="one") == "another one\n"


@pytest.mark.parametrize("content", [b"", b"j2", b"\0" * 100])
def test_what_is_damaged_is_compiled_anew(home: Path, two: Path, content: bytes) -> None:
    assert templates.text("a.j2", word="one") == "one x/y\n"
    (file,) = kept(home)
    file.write_bytes(content)
    assert again("a.j2", word="two") == "two x/y\n"


def test_nothing_is_taken_from_where_others_may_write(home: Path, two: Path) -> None:
    assert templates.text("a.j2", word="one") == "one x/y\n"
    (file,) = kept(home)
    file.parent.chmod(0o777)
    file.unlink()
    assert again("a.j2", word="two") == "two x/y\n"
    assert kept(home) == []


def test_where_nothing_can_be_kept_it_is_rendered_all_the_same(home: Path, two: Path) -> None:
    home.write_text("no directory")
    assert templates.text("a.j2", word="one") == "one x/y\n"


def test_a_page_escapes_and_a_text_does_not(home: Path, two: Path) -> None:
    assert templates.page("a.j2", word="<b>").startswith("&lt;b&gt;")
    assert templates.text("a.j2", word="<b>").startswith("<b>")


def test_a_name_that_is_not_given_is_an_error(home: Path, two: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="word"):
        templates.text("a.j2")
    assert os.path.isdir(home)
