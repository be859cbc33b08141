package loadgen

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Spec is one run against one server: a fleet and what is done with it. It travels as JSON from the benchmark to the
// process that puts on the load.
type Spec struct {
	Server  Server
	Clients int
	Rooms   int           // client i joins room i modulo Rooms; 0: clients join none
	Polling bool          // long-polling instead of WebSocket
	Settle  time.Duration // how long the connected fleet idles before its memory is read
	Phases  []Phase
	Limit   time.Duration // the most the whole run may take; past it Run fails
	Stall   time.Duration // what is owed counts as lost when nothing at all has come for so long
}

// Server says where a server is and how it is spoken to. In the texts {room} stands for the name of a room.
type Server struct {
	Addr     string // host:port of the Socket.IO listener, IPv4
	PushAddr string // host:port of POST /push, IPv4
	PID      int    // whose CPU time and memory are read

	Accepted string // what the body of an answer to a push must contain
	Greeting string // the event packet sent to each client on connect; empty for none
	Join     string // the packet a client asks for a room with
	Joined   string // the packet that says it is in
}

// Phase is one stretch of load.
type Phase struct {
	Name     string
	Audience Audience
	Size     int           // bytes of a push's data, at least MinSize
	Warmup   time.Duration // the same load before, checked but not measured
	Duration time.Duration // how long new pushes are posted
	Rate     float64       // pushes per second; 0: as fast as InFlight allows
	InFlight int           // full speed: pushes not yet received by all their clients
	Pushers  int           // connections that post, one push at a time each
}

// Audience is whom the pushes of a phase are for.
type Audience string

// The audiences.
const (
	Everyone Audience = "everyone" // a global push: each client gets it
	OneRoom  Audience = "room"     // a room chosen at random for each push
	Nobody   Audience = "nobody"   // a room nobody is in
)

// Result is what came of a run. Times are as long as the JSON numbers say: nanoseconds.
type Result struct {
	Connect Connect
	Phases  []PhaseResult
}

// Connect is how a fleet came up.
type Connect struct {
	Clients    int
	Lost       int // never got as far as being told that it is connected (and, with rooms, joined)
	Took       time.Duration
	CPU        time.Duration // the server's
	Generator  time.Duration // the generator's CPU time
	Others     float64       // cores busy with anything but the two
	RSSBefore  int64         // bytes, with no client
	RSS        int64         // bytes, with the settled fleet
	Complaints map[string]int
}

// PhaseResult is what a phase measured.
type PhaseResult struct {
	Name       string
	Pushes     int64
	Deliveries int64
	Took       time.Duration // from the first post to the last delivery (or answer, if there is nothing to deliver)
	CPU        time.Duration // the server's
	Generator  time.Duration // the generator's CPU time
	Others     float64       // cores busy with anything but the two
	RSSBefore  int64         // bytes
	RSSPeak    int64         // bytes, the most seen; read every 20 ms
	P50, P99   time.Duration // POST written → delivery read
	Slowest    time.Duration
	Late       time.Duration // fixed rate: the most a push was posted after its time
	Faults     Faults
	Complaints map[string]int // samples of what was wrong, with their counts
}

// Faults counts deliveries that were not as they must be. All are zero for a server that works.
type Faults struct {
	Lost      int64 // owed and never came
	Doubled   int64 // came again
	Misrouted int64 // came to a client that is not of the audience
	Reordered int64 // came after a push that was posted once this one had been answered
	Wrong     int64 // not byte for byte what was posted, or nothing that was to come
	Refused   int64 // posts that were not answered as accepted
	Closed    int64 // connections, of clients and pushers, that broke
}

// Total is the number of all faults.
func (f Faults) Total() int64 {
	return f.Lost + f.Doubled + f.Misrouted + f.Reordered + f.Wrong + f.Refused + f.Closed
}

// Add counts another phase's faults in.
func (f *Faults) Add(o Faults) {
	f.Lost += o.Lost
	f.Doubled += o.Doubled
	f.Misrouted += o.Misrouted
	f.Reordered += o.Reordered
	f.Wrong += o.Wrong
	f.Refused += o.Refused
	f.Closed += o.Closed
}

// String names each kind that occurred, or says "none".
func (f Faults) String() string {
	var parts []string
	for _, kind := range []struct {
		n    int64
		name string
	}{
		{f.Lost, "lost"}, {f.Doubled, "doubled"}, {f.Misrouted, "misrouted"}, {f.Reordered, "reordered"},
		{f.Wrong, "wrong"}, {f.Refused, "posts refused"}, {f.Closed, "connections closed"},
	} {
		if kind.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", kind.n, kind.name))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// MaxClients bounds a fleet; room and push numbers have six and ten digits in a push.
const MaxClients = 50_000

func (s *Spec) validate() error {
	switch {
	case s.Clients < 0 || s.Clients > MaxClients:
		return fmt.Errorf("%d clients: must be 0 to %d", s.Clients, MaxClients)
	case s.Rooms < 0 || s.Rooms > s.Clients:
		return fmt.Errorf("%d rooms for %d clients", s.Rooms, s.Clients)
	case s.Limit <= 0:
		return errors.New("no limit on the run's time")
	case s.Stall <= 0:
		return errors.New("no time after which a push is lost")
	}
	for _, p := range s.Phases {
		if err := p.validate(s); err != nil {
			return fmt.Errorf("phase %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p *Phase) validate(s *Spec) error {
	switch {
	case p.Size < MinSize || p.Size > MaxSize:
		return fmt.Errorf("size %d: must be %d to %d", p.Size, MinSize, MaxSize)
	case p.Pushers < 1 || p.Pushers > 64:
		return fmt.Errorf("%d pushers: must be 1 to 64", p.Pushers)
	case p.Duration <= 0:
		return errors.New("no duration")
	case p.Rate < 0 || math.IsNaN(p.Rate) || p.Rate > 10_000:
		return fmt.Errorf("rate %v: must be 0 to 10000", p.Rate)
	case p.Rate == 0 && (p.InFlight < 1 || p.InFlight > seenWindow/2):
		return fmt.Errorf("%d in flight: must be 1 to %d", p.InFlight, seenWindow/2)
	case p.Audience != Everyone && p.Audience != OneRoom && p.Audience != Nobody:
		return fmt.Errorf("audience %q", p.Audience)
	case p.Audience == OneRoom && s.Rooms == 0:
		return errors.New("pushes to rooms, but the fleet has none")
	case p.Audience == Everyone && s.Clients == 0:
		return errors.New("pushes to everyone, but there are no clients")
	}
	return nil
}
