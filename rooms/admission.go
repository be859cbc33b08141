package rooms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"downlink/codes"
)

const (
	defaultProbeTimeout = time.Second
	turnTimeout         = 5 * time.Second // how long a login waits for others at the same room
)

// AdmissionOptions are the settings of an Admission.
type AdmissionOptions struct {
	ProbeTimeout time.Duration // how long a silent member may keep a newcomer waiting; 0: one second
	Log          *slog.Logger  // nil: no log
}

// Admission decides who may enter a room, and sees to it that a room's claim lives as long as its holder.
type Admission struct {
	hub          *Hub
	ledger       *ledger
	probeTimeout time.Duration
}

// NewAdmission returns the admission to the rooms of h, with the claims kept in c. Close ends it.
func NewAdmission(h *Hub, c Claims, o AdmissionOptions) *Admission {
	if o.ProbeTimeout <= 0 {
		o.ProbeTimeout = defaultProbeTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Admission{hub: h, ledger: newLedger(c, h, o.Log), probeTimeout: o.ProbeTimeout}
}

// Login admits m to a room or refuses it, by the table of the package's documentation, and calls answer exactly once,
// before it returns. answer may run under a lock of the hub: it must not block nor call the hub. What it queues for m
// comes before every push of the room that m gets.
//
// Login may wait: five seconds at most for its turn at the room, then for a probe and for Claims; less if ctx ends. It
// may race with everything but another Login of the same member.
func (a *Admission) Login(ctx context.Context, m *Member, l Login, answer func(Answer)) {
	if err := a.login(ctx, m, l, answer); err != nil {
		answer(Answer{Status: codes.LoginFailed(err), Room: l.Room, Seq: a.hub.Head()})
	}
}

// login is Login but for the answer to a login that failed.
func (a *Admission) login(ctx context.Context, m *Member, l Login, answer func(Answer)) error {
	if err := ParseRoomID(l.Room); err != nil {
		return err
	}
	if err := m.mayLogIn(l.Room); err != nil {
		return err
	}
	if l.Policy == Whenever { // needs no claim, so that it works without Claims and waits for nobody
		_, err := a.hub.enter(m, l, 0, nil, answer)
		return err
	}
	arrived := time.Now()
	waiting, cancel := context.WithTimeout(ctx, turnTimeout)
	turn, err := a.ledger.begin(waiting, l.Room)
	cancel()
	if err != nil {
		return err
	}
	defer a.ledger.finish(turn)

	by, in := a.hub.barring(m, l)
	if len(by) > 0 && (l.Resume || a.anyAlive(ctx, by, arrived)) {
		answer(Answer{Status: l.refusal(in), Room: l.Room, Seq: a.hub.Head()})
		return nil
	}
	if err := ctx.Err(); err != nil { // before the silence of those probed counts
		return fmt.Errorf("probe the members of a room: %w (%w)", codes.Unavailable, err)
	}
	claim := Claim{Room: l.Room, Conn: m.conn.ID(), Policy: l.Policy}
	epoch, err := a.ledger.acquire(ctx, turn, claim, l.Policy == Last && !l.Resume)
	if errors.Is(err, ErrClaimChanged) {
		answer(Answer{Status: l.refusal(in), Room: l.Room, Seq: a.hub.Head()})
		return nil
	}
	if err != nil {
		return err
	}
	silent := make(map[*seat]bool, len(by))
	for _, s := range by {
		silent[s] = true
	}
	admitted, err := a.hub.enter(m, l, epoch, silent, answer)
	if !admitted {
		a.ledger.doubt(turn)
	}
	return err
}

// Leave takes m out of a room; not being in it is fine. The claim m may have held is released in the background.
func (a *Admission) Leave(_ context.Context, m *Member, room string) {
	if epoch := a.hub.leave(m, room); epoch != 0 {
		a.ledger.abandon(room, epoch)
	}
}

// Gone takes m out of everything, for good: its connection has closed. Newcomers find its rooms free when Gone returns;
// its claims are released in the background. A login of m that is under way fails, and undoes what it has done.
func (a *Admission) Gone(m *Member) { a.hub.detach(m, a.ledger.abandon) }

// Close waits until the claims that nobody holds any more are released, and gives up when ctx ends. From then on logins
// with First and Last fail and nothing is released any more: call it when the connections are gone.
func (a *Admission) Close(ctx context.Context) error { return a.ledger.close(ctx) }
