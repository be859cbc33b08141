package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"downlink/codes"
	"downlink/rooms"
)

// Defaults of Options.
const (
	DefaultMaxBody        = 1 << 20
	DefaultBodyTimeout    = 10 * time.Second
	DefaultPublishTimeout = 5 * time.Second
	DefaultReadyTimeout   = 2 * time.Second
)

// Options says how a Server works. Journal must be set; a zero value elsewhere stands for the default.
type Options struct {
	// Journal takes the pushes.
	Journal rooms.Journal

	// Ready reports whether pushes can be stored now; its error's codes.Cause is shown by GET /readyz. Nil means
	// always ready.
	Ready func(context.Context) error

	// MaxBody is the size limit of a request body, in bytes; DefaultMaxBody if zero.
	MaxBody int64

	// BodyTimeout is how long a sender may take over one request body; DefaultBodyTimeout if zero.
	BodyTimeout time.Duration

	// PublishTimeout is how long storing one push may take; DefaultPublishTimeout if zero.
	PublishTimeout time.Duration

	// ReadyTimeout is how long Ready may take; DefaultReadyTimeout if zero.
	ReadyTimeout time.Duration

	// RequestIDAsKey makes X-Request-Id the idempotency key of a push that has no Idempotency-Key.
	RequestIDAsKey bool

	// OpenAPI is the document served at GET /openapi.yaml.
	OpenAPI []byte

	// Log takes what an operator should know; slog.Default if nil.
	Log *slog.Logger
}

// Server answers senders. It starts no goroutine and has nothing to close.
type Server struct {
	o        Options
	echo     *echo.Echo
	check    *checker
	tooLarge *codes.Cause

	deadlines  deadlines
	draining   atomic.Bool
	storeFails atomic.Bool // whether the last push could not be stored; only for the log
}

// New makes a Server.
func New(o Options) *Server {
	o.MaxBody = orDefault(o.MaxBody, DefaultMaxBody)
	o.BodyTimeout = orDefault(o.BodyTimeout, DefaultBodyTimeout)
	o.PublishTimeout = orDefault(o.PublishTimeout, DefaultPublishTimeout)
	o.ReadyTimeout = orDefault(o.ReadyTimeout, DefaultReadyTimeout)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{o: o, check: newChecker(), tooLarge: because(codes.BodyTooLarge, "the limit is %d bytes", o.MaxBody)}
	s.deadlines.after = o.PublishTimeout
	s.echo = s.routes()
	return s
}

func orDefault[T int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Handler serves every path of the intake listener. It needs nothing of the http.Server it runs in, but a
// ReadHeaderTimeout and an IdleTimeout there are wise: requests are guarded here only once their headers were read.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve gives every body a deadline, also one that no handler reads: net/http itself reads up to 256 KiB of such a body
// before it answers. The deadline ends with the body's last byte: net/http lifts it when it starts to watch the
// connection for the sender hanging up.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// An error means a writer without deadlines, as in a test: then there is nothing to guard.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.BodyTimeout))
	}
	if isPreflight(r) {
		s.refuse(codes.PreflightRefused, s.echo.NewContext(r, w))
		return
	}
	s.echo.ServeHTTP(w, r)
}

// Drain ends the intake: from now on POST /push is answered 503 with Retry-After and GET /readyz 503. Pushes that are
// being stored are answered as ever. It returns at once and may be called more than once.
func (s *Server) Drain() { s.draining.Store(true) }
