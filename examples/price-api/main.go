// Command price-api answers what things cost, from a list in a YAML file.
//
// It is the example of a service with dependencies: a router, metrics, structured logs, a configuration file and arguments.
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
	"syscall"
	"time"
)

// version is what /healthz reports; a build sets another one with (-ldflags "-X main.version=...").
var version = "1.0.0"

// How long requests in flight may take once the service is asked to stop; Docker kills it after 10 seconds.
const grace = 8 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "price-api:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or returns why it cannot.
func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("price-api", flag.ContinueOnError)
	flags.SetOutput(log)
	listen := flags.String("listen", ":9000", "address to listen on")
	config := flags.String("config", "", "file with the prices (YAML)")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *config == "" {
		return errors.New("-config is missing: name the file with the prices")
	}
	var slogLevel slog.Level
	if err := slogLevel.UnmarshalText([]byte(*level)); err != nil {
		return fmt.Errorf("-log-level: %w", err)
	}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slogLevel}))

	prices, err := readPrices(*config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newHandler(prices, logger),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	logger.Info("listening", "address", listener.Addr().String(), "version", version, "prices", len(prices.Items))

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping")
	stopping, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return server.Shutdown(stopping)
}
