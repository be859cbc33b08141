package engineio

import (
	"runtime"
	"sync"
	"unsafe"
)

// writer joins what waits for one connection into one write(2). There are as many as cores; a session always has the
// same one. It never waits for a connection: what a socket does not take at once goes to a flusher.
type writer struct {
	srv   *Server
	index int // in Server.writers

	mu     sync.Mutex
	round  *sync.Cond // a round has begun
	list   []*Session // with something to write
	held   int        // batches that are not flushed yet
	behind int        // bytes that batches queued since a round began that left nobody out
	busy   bool       // a round is running or about to
	ended  bool

	wake chan struct{}
	done chan struct{} // closed when run has returned

	// Run's own.
	scratch []byte
	joined  []Frame // what scratch holds: in a fan-out most sessions have the same frames waiting
	tally   tally
}

const (
	// joinMax is the most bytes copied together; more goes out in pieces by a flusher.
	joinMax = 256 << 10
	// yieldEvery is after how many sessions the publishers get a turn: what they queue then joins this round's writes.
	yieldEvery = 64
)

func newWriter(srv *Server, index int) *writer {
	w := &writer{
		srv:   srv,
		index: index,
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
	w.round = sync.NewCond(&w.mu)
	return w
}

// add lists sessions that mark told to list, and wakes the writer.
func (w *writer) add(sessions ...*Session) {
	w.mu.Lock()
	w.list = append(w.list, sessions...)
	w.busy = true
	w.mu.Unlock()
	w.rouse()
}

// hold says that a batch may keep sessions that mark told to list; letGo lists them. What is queued for these in
// between, by whatever batch, the writer cannot write yet.
func (w *writer) hold() {
	w.mu.Lock()
	w.held++
	w.mu.Unlock()
}

func (w *writer) letGo(sessions []*Session) {
	w.mu.Lock()
	w.held--
	if len(sessions) == 0 {
		w.round.Broadcast()
		w.mu.Unlock()
		return
	}
	w.list = append(w.list, sessions...)
	w.busy = true
	w.mu.Unlock()
	w.rouse()
}

func (w *writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes until stop.
func (w *writer) run() {
	defer close(w.done)
	var list []*Session
	for range w.wake {
		for {
			w.mu.Lock()
			list, w.list = w.list, list[:0]
			if w.held == 0 { // else this round leaves out who is listed with a batch
				w.behind = 0
			}
			w.busy = len(list) > 0
			ended := w.ended
			w.round.Broadcast()
			w.mu.Unlock()
			if len(list) == 0 {
				if ended {
					return
				}
				break
			}
			for i, s := range list {
				list[i] = nil
				w.flush(s)
				if (i+1)%yieldEvery == 0 {
					runtime.Gosched()
				}
			}
			clear(w.joined)
			w.joined = w.joined[:0]
			w.srv.stats.wrote(&w.tally)
			if cap(list) > 1<<16 {
				list = nil
			}
		}
	}
}

// stop ends run after what is listed, lets waiting publishers go, and waits for run.
func (w *writer) stop() {
	w.mu.Lock()
	w.ended = true
	w.round.Broadcast()
	w.mu.Unlock()
	w.rouse()
	<-w.done
}

// pace waits while the writer is more than a quarter of a queue behind what batches publish. Without it a fast
// publisher would fill the queues of healthy clients before the writer comes round to them, and get them evicted.
func (w *writer) pace(n int) {
	w.mu.Lock()
	w.behind += n
	for w.behind > w.srv.o.MaxQueue/4 && (w.busy || w.held > 0) && !w.ended {
		w.round.Wait()
	}
	w.mu.Unlock()
}

// flush writes what waits for s.
func (w *writer) flush(s *Session) {
	s.mu.Lock()
	s.flags &^= listed
	c := s.conn
	if c == nil || s.flags.has(writing) || s.st == stClosed || s.q == nil {
		s.mu.Unlock()
		return
	}
	q, n := s.take(), int(s.queued)
	s.flags |= writing
	s.mu.Unlock()

	if n > joinMax || c.raw == nil {
		s.handOver(q, c)
		return
	}
	b := w.join(q.frames)
	wrote, err := c.writeNow(b)
	w.tally.add(len(q.frames), wrote)
	switch {
	case err != nil:
		q.free()
		s.mu.Lock()
		s.queued -= int32(n)
		s.flags &^= writing
		s.mu.Unlock()
		s.lost(ReasonClient)
	case wrote < len(b):
		s.mu.Lock()
		s.queued -= int32(wrote)
		s.mu.Unlock()
		q.skip(wrote)
		s.handOver(q, c)
	default:
		q.free()
		s.mu.Lock()
		s.queued -= int32(n)
		s.flags &^= writing
		s.wrote()
	}
}

// wrote goes on after everything that was taken has been written; mu is held on entry and released.
func (s *Session) wrote() {
	if s.q == nil && s.flags.has(last) && s.st == stClosing {
		s.sent()
		return
	}
	list := s.mark()
	s.mu.Unlock()
	if list {
		s.w.add(s)
	}
}

// lost ends the session because its connection is of no more use.
func (s *Session) lost(reason string) {
	s.mu.Lock()
	c := s.conn
	s.flags |= stuck
	s.mu.Unlock()
	s.end(ending{reason, true, closeNormal})
	c.kill()
}

// join puts frames behind one another. The bytes are valid until the next call.
func (w *writer) join(frames []Frame) []byte {
	if len(frames) == 1 {
		return frames[0]
	}
	if same(w.joined, frames) {
		return w.scratch
	}
	if cap(w.scratch) > joinMax {
		w.scratch = nil
	}
	b := w.scratch[:0]
	for _, f := range frames {
		b = append(b, f...)
	}
	w.scratch, w.joined = b, append(w.joined[:0], frames...)
	return b
}

// same tells whether two rows of frames are the very same bytes in memory.
func same(a, b []Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if len(a[i]) != len(b[i]) || unsafe.SliceData(a[i]) != unsafe.SliceData(b[i]) {
			return false
		}
	}
	return true
}
