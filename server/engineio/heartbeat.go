package engineio

import (
	"context"
	"time"
)

// Frames of the heartbeat. The empty control ping is how a protocol 3 client, which never answers a ping packet, is
// probed.
var (
	pingFrame   = textPacket("2")
	noopFrame   = textPacket("6")
	controlPing = controlFrame(opPing, nil)
	probeAnswer = textPacket("3probe")
)

// hear notes a sign of life.
func (s *Session) hear() {
	now := s.srv.clock()
	s.mu.Lock()
	s.noteLife(now)
	s.mu.Unlock()
}

// noteLife is hear with mu held.
func (s *Session) noteLife(now int64) {
	s.heard = now
	if s.eio == 3 {
		s.flags &^= awaiting
		s.due = now + int64(s.srv.o.PingInterval+s.srv.o.PingTimeout)
	}
	if s.life != nil {
		close(s.life)
		s.life = nil
	}
}

// pong notes the answer to a ping: the next one is due an interval from now. As a rule that is later than where the
// wheel has the session, and the wheel learns of it when it comes by.
func (s *Session) pong() {
	now := s.srv.clock()
	s.mu.Lock()
	if s.flags.has(awaiting) {
		s.flags &^= awaiting
		next := now + int64(s.srv.o.PingInterval)
		if next < s.due {
			s.srv.wheel.add(s, next)
		}
		s.due = next
	}
	s.mu.Unlock()
}

// ask sends a ping, or whatever else makes the client give a sign of life; mu is held. It tells whether the writer has
// work.
func (s *Session) ask() (list bool) {
	s.flags |= awaiting
	switch {
	case s.eio != 3:
		s.push(pingFrame)
	case s.conn != nil:
		s.push(controlPing)
	default:
		s.push(noopFrame)
	}
	s.poke()
	return s.mark()
}

// overdue tells whether the client has failed its heartbeat, even if the wheel has not come by yet; mu is held.
func (s *Session) overdue(now int64) bool {
	return s.st == stOpen && now >= s.due && !s.flags.has(paused) && (s.eio == 3 || s.flags.has(awaiting))
}

// beat is called by the wheel when the session's time may have come.
func (s *Session) beat(now int64) {
	o := &s.srv.o
	again := func(at int64) {
		s.srv.wheel.add(s, at)
		s.mu.Unlock()
	}
	s.mu.Lock()
	switch {
	case s.st == stClosed: // the peer has not hung up
		c := s.conn
		s.mu.Unlock()
		if c != nil {
			c.kill()
		}
	case s.st == stClosing:
		s.flags &^= listed // whatever the writer is at, it has had its time
		s.abandon()
	case s.st == stOpening:
		again(now + int64(o.PingInterval))
	case s.due > now+s.srv.wheel.tick:
		again(s.due)
	case s.flags.has(paused) && s.eio == 3:
		s.due = now + int64(o.PingTimeout)
		again(s.due)
	case s.flags.has(paused) && s.flags.has(awaiting): // its answers lie unread, but it still has to hear from us
		s.due = now + int64(o.PingInterval)
		list := s.ask()
		again(s.due)
		if list {
			s.w.add(s)
		}
	case s.eio == 3 || s.flags.has(awaiting):
		s.mu.Unlock()
		s.end(ending{ReasonPingTimeout, true, closeNormal})
	default:
		// From the time the ping was due, not from now: the client counts like that, and our timeout must not come after
		// its own. Unless we are so late that it would have no chance.
		if late := now - s.due; late > int64(o.PingTimeout)/2 {
			s.due = now
		}
		s.due += int64(o.PingTimeout)
		list := s.ask()
		again(s.due)
		if list {
			s.w.add(s)
		}
	}
}

// Probe asks the client for a sign of life now, or joins whoever asks already, and tells whether anything came from it
// after since. It waits until something comes, the session closes or ctx is done. A paused session counts as alive: it
// is we who do not listen.
func (s *Session) Probe(ctx context.Context, since time.Time) bool {
	mark := s.srv.clockAt(since)
	for {
		s.mu.Lock()
		switch {
		case s.st > stOpen:
			s.mu.Unlock()
			return false
		case s.heard > mark || s.flags.has(paused) || s.st == stOpening: // opening: its handshake is being answered
			s.mu.Unlock()
			return true
		}
		var list bool
		if !s.flags.has(awaiting) {
			list = s.ask()
			if s.eio != 3 {
				s.due = s.srv.clock() + int64(s.srv.o.PingTimeout)
				s.srv.wheel.add(s, s.due)
			}
		}
		if s.life == nil {
			s.life = make(chan struct{})
		}
		life := s.life
		s.mu.Unlock()
		if list {
			s.w.add(s)
		}
		select {
		case <-life:
		case <-ctx.Done():
			return false
		}
	}
}
