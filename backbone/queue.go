package backbone

import "sync"

// queue holds live messages between the link's reader and one follower. When it is full it drops: the reader must
// never wait, and the follower reads what is missing from the stream.
type queue struct {
	limit int
	wake  chan struct{} // of 1: there is something

	mu      sync.Mutex
	items   []live
	dropped bool
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// add appends m, or drops it.
func (q *queue) add(m live) {
	q.mu.Lock()
	n := len(q.items)
	if n < q.limit {
		q.items = append(q.items, m)
	} else {
		q.dropped = true
	}
	q.mu.Unlock()
	if n == 0 {
		q.signal()
	}
}

// doubt makes the follower look whether it lacks something.
func (q *queue) doubt() {
	q.mu.Lock()
	q.dropped = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits, and whether something was dropped since the last take. free is what the last take
// returned, emptied: it is used again.
func (q *queue) take(free []live) (items []live, dropped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, dropped = q.items, q.dropped
	q.items, q.dropped = free[:0], false
	return items, dropped
}
