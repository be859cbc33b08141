package backbone

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"downlink/codes"
)

// storeTimeout is how long to wait for an acknowledgement at the most. A stream that could not write to its disk
// never answers.
const storeTimeout = 10 * time.Second

// ErrClosed is in the errors of a Backbone that has been closed.
var ErrClosed = errors.New("backbone is closed")

// errUnanswered is in the errors of put after which the message may be stored or not.
var errUnanswered = errors.New("no acknowledgement")

// unavailable wraps err so that codes.Of finds codes.Unavailable.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w (%w)", doing, err, codes.Unavailable)
}

// store sends messages to one stream and waits for their acknowledgements.
type store struct {
	link   func() (*link, error) // the present link
	window *window

	mu    sync.Mutex
	ended bool
	late  sync.WaitGroup // awaitLate; added to under mu while not ended
}

func newStore(w *window, link func() (*link, error)) *store { return &store{link: link, window: w} }

// end waits for what the publishers gave up, which ends with the link.
func (s *store) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.late.Wait()
}

// put sends data to subject, with one header if name is not empty, and returns what the stream says. It keeps
// nothing of data. After an error that is errUnanswered the message may be stored, after any other it is not.
func (s *store) put(ctx context.Context, subject, name, value string, data []byte) (ack, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		c, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		ctx = c
	}
	if ctx.Err() != nil {
		return ack{}, context.Cause(ctx)
	}
	size := len(data)
	l, sl, err := s.enter(ctx, size)
	if err != nil {
		return ack{}, err
	}
	if sl == nil || sl.link != l {
		sl = l.newSlot()
	}
	if err := l.publish(subject, sl.subject, name, value, data); err != nil {
		s.window.leave(sl, 0, size)
		return ack{}, err
	}
	select {
	case a := <-sl.acks:
		s.settle(sl, a, size)
		return a, a.err
	case <-l.dead:
		s.window.leave(nil, 0, size)
		_, err := s.link() // ErrClosed if that is why
		return ack{}, errors.Join(errUnanswered, errLinkLost, err)
	case <-ctx.Done():
		s.giveUp(sl, size)
		return ack{}, fmt.Errorf("%w: %w", errUnanswered, context.Cause(ctx))
	}
}

// enter lets a message into the window, for the link it returns. A link that came meanwhile may have raised the window.
func (s *store) enter(ctx context.Context, size int) (*link, *slot, error) {
	for {
		l, err := s.link()
		if err != nil {
			return nil, nil, err
		}
		sl, err := s.window.enter(ctx, size)
		if err != nil {
			return nil, nil, err
		}
		now, err := s.link()
		if err == nil && now == l {
			return l, sl, nil
		}
		s.window.leave(sl, 0, size)
	}
}

// settle counts a message out that was answered.
func (s *store) settle(sl *slot, a ack, size int) {
	stored := a.seq
	if a.duplicate {
		stored = 0
	}
	s.window.leave(sl, stored, size)
}

// giveUp leaves a message to awaitLate. After the end there is no link for an acknowledgement to come by.
func (s *store) giveUp(sl *slot, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		s.window.leave(nil, 0, size)
		return
	}
	s.late.Go(func() { s.awaitLate(sl, size) })
}

// awaitLate waits for the acknowledgement that a publisher gave up. Until it comes the message may be anywhere, so
// it counts as being on its way. It ends with the acknowledgement, after storeTimeout, or with the link. In the
// latter cases nobody may use the slot again.
func (s *store) awaitLate(sl *slot, size int) {
	timer := time.NewTimer(storeTimeout)
	defer timer.Stop()
	select {
	case a := <-sl.acks:
		s.settle(sl, a, size)
	case <-timer.C:
		s.window.leave(nil, 0, size)
	case <-sl.link.dead:
		s.window.leave(nil, 0, size)
	}
}
