package roomstest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// oddRooms are room ids that a store may take for something else.
var oddRooms = []string{
	"*", ">", "a.b", "a.>", ".", "..", "/", "\\", " ", "$", "g", "h", "日本語", "a\u2028b", "__proto__",
	"A", "a", string(make256()),
}

func make256() []byte {
	b := make([]byte, rooms.MaxRoomID)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// Claims tests an implementation of rooms.Claims. open returns empty Claims that live until the test ends.
func Claims(t *testing.T, open func(t *testing.T) rooms.Claims) {
	acquire := func(t *testing.T, c rooms.Claims, room string, over uint64) uint64 {
		t.Helper()
		epoch, err := c.Acquire(t.Context(), rooms.Claim{Room: room, Conn: "conn of " + room, Policy: rooms.Last}, over)
		require.NoError(t, err)
		require.NotZero(t, epoch)
		return epoch
	}
	get := func(t *testing.T, c rooms.Claims, room string) rooms.Claim {
		t.Helper()
		present, err := c.Get(t.Context(), room)
		require.NoError(t, err)
		return present
	}

	t.Run("a free room is acquired over no claim", func(t *testing.T) {
		c := open(t)
		require.Zero(t, get(t, c, "456").Epoch)
		epoch := acquire(t, c, "456", 0)
		want := rooms.Claim{Room: "456", Conn: "conn of 456", Policy: rooms.Last, Epoch: epoch, Ours: true}
		require.Equal(t, want, get(t, c, "456"))
	})

	t.Run("the epoch and the origin in the argument are ignored", func(t *testing.T) {
		c := open(t)
		_, err := c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "a", Epoch: 99, Ours: false}, 0)
		require.NoError(t, err)
		epoch, err := c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "b", Epoch: 0}, get(t, c, "456").Epoch)
		require.NoError(t, err)
		require.Equal(t, rooms.Claim{Room: "456", Conn: "b", Policy: rooms.First, Epoch: epoch, Ours: true}, get(t, c, "456"))
	})

	t.Run("a claim is replaced over its own epoch only", func(t *testing.T) {
		c := open(t)
		first := acquire(t, c, "456", 0)
		second := acquire(t, c, "456", first)
		for _, over := range []uint64{0, first, second + 1, second + 1000} {
			_, err := c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "late"}, over)
			require.ErrorIs(t, err, rooms.ErrClaimChanged, "over %d, present %d", over, second)
		}
		require.Equal(t, second, get(t, c, "456").Epoch)
		require.Equal(t, "conn of 456", get(t, c, "456").Conn)
	})

	t.Run("a room without a claim is not acquired over one", func(t *testing.T) {
		c := open(t)
		_, err := c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "a"}, 7)
		require.ErrorIs(t, err, rooms.ErrClaimChanged)
		epoch := acquire(t, c, "456", 0)
		require.NoError(t, c.Release(t.Context(), "456", epoch))
		_, err = c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "a"}, epoch)
		require.ErrorIs(t, err, rooms.ErrClaimChanged)
		require.Zero(t, get(t, c, "456").Epoch)
	})

	t.Run("epochs rise with every acquire, over releases too", func(t *testing.T) {
		c := open(t)
		var last uint64
		for i := range 20 {
			over := last
			if i%3 == 2 {
				require.NoError(t, c.Release(t.Context(), "456", last))
				over = 0
			}
			epoch := acquire(t, c, "456", over)
			require.Greater(t, epoch, last)
			last = epoch
		}
	})

	t.Run("a release ends its own epoch only", func(t *testing.T) {
		c := open(t)
		first := acquire(t, c, "456", 0)
		second := acquire(t, c, "456", first)
		for _, epoch := range []uint64{0, first, second + 1} {
			require.NoError(t, c.Release(t.Context(), "456", epoch))
			require.Equal(t, second, get(t, c, "456").Epoch, "released %d", epoch)
		}
		require.NoError(t, c.Release(t.Context(), "456", second))
		require.Zero(t, get(t, c, "456").Epoch)
	})

	t.Run("releasing what is not there does nothing", func(t *testing.T) {
		c := open(t)
		require.NoError(t, c.Release(t.Context(), "456", 7))
		epoch := acquire(t, c, "456", 0)
		require.NoError(t, c.Release(t.Context(), "456", epoch))
		require.NoError(t, c.Release(t.Context(), "456", epoch))
		acquire(t, c, "456", 0)
	})

	t.Run("rooms do not touch each other, whatever their ids", func(t *testing.T) {
		c := open(t)
		epochs := map[string]uint64{}
		for _, room := range oddRooms {
			epochs[room] = acquire(t, c, room, 0)
		}
		for _, room := range oddRooms {
			want := rooms.Claim{Room: room, Conn: "conn of " + room, Policy: rooms.Last, Epoch: epochs[room], Ours: true}
			require.Equal(t, want, get(t, c, room))
		}
		for i, room := range oddRooms {
			require.NoError(t, c.Release(t.Context(), room, epochs[room]))
			require.Zero(t, get(t, c, room).Epoch)
			for _, other := range oddRooms[i+1:] {
				require.Equal(t, epochs[other], get(t, c, other).Epoch)
			}
		}
	})

	t.Run("of simultaneous acquires over one epoch exactly one is made", func(t *testing.T) {
		c := open(t)
		var over uint64
		for range 20 {
			var winner atomic.Uint64
			var wins, others atomic.Int64
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					switch epoch, err := c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "a"}, over); {
					case err == nil:
						wins.Add(1)
						winner.Store(epoch)
					case !errors.Is(err, rooms.ErrClaimChanged):
						others.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, wins.Load())
			require.Zero(t, others.Load(), "errors other than ErrClaimChanged")
			require.Greater(t, winner.Load(), over)
			over = winner.Load()
			require.Equal(t, over, get(t, c, "456").Epoch)
		}
	})

	t.Run("an acquire that races a release is made or not, and the claim is whole", func(t *testing.T) {
		c := open(t)
		for range 50 {
			over := acquire(t, c, "456", 0)
			var epoch uint64
			var acquired, released error
			var both sync.WaitGroup
			both.Go(func() { epoch, acquired = c.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "b"}, over) })
			both.Go(func() { released = c.Release(t.Context(), "456", over) })
			both.Wait()
			require.NoError(t, released)
			if acquired == nil {
				require.Equal(t, epoch, get(t, c, "456").Epoch)
				require.NoError(t, c.Release(t.Context(), "456", epoch))
			} else {
				require.ErrorIs(t, acquired, rooms.ErrClaimChanged)
			}
			require.Zero(t, get(t, c, "456").Epoch)
		}
	})

	t.Run("every method ends with its context", func(t *testing.T) {
		c := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Acquire(ctx, rooms.Claim{Room: "456", Conn: "a"}, 0)
		require.Error(t, err)
		require.NotErrorIs(t, err, rooms.ErrClaimChanged)
		_, err = c.Get(ctx, "456")
		require.Error(t, err)
		require.Error(t, c.Release(ctx, "456", 1))
	})
}
