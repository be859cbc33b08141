package bridge

import (
	"io"

	"downlink/server/engineio"

	eio "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// This file is what the library sees of us: an engine that tells it of connections, a connection, a parser and an
// adapter. Each does as little as the library's own use of it allows.

// libraryEngine is the engine the library is bound to. It only emits "connection".
type libraryEngine struct {
	engine.BaseServer
	request *types.HttpContext // every client's
}

// deaf is an emitter that neither keeps listeners nor calls any.
type deaf struct{}

func (deaf) AddListener(types.EventName, ...types.Listener) error { return nil }
func (deaf) On(types.EventName, ...types.Listener) error          { return nil }
func (deaf) Once(types.EventName, ...types.Listener) error        { return nil }
func (deaf) Emit(types.EventName, ...any)                         {}
func (deaf) EventNames() []types.EventName                        { return nil }
func (deaf) ListenerCount(types.EventName) int                    { return 0 }
func (deaf) Listeners(types.EventName) []types.Listener           { return nil }
func (deaf) RemoveAllListeners(types.EventName) bool              { return false }
func (deaf) RemoveListener(types.EventName, types.Listener) bool  { return false }
func (deaf) Clear()                                               {}
func (deaf) Len() int                                             { return 0 }
func (deaf) GetMaxListeners() uint                                { return 0 }
func (deaf) SetMaxListeners(uint)                                 {}

// socketEvents replaces the emitter of a library socket: three maps less per connection, and the only event of use is
// heard.
type socketEvents struct {
	deaf
	s *Socket
}

func (e *socketEvents) Emit(name types.EventName, args ...any) {
	if name == "disconnect" {
		e.s.conn.left(e.s, args[0].(string))
	}
}

// strictParser gives the library a decoder that only passes on what our own decoder has let through.
type strictParser struct{}

func (strictParser) NewEncoder() parser.Encoder { return parser.NewEncoder() }
func (strictParser) NewDecoder() parser.Decoder { return new(tap) }

// tap hands ready packets to the library's client.
type tap struct {
	deaf
	decoded types.Listener
}

func (t *tap) On(_ types.EventName, ls ...types.Listener) error {
	t.decoded = ls[0]
	return nil
}

func (t *tap) Add(p any) error {
	t.decoded(p)
	return nil
}

func (*tap) Destroy() {}

// roomless makes adapters that keep no rooms: the library would put each socket into a room of its own.
type roomless struct{}

func (roomless) New(n socket.Namespace) socket.Adapter {
	a := &roomlessAdapter{Adapter: socket.MakeAdapter()}
	a.Prototype(a)
	a.Construct(n)
	return a
}

type roomlessAdapter struct{ socket.Adapter }

func (*roomlessAdapter) AddAll(socket.SocketId, *types.Set[socket.Room]) {}

// The library's view of a conn, engine.Socket. The listeners are set and cleared by the library's client.

func (c *conn) On(name types.EventName, ls ...types.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "data" {
		c.lib.data = ls[0]
	}
	return nil
}

func (c *conn) Once(name types.EventName, ls ...types.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "close" {
		c.lib.close = ls[0]
	}
	return nil
}

func (c *conn) RemoveListener(name types.EventName, _ types.Listener) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch name {
	case "data":
		c.lib.data = nil
	case "close":
		c.lib.close = nil
	}
	return true
}

// Write queues what the library has encoded: the answer to CONNECT.
func (c *conn) Write(r io.Reader, _ *eio.Options, _ engine.SendCallback) engine.Socket {
	text, err := io.ReadAll(r)
	if err != nil || len(text) == 0 {
		return c // a buffer in memory: it never fails
	}
	f := engineio.TextMessage(string(text))
	if text[0] == typeConnect {
		c.connected(f)
	} else {
		c.s.Send(f)
	}
	return c
}

func (c *conn) Send(r io.Reader, o *eio.Options, f engine.SendCallback) engine.Socket {
	return c.Write(r, o, f)
}

// ReadyState is about this connection only as far as the library may know it: closed comes after Closed has begun, so
// that a CONNECT that races the end is always either refused or undone.
func (c *conn) ReadyState() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return "closed"
	}
	return "open"
}

func (c *conn) Close(bool)                  { c.s.Close("forced close") }
func (c *conn) Id() string                  { return c.s.ID() } //nolint:revive // the library's spelling
func (c *conn) Protocol() int               { return c.s.Protocol() }
func (c *conn) Request() *types.HttpContext { return c.b.lib.request }
func (c *conn) RemoteAddress() string       { return c.s.RemoteAddr() }

// Transport is asked for only before a volatile packet, and we send none.
func (c *conn) Transport() transports.Transport { return nil }

func (c *conn) Upgraded() bool                    { return false }
func (c *conn) Upgrading() bool                   { return c.s.Upgrading() }
func (c *conn) SetReadyState(string)              {}
func (c *conn) MaybeUpgrade(transports.Transport) {}
func (c *conn) Construct(string, engine.BaseServer, transports.Transport, *types.HttpContext, int) {
}
