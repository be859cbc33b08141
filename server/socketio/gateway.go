package socketio

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"downlink/codes"
	"downlink/rooms"
	"downlink/server/engineio"
	"downlink/server/socketio/bridge"
)

// Options configures a Gateway.
type Options struct {
	// Engine holds the timings and limits of connections, and who may connect. Its Open must be nil.
	Engine engineio.Options
	// Hub is where connections are attached. Required.
	Hub *rooms.Hub
	// Admission decides about logins. Required; it is to be closed after the Gateway.
	Admission *rooms.Admission
	// ConnectTimeout is how long a client may stay without sending CONNECT. Default 45 s.
	ConnectTimeout time.Duration
	// Log gets faults and, at debug level, what clients did wrong, unless Engine.Log is set. Default: slog.Default().
	Log *slog.Logger
}

// Gateway serves Socket.IO clients over HTTP and is the door by which the hub reaches them.
type Gateway struct {
	bridge    *bridge.Server
	hub       *rooms.Hub
	admission *rooms.Admission
	welcome   engineio.Frame // 2001
	busy      sync.WaitGroup // inboxes being worked off
}

// New makes a Gateway and starts its engine. Shutdown or Close ends it.
func New(o Options) (*Gateway, error) {
	if o.Hub == nil || o.Admission == nil {
		return nil, errors.New("socketio: hub and admission are required")
	}
	g := &Gateway{hub: o.Hub, admission: o.Admission, welcome: statusFrame(codes.Connected)}
	if o.Engine.Log == nil {
		o.Engine.Log = o.Log
	}
	b, err := bridge.New(bridge.Options{
		Engine:         o.Engine,
		ConnectTimeout: o.ConnectTimeout,
		Namespaces: map[string]bridge.Namespace{"/": {
			Connected: g.connected,
			Closed:    g.closed,
			Events: map[string]func(*bridge.Socket, *bridge.Event){
				"loginRoom":             g.login,
				"leaveRoom":             g.leave,
				rooms.First.String():    g.loginAs(rooms.First),
				rooms.Last.String():     g.loginAs(rooms.Last),
				rooms.Whenever.String(): g.loginAs(rooms.Whenever),
			},
		}},
	})
	if err != nil {
		return nil, err
	}
	g.bridge = b
	return g, nil
}

// ServeHTTP serves both transports on whatever path it is put.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.bridge.ServeHTTP(w, r) }

// Stats counts connections.
func (g *Gateway) Stats() engineio.Stats { return g.bridge.Engine().Stats() }

// Shutdown refuses new connections, closes those there are, spread over the time ctx leaves, and returns when no login
// is being worked on any more.
func (g *Gateway) Shutdown(ctx context.Context) error {
	return errors.Join(g.bridge.Shutdown(ctx), g.settle())
}

// Close is Shutdown without courtesy: all connections end at once.
func (g *Gateway) Close() error { return errors.Join(g.bridge.Close(), g.settle()) }

// settleTime is how long cancelled logins may take to end.
const settleTime = 2 * time.Second

// settle waits for the logins that were being worked on. All connections have closed, which cancelled them.
func (g *Gateway) settle() error {
	done := make(chan struct{})
	go func() { // ends with the last inbox
		g.busy.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(settleTime):
		return errors.New("socketio: a cancelled login does not end")
	}
}
