package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	checkEvery   = time.Second     // how long the result of a check holds
	checkTimeout = 2 * time.Second // how long a check may take
)

var errNoFollower = errors.New("nobody follows the journal")

// health is the result of the last check.
type health struct {
	at  time.Time
	err error
}

// Check reports whether pushes get through: it stores a probe and waits until every follower has passed it. No
// follower is an error too. The result is kept for a second, so asking often costs nothing; callers at the same
// time share one probe.
func (b *Backbone) Check(ctx context.Context) error {
	select {
	case b.checking <- struct{}{}:
		defer func() { <-b.checking }()
	case <-ctx.Done():
		return unavailable("check backbone", context.Cause(ctx))
	}
	if b.isClosed() {
		return unavailable("check backbone", ErrClosed)
	}
	if !b.health.at.IsZero() && time.Since(b.health.at) < checkEvery {
		return b.health.err
	}
	// Not bound to ctx: the result is for others too.
	probe, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	err := b.probe(probe)
	if err != nil {
		err = unavailable("check backbone", err)
	}
	b.health = health{time.Now(), err}
	return err
}

func (b *Backbone) probe(ctx context.Context) error {
	a, err := b.hist.put(ctx, histPrefix+probeToken, "", "", []byte{envelopeVersion})
	if err != nil {
		return fmt.Errorf("store a probe: %w", err)
	}
	if err := b.hist.window.await(ctx, a.seq); err != nil {
		return fmt.Errorf("wait for the follower: %w", err)
	}
	return nil
}
