package backbone

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A publisher that gives up may meet the end of the store.
func TestGivingUpAtTheEnd(t *testing.T) {
	for range 20 {
		l, p := dialPeer(t, nil)
		go func() { _, _ = io.Copy(io.Discard, p.in) }() // takes all, answers nothing; ends with the link
		s := newStore(newWindow(8, maxUndelivered), func() (*link, error) { return l, nil })
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		for range 4 {
			go func() {
				_, err := s.put(ctx, "hist.g", "", "", nil)
				errs <- err
			}()
		}
		require.Eventually(t, func() bool { return len(*l.slots.Load()) == 4 }, patience, time.Millisecond)
		go cancel()
		go l.close(ErrClosed)
		s.end()
		for range 4 {
			require.Error(t, <-errs)
		}
		s.end()
		require.Zero(t, s.window.sent)
		require.Zero(t, s.window.held)
	}
}

// Slots whose acknowledgements never came do not pile up.
func TestLostSlotsEndTheLink(t *testing.T) {
	l, _ := dialPeer(t, nil)
	for range maxSlots {
		l.newSlot()
	}
	require.NoError(t, l.cause)
	require.ErrorIs(t, l.publish("hist.g", l.newSlot().subject, "", "", nil), errNoAnswers)
	<-l.ended
}
