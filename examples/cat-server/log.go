package main

import (
	"log/slog"
	"net/http"
	"time"
)

// logRequests writes one line for each request after it has been answered.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK, head: r.Method == http.MethodHead}
		next.ServeHTTP(rec, r)

		level := slog.LevelInfo
		if rec.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		log.LogAttrs(r.Context(), level, "request",
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", rec.status),
			slog.Int64("bytes", rec.bytes),
			slog.Float64("duration_ms", float64(time.Since(began).Microseconds())/1000),
			slog.String("remote", r.RemoteAddr),
		)
	})
}

// recorder notes the status and counts the bytes of the body that are sent.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	head   bool // the body is thrown away by net/http
}

func (rec *recorder) WriteHeader(status int) {
	rec.status = status
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	n, err := rec.ResponseWriter.Write(p)
	if !rec.head {
		rec.bytes += int64(n)
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the writer beneath.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
