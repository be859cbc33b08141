package engineio

import "sync"

// queue holds what waits for one client. Its bytes are counted in Session.queued and bounded by Options.MaxQueue: a
// client that does not read loses its session, nobody waits for it and nothing is dropped from the middle. Queues are
// pooled: an idle session has none.
type queue struct {
	frames []Frame
}

const (
	queueStart = 8    // frames of a fresh queue
	queueKeep  = 1024 // longer ones are not pooled
)

var queues = sync.Pool{New: func() any { return &queue{make([]Frame, 0, queueStart)} }}

// free gives a queue back.
func (q *queue) free() {
	clear(q.frames)
	q.frames = q.frames[:0]
	if cap(q.frames) <= queueKeep {
		queues.Put(q)
	}
}

// push queues a frame; mu is held.
func (s *Session) push(f Frame) {
	if s.eio == 3 {
		f = frame3(f)
	}
	if s.q == nil {
		s.q = queues.Get().(*queue)
	}
	s.q.frames = append(s.q.frames, f)
	s.queued += int32(len(f))
}

// frameCost is what a waiting frame takes besides its bytes: a slice header, and some of a queue that grows. Without it
// a client that sends empty pings and does not read would hold many times MaxQueue.
const frameCost = 32

// load is how much of MaxQueue is taken; mu is held.
func (s *Session) load() int {
	n := int(s.queued)
	if s.q != nil {
		n += frameCost * len(s.q.frames)
	}
	return n
}

// drop forgets what is queued; mu is held. What the writer or flusher has in hand stays counted until they are done.
func (s *Session) drop() {
	if s.q == nil {
		return
	}
	for _, f := range s.q.frames {
		s.queued -= int32(len(f))
	}
	s.q.free()
	s.q = nil
}

// take empties the queue without uncounting it; mu is held. Nil when there is nothing.
func (s *Session) take() *queue {
	q := s.q
	s.q = nil
	return q
}

// mark tells whether the session has to be put into its writer's list; mu is held.
func (s *Session) mark() bool {
	if s.conn == nil || s.q == nil || s.flags.has(listed|writing) || s.st == stClosed || s.st == stOpening {
		return false
	}
	s.flags |= listed
	return true
}

// Send queues frames, all together and in order, and starts the writing. It never blocks. A closed session takes
// nothing.
func (s *Session) Send(frames ...Frame) {
	if list, _ := s.enqueue(frames); list {
		s.w.add(s)
	}
}

// enqueue tells whether the session has to be listed for the writer, and whether it took the frames.
func (s *Session) enqueue(frames []Frame) (list, took bool) {
	s.mu.Lock()
	if s.st > stOpen || s.early != nil {
		s.mu.Unlock()
		return false, false
	}
	for _, f := range frames {
		s.push(f)
	}
	if s.load() > s.srv.o.MaxQueue {
		s.mu.Unlock()
		s.end(ending{ReasonSlowReader, true, closePolicy})
		return false, false
	}
	list = s.mark()
	s.poke()
	s.mu.Unlock()
	return list, true
}
