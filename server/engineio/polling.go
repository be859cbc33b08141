package engineio

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Header values that every poll shares; never changed.
var (
	typeText   = []string{"text/plain; charset=UTF-8"}
	typeBinary = []string{"application/octet-stream"}
	noStore    = []string{"no-store"}
)

var okBody = []byte("ok")

// pollWaitTime is how long a poll may wait between the probe of an upgrade and its "5".
const pollWaitTime = 50 * time.Millisecond

// get answers a poll: at once with what is queued, else with the next thing that is.
func (s *Session) get(w http.ResponseWriter, r *http.Request) {
	now := s.srv.clock()
	s.mu.Lock()
	if s.conn != nil || s.st == stOpening || s.st == stClosed {
		s.mu.Unlock()
		s.srv.fail(w, http.StatusBadRequest, errBadRequest)
		return
	}
	if !s.admit(w, polling, now) {
		return
	}
	if s.q == nil && s.st == stOpen {
		if !s.wait(r) { // the poll was cancelled; what is queued from now on could not be told from what it lost
			s.end(ending{ReasonClient, true, closeNormal})
			return
		}
	}
	body, binary, ok := s.response()
	if !ok {
		s.srv.fail(w, http.StatusBadRequest, errBadRequest)
		return
	}
	if err := s.reply(w, body, binary); err != nil {
		s.end(ending{ReasonError, true, closeNormal})
	}
}

// admit notes the sign of life that a request is; mu is held, on return too if the request may go on. A second one of
// its kind, and one that comes after the heartbeat failed, end the session and are answered here.
func (s *Session) admit(w http.ResponseWriter, kind flags, now int64) bool {
	second := s.flags.has(kind)
	if !second && !s.overdue(now) {
		s.noteLife(now)
		return true
	}
	s.mu.Unlock()
	reason := ReasonPingTimeout
	if second {
		reason = ReasonError
	}
	s.end(ending{reason, true, closeNormal})
	s.srv.fail(w, http.StatusBadRequest, errBadRequest)
	return false
}

// wait holds the poll until there is something to answer; mu is held, on return too if the client still waits.
func (s *Session) wait(r *http.Request) bool {
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	select {
	case <-s.wake: // meant for an earlier poll
	default:
	}
	var enough <-chan time.Time
	if s.flags.has(probed) { // "5" is near and this poll may have overtaken it
		t := time.NewTimer(pollWaitTime)
		defer t.Stop()
		enough = t.C
	}
	s.flags |= polling
	wake := s.wake
	s.mu.Unlock()
	alive := true
	select {
	case <-wake:
	case <-enough:
	case <-r.Context().Done():
		alive = false
	}
	s.mu.Lock()
	s.flags &^= polling
	if alive || s.conn != nil { // the client may drop the poll once the WebSocket has taken over
		return true
	}
	s.mu.Unlock()
	return false
}

// response makes the answer to a poll; mu is held on entry and released. Not ok: a WebSocket has taken the session
// over.
func (s *Session) response() (body []byte, binary, ok bool) {
	if s.conn != nil {
		s.mu.Unlock()
		return nil, false, false
	}
	q := s.take()
	size := int(s.queued)
	s.queued = 0
	left := s.flags.has(bye)
	// A client that gets a packet and a "1" in one body would act on the "1" first: that one comes with the next poll.
	over := s.st == stClosing && (q == nil || left)
	if over {
		s.st = stClosed
	}
	closed := s.st == stClosed
	s.mu.Unlock()
	if over {
		s.srv.forget(s)
	}
	var frames []Frame
	var end [1]Frame
	switch {
	case q != nil && !closed:
		frames = q.frames
	case closed && !left:
		frames = append(end[:0], closePacket)
	default:
		frames = append(end[:0], noopFrame)
	}
	body = make([]byte, 0, size+8*len(frames))
	if s.eio == 3 {
		body, binary = encodePayload3(body, frames, s.b64)
	} else {
		body = encodePayload(body, frames)
	}
	if len(body) == 0 { // nothing but control frames, meant for a WebSocket
		body, binary = s.encodeOne(noopFrame), false
	}
	if q != nil {
		q.free()
	}
	return body, binary, true
}

var closePacket = textPacket("1")

// encodeOne is a body of one packet.
func (s *Session) encodeOne(f Frame) []byte {
	if s.eio == 3 {
		b, _ := encodePayload3(nil, []Frame{f}, true)
		return b
	}
	return encodePayload(nil, []Frame{f})
}

// reply answers a poll. What is lost here is lost for good: the session ends with an error.
func (s *Session) reply(w http.ResponseWriter, body []byte, binary bool) error {
	h := w.Header()
	h["Content-Type"] = typeText
	if binary {
		h["Content-Type"] = typeBinary
	}
	h["Cache-Control"] = noStore
	err := s.srv.answer(w, http.StatusOK, body)
	if err == nil {
		s.srv.stats.polled(len(body))
	}
	return err
}

// bodies are buffers for POST bodies.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const bodyKeep = 64 << 10 // longer buffers are not pooled

// post takes the packets of one body. A client has one POST at a time.
func (s *Session) post(w http.ResponseWriter, r *http.Request) {
	now := s.srv.clock()
	s.mu.Lock()
	if s.conn != nil || s.st != stOpen {
		s.mu.Unlock()
		s.srv.fail(w, http.StatusBadRequest, errBadRequest)
		return
	}
	if !s.admit(w, posting, now) {
		return
	}
	s.flags |= posting
	s.mu.Unlock()

	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= bodyKeep {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if status, reason := s.readBody(buf, w, r); status != 0 {
		s.end(ending{reason, true, closeNormal})
		s.srv.fail(w, status, errBadRequest)
		return
	}
	s.hear()
	err := s.handleBody(buf.Bytes(), strings.HasPrefix(r.Header.Get("Content-Type"), typeBinary[0]), r)
	s.mu.Lock()
	s.flags &^= posting
	s.mu.Unlock()
	if err != nil {
		s.fail(err)
		if !errors.Is(err, errLeft) {
			s.srv.fail(w, http.StatusBadRequest, errBadRequest)
			return
		}
	}
	h := w.Header()
	h["Content-Type"] = typeText
	h["Cache-Control"] = noStore
	_ = s.srv.answer(w, http.StatusOK, okBody)
}

// readBody reads the whole body into buf, at most MaxPayload bytes and no longer than ServeHTTP gave it. Status 0 is
// success; else it says what to answer, and why the session ends.
func (s *Session) readBody(buf *bytes.Buffer, w http.ResponseWriter, r *http.Request) (status int, reason string) {
	o := &s.srv.o
	if r.ContentLength > int64(o.MaxPayload) {
		return http.StatusRequestEntityTooLarge, ReasonError
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, int64(o.MaxPayload)))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return http.StatusRequestEntityTooLarge, ReasonError
	case err != nil:
		return http.StatusBadRequest, ReasonClient
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // handling it may take longer
	return 0, ""
}

// handleBody handles the packets of a body; it waits while the session is paused.
func (s *Session) handleBody(b []byte, binary bool, r *http.Request) (err error) {
	s.in.Lock()
	switch {
	case s.eio == 3 && binary:
		err = decodeBinaryPayload3(b, s)
	case s.eio == 3:
		err = decodePayload3(b, s)
	case binary: // protocol 4 knows no such body
		err = errPacket
	default:
		err = decodePayload(b, s)
	}
	for err == nil {
		if err = s.release(); err != nil {
			break
		}
		s.mu.Lock()
		if s.st != stOpen || !s.flags.has(paused) {
			s.mu.Unlock()
			if len(s.held) > 0 { // Resume came in between, or it is over
				continue
			}
			break
		}
		if s.resumed == nil {
			s.resumed = make(chan struct{})
		}
		resumed := s.resumed
		s.mu.Unlock()
		s.in.Unlock()
		select {
		case <-resumed:
		case <-r.Context().Done():
			err = errLeft
		}
		s.in.Lock()
	}
	s.in.Unlock()
	return err
}
