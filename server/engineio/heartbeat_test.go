package engineio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollingHeartbeat(t *testing.T) {
	p := newBed(t, fast).poll()
	for range 3 {
		p.want("2")
		status, body := p.post("3")
		require.Equal(t, 200, status)
		require.Equal(t, "ok", body)
	}
}

func TestPollingPingTimeout(t *testing.T) {
	b := newBed(t, fast)
	inTime(t, func() bool {
		p := b.poll()
		s := b.client()
		time.Sleep(500 * time.Millisecond) // the client's view: interval and timeout since it knows of the session
		status, _ := p.get()
		require.Equal(t, ReasonPingTimeout, s.reason(t))
		return status == 400
	})
}

// A client that comes back after its time is turned away even if the wheel has not come by.
func TestOverdueClientIsTurnedAway(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		b := newBed(t, nil)
		p := b.poll()
		s := b.client()
		s.s.mu.Lock()
		s.s.flags |= awaiting
		s.s.due = 0
		s.s.mu.Unlock()
		status, _, _ := b.do(method, p.q, "3")
		require.Equal(t, 400, status)
		require.Equal(t, ReasonPingTimeout, s.reason(t))
	}
}

func TestWebSocketHeartbeat(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		c := newBed(t, func(o *Options) { fast(o); reader(o) }).socket()
		for range 3 {
			start := time.Now()
			require.Equal(t, "2", c.text())
			require.Greater(t, time.Since(start), 200*time.Millisecond)
			c.send("3")
		}
	})
}

func TestWebSocketPingTimeout(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { fast(o); reader(o) })
		c := b.socket()
		start := time.Now()
		require.Equal(t, closeNormal, c.closing())
		require.Greater(t, time.Since(start), 400*time.Millisecond)
		require.Less(t, time.Since(start), 2*time.Second)
		require.Equal(t, ReasonPingTimeout, b.client().reason(t))
	})
}
