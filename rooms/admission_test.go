package rooms_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
)

func TestOfSimultaneousFirstsOneIsAdmitted(t *testing.T) {
	for range 20 {
		w := newWorld()
		const n = 100
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = w.attach("")
		}
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() { c.login(room, rooms.First) })
		}
		all.Wait()
		got := map[string]int{}
		for _, c := range clients {
			require.Len(t, c.texts(), 1)
			got[c.texts()[0].Code]++
		}
		require.Equal(t, map[string]int{"2002": 1, "2004": n - 1}, got)
		require.Len(t, w.members(room, clients...), 1)
		for _, c := range clients {
			c.gone()
		}
		require.NoError(t, w.admission.Close(t.Context()))
		w.empty(t)
	}
}

func TestOfSimultaneousLastsOneRemains(t *testing.T) {
	for range 20 {
		w := newWorld()
		const n = 100
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = w.attach("")
		}
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() { c.login(room, rooms.Last) })
		}
		all.Wait()
		in := w.members(room, clients...)
		require.Len(t, in, 1)
		for _, c := range clients {
			want := []string{"2002", "2005"}
			if c == in[0] {
				want = want[:1]
			}
			require.Equal(t, want, c.Statuses())
		}
		require.Equal(t, in[0].ID(), w.claims.All()[room].Conn)
		for _, c := range clients {
			c.gone()
		}
		require.NoError(t, w.admission.Close(t.Context()))
		w.empty(t)
	}
}

func TestOnOneConnectionConnectedComesFirstThenLoggedInThenEvents(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		conn := w.door.NewConn("a")
		c := &client{Conn: conn, w: w, m: w.hub.Attach(conn, "", func() { conn.Tell(codes.Connected) })}
		global := w.push(rooms.Everyone)
		w.push(rooms.Room(room)) // not for c yet
		answer := c.login(room, rooms.First)
		require.EqualValues(t, 2, answer.Seq)
		event := w.push(rooms.Room(room))
		require.Equal(t, []string{"2001", "2002"}, conn.Statuses())
		require.Equal(t, []uint64{global, event}, conn.Seqs())
		got := conn.Got()
		require.Equal(t, "2001", got[0].Status.Code)
		require.Equal(t, "2002", got[2].Status.Code)
	})
}

func TestRoomsAndConnectionsHaveTheirOwnNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		victim, other := w.attach(""), w.attach("")
		require.Equal(t, "2002", other.login(victim.ID(), rooms.First).Status.Code)
		require.Equal(t, "2002", victim.login(room, rooms.First).Status.Code)
		w.push(rooms.Room(room))
		require.Empty(t, other.Seqs())
		w.push(rooms.Room(victim.ID()))
		require.Len(t, victim.Seqs(), 1)
		require.NotEqual(t, rooms.Everyone, rooms.Room(""))
	})
}

func TestEachPushReachesAConnectionInManyRoomsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		for i := range 50 {
			c.login(fmt.Sprint(i), policies[i%3])
		}
		require.Len(t, c.m.Rooms(), 50)
		want := []uint64{w.push(rooms.Room("7")), w.push(rooms.Everyone), w.push(rooms.Room("8"))}
		require.Equal(t, want, c.Seqs())
		c.gone()
		synctest.Wait()
		w.empty(t)
		w.push(rooms.Everyone)
		w.push(rooms.Room("7"))
		require.Equal(t, want, c.Seqs())
	})
}

func TestAKickTakesOutOfThatRoomOnly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.attach(""), w.attach("")
		a.login(room, rooms.First)
		a.login("other", rooms.First)
		b.login(room, rooms.Last)
		require.Equal(t, []string{"other"}, a.m.Rooms())
		require.Equal(t, []*client{a}, w.members("other", a, b))
		global := w.push(rooms.Everyone)
		require.Contains(t, a.Seqs(), global)
		require.Equal(t, "2002", a.login(room, rooms.Last).Status.Code, "it may try again")
		require.Equal(t, []*client{a}, w.members(room, a, b))
	})
}

func TestLeaving(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.attach(""), w.attach("")
		a.leave(room) // not in
		require.Equal(t, "2002", a.login(room, rooms.First).Status.Code)
		require.Equal(t, "2004", b.login(room, rooms.First).Status.Code)
		b.leave(room)
		require.Equal(t, []*client{a}, w.members(room, a, b))
		a.leave(room)
		require.Equal(t, "2002", b.login(room, rooms.First).Status.Code, "free at once")
		a.leave(room)
		require.Equal(t, []*client{b}, w.members(room, a, b))
	})
}

func TestWhenTheHolderLeavesTheClaimEndsThoughOthersStay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.attach(""), w.attach(""), w.attach("")
		a.login(room, rooms.First)
		b.login(room, rooms.Whenever)
		a.leave(room)
		synctest.Wait()
		require.Empty(t, w.claims.All())
		require.Equal(t, []*client{b}, w.members(room, a, b, c))
		require.Equal(t, "2004", c.login(room, rooms.First).Status.Code, "b is company, though nobody holds the room")
	})
}

func TestEpochsRise(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.attach(""), w.attach("")
		var last uint64
		for i := range 30 {
			c, p := a, rooms.Last
			if i%2 > 0 {
				c = b
			}
			if i%3 == 0 {
				a.leave(room)
				b.leave(room)
				p = rooms.First
			}
			answer := c.login(room, p)
			require.Equal(t, "2002", answer.Status.Code)
			require.Greater(t, answer.Epoch, last)
			last = answer.Epoch
		}
	})
}

func TestOwnGhostIsReplacedSilently(t *testing.T) {
	for _, p := range []rooms.Policy{rooms.First, rooms.Last} {
		for _, old := range policies {
			t.Run(fmt.Sprintf("%s after %s", p, old), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					ghost, me := w.attach("key"), w.attach("key")
					ghost.login(room, old)
					require.Equal(t, "2002", me.login(room, p).Status.Code)
					require.Zero(t, ghost.Probes())
					require.Equal(t, []string{"2002"}, ghost.Statuses())
					require.Equal(t, []*client{me}, w.members(room, ghost, me))
					ghost.gone()
					synctest.Wait()
					require.Equal(t, me.ID(), w.claims.All()[room].Conn, "the late end of the ghost harms nobody")
				})
			})
		}
	}
	t.Run("Whenever leaves it in", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			ghost, me := w.attach("key"), w.attach("key")
			ghost.login(room, rooms.First)
			me.login(room, rooms.Whenever)
			require.Len(t, w.members(room, ghost, me), 2)
		})
	})
	t.Run("it stays if somebody else keeps the newcomer out", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			ghost, other, me := w.attach("key"), w.attach(""), w.attach("key")
			ghost.login(room, rooms.First)
			other.login(room, rooms.Whenever)
			require.Equal(t, "2004", me.login(room, rooms.First).Status.Code)
			require.Equal(t, []*client{ghost, other}, w.members(room, ghost, other, me))
		})
	})
	t.Run("clients without a key are strangers", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.attach(""), w.attach("")
			a.login(room, rooms.First)
			require.Equal(t, "2004", b.login(room, rooms.First).Status.Code)
		})
	})
}

func TestNobodyIsInMoreThanMaxRooms(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		for i := range rooms.MaxRooms {
			require.Equal(t, "2002", c.login(fmt.Sprint(i), policies[i%3]).Status.Code)
		}
		for _, p := range policies {
			require.Equal(t, codes.LoginFailed(codes.TooManyRooms), c.login("one more", p).Status)
			require.Equal(t, "2002", c.login("7", p).Status.Code, "in already")
		}
		require.NotContains(t, w.claims.All(), "one more")
		c.leave("7")
		require.Equal(t, "2002", c.login("one more", rooms.First).Status.Code)
		c.gone()
		synctest.Wait()
		w.empty(t)
	})
}

func TestMalformedRoomsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		for _, p := range policies {
			require.Equal(t, codes.LoginFailed(codes.MalformedRoomID), c.login("a\x00", p).Status)
		}
	})
}

func TestWhoIsGoneJoinsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		c.gone()
		for _, p := range policies {
			require.Equal(t, "2003", c.login(room, p).Status.Code)
		}
		w.admission.Gone(c.m)
		c.leave(room)
		synctest.Wait()
		w.empty(t)
	})
}
