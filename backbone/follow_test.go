package backbone

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// record is a follower's deliver that writes down what it gets; it waits while it is held.
type record struct {
	hold sync.Mutex
	mu   sync.Mutex
	got  []*rooms.Message
}

func (r *record) deliver(m *rooms.Message) {
	r.hold.Lock()
	defer r.hold.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
}

func (r *record) messages() []*rooms.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[:len(r.got):len(r.got)]
}

// wait waits for n messages and requires that there are no more, with rising numbers.
func (r *record) wait(t *testing.T, n int) []*rooms.Message {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.messages()) >= n }, patience, time.Millisecond)
	got := r.messages()
	require.Len(t, got, n)
	for i := 1; i < n; i++ {
		require.Greater(t, got[i].Seq, got[i-1].Seq)
	}
	return got
}

func follow(t testing.TB, b *Backbone) *record {
	t.Helper()
	r := &record{}
	require.NoError(t, b.Follow(t.Context(), r.deliver))
	return r
}

func push(room string, n int) rooms.Push {
	return rooms.Push{To: rooms.Room(room), Event: "test", Data: fmt.Appendf(nil, "%d", n)}
}

// publishAll publishes n pushes to one room from several goroutines.
func publishAll(t *testing.T, b *Backbone, publishers, n int) {
	t.Helper()
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := p; i < n; i += publishers {
				if _, err := b.Publish(t.Context(), push("456", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// A history of two messages and a subscription that holds one: whatever the window let past would be gone for ever.
func TestFollowerMissesNothingWithTheSmallestHistory(t *testing.T) {
	for _, history := range []int{1, 2, 16} {
		t.Run(fmt.Sprint(history), func(t *testing.T) {
			b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax, o.pending = history, 1 })
			r := follow(t, b)
			publishAll(t, b, 8, 600)
			got := r.wait(t, 600)
			for i, m := range got {
				require.EqualValues(t, i+1, m.Seq)
			}
		})
	}
}

// The smallest store, and a subscription that holds one: what waits is not pushed out by what comes after it.
func TestFollowerMissesNothingWithTheSmallestStore(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.MaxBytes, o.pending = minBytes, 1 })
	r := follow(t, b)
	r.hold.Lock()
	data := make([]byte, 1<<20)
	errs := make(chan error, 3*minBytes/len(data))
	for i := range cap(errs) {
		go func() {
			_, err := b.Publish(t.Context(), rooms.Push{To: rooms.Room(fmt.Sprint(i)), Event: "e", Data: data})
			errs <- err
		}()
	}
	w := b.hist.window
	require.Eventually(t, func() bool { // the window is full, or lets all of them go
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.sent == 0 && len(w.queue)+len(errs) == cap(errs)
	}, patience, time.Millisecond)
	r.hold.Unlock()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	r.wait(t, cap(errs))
	require.NotZero(t, b.repaired.Load(), "nothing was lost: this test is worth nothing")
}

func TestFollowerKeepsNothingThatItDelivered(t *testing.T) {
	b := open(t, t.TempDir())
	delivered := make(chan weak.Pointer[byte], 1)
	require.NoError(t, b.Follow(t.Context(), func(m *rooms.Message) { delivered <- weak.Make(&m.Data[0]) }))
	_, err := b.Publish(t.Context(), rooms.Push{Event: "large", Data: make([]byte, 1<<20)})
	require.NoError(t, err)
	data := <-delivered
	require.Eventually(t, func() bool {
		runtime.GC()
		return data.Value() == nil
	}, patience, time.Millisecond)
}

func TestFollowerReadsFromTheStreamWhatItsSubscriptionLost(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.pending = 4 })
	r := follow(t, b)
	for round := range 5 {
		r.hold.Lock()
		publishAll(t, b, 8, 200) // the window lets them all go, the subscription holds 4
		r.hold.Unlock()
		r.wait(t, 200*(round+1))
	}
	require.NotZero(t, b.repaired.Load(), "nothing was lost: this test is worth nothing")
}

// The link breaks all the time, so that many messages are stored that nobody counts, and the history is small. Each
// push that its sender repeats until it is accepted is delivered, once and in order.
func TestFollowerMissesNothingWhileLinksBreak(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax, o.pending = 9, 4 })
	r := follow(t, b)
	ctx, stop := context.WithCancel(t.Context())
	var breaking, publishers sync.WaitGroup
	breaking.Go(func() {
		for ctx.Err() == nil {
			b.present.Load().close(errors.New("cut"))
			time.Sleep(10 * time.Millisecond)
		}
	})
	const senders, each = 16, 150
	for n := range senders {
		publishers.Go(func() {
			for i := range each {
				p := push("456", i*senders+n)
				p.Key = string(p.Data)
				for {
					if _, err := b.Publish(t.Context(), p); err == nil {
						break
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	publishers.Wait()
	stop()
	breaking.Wait()
	next := make([]int, senders)
	for _, m := range r.wait(t, senders*each) {
		n, err := strconv.Atoi(string(m.Data))
		require.NoError(t, err)
		require.Equal(t, next[n%senders], n/senders)
		next[n%senders]++
	}
	require.NotZero(t, b.repaired.Load(), "nothing was lost: this test is worth nothing")
}

// cutOff makes b's followers receive nothing any more.
func cutOff(b *Backbone) (cut []*follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.followers {
		delete(b.followers, f)
		cut = append(cut, f)
	}
	return cut
}

// Nothing follows that could show the gap, and the client library does not know of the loss.
func TestFollowerNoticesThatTheNewestAreMissing(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	publishAll(t, b, 1, 10)
	r.wait(t, 10)
	cutOff(b)
	publishAll(t, b, 1, 10)
	r.wait(t, 20)
}

// reconnect undoes cutOff.
func reconnect(b *Backbone, cut []*follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range cut {
		b.followers[f] = struct{}{}
	}
}

func TestFollowerFillsAGapBeforeWhatComesAfterIt(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	publishAll(t, b, 1, 5)
	r.wait(t, 5)
	cut := cutOff(b)
	publishAll(t, b, 1, 5)
	reconnect(b, cut)
	publishAll(t, b, 1, 5)
	r.wait(t, 15)
}

// What another node stored is not acknowledged here; only asking the stream shows that it is missing.
func TestFollowerAsksTheStreamWhenInDoubt(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	cut := cutOff(b)
	p := push("456", 1)
	_, err := b.nc.Request("hist.r.NDU2", appendEnvelope(nil, newID(), &p), patience)
	require.NoError(t, err)
	reconnect(b, cut)
	b.doubtAll()
	r.wait(t, 1)
}

func TestFollowerSkipsWhatWasTrimmedMeanwhile(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax = 5 })
	r := follow(t, b)
	for _, f := range cutOff(b) {
		b.hist.window.part(&f.cursor) // publishers do not wait for it
	}
	publishAll(t, b, 1, 50)
	got := r.wait(t, 5)
	require.EqualValues(t, 46, got[0].Seq)
}

func TestFollowerDropsStaleAndForeignMessages(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	publishAll(t, b, 1, 3)
	r.wait(t, 3)
	require.NoError(t, b.nc.Publish("live.g", []byte("not from the stream")))
	stale, err := b.nc.Request("$JS.API.DIRECT.GET.HIST", []byte(`{"seq":2}`), time.Second)
	require.NoError(t, err)
	stale.Subject, stale.Reply = "live.r.NDU2", ""
	require.NoError(t, b.nc.PublishMsg(stale))
	publishAll(t, b, 1, 3)
	got := r.wait(t, 6)
	require.EqualValues(t, 4, got[3].Seq)
}

func TestFollowerSkipsWhatCannotBeRead(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	_, err := b.hist.put(t.Context(), "hist.g", "", "", []byte("not a push"))
	require.NoError(t, err)
	_, err = b.hist.put(t.Context(), "hist.what", "", "", []byte("no such address"))
	require.NoError(t, err)
	publishAll(t, b, 1, 1)
	require.EqualValues(t, 3, r.wait(t, 1)[0].Seq)
	n := 0
	require.NoError(t, b.Replay(t.Context(), 0, 3, func(*rooms.Message) error { n++; return nil }))
	require.Equal(t, 1, n)
}

func TestPublishersWaitForTheFollower(t *testing.T) {
	b := open(t, t.TempDir(), func(o *Options) { o.HistoryMax = 4 })
	ctx, cancel := context.WithCancel(t.Context())
	r := &record{}
	require.NoError(t, b.Follow(ctx, r.deliver))
	r.hold.Lock()
	for i := range 3 {
		_, err := b.Publish(t.Context(), push("456", i))
		require.NoError(t, err)
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err := b.Publish(short, push("456", 3))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	last, err := b.lastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, last, "a publisher that gave up while it waited has stored nothing")

	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(t.Context(), push("456", 4))
		published <- err
	}()
	select {
	case err := <-published:
		t.Fatal("published past the window", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel() // the follower ends: nobody is waited for any more
	r.hold.Unlock()
	require.NoError(t, <-published)
	publishAll(t, b, 4, 20)
}

func TestFollowersOneAfterTheOther(t *testing.T) {
	b := open(t, t.TempDir())
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		r := &record{}
		require.NoError(t, b.Follow(ctx, r.deliver))
		publishAll(t, b, 1, 5)
		r.wait(t, 5)
		cancel()
		require.Eventually(t, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.followers) == 0
		}, patience, time.Millisecond)
	}
}

func TestEverythingGoesOnAfterTheLinkWasLost(t *testing.T) {
	b := open(t, t.TempDir())
	r := follow(t, b)
	stop := make(chan struct{})
	var all sync.WaitGroup
	var stored, failed atomic.Int64
	for range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				switch _, err := b.Publish(t.Context(), push("456", i)); {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, errLinkLost):
					failed.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		before := stored.Load()
		require.Eventually(t, func() bool { return stored.Load() > before+100 }, patience, time.Millisecond)
		l := b.present.Load()
		l.close(errors.New("by the test"))
		require.Eventually(t, func() bool { return b.present.Load() != l }, patience, time.Millisecond)
	}
	close(stop)
	all.Wait()
	require.NotZero(t, failed.Load())
	last, err := b.Publish(t.Context(), push("456", -1))
	require.NoError(t, err)
	require.GreaterOrEqual(t, int64(last.Seq), stored.Load())
	marks := b.links.Load() - 1 // each link after the first one stores a probe
	got := r.wait(t, int(last.Seq-marks))
	require.Equal(t, last.ID, got[len(got)-1].ID)
}
