package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Price is the answer for one item.
type Price struct {
	Item     string `json:"item"`
	Cents    int    `json:"cents"`
	Currency string `json:"currency"`
}

// newHandler returns all that the service answers, with metrics and a line of the log for each request.
func newHandler(prices Prices, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	router := chi.NewRouter()
	router.Use(middleware.Recoverer, observed(registry, logger))
	router.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok", "version": version})
	})
	router.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	router.Get("/prices", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string][]string{"items": slices.Sorted(maps.Keys(prices.Items))})
	})
	router.Get("/prices/{item}", func(w http.ResponseWriter, r *http.Request) {
		item := chi.URLParam(r, "item")
		cents, known := prices.Items[item]
		if !known {
			answer(w, http.StatusNotFound, map[string]string{"error": "there is no such item"})
			return
		}
		answer(w, http.StatusOK, Price{Item: item, Cents: cents, Currency: prices.Currency})
	})
	return router
}

// observed counts and times requests by route, and logs them; health checks are logged as debug.
func observed(registry prometheus.Registerer, logger *slog.Logger) func(http.Handler) http.Handler {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds",
		Help: "How long requests took.",
	}, []string{"route", "method", "status"})
	registry.MustRegister(seconds)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(wrapped, r)
			// The route and not the path: a stranger who asks for many paths makes no metric of each.
			route := chi.RouteContext(r.Context()).RoutePattern()
			status := strconv.Itoa(wrapped.Status())
			seconds.WithLabelValues(route, r.Method, status).Observe(time.Since(began).Seconds())
			level := slog.LevelInfo
			if route == "/healthz" {
				level = slog.LevelDebug
			}
			logger.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.Path, "status", wrapped.Status(), "duration", time.Since(began))
		})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
