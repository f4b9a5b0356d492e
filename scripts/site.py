#!/usr/bin/env python3
"""Build the project's documents and the reference of its modules, roles and plugins as a site that is read without a network; check each link of it.

Usage: make site. The site is .cache/site/html/index.html. Ends with 1 where a link leads nowhere, or a page would fetch something from elsewhere.
Run by the Python of .venv/site; the reference is written by the antsibull-docs of the environment whose bin directory is the argument.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".cache/site"
SOURCE, HTML = PLACE / "source", PLACE / "html"
REPOSITORY = "https://github.com/go-service/go_service/blob/main"
COLLECTION = "proven.go_service"
# The pages in their order, by the title of their part.
PARTS = {
    "Start": ["README.md", "README.ja.md", "examples/price-api/README.md", "examples/cat-server/README.md"],
    "Use": [
        "roles/go_service/README.md",
        "roles/base_images/README.md",
        "roles/docker_engine/README.md",
        "roles/pull/README.md",
        "roles/bundle/README.md",
        "docs/services.md",
        "docs/machines.md",
        "docs/scale.md",
        "docs/engines.md",
        "docs/company.md",
        "docs/tools.md",
    ],
    "Know": ["docs/checks.md", "docs/failures.md", "docs/security.md", "docs/provenance.md", "docs/benchmarks.md", "docs/decisions.md"],
    "Change": ["CONTRIBUTING.md", "docs/map.md", "molecule/README.md", "SECURITY.md", "CHANGELOG.md"],
}
# Of two pages with one heading, what the site calls one of them.
TITLES = {"README.ja.md": "go_service (日本語)", "SECURITY.md": "Report a security hole"}
# ](target) and ](target "title") of Markdown.
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=[)\s])")
CONFIGURATION = """\
from sphinx import search
from sphinx.search.en import SearchEnglish
from sphinx.search.ja import DefaultSplitter


class BothLanguages(SearchEnglish):
    # Japanese has no blanks between its words: a sentence would be one word of the index, which nobody looks for.
    def split(self, text):
        words = super().split(text)
        return [part for word in words for part in (word.isascii() and [word] or DefaultSplitter({}).split(word))]


search.languages["both"] = BothLanguages
html_search_language = "both"
project = "go_service"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = "go_service"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
myst_heading_anchors = 4
# What GitHub takes for a link and Sphinx does not is looked at once the pages are there; labels of Ansible's own documents are not in reach.
suppress_warnings = ["myst.xref_missing", "myst.header", "misc.highlighting_failure", "ref.ref"]
exclude_patterns = []
antsibull_ext_color_scheme = "default"


def setup(app):
    # What a browser takes for its choice of characters, and a reader that speaks for its voice.
    app.connect("html-page-context", lambda app, page, template, context, tree: context.update(language="ja") if page.endswith(".ja") else None)
"""


def pages() -> list[str]:
    """Return the Markdown files of the site, relative to the project."""
    return [page for part in PARTS.values() for page in part]


def linked(text: str, page: str) -> str:
    """Return a page's text with links to what is no page of the site as links to the repository."""
    known = set(pages())

    def target(match: re.Match[str]) -> str:
        link = match[1]
        path, hash_, anchor = link.partition("#")
        if not path or re.match(r"[a-z]+:", link):
            return link
        place = os.path.normpath(os.path.join(os.path.dirname(page), path))
        if place in known or place.endswith(".svg"):
            return link
        return f"{REPOSITORY}/{place}{hash_}{anchor}"

    return _LINK.sub(target, text)


def titled(text: str, page: str) -> str:
    """Return a page's text with the heading that the site's menu, search and browser's tab have for it."""
    return re.sub("^# .*$", f"# {TITLES[page]}", text, count=1, flags=re.M) if page in TITLES else text


def collect() -> None:
    """Bring the pages and pictures to the place that Sphinx reads."""
    shutil.rmtree(PLACE, ignore_errors=True)
    for page in pages():
        to = SOURCE / page
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(titled(linked((ROOT / page).read_text(encoding="utf-8"), page), page), encoding="utf-8")
    for picture in (ROOT / "docs").glob("*.svg"):
        shutil.copy(picture, SOURCE / "docs" / picture.name)
    (SOURCE / "conf.py").write_text(CONFIGURATION)
    parts = {part: [page.removesuffix(".md") for page in found] for part, found in PARTS.items()}
    parts["Reference"] = ["All modules, roles and plugins <reference/index>"]
    trees = "".join(f"```{{toctree}}\n:caption: {part}\n:maxdepth: 1\n\n" + "\n".join(found) + "\n```\n\n" for part, found in parts.items())
    (SOURCE / "index.md").write_text(
        f"# go_service\n\n[Read in English](README.md) · [日本語で読む](README.ja.md)\n\n{trees}", encoding="utf-8"
    )


def write_reference(bin_directory: Path) -> None:
    """Let antsibull-docs write the pages of the collection's modules, roles and plugins."""
    (SOURCE / "reference").mkdir()
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "PATH": f"{bin_directory}:{os.environ['PATH']}"}
    command = [
        bin_directory / "antsibull-docs",
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--dest-dir",
        SOURCE / "reference",
        COLLECTION,
    ]
    subprocess.run(command, env=environment, check=True)


class Page(HTMLParser):
    """The links of a page, the places in it that links lead to, and what it would fetch by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is, leads to and fetches."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "stylesheet" in given.get("rel", ""):
            self.fetched.append(given["href"])
        elif tag in ("script", "img", "iframe", "source") and "src" in given:
            self.fetched.append(given["src"])


def faults(html: Path) -> Iterator[str]:
    """Yield a sentence for each link of a site that leads nowhere, and for what a page fetches from elsewhere."""
    found = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(html.rglob("*.html"))}
    for path, page in found.items():
        name = path.relative_to(html)
        for link in page.fetched:
            address = urldefrag(link).url.partition("?")[0]
            if re.match(r"(?:https?:)?//", link):
                yield f"{name} fetches {link}"
            elif not link.startswith("data:") and not (path.parent / unquote(address)).exists():
                yield f"{name} has no {link}"
        for link in page.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address)).resolve() if address else path
            if not target.exists():
                yield f"{name} leads to {link}, which is not there"
            elif anchor and target in found and unquote(anchor) not in found[target].places:
                yield f"{name} leads to {link}, where there is no such place"


def main() -> int:
    """Build and check; return the exit code."""
    collect()
    write_reference(Path(sys.argv[1]).absolute())
    built = subprocess.run(
        [Path(sys.executable).with_name("sphinx-build"), "-q", "-W", "--keep-going", "-b", "html", SOURCE, HTML], check=False
    )
    wrong = list(faults(HTML))
    print("\n".join(wrong))
    print(f"{len(list(HTML.rglob('*.html')))} pages in {HTML.relative_to(ROOT)}, {len(wrong)} links to mend")
    return 1 if wrong or built.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
