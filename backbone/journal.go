package backbone

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"downlink/codes"
	"downlink/rooms"
)

var _ rooms.Journal = (*Backbone)(nil)

// scratch holds buffers for envelopes: the connection copies what it is given.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest buffer kept for later.
const maxScratch = 64 << 10

// Publish implements rooms.Journal. A push that is stored as more than MaxPush bytes is refused.
func (b *Backbone) Publish(ctx context.Context, p rooms.Push) (rooms.Receipt, error) {
	if n := len(p.Data) + len(p.Event) + 32; n > MaxPush {
		return rooms.Receipt{}, fmt.Errorf("store push: %d bytes are more than %d: %w", n, MaxPush, codes.BodyTooLarge)
	}
	var header, value string
	if p.Key != "" {
		header, value = nats.MsgIdHdr, messageID(p.To, p.Key)
	}
	id := newID()
	buf := scratch.Get().(*[]byte)
	data := appendEnvelope((*buf)[:0], id, &p)
	var name [512]byte
	subject := string(appendToken(append(name[:0], histPrefix...), p.To))

	a, err := b.hist.put(ctx, subject, header, value, data)
	if cap(data) <= maxScratch {
		*buf = data
		scratch.Put(buf)
	}
	switch {
	case errors.Is(err, errUnanswered):
		return rooms.Receipt{}, fmt.Errorf("store push: %w (%w)", err, codes.OutcomeUnknown)
	case err != nil:
		return rooms.Receipt{}, unavailable("store push", err)
	case a.duplicate:
		return rooms.Receipt{ID: b.idOf(ctx, a.seq), Seq: a.seq, Duplicate: true}, nil
	default:
		return rooms.Receipt{ID: id.String(), Seq: a.seq}, nil
	}
}

// idOf is the id of the stored push seq, empty if it is not stored any more or cannot be read now.
func (b *Backbone) idOf(ctx context.Context, seq uint64) string {
	s, err := b.read(ctx, seq)
	if err != nil || s.seq != seq {
		return ""
	}
	id, _, _, err := parseEnvelope(s.data)
	if err != nil {
		return ""
	}
	return id.String()
}

// messageID is what the stream knows a keyed push by: the same for the same key and address only. It is a hash,
// so that any key makes a valid header of a fixed length.
func messageID(to rooms.Address, key string) string {
	h := sha256.New()
	h.Write([]byte{byte(to.Kind)})
	h.Write(binary.AppendUvarint(nil, uint64(len(to.ID))))
	h.Write([]byte(to.ID))
	h.Write([]byte(key))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// newID returns an id for a push. Its random part need not be secret, only unique.
func newID() ulid.ULID {
	var id ulid.ULID
	_ = id.SetTime(ulid.Now()) // fails in the year 10889
	binary.BigEndian.PutUint16(id[6:], uint16(rand.Uint32()))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}
