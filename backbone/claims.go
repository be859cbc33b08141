package backbone

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"downlink/rooms"
)

var _ rooms.Claims = (*Backbone)(nil)

// wrongLastSequence is JetStream's error code for a compare-and-set that failed.
const wrongLastSequence = 10071

// messageNotFound is JetStream's error code for a message that is gone.
const messageNotFound = 10037

// Acquire implements rooms.Claims. The epoch is the claim's number in its stream, so it is unique over all rooms.
func (b *Backbone) Acquire(ctx context.Context, c rooms.Claim, over uint64) (uint64, error) {
	var buf [128]byte
	a, err := b.held.put(ctx, claimSubject(c.Room), nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(over, 10),
		appendClaim(buf[:0], c))
	var refused *ackError
	switch {
	case err == nil:
		return a.seq, nil
	case errors.As(err, &refused) && refused.Code == wrongLastSequence:
		return 0, fmt.Errorf("claim room: %w", rooms.ErrClaimChanged)
	default:
		return 0, unavailable("claim room", err)
	}
}

// Get implements rooms.Claims. All claims are ours: Open removes those of an earlier process.
func (b *Backbone) Get(ctx context.Context, room string) (rooms.Claim, error) {
	c, err := b.getClaim(ctx, room)
	if err != nil {
		return rooms.Claim{}, unavailable("read claim", err)
	}
	return c, nil
}

// getClaim asks the stream's API. A direct get costs less, but may answer with an older state on other nodes.
func (b *Backbone) getClaim(ctx context.Context, room string) (rooms.Claim, error) {
	var answer struct {
		Message struct {
			Seq  uint64
			Data []byte
		}
	}
	err := b.api(ctx, "STREAM.MSG.GET."+claimStream, fmt.Appendf(nil, `{"last_by_subj":%q}`, claimSubject(room)), &answer)
	var refused *ackError
	switch {
	case errors.As(err, &refused) && refused.Code == messageNotFound:
		return rooms.Claim{Room: room}, nil
	case err != nil:
		return rooms.Claim{}, err
	}
	c, err := parseClaim(answer.Message.Data)
	c.Room, c.Epoch, c.Ours = room, answer.Message.Seq, true
	return c, err
}

// Release implements rooms.Claims. It deletes the one message that has the claim's number; nothing stays behind.
func (b *Backbone) Release(ctx context.Context, room string, epoch uint64) error {
	if epoch == 0 {
		return nil
	}
	// no_erase: overwriting with random bytes costs a lot and guards nothing here.
	err := b.api(ctx, "STREAM.MSG.DELETE."+claimStream, fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, epoch), nil)
	var refused *ackError
	if errors.As(err, &refused) {
		// Most likely there is no such message. JetStream has one code for all reasons, so look.
		present, again := b.getClaim(ctx, room)
		if again == nil && present.Epoch != epoch {
			return nil
		}
	}
	if err != nil {
		return unavailable("release room", err)
	}
	return nil
}
