package ingest

import (
	"context"
	"sync/atomic"
	"time"
)

// deadlines hands out contexts that end a fixed time from now. Those asked for at nearly the same time are one context:
// one for each push, with its timer, would cost more than to find and check the push's fields.
type deadlines struct {
	after  time.Duration
	recent atomic.Pointer[deadline]
}

type deadline struct {
	ctx    context.Context    //nolint:containedctx // it belongs to a time, not to a call
	cancel context.CancelFunc // never called: the timer ends the context, and many pushes may share it until then
	fresh  time.Time          // until when it is handed out
}

// next returns a context that ends after d.after, or up to a hundredth of that later.
func (d *deadlines) next() context.Context {
	now := time.Now()
	if recent := d.recent.Load(); recent != nil && now.Before(recent.fresh) {
		return recent.ctx
	}
	fresh := now.Add(d.after / 100)
	ctx, cancel := context.WithDeadline(context.Background(), fresh.Add(d.after))
	d.recent.Store(&deadline{ctx, cancel, fresh})
	return ctx
}
