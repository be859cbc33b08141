package rooms

import "fmt"

// Bounds that tests have to know.
const (
	ProbeFirst   = probeFirst
	TurnTimeout  = turnTimeout
	ClaimTimeout = claimTimeout
)

// Holding is the claim by which a member holds room, as the hub knows it.
func (h *Hub) Holding(room string) Claim { return h.holding(room) }

// Remembered is all that a hub and its admission remember, in numbers.
type Remembered struct {
	Conns, Rooms, Seats, Pages, Due, Settlers int
}

// Remembered counts it, and checks that every index of every seat is right.
func (a *Admission) Remembered() (r Remembered) {
	for i := range a.hub.shards {
		s := &a.hub.shards[i]
		s.mu.Lock()
		r.Conns += s.everyone.len()
		s.everyone.check()
		for _, room := range s.rooms {
			r.Rooms++
			r.Seats += room.len()
			room.check()
		}
		s.mu.Unlock()
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	r.Pages, r.Due, r.Settlers = len(a.ledger.pages), len(a.ledger.due), a.ledger.settlers
	return r
}

func (a *audience) check() {
	for _, g := range a.groups {
		if len(g.seats) == 0 {
			panic("an empty group")
		}
		for i, s := range g.seats {
			if s.at != i || s.conn.Door() != g.door {
				panic(fmt.Sprintf("seat %d of %s thinks that it is %d", i, s.conn.ID(), s.at))
			}
		}
		for _, s := range g.seats[len(g.seats):cap(g.seats)] {
			if s != nil {
				panic("a member that left is still referred to")
			}
		}
	}
}
