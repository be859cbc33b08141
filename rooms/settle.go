package rooms

import (
	"context"
	"fmt"
	"time"
)

// Settling makes Claims agree with the hub again after a holder left, or after a login failed whose claim may be there.
const (
	maxSettlers  = 8 // goroutines, so that thousands of holders may leave at once
	firstRetry   = 100 * time.Millisecond
	longestRetry = 2 * time.Second
)

// settler settles what is due until nothing is, or until ctx ends. While Claims fail it slows down.
func (l *ledger) settler(ctx context.Context) {
	retry := firstRetry
	for p := l.nextDue(ctx); p != nil; p = l.nextDue(ctx) {
		err := l.settle(ctx, p)
		l.settled(p)
		if err == nil {
			retry = firstRetry
			continue
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
		retry = min(2*retry, longestRetry)
	}
}

// settled puts p at the end of the list if there is still something to settle, for the settlers there are.
func (l *ledger) settled(p *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.unsettled() {
		l.due = append(l.due, p)
		return
	}
	p.due = false
	l.tidy(p)
}

// nextDue takes the next page off the list; nil tells a settler to end.
func (l *ledger) nextDue(ctx context.Context) *page {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.due) == 0 || ctx.Err() != nil {
		l.settlers--
		return nil
	}
	p := l.due[0]
	l.due[0] = nil
	if l.due = l.due[1:]; len(l.due) == 0 {
		l.due = nil
	}
	return p
}

// settle releases the claim of ours that nobody holds, in the room's turn so that no newcomer is between its claim and
// its seat. An error leaves the page as it is.
func (l *ledger) settle(ctx context.Context, p *page) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	l.mu.Lock()
	left, doubt := p.left, p.doubt
	l.mu.Unlock()

	epoch := left
	if doubt { // left, if it was replaced, is of no interest any more
		var err error
		if epoch, err = l.resolve(ctx, p); err != nil {
			return err
		}
	}
	if epoch != 0 {
		err := l.call(ctx, "release", func(ctx context.Context) error {
			return l.claims.Release(ctx, p.room, epoch)
		})
		if err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.doubt = false
	if p.left == left {
		p.left = 0
	}
	return nil
}

// resolve finds out whether the claim of a login that failed was made all the same. If so, it is nobody's: it is given
// to the holder it was to overthrow, who is still in the room because the login failed; without one it is left to be
// released.
func (l *ledger) resolve(ctx context.Context, p *page) (left uint64, err error) {
	present, err := l.get(ctx, p.room)
	if err != nil {
		return 0, err
	}
	held := l.hub.holding(p.room)
	switch {
	case !present.Ours || present.Epoch == held.Epoch:
		return 0, nil
	case held.Epoch == 0:
		return present.Epoch, nil
	}
	renewed, err := l.claim(ctx, held, present.Epoch)
	if err != nil || l.hub.renew(p.room, held.Epoch, renewed) {
		return 0, err
	}
	return renewed, nil // the holder has left meanwhile
}

// close stops new claims, waits until all that is due is settled, and gives up when ctx ends.
func (l *ledger) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	defer l.endSettlers()

	done := make(chan struct{})
	go func() { // ends with the settlers, which end when all is settled or when they are told to end
		l.settling.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	l.endSettlers()
	<-done
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.due) == 0 {
		return nil
	}
	return fmt.Errorf("release the claims of %d rooms: %w", len(l.due), context.Cause(ctx))
}
