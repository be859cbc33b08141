package main

import (
	"context"
	"net/http"
	"sync/atomic"

	"downlink/rooms"
)

// tally is the journal, with the number of the last push it stored and of the last one handed to the hub. A stop waits
// until they are equal.
type tally struct {
	rooms.Journal
	stored    atomic.Uint64
	delivered atomic.Uint64
}

// Publish stores p and takes its number.
func (t *tally) Publish(ctx context.Context, p rooms.Push) (rooms.Receipt, error) {
	r, err := t.Journal.Publish(ctx, p)
	if err != nil || r.Duplicate {
		return r, err
	}
	for {
		last := t.stored.Load()
		if last >= r.Seq || t.stored.CompareAndSwap(last, r.Seq) {
			return r, nil
		}
	}
}

// Follow hands messages to deliver and takes their numbers once they are delivered.
func (t *tally) Follow(ctx context.Context, deliver func(*rooms.Message)) error {
	return t.Journal.Follow(ctx, func(m *rooms.Message) {
		deliver(m)
		t.delivered.Store(m.Seq)
	})
}

// waiting tells whether a stored push has not been handed to the hub yet.
func (t *tally) waiting() bool { return t.delivered.Load() < t.stored.Load() }

// inFlight counts the requests that next has not answered yet.
type inFlight struct {
	next   http.Handler
	n      atomic.Int64
	closed atomic.Bool
}

// ServeHTTP passes the request on.
func (f *inFlight) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.closed.Load() {
		f.n.Add(1)
		defer f.n.Add(-1)
	}
	f.next.ServeHTTP(w, r)
}

// close ends the counting. What comes from now on is refused by next and must not keep a stop waiting.
func (f *inFlight) close() { f.closed.Store(true) }
