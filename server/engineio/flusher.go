package engineio

import (
	"errors"
	"net"
	"os"
	"time"
)

// flushChunk is how much a flusher writes under one deadline.
const flushChunk = 64 << 10

// handOver starts a flusher for what the socket did not take. A flusher lives while the peer's window is full, or for
// the time of a write where there is no other way (TLS in the process). It ends when the queue is empty, when the peer
// takes nothing for Options.WriteTimeout, or when the connection is killed.
func (s *Session) handOver(q *queue, c *conn) {
	s.mu.Lock()
	if s.st == stClosed || s.flags.has(abandoned) && c.raw != nil {
		s.st = stClosed
		s.drop()
		s.flags &^= writing
		s.mu.Unlock()
		q.free()
		c.kill()
		return
	}
	s.flags |= stuck
	s.mu.Unlock()
	s.srv.tasks.start(func() { s.flusher(q, c) })
}

// flusher writes q and whatever is queued meanwhile.
func (s *Session) flusher(q *queue, c *conn) {
	var t tally
	var chunk net.Buffers
	for {
		frames, at := q.frames, 0 // at: bytes of frames[0] that are written
		for len(frames) > 0 {
			n := 0
			chunk = chunk[:0]
			for i := 0; i < len(frames) && n < flushChunk; i++ {
				f := frames[i]
				if i == 0 {
					f = f[at:]
				}
				f = f[:min(len(f), flushChunk-n)]
				chunk = append(chunk, f)
				n += len(f)
			}
			_ = c.nc.SetWriteDeadline(time.Now().Add(s.srv.o.WriteTimeout))
			out := chunk // WriteTo uses it up
			wrote, err := out.WriteTo(c.nc)
			t.add(0, int(wrote))
			s.mu.Lock()
			s.queued -= int32(wrote)
			gone := s.st == stClosed
			s.mu.Unlock()
			if err != nil || gone {
				s.srv.stats.wrote(&t)
				s.flushFailed(q, err)
				return
			}
			for n += at; len(frames) > 0 && n >= len(frames[0]); frames = frames[1:] {
				n -= len(frames[0])
				t.frames++
			}
			at = n
		}
		s.srv.stats.wrote(&t)
		q.free()
		s.mu.Lock()
		if q = s.take(); q == nil || s.st == stClosed {
			break
		}
		s.mu.Unlock()
	}
	if q != nil { // closed meanwhile: nobody counts any more
		q.free()
	}
	s.flags &^= writing | stuck
	s.wrote()
}

// flushFailed ends a session whose peer takes nothing or is gone.
func (s *Session) flushFailed(q *queue, err error) {
	q.free()
	reason := ReasonClient
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = ReasonWriteTimeout
	}
	s.lost(reason)
}

// skip takes n written bytes off the front.
func (q *queue) skip(n int) {
	i := 0
	for n >= len(q.frames[i]) {
		n -= len(q.frames[i])
		i++
	}
	rest := copy(q.frames, q.frames[i:])
	clear(q.frames[rest:])
	q.frames = q.frames[:rest]
	q.frames[0] = q.frames[0][n:]
}
