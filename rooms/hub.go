package rooms

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// shardCount is how many locks the hub has: enough that logins seldom wait for a push to another room.
const shardCount = 64

// Hub knows who is connected to this node and in which rooms, and hands each message to whom it is for.
//
// A member is told of its joining under the same lock under which it joins, and a message passes under that lock too.
// So a member gets every message delivered after it was told, and none before.
type Hub struct {
	seed   maphash.Seed
	next   atomic.Uint32 // spreads the connections over the shards
	head   atomic.Uint64
	fans   []fan // owned by Deliver
	shards [shardCount]shard
}

// shard is a part of the rooms and, independently of these, a part of the connections.
// Its lock is taken before a Member's.
type shard struct {
	mu       sync.Mutex
	rooms    map[string]*audience // none of them empty
	everyone audience
}

// fan is what one door made of the message that is being delivered.
type fan struct {
	door Door
	Fanout
}

// NewHub returns a hub without connections.
func NewHub() *Hub {
	h := &Hub{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].rooms = map[string]*audience{}
	}
	return h
}

// Deliver hands m to the members of m.To on this node, each once. The journal's follower calls it for one message
// after the other, never for two at a time. It may wait for slow writers, and holds no lock then.
func (h *Hub) Deliver(m *Message) {
	if m.To.Kind == KindRoom {
		h.pass(h.shardOf(m.To.ID), m)
	} else {
		for i := range h.shards {
			h.pass(&h.shards[i], m)
		}
	}
	for _, f := range h.fans {
		f.Flush()
	}
	clear(h.fans)
	h.fans = h.fans[:0]
}

// pass queues m for those whom s knows. A door is asked for its wire form only if it has somebody there, and with the
// lock released, since a long message takes a while; whoever joins meanwhile gets m as well.
func (h *Hub) pass(s *shard, m *Message) {
	for {
		s.mu.Lock()
		a := &s.everyone
		if m.To.Kind == KindRoom {
			a = s.rooms[m.To.ID]
		}
		door := h.unasked(a)
		if door == nil {
			// Under the lock of the room: who joins it from here on has seen this number and does not get m.
			h.head.Store(m.Seq)
			h.queue(a)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		h.fans = append(h.fans, fan{door, door.Fanout(m)})
	}
}

// unasked finds a door in a that has no part in the present fan-out yet.
func (h *Hub) unasked(a *audience) Door {
	if a == nil {
		return nil
	}
	for i := range a.groups {
		if h.fanOf(a.groups[i].door) == nil {
			return a.groups[i].door
		}
	}
	return nil
}

func (h *Hub) queue(a *audience) {
	if a == nil {
		return
	}
	for i := range a.groups {
		f := h.fanOf(a.groups[i].door)
		for _, s := range a.groups[i].seats {
			f.Add(s.conn)
		}
	}
}

func (h *Hub) fanOf(d Door) Fanout {
	for i := range h.fans {
		if h.fans[i].door == d {
			return h.fans[i].Fanout
		}
	}
	return nil
}

// Head is the Seq of the last message whose delivery has begun, 0 before the first.
func (h *Hub) Head() uint64 { return h.head.Load() }

// Counts says how many connections there are and how many rooms have members on this node. It takes every lock in
// turn: for pages and metrics, not for each message.
func (h *Hub) Counts() (conns, rooms int) {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		conns += s.everyone.len()
		rooms += len(s.rooms)
		s.mu.Unlock()
	}
	return conns, rooms
}

func (h *Hub) shardOf(room string) *shard {
	return &h.shards[maphash.String(h.seed, room)%shardCount]
}
