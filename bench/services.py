"""The services that are built: real HTTP services of a wanted number of files, the same on every machine.

The smallest, of 30 files, is a program of nine packages of its own that serves JSON. The larger ones are the same program with more in it, of
which a third is Go (packages of ten files, all of them linked in) and the rest are documents such as a web service brings along.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bench import modules

SMALLEST = 30
MODULE = "example.org/bench"
AREAS = ("accounts", "baskets", "catalogue", "deliveries", "events", "invoices", "orders", "reviews", "stock")
FILES_IN_PACKAGE = 10
FILES_IN_DIRECTORY = 50
# Where an edit goes: a package that others import, so that more than one is compiled anew.
EDITED = "internal/version/version.go"
# What a service of thirty files does not import yet; it brings packages of the standard library along.
IMPORTED = "html/template"

# Of several services each imports one of these beside.
RARE = (
    "archive/zip",
    "database/sql",
    "encoding/csv",
    "encoding/gob",
    "encoding/xml",
    "go/format",
    "html/template",
    "image/png",
    "net/rpc",
    "net/smtp",
)

GO_MOD = f"module {MODULE}\n\ngo 1.24\n"

MAIN = """\
// A shop's back office: what is kept of each area can be listed, read and added to as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

{imports}
)

func main() {{
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {{
		w.Write([]byte("ok\\n"))
	}})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {{
		json.NewEncoder(w).Encode(map[string]string{{"version": version.Version}})
	}})
{mounts}
	mux.Handle("/", http.DefaultServeMux)

	port := os.Getenv("PORT")
	if port == "" {{
		port = "8080"
	}}
	server := &http.Server{{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() {{
		<-stop.Done()
		server.Shutdown(context.Background())
	}}()
	slog.Info("listening", "port", port, "version", version.Version)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {{
		slog.Error("ended", "error", err)
		os.Exit(1)
	}}
}}
"""

VERSION = """\
// Package version names the version of the service.
package version

// Version is what /version answers.
const Version = "{version}"
"""

MODEL = """\
package {area}

import (
	"fmt"
	"strings"
	"time"
)

// Item is what is kept.
type Item struct {{
	ID    int       `json:"id"`
	Name  string    `json:"name"`
	Added time.Time `json:"added"`
}}

// Check says what is wrong with an item.
func (i Item) Check() error {{
	if strings.TrimSpace(i.Name) == "" {{
		return fmt.Errorf("{area}: item %d has no name", i.ID)
	}}
	return nil
}}
"""

STORE = """\
package {area}

import (
	"sort"
	"sync"
	"time"
)

// Store keeps items in memory.
type Store struct {{
	mu    sync.RWMutex
	items map[int]Item
}}

// New returns an empty store.
func New() *Store {{
	return &Store{{items: map[int]Item{{}}}}
}}

// Add keeps an item under the next number.
func (s *Store) Add(item Item) (Item, error) {{
	if err := item.Check(); err != nil {{
		return Item{{}}, err
	}}
	s.mu.Lock()
	defer s.mu.Unlock()
	item.ID, item.Added = len(s.items)+1, time.Now().UTC()
	s.items[item.ID] = item
	return item, nil
}}

// All returns the items by their numbers.
func (s *Store) All() []Item {{
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]Item, 0, len(s.items))
	for _, item := range s.items {{
		all = append(all, item)
	}}
	sort.Slice(all, func(i, j int) bool {{ return all[i].ID < all[j].ID }})
	return all
}}
"""

HANDLER = """\
// Package {area} keeps what a shop knows of its {area}.
package {area}

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"{module}/internal/version"
)

// Mount serves the store.
func (s *Store) Mount(mux *http.ServeMux) {{
	mux.HandleFunc("GET /{area}", func(w http.ResponseWriter, _ *http.Request) {{
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Server", "bench/"+version.Version)
		json.NewEncoder(w).Encode(s.All())
	}})
	mux.HandleFunc("POST /{area}", func(w http.ResponseWriter, r *http.Request) {{
		var item Item
		if err := json.NewDecoder(r.Body).Decode(&item); err != nil {{
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}}
		kept, err := s.Add(item)
		if err != nil {{
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}}
		slog.Info("added", "area", "{area}", "id", kept.ID)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(kept)
	}})
}}
"""

PART = """\
package {package}

import "strconv"

// Part{number} counts what is in a text.
func Part{number}(text string) string {{
	counts := map[rune]int{{}}
	for _, letter := range text {{
		counts[letter] += {number}
	}}
	total := 0
	for _, count := range counts {{
		total += count
	}}
	return "{package}/" + strconv.Itoa(total)
}}
"""

PARTS = """\
package main

import (
	"net/http"

{imports}
)

func init() {{
	http.HandleFunc("GET /parts", func(w http.ResponseWriter, r *http.Request) {{
		for _, part := range []func(string) string{{
{calls}
		}} {{
			w.Write([]byte(part(r.URL.RawQuery) + "\\n"))
		}}
	}})
}}
"""

ADDED = """\
package main

import (
	"html/template"
	"net/http"

	"example.org/bench/internal/version"
)

var page = template.Must(template.New("page").Parse("<h1>Version {{.}}</h1>"))

func init() {
	http.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		page.Execute(w, version.Version)
	})
}
"""


def imports(packages: list[str]) -> str:
    """Return the lines that import packages of the module."""
    return "\n".join(f'\t"{MODULE}/{package}"' for package in packages)


def core() -> dict[str, str]:
    """Return the files of the smallest service, path to content."""
    found = {"go.mod": GO_MOD, EDITED: VERSION.format(version="0")}
    found["main.go"] = MAIN.format(
        imports=imports([*(f"internal/{area}" for area in AREAS), "internal/version"]),
        mounts="\n".join(f"\t{area}.New().Mount(mux)" for area in AREAS),
    )
    for area in AREAS:
        for name, text in {"model": MODEL, "store": STORE, "handler": HANDLER}.items():
            found[f"internal/{area}/{name}.go"] = text.format(area=area, module=MODULE)
    return found


def files(count: int) -> dict[str, str]:
    """Return a service of `count` files, path to content.

    Raises:
        ValueError: for fewer files than the smallest service has.
    """
    found = core()
    if count < len(found):
        raise ValueError(f"the smallest service has {len(found)} files, {count} were asked for")
    packages = (count - len(found)) // 3 // FILES_IN_PACKAGE
    for package in range(packages):
        for number in range(FILES_IN_PACKAGE):
            name = f"part{package:04}"
            found[f"internal/parts/{name}/part{number}.go"] = PART.format(package=name, number=number)
    if packages and count > len(found):
        names = [f"part{package:04}" for package in range(packages)]
        found["parts.go"] = PARTS.format(
            imports=imports([f"internal/parts/{name}" for name in names]), calls="\n".join(f"\t\t\t{name}.Part0," for name in names)
        )
    for number in range(count - len(found)):
        directory, text = number // FILES_IN_DIRECTORY, f"Document {number} of the service. " * 30
        found[f"documents/{directory:03}/{number:05}.txt"] = text + "\n"
    return found


def write(root: Path, count: int) -> None:
    """Write a service anew into a directory, whatever was in it."""
    shutil.rmtree(root, ignore_errors=True)
    for path, text in files(count).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def edit(root: Path, version: str) -> None:
    """Change one line of the service: the version that it answers with."""
    (root / EDITED).write_text(VERSION.format(version=version), encoding="utf-8")


def add_import(root: Path) -> None:
    """Add a file that imports a package of the standard library which the service did not import before."""
    (root / "page.go").write_text(ADDED, encoding="utf-8")


def require(root: Path, count: int) -> None:
    """Have the service use so many third-party modules, and no others."""
    wanted, sums = modules.requirements(count)
    (root / "go.mod").write_text(GO_MOD + wanted, encoding="utf-8")
    (root / "go.sum").write_text(sums, encoding="utf-8")
    used = "".join(f'\t_ "{modules.path(number)}"\n' for number in range(count))
    (root / "uses.go").write_text(f"package main\n\nimport (\n{used})\n", encoding="utf-8")


def add_rare(root: Path, package: str) -> None:
    """Add a file that imports a package of the standard library for nothing but that it is compiled."""
    (root / "rare.go").write_text(f'package main\n\nimport _ "{package}"\n', encoding="utf-8")
