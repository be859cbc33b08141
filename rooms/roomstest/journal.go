package roomstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// tail collects what a follower delivers.
type tail struct {
	busy atomic.Int64 // calls of deliver under way

	mu      sync.Mutex
	got     []*rooms.Message
	overlap bool
	stall   chan struct{} // while not nil, deliver waits for its closing
}

func follow(t *testing.T, j rooms.Journal) *tail {
	t.Helper()
	f := &tail{}
	require.NoError(t, j.Follow(t.Context(), f.deliver))
	return f
}

func (f *tail) deliver(m *rooms.Message) {
	alone := f.busy.Add(1) == 1
	defer f.busy.Add(-1)
	f.mu.Lock()
	stall := f.stall
	f.overlap = f.overlap || !alone
	f.got = append(f.got, m)
	f.mu.Unlock()
	if stall != nil {
		<-stall
	}
}

func (f *tail) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// first waits for n messages and returns all there are: in order, and never two at a time.
func (f *tail) first(t *testing.T, n int) []*rooms.Message {
	t.Helper()
	require.Eventually(t, func() bool { return f.len() >= n }, patience, time.Millisecond, "messages delivered")
	f.mu.Lock()
	defer f.mu.Unlock()
	require.False(t, f.overlap, "two calls of deliver at once")
	for i := 1; i < len(f.got); i++ {
		require.Greater(t, f.got[i].Seq, f.got[i-1].Seq, "order of delivery")
	}
	return f.got
}

// upTo publishes a last message and returns what was delivered before it.
func (f *tail) upTo(t *testing.T, j rooms.Journal) []*rooms.Message {
	t.Helper()
	end := publish(t, j, rooms.Push{To: rooms.Room("the end"), Event: "end"})
	var n int
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		n = len(f.got)
		return n > 0 && f.got[n-1].Seq == end.Seq
	}, patience, time.Millisecond, "the last message is delivered")
	return f.first(t, n)[:n-1]
}

func publish(t *testing.T, j rooms.Journal, p rooms.Push) rooms.Receipt {
	t.Helper()
	r, err := j.Publish(t.Context(), p)
	require.NoError(t, err)
	require.NotZero(t, r.Seq)
	return r
}

// Journal tests an implementation of rooms.Journal. open returns an empty journal that lives until the test ends.
func Journal(t *testing.T, open func(t *testing.T) rooms.Journal) {
	t.Run("publishes one after the other are numbered in that order, over all addresses", func(t *testing.T) {
		j := open(t)
		var last uint64
		ids := map[string]bool{}
		for i := range 100 {
			to := rooms.Everyone
			if i%3 > 0 {
				to = rooms.Room(fmt.Sprint(i % 3))
			}
			r := publish(t, j, rooms.Push{To: to, Event: "e"})
			require.Greater(t, r.Seq, last)
			require.False(t, r.Duplicate)
			require.Len(t, r.ID, 26, "a ULID")
			last, ids[r.ID] = r.Seq, true
		}
		require.Len(t, ids, 100, "different ids")
	})

	t.Run("everything stored after Follow returned is delivered, once, in order, one at a time", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		var mu sync.Mutex
		want := map[uint64]string{}
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for i := range 100 {
					p := rooms.Push{To: rooms.Room(fmt.Sprint(i % 5)), Event: "e", Data: fmt.Appendf(nil, "[%d,%d]", w, i)}
					r, err := j.Publish(t.Context(), p)
					mu.Lock()
					if err == nil {
						want[r.Seq] = r.ID
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Len(t, want, 800)
		got := f.upTo(t, j)
		require.Len(t, got, 800)
		for _, m := range got {
			require.Equal(t, want[m.Seq], m.ID)
		}
	})

	t.Run("what was stored before Follow is not delivered", func(t *testing.T) {
		j := open(t)
		for range 3 {
			publish(t, j, rooms.Push{Event: "before"})
		}
		f := follow(t, j)
		require.Empty(t, f.upTo(t, j))
	})

	t.Run("Follow ends with its context", func(t *testing.T) {
		j := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		f := &tail{}
		require.NoError(t, j.Follow(ctx, f.deliver))
		publish(t, j, rooms.Push{Event: "e"})
		f.first(t, 1)
		cancel()
		require.Eventually(t, func() bool {
			before := f.len()
			publish(t, j, rooms.Push{Event: "e"})
			time.Sleep(20 * time.Millisecond) // long enough to be delivered if somebody still follows
			return f.len() == before
		}, patience, time.Millisecond)
	})

	t.Run("a message is what was published, byte for byte", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		var want []rooms.Push
		for _, data := range [][]byte{
			nil, []byte("null"), []byte("9007199254740993"), []byte("1.0"), []byte(`{"b":1,"a":2,"b":3}`),
			[]byte(`"\u00e9\/<>&` + "\u2028\x7f" + `"`), []byte(`[ 1 , 2 ]`), []byte(`""`),
			bytes.Repeat([]byte("7"), 1<<20),
		} {
			want = append(want, rooms.Push{Event: "e", Data: data})
		}
		for _, event := range []string{"downmsg", "a b.c*>", "\"\\\n", "日本", string(make256())} {
			want = append(want, rooms.Push{Event: event, Data: []byte("1")})
		}
		for _, room := range oddRooms {
			want = append(want, rooms.Push{To: rooms.Room(room), Event: "e", Data: []byte("1")})
		}
		var receipts []rooms.Receipt
		began := time.Now()
		for _, p := range want {
			receipts = append(receipts, publish(t, j, p))
		}
		got := f.upTo(t, j)
		require.Len(t, got, len(want))
		for i, m := range got {
			require.Equal(t, receipts[i].Seq, m.Seq)
			require.Equal(t, receipts[i].ID, m.ID)
			require.Equal(t, want[i].To, m.To)
			require.Equal(t, want[i].Event, m.Event)
			require.True(t, bytes.Equal(want[i].Data, m.Data), "data of push %d", i)
			require.Equal(t, want[i].Data == nil, m.Data == nil, "no data is nil, push %d", i)
			require.WithinRange(t, m.Time, began.Add(-time.Second), time.Now().Add(time.Second))
		}
	})

	t.Run("a key is stored once per address, and the repeat names the first", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		// the addresses end as the keys begin, so that gluing them together would not tell them apart
		addresses := []rooms.Address{rooms.Everyone, rooms.Room("a"), rooms.Room("ak"), rooms.Room("a:")}
		stored := 0
		for _, to := range addresses {
			for _, key := range []string{"k", "kk", ":k", "a b*>\"é"} {
				first := publish(t, j, rooms.Push{To: to, Event: "e", Data: []byte("1"), Key: key})
				require.False(t, first.Duplicate, "%v %q", to, key)
				stored++
				again := publish(t, j, rooms.Push{To: to, Event: "other", Data: []byte("2"), Key: key})
				require.Equal(t, rooms.Receipt{ID: first.ID, Seq: first.Seq, Duplicate: true}, again, "%v %q", to, key)
			}
		}
		for _, m := range f.upTo(t, j) {
			require.Equal(t, "1", string(m.Data), "the repeat is not sent")
			stored--
		}
		require.Zero(t, stored)
	})

	t.Run("of simultaneous publishes with one key one is stored", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		var fresh, failed atomic.Int64
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				r, err := j.Publish(t.Context(), rooms.Push{To: rooms.Room("1"), Event: "e", Key: "k"})
				if err != nil {
					failed.Add(1)
				} else if !r.Duplicate {
					fresh.Add(1)
				}
			})
		}
		all.Wait()
		require.Zero(t, failed.Load())
		require.EqualValues(t, 1, fresh.Load())
		require.Len(t, f.upTo(t, j), 1)
	})

	t.Run("Replay gives what was stored between two numbers, in order, the same as live", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		for i := range 50 {
			to := rooms.Everyone
			if i%2 > 0 {
				to = rooms.Room("a.b")
			}
			publish(t, j, rooms.Push{To: to, Event: "e", Data: fmt.Append(nil, i)})
		}
		live := f.upTo(t, j)
		require.Len(t, live, 50)
		for _, r := range [][2]int{{0, 49}, {0, 0}, {10, 20}, {48, 49}, {49, 49}} {
			var got []*rooms.Message
			require.NoError(t, j.Replay(t.Context(), live[r[0]].Seq, live[r[1]].Seq, func(m *rooms.Message) error {
				got = append(got, m)
				return nil
			}))
			want := live[r[0]+1 : max(r[0], r[1])+1]
			require.Len(t, got, len(want))
			for i, m := range got {
				require.True(t, m.Time.Equal(want[i].Time))
				same := *m
				same.Time = want[i].Time
				require.Equal(t, *want[i], same)
			}
		}
	})

	t.Run("Replay ends with the error of its function, and with its context", func(t *testing.T) {
		j := open(t)
		var last rooms.Receipt
		for range 5 {
			last = publish(t, j, rooms.Push{Event: "e"})
		}
		enough, calls := errors.New("enough"), 0
		err := j.Replay(t.Context(), 0, last.Seq, func(*rooms.Message) error {
			if calls++; calls == 2 {
				return enough
			}
			return nil
		})
		require.ErrorIs(t, err, enough)
		require.Equal(t, 2, calls)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, j.Replay(ctx, 0, last.Seq, func(*rooms.Message) error { return nil }))
	})

	t.Run("a slow follower slows publishing down, and misses nothing", func(t *testing.T) {
		j := open(t)
		f := follow(t, j)
		release := make(chan struct{})
		f.mu.Lock()
		f.stall = release
		f.mu.Unlock()
		const pushes = 2000 // to one room: more than is kept of it by default
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		done := make(chan int, 1)
		var began atomic.Int64
		go func() { // ends with ctx at the latest
			stored := 0
			for began.Add(1); stored < pushes; began.Add(1) {
				if _, err := j.Publish(ctx, rooms.Push{To: rooms.Room("1"), Event: "e"}); err != nil {
					break
				}
				stored++
			}
			done <- stored
		}()
		// until all is stored or publishing waits
		for last := int64(-1); last != began.Load() && began.Load() < pushes; {
			last = began.Load()
			time.Sleep(50 * time.Millisecond)
		}
		close(release)
		require.Equal(t, pushes, <-done)
		require.Len(t, f.upTo(t, j), pushes)
	})

	t.Run("Publish ends with its context", func(t *testing.T) {
		j := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := j.Publish(ctx, rooms.Push{Event: "e"})
		require.Error(t, err)
	})
}
