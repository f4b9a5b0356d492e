// Command faulty is a service with faults to order, for the tests of what a deploy survives.
//
// It runs in a mode: the first line of the file $STATE/script-<version>, so that each start of a version can have a mode of its
// own (the line is taken away unless it is the last one); where there is none, the environment variable MODE; else "ok".
//
//	ok           answers
//	exit         ends at once with exit code 3
//	hang         runs and never listens
//	error        answers /health with 500
//	memory       allocates until it is killed
//	write        writes to its own file system, and ends where it cannot
//	loopback     listens on the container's own loopback address alone
//	slow:<time>  listens after that time, like 5s
//
// GET /break makes it unhealthy from then on. The file $STATE/stop-delay holds the time that it takes to stop, or less where the file is
// taken away; it answers meanwhile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "none"

// nextMode returns the first line of a script, and what is left of it: without that line, unless it is the last one.
func nextMode(script string) (mode, rest string) {
	script = strings.TrimSpace(script)
	mode, rest, more := strings.Cut(script, "\n")
	if !more {
		return script, script
	}
	return strings.TrimSpace(mode), rest
}

// takeMode returns the mode of this start.
func takeMode(directory string) string {
	path := directory + "/script-" + version
	if text, err := os.ReadFile(path); err == nil {
		mode, rest := nextMode(string(text))
		if err := os.WriteFile(path, []byte(rest), 0o666); err != nil {
			log.Fatalf("the script cannot be written: %v", err)
		}
		return mode
	}
	if mode := os.Getenv("MODE"); mode != "" {
		return mode
	}
	return "ok"
}

// stopDelay returns how long the service takes to stop.
func stopDelay(directory string) time.Duration {
	text, err := os.ReadFile(directory + "/stop-delay")
	if err != nil {
		return 0
	}
	delay, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		log.Fatalf("stop-delay is no duration: %v", err)
	}
	return delay
}

// allocate fills memory until the kernel ends it.
func allocate() {
	var held [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		held = append(held, block)
		if len(held)%8 == 0 {
			log.Printf("holding %d MiB", len(held))
		}
	}
}

func main() {
	log.SetFlags(0)
	directory := os.Getenv("STATE")
	mode := takeMode(directory)
	log.Printf("faulty %s starts in mode %s", version, mode)

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()

	address := ":" + os.Getenv("PORT")
	name, argument, _ := strings.Cut(mode, ":")
	switch name {
	case "ok", "error":
	case "exit":
		log.Print("no database answers")
		os.Exit(3)
	case "hang":
		log.Print("waiting for a queue")
		<-stop.Done()
		return
	case "memory":
		allocate()
	case "write":
		if err := os.WriteFile("cache.db", []byte("data"), 0o666); err != nil {
			log.Fatal(err)
		}
	case "loopback":
		address = "127.0.0.1" + address
	case "slow":
		delay, err := time.ParseDuration(argument)
		if err != nil {
			log.Fatal(err)
		}
		select {
		case <-time.After(delay):
		case <-stop.Done():
			return
		}
	default:
		log.Fatalf("there is no mode %q", mode)
	}

	var broken atomic.Bool
	broken.Store(name == "error")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			http.Error(w, "the queue is full", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]string{"status": "ok", "version": version}); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("GET /break", func(http.ResponseWriter, *http.Request) {
		log.Print("breaking")
		broken.Store(true)
	})

	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-stop.Done()
		began := time.Now()
		log.Printf("stopping in %s", stopDelay(directory))
		for time.Since(began) < stopDelay(directory) {
			time.Sleep(50 * time.Millisecond)
		}
		if err := server.Close(); err != nil {
			log.Print(err)
		}
	}()
	log.Printf("listening on %s", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
