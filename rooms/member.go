package rooms

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"downlink/codes"
)

// Member is one connection in the hub: part of the global audience from Attach to Gone, and of the rooms it was
// admitted to.
type Member struct {
	// set once
	conn      Conn
	clientKey string
	home      *shard // has the connection in its part of everyone

	global seat // guarded by home

	mu    sync.Mutex
	gone  bool             // its connection has closed: it joins nothing any more
	seats map[string]*seat // by room; nil while it is in none
}

// errGone ends a login whose connection has closed meanwhile; nobody is left to be told.
var errGone = errors.New("the connection has closed")

// Attach makes c a member of the global audience. hello, if not nil, runs under the hub's lock, so that what it queues
// for c comes before any push; it must not block nor call the hub.
//
// clientKey is what the client calls itself over reconnects, empty if it does not. Admission.Gone ends the membership.
func (h *Hub) Attach(c Conn, clientKey string, hello func()) *Member {
	m := &Member{conn: c, clientKey: clientKey, home: &h.shards[h.next.Add(1)%shardCount]}
	m.global = seat{conn: c, member: m}
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	if hello != nil {
		hello()
	}
	m.home.everyone.add(&m.global)
	return m
}

// Conn is the connection that was attached.
func (m *Member) Conn() Conn { return m.conn }

// Rooms lists the rooms m is in, in alphabetical order.
func (m *Member) Rooms() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.seats))
}

// mayLogIn says why m can be in no further room, or not log in at all. Being in room already is fine.
func (m *Member) mayLogIn(room string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	if m.seats[room] == nil && len(m.seats) >= MaxRooms {
		return codes.TooManyRooms
	}
	return nil
}

// ghostOf reports whether m is what an earlier connection of o's client left behind.
func (m *Member) ghostOf(o *Member) bool {
	return m != o && m.clientKey != "" && m.clientKey == o.clientKey
}

// seatIn is m's seat in room, nil if it is not in. The room's shard is locked.
func (m *Member) seatIn(room string) *seat {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seats[room]
}

// sit gives m a seat in room, or finds the one it has. s, the room's shard, is locked.
func (s *shard) sit(m *Member, room string) (*seat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return nil, errGone
	}
	if st := m.seats[room]; st != nil {
		return st, nil
	}
	a := s.rooms[room]
	if a == nil {
		a = &audience{}
		s.rooms[room] = a
	}
	st := &seat{conn: m.conn, member: m}
	a.add(st)
	if m.seats == nil {
		m.seats = map[string]*seat{}
	}
	m.seats[room] = st
	return st, nil
}

// stand ends what sit began. s, the room's shard, is locked.
func (s *shard) stand(st *seat, room string) {
	a := s.rooms[room]
	a.remove(st)
	if len(a.groups) == 0 {
		delete(s.rooms, room)
	}
	m := st.member
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seats, room)
	if len(m.seats) == 0 {
		m.seats = nil
	}
}

// leave takes m out of room, if it is in, and returns the epoch of the claim it held there, 0 for none.
func (h *Hub) leave(m *Member, room string) (epoch uint64) {
	s := h.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := m.seatIn(room)
	if st == nil {
		return 0
	}
	s.stand(st, room)
	return st.epoch
}

// detach takes m out of everything for good and calls held for each claim it held.
func (h *Hub) detach(m *Member, held func(room string, epoch uint64)) {
	m.mu.Lock()
	if m.gone {
		m.mu.Unlock()
		return
	}
	m.gone = true // from here on the list below can only get shorter
	rooms := slices.Collect(maps.Keys(m.seats))
	m.mu.Unlock()

	m.home.mu.Lock()
	m.home.everyone.remove(&m.global)
	m.home.mu.Unlock()

	for _, room := range rooms {
		if epoch := h.leave(m, room); epoch != 0 {
			held(room, epoch)
		}
	}
}
