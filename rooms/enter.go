package rooms

import "downlink/codes"

// Login is what a newcomer asks for.
type Login struct {
	Room   string
	Policy Policy
	Resume bool   // an automatic login after a reconnect: it puts nobody out
	Epoch  uint64 // with Resume: the Epoch of the Answer to the login that is resumed, 0 if not known
}

// Answer is what became of a login.
type Answer struct {
	Status codes.Status
	Room   string
	// Epoch numbers the room's present holding: the newcomer's own after First and Last, the holder's after Whenever.
	// It is 0 if nobody holds the room, or if the newcomer was not admitted.
	Epoch uint64
	// Seq is a place in the journal: an admitted newcomer gets the room's pushes above it and none up to it.
	Seq uint64
}

// fate is what a login does to another member of the room.
type fate uint8

const (
	stays   fate = iota
	bars         // stays, and keeps the newcomer out
	kicked       // is put out and told so
	dropped      // is put out silently
)

// fate is the table of the package's documentation. silent is whether o was probed and did not answer.
func (l Login) fate(newcomer *Member, o *seat, silent bool) fate {
	ghost, holds := o.member.ghostOf(newcomer), o.epoch != 0
	switch {
	case l.Policy == Whenever && l.Resume && holds && !ghost && o.epoch > l.Epoch:
		return bars // the newcomer was put out by o while it was away
	case l.Policy == Whenever:
		return stays
	case ghost:
		return dropped
	case l.Resume && holds:
		return bars
	case l.Resume:
		return stays
	case l.Policy == Last, silent:
		return kicked
	default:
		return bars
	}
}

// refusal is what a barred newcomer is told: who resumes was put out while it was away, unless it is in the room.
func (l Login) refusal(in bool) codes.Status {
	if l.Resume && !in {
		return codes.KickedOut(l.Room)
	}
	return codes.RoomTaken(l.Room)
}

// barring lists the members that keep m out unless they turn out to be dead.
func (h *Hub) barring(m *Member, l Login) (by []*seat, in bool) {
	s := h.shardOf(l.Room)
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.rooms[l.Room].met(l) {
		if o.member != m && l.fate(m, o, false) == bars {
			by = append(by, o)
		}
	}
	return by, m.seatIn(l.Room) != nil
}

// holding is the claim by which a member here holds room, with Epoch 0 if none does.
func (h *Hub) holding(room string) Claim {
	s := h.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.rooms[room]
	if a.epoch() == 0 {
		return Claim{}
	}
	return Claim{Room: room, Conn: a.holder.conn.ID(), Policy: a.holder.policy, Epoch: a.holder.epoch, Ours: true}
}

// renew replaces the epoch by which room is held, and reports whether it still was the epoch over.
func (h *Hub) renew(room string, over, epoch uint64) bool {
	s := h.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.rooms[room]
	if a.epoch() != over {
		return false
	}
	a.holder.epoch = epoch
	return true
}

// enter is the one critical section in which a login takes effect: others are put out and told, m joins and is
// answered, all before the next push to the room. epoch is the claim acquired for m, 0 for Whenever. silent has those
// who were probed in vain.
//
// Others than those probed may have come while the claim was acquired. So m may still be barred, or gone: then it is
// not admitted, but whom it has to put out is put out, as if m had been admitted and had left at once. A holder that
// stays gets the claim back.
func (h *Hub) enter(
	m *Member, l Login, epoch uint64, silent map[*seat]bool, answer func(Answer),
) (admitted bool, err error) {
	s := h.shardOf(l.Room)
	s.mu.Lock()
	defer s.mu.Unlock()

	in := m.seatIn(l.Room) != nil
	if s.makeWay(m, l, in, silent) {
		answer(Answer{Status: l.refusal(in), Room: l.Room, Seq: h.Head()})
		return false, nil
	}
	st, err := s.sit(m, l.Room)
	if err != nil {
		return false, err
	}
	a := s.rooms[l.Room]
	if epoch != 0 {
		a.holder, st.epoch, st.policy = st, epoch, l.Policy
	}
	answer(Answer{Status: codes.LoggedIn(l.Room), Room: l.Room, Epoch: a.epoch(), Seq: h.Head()})
	return true, nil
}

// makeWay puts out whom the login l of m puts out, and reports whether somebody bars m.
func (s *shard) makeWay(m *Member, l Login, in bool, silent map[*seat]bool) (barred bool) {
	if in && l.Policy == Whenever {
		return false // nothing changes
	}
	var out, ghosts []*seat
	for o := range s.rooms[l.Room].met(l) {
		if o.member == m {
			continue
		}
		switch l.fate(m, o, silent[o]) {
		case bars:
			barred = true
		case kicked:
			out = append(out, o)
		case dropped:
			ghosts = append(ghosts, o)
		case stays:
		}
	}
	for _, o := range out {
		s.stand(o, l.Room)
		o.conn.Tell(codes.KickedOut(l.Room))
	}
	if barred {
		return true
	}
	for _, o := range ghosts {
		s.stand(o, l.Room)
	}
	return false
}
