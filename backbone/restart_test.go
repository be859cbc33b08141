package backbone

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// replayed is everything stored.
func replayed(t *testing.T, b *Backbone) (all []*rooms.Message) {
	t.Helper()
	require.NoError(t, b.Replay(t.Context(), 0, math.MaxInt64, func(m *rooms.Message) error {
		all = append(all, m)
		return nil
	}))
	return all
}

func TestRestartKeepsEverything(t *testing.T) {
	for _, sync := range []time.Duration{0, time.Second} {
		t.Run(sync.String(), func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, dir, func(o *Options) { o.Sync = sync })
			keyed := push("456", 0)
			keyed.Key = "k"
			first, err := b.Publish(t.Context(), keyed)
			require.NoError(t, err)
			publishAll(t, b, 2, 50)
			_, err = b.Publish(t.Context(), rooms.Push{To: rooms.Everyone, Event: "all"})
			require.NoError(t, err)
			held, err := b.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "a"}, 0)
			require.NoError(t, err)
			free, err := b.Acquire(t.Context(), rooms.Claim{Room: "7", Conn: "a"}, 0)
			require.NoError(t, err)
			require.NoError(t, b.Release(t.Context(), "7", free))
			before := replayed(t, b)
			require.Len(t, before, 52)
			shut(t, b)

			b = open(t, dir)
			require.Equal(t, before, replayed(t, b))
			again, err := b.Publish(t.Context(), keyed)
			require.NoError(t, err)
			require.Equal(t, rooms.Receipt{ID: first.ID, Seq: first.Seq, Duplicate: true}, again)
			next, err := b.Publish(t.Context(), push("456", 1))
			require.NoError(t, err)
			require.EqualValues(t, 53, next.Seq)

			c, err := b.Get(t.Context(), "456")
			require.NoError(t, err)
			require.Zero(t, c.Epoch, "no connection outlived the process")
			epoch, err := b.Acquire(t.Context(), rooms.Claim{Room: "456", Conn: "b"}, 0)
			require.NoError(t, err)
			require.Greater(t, epoch, max(held, free))
		})
	}
}

func TestSettingsChangeInPlace(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	publishAll(t, b, 1, 100)
	require.Len(t, replayed(t, b), 100)
	shut(t, b)

	b = open(t, dir, func(o *Options) {
		o.HistoryMax, o.HistoryAge, o.IdempotencyWindow, o.MaxBytes = 10, 2*time.Hour, time.Hour, 32<<20
	})
	got := replayed(t, b)
	require.Len(t, got, 10)
	require.EqualValues(t, 91, got[0].Seq)
	c := histConfig(t, b)
	require.EqualValues(t, 10, c.MaxMsgsPerSubject)
	require.Equal(t, 2*time.Hour, c.MaxAge)
	require.Equal(t, time.Hour, c.Duplicates)
	require.EqualValues(t, 32<<20, c.MaxBytes)
	shut(t, b)

	b = open(t, dir, func(o *Options) { o.HistoryAge, o.IdempotencyWindow = time.Hour, 3*time.Hour })
	require.Len(t, replayed(t, b), 10)
	c = histConfig(t, b)
	require.EqualValues(t, DefaultHistoryMax, c.MaxMsgsPerSubject)
	require.Equal(t, 3*time.Hour, c.MaxAge, "keys are known as long as their pushes")
	require.Equal(t, 3*time.Hour, c.Duplicates)
	publishAll(t, b, 1, 20)
	require.Len(t, replayed(t, b), 30)
}

func histConfig(t *testing.T, b *Backbone) jetstream.StreamConfig {
	t.Helper()
	js, err := jetstream.New(b.nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), histStream)
	require.NoError(t, err)
	return s.CachedInfo().Config
}

func TestHistoryIsKeptPerAddressAndForItsAge(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) {
		o.HistoryMax, o.HistoryAge, o.IdempotencyWindow = 3, 500*time.Millisecond, time.Hour
	})
	start := time.Now()
	for i := range 10 {
		for _, room := range []string{"a", "b"} {
			_, err := b.Publish(t.Context(), push(room, i))
			require.NoError(t, err)
		}
	}
	if got := replayed(t, b); time.Since(start) < 400*time.Millisecond {
		require.Len(t, got, 6)
	}
	require.Eventually(t, func() bool { return len(replayed(t, b)) == 0 }, patience, 10*time.Millisecond)
}

// The store is full of old messages: new ones push them out.
func TestHistoryIsBounded(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, func(o *Options) { o.MaxBytes = minBytes })
	data := make([]byte, 256<<10)
	for i := range 3 * minBytes / len(data) {
		_, err := b.Publish(t.Context(), rooms.Push{To: rooms.Room(fmt.Sprint(i)), Event: "e", Data: data})
		require.NoError(t, err)
	}
	got := replayed(t, b)
	require.Less(t, len(got), minBytes/len(data)+1)
	require.Greater(t, len(got), minBytes/len(data)/2)
	require.Less(t, treeBytes(dir), int64(2*minBytes))
}

func TestHistoryBytes(t *testing.T) {
	dir := t.TempDir()
	free, ok := diskFree(dir)
	if !ok {
		t.Skip("free space is not known on this system")
	}
	n, err := historyBytes(minBytes, dir, quiet())
	require.NoError(t, err)
	require.EqualValues(t, minBytes, n)
	n, err = historyBytes(free*2, dir, quiet())
	require.NoError(t, err)
	require.Less(t, n, free)
	require.Greater(t, n, free/2)
}

func TestCloseWaitsForADelivery(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	r.hold.Lock()
	publishAll(t, b, 1, 1)
	require.Eventually(t, func() bool { return !r.hold.TryLock() }, patience, time.Millisecond)
	time.Sleep(10 * time.Millisecond) // deliver is waiting for hold now
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.Close(ctx), context.DeadlineExceeded)
	r.hold.Unlock()
}

func TestCloseEndsFollowersAndPublishers(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax = 2 })
	r := &record{}
	require.NoError(t, b.Follow(context.Background(), r.deliver))
	r.hold.Lock()
	errs := make(chan error, 10)
	for i := range cap(errs) {
		go func() {
			_, err := b.Publish(context.Background(), push("456", i))
			errs <- err
		}()
	}
	require.NoError(t, <-errs) // the window has room for one
	require.Eventually(t, func() bool {
		b.hist.window.mu.Lock()
		defer b.hist.window.mu.Unlock()
		return len(b.hist.window.queue) == cap(errs)-1
	}, patience, time.Millisecond)
	time.AfterFunc(10*time.Millisecond, r.hold.Unlock)
	start := time.Now()
	shut(t, b)
	for range cap(errs) - 1 {
		if err := <-errs; err != nil {
			require.ErrorIs(t, err, ErrClosed)
		}
	}
	require.Less(t, time.Since(start), storeTimeout/2)
}

// A process that is killed while JetStream replaces the settings of the history leaves new ones with the checksum of
// the old ones. JetStream then forgets the stream, but not its messages.
func TestKillWhileSettingsChange(t *testing.T) {
	dir := t.TempDir()
	sum := filepath.Join(dir, "nats", "jetstream", "$G", "streams", histStream, "meta.sum")
	claim := rooms.Claim{Room: "456", Conn: "a"}
	keyed := push("456", 0)
	keyed.Key = "k"

	b := open(t, dir)
	_, err := b.Publish(t.Context(), keyed)
	require.NoError(t, err)
	publishAll(t, b, 2, 49)
	shut(t, b)
	old, err := os.ReadFile(sum)
	require.NoError(t, err)

	b = open(t, dir, func(o *Options) { o.HistoryAge = time.Hour })
	epoch, err := b.Acquire(t.Context(), claim, 0)
	require.NoError(t, err)
	before := replayed(t, b)
	require.Len(t, before, 50)
	shut(t, b)
	require.NoError(t, os.WriteFile(sum, old, 0o600))

	b = open(t, dir)
	require.Equal(t, before, replayed(t, b))
	again, err := b.Publish(t.Context(), keyed)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	next, err := b.Publish(t.Context(), push("456", 1))
	require.NoError(t, err)
	require.EqualValues(t, 51, next.Seq)
	later, err := b.Acquire(t.Context(), claim, 0)
	require.NoError(t, err)
	require.Greater(t, later, epoch)
}

func TestStartsAreCounted(t *testing.T) {
	dir := t.TempDir()
	for want := range uint64(3) {
		n, err := countStart(dir)
		require.NoError(t, err)
		require.Equal(t, want+1, n)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, startsName), nil, 0o600))
	_, err := countStart(dir)
	require.ErrorContains(t, err, startsName)
}
