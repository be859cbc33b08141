package engineio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollerSlotsAreReused(t *testing.T) {
	b := newBed(t, nil)
	p := b.srv.poll
	held := func() (used, all int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.conns) - len(p.free), len(p.conns)
	}
	for range 50 {
		c := b.socket()
		c.nc.Close()
		b.client().reason(t)
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond/4)
	}
	used, all := held()
	require.Zero(t, used)
	require.Equal(t, 1, all)
}

// Readers that are all held up in handlers do not keep the others' messages waiting.
func TestHandlersThatWaitDoNotStopTheOthers(t *testing.T) {
	free := make(chan struct{})
	b := newBed(t, nil, func(c *client) {
		c.message = func(c *client, p []byte, _ bool) error {
			if string(p) == "wait" {
				<-free
			} else {
				c.s.Send(TextMessage(string(p)))
			}
			return nil
		}
	})
	defer close(free)
	bystander := b.socket()
	for range cap(b.srv.poll.work) + 20 {
		b.socket().send("4wait")
	}
	bystander.send("4hello")
	require.Equal(t, "4hello", bystander.text())
}
