package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Limits of every HTTP connection, before a door takes it over. Answers and bodies have no deadline here: a polling
// request waits for the next push, and the doors bound what they read.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 75 * time.Second // above the heartbeat interval, so that polling keeps its connection
	maxHeaderBytes    = 32 << 10
)

// NewHTTP returns a server for h with the limits of this package. What net/http reports by itself, such as a handler's
// panic, goes to log as a warning.
func NewHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// NewPublic returns the public listener's paths: Socket.IO on /socket.io/, a line of text on / that says what this is,
// and rest for everything else; a nil rest answers 404.
func NewPublic(socketIO, rest http.Handler) http.Handler {
	if rest == nil {
		rest = http.NotFoundHandler()
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", socketIO)
	mux.Handle("/socket.io", socketIO) // without the redirect of ServeMux, which no client follows on an upgrade
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = fmt.Fprintln(w, "downlink: connect with socket.io-client to this address (path /socket.io/)")
	})
	mux.Handle("/", rest)
	return mux
}
