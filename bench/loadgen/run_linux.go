package loadgen

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"downlink/bench/procstat"
)

const (
	// dialing is how many clients connect at a time.
	dialing = 64
	// sources is how many loopback addresses clients come from: one has ports for 28,000 connections at most, and a
	// server may treat clients by address.
	sources = 4
	// aftermath is how long a phase listens on, once everything owed has come, for what should not.
	aftermath = 30 * time.Millisecond
	// memoryEvery is how often the server's memory is read during a phase.
	memoryEvery = 20 * time.Millisecond
)

// fleet is a run under way: the clients and pushers on one loop, and the ledger of what they are owed.
type fleet struct {
	spec   *Spec
	loop   *loop
	rng    *rand.Rand
	ledger ledger
	server procstat.Process
	self   procstat.Process

	addr, pushAddr netip.AddrPort

	clients  []*client
	members  []int32   // ready clients by room
	pushers  []*pusher // of the phase under way
	turn     int       // whose turn it was to post
	started  int
	ready    int
	lost     int // before they were ready
	problems complaints

	memory     func() // reads the server's memory, when it is time to; nil between phases
	nextMemory time.Duration
}

// Run puts the load of spec on a server. An error means that the run could not be carried out; what the server did
// wrong is in the result. Run locks its goroutine to its thread while it runs, and closes every connection before it
// returns.
func Run(spec *Spec) (*Result, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	f := &fleet{
		spec:    spec,
		rng:     rand.New(rand.NewPCG(1, 2)),
		server:  procstat.Open(spec.Server.PID),
		self:    procstat.Open(unix.Getpid()),
		members: make([]int32, spec.Rooms),
	}
	var err error
	if f.addr, err = netip.ParseAddrPort(spec.Server.Addr); err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	if f.pushAddr, err = netip.ParseAddrPort(spec.Server.PushAddr); err != nil {
		return nil, fmt.Errorf("push address: %w", err)
	}
	if f.loop, err = newLoop(); err != nil {
		return nil, err
	}
	defer f.loop.close()

	result := &Result{}
	if result.Connect, err = f.connect(); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for i := range spec.Phases {
		p := spec.Phases[i]
		if p.Warmup > 0 {
			warmup := p
			warmup.Duration = p.Warmup
			if r, err := f.run(&warmup); err != nil || r.Faults.Total() > 0 {
				// A fault while warming up is as bad as any other: the phase is reported by it.
				result.Phases = append(result.Phases, r)
				if err != nil {
					return nil, fmt.Errorf("warm up for %s: %w", p.Name, err)
				}
				continue
			}
		}
		r, err := f.run(&p)
		if err != nil {
			return nil, fmt.Errorf("phase %s: %w", p.Name, err)
		}
		result.Phases = append(result.Phases, r)
	}
	return result, nil
}

// use is what was used up to a moment.
type use struct {
	at                time.Duration
	server, self, all time.Duration
}

func (f *fleet) use() (u use, err error) {
	u.at = f.loop.now()
	if u.server, err = f.server.CPU(); err != nil {
		return u, fmt.Errorf("server: %w", err)
	}
	if u.self, err = f.self.CPU(); err != nil {
		return u, err
	}
	u.all, err = procstat.Busy()
	return u, err
}

// others is how many cores were busy between two moments with anything but the server and the generator.
func others(from, to use) float64 {
	foreign := (to.all - from.all) - (to.server - from.server) - (to.self - from.self)
	return max(foreign.Seconds()/(to.at-from.at).Seconds(), 0)
}

// step lets the loop deal with what happens within the next wait, or less.
func (f *fleet) step(wait time.Duration) error {
	now := f.loop.now()
	if now > f.spec.Limit {
		return fmt.Errorf("run took more than %v", f.spec.Limit)
	}
	if f.memory != nil && now >= f.nextMemory {
		f.nextMemory = now + memoryEvery
		f.memory()
	}
	return f.loop.step(min(wait, memoryEvery))
}

// until steps the loop until done says so, or the wait is over, whichever is first. It says whether done did.
func (f *fleet) until(wait time.Duration, done func() bool) (bool, error) {
	end := f.loop.now() + wait
	for !done() {
		left := end - f.loop.now()
		if left <= 0 {
			return false, nil
		}
		if err := f.step(left); err != nil {
			return false, err
		}
	}
	return true, nil
}

func never() bool { return false }

// connect brings the fleet up and lets it settle.
func (f *fleet) connect() (c Connect, err error) {
	c.Clients = f.spec.Clients
	if c.RSSBefore, err = f.server.RSS(); err != nil {
		return c, err
	}
	before, err := f.use()
	if err != nil {
		return c, err
	}
	if err := f.dialMore(); err != nil {
		return c, err
	}
	if _, err := f.until(f.spec.Limit, func() bool { return f.ready+f.lost == f.spec.Clients }); err != nil {
		return c, fmt.Errorf("%d ready, %d lost: %w", f.ready, f.lost, err)
	}
	after, err := f.use()
	if err != nil {
		return c, err
	}
	c.Took, c.CPU, c.Generator = after.at-before.at, after.server-before.server, after.self-before.self
	c.Others = others(before, after)
	if _, err := f.until(f.spec.Settle, never); err != nil {
		return c, err
	}
	if c.RSS, err = f.server.RSS(); err != nil {
		return c, err
	}
	c.Lost, c.Complaints = f.lost+int(f.ledger.faults.Closed), f.problems
	if f.ready == 0 && f.spec.Clients > 0 {
		return c, fmt.Errorf("no client got through: %v", f.problems)
	}
	return c, nil
}

// dialMore keeps dialing clients under way.
func (f *fleet) dialMore() error {
	for f.started < f.spec.Clients && f.started-f.ready-f.lost < dialing {
		c := &client{fleet: f, room: toEveryone}
		if f.spec.Rooms > 0 {
			c.room = int32(f.started % f.spec.Rooms)
		}
		if f.spec.Polling {
			c.polling = &polling{}
		}
		source := netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + f.started%sources)})
		var err error
		if c.socket, err = f.loop.dial(f.addr, source, c); err != nil {
			return err
		}
		f.started++
		f.clients = append(f.clients, c)
	}
	return nil
}

// arrived and left are called by clients.

func (f *fleet) arrived(c *client) {
	f.ready++
	if c.room >= 0 {
		f.members[c.room]++
	}
	f.next()
}

func (f *fleet) left(c *client, err error) {
	if c.stage == ready {
		// Its pushes stay owed to it: a server may not shed load by dropping clients.
		f.ledger.faults.Closed++
		f.ledger.complaints.add("client: "+err.Error(), nil)
		f.problems.add("ready, then: "+err.Error(), nil)
		return
	}
	f.lost++
	f.problems.add(err.Error(), nil)
	f.next()
}

func (f *fleet) next() {
	if err := f.dialMore(); err != nil {
		f.lost++
		f.started++
		f.problems.add(err.Error(), nil)
	}
}
