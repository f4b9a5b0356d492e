package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary run main, so that tests can start the real
// program, signal it and see its exit code.
const asProgram = "CAT_SERVER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{asProgram + "=1"}, env...)
	return cmd
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
}

// process is a running cat-server.
type process struct {
	cmd  *exec.Cmd
	url  string
	logs *bufio.Scanner
}

func startProgram(t *testing.T, args ...string) *process {
	t.Helper()
	port := freePort(t)
	cmd := program([]string{"PORT=" + port}, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // does nothing if it has ended
	p := &process{cmd: cmd, url: "http://localhost:" + port, logs: bufio.NewScanner(stderr)}
	if line := p.nextLog(t); line["msg"] != "started" || line["version"] != version {
		t.Fatalf("not a start line: %v", line)
	}
	return p
}

func (p *process) nextLog(t *testing.T) map[string]any {
	t.Helper()
	if !p.logs.Scan() {
		t.Fatalf("the log has ended: %v", p.logs.Err())
	}
	var line map[string]any
	if err := json.Unmarshal(p.logs.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, p.logs.Text())
	}
	return line
}

func TestRequestsInFlightFinishAfterSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			// More than the socket buffers take, so that the answer is
			// under way for as long as it is not read.
			const size = 64 << 20
			dir := t.TempDir()
			file, err := os.Create(filepath.Join(dir, "large"))
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Truncate(size); err != nil {
				t.Fatal(err)
			}
			file.Close()
			p := startProgram(t, "-dir", dir, "-max-bytes", fmt.Sprint(size))

			resp, err := http.Get(p.url + "/cat/large")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			waitUntilRefused(t, p.url)
			if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
				t.Errorf("read %d bytes, error %v; want %d", n, err, size)
			}

			if line := p.nextLog(t); line["msg"] != "request" || line["bytes"] != float64(size) {
				t.Errorf("not the line of the request: %v", line)
			}
			if line := p.nextLog(t); line["msg"] != "stopped" || line["level"] != "INFO" {
				t.Errorf("not a stop line: %v", line)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("exit: %v", err)
			}
		})
	}
}

// waitUntilRefused waits until the signal has had its effect on new connections.
func waitUntilRefused(t *testing.T, url string) {
	t.Helper()
	address := strings.TrimPrefix(url, "http://")
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("new connections are still accepted")
}

func TestServeCutsOffAfterBound(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done() // until the connection is cut
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, newHTTPServer(stuck, slog.New(slog.DiscardHandler)), listener, 50*time.Millisecond)
	}()
	go func() {
		if resp, err := http.Get("http://" + listener.Addr().String()); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	stop()

	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "50ms") {
			t.Errorf("got %v, want an error that names the bound", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("serve waits for ever")
	}
}

func TestProgramListensOnBothFamilies(t *testing.T) {
	p := startProgram(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		conn, err := net.Dial("tcp", host+":"+port)
		if err != nil {
			if host == "[::1]" && !hasIPv6() {
				continue
			}
			t.Error(err)
			continue
		}
		conn.Close()
	}
}

func hasIPv6() bool {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

func TestProgramFailures(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenPort := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)

	tests := map[string]struct {
		env      []string
		args     []string
		wantCode int
		want     string // part of what is printed
	}{
		"bad flag value":        {args: []string{"-port", "x"}, wantCode: exitUsage, want: `cat-server: flag -port is "x": allowed is`},
		"bad environment value": {env: []string{"PORT=x"}, wantCode: exitUsage, want: `environment variable PORT is "x"`},
		"unknown flag":          {args: []string{"-nope"}, wantCode: exitUsage, want: "-nope"},
		"argument":              {args: []string{"nope"}, wantCode: exitUsage, want: `unexpected argument "nope"`},
		"port taken":            {env: []string{"PORT=" + takenPort}, wantCode: exitFailure, want: "choose another port with -port or PORT"},
		"help":                  {args: []string{"-h"}, wantCode: exitOK, want: "CAT_SERVER_MAX_BYTES"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := program(tt.env, tt.args...)
			var printed bytes.Buffer
			cmd.Stderr = &printed
			_ = cmd.Run() // the code below tells more
			if code := cmd.ProcessState.ExitCode(); code != tt.wantCode || !strings.Contains(printed.String(), tt.want) {
				t.Errorf("got code %d and %q, want %d and %q", code, &printed, tt.wantCode, tt.want)
			}
		})
	}
}
