package backbone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"downlink/codes"
)

// storeTimeout is how long to wait for an acknowledgement at the most. A stream that could not write to its disk
// never answers.
const storeTimeout = 10 * time.Second

// ErrClosed is in the errors of a Backbone that has been closed.
var ErrClosed = errors.New("backbone is closed")

var errNoStream = errors.New("nobody stores this subject")

// unavailable wraps err so that codes.Of finds codes.Unavailable.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w (%w)", doing, err, codes.Unavailable)
}

// store sends messages to one stream and waits for their acknowledgements.
//
// Each waiting publisher has a slot with a subject and a channel of its own. So an acknowledgement goes from the
// connection's reader to the one who waits for it without a stop, and the server finds the way to so few subjects
// in its cache.
type store struct {
	nc     *nats.Conn
	window *window
	inbox  string          // prefix of the slots' subjects
	okAck  []byte          // what a plain acknowledgement begins with, up to its number
	slots  atomic.Uint64   // slots ever made
	done   <-chan struct{} // closed when the backbone closes
	late   sync.WaitGroup  // goroutines waiting for acknowledgements that their publishers gave up
}

// slot receives one acknowledgement at a time.
type slot struct {
	subject string
	acks    chan *nats.Msg
	sub     *nats.Subscription
}

// ack is what a stream says to a message.
type ack struct {
	seq       uint64
	duplicate bool
	err       *ackError // the stream refused
}

// ackError is a refusal by the stream. See JetStream's error codes.
type ackError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *ackError) Error() string { return fmt.Sprintf("%s (NATS error %d)", e.Description, e.Code) }

func newStore(nc *nats.Conn, stream, inbox string, size int, done <-chan struct{}) *store {
	return &store{
		nc:     nc,
		window: newWindow(size),
		inbox:  inbox,
		okAck:  fmt.Appendf(nil, "{\"stream\":%q,\"seq\":", stream),
		done:   done,
	}
}

// put sends data with the header h (may be nil) to subject and returns what the stream says. It keeps nothing of
// data. An error other than an *ackError means that the message is not known to be stored.
func (s *store) put(ctx context.Context, subject string, h nats.Header, data []byte) (ack, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		c, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		ctx = c
	}
	if err := ctx.Err(); err != nil {
		return ack{}, context.Cause(ctx)
	}
	size := len(data)
	sl, err := s.window.enter(ctx, size)
	if err != nil {
		return ack{}, err
	}
	select {
	case <-s.done:
		s.window.leave(sl, 0, size)
		return ack{}, ErrClosed
	default:
	}
	if sl == nil {
		if sl, err = s.newSlot(); err != nil {
			s.window.leave(nil, 0, size)
			return ack{}, err
		}
	}
	if h == nil {
		err = s.nc.PublishRequest(subject, sl.subject, data)
	} else {
		err = s.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: sl.subject, Header: h, Data: data})
	}
	if err != nil {
		s.window.leave(sl, 0, size)
		return ack{}, err
	}
	select {
	case m := <-sl.acks:
		return s.settle(sl, m, size)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-s.done:
		err = ErrClosed
	}
	s.late.Add(1)
	go s.awaitLate(sl, size)
	return ack{}, err
}

// settle reads an acknowledgement and gives the slot back.
func (s *store) settle(sl *slot, m *nats.Msg, size int) (ack, error) {
	a, err := s.parseAck(m)
	stored := a.seq
	if a.duplicate {
		stored = 0
	}
	s.window.leave(sl, stored, size)
	if err == nil && a.err != nil {
		err = a.err
	}
	return a, err
}

// awaitLate waits for the acknowledgement that a publisher gave up. Until it comes the message may be anywhere, so
// it counts as being on its way. It ends with the acknowledgement, after storeTimeout, or when the backbone closes.
func (s *store) awaitLate(sl *slot, size int) {
	defer s.late.Done()
	timer := time.NewTimer(storeTimeout)
	defer timer.Stop()
	select {
	case m := <-sl.acks:
		_, _ = s.settle(sl, m, size) // nobody asks any more
		return
	case <-timer.C:
	case <-s.done:
	}
	_ = sl.sub.Unsubscribe() // fails only when the connection is closed
	s.window.leave(nil, 0, size)
}

func (s *store) newSlot() (*slot, error) {
	sl := &slot{
		subject: s.inbox + strconv.FormatUint(s.slots.Add(1), 36),
		acks:    make(chan *nats.Msg, 1),
	}
	sub, err := s.nc.ChanSubscribe(sl.subject, sl.acks)
	if err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	sl.sub = sub
	return sl, nil
}

// parseAck reads what a stream answered. Nearly all are of one form, read without a JSON parser.
func (s *store) parseAck(m *nats.Msg) (ack, error) {
	if rest, ok := bytes.CutPrefix(m.Data, s.okAck); ok {
		if digits, ok := bytes.CutSuffix(rest, []byte{'}'}); ok {
			if seq, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
				return ack{seq: seq}, nil
			}
		}
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{}, errNoStream
	}
	var a struct {
		Seq       uint64
		Duplicate bool
		Error     *ackError
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return ack{}, fmt.Errorf("read acknowledgement: %w", err)
	}
	if a.Error == nil && a.Seq == 0 {
		return ack{}, errors.New("acknowledgement without a number")
	}
	return ack{seq: a.Seq, duplicate: a.Duplicate, err: a.Error}, nil
}
