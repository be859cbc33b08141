package rooms

import (
	"iter"
	"slices"
)

// audience is the members of one address on this node. The shard it lies in guards it.
type audience struct {
	groups []group // by door, none empty, so that a push asks each door once; there are few doors
	holder *seat   // the member that holds the claim, nil if none does
}

type group struct {
	door  Door
	seats []*seat
}

// seat is one member's place in one audience.
type seat struct {
	// set once
	conn   Conn // the member's, here so that a fan-out does not touch the member
	member *Member

	// guarded by the audience's shard
	at     int    // the index in its group
	epoch  uint64 // of the claim by which its member holds the room, else 0
	policy Policy // of that claim
}

func (a *audience) add(s *seat) {
	door := s.conn.Door()
	i := slices.IndexFunc(a.groups, func(g group) bool { return g.door == door })
	if i < 0 {
		i = len(a.groups)
		a.groups = append(a.groups, group{door: door})
	}
	g := &a.groups[i]
	s.at = len(g.seats)
	g.seats = append(g.seats, s)
}

// remove takes s out by putting the last of its group in its place.
func (a *audience) remove(s *seat) {
	door := s.conn.Door()
	i := slices.IndexFunc(a.groups, func(g group) bool { return g.door == door })
	g := &a.groups[i]
	last := len(g.seats) - 1
	g.seats[s.at] = g.seats[last]
	g.seats[s.at].at = s.at
	g.seats[last] = nil
	g.seats = g.seats[:last]
	if last == 0 {
		a.groups = slices.Delete(a.groups, i, i+1)
	}
	if a.holder == s {
		a.holder = nil
	}
}

// met yields the seats of those to whom the login l may do something, roughly from the newest to the oldest of each
// door. A Whenever meets at most the holder, so that it costs the same in a room of any size. a may be nil.
func (a *audience) met(l Login) iter.Seq[*seat] {
	return func(yield func(*seat) bool) {
		switch {
		case a == nil:
		case l.Policy == Whenever:
			if a.holder != nil {
				yield(a.holder)
			}
		default:
			for i := range a.groups {
				for _, s := range slices.Backward(a.groups[i].seats) {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// epoch is that of the holder's claim, 0 if there is no holder. a may be nil.
func (a *audience) epoch() uint64 {
	if a == nil || a.holder == nil {
		return 0
	}
	return a.holder.epoch
}

func (a *audience) len() (n int) {
	for i := range a.groups {
		n += len(a.groups[i].seats)
	}
	return n
}
