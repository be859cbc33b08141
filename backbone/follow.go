package backbone

import (
	"context"
	"time"

	"downlink/rooms"
)

// defaultPending is how many messages may wait for one follower. The publishers' window keeps far below it on one
// node; it is the bound for what comes from elsewhere.
const defaultPending = 1 << 16

// tailCheck is how often an idle follower looks whether it lacks the newest messages.
const tailCheck = 200 * time.Millisecond

// follower delivers what the stream republishes, in order and complete.
type follower struct {
	b       *Backbone
	cancel  context.CancelFunc // ends run
	queue   *queue
	cursor  cursor
	deliver func(*rooms.Message)

	// Owned by run.
	last     uint64 // everything up to here was delivered or need not be
	lastSeen uint64 // last at the tail check before
}

// Follow implements rooms.Journal. Several followers may run at the same time; publishers wait for the slowest.
func (b *Backbone) Follow(ctx context.Context, deliver func(*rooms.Message)) error {
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{
		b:       b,
		cancel:  cancel,
		queue:   newQueue(b.opts.pending),
		deliver: deliver,
	}
	if !b.begin(f) {
		cancel()
		return unavailable("follow", ErrClosed)
	}
	if err := f.start(ctx); err != nil {
		cancel()
		b.finish(f)
		return unavailable("follow", err)
	}
	go f.run(ctx)
	return nil
}

// start asks for the last number stored: everything after it comes into the queue, or is found missing.
func (f *follower) start(ctx context.Context) error {
	last, err := f.b.lastSeq(ctx)
	if err != nil {
		return err
	}
	f.last = last
	f.b.hist.window.join(&f.cursor, last)
	return nil
}

// run ends when ctx is done or the backbone closes.
func (f *follower) run(ctx context.Context) {
	defer f.b.finish(f)
	defer f.stop()
	tick := time.NewTicker(tailCheck)
	defer tick.Stop()
	var items []live
	for {
		select {
		case <-f.queue.wake:
			var dropped bool
			items, dropped = f.queue.take(items)
			for i := range items {
				f.take(ctx, &items[i])
				items[i] = live{} // or it would stay in memory until the next message
				if ctx.Err() != nil {
					return
				}
			}
			if dropped {
				f.catchUp(ctx)
			}
		case <-tick.C:
			f.checkTail(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) stop() {
	f.cancel()
	f.b.hist.window.part(&f.cursor)
}

// take handles one message from the queue.
func (f *follower) take(ctx context.Context, m *live) {
	s, err := m.stored()
	if err != nil {
		f.b.log.Warn("message on "+livePrefix+"> ignored", "token", string(m.token), "error", err)
		return
	}
	if s.seq <= f.last {
		return // delivered already, by a repair
	}
	if s.seq > f.last+1 && !f.repair(ctx, s.seq-1) {
		return
	}
	f.hand(s)
}

// hand delivers s, which is the next one.
func (f *follower) hand(s stored) {
	m, err := s.message()
	switch {
	case err != nil:
		f.b.log.Warn("stored message skipped", "seq", s.seq, "error", err)
	case m != nil:
		f.deliver(m)
	}
	f.pass(s.seq)
}

func (f *follower) pass(seq uint64) {
	f.last = seq
	f.b.hist.window.passed(&f.cursor, seq)
}

// repair delivers from the stream what is missing up to upTo; what was trimmed meanwhile is skipped. It tries until
// it succeeds, and is false only when ctx is done.
func (f *follower) repair(ctx context.Context, upTo uint64) bool {
	from := f.last
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := f.b.scan(ctx, f.last, upTo, func(s stored) error {
			f.hand(s)
			return ctx.Err()
		})
		if err == nil {
			f.pass(max(f.last, upTo))
			f.b.repaired.Add(1)
			f.b.log.Debug("messages lost on the way, read from the stream", "after", from, "upto", upTo)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		f.b.log.Warn("lost messages cannot be read from the stream, trying again", "after", f.last, "upto", upTo,
			"error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// checkTail repairs what was lost at the end of the traffic, where no later message shows the gap: the highest
// acknowledged number tells. A message on its way is given one interval to arrive.
func (f *follower) checkTail(ctx context.Context) {
	if top := f.b.hist.window.highest(); f.last < top && f.last == f.lastSeen {
		f.repair(ctx, top)
	}
	f.lastSeen = f.last
}

// catchUp repairs up to what the stream has now, after the queue was full or the link was lost.
func (f *follower) catchUp(ctx context.Context) {
	last, err := f.b.lastSeq(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.b.log.Warn("number of the last stored message not known, trying again", "error", err)
			time.AfterFunc(time.Second, f.queue.doubt)
		}
		return
	}
	if last > f.last {
		f.repair(ctx, last)
	}
}
