package rooms

import (
	"context"
	"errors"
)

// Claim says who holds a room that was taken with First or Last.
type Claim struct {
	Room   string
	Conn   string // the holder's connection id
	Policy Policy
	Epoch  uint64 // the number of this holding; rises with every Acquire of the same room, for ever; 0: nobody holds it
	Ours   bool   // made through these very Claims since the process started: whether the holder lives is seen here
}

// ErrClaimChanged is what Acquire returns when the room's claim is not the one the caller meant to replace.
var ErrClaimChanged = errors.New("room claim changed meanwhile")

// Claims keeps one record per held room, changed only by compare-and-set.
//
// Every method ends when ctx is done. An error other than ErrClaimChanged means that the outcome is not known: the
// change may have been made, or may be made a little later. codes.Of gives its cause.
type Claims interface {
	// Acquire makes c the claim of c.Room if the room's present epoch is over (0: no claim), and returns the new
	// epoch. c.Epoch and c.Ours are ignored. It returns ErrClaimChanged if the present epoch is another.
	Acquire(ctx context.Context, c Claim, over uint64) (epoch uint64, err error)

	// Get returns the present claim of room, Epoch 0 if there is none. It sees every change that was made before it
	// was called, whoever made it.
	Get(ctx context.Context, room string) (Claim, error)

	// Release ends the claim of room if its epoch is still epoch; it does nothing if the claim is gone or newer.
	Release(ctx context.Context, room string, epoch uint64) error
}
