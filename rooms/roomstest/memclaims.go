package roomstest

import (
	"context"
	"maps"
	"sync"

	"downlink/rooms"
)

// Op names a method of rooms.Claims or rooms.Journal for an Intercept.
type Op string

// The operations that can be intercepted.
const (
	OpAcquire Op = "acquire"
	OpGet     Op = "get"
	OpRelease Op = "release"
	OpPublish Op = "publish"
)

// Intercept is asked before an operation is done. It may block, with no lock held. With apply the operation is done;
// with err the caller is told err in place of its result. So (true, err) is a change whose confirmation was lost.
type Intercept func(ctx context.Context, op Op, room string) (apply bool, err error)

// MemClaims are rooms.Claims in memory.
type MemClaims struct {
	mu        sync.Mutex
	intercept Intercept
	epoch     uint64
	claims    map[string]rooms.Claim
}

// NewMemClaims returns Claims without a claim.
func NewMemClaims() *MemClaims { return &MemClaims{claims: map[string]rooms.Claim{}} }

// Intercept has f asked before every operation from now on; nil ends that.
func (c *MemClaims) Intercept(f Intercept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.intercept = f
}

// Seize makes conn, a connection of another node, the holder of room, and returns the epoch.
func (c *MemClaims) Seize(room, conn string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.claims[room] = rooms.Claim{Room: room, Conn: conn, Epoch: c.epoch}
	return c.epoch
}

// All returns a copy of the present claims by room.
func (c *MemClaims) All() map[string]rooms.Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.claims)
}

// do runs f under the lock unless the intercept or an ended ctx forbids it.
func (c *MemClaims) do(ctx context.Context, op Op, room string, f func() error) error {
	c.mu.Lock()
	intercept := c.intercept
	c.mu.Unlock()
	apply, fault := true, error(nil)
	if intercept != nil {
		apply, fault = intercept(ctx, op, room)
	}
	var err error
	if ctx.Err() != nil && fault == nil {
		apply, fault = false, ctx.Err()
	}
	if apply {
		c.mu.Lock()
		err = f()
		c.mu.Unlock()
	}
	if fault != nil {
		return fault
	}
	return err
}

// Acquire implements rooms.Claims.
func (c *MemClaims) Acquire(ctx context.Context, claim rooms.Claim, over uint64) (epoch uint64, err error) {
	err = c.do(ctx, OpAcquire, claim.Room, func() error {
		if c.claims[claim.Room].Epoch != over {
			return rooms.ErrClaimChanged
		}
		c.epoch++
		epoch = c.epoch
		claim.Epoch, claim.Ours = epoch, true
		c.claims[claim.Room] = claim
		return nil
	})
	if err != nil {
		return 0, err
	}
	return epoch, nil
}

// Get implements rooms.Claims.
func (c *MemClaims) Get(ctx context.Context, room string) (claim rooms.Claim, err error) {
	err = c.do(ctx, OpGet, room, func() error {
		claim = c.claims[room]
		return nil
	})
	return claim, err
}

// Release implements rooms.Claims.
func (c *MemClaims) Release(ctx context.Context, room string, epoch uint64) error {
	return c.do(ctx, OpRelease, room, func() error {
		if present, ok := c.claims[room]; ok && present.Epoch == epoch {
			delete(c.claims, room)
		}
		return nil
	})
}
