// Command cat-server is an HTTP server that shows the files of one directory.
//
// It reads, and never writes. With no settings at all it serves a small sample
// that is built into the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// version is what /health reports; a build sets it with
// -ldflags "-X main.version=1.2.3".
var version = "1.0.0"

// Exit codes: a wrong command line is told from a failure while running, as
// restarting helps only the second.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// stopBound is how long requests in flight may take to finish after a stop
// signal. Container engines kill ten seconds after theirs; this is below it, so
// that the last log line is still written.
const stopBound = 8 * time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stderr))
}

// run starts the server, returns after it has stopped, and gives the exit code.
func run(args []string, getenv func(string) string, stderr io.Writer) int {
	cfg, err := parseConfig(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stderr)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "cat-server: %v\n", err)
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.logLevel}))

	dir, err := openDirectory(cfg.dir)
	if err != nil {
		log.Error("cannot open the directory", "dir", cfg.dir, "error", err.Error())
		return exitFailure
	}
	defer dir.Close()

	// The signals are caught before the port is open: whoever can connect can
	// also stop the server properly.
	ctx, uncatch := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer uncatch()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, uncatch)

	// No host: every address of the machine, IPv6 and IPv4.
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(cfg.port))
	if err != nil {
		log.Error("cannot listen; choose another port with -port or PORT", "port", cfg.port, "error", err.Error())
		return exitFailure
	}

	app := &server{dir: dir, maxBytes: cfg.maxBytes, started: time.Now(), log: log}
	log.Info("started", "version", version, "address", listener.Addr().String(),
		"dir", dir.label, "max_bytes", cfg.maxBytes)
	if err := serve(ctx, newHTTPServer(app.handler(), log), listener, stopBound); err != nil {
		log.Error("stopped", "error", err.Error())
		return exitFailure
	}
	log.Info("stopped")
	return exitOK
}

// newHTTPServer puts bounds on what a client can hold on to: no connection
// stays open forever, and no header grows without end.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serve answers requests until ctx is done, then takes no new ones and waits up
// to bound for those in flight. It is an error if any of them had to be cut off.
func serve(ctx context.Context, srv *http.Server, listener net.Listener, bound time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	// ctx is over already, so the bound has to come from a fresh one.
	stopping, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := srv.Shutdown(stopping); err != nil {
		srv.Close()
		return fmt.Errorf("requests still running after %s were cut off: %w", bound, err)
	}
	return nil
}
