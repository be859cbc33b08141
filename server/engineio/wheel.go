package engineio

import (
	"sync"
	"sync/atomic"
	"time"
)

// wheel runs all heartbeats and closing deadlines on one ticker. A session is in the list of one slot at most and may
// be called up to a tick early, so that a heartbeat never fails later than the client expects. Its lock is a leaf: it
// may be taken under a session's, and no session is locked under it.
type wheel struct {
	tick  int64 // nanoseconds
	clock func() int64
	stall atomic.Int64 // how long the process did not run; Server.clock leaves it out
	limit int64        // a tick that comes this much late means that the process did not run
	done  chan struct{}
	ended chan struct{}

	mu    sync.Mutex
	slots []*Session
	now   int64 // the tick that was run last

	// Run's own.
	last int64 // when advance was called last, by the clock
	due  []*Session
}

func newWheel(o *Options, clock func() int64) *wheel {
	tick := min(max(min(o.PingInterval, o.PingTimeout)/64, time.Millisecond), 250*time.Millisecond)
	longest := max(o.PingInterval, o.PingTimeout, lingerTime)
	return &wheel{
		last:  clock(),
		tick:  int64(tick),
		clock: clock,
		limit: int64(time.Second),
		done:  make(chan struct{}),
		ended: make(chan struct{}),
		slots: make([]*Session, int(longest/tick)+2),
	}
}

// add puts s where it is called at the given time of the clock, or up to a tick before; it leaves where it was. A time
// beyond the wheel's reach is cut to that: beat looks at the time itself.
func (w *wheel) add(s *Session, at int64) {
	w.mu.Lock()
	w.cut(s)
	n := min(max(at/w.tick, w.now+1), w.now+int64(len(w.slots))-1)
	i := n % int64(len(w.slots))
	s.slot = int32(i) + 1
	s.prev, s.next = nil, w.slots[i]
	if s.next != nil {
		s.next.prev = s
	}
	w.slots[i] = s
	w.mu.Unlock()
}

// remove takes s out.
func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	w.cut(s)
	w.mu.Unlock()
}

// cut is remove with mu held.
func (w *wheel) cut(s *Session) {
	if s.slot == 0 {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.slots[s.slot-1] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev, s.slot = nil, nil, 0
}

// run turns the wheel until stop.
func (w *wheel) run() {
	defer close(w.ended)
	t := time.NewTicker(time.Duration(w.tick))
	defer t.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-t.C:
			w.advance()
		}
	}
}

// advance turns the wheel to the present.
func (w *wheel) advance() {
	now := w.clock()
	if late := now - w.last - w.tick; late > w.limit {
		// The process was stopped, or its machine asleep. Clients' answers may lie in the sockets: nobody's time has passed.
		w.stall.Add(late)
		now -= late
	}
	w.last = now
	w.turn(now)
}

// turn calls all whose time has come.
func (w *wheel) turn(now int64) {
	w.mu.Lock()
	for to := now / w.tick; w.now < to; {
		w.now++
		head := &w.slots[w.now%int64(len(w.slots))]
		for s := *head; s != nil; s = *head {
			w.cut(s)
			w.due = append(w.due, s)
		}
	}
	w.mu.Unlock()
	for i, s := range w.due {
		w.due[i] = nil
		s.beat(now)
	}
	w.due = w.due[:0]
}

// stop ends run and waits for it.
func (w *wheel) stop() {
	close(w.done)
	<-w.ended
}
