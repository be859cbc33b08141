package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an Engine.IO server: an http.Handler for the one path it is mounted at, and the sessions that came by it.
type Server struct {
	// Set once.
	o       Options
	start   time.Time
	tail    string // of the OPEN packet
	writers []*writer
	wheel   *wheel
	poll    *poller // nil where goroutines read

	count    atomic.Int64 // sessions open for the application
	refusing atomic.Bool  // no new sessions
	lastPoll atomic.Int64 // nanoseconds that Shutdown waits for a poll that does not come; 0 before
	stopped  atomic.Bool  // Close was called
	table    [tableSize]shard
	known    atomic.Int64 // sessions in the table
	none     chan struct{}
	tasks    tasks // readers, flushers, Closed calls
	stats    stats
	closing  sync.Once
}

const tableSize = 64

// shard is a part of the table of sessions.
type shard struct {
	mu sync.Mutex
	m  map[string]*Session
}

// New makes a Server and starts its writers, its wheel and its poller; Shutdown or Close ends them.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	srv := &Server{o: o, start: time.Now(), none: make(chan struct{}, 1)}
	srv.tail = fmt.Sprintf(`],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`,
		o.PingInterval.Milliseconds(), o.PingTimeout.Milliseconds(), o.MaxPayload)
	for i := range srv.table {
		srv.table[i].m = make(map[string]*Session)
	}
	if !o.Portable {
		if srv.poll, err = newPoller(); err != nil {
			o.Log.Warn("engine.io reads with a goroutine per connection", "err", err)
		}
	}
	srv.wheel = newWheel(&o, srv.clock)
	go srv.wheel.run()
	for i := range runtime.GOMAXPROCS(0) {
		w := newWriter(srv, i)
		srv.writers = append(srv.writers, w)
		go w.run()
	}
	return srv, nil
}

// clock is the time of heartbeats: nanoseconds since the start, less what the process was stopped for.
func (srv *Server) clock() int64 { return srv.clockAt(time.Now()) }

// clockAt is clock at another time.
func (srv *Server) clockAt(t time.Time) int64 {
	at := int64(t.Sub(srv.start))
	if srv.wheel != nil {
		at -= srv.wheel.stall.Load()
	}
	return at
}

// Count is how many sessions are open.
func (srv *Server) Count() int { return int(srv.count.Load()) }

// Range calls f for every session there is, those that are closing included. No lock is held.
func (srv *Server) Range(f func(*Session)) {
	var list []*Session
	for i := range srv.table {
		sh := &srv.table[i]
		sh.mu.Lock()
		list = list[:0]
		for _, s := range sh.m {
			list = append(list, s)
		}
		sh.mu.Unlock()
		for _, s := range list {
			f(s)
		}
	}
}

// place is where in the table an id belongs.
func place(id string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return int(h % tableSize)
}

// find returns the session of an id, or nil.
func (srv *Server) find(id string) *Session {
	sh := &srv.table[place(id)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m[id]
}

// errRefused is a session that was not opened.
var errRefused = errors.New("session refused")

// open makes a session and its handler and enters it. The session takes frames from the start; established makes it
// write them.
func (srv *Server) open(r *http.Request, eio uint8, b64 bool) (*Session, error) {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process rather than be predictable
	s := &Session{srv: srv, id: base64.RawURLEncoding.EncodeToString(b[:]), eio: eio, b64: b64, addr: r.RemoteAddr}
	i := place(s.id)
	s.w = srv.writers[i%len(srv.writers)]
	now := srv.clock()
	s.heard, s.due = now, now+int64(srv.o.PingInterval)
	if eio == 3 {
		s.due += int64(srv.o.PingTimeout)
	}
	h, err := srv.callOpen(s, r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.h = h
	s.mu.Unlock()
	srv.count.Add(1)
	srv.stats.opened.Add(1)
	sh := &srv.table[i]
	sh.mu.Lock()
	sh.m[s.id] = s
	sh.mu.Unlock()
	srv.known.Add(1)
	srv.wheel.add(s, s.due)
	if srv.refusing.Load() { // came while Shutdown or Close looked through the table
		s.Kill(ReasonShutdown)
	}
	return s, nil
}

// established makes a session write and read: on a WebSocket, or by polling when c is nil.
func (s *Session) established(c *conn) {
	s.mu.Lock()
	s.st, s.conn = stOpen, c
	if c != nil {
		s.addr = ""
	}
	early := s.early
	s.early = nil
	list := s.mark()
	s.mu.Unlock()
	if list {
		s.w.add(s)
	}
	if early != nil {
		s.end(*early)
	}
	if c != nil && s.srv.stopped.Load() { // nobody would write the close frame
		c.kill()
	}
}

// forget takes a session that is over out of the table and off the wheel.
func (srv *Server) forget(s *Session) {
	sh := &srv.table[place(s.id)]
	sh.mu.Lock()
	_, known := sh.m[s.id]
	delete(sh.m, s.id)
	sh.mu.Unlock()
	srv.wheel.remove(s)
	if known && srv.known.Add(-1) == 0 {
		select {
		case srv.none <- struct{}{}:
		default:
		}
	}
}

// openPacket is the handshake's answer; upgrades is the list's content.
func (srv *Server) openPacket(s *Session, upgrades string) Frame {
	return textPacket(`0{"sid":"` + s.id + `","upgrades":[` + upgrades + srv.tail)
}

// callOpen calls Options.Open.
func (srv *Server) callOpen(s *Session, r *http.Request) (h Handler, err error) {
	defer func() {
		if p := recover(); p != nil {
			srv.o.Log.Error("opening a session panicked", "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	if h = srv.o.Open(s, r); h == nil {
		return nil, errRefused
	}
	return h, nil
}

// callMessage calls Handler.Message; one client's message must not end the process.
func (srv *Server) callMessage(h Handler, s *Session, p []byte, binary bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			srv.o.Log.Error("handling a message panicked", "session", s.id, "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	if err := h.Message(p, binary); err != nil {
		return &errHandler{err}
	}
	return nil
}

// callClosed calls Handler.Closed. A client that is closed because it does not read is worth a line: nothing else tells
// an operator that the queue or the client's network is too small.
func (srv *Server) callClosed(h Handler, s *Session, reason string) {
	if reason == ReasonSlowReader || reason == ReasonWriteTimeout {
		srv.o.Log.Warn("client closed, it does not read", "reason", reason, "session", s.id, "addr", s.RemoteAddr())
	}
	defer func() {
		if p := recover(); p != nil {
			srv.o.Log.Error("closing a session panicked", "session", s.id, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	h.Closed(reason)
}

// closesPerSecond is how fast Shutdown closes sessions when it has the time: their clients come back elsewhere, or
// here.
const closesPerSecond = 1000

// Shutdown refuses new sessions with 503, closes the open ones after their queues, spread over at most four fifths of
// the time until ctx's deadline, waits for them and ends all goroutines. A client that polls and does not come back is
// given up after lastPollTime, or half of the time left by then. Shutdown returns ctx's error when that came first;
// then what was left has been cut off. It must not be called from a Handler.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.refusing.Store(true)
	var all []*Session
	srv.Range(func(s *Session) { all = append(all, s) })
	spread, lastPoll := time.Duration(len(all))*time.Second/closesPerSecond, lastPollTime
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		spread = min(spread, left*4/5)
		lastPoll = min(lastPoll, (left-spread)/2)
	}
	srv.lastPoll.Store(int64(max(lastPoll, 1)))
	const step = 10 * time.Millisecond
	steps := max(int(spread/step), 1)
	tick := time.NewTicker(step)
	defer tick.Stop()
	for i := 0; i < steps && ctx.Err() == nil; i++ {
		for _, s := range all[len(all)*i/steps : len(all)*(i+1)/steps] {
			s.Close(ReasonShutdown)
		}
		if i+1 < steps {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
	var err error
	for srv.known.Load() > 0 && err == nil {
		select {
		case <-srv.none:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return errors.Join(err, srv.Close())
}

// Close ends all sessions and goroutines at once and waits for them. It must not be called from a Handler.
func (srv *Server) Close() error {
	srv.closing.Do(func() {
		srv.refusing.Store(true)
		srv.stopped.Store(true)
		srv.Range(func(s *Session) {
			s.Kill(ReasonShutdown)
			s.mu.Lock()
			c, up := s.conn, s.up
			over := c == nil && s.st > stOpen
			s.mu.Unlock()
			if c != nil {
				c.kill()
			}
			if up != nil {
				up.kill()
			}
			if over {
				srv.forget(s)
			}
		})
		srv.tasks.wait()
		if srv.poll != nil {
			srv.poll.close()
		}
		for _, w := range srv.writers {
			w.stop()
		}
		srv.wheel.stop()
	})
	return nil
}

// tasks are the goroutines that come and go with sessions. Unlike a sync.WaitGroup it may be added to at any time.
type tasks struct {
	mu   sync.Mutex
	n    int
	idle *sync.Cond
}

func (t *tasks) add() {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
}

func (t *tasks) done() {
	t.mu.Lock()
	if t.n--; t.n == 0 && t.idle != nil {
		t.idle.Broadcast()
	}
	t.mu.Unlock()
}

// start runs f on a goroutine of its own.
func (t *tasks) start(f func()) {
	t.add()
	go func() {
		defer t.done()
		f()
	}()
}

// wait waits until none is left.
func (t *tasks) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = sync.NewCond(&t.mu)
	}
	for t.n > 0 {
		t.idle.Wait()
	}
}
