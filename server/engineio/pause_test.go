package engineio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pausing makes a handler that pauses at every message "stop".
func pausing(c *client) {
	c.message = func(c *client, p []byte, _ bool) error {
		if string(p) == "stop" {
			c.s.Pause()
		}
		return nil
	}
}

func TestPauseOnWebSocket(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, pausing)
		c := b.socket()
		s := b.client()
		c.raw(cat(text("4a"), text("4stop"), text("4b"), control(opPing, "p"), text("4stop"), text("4c"))...)
		op, p, err := c.read()
		require.NoError(t, err)
		require.Equal(t, byte(finBit|opPong), op, "what was read is still answered")
		require.Equal(t, "p", string(p))
		require.Equal(t, []string{"t:a", "t:stop"}, s.received())

		c.send("4d") // not read yet
		s.s.Resume()
		require.Eventually(t, func() bool { return len(s.received()) == 4 }, patience, time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, []string{"t:a", "t:stop", "t:b", "t:stop"}, s.received(), "paused again")
		s.s.Resume()
		require.Eventually(t, func() bool { return len(s.received()) == 6 }, patience, time.Millisecond)
		require.Equal(t, []string{"t:a", "t:stop", "t:b", "t:stop", "t:c", "t:d"}, s.received())
		s.s.Resume() // nothing to resume
		c.send("4e")
		require.Eventually(t, func() bool { return len(s.received()) == 7 }, patience, time.Millisecond)
	})
}

func TestPauseHoldsTheClientBack(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, pausing)
		c := b.socket()
		s := b.client()
		c.send("4stop")
		require.Eventually(t, func() bool { return len(s.received()) == 1 }, patience, time.Millisecond)
		_ = c.nc.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		frame := maskedFrame(finBit|opText, []byte("4"+strings.Repeat("x", 64<<10)))
		sent := 0
		for ; sent < 1000; sent++ {
			if _, err := c.nc.Write(frame); err != nil {
				break
			}
		}
		require.Less(t, sent, 1000, "TCP stops the client")
		s.s.Kill("enough")
		require.Equal(t, "enough", s.reason(t))
	})
}

func TestPausedSessionDoesNotFailItsHeartbeat(t *testing.T) {
	b := newBed(t, fast, pausing)
	c := b.socket()
	s := b.client()
	c.send("4stop")
	require.Equal(t, "2", c.text())
	c.send("3")
	require.Equal(t, "2", c.text(), "the client goes on hearing from us")
	time.Sleep(600 * time.Millisecond) // more than interval and timeout: the pong lies unread
	require.True(t, s.s.Open())
	require.True(t, s.s.Probe(soon(t), time.Now()), "it is we who do not listen")
	s.s.Resume()
	require.Equal(t, "2", c.text())
	c.send("3")
	require.Equal(t, "2", c.text())
	require.True(t, s.s.Open())
}

func TestPauseOnPolling(t *testing.T) {
	b := newBed(t, nil, pausing)
	p := b.poll()
	s := b.client()
	done := make(chan int, 1)
	go func() { status, _ := p.post("4a\x1e4stop\x1e4b\x1e4stop\x1e4c"); done <- status }()
	for _, n := range []int{2, 4} {
		require.Eventually(t, func() bool { return len(s.received()) == n }, patience, time.Millisecond)
		select {
		case <-done:
			require.Fail(t, "a POST is answered when it has been handled")
		case <-time.After(20 * time.Millisecond):
		}
		s.s.Resume()
	}
	require.Equal(t, 200, recv(t, done))
	require.Equal(t, []string{"t:a", "t:stop", "t:b", "t:stop", "t:c"}, s.received())
}

func TestFarewellWhilePausedComesInTurn(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, pausing)
		c := b.socket()
		s := b.client()
		c.raw(cat(text("4stop"), text("4last words"), text("1"))...)
		require.Eventually(t, func() bool { return len(s.received()) == 1 }, patience, time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		require.True(t, s.s.Open())
		s.s.Resume()
		require.Equal(t, ReasonClient, s.reason(t))
		require.Equal(t, []string{"t:stop", "t:last words"}, s.received())
	})
}

func TestClosedWhilePaused(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, pausing)
		c := b.socket()
		s := b.client()
		c.raw(cat(text("4stop"), text("4never"))...)
		require.Eventually(t, func() bool { return len(s.received()) == 1 }, patience, time.Millisecond)
		s.s.Close("because")
		require.Equal(t, closeNormal, c.closing())
		require.Equal(t, []string{"t:stop"}, s.received())
		p := b.poll()
		s = b.client()
		answered := make(chan int, 1)
		go func() { status, _ := p.post("4stop\x1e4never"); answered <- status }()
		require.Eventually(t, func() bool { return len(s.received()) == 1 }, patience, time.Millisecond)
		s.s.Kill("because")
		require.Equal(t, "because", s.reason(t))
		require.Equal(t, 200, recv(t, answered))
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
	})
}

// Resume comes from another goroutine while what was read is still being parsed: the order holds.
func TestResumeAtAnyMomentKeepsTheOrder(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, func(c *client) {
			c.message = func(c *client, _ []byte, _ bool) error {
				c.s.Pause()
				go c.s.Resume()
				return nil
			}
		})
		c := b.socket()
		s := b.client()
		const n = 3000
		var in []byte
		var want []string
		for i := range n {
			in = append(in, text(fmt.Sprint("4", i))...)
			want = append(want, fmt.Sprint("t:", i))
		}
		c.raw(in...)
		require.Eventually(t, func() bool { return len(s.received()) == n }, patience, 5*time.Millisecond)
		require.Equal(t, want, s.received())

		p := b.poll()
		s = b.client()
		var body []string
		for i := range n {
			body = append(body, fmt.Sprint("4", i))
		}
		status, _ := p.post(strings.Join(body, "\x1e"))
		require.Equal(t, 200, status)
		require.Equal(t, want, s.received())
	})
}
