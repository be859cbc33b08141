package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options configure a Server. A zero duration or size stands for the default named at the field.
type Options struct {
	// PingInterval is the time between an answered heartbeat and the next (default 25 s).
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a heartbeat (default 20 s). It also bounds how long a session
	// that is being closed may take to hand over what is queued.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a WebSocket that wants to replace polling may take until it does (default 10 s).
	UpgradeTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what is written to it, 64 KiB at a time (default 10 s).
	WriteTimeout time.Duration
	// MaxPayload is the most bytes one inbound message or one POST body may have (default 1,000,000). A longer message
	// closes the session with WebSocket code 1009, a longer body with HTTP 413.
	MaxPayload int
	// MaxQueue is the most bytes that may wait for one client (default 4 MiB), 32 for each frame's place included. One
	// more closes the session at once, with reason SlowReader.
	MaxQueue int
	// AllowEIO3 also admits clients of protocol 3 (socket.io-client 2.x).
	AllowEIO3 bool
	// Allow is asked for every handshake and every upgrade; an error is answered with 403. Nil allows all.
	Allow func(*http.Request) error
	// CORS sets the CORS headers of every answer, preflights and errors included. Nil sets none.
	CORS func(h http.Header, r *http.Request)
	// Open makes the handler of a new session. It is called before the session's OPEN packet is written, so whatever it
	// queues goes out right behind OPEN and nothing a client sends comes too early. The request is the application's
	// only for the length of the call. Required.
	Open func(*Session, *http.Request) Handler
	// Portable uses a goroutine per connection to read even where epoll is available.
	Portable bool
	// Log takes what an operator can act on (default slog.Default()).
	Log *slog.Logger
}

// Handler is what a session belongs to.
type Handler interface {
	// Message takes one message. Calls of one session come one at a time and in the order the client sent, over an
	// upgrade too. p is only valid during the call. An error, or a panic, closes this session and no other. Message runs
	// on a goroutine that reads for other sessions as well: it should not wait long.
	Message(p []byte, binary bool) error
	// Closed is called exactly once, on its own goroutine, when the session is over for the application. A Message that
	// is running then is not waited for, so that Closed can end what it waits for.
	Closed(reason string)
}

// Reasons a session is closed with by the engine itself. Close and Kill may give others.
const (
	ReasonClient       = "transport close" // the client left, or its connection broke
	ReasonError        = "transport error" // the client broke the rules of HTTP polling or WebSocket
	ReasonParse        = "parse error"     // a packet that is none, or one the handler refused
	ReasonPingTimeout  = "ping timeout"    // no answer to a heartbeat
	ReasonSlowReader   = "slow reader"     // more than MaxQueue bytes waited
	ReasonWriteTimeout = "write timeout"   // the client took nothing for WriteTimeout
	ReasonPanic        = "handler panic"   // Handler.Message panicked
	ReasonShutdown     = "server shutting down"
)

// withDefaults returns o with its zero fields filled in, or says which field makes no sense.
func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"PingInterval", &o.PingInterval, 25 * time.Second},
		{"PingTimeout", &o.PingTimeout, 20 * time.Second},
		{"UpgradeTimeout", &o.UpgradeTimeout, 10 * time.Second},
		{"WriteTimeout", &o.WriteTimeout, 10 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < time.Millisecond {
			return o, fmt.Errorf("engine.io option %s is %v: at least 1ms is needed", d.name, *d.v)
		}
	}
	for _, n := range []struct {
		name string
		v    *int
		def  int
	}{{"MaxPayload", &o.MaxPayload, 1_000_000}, {"MaxQueue", &o.MaxQueue, 4 << 20}} {
		if *n.v == 0 {
			*n.v = n.def
		}
		if *n.v < 0 || *n.v > 1<<30 {
			return o, fmt.Errorf("engine.io option %s is %d: 1 to 1073741824 bytes are possible", n.name, *n.v)
		}
	}
	if o.Open == nil {
		return o, errors.New("engine.io option Open is required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, nil
}
