package engineio

import "sync"

// Batch sends the same frames to many sessions and wakes each writer once. It belongs to one goroutine, and is not to
// be used after Flush.
type Batch struct {
	srv    *Server
	frames []Frame
	size   int
	lists  [][]*Session // by writer: who has to be written to
	took   []bool       // by writer: whether any session took the frames
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

// Batch starts a fan-out of frames, which must not be changed any more. It has to be flushed, soon: meanwhile other
// batches wait in their Flush.
func (srv *Server) Batch(frames ...Frame) *Batch {
	b := batches.Get().(*Batch)
	b.srv, b.frames, b.size = srv, frames, 0
	for _, f := range frames {
		b.size += len(f) + frameCost
	}
	if n := len(srv.writers); len(b.lists) != n {
		b.lists, b.took = make([][]*Session, n), make([]bool, n)
	}
	for _, w := range srv.writers {
		w.hold()
	}
	return b
}

// Add queues the frames for s, all together. It never blocks and writes nothing; the caller may hold locks.
func (b *Batch) Add(s *Session) {
	list, took := s.enqueue(b.frames)
	i := s.w.index
	if list {
		b.lists[i] = append(b.lists[i], s)
	}
	if took {
		b.took[i] = true
	}
}

// Flush starts the writing. While a writer is far behind it waits for it, so no lock may be held that a Handler, or
// anyone who queues, may need. It does not wait for clients.
func (b *Batch) Flush() {
	for i, w := range b.srv.writers {
		l := b.lists[i]
		w.letGo(l)
		clear(l)
		b.lists[i] = l[:0]
	}
	for i, w := range b.srv.writers {
		if b.took[i] {
			w.pace(b.size)
			b.took[i] = false
		}
	}
	b.srv, b.frames = nil, nil
	batches.Put(b)
}
