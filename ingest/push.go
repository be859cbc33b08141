package ingest

import (
	"github.com/labstack/echo/v4"

	"downlink/codes"
	"downlink/rooms"
)

// push is POST /push: it answers ok once the push is stored. Each error it returns is answered by refuse.
func (s *Server) push(c echo.Context) error {
	if s.draining.Load() {
		return codes.Draining
	}
	r := c.Request()
	if err := wantJSON(r.Header); err != nil {
		return err
	}
	key, err := s.key(r.Header)
	if err != nil {
		return err
	}
	body, err := s.readBody(r)
	if err != nil {
		return err
	}
	p, err := s.parse(body)
	if err != nil {
		return err
	}
	p.Key = key
	receipt, err := s.publish(p)
	if err != nil {
		return err
	}
	return answerOK(c, receipt)
}

// parse makes a push of a request body. The push's Data is a part of body, which belongs to it from now on.
func (s *Server) parse(body []byte) (rooms.Push, error) {
	found, err := findFields(body)
	if err != nil {
		return rooms.Push{}, err
	}
	if err := s.check.check(&found); err != nil {
		return rooms.Push{}, err
	}
	p := rooms.Push{To: rooms.Everyone, Event: found.Event, Data: found.Data}
	if found.Room != nil {
		p.To = rooms.Room(*found.Room)
	}
	return p, nil
}

// publish stores p. It does not end with the request: a push that was received whole is sent even if its sender does
// not wait for the answer.
func (s *Server) publish(p rooms.Push) (rooms.Receipt, error) {
	receipt, err := s.o.Journal.Publish(s.deadlines.next(), p)
	if err != nil {
		return receipt, s.notStored(p, err)
	}
	if s.storeFails.Load() && s.storeFails.CompareAndSwap(true, false) {
		s.o.Log.Info("pushes can be stored again")
	}
	return receipt, nil
}

// notStored is the cause that the sender of p is told after err, and logs the first of a row of them.
func (s *Server) notStored(p rooms.Push, err error) *codes.Cause {
	cause := codes.Of(err)
	if cause != codes.Unavailable && cause != codes.Internal && cause != codes.OutcomeUnknown {
		return cause // a fault of this push, and no trouble of the store
	}
	s.o.Log.Debug("push not stored", "err", err)
	if !s.storeFails.Swap(true) {
		s.o.Log.Error("pushes cannot be stored, senders are told so", "err", err)
	}
	switch {
	case cause == codes.OutcomeUnknown && p.Key == "":
		return outcomeUnknown
	case cause == codes.OutcomeUnknown:
		return outcomeUnknownWithKey
	case cause == codes.Internal:
		return storeFailed
	default:
		return cause
	}
}
