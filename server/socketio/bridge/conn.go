package bridge

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"downlink/server/engineio"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// conn is one connection: the engine's handler on one side, the library's engine.Socket (library.go) on the other.
type conn struct {
	deaf
	b *Server
	s *engineio.Session

	// Owned by Message, which is never called twice at a time.
	partial *partial

	mu      sync.Mutex
	closed  bool
	sockets []*Socket   // those entered or entering, at most one per namespace
	turn    *Socket     // the one the library is busy with; nothing is read meanwhile
	resume  func()      // what ends that wait
	late    *time.Timer // ends a connection without namespaces
	lib     struct {
		data, close types.Listener // nil before the first CONNECT and after the end
	}
}

// partial is a packet that still waits for attachments.
type partial struct {
	packet packet
	got    [][]byte
	size   int // bytes of the whole
}

// open is called by the engine for a new connection, before the client has learnt of it.
func (b *Server) open(s *engineio.Session, _ *http.Request) engineio.Handler {
	c := &conn{b: b, s: s}
	if s.Protocol() == 3 {
		c.enterUnasked()
		return c
	}
	c.late = time.AfterFunc(b.connectTimeout, func() { s.Close("connect timeout") })
	return c
}

// enterUnasked brings a client of protocol 3 into the main namespace: it sends no CONNECT for that one. The library has
// finished when this returns, so the answer is the first thing queued. Source: Socket.IO protocol v4.
func (c *conn) enterUnasked() {
	done := make(chan struct{})
	c.begin(newSocket(c, c.b.namespaces[mainNamespace], nil), func() { close(done) })
	c.b.lib.Emit("connection", engine.Socket(c))
	<-done
}

// Message takes one inbound message. An error closes the connection, and so does a panic: the engine sees to that.
func (c *conn) Message(p []byte, binary bool) error {
	if binary {
		return c.attachment(p)
	}
	if c.partial != nil {
		return errInterleaved
	}
	k, err := decode(p)
	if err != nil {
		return err
	}
	if k.attachments > 0 {
		k.own()
		c.partial = &partial{packet: k, size: len(p)}
		return nil
	}
	return c.handle(&k, nil)
}

// own copies what a packet keeps of the input.
func (p *packet) own() {
	p.data, p.name, p.args = nil, bytes.Clone(p.name), bytes.Clone(p.args)
}

func (c *conn) attachment(b []byte) error {
	p := c.partial
	if p == nil {
		return errStray
	}
	if p.size += len(b); p.size > c.b.maxPartial {
		return errTooLarge
	}
	p.got = append(p.got, bytes.Clone(b))
	if len(p.got) < p.packet.attachments {
		return nil
	}
	c.partial = nil
	return c.handle(&p.packet, p.got)
}

func (c *conn) handle(p *packet, attachments [][]byte) error {
	if p.kind == typeConnect {
		return c.connect(p)
	}
	s := c.find(p.namespace)
	if s == nil {
		return errState
	}
	switch p.kind {
	case typeDisconnect:
		c.disconnect(s)
	case typeEvent, typeBinaryEvent:
		if h := s.ns.Events[string(p.name)]; h != nil {
			h(s, &Event{Args: p.args, Attachments: attachments, Ack: Ack{prefix: s.ns.prefix, id: p.id, wanted: p.hasID}})
		}
	} // acknowledgements: we ask for none, and one nobody waits for is ignored as in the reference server
	return nil
}

func (c *conn) find(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.ns.name == namespace {
			return s
		}
	}
	return nil
}

// connect lets the library decide on a CONNECT. Nothing more is read until it has: it works in a goroutine of its own,
// and what comes behind CONNECT may need its outcome.
func (c *conn) connect(p *packet) error {
	path := p.namespace
	if c.s.Protocol() == 3 {
		path = p.path()
	}
	ns := c.b.namespaces[path]
	if ns == nil {
		c.s.Send(refusal(path))
		return nil
	}
	if c.find(path) != nil {
		return errAgain
	}
	c.s.Pause()
	c.begin(newSocket(c, ns, bytes.Clone(p.data)), c.s.Resume)
	if c.libraryData() == nil {
		c.b.lib.Emit("connection", engine.Socket(c))
	}
	c.toLibrary(&parser.Packet{Type: parser.CONNECT, Nsp: path})
	return nil
}

// refusal is CONNECT_ERROR for a namespace that does not exist. Clients of protocol 3 get the object too, though that
// protocol's examples have a bare string: so does the reference server, and they pass either on to the page.
func refusal(namespace string) engineio.Frame {
	return engineio.TextMessage("4", namespace, `,{"message":"Invalid namespace"}`)
}

func (c *conn) disconnect(s *Socket) {
	c.s.Pause()
	c.mu.Lock()
	c.turn, c.resume = s, c.s.Resume
	c.mu.Unlock()
	c.toLibrary(&parser.Packet{Type: parser.DISCONNECT, Nsp: s.ns.name})
}

// begin notes that the library is about to work on s; resume is called when it has done so or the connection closes.
func (c *conn) begin(s *Socket, resume func()) {
	c.mu.Lock()
	c.sockets = append(c.sockets, s)
	c.turn, c.resume = s, resume
	c.mu.Unlock()
}

func (c *conn) libraryData() types.Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lib.data
}

func (c *conn) toLibrary(p *parser.Packet) {
	if data := c.libraryData(); data != nil {
		data(p)
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed { // while the library made its client, which then missed the end
		c.end("transport close")
	}
}

// entering is called by the library for a socket it has made and not told anybody about.
func (c *conn) entering(s *socket.Socket) {
	c.mu.Lock()
	turn := c.turn
	c.mu.Unlock()
	turn.id = string(s.Id())
	s.StrictEventEmitter = &turn.emitter
	*s.Handshake() = socket.Handshake{} // nobody reads it, and it holds copies of the request
}

// connected is called by the library instead of writing its answer to CONNECT.
func (c *conn) connected(f engineio.Frame) {
	c.mu.Lock()
	turn := c.turn
	if c.late != nil {
		c.late.Stop()
		c.late = nil
	}
	c.mu.Unlock()
	turn.enter(f)
}

// entered is called when the library has registered a socket: the last step of CONNECT.
func (c *conn) entered(s *socket.Socket) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed { // the library's own clean-up may have run before it registered this one
		s.Disconnect(false)
	}
	c.endTurn()
}

// left is called when the library has let go of a socket, and for each when the connection has closed.
func (c *conn) left(s *Socket, reason string) {
	c.mu.Lock()
	for i, x := range c.sockets {
		if x == s {
			last := len(c.sockets) - 1
			c.sockets[i], c.sockets[last] = c.sockets[last], nil
			c.sockets = c.sockets[:last]
			break
		}
	}
	turn := c.turn == s
	c.mu.Unlock()
	s.leave(reason)
	if turn {
		c.endTurn()
	}
}

// endTurn lets the connection read on.
func (c *conn) endTurn() {
	c.mu.Lock()
	resume := c.resume
	c.turn, c.resume = nil, nil
	c.mu.Unlock()
	if resume != nil {
		resume()
	}
}

// Closed is called by the engine once, when the connection has ended.
func (c *conn) Closed(reason string) {
	c.mu.Lock()
	c.closed = true
	sockets := c.sockets
	c.sockets = nil
	if c.late != nil {
		c.late.Stop()
	}
	resume := c.resume // turn stays: the library may still be at it
	c.resume = nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(reason)
	}
	c.end(reason)
	if resume != nil {
		resume()
	}
}

// end makes the library forget the connection.
func (c *conn) end(reason string) {
	c.mu.Lock()
	f := c.lib.close
	c.lib.close = nil
	c.mu.Unlock()
	if f != nil {
		f(reason)
	}
}
