package rooms

import (
	"context"
	"time"
)

// Push is what a backend asks to be sent.
type Push struct {
	To    Address
	Event string // the event's name, 1 to MaxEvent bytes of UTF-8
	Data  []byte // one JSON value exactly as it was posted, or nil for none; never changed once handed over
	Key   string // idempotency key, empty for none; see Journal.Publish
}

// Receipt says what became of a published push.
type Receipt struct {
	ID        string // the push's id, a ULID; for a duplicate the first one's, empty if that is no longer stored
	Seq       uint64 // its place in the journal
	Duplicate bool   // the key was used before within the idempotency window: nothing was stored or sent
}

// Message is a stored push on its way to receivers. It is shared and never changed.
type Message struct {
	Seq   uint64 // the journal's number: one order over all addresses, rising from message to message, not always by one
	ID    string
	Time  time.Time // when it was stored
	To    Address
	Event string
	Data  []byte
}

// Journal stores pushes, numbers them and hands them to every node.
type Journal interface {
	// Publish stores p and returns once it is stored. Two publishes, one begun after the other returned, are
	// numbered in that order. A key is scoped by its address: the same key to the same address is stored once
	// within the idempotency window. Publish waits while this node's follower is too far behind, so that stored
	// messages cannot be trimmed before they were delivered; it ends when ctx is done. After an error the push
	// is not stored, or, if the cause is codes.OutcomeUnknown, not known to be; codes.Of gives the cause.
	Publish(ctx context.Context, p Push) (Receipt, error)

	// Follow calls deliver for every message stored after Follow returned, once, in the order of Seq, from one
	// goroutine. It ends when ctx is done or the journal is closed. A lost hand-over is repaired from the store
	// before anything later is delivered.
	Follow(ctx context.Context, deliver func(*Message)) error

	// Replay calls fn for the stored messages with after < Seq <= upTo, in order, until fn returns an error or
	// ctx is done. Messages trimmed by age or count are skipped.
	Replay(ctx context.Context, after, upTo uint64, fn func(*Message) error) error
}
