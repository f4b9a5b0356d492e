package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// server answers the requests.
type server struct {
	dir      *directory
	maxBytes int64 // larger files are not shown
	started  time.Time
	log      *slog.Logger
}

func (s *server) handler() http.Handler {
	return logRequests(s.log, http.HandlerFunc(s.route))
}

// route finds the endpoint by the decoded path. http.ServeMux is not used: it
// would redirect paths with dot segments before a handler can refuse them, and
// would answer 404 and 405 in plain text.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")

	endpoint := s.endpoint(r.URL.Path)
	switch {
	case endpoint == nil:
		writeError(w, http.StatusNotFound, "no such endpoint: GET / lists them")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %s is not allowed: use GET or HEAD", r.Method))
	default:
		endpoint(w, r)
	}
}

func (s *server) endpoint(urlPath string) http.HandlerFunc {
	switch urlPath {
	case "/":
		return s.index
	case "/health":
		return s.health
	case "/ls":
		return s.ls
	}
	if name, ok := strings.CutPrefix(urlPath, "/cat/"); ok {
		return func(w http.ResponseWriter, r *http.Request) { s.cat(w, r, name) }
	}
	return nil
}

func (s *server) index(w http.ResponseWriter, _ *http.Request) {
	type endpoint struct {
		Path  string `json:"path"`
		Shows string `json:"shows"`
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"service": "cat-server",
		"version": version,
		"endpoints": []endpoint{
			{"/health", "status, version and uptime"},
			{"/ls", "the entries of the served directory"},
			{"/cat/{name}", "the content of one file"},
		},
	})
}

// health says that the process answers. It does not look at the directory: a
// restart, which is what a failed health check leads to, would not mend that.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, struct {
		Status        string  `json:"status"`
		Version       string  `json:"version"`
		UptimeSeconds float64 `json:"uptime_seconds"`
	}{"ok", version, math.Round(time.Since(s.started).Seconds()*1000) / 1000})
}

func (s *server) ls(w http.ResponseWriter, _ *http.Request) {
	entries, err := s.dir.list()
	if err != nil {
		s.log.Error("cannot list the directory", "error", err.Error())
		writeError(w, http.StatusInternalServerError, "the directory cannot be read")
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	writeJSON(w, http.StatusOK, map[string]any{"entries": entries})
}

func (s *server) cat(w http.ResponseWriter, r *http.Request, name string) {
	if err := checkName(name); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	// Looked at before it is opened: opening a named pipe would wait for its
	// writer, and opening a device can have effects.
	info, err := fs.Stat(s.dir.files, name)
	if err != nil {
		s.refuse(w, name, err)
		return
	}
	if info.IsDir() {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("%q is a directory: only files are shown", name))
		return
	}
	if !info.Mode().IsRegular() {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("%q is not a regular file", name))
		return
	}
	if info.Size() > s.maxBytes {
		writeError(w, http.StatusRequestEntityTooLarge,
			fmt.Sprintf("%q has %d bytes: at most %d are shown (-max-bytes, CAT_SERVER_MAX_BYTES)", name, info.Size(), s.maxBytes))
		return
	}
	file, err := s.dir.files.Open(name)
	if err != nil {
		s.refuse(w, name, err)
		return
	}
	defer file.Close()
	s.send(w, r, file, info)
}

// refuse answers for a file that cannot be opened. A link that leads out of the
// directory looks to the client like a file that is not there; the log tells.
func (s *server) refuse(w http.ResponseWriter, name string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		writeError(w, http.StatusForbidden, fmt.Sprintf("%q is not readable by the server", name))
		return
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("file refused", "name", name, "error", err.Error())
	}
	writeError(w, http.StatusNotFound, fmt.Sprintf("no file named %q can be shown", name))
}

// send writes the file as it was when info was taken: a file that grows
// meanwhile is cut at that size, so that maxBytes holds.
func (s *server) send(w http.ResponseWriter, r *http.Request, file io.Reader, info fs.FileInfo) {
	start := make([]byte, min(512, info.Size())) // DetectContentType looks at no more
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.log.Error("cannot read the file", "name", info.Name(), "error", err.Error())
		writeError(w, http.StatusInternalServerError, fmt.Sprintf("%q cannot be read", info.Name()))
		return
	}
	start = start[:n]

	header := w.Header()
	header.Set("Content-Type", contentType(info.Name(), start))
	header.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	// Files are shown, not run: a browser must not execute scripts in them.
	header.Set("Content-Security-Policy", "sandbox")
	if modified := info.ModTime(); !modified.IsZero() { // embedded files have none
		header.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.CopyN(w, io.MultiReader(bytes.NewReader(start), file), info.Size()); err != nil {
		s.log.Warn("answer cut short", "name", info.Name(), "error", err.Error())
	}
}

// contentType goes by the extension, then by the first bytes.
func contentType(name string, start []byte) string {
	if byName := mime.TypeByExtension(path.Ext(name)); byName != "" {
		return byName
	}
	return http.DetectContentType(start)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}

// writeJSON sends value, of which every caller knows that it can be encoded. A
// failed write means that the client has gone, and there is no one left to tell.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	body = append(body, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
