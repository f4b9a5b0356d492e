package main

import (
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func envOf(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestParseConfigPrecedence(t *testing.T) {
	byFlag, byEnv := t.TempDir(), t.TempDir()
	defaults := config{dir: "", port: 8080, logLevel: slog.LevelInfo, maxBytes: 10 << 20}
	fromEnv := config{dir: byEnv, port: 9001, logLevel: slog.LevelWarn, maxBytes: 1000}
	env := map[string]string{
		"CAT_SERVER_DIR": byEnv, "PORT": "9001", "CAT_SERVER_LOG_LEVEL": "warn", "CAT_SERVER_MAX_BYTES": "1000",
	}

	tests := map[string]struct {
		args []string
		env  map[string]string
		want config
	}{
		"defaults":                      {want: defaults},
		"environment over default":      {env: env, want: fromEnv},
		"empty environment is not set":  {env: map[string]string{"PORT": "", "CAT_SERVER_DIR": ""}, want: defaults},
		"flag over bad environment":     {args: []string{"-port", "9002"}, env: map[string]string{"PORT": "bad"}, want: config{port: 9002, maxBytes: 10 << 20}},
		"empty -dir over environment":   {args: []string{"-dir="}, env: env, want: config{port: 9001, logLevel: slog.LevelWarn, maxBytes: 1000}},
		"bounds":                        {args: []string{"-port=65535", "-max-bytes=9223372036854775807"}, want: config{port: 65535, maxBytes: 1<<63 - 1}},
		"level in capitals":             {args: []string{"-log-level=DEBUG"}, want: config{port: 8080, logLevel: slog.LevelDebug, maxBytes: 10 << 20}},
		"flag equal to default is used": {args: []string{"-port=8080"}, env: map[string]string{"PORT": "9001"}, want: defaults},
		"flags over environment": {
			args: []string{"-dir", byFlag, "-port", "9002", "-log-level", "error", "-max-bytes", "1"}, env: env,
			want: config{dir: byFlag, port: 9002, logLevel: slog.LevelError, maxBytes: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseConfig(tt.args, envOf(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseConfigErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		args []string
		env  map[string]string
		want []string // parts of the message
	}{
		"port is text":         {args: []string{"-port", "http"}, want: []string{"flag -port", `"http"`, "from 1 to 65535"}},
		"port is zero":         {args: []string{"-port", "0"}, want: []string{"flag -port", `"0"`}},
		"port is too high":     {args: []string{"-port", "65536"}, want: []string{"flag -port", `"65536"`}},
		"port is negative":     {args: []string{"-port=-1"}, want: []string{"flag -port", `"-1"`}},
		"port has a sign":      {args: []string{"-port=+80"}, want: []string{"flag -port", `"+80"`}},
		"port is empty":        {args: []string{"-port="}, want: []string{"flag -port", `""`}},
		"port of environment":  {env: map[string]string{"PORT": "80\n81"}, want: []string{"environment variable PORT", `"80\n81"`}},
		"unknown level":        {env: map[string]string{"CAT_SERVER_LOG_LEVEL": "loud"}, want: []string{"CAT_SERVER_LOG_LEVEL", `"loud"`, "debug, info, warn or error"}},
		"no bytes":             {args: []string{"-max-bytes", "0"}, want: []string{"flag -max-bytes", `"0"`, "from 1"}},
		"bytes with a unit":    {env: map[string]string{"CAT_SERVER_MAX_BYTES": "10M"}, want: []string{"CAT_SERVER_MAX_BYTES", `"10M"`}},
		"too many bytes":       {args: []string{"-max-bytes", "9223372036854775808"}, want: []string{"flag -max-bytes"}},
		"missing directory":    {args: []string{"-dir", "/no/such"}, want: []string{"flag -dir", `"/no/such"`, "existing directory"}},
		"directory is a file":  {env: map[string]string{"CAT_SERVER_DIR": file}, want: []string{"CAT_SERVER_DIR", file}},
		"unknown flag":         {args: []string{"-prot", "80"}, want: []string{"-prot", "-h"}},
		"flag without a value": {args: []string{"-port"}, want: []string{"-port"}},
		"argument":             {args: []string{"/srv"}, want: []string{`"/srv"`, "only flags"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig(tt.args, envOf(tt.env))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not contain %q", err, part)
				}
			}
		})
	}
}

func TestParseConfigHelp(t *testing.T) {
	if _, err := parseConfig([]string{"-h"}, envOf(nil)); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp", err)
	}
}
