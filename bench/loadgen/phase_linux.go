package loadgen

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"time"
)

// dialPushers connects n pushers. They live for one phase: servers close connections of backends that idle.
func (f *fleet) dialPushers(n int) error {
	f.pushers = f.pushers[:0]
	for range n {
		p := &pusher{fleet: f}
		var err error
		if p.socket, err = f.loop.dial(f.pushAddr, netip.Addr{}, p); err != nil {
			return err
		}
		f.pushers = append(f.pushers, p)
	}
	up, err := f.until(5*time.Second, func() bool {
		return !slices.ContainsFunc(f.pushers, func(p *pusher) bool { return !p.up && !p.gone })
	})
	if err == nil && !up {
		err = errors.New("pushers could not connect")
	}
	return err
}

// idlePusher gives a pusher that can post, or nil. They take turns.
func (f *fleet) idlePusher() *pusher {
	for range f.pushers {
		f.turn = (f.turn + 1) % len(f.pushers)
		if p := f.pushers[f.turn]; p.idle() {
			return p
		}
	}
	return nil
}

// run carries out one phase, warm-up not included.
func (f *fleet) run(p *Phase) (r PhaseResult, err error) {
	r.Name = p.Name
	f.ledger.begin(p.Size)
	if err := f.dialPushers(p.Pushers); err != nil {
		return r, err
	}
	defer func() {
		for _, p := range f.pushers {
			p.socket.close()
		}
	}()
	runtime.GC() // the generator's own, now and not in the middle
	if r.RSSBefore, err = f.server.RSSFast(); err != nil {
		return r, err
	}
	f.nextMemory = 0
	f.memory = func() {
		if rss, err := f.server.RSSFast(); err == nil {
			r.RSSPeak = max(r.RSSPeak, rss)
		}
	}
	defer func() { f.memory = nil }()

	before, err := f.use()
	if err != nil {
		return r, err
	}
	if p.Rate > 0 {
		err = f.pushAtRate(p, &r)
	} else {
		err = f.pushAtFullSpeed(p)
	}
	if err == nil {
		err = f.drain()
	}
	if err != nil {
		return r, err
	}
	after, err := f.use()
	if err != nil {
		return r, err
	}
	f.memory()
	if _, err := f.until(aftermath, never); err != nil {
		return r, err
	}

	l := &f.ledger
	l.settle()
	end := l.last
	if p.Audience == Nobody {
		end = after.at
	}
	r.Pushes, r.Deliveries, r.Took = l.posted, l.deliveries, max(end-before.at, 0)
	r.CPU, r.Generator, r.Others = after.server-before.server, after.self-before.self, others(before, after)
	r.P50, r.P99, r.Slowest = l.latency.quantile(0.5), l.latency.quantile(0.99), l.latency.max
	r.Faults, r.Complaints = l.faults, l.complaints
	return r, nil
}

// pushAtFullSpeed posts whenever there is an idle pusher and fewer than p.InFlight pushes are on their way. A server
// that loses a push stops it: the phase ends, and the drain counts what is missing.
func (f *fleet) pushAtFullSpeed(p *Phase) error {
	end := f.loop.now() + p.Duration
	lastMove, moved := f.loop.now(), int64(0)
	for {
		now := f.loop.now()
		if sum := f.ledger.deliveries + f.ledger.event; sum != moved {
			lastMove, moved = now, sum
		}
		if now >= end || now-lastMove > f.spec.Stall {
			return nil
		}
		for f.ledger.open < p.InFlight {
			pusher := f.idlePusher()
			if pusher == nil {
				break
			}
			f.post(pusher, p)
		}
		if err := f.step(end - now); err != nil {
			return err
		}
	}
}

// pushAtRate posts p.Rate pushes a second. If all pushers are busy when one is due, it leaves as soon as one is idle;
// how late the latest was is in the result.
func (f *fleet) pushAtRate(p *Phase, r *PhaseResult) error {
	begin := f.loop.now()
	interval := time.Duration(float64(time.Second) / p.Rate)
	for n := time.Duration(1); n*interval <= p.Duration; n++ {
		due := begin + n*interval
		if _, err := f.until(due-f.loop.now(), never); err != nil {
			return err
		}
		var free *pusher
		found, err := f.until(f.spec.Stall, func() bool {
			free = f.idlePusher()
			return free != nil
		})
		if err != nil || !found {
			return err
		}
		r.Late = max(r.Late, f.loop.now()-due)
		f.post(free, p)
	}
	return nil
}

// post sends one push of the phase.
func (f *fleet) post(with *pusher, p *Phase) {
	switch p.Audience {
	case Everyone:
		with.post(toEveryone, int32(f.ready), p.Size)
	case OneRoom:
		room := int32(f.rng.IntN(len(f.members)))
		with.post(room, f.members[room], p.Size)
	case Nobody:
		with.post(toNobody, 0, p.Size)
	}
}

// drain waits for what is owed, as long as something still comes.
func (f *fleet) drain() error {
	for {
		moved := f.ledger.deliveries + f.ledger.event
		done, err := f.until(f.spec.Stall, func() bool {
			return f.ledger.open == 0 && f.quiet() || f.ledger.deliveries+f.ledger.event != moved
		})
		if err != nil || !done || f.ledger.open == 0 && f.quiet() {
			return err
		}
	}
}

// quiet says that no post waits for its answer.
func (f *fleet) quiet() bool {
	return !slices.ContainsFunc(f.pushers, func(p *pusher) bool { return p.busy && !p.gone })
}
