package engineio

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats are counters of a Server since it was made, and what is open now.
type Stats struct {
	Open     int               // sessions open now
	Opened   uint64            // sessions ever opened
	Upgraded uint64            // of them, moved from polling to WebSocket
	Closed   map[string]uint64 // sessions closed, by reason; see the Reason constants
	Frames   uint64            // frames written to WebSockets
	Bytes    uint64            // bytes of them
	Writes   uint64            // writes they took: Frames/Writes is how many were joined
	Polls    uint64            // polls answered
	Polled   uint64            // bytes of their bodies
}

// maxReasons bounds the reasons counted apart; more are "other".
const maxReasons = 64

// stats counts.
type stats struct {
	opened, upgraded      atomic.Uint64
	frames, bytes, joined atomic.Uint64
	polls, polledBytes    atomic.Uint64

	mu      sync.Mutex
	reasons map[string]uint64
}

// tally is what one writer or flusher did since it last told.
type tally struct{ frames, bytes, writes uint64 }

func (t *tally) add(frames, bytes int) {
	t.frames += uint64(frames)
	t.bytes += uint64(bytes)
	t.writes++
}

func (s *stats) wrote(t *tally) {
	s.frames.Add(t.frames)
	s.bytes.Add(t.bytes)
	s.joined.Add(t.writes)
	*t = tally{}
}

func (s *stats) polled(n int) {
	s.polls.Add(1)
	s.polledBytes.Add(uint64(n))
}

func (s *stats) closed(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reasons == nil {
		s.reasons = make(map[string]uint64)
	}
	if _, known := s.reasons[reason]; !known && len(s.reasons) >= maxReasons {
		reason = "other"
	}
	s.reasons[reason]++
}

// Stats returns the counters.
func (srv *Server) Stats() Stats {
	s := &srv.stats
	s.mu.Lock()
	closed := maps.Clone(s.reasons)
	s.mu.Unlock()
	return Stats{
		Open:     srv.Count(),
		Opened:   s.opened.Load(),
		Upgraded: s.upgraded.Load(),
		Closed:   closed,
		Frames:   s.frames.Load(),
		Bytes:    s.bytes.Load(),
		Writes:   s.joined.Load(),
		Polls:    s.polls.Load(),
		Polled:   s.polledBytes.Load(),
	}
}
