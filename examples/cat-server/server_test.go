package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const testLimit = 1000

// newTestDir makes a directory with everything that must and must not be shown,
// beside a secret that lies outside of it.
func newTestDir(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "served")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	for name, content := range map[string]string{
		"../secret":     "top secret",
		".hidden":       "hidden",
		"a.txt":         "meow\n",
		"b.json":        `{"cat":true}`,
		"page.html":     "<script>alert(1)</script>",
		"plain":         "no extension",
		"binary":        "\x00\x01\x02\xff",
		"empty":         "",
		"with space":    "space",
		"..double":      "hidden too",
		"back\\slash":   "not askable",
		"bad\xffutf8":   "not askable",
		"limit":         strings.Repeat("x", testLimit),
		"over":          strings.Repeat("x", testLimit+1),
		"sub/inner.txt": "inner",
	} {
		must(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	for name, target := range map[string]string{
		"link-in":       "a.txt",
		"link-hidden":   ".hidden",
		"link-out":      "../secret",
		"link-absolute": filepath.Join(base, "secret"),
		"link-dangling": "nothing",
		"link-loop":     "link-loop",
		"link-dir":      "sub",
		"link-dir-out":  "..",
	} {
		must(os.Symlink(target, filepath.Join(dir, name)))
	}
	pipe := filepath.Join(dir, "pipe")
	must(syscall.Mkfifo(pipe, 0o644))
	// Held open, so that a server that opens the pipe gives a wrong answer
	// rather than none.
	held, err := os.OpenFile(pipe, os.O_RDWR, 0)
	must(err)
	t.Cleanup(func() { held.Close() })
	return dir
}

// newTestServer serves path over real connections.
func newTestServer(t *testing.T, path string) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(newTestApp(t, path, slog.New(slog.DiscardHandler)).handler())
	t.Cleanup(ts.Close)
	return ts
}

func newTestApp(t *testing.T, path string, log *slog.Logger) *server {
	t.Helper()
	dir, err := openDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return &server{dir: dir, maxBytes: testLimit, started: time.Now(), log: log}
}

// request sends target exactly as it is written: an http.Client would tidy it up.
func request(t *testing.T, ts *httptest.Server, method, target string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", method, target)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return value
}

func TestCatShowsFiles(t *testing.T) {
	ts := newTestServer(t, newTestDir(t))
	tests := map[string]struct{ wantType, wantBody string }{
		"/cat/a.txt":         {"text/plain; charset=utf-8", "meow\n"},
		"/cat/b.json":        {"application/json", `{"cat":true}`},
		"/cat/page.html":     {"text/html; charset=utf-8", "<script>alert(1)</script>"},
		"/cat/plain":         {"text/plain; charset=utf-8", "no extension"},
		"/cat/binary":        {"application/octet-stream", "\x00\x01\x02\xff"},
		"/cat/empty":         {"text/plain; charset=utf-8", ""},
		"/cat/with%20space":  {"text/plain; charset=utf-8", "space"},
		"/cat/limit":         {"text/plain; charset=utf-8", strings.Repeat("x", testLimit)},
		"/cat/link-in":       {"text/plain; charset=utf-8", "meow\n"},
		"/cat/link-hidden":   {"text/plain; charset=utf-8", "hidden"},
		"/cat/%61.txt?x=../": {"text/plain; charset=utf-8", "meow\n"},
	}
	for target, tt := range tests {
		t.Run(target, func(t *testing.T) {
			resp, body := request(t, ts, http.MethodGet, target)
			if resp.StatusCode != http.StatusOK || body != tt.wantBody {
				t.Errorf("got %d %q, want 200 %q", resp.StatusCode, body, tt.wantBody)
			}
			for header, want := range map[string]string{
				"Content-Type": tt.wantType, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if _, err := http.ParseTime(resp.Header.Get("Last-Modified")); err != nil {
				t.Error(err)
			}

			head, headBody := request(t, ts, http.MethodHead, target)
			if head.StatusCode != http.StatusOK || headBody != "" || head.ContentLength != int64(len(tt.wantBody)) {
				t.Errorf("HEAD: got %d, length %d, body %q", head.StatusCode, head.ContentLength, headBody)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	ts := newTestServer(t, newTestDir(t))
	tests := map[string]int{
		"/cat/missing":                     404,
		"/cat/" + strings.Repeat("n", 300): 404,
		"/nothing":                         404,
		"/cat":                             404,
		"/health/":                         404,
		"//health":                         404,
		"/../secret":                       404,
		"/cat/link-out":                    404,
		"/cat/link-absolute":               404,
		"/cat/link-dangling":               404,
		"/cat/link-loop":                   404,
		"/cat/link-dir-out":                404,
		"/cat/":                            400,
		"/cat/.":                           400,
		"/cat/..":                          400,
		"/cat/../secret":                   400,
		"/cat/../../etc/passwd":            400,
		"/cat/%2e%2e":                      400,
		"/cat/%2e%2e%2fsecret":             400,
		"/cat/%2e%2e/secret":               400,
		"/cat/..%2Fsecret":                 400,
		"/cat/..%5csecret":                 400,
		"/cat/..\\secret":                  400,
		"/cat/back%5Cslash":                400,
		"/cat//etc/passwd":                 400,
		"/cat/%2fetc%2fpasswd":             400,
		"/cat/a.txt%00":                    400,
		"/cat/%00":                         400,
		"/cat/bad%ffutf8":                  400,
		"/cat/.hidden":                     400,
		"/cat/%2ehidden":                   400,
		"/cat/..double":                    400,
		"/cat/sub":                         400,
		"/cat/sub/":                        400,
		"/cat/sub/inner.txt":               400,
		"/cat/sub%2finner.txt":             400,
		"/cat/link-dir":                    400,
		"/cat/link-dir-out/secret":         400,
		"/cat/pipe":                        400,
		"/cat/over":                        413,
	}
	for target, want := range tests {
		t.Run(target, func(t *testing.T) {
			resp, body := request(t, ts, http.MethodGet, target)
			if resp.StatusCode != want {
				t.Errorf("got %d, want %d", resp.StatusCode, want)
			}
			assertJSONError(t, resp, body)
			if head, _ := request(t, ts, http.MethodHead, target); head.StatusCode != want {
				t.Errorf("HEAD: got %d, want %d", head.StatusCode, want)
			}
		})
	}
}

func assertJSONError(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options is %q", got)
	}
	answer := decode[map[string]string](t, body)
	if len(answer) != 1 || answer["error"] == "" {
		t.Errorf("not a JSON error: %s", body)
	}
}

func TestUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "locked"), []byte("x"), 0o000); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, dir)
	resp, body := request(t, ts, http.MethodGet, "/cat/locked")
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %d, want 403", resp.StatusCode)
	}
	assertJSONError(t, resp, body)
}

func TestMethods(t *testing.T) {
	ts := newTestServer(t, "")
	for _, target := range []string{"/", "/health", "/ls", "/cat/hello.txt"} {
		for _, method := range []string{"GET", "HEAD"} {
			if resp, _ := request(t, ts, method, target); resp.StatusCode != http.StatusOK {
				t.Errorf("%s %s: got %d, want 200", method, target, resp.StatusCode)
			}
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			resp, body := request(t, ts, method, target)
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %d, Allow %q", method, target, resp.StatusCode, resp.Header.Get("Allow"))
			}
			assertJSONError(t, resp, body)
		}
	}
	if resp, _ := request(t, ts, "POST", "/nothing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("POST of an unknown path: got %d, want 404", resp.StatusCode)
	}
}

func TestHealth(t *testing.T) {
	ts := newTestServer(t, "")
	_, body := request(t, ts, http.MethodGet, "/health")
	got := decode[map[string]any](t, body)
	uptime, isNumber := got["uptime_seconds"].(float64)
	if len(got) != 3 || got["status"] != "ok" || got["version"] != version || !isNumber || uptime < 0 || uptime > 60 {
		t.Errorf("got %s", body)
	}
}

func TestIndexNamesWorkingEndpoints(t *testing.T) {
	ts := newTestServer(t, "")
	_, body := request(t, ts, http.MethodGet, "/")
	index := decode[struct {
		Service, Version string
		Endpoints        []struct{ Path, Shows string }
	}](t, body)
	if index.Service != "cat-server" || index.Version != version || len(index.Endpoints) != 3 {
		t.Errorf("got %s", body)
	}
	for _, e := range index.Endpoints {
		target := strings.ReplaceAll(e.Path, "{name}", "hello.txt")
		if resp, _ := request(t, ts, http.MethodGet, target); resp.StatusCode != http.StatusOK || e.Shows == "" {
			t.Errorf("%+v: got %d", e, resp.StatusCode)
		}
	}
}

type listing struct {
	Entries []struct {
		Name, Type, Mode string
		Size             int64
		Modified         *time.Time
	}
}

func TestList(t *testing.T) {
	dir := newTestDir(t)
	modified := time.Date(2024, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), modified, modified); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, dir)
	_, body := request(t, ts, http.MethodGet, "/ls")

	var names []string
	types := map[string]string{}
	for _, e := range decode[listing](t, body).Entries {
		names = append(names, e.Name)
		types[e.Name] = e.Type
		if e.Modified == nil || e.Modified.IsZero() {
			t.Errorf("%s has no time", e.Name)
		}
	}
	want := []string{
		"a.txt", "b.json", "binary", "empty", "limit", "link-absolute", "link-dangling", "link-dir", "link-dir-out",
		"link-hidden", "link-in", "link-loop", "link-out", "over", "page.html", "pipe", "plain", "sub", "with space",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
	for name, want := range map[string]string{"a.txt": "file", "sub": "directory", "link-out": "symlink", "pipe": "other"} {
		if types[name] != want {
			t.Errorf("%s is a %q, want %q", name, types[name], want)
		}
	}
	if line := `{"name":"a.txt","type":"file","size":5,"mode":"-rw-r--r--","modified":"2024-02-29T11:00:00Z"}`; !strings.Contains(body, line) {
		t.Errorf("%s is not in %s", line, body)
	}
}

// A link to a file outside must not tell anything about that file, its size least of all.
func TestListDescribesTheLinkItself(t *testing.T) {
	dir := newTestDir(t)
	ts := newTestServer(t, dir)
	_, body := request(t, ts, http.MethodGet, "/ls")
	for _, e := range decode[listing](t, body).Entries {
		if e.Name == "link-out" && e.Size != int64(len("../secret")) {
			t.Errorf("size %d is not that of the link", e.Size)
		}
	}
}

func TestListOfEmptyAndOfVanishedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, dir)
	if _, body := request(t, ts, http.MethodGet, "/ls"); body != "{\"entries\":[]}\n" {
		t.Errorf("empty: got %q", body)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), []byte("n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The open root, not the path, is what is served.
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", dir); err != nil {
		t.Fatal(err)
	}
	_, body := request(t, ts, http.MethodGet, "/ls")
	if entries := decode[listing](t, body).Entries; len(entries) != 1 || entries[0].Name != "new" {
		t.Errorf("moved: got %s", body)
	}
	if resp, body := request(t, ts, http.MethodGet, "/cat/new"); body != "n" {
		t.Errorf("moved: got %d %q", resp.StatusCode, body)
	}
}

func TestSample(t *testing.T) {
	dir, err := openDirectory("")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	entries, err := dir.list()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 || entries[0].Name != "endpoints.txt" || entries[1].Name != "hello.txt" {
		t.Fatalf("got %+v", entries)
	}
	line, err := json.Marshal(entries[1])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), "modified") {
		t.Errorf("an embedded file has no time, but: %s", line)
	}
}

func TestRequestLog(t *testing.T) {
	var logged bytes.Buffer
	handler := newTestApp(t, newTestDir(t), slog.New(slog.NewJSONHandler(&logged, nil))).handler()
	forged := "/cat/x%0a%7B%22level%22:%22ERROR%22%7D"

	for _, tt := range []struct {
		method, target, wantPath string
		wantStatus, wantBytes    int
	}{
		{"GET", "/cat/a.txt", "/cat/a.txt", 200, 5},
		{"HEAD", "/cat/a.txt", "/cat/a.txt", 200, 0},
		{"HEAD", "/health", "/health", 200, 0},
		{"POST", "/ls", "/ls", 405, len(`{"error":"method POST is not allowed: use GET or HEAD"}`) + 1},
		{"HEAD", forged, "/cat/x\n{\"level\":\"ERROR\"}", 404, 0},
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			logged.Reset()
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.target, nil))

			line := decode[map[string]any](t, logged.String()) // fails on more than one line
			duration, _ := line["duration_ms"].(float64)
			delete(line, "time")
			delete(line, "duration_ms")
			want := map[string]any{
				"level": "INFO", "msg": "request", "method": tt.method, "path": tt.wantPath, "remote": "192.0.2.1:1234",
				"status": float64(tt.wantStatus), "bytes": float64(tt.wantBytes),
			}
			if !maps.Equal(line, want) || duration <= 0 {
				t.Errorf("got  %v, duration %v\nwant %v", line, duration, want)
			}
		})
	}
}
