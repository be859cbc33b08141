package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"downlink/server/engineio"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// Options configures a Server.
type Options struct {
	// Engine configures the engine below. Its Open must be nil: the bridge sets it.
	Engine engineio.Options
	// Namespaces by name. The main one, "/", must be among them: clients of protocol 3 enter it unasked. All others
	// are refused.
	Namespaces map[string]Namespace
	// ConnectTimeout is how long a client may stay without any namespace. Default 45 s.
	ConnectTimeout time.Duration
}

// Namespace is what an application does with one namespace. For one Socket first Connected is called, then events in
// the order they were sent, one at a time, last Closed; that one may come while an event's handler still runs.
type Namespace struct {
	// Connected is called when a client has been let in. It must send connect, the answer the client waits for, before
	// anything else. auth is the JSON object of the client's handshake, nil if it sent none.
	Connected func(s *Socket, connect engineio.Frame, auth []byte)
	// Events are the handlers by event name. They run on the goroutine that reads the connection, so they must not
	// wait for anything; s.Session().Pause keeps later events back. Events without a handler are ignored.
	Events map[string]func(s *Socket, e *Event)
	// Closed is called once for every Connected, after it returned, when the client left the namespace or its
	// connection closed.
	Closed func(s *Socket, reason string)
}

// Server speaks Socket.IO to clients: the library decides about sessions, our engine moves the bytes.
type Server struct {
	eng            *engineio.Server
	namespaces     map[string]*namespace
	connectTimeout time.Duration
	maxPartial     int // bytes of a packet with its attachments
	lib            *libraryEngine
	sio            *socket.Server
}

// namespace is one namespace on both sides.
type namespace struct {
	Namespace
	name   string
	prefix string // what its packets carry between type and id: empty for the main namespace
}

// New makes a Server and starts its engine. Shutdown or Close ends it.
func New(o Options) (*Server, error) {
	if o.Engine.Open != nil {
		return nil, errors.New("bridge: Options.Engine.Open is set")
	}
	if _, ok := o.Namespaces[mainNamespace]; !ok {
		return nil, errors.New("bridge: the main namespace has no handlers")
	}
	b := &Server{
		namespaces:     make(map[string]*namespace, len(o.Namespaces)),
		connectTimeout: o.ConnectTimeout,
		maxPartial:     o.Engine.MaxPayload,
	}
	if b.connectTimeout <= 0 {
		b.connectTimeout = 45 * time.Second
	}
	if b.maxPartial <= 0 {
		b.maxPartial = 1_000_000
	}
	b.bindLibrary(o.Namespaces)
	o.Engine.Open = b.open
	var err error
	if b.eng, err = engineio.New(o.Engine); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	return b, nil
}

// bindLibrary makes the library's server with our parser and adapter and puts a guard before each namespace.
func (b *Server) bindLibrary(namespaces map[string]Namespace) {
	o := socket.DefaultServerOptions()
	o.SetServeClient(false)
	o.SetParser(strictParser{})
	o.SetAdapter(roomless{})
	o.SetConnectTimeout(b.connectTimeout)
	b.lib = &libraryEngine{BaseServer: engine.MakeBaseServer(), request: emptyRequest()}
	b.lib.Construct(nil)
	b.sio = socket.NewServer(nil, o)
	b.sio.Bind(b.lib)
	for name, n := range namespaces {
		ns := &namespace{Namespace: n, name: name}
		if name != mainNamespace {
			ns.prefix = name + ","
		}
		b.namespaces[name] = ns
		of := b.sio.Of(name, nil)
		of.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			s.Conn().(*conn).entering(s)
			next(nil)
		})
		// It never fails: the name is valid and the listener is not nil.
		_ = of.On("connect", func(args ...any) {
			s := args[0].(*socket.Socket)
			s.Conn().(*conn).entered(s)
		})
	}
}

// emptyRequest stands for every client's request: the library copies its headers and its query into each session, and
// nobody reads them there. What is needed of a request the engine and its options have seen before.
func emptyRequest() *types.HttpContext {
	c := types.NewHttpContext(noResponse{}, &http.Request{URL: new(url.URL)})
	c.Flush() // ends the goroutine that waits for the request's end
	return c
}

type noResponse struct{}

func (noResponse) Header() http.Header         { return nil }
func (noResponse) Write(b []byte) (int, error) { return len(b), nil }
func (noResponse) WriteHeader(int)             {}

// ServeHTTP serves both transports.
func (b *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.eng.ServeHTTP(w, r) }

// Engine is the engine below, for batches and counts.
func (b *Server) Engine() *engineio.Server { return b.eng }

// Shutdown closes all connections, spread over the time ctx leaves, and returns when the last handler has returned.
func (b *Server) Shutdown(ctx context.Context) error { return b.eng.Shutdown(ctx) }

// Close closes all connections at once.
func (b *Server) Close() error { return b.eng.Close() }
