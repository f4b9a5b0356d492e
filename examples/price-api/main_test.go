package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var list = Prices{Currency: "EUR", Items: map[string]int{"tea": 250, "cake": 420}}

func get(t *testing.T, handler http.Handler, path string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestItAnswers(t *testing.T) {
	var log bytes.Buffer
	handler := newHandler(list, slog.New(slog.NewJSONHandler(&log, nil)))
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/healthz":       {200, `{"status":"ok","version":"1.0.0"}`},
		"/prices":        {200, `{"items":["cake","tea"]}`},
		"/prices/tea":    {200, `{"item":"tea","cents":250,"currency":"EUR"}`},
		"/prices/coffee": {404, `{"error":"there is no such item"}`},
	} {
		status, body := get(t, handler, path)
		assert.Equal(t, want.status, status, path)
		assert.JSONEq(t, want.body, body, path)
	}
	assert.NotContains(t, log.String(), "/healthz")
	assert.Contains(t, log.String(), `"path":"/prices/coffee","status":404`)
}

func TestMetricsHaveRoutesAndNoPaths(t *testing.T) {
	handler := newHandler(list, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	get(t, handler, "/prices/tea")
	get(t, handler, "/prices/what-a-stranger-asks-for")
	status, metrics := get(t, handler, "/metrics")
	require.Equal(t, 200, status)
	assert.Contains(t, metrics, `http_request_duration_seconds_count{method="GET",route="/prices/{item}",status="200"} 1`)
	assert.NotContains(t, metrics, "stranger")
}

func TestAFileIsReadOrRefused(t *testing.T) {
	for name, test := range map[string]struct{ content, problem string }{
		"right":            {"currency: EUR\nitems: {tea: 250}\n", ""},
		"an unknown name":  {"currency: EUR\nprices: {tea: 250}\n", "field prices not found"},
		"no currency":      {"items: {tea: 250}\n", "currency is missing"},
		"a negative price": {"currency: EUR\nitems: {tea: -1}\n", "below zero"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "prices.yml")
			require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
			prices, err := readPrices(path)
			if test.problem == "" {
				require.NoError(t, err)
				assert.Equal(t, Prices{Currency: "EUR", Items: map[string]int{"tea": 250}}, prices)
			} else {
				assert.ErrorContains(t, err, test.problem)
			}
		})
	}
}

func TestItSaysWhatIsWrongWithItsArguments(t *testing.T) {
	for problem, args := range map[string][]string{
		"-config is missing":            nil,
		"no such file":                  {"-config", "nowhere.yml"},
		"-log-level":                    {"-config", "x.yml", "-log-level", "loud"},
		"flag provided but not defined": {"-nonsense"},
	} {
		assert.ErrorContains(t, run(t.Context(), args, io.Discard), problem)
	}
}

func TestItStopsWhenAskedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.yml")
	require.NoError(t, os.WriteFile(path, []byte("currency: EUR\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, run(ctx, []string{"-listen", "127.0.0.1:0", "-config", path}, io.Discard))
}
