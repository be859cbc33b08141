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
	Epoch  uint64 // the number of this holding; rises with every Acquire of the same room, for ever
}

// ErrClaimChanged is what Acquire returns when the room's claim is not the one the caller meant to replace.
var ErrClaimChanged = errors.New("room claim changed meanwhile")

// Claims keeps one record per held room, changed only by compare-and-set.
type Claims interface {
	// Acquire makes c the claim of c.Room if the room's present epoch is over (0: no claim), and returns the new
	// epoch. c.Epoch is ignored. It returns ErrClaimChanged if the present epoch is another.
	Acquire(ctx context.Context, c Claim, over uint64) (epoch uint64, err error)

	// Release ends the claim of room if its epoch is still epoch; it does nothing if the claim is gone or newer.
	Release(ctx context.Context, room string, epoch uint64) error
}
