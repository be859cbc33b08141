package backbone

import (
	"context"
	"sync"
)

// maxInFlight is the most publishes of one kind that wait for their acknowledgement at the same time.
const maxInFlight = 256

// maxUndelivered is the most bytes that may be on their way from publishers to followers. One message may always go.
const maxUndelivered = 64 << 20

// window holds publishers back while too much is on its way to this node's slowest follower. What is on its way is
// what has been sent and not acknowledged, and what has been acknowledged and not delivered. Waiting publishers are
// let in in the order they came. Without a follower only the unacknowledged count.
type window struct {
	size  int   // set once: most messages on their way
	bytes int64 // set once: most bytes on their way

	mu      sync.Mutex
	sent    int    // publishes let in and not yet out again
	top     uint64 // highest acknowledged number
	low     uint64 // what the slowest cursor has passed; meaningless without cursors
	cursors map[*cursor]struct{}
	held    int64         // bytes on their way
	sizes   []int32       // bytes of the acknowledged messages low+1 … low+len, by number modulo len
	queue   []*waiter     // publishers waiting to be let in
	free    []*slot       // acknowledgement slots not in use
	moved   chan struct{} // closed when low moves on or the cursors change; nil if nobody waits
}

// cursor is how far one follower has got.
type cursor struct {
	at uint64 // guarded by window.mu
}

type waiter struct {
	bytes int
	ready chan struct{} // closed when let in
}

// newWindow returns a window of size messages and that many bytes.
func newWindow(size int, bytes int64) *window {
	n := 1
	for n < size {
		n *= 2
	}
	return &window{size: size, bytes: bytes, cursors: make(map[*cursor]struct{}), sizes: make([]int32, n)}
}

// enter waits until a message of n bytes may be sent. Every enter without error needs one leave.
func (w *window) enter(ctx context.Context, n int) (*slot, error) {
	w.mu.Lock()
	if len(w.queue) == 0 && w.fits(n) {
		s := w.admit(n)
		w.mu.Unlock()
		return s, nil
	}
	me := &waiter{bytes: n, ready: make(chan struct{})}
	w.queue = append(w.queue, me)
	w.mu.Unlock()

	select {
	case <-me.ready:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.takeSlot(), nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, q := range w.queue {
		if q == me {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			w.wake() // the one behind may be smaller
			return nil, context.Cause(ctx)
		}
	}
	// Let in and given up at the same moment.
	w.out(0, n)
	return nil, context.Cause(ctx)
}

// leave ends what enter began. seq is the number that the message was stored under, 0 if it was not. s is nil if the
// slot must not be used again.
func (w *window) leave(s *slot, seq uint64, n int) {
	w.mu.Lock()
	if s != nil {
		w.free = append(w.free, s)
	}
	w.out(seq, n)
	w.mu.Unlock()
}

// join makes w wait for a new follower, which has passed everything up to seq.
func (w *window) join(c *cursor, seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.cursors) == 0 {
		w.low = max(w.low, seq)
	}
	c.at = seq
	w.cursors[c] = struct{}{}
	w.slowest()
}

// part makes w forget a follower.
func (w *window) part(c *cursor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.cursors, c)
	w.slowest()
}

// passed says that a follower needs nothing up to seq any more.
func (w *window) passed(c *cursor, seq uint64) {
	w.mu.Lock()
	c.at = seq
	if len(w.cursors) == 1 {
		w.advance(seq)
	} else {
		w.slowest()
	}
	w.mu.Unlock()
}

// await waits until every follower has passed seq. It is an error if there is none.
func (w *window) await(ctx context.Context, seq uint64) error {
	for {
		w.mu.Lock()
		switch {
		case len(w.cursors) == 0:
			w.mu.Unlock()
			return errNoFollower
		case w.low >= seq:
			w.mu.Unlock()
			return nil
		}
		if w.moved == nil {
			w.moved = make(chan struct{})
		}
		moved := w.moved
		w.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// raise says that everything up to seq may be on its way.
func (w *window) raise(seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.top = max(w.top, seq)
}

// highest is the highest acknowledged number.
func (w *window) highest() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.top
}

// slowest moves low to the slowest cursor. w.mu is held, as for all below.
func (w *window) slowest() {
	if len(w.cursors) == 0 {
		w.advance(max(w.low, w.top))
		return
	}
	at := ^uint64(0)
	for c := range w.cursors {
		at = min(at, c.at)
	}
	w.advance(at)
}

func (w *window) advance(to uint64) {
	if to > w.low {
		steps := min(to-w.low, uint64(len(w.sizes)))
		for seq := w.low + 1; seq <= w.low+steps; seq++ {
			i := seq & uint64(len(w.sizes)-1)
			w.held -= int64(w.sizes[i])
			w.sizes[i] = 0
		}
		w.low = to
	}
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
	w.wake()
}

// out counts one publish out.
func (w *window) out(seq uint64, n int) {
	w.sent--
	w.top = max(w.top, seq)
	if len(w.cursors) > 0 && seq > w.low && seq-w.low <= uint64(len(w.sizes)) {
		w.sizes[seq&uint64(len(w.sizes)-1)] = int32(n) // given back when the slowest follower passes it
	} else {
		w.held -= int64(n)
	}
	w.wake()
}

func (w *window) fits(n int) bool {
	late := 0
	if len(w.cursors) > 0 && w.top > w.low {
		late = int(min(w.top-w.low, uint64(w.size)))
	}
	return w.sent < maxInFlight && w.sent+late < w.size && (w.held == 0 || w.held+int64(n) <= w.bytes)
}

func (w *window) admit(n int) *slot {
	w.sent++
	w.held += int64(n)
	return w.takeSlot()
}

// takeSlot returns an idle slot, or nil if a new one has to be made.
func (w *window) takeSlot() *slot {
	if len(w.free) == 0 {
		return nil
	}
	s := w.free[len(w.free)-1] // the one used last: fewer of them are ever made
	w.free = w.free[:len(w.free)-1]
	return s
}

func (w *window) wake() {
	for len(w.queue) > 0 && w.fits(w.queue[0].bytes) {
		q := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.sent++
		w.held += int64(q.bytes)
		close(q.ready)
	}
}
