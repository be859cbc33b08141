package backbone

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// enterAll starts n publishers of size bytes each, one after the other, and returns where they report that they are
// in. Inside a synctest bubble.
func enterAll(ctx context.Context, w *window, n, size int) <-chan int {
	in := make(chan int, n)
	for i := range n {
		go func() {
			if _, err := w.enter(ctx, size); err == nil {
				in <- i
			}
		}()
		synctest.Wait()
	}
	return in
}

func TestWindowCountsWhatIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(3, maxUndelivered)
		c := &cursor{}
		w.join(c, 10)
		in := enterAll(t.Context(), w, 7, 1)
		require.Len(t, in, 3)
		for seq := range uint64(3) {
			w.leave(nil, 11+seq, 1) // acknowledged, not delivered
		}
		synctest.Wait()
		require.Len(t, in, 3)
		for seq := range uint64(2) {
			w.passed(c, 11+seq)
			synctest.Wait()
			require.Len(t, in, 4+int(seq))
		}
		w.leave(nil, 0, 1) // refused
		synctest.Wait()
		w.passed(c, 13)
		synctest.Wait()
		require.Len(t, in, 7)
		for want := range 7 {
			require.Equal(t, want, <-in, "let in in the order they came")
		}
	})
}

func TestWindowWithoutFollowerCountsOnlyTheUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(1, maxUndelivered)
		for seq := range uint64(100) {
			s, err := w.enter(t.Context(), 1)
			require.NoError(t, err)
			w.leave(s, seq+1, 1)
		}
		require.Zero(t, w.held)
	})
}

func TestWindowLetsGoWhenTheFollowerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(2, maxUndelivered)
		slow, fast := &cursor{}, &cursor{}
		w.join(slow, 0)
		w.join(fast, 0)
		in := enterAll(t.Context(), w, 3, 1)
		w.leave(nil, 1, 1)
		w.leave(nil, 2, 1)
		w.passed(fast, 2)
		synctest.Wait()
		require.Len(t, in, 2, "the slowest counts")
		w.part(slow)
		synctest.Wait()
		require.Len(t, in, 3)
		w.part(fast)
		w.leave(nil, 3, 1)
		require.Zero(t, w.held)
	})
}

func TestWindowOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(100, maxUndelivered)
		c := &cursor{}
		w.join(c, 0)
		in := enterAll(t.Context(), w, 3, maxUndelivered/2)
		require.Len(t, in, 2)
		w.leave(nil, 1, maxUndelivered/2)
		w.leave(nil, 2, maxUndelivered/2)
		synctest.Wait()
		require.Len(t, in, 2)
		w.passed(c, 1)
		synctest.Wait()
		require.Len(t, in, 3)
		w.passed(c, 2)
		w.leave(nil, 3, maxUndelivered/2)
		w.passed(c, 3)
		require.Zero(t, w.held)

		in = enterAll(t.Context(), w, 2, maxUndelivered*2)
		require.Len(t, in, 1, "a message larger than the window goes alone")
		w.leave(nil, 4, maxUndelivered*2)
		w.passed(c, 4)
		synctest.Wait()
		require.Len(t, in, 2)
		w.leave(nil, 0, maxUndelivered*2)
		require.Zero(t, w.held)
	})
}

func TestWindowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(1, maxUndelivered)
		_, err := w.enter(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = w.enter(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		in := enterAll(t.Context(), w, 1, 1)
		w.leave(nil, 0, 1)
		synctest.Wait()
		require.Len(t, in, 1, "who gave up is not in the way")
		require.Equal(t, 1, w.sent)
	})
}

func TestWindowNumbersFarApart(t *testing.T) {
	w := newWindow(4, maxUndelivered)
	c := &cursor{}
	w.join(c, 0)
	for i := range uint64(50) { // others store a thousand messages between two of ours
		_, err := w.enter(t.Context(), 7)
		require.NoError(t, err)
		w.leave(nil, (i+1)*1000, 7)
		w.passed(c, (i+1)*1000)
	}
	require.Zero(t, w.held)
	require.Zero(t, w.sent)
}

func TestWindowLetsNobodyOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(100, maxUndelivered)
		first := enterAll(t.Context(), w, 1, maxUndelivered-10)
		large := enterAll(t.Context(), w, 1, 1000)
		small := enterAll(t.Context(), w, 1, 1) // would fit
		require.Len(t, first, 1)
		require.Empty(t, large)
		require.Empty(t, small)
		w.leave(nil, 0, maxUndelivered-10)
		synctest.Wait()
		require.Len(t, large, 1)
		require.Len(t, small, 1)
	})
}
