package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// config holds the settings after they have been checked.
type config struct {
	dir      string // empty: the built-in sample
	port     int
	logLevel slog.Level
	maxBytes int64
}

// setting is one value that a flag, the environment or a default gives, in this
// order of precedence.
type setting struct {
	flag     string
	env      string // an empty variable counts as not set
	fallback string
	help     string
	allowed  string
	// apply stores the value and reports whether it is allowed.
	apply func(cfg *config, value string) bool
}

var settings = []setting{
	{
		flag: "dir", env: "CAT_SERVER_DIR", fallback: "",
		help:    "`directory` to serve; empty means the built-in sample",
		allowed: "an existing directory, or empty for the built-in sample",
		apply: func(cfg *config, value string) bool {
			cfg.dir = value
			if value == "" {
				return true
			}
			info, err := os.Stat(value)
			return err == nil && info.IsDir()
		},
	},
	{
		flag: "port", env: "PORT", fallback: "8080",
		help:    "TCP `port` to listen on, on all addresses",
		allowed: "a whole number from 1 to 65535",
		apply: func(cfg *config, value string) bool {
			port, err := strconv.ParseUint(value, 10, 16)
			cfg.port = int(port)
			return err == nil && port > 0
		},
	},
	{
		flag: "log-level", env: "CAT_SERVER_LOG_LEVEL", fallback: "info",
		help:    "least `level` that is logged: debug, info, warn or error",
		allowed: "debug, info, warn or error",
		apply: func(cfg *config, value string) bool {
			levels := map[string]slog.Level{
				"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
			}
			level, known := levels[strings.ToLower(value)]
			cfg.logLevel = level
			return known
		},
	},
	{
		flag: "max-bytes", env: "CAT_SERVER_MAX_BYTES", fallback: "10485760",
		help:    "largest file that is shown, in `bytes`",
		allowed: "a whole number of bytes from 1 to 9223372036854775807",
		apply: func(cfg *config, value string) bool {
			limit, err := strconv.ParseUint(value, 10, 63)
			cfg.maxBytes = int64(limit)
			return err == nil && limit > 0
		},
	},
}

// parseConfig reads the settings. Its error names the setting, the value and
// what is allowed; flag.ErrHelp means that -h was given.
func parseConfig(args []string, getenv func(string) string) (config, error) {
	flags := newFlagSet()
	if err := flags.Parse(args); err != nil {
		return config{}, fmt.Errorf("%w (-h lists the flags)", err)
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q: only flags are allowed (-h lists them)", flags.Arg(0))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })

	var cfg config
	for _, s := range settings {
		source, value := "default of -"+s.flag, s.fallback
		if fromEnv := getenv(s.env); fromEnv != "" {
			source, value = "environment variable "+s.env, fromEnv
		}
		if given[s.flag] {
			source, value = "flag -"+s.flag, flags.Lookup(s.flag).Value.String()
		}
		if !s.apply(&cfg, value) {
			return config{}, fmt.Errorf("%s is %q: allowed is %s", source, value, s.allowed)
		}
	}
	return cfg, nil
}

// newFlagSet declares every setting as text, so that a bad value gets the same
// message whichever way it came. It prints nothing by itself.
func newFlagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("cat-server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, s := range settings {
		flags.String(s.flag, s.fallback, fmt.Sprintf("%s (environment: %s)", s.help, s.env))
	}
	return flags
}

func printUsage(w io.Writer) {
	fmt.Fprintf(w, "cat-server %s shows the files of a directory over HTTP.\n\nFlags:\n", version)
	flags := newFlagSet()
	flags.SetOutput(w)
	flags.PrintDefaults()
}
