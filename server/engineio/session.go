package engineio

import (
	"sync"
	"time"
)

// state of a session. It only ever moves forward.
type state uint8

const (
	stOpening state = iota // Options.Open runs, OPEN is not written
	stOpen
	stClosing // over for the application; what is queued still goes out
	stClosed  // nothing goes out any more; a WebSocket may still wait for the peer to hang up
)

// Session is one client, whatever it is connected by. All methods may be called from anywhere, under locks too: none
// blocks, and none calls the Handler.
type Session struct {
	// Set once.
	srv *Server
	id  string
	w   *writer
	eio uint8 // protocol, 3 or 4
	b64 bool  // protocol 3: the client wants base64 even where bytes would do

	// in is held while inbound packets are handled, of POST bodies and of WebSockets alike: that is what keeps their order
	// over an upgrade. It guards held. It is taken before mu.
	in   sync.Mutex
	held []byte // packets read while paused, as hold puts them

	// The wheel's, guarded by its lock.
	next, prev *Session
	slot       int32 // 1 + index; 0: in none

	// mu guards the rest. It is never held while the Handler is called or anything is written.
	mu      sync.Mutex
	st      state
	flags   flags
	queued  int32   // bytes in q and in the hands of the writer or flusher
	q       *queue  // nil when empty
	h       Handler // nil while opening
	conn    *conn   // nil while polling
	up      *conn   // a WebSocket that is about to replace polling
	wake    chan struct{}
	addr    string        // peer of the handshake request, while polling
	life    chan struct{} // closed at the next sign of life; nil when nobody waits for one
	early   *ending       // Close or Kill while opening
	resumed chan struct{} // a POST waits for Resume
	heard   int64         // when the client was last heard, by Server.clock
	due     int64         // when the client has to be pinged, or has failed to answer, by Server.clock
}

// flags of a session, guarded by its mu.
type flags uint16

const (
	awaiting  flags = 1 << iota // a ping is unanswered
	probed                      // "2probe" came on the upgrading WebSocket
	reserved                    // an upgrade has the place but no connection yet
	polling                     // a GET waits
	posting                     // a POST is being handled
	bye                         // the client said it leaves
	hungUp                      // by a close frame: it waits for us to close the connection
	listed                      // in the writer's list
	writing                     // the writer or the flusher is at the connection
	stuck                       // it is the flusher: the peer's window is full
	last                        // the close frame is queued: nothing may come behind it
	abandoned                   // killed: do not wait for a peer that takes nothing
	paused                      // Pause was called
	parked                      // the reader has stopped because of that
)

func (f flags) has(x flags) bool { return f&x != 0 }

// ending is how a session is closed.
type ending struct {
	reason string
	hard   bool // drop what is queued
	code   uint16
}

// ID is the session's id: 20 characters of base64url, 120 random bits.
func (s *Session) ID() string { return s.id }

// Protocol is the Engine.IO version the client speaks: 3 or 4.
func (s *Session) Protocol() int { return int(s.eio) }

// Transport is "polling" or "websocket".
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return "polling"
	}
	return "websocket"
}

// Open tells whether messages still go both ways.
func (s *Session) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st <= stOpen && s.early == nil
}

// Upgrading tells whether a WebSocket has proved itself and is about to replace polling.
func (s *Session) Upgrading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags.has(probed) && s.conn == nil
}

// Queued is how many bytes wait for the client, frame headers included.
func (s *Session) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.queued)
}

// RemoteAddr is the peer's address as net/http writes it: of the WebSocket if there is one, else of the handshake.
func (s *Session) RemoteAddr() string {
	s.mu.Lock()
	c, addr := s.conn, s.addr
	s.mu.Unlock()
	if c == nil {
		return addr
	}
	return c.nc.RemoteAddr().String()
}

// Close ends the session after what is queued has gone out, which may take up to Options.PingTimeout. For the
// application it is over at once: Closed is called and nothing more is queued or delivered. Only the first Close or
// Kill counts.
func (s *Session) Close(reason string) { s.end(ending{reason, false, closeNormal}) }

// Kill ends the session without what is queued.
func (s *Session) Kill(reason string) { s.end(ending{reason, true, closeNormal}) }

// end closes the session. It neither blocks nor calls back: Closed runs on a goroutine of its own.
func (s *Session) end(e ending) {
	s.mu.Lock()
	switch s.st {
	case stOpening:
		if s.early == nil {
			s.early = &e
		}
		s.mu.Unlock()
		return
	case stClosing:
		if e.hard {
			s.abandon()
			return
		}
		fallthrough
	case stClosed:
		s.mu.Unlock()
		return
	}
	h, c, up := s.h, s.conn, s.up
	var list, kill, gone bool
	if c == nil {
		gone = s.endPolling(e.hard)
	} else {
		list, kill = s.endSocket(c, e)
	}
	if s.life != nil { // a probe of a closed session is answered: no
		close(s.life)
		s.life = nil
	}
	unpark := s.unpause()
	s.up = nil
	s.mu.Unlock()

	s.srv.count.Add(-1)
	s.srv.stats.closed(e.reason)
	if list {
		s.w.add(s)
	}
	if kill {
		c.kill()
	}
	if up != nil {
		up.kill()
	}
	if gone {
		s.srv.forget(s)
	}
	if unpark {
		s.srv.tasks.start(s.unpark)
	}
	s.srv.tasks.start(func() { s.srv.callClosed(h, s, e.reason) })
}

// endPolling is end for a session without WebSocket; mu is held. It tells whether nothing is left to do for the
// session.
func (s *Session) endPolling(hard bool) (gone bool) {
	if hard {
		s.drop()
	}
	wait := s.srv.o.PingTimeout
	if stopping := time.Duration(s.srv.lastPoll.Load()); stopping > 0 {
		wait = min(wait, stopping)
	}
	switch {
	case s.flags.has(bye):
		// The client's "1" and its poll go by separate connections: whichever comes second, the poll is answered.
		s.st, wait = stClosing, min(wait, lingerTime)
	case !hard && (s.q != nil || !s.flags.has(polling)):
		s.st = stClosing // the next poll fetches the queue, the one after it the "1"
	default:
		s.st = stClosed // a poll that waits gets the "1"
		gone = true
	}
	if !gone {
		s.srv.wheel.add(s, s.srv.clock()+int64(wait))
	}
	s.poke()
	return gone
}

// endSocket is end for a session on a WebSocket; mu is held. list: the writer has work; kill: the connection is of no
// use.
func (s *Session) endSocket(c *conn, e ending) (list, kill bool) {
	if c.broken || e.hard && s.flags.has(stuck) {
		s.st = stClosed
		s.drop()
		return false, !c.broken
	}
	if e.hard {
		s.drop()
		s.flags |= abandoned
	}
	s.push(closeFrame(e.code))
	s.flags |= last
	s.st = stClosing
	s.srv.wheel.add(s, s.srv.clock()+int64(s.srv.o.PingTimeout))
	return s.mark(), false
}

// abandon gives up what a closing session still has to send. mu is held on entry and released.
func (s *Session) abandon() {
	c := s.conn
	if c != nil && s.flags.has(last) && !s.flags.has(stuck) && s.flags.has(listed|writing) {
		s.flags |= abandoned // the close frame goes out in a moment
		s.mu.Unlock()
		return
	}
	s.st = stClosed
	s.drop()
	s.poke()
	s.mu.Unlock()
	if c != nil {
		c.kill() // the reader forgets the session
		return
	}
	s.srv.forget(s)
}

// lingerTime is how long the peer of a closed session may take to hang up, or to fetch the last poll.
const lingerTime = 2 * time.Second

// lastPollTime is how long a stopping server waits for a client between two polls to come back: one that is there does
// so at once.
const lastPollTime = 5 * time.Second

// sent is called when the close frame is on its way; mu is held on entry and released. Unless the peer sent one
// before, it is to hang up now: if we did first, what it sent meanwhile would reset the connection and it would not
// see our frame.
func (s *Session) sent() {
	s.st = stClosed
	s.drop()
	c, hungUp := s.conn, s.flags.has(hungUp)
	if !hungUp && !c.broken {
		s.srv.wheel.add(s, s.srv.clock()+int64(lingerTime))
	}
	s.mu.Unlock()
	if hungUp {
		c.kill()
	} else {
		c.closeWrite()
	}
}

// poke wakes the poll that waits; mu is held.
func (s *Session) poke() {
	if s.flags.has(polling) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}
