package backbone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"downlink/rooms"
)

// maxReplays is how many replays read the store at the same time. Two at full speed already take most of what the
// stream can do.
const maxReplays = 4

// readTimeout bounds one read of a stored message.
const readTimeout = 2 * time.Second

// errNothing is what read returns when nothing is stored at a number or after it.
var errNothing = errors.New("nothing stored from here on")

// stored is a message as the stream keeps it.
type stored struct {
	seq   uint64
	time  time.Time
	token []byte // subject after hist. or live.
	data  []byte
}

// Replay implements rooms.Journal. It may wait for other replays to end.
func (b *Backbone) Replay(ctx context.Context, after, upTo uint64, fn func(*rooms.Message) error) error {
	if b.isClosed() {
		return unavailable("replay", ErrClosed)
	}
	select {
	case b.replays <- struct{}{}:
		defer func() { <-b.replays }()
	case <-ctx.Done():
		return unavailable("replay", context.Cause(ctx))
	case <-b.done:
		return unavailable("replay", ErrClosed)
	}
	oldest := time.Now().Add(-b.opts.HistoryAge)
	err := b.scan(ctx, after, upTo, func(s stored) error {
		if s.time.Before(oldest) {
			return nil
		}
		m, err := s.message()
		if err != nil {
			b.log.Warn("stored message skipped", "seq", s.seq, "error", err)
			return nil
		}
		if m == nil {
			return nil
		}
		return fn(m)
	})
	return err
}

// scan calls fn for what is stored with after < seq <= upTo, in order.
func (b *Backbone) scan(ctx context.Context, after, upTo uint64, fn func(stored) error) error {
	for after < upTo {
		s, err := b.read(ctx, after+1)
		switch {
		case errors.Is(err, errNothing):
			return nil
		case err != nil:
			return unavailable("read stored messages", err)
		case s.seq > upTo:
			return nil
		}
		if err := fn(s); err != nil {
			return err
		}
		after = s.seq
	}
	return nil
}

// read returns the first stored message from seq on, or errNothing.
func (b *Backbone) read(ctx context.Context, seq uint64) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ask := fmt.Appendf(nil, `{"seq":%d,"next_by_subj":">"}`, seq)
	m, err := b.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+histStream, ask)
	if err != nil {
		return stored{}, err
	}
	if status := m.Header.Get("Status"); status != "" {
		if status == "404" {
			return stored{}, errNothing
		}
		return stored{}, fmt.Errorf("read message %d: %s %s", seq, status, m.Header.Get("Description"))
	}
	return storedFrom(m)
}

// storedFrom reads a message that the stream handed out.
func storedFrom(m *nats.Msg) (stored, error) {
	token, ok := strings.CutPrefix(header(m, "Nats-Subject"), histPrefix)
	if !ok {
		return stored{}, fmt.Errorf("message is not under %s", histPrefix)
	}
	return newStored(header(m, "Nats-Sequence"), header(m, "Nats-Time-Stamp"), []byte(token), m.Data)
}

func newStored(seq, stamp string, token, data []byte) (stored, error) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("number of a stored message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return stored{}, fmt.Errorf("time of message %d: %w", n, err)
	}
	return stored{n, at, token, data}, nil
}

// stored reads a message that the stream republished.
func (m *live) stored() (stored, error) {
	var seq, stamp []byte
	for line := range bytes.SplitSeq(m.header, []byte("\r\n")) {
		if v, ok := bytes.CutPrefix(line, []byte("Nats-Sequence: ")); ok {
			seq = v
		} else if v, ok := bytes.CutPrefix(line, []byte("Nats-Time-Stamp: ")); ok {
			stamp = v
		}
	}
	return newStored(string(seq), string(stamp), m.token, m.data)
}

// header is the value of a header of the exact name, which is how the server writes it.
func header(m *nats.Msg, name string) string {
	if v := m.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// message is s as the hub gets it, or nil if s is a probe.
func (s *stored) message() (*rooms.Message, error) {
	to, deliver, err := parseToken(s.token)
	if err != nil || !deliver {
		return nil, err
	}
	id, event, data, err := parseEnvelope(s.data)
	if err != nil {
		return nil, err
	}
	return &rooms.Message{Seq: s.seq, ID: id.String(), Time: s.time, To: to, Event: event, Data: data}, nil
}
