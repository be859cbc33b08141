package rooms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"downlink/codes"
)

const (
	claimTimeout = time.Second // one call of Claims
	acquireTries = 4           // against claims that are made elsewhere meanwhile
)

// ledger keeps the claims of this node's rooms in step with their holders, one change of a room at a time.
//
// While a member here holds a room, the hub knows the claim's epoch. A page exists only for a room that is being
// decided, or whose claim is still to be settled because nobody holds it any more.
type ledger struct {
	// set once
	claims       Claims
	hub          *Hub
	log          *slog.Logger
	startSettler func()             // with a context for its life
	endSettlers  context.CancelFunc // of all of them; close calls it

	failing  atomic.Bool // Claims failed last time; so that it is logged once
	settling sync.WaitGroup

	mu       sync.Mutex
	pages    map[string]*page
	due      []*page // to be settled, in this order
	settlers int     // goroutines that do it
	closed   bool
}

// page is what the ledger has to remember of one room.
type page struct {
	room string
	turn chan struct{} // of capacity 1: whoever has put something in may change the claim

	// guarded by the ledger's mutex
	users int    // who has the turn or waits for it, settlers excepted
	left  uint64 // the epoch of a claim of ours that nobody holds any more, 0 for none
	doubt bool   // an Acquire may have been made for somebody who is not in; set and cleared in the turn only
	due   bool   // in the ledger's list, or with a settler
}

func (p *page) unsettled() bool { return p.left != 0 || p.doubt }

func newLedger(c Claims, h *Hub, log *slog.Logger) *ledger {
	l := &ledger{claims: c, hub: h, log: log, pages: map[string]*page{}}
	life, end := context.WithCancel(context.Background())
	l.startSettler = func() { l.settling.Go(func() { l.settler(life) }) }
	l.endSettlers = end
	return l
}

// begin waits for the turn at room. Who has it, and nobody else on this node, may acquire its claim, until finish.
func (l *ledger) begin(ctx context.Context, room string) (*page, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, codes.Draining
	}
	p := l.page(room)
	p.users++
	l.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		return p, nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		p.users--
		l.tidy(p)
		return nil, fmt.Errorf("wait for the turn at a room: %w (%w)", codes.Unavailable, ctx.Err())
	}
}

// finish ends the turn at p's room.
func (l *ledger) finish(p *page) {
	<-p.turn
	l.mu.Lock()
	defer l.mu.Unlock()
	p.users--
	l.tidy(p)
}

// acquire makes c the claim of the room whose turn p is, whatever claim of ours was there. A claim of another node is
// replaced only if overthrow is set; else it is ErrClaimChanged.
//
// It goes on if ctx ends because a client went away: a change that is cut short is one whose outcome is not known.
func (l *ledger) acquire(ctx context.Context, p *page, c Claim, overthrow bool) (epoch uint64, err error) {
	ctx = context.WithoutCancel(ctx)
	over := l.hub.holding(p.room).Epoch
	l.mu.Lock()
	over = max(over, p.left)
	l.mu.Unlock()
	for range acquireTries {
		epoch, err = l.claim(ctx, c, over)
		if err == nil {
			l.mu.Lock()
			p.left, p.doubt = 0, false // both were about a claim that is replaced now
			l.mu.Unlock()
			return epoch, nil
		}
		if !errors.Is(err, ErrClaimChanged) {
			l.doubt(p)
			return 0, err
		}
		present, err := l.get(ctx, p.room)
		if err != nil {
			return 0, err
		}
		// One of ours that the hub does not know is an Acquire that failed and was made all the same.
		if present.Epoch != 0 && !present.Ours && !overthrow {
			return 0, ErrClaimChanged
		}
		over = present.Epoch
	}
	return 0, fmt.Errorf("acquire a claim that changes all the time: %w", codes.Unavailable)
}

// doubt notes that the login whose turn p is has failed, and that its claim may be there all the same. Settling finds
// out, and gives it to who holds the room or releases it.
func (l *ledger) doubt(p *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.doubt = true
}

// abandon notes that nobody holds the claim epoch of room any more. It is released in the background, unless a newcomer
// replaces it first.
func (l *ledger) abandon(room string, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	p := l.page(room)
	p.left = max(p.left, epoch)
	l.tidy(p)
}

// page finds or opens the page of room. l.mu is held.
func (l *ledger) page(room string) *page {
	p := l.pages[room]
	if p == nil {
		p = &page{room: room, turn: make(chan struct{}, 1)}
		l.pages[room] = p
	}
	return p
}

// tidy hands p to the settlers if there is something to settle, and removes it if there is nothing to remember.
// l.mu is held.
func (l *ledger) tidy(p *page) {
	switch {
	case p.due:
	case p.unsettled():
		p.due = true
		l.due = append(l.due, p)
		if l.settlers < maxSettlers && !l.closed {
			l.settlers++
			l.startSettler()
		}
	case p.users == 0:
		delete(l.pages, p.room)
	}
}

func (l *ledger) claim(ctx context.Context, c Claim, over uint64) (epoch uint64, err error) {
	err = l.call(ctx, "acquire", func(ctx context.Context) (err error) {
		epoch, err = l.claims.Acquire(ctx, c, over)
		return err
	})
	return epoch, err
}

func (l *ledger) get(ctx context.Context, room string) (present Claim, err error) {
	err = l.call(ctx, "read", func(ctx context.Context) (err error) {
		present, err = l.claims.Get(ctx, room)
		return err
	})
	return present, err
}

// call makes one call of Claims, bounded in time.
func (l *ledger) call(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	err := f(ctx)
	if err == nil || errors.Is(err, ErrClaimChanged) {
		if l.failing.Swap(false) {
			l.log.Info("room claims work again")
		}
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w (%w)", codes.Unavailable, err)
	}
	err = fmt.Errorf("%s a room's claim: %w", what, err)
	if !l.failing.Swap(true) {
		l.log.Warn("room claims fail: exclusive logins are refused until they work again", "error", err)
	}
	return err
}
