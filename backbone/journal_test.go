package backbone

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
)

func TestDuplicateHasTheFirstOnesReceipt(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax = 2 })
	p := push("456", 1)
	p.Key = "a key\r\nwith: what\x00 no header may hold"
	first, err := b.Publish(t.Context(), p)
	require.NoError(t, err)
	again, err := b.Publish(t.Context(), p)
	require.NoError(t, err)
	first.Duplicate = true
	require.Equal(t, first, again)

	other := p
	other.To = rooms.Everyone
	r, err := b.Publish(t.Context(), other)
	require.NoError(t, err)
	require.False(t, r.Duplicate)

	for i := range 2 { // trims the first
		_, err := b.Publish(t.Context(), push("456", i))
		require.NoError(t, err)
	}
	again, err = b.Publish(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, rooms.Receipt{Seq: first.Seq, Duplicate: true}, again)
}

func TestKeysAreScoped(t *testing.T) {
	seen := map[string]bool{}
	for _, to := range []rooms.Address{rooms.Everyone, rooms.Room(""), rooms.Room("a"), rooms.Room("ab")} {
		for _, key := range []string{"", "b", "bc", "c"} {
			seen[messageID(to, key)] = true
		}
	}
	require.Len(t, seen, 16)
}

func TestDataBytesAreNotChanged(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	datas := [][]byte{nil, []byte(`9007199254740993`), []byte("{ \"b\":1.0,\r\n\"a\":2,\"a\":3}\r\n"), []byte(`"\u2028<>&"`), all,
		make([]byte, 1<<20)}
	for _, d := range datas {
		_, err := b.Publish(t.Context(), rooms.Push{To: rooms.Everyone, Event: "é\u2028", Data: d, Key: string(d[:min(len(d), 9)])})
		require.NoError(t, err)
	}
	got := r.wait(t, len(datas))
	var replayed []*rooms.Message
	require.NoError(t, b.Replay(t.Context(), 0, 1<<60, func(m *rooms.Message) error {
		replayed = append(replayed, m)
		return nil
	}))
	require.Len(t, replayed, len(datas))
	for i, d := range datas {
		require.Equal(t, d, got[i].Data)
		require.Equal(t, "é\u2028", got[i].Event)
		require.Equal(t, got[i].ID, replayed[i].ID)
		require.Equal(t, got[i].Data, replayed[i].Data)
		require.True(t, got[i].Time.Equal(replayed[i].Time))
	}
}

// Large pushes from many publishers at once are more than may wait for the follower.
func TestManyLargePushes(t *testing.T) {
	b := open(t, t.TempDir())
	w := b.hist.window
	w.bytes = 1 << 20
	r := follow(t, b)
	r.hold.Lock()
	data := make([]byte, 100<<10)
	errs := make(chan error, 50)
	for range cap(errs) {
		go func() {
			_, err := b.Publish(t.Context(), rooms.Push{To: rooms.Everyone, Event: "large", Data: data})
			errs <- err
		}()
	}
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.queue) == cap(errs)-10 && w.held <= w.bytes && w.held > w.bytes-int64(len(data))-100
	}, patience, time.Millisecond)
	r.hold.Unlock()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	r.wait(t, cap(errs))
}

func TestPublishErrors(t *testing.T) {
	publish := func(ctx context.Context, b *Backbone, p rooms.Push) error {
		r, err := b.Publish(ctx, p)
		require.Error(t, err)
		require.Zero(t, r)
		return err
	}
	t.Run("too large", func(t *testing.T) {
		b := open(t, t.TempDir())
		require.ErrorContains(t, publish(t.Context(), b, rooms.Push{Event: "e", Data: make([]byte, MaxPush)}), "more than")
		_, err := b.Publish(t.Context(), rooms.Push{Event: "e", Data: make([]byte, MaxPush-64)})
		require.NoError(t, err)
	})
	t.Run("context over", func(t *testing.T) {
		b := open(t, t.TempDir())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := publish(ctx, b, push("456", 1))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, codes.Unavailable, codes.Of(err))
	})
	t.Run("no stream", func(t *testing.T) {
		b := open(t, t.TempDir())
		deleteStream(t, b, histStream)
		start := time.Now()
		err := publish(t.Context(), b, push("456", 1))
		require.ErrorIs(t, err, errNoStream)
		require.Equal(t, codes.Unavailable, codes.Of(err))
		require.Less(t, time.Since(start), time.Second, "known at once")
	})
	t.Run("server gone", func(t *testing.T) {
		b := open(t, t.TempDir())
		b.server.Shutdown()
		<-b.present.Load().dead
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		require.Equal(t, codes.Unavailable, codes.Of(publish(ctx, b, push("456", 1))))
	})
	t.Run("refused by the stream", func(t *testing.T) {
		b := open(t, t.TempDir())
		sealStream(t, b, histStream)
		err := publish(t.Context(), b, push("456", 1))
		require.ErrorContains(t, err, "sealed")
		require.Equal(t, codes.Unavailable, codes.Of(err))
	})
	t.Run("closed", func(t *testing.T) {
		b := open(t, t.TempDir())
		shut(t, b)
		err := publish(t.Context(), b, push("456", 1))
		require.ErrorIs(t, err, ErrClosed)
		require.Equal(t, codes.Unavailable, codes.Of(err))
		require.ErrorIs(t, b.Follow(t.Context(), func(*rooms.Message) {}), ErrClosed)
		require.ErrorIs(t, b.Replay(t.Context(), 0, 1, func(*rooms.Message) error { return nil }), ErrClosed)
		require.ErrorIs(t, b.Check(t.Context()), ErrClosed)
		_, err = b.Acquire(t.Context(), rooms.Claim{Room: "456"}, 0)
		require.ErrorIs(t, err, ErrClosed)
		_, err = b.Get(t.Context(), "456")
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, b.Release(t.Context(), "456", 1), ErrClosed)
	})
}

// An acknowledgement that comes after its publisher gave up is not taken for the next one's.
func TestLateAcknowledgementsDoNotMix(t *testing.T) {
	b := open(t, t.TempDir(), keepAll)
	receipts := make(chan rooms.Receipt, 16*500)
	var all sync.WaitGroup
	for p := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(400))*time.Microsecond)
				r, err := b.Publish(ctx, push(fmt.Sprint(p), i))
				cancel()
				if err == nil {
					receipts <- r
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(receipts)
	last, err := b.Publish(t.Context(), push("456", -1))
	require.NoError(t, err)
	require.Less(t, len(receipts), int(last.Seq)-1, "none came late: this test is worth nothing")
	stored := map[uint64]string{}
	for _, m := range replayed(t, b) {
		stored[m.Seq] = m.ID
	}
	require.Equal(t, last.ID, stored[last.Seq])
	for r := range receipts {
		require.Equal(t, r.ID, stored[r.Seq])
	}
	require.Eventually(t, func() bool {
		b.hist.window.mu.Lock()
		defer b.hist.window.mu.Unlock()
		return b.hist.window.sent == 0 && b.hist.window.held == 0
	}, patience, time.Millisecond)
}

func TestReplayStopsAtAnError(t *testing.T) {
	b := open(t, t.TempDir())
	publishAll(t, b, 1, 10)
	stop := errors.New("enough")
	n := 0
	require.Equal(t, stop, b.Replay(t.Context(), 2, 9, func(m *rooms.Message) error {
		n++
		require.EqualValues(t, n+2, m.Seq)
		if n == 3 {
			return stop
		}
		return nil
	}))
}

func TestReplayDoesNotGoPastItsEndOverAHole(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax = 1 })
	for _, room := range []string{"a", "b", "a"} {
		_, err := b.Publish(t.Context(), push(room, 1))
		require.NoError(t, err)
	}
	require.NoError(t, b.Replay(t.Context(), 0, 1, func(m *rooms.Message) error {
		t.Errorf("got %d", m.Seq)
		return nil
	}))
	require.Len(t, replayed(t, b), 2)
}
