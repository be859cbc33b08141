package bridge

import (
	"encoding/json"
	"strconv"

	"downlink/server/engineio"

	"github.com/zishang520/socket.io/v2/socket"
)

// Socket is one client in one namespace.
type Socket struct {
	// Data is the application's own. It is to be set in Connected.
	Data any

	ns   *namespace
	conn *conn
	id   string
	auth []byte // until Connected has it

	// Guarded by conn.mu.
	state  state
	reason string // why it left while it was entering

	// The library's socket emits through these.
	emitter socket.StrictEventEmitter
	events  socketEvents
}

// state says which of Connected and Closed have been called.
type state uint8

const (
	outside  state = iota // neither
	entering              // Connected is running
	body                  // Connected has returned
	gone                  // no more calls, but for Closed if it left while it was entering
)

func newSocket(c *conn, ns *namespace, auth []byte) *Socket {
	s := &Socket{ns: ns, conn: c, auth: auth}
	s.events.s = s
	s.emitter.EventEmitter = &s.events
	return s
}

// ID names the client in its namespace. It is unique over all servers and all time and known to the client.
func (s *Socket) ID() string { return s.id }

// Session is the connection below.
func (s *Socket) Session() *engineio.Session { return s.conn.s }

// Send queues frames together. It never blocks.
func (s *Socket) Send(frames ...engineio.Frame) { s.conn.s.Send(frames...) }

// Emit queues an event. args are the event's arguments as JSON values with commas between them, placeholders for
// attachments included; it may be empty.
func (s *Socket) Emit(name string, args []byte, attachments ...[]byte) {
	body := Quote(name)
	if len(args) > 0 {
		body += "," + string(args)
	}
	s.Send(frames(typeEvent, s.ns.prefix, "", body, attachments)...)
}

// enter calls Connected, unless the client has left already.
func (s *Socket) enter(connect engineio.Frame) {
	mu := &s.conn.mu
	mu.Lock()
	if s.state != outside {
		mu.Unlock()
		return
	}
	s.state = entering
	auth := s.auth
	s.auth = nil
	mu.Unlock()
	s.ns.Connected(s, connect, auth)
	mu.Lock()
	left := s.state == gone
	if !left {
		s.state = body
	}
	reason := s.reason
	mu.Unlock()
	if left {
		s.ns.Closed(s, reason)
	}
}

// leave calls Closed if Connected has returned; enter does it otherwise.
func (s *Socket) leave(reason string) {
	mu := &s.conn.mu
	mu.Lock()
	was := s.state
	if was != gone {
		s.state, s.reason = gone, reason
	}
	mu.Unlock()
	if was == body {
		s.ns.Closed(s, reason)
	}
}

// Event is one event from a client. It and what it holds are valid only until the handler returns, but for Ack.
type Event struct {
	// Args are the arguments as they came: JSON values with commas between them, placeholders for attachments
	// included. Empty for none.
	Args []byte
	// Attachments are the binary parts the placeholders stand for.
	Attachments [][]byte
	// Ack is how to answer.
	Ack Ack
}

// Values gives the arguments one by one, at most limit. It reports whether those are all.
func (e *Event) Values(limit int) (values []json.RawMessage, all bool) {
	v, rest := nextValue(e.Args)
	for len(v) > 0 {
		if len(values) == limit {
			return values, false
		}
		values = append(values, json.RawMessage(v))
		v, rest = nextValue(rest)
	}
	return values, true
}

// Ack is a client's wish to have an event acknowledged. It may be kept.
type Ack struct {
	prefix string
	id     uint64
	wanted bool
}

// Wanted tells whether the client waits for an answer.
func (a Ack) Wanted() bool { return a.wanted }

// Frames builds the answer, to be sent once, in one call; nil if none is wanted. args are as in Emit.
func (a Ack) Frames(args []byte, attachments ...[]byte) []engineio.Frame {
	if !a.wanted {
		return nil
	}
	return frames(typeAck, a.prefix, strconv.FormatUint(a.id, 10), string(args), attachments)
}
