package backbone

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oklog/ulid/v2"

	"downlink/rooms"
)

// envelopeVersion is the first byte of everything stored.
const envelopeVersion = 1

var errEnvelope = errors.New("not a stored push")

// appendEnvelope appends the stored form of p; see the package comment.
func appendEnvelope(b []byte, id ulid.ULID, p *rooms.Push) []byte {
	b = append(b, envelopeVersion)
	b = append(b, id[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.Event)))
	b = append(b, p.Event...)
	return append(b, p.Data...)
}

// parseEnvelope reads the stored form of a push. data shares b's memory and is nil when there was none.
func parseEnvelope(b []byte) (id ulid.ULID, event string, data []byte, err error) {
	const head = 1 + len(id)
	if len(b) <= head {
		return id, "", nil, fmt.Errorf("%w: %d bytes", errEnvelope, len(b))
	}
	if b[0] != envelopeVersion {
		return id, "", nil, fmt.Errorf("%w: version %d", errEnvelope, b[0])
	}
	copy(id[:], b[1:head])
	n, w := binary.Uvarint(b[head:])
	if w <= 0 || n > uint64(len(b)-head-w) {
		return id, "", nil, fmt.Errorf("%w: cut short", errEnvelope)
	}
	rest := b[head+w:]
	event = string(rest[:n])
	if data = rest[n:]; len(data) == 0 {
		data = nil
	}
	return id, event, data, nil
}

// appendClaim appends the stored form of c; see the package comment. Its room is in the subject, its epoch is the
// number the stream gives it.
func appendClaim(b []byte, c rooms.Claim) []byte {
	b = append(b, envelopeVersion, byte(c.Policy))
	return append(b, c.Conn...)
}

// parseClaim reads the stored form of a claim.
func parseClaim(b []byte) (c rooms.Claim, err error) {
	if len(b) < 2 || b[0] != envelopeVersion || b[1] > byte(rooms.Whenever) {
		return c, errors.New("not a stored claim")
	}
	return rooms.Claim{Conn: string(b[2:]), Policy: rooms.Policy(b[1])}, nil
}
