package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Limits of every HTTP connection, before a door takes it over. The doors set tighter ones for the bodies they read and
// the answers they write; these two hold for the paths that take no body and answer at once.
const (
	readHeaderTimeout = 10 * time.Second
	bodyTimeout       = time.Minute      // for a body that the handler leaves unread
	writeTimeout      = time.Minute      // from the header's end
	idleTimeout       = 75 * time.Second // above the heartbeat interval, so that polling keeps its connection
	maxHeaderBytes    = 32 << 10
)

// NewHTTP returns a server for h with the limits of this package. What net/http reports by itself, such as a handler's
// panic, goes to log as a warning.
func NewHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           bounded(h, bodyTimeout),
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// bounded is h with a limit on how long a body may take. net/http waits for the end of one that the handler did not
// read, for ever if need be; its own ReadTimeout would also end polls, which have none.
func bounded(h http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// An error means a writer that is no connection, as in a test.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
		}
		h.ServeHTTP(w, r)
	})
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
