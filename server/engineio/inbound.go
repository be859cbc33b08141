package engineio

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errLeft is no error: the client said that it leaves.
var errLeft = errors.New("closed by the client")

// errHandler wraps what Handler.Message returned.
type errHandler struct{ err error }

func (e *errHandler) Error() string { return "message refused: " + e.err.Error() }
func (e *errHandler) Unwrap() error { return e.err }

// errPanic is a panic in Handler.Message.
var errPanic = errors.New("handler panic")

// heldKind is what a packet is that was read while the session was paused.
type heldKind uint8

const (
	heldText heldKind = iota
	heldBinary
	heldLeft // the client left: by "1", or by a close frame with a code
)

// hold puts a packet behind those that are held back: its length and kind, then its bytes. One body can have very many
// small packets, so they must not take much more room here than there. in is held.
func (s *Session) hold(kind heldKind, p []byte) {
	s.held = binary.AppendUvarint(s.held, uint64(len(p))<<2|uint64(kind))
	s.held = append(s.held, p...)
}

// unhold takes the first packet that is held back; in is held.
func (s *Session) unhold() (kind heldKind, p []byte) {
	head, n := binary.Uvarint(s.held)
	end := n + int(head>>2)
	p = s.held[n:end:end]
	if s.held = s.held[end:]; len(s.held) == 0 {
		s.held = nil
	}
	return heldKind(head & 3), p
}

// text handles one text packet of an established transport; in is held.
func (s *Session) text(p []byte) error {
	if len(p) == 0 {
		return errPacket
	}
	switch p[0] {
	case '4':
		return s.message(p[1:], false)
	case '1':
		if len(p) > 1 {
			return errPacket
		}
		return s.leave(errLeft)
	case '2':
		if s.eio != 3 {
			return errPacket
		}
		s.Send(pongPacket(p[1:]))
		return nil
	case '3':
		if s.eio == 3 {
			return errPacket
		}
		s.pong()
		return nil
	case '6':
		return nil
	}
	return errPacket
}

// pongPacket answers a protocol 3 ping with the data it came with.
func pongPacket(data []byte) Frame { return textPacket("3" + string(data)) }

// binary handles the bytes of a binary message; in is held.
func (s *Session) binary(p []byte) error { return s.message(p, true) }

// message hands one message to the application, or holds it back while the session is paused; in is held.
func (s *Session) message(p []byte, bin bool) error {
	s.mu.Lock()
	h, open, wait := s.h, s.st == stOpen, s.flags.has(paused)
	s.mu.Unlock()
	switch {
	case !open:
		return nil
	case wait || len(s.held) > 0:
		kind := heldText
		if bin {
			kind = heldBinary
		}
		s.hold(kind, p)
		return nil
	}
	return s.srv.callMessage(h, s, p, bin)
}

// leave handles the client's farewell in its turn: behind the messages that are held back.
func (s *Session) leave(err error) error {
	if len(s.held) == 0 {
		return err
	}
	var code []byte
	if left := (*errClosed)(nil); errors.As(err, &left) {
		code = binary.BigEndian.AppendUint16(nil, left.code)
	}
	s.hold(heldLeft, code)
	return nil
}

// release delivers what was held back, until the session is paused again; in is held.
func (s *Session) release() error {
	for len(s.held) > 0 {
		s.mu.Lock()
		h, open, wait := s.h, s.st == stOpen, s.flags.has(paused)
		s.mu.Unlock()
		if !open {
			s.held = nil
			return nil
		}
		if wait {
			return nil
		}
		kind, p := s.unhold()
		switch {
		case kind == heldLeft && len(p) == 0:
			return errLeft
		case kind == heldLeft:
			return &errClosed{binary.BigEndian.Uint16(p)}
		}
		if err := s.srv.callMessage(h, s, p, kind == heldBinary); err != nil {
			return err
		}
	}
	return nil
}

// Pause stops the delivery of messages; it may only be called inside Handler.Message. What was read already is kept
// (heartbeats in it still count), then nothing more is read and TCP slows the client down. No goroutine and no lock
// waits meanwhile. A paused session does not fail its heartbeat: it is us who do not listen.
func (s *Session) Pause() {
	s.mu.Lock()
	if s.st == stOpen {
		s.flags |= paused
	}
	s.mu.Unlock()
}

// Resume goes on after Pause. It may be called from anywhere, does not block and does not call the Handler itself.
func (s *Session) Resume() {
	s.mu.Lock()
	if s.flags.has(paused) && s.st == stOpen {
		now := s.srv.clock()
		if soon := now + int64(s.srv.o.PingTimeout); s.due < soon && (s.eio == 3 || s.flags.has(awaiting)) {
			s.due = soon // the answer may lie unread in the socket
		}
	}
	unpark := s.unpause()
	s.mu.Unlock()
	if unpark {
		s.srv.tasks.start(s.unpark)
	}
}

// unpause lets a waiting POST go on and tells whether the WebSocket's reader is to be started again; mu is held.
func (s *Session) unpause() (unpark bool) {
	unpark = s.flags.has(parked)
	s.flags &^= paused | parked
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
	return unpark
}

// settle delivers what was held back, then tells whether the WebSocket's reader has to stop here; in is held. When it
// does, unpark starts it again.
func (s *Session) settle() (parkedNow bool, err error) {
	for {
		if err := s.release(); err != nil {
			return false, err
		}
		s.mu.Lock()
		if s.st == stOpen && s.flags.has(paused) {
			s.flags |= parked
			s.mu.Unlock()
			return true, nil
		}
		s.mu.Unlock()
		if len(s.held) == 0 { // else Resume came in between
			return false, nil
		}
	}
}

// unpark delivers what was held back and starts the WebSocket's reader again.
func (s *Session) unpark() {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	s.in.Lock()
	stop, err := s.settle()
	s.in.Unlock()
	if err != nil {
		c.giveUp(err)
	}
	if !stop {
		c.read()
	}
}

// fail ends the session because of what the client sent.
func (s *Session) fail(err error) {
	s.mu.Lock()
	isPolling := s.conn == nil
	s.mu.Unlock()
	// A WebSocket client still gets what was queued before its mistake; one that polls is told by the answer to its POST.
	e := ending{reason: ReasonParse, hard: isPolling, code: closePolicy}
	var left *errClosed
	var refused *errHandler
	var mark flags
	switch {
	case errors.Is(err, errLeft):
		e, mark = ending{ReasonClient, true, closeNormal}, bye
	case errors.As(err, &left):
		e, mark = ending{ReasonClient, true, left.code}, bye|hungUp
	case errors.Is(err, errPacket):
		e.code = closeProtocol
	case errors.Is(err, errProtocol):
		e = ending{ReasonError, true, closeProtocol}
	case errors.Is(err, errUTF8):
		e = ending{ReasonError, true, closeUTF8}
	case errors.Is(err, errTooBig):
		e = ending{ReasonError, true, closeTooBig}
	case errors.Is(err, errPanic):
		e = ending{ReasonPanic, true, closeInternal}
	case errors.As(err, &refused):
		s.srv.o.Log.Debug("message refused", "session", s.id, "err", refused.err)
	}
	if mark != 0 {
		s.mu.Lock()
		s.flags |= mark
		s.mu.Unlock()
	}
	s.end(e)
}

// errClosed is a close frame of the client's.
type errClosed struct{ code uint16 }

func (e *errClosed) Error() string { return fmt.Sprintf("closed by the client with code %d", e.code) }
