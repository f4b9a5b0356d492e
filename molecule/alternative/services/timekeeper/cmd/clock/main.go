// Command clock tells the time over HTTP and shows notes.
//
// It is a service that differs from the usual one in what a role that builds services may get wrong: it is not the module's only main package,
// it does not start without an argument, its health is not at /health, and it takes its port and its greeting from the environment.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"example.org/phrases"
	"example.org/timekeeper/internal/notes"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if err := run(); err != nil {
		slog.Error("clock stops", "error", err)
		os.Exit(1)
	}
}

func run() error {
	zone := flag.String("zone", "", "`name` of the time zone to show; required")
	directory := flag.String("notes", "", "`directory` of the notes; required")
	flag.Parse()
	port := os.Getenv("PORT")
	if *zone == "" || *directory == "" || port == "" {
		return errors.New("needs -zone, -notes and the environment variable PORT")
	}
	shelf, err := notes.Open(*directory)
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /status/ready", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /now", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]string{
			"greeting": os.Getenv("GREETING"),
			"phrase":   phrases.At(time.Now().UTC().Format(time.RFC3339)),
			"zone":     *zone,
			"version":  version,
		})
	})
	mux.HandleFunc("GET /notes/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := shelf.Read(r.PathValue("name"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, "not readable", http.StatusInternalServerError)
		default:
			_, _ = w.Write(text)
		}
	})

	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	slog.Info("clock starts", "port", port, "zone", *zone, "notes", *directory)
	return server.ListenAndServe()
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Warn("reply lost", "error", err)
	}
}
