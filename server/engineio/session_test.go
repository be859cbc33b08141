package engineio

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
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

func TestProbe(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { reader(o); eio3(o) })
		frozen := func(f func(ctx context.Context) bool) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			require.False(t, f(ctx))
		}
		t.Run("websocket", func(t *testing.T) {
			c := b.socket()
			s := b.client().s
			since := time.Now()
			var wg sync.WaitGroup
			for range 20 { // all share one ping
				wg.Go(func() { require.True(t, s.Probe(soon(t), since)) })
			}
			require.Equal(t, "2", c.text())
			c.send("3")
			wg.Wait()
			require.True(t, s.Probe(soon(t), since), "answered already")
			frozen(func(ctx context.Context) bool { return s.Probe(ctx, time.Now()) })
			require.Equal(t, "2", c.text())
			frozen(func(ctx context.Context) bool { return s.Probe(ctx, time.Now()) })
			c.send("4x") // anything is a sign of life
			require.True(t, s.Probe(soon(t), time.Now().Add(-time.Second)))
			require.Equal(t, "4x", c.text(), "the second probe joined the first's ping")
		})
		t.Run("closes meanwhile", func(t *testing.T) {
			c := b.socket()
			s := b.client().s
			go func() { c.text(); c.nc.Close() }()
			require.False(t, s.Probe(soon(t), time.Now()))
			require.False(t, s.Probe(soon(t), time.Now().Add(-time.Hour)), "a closed session is not alive")
		})
		t.Run("polling", func(t *testing.T) {
			p := b.poll()
			s := b.client().s
			answer := p.later()
			p.waiting()
			answered := make(chan int, 1)
			go func() {
				if recv(t, answer) == "2" {
					status, _ := p.post("3")
					answered <- status
				}
			}()
			require.True(t, s.Probe(soon(t), time.Now()))
			require.Equal(t, 200, recv(t, answered))
			frozen(func(ctx context.Context) bool { return s.Probe(ctx, time.Now()) })
		})
		t.Run("version 3, websocket", func(t *testing.T) {
			c := b.ws("EIO=3&transport=websocket")
			c.text()
			s := b.client().s
			go func() {
				if op, _, err := c.read(); err == nil && op == finBit|opPing {
					c.raw(control(opPong, "")...)
				}
			}()
			require.True(t, s.Probe(soon(t), time.Now()))
			frozen(func(ctx context.Context) bool { return s.Probe(ctx, time.Now()) })
		})
		t.Run("version 3, polling", func(t *testing.T) {
			p := b.poll3("")
			s := b.client().s
			answer := p.later()
			p.waiting()
			next := make(chan chan string, 1)
			go func() {
				if recv(t, answer) == "1:6" {
					next <- p.later()
				}
			}()
			require.True(t, s.Probe(soon(t), time.Now()))
			s.Kill("done")
			recv(t, recv(t, next))
		})
	})
}

// A probe is a ping like any other: a client that does not answer it is closed when the timeout is over.
func TestProbedSessionTimesOut(t *testing.T) {
	b := newBed(t, func(o *Options) { o.PingTimeout = 200 * time.Millisecond })
	b.socket()
	s := b.client()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.False(t, s.s.Probe(ctx, time.Now()))
	require.Equal(t, ReasonPingTimeout, s.reason(t))
}

func TestShutdownClosesAfterTheQueuesAndRefusesNew(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader)
		var socks []*ws
		var sides []*client
		for range 10 {
			socks = append(socks, b.socket())
			sides = append(sides, b.client())
		}
		p := b.poll()
		answer := p.later()
		p.waiting()
		for _, s := range sides {
			s.s.Send(TextMessage("last"))
		}
		var wg sync.WaitGroup
		for _, c := range socks {
			wg.Go(func() {
				op, m, err := c.read()
				if err != nil || op != finBit|opText || string(m) != "4last" {
					t.Errorf("%x %q %v", op, m, err)
				}
				c.closing()
			})
		}
		done := make(chan error, 1)
		go func() { done <- b.srv.Shutdown(soon(t)) }()
		require.Eventually(t, b.srv.refusing.Load, patience, time.Millisecond)
		status, body, _ := b.do("GET", "EIO=4&transport=polling", "")
		require.Equal(t, 503, status, body)
		wg.Wait()
		require.Equal(t, "1", recv(t, answer))
		require.NoError(t, recv(t, done))
		for _, s := range sides {
			require.Equal(t, ReasonShutdown, s.reason(t))
		}
	})
}

func TestShutdownIsBoundedByItsContext(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 64 << 20 })
	b.poll() // never polls again: could be waited for PingTimeout
	c := b.socket()
	b.client()
	s := b.client()
	for range 16 {
		s.s.Send(BinaryMessage(make([]byte, 1<<20)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.ErrorIs(t, b.srv.Shutdown(ctx), context.DeadlineExceeded)
	require.Less(t, time.Since(start), 2*time.Second)
	require.Equal(t, ReasonShutdown, s.reason(t))
	require.Zero(t, b.srv.known.Load())
	_ = c
}

func TestShutdownSpreadsTheCloses(t *testing.T) {
	b := newBed(t, nil)
	const n = 200
	for range n {
		c := b.socket()
		go func() { _, _, _ = c.read(); c.nc.Close() }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	start := time.Now()
	require.NoError(t, b.srv.Shutdown(ctx))
	require.Greater(t, time.Since(start), n*time.Second/closesPerSecond*4/5)
}

func TestCloseInTheMiddleOfEverything(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader, pausing)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if i%2 == 0 {
						if c, err := dialWS(b.addr, "EIO=4&transport=websocket"); err == nil {
							_, _ = c.nc.Write(cat(text("4a"), text("4stop"), text("4b")))
							_, _, _ = c.read()
							c.nc.Close()
						}
					} else if resp, err := http.Get(b.http.URL + "/engine.io/?EIO=4&transport=polling"); err == nil {
						resp.Body.Close()
					}
				}
			})
		}
		wg.Go(func() {
			f := TextMessage(strings.Repeat("x", 100))
			for {
				select {
				case <-stop:
					return
				default:
				}
				batch := b.srv.Batch(f)
				b.srv.Range(batch.Add)
				batch.Flush()
			}
		})
		time.Sleep(200 * time.Millisecond)
		require.NoError(t, b.srv.Close())
		require.NoError(t, b.srv.Close())
		close(stop)
		wg.Wait()
		require.Eventually(t, func() bool { return b.srv.Count() == 0 && b.srv.known.Load() == 0 }, patience, time.Millisecond)
		closed := 0
		for {
			select {
			case c := <-b.conns:
				c.reason(t)
				closed++
				continue
			default:
			}
			break
		}
		require.Positive(t, closed)
	})
}

// After much coming and going nothing is left: sessions, connections, poller slots. goleak sees the goroutines.
func TestChurnLeavesNothing(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { reader(o); fast(o) })
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 40 {
					c, err := dialWS(b.addr, "EIO=4&transport=websocket")
					if err != nil {
						t.Error(err)
						return
					}
					switch (i + j) % 5 {
					case 0:
						_, _ = c.nc.Write(text("4x"))
					case 1:
						_, _ = c.nc.Write(text("1"))
						_, _, _ = c.read()
					case 2:
						_, _ = c.nc.Write([]byte{0xff, 0xff, 0xff})
					case 3:
						_ = c.nc.(*net.TCPConn).SetLinger(0) // reset
					case 4:
						_, _ = c.nc.Write(text("4xyz")[:4])
						_, _, _ = c.read()
					}
					c.nc.Close()
				}
			})
		}
		for range 20 {
			p := b.poll()
			switch p.sid[0] % 3 {
			case 0:
				p.post("1")
			case 1:
				p.upgrade().nc.Close()
			}
		}
		wg.Wait()
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 && b.srv.Count() == 0 }, patience, 5*time.Millisecond)
		var inWheel int
		b.srv.wheel.mu.Lock()
		for _, s := range b.srv.wheel.slots {
			if s != nil {
				inWheel++
			}
		}
		b.srv.wheel.mu.Unlock()
		require.Zero(t, inWheel)
		st := b.srv.Stats()
		var closed uint64
		for _, n := range st.Closed {
			closed += n
		}
		require.Equal(t, st.Opened, closed)
		require.Eventually(t, func() bool {
			b.srv.tasks.mu.Lock()
			defer b.srv.tasks.mu.Unlock()
			return b.srv.tasks.n == 0
		}, patience, time.Millisecond)
	})
}

// Many senders, one session: all frames arrive, each sender's in order, and those of one Send next to each other.
func TestSendIsAtomicAndOrdered(t *testing.T) {
	b := newBed(t, nil)
	c := b.socket()
	s := b.client().s
	const senders, each = 8, 200
	for i := range senders {
		go func() {
			for j := range each {
				s.Send(TextMessage(fmt.Sprint(i, " ", j, " a")), TextMessage(fmt.Sprint(i, " ", j, " b")))
			}
		}()
	}
	var next [senders]int
	for range senders * each {
		var i, j int
		_, err := fmt.Sscanf(c.text(), "4%d %d a", &i, &j)
		require.NoError(t, err)
		require.Equal(t, next[i], j)
		next[i]++
		require.Equal(t, fmt.Sprintf("4%d %d b", i, j), c.text())
	}
}

// Publishers as fast as they can are slowed down instead of having healthy clients closed.
func TestFastPublisherDoesNotEvictHealthyReaders(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 1 << 20 })
	const clients, publishers, each = 100, 4, 500
	var wg sync.WaitGroup
	for range clients {
		c := b.socket()
		wg.Go(func() {
			for range publishers * each {
				if _, _, err := c.read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	f := TextMessage(strings.Repeat("x", 1000))
	for range publishers {
		wg.Go(func() {
			for range each {
				batch := b.srv.Batch(f)
				b.srv.Range(batch.Add)
				batch.Flush()
			}
		})
	}
	wg.Wait()
	require.Equal(t, clients, b.srv.Count())
	st := b.srv.Stats()
	require.Equal(t, uint64(clients*(publishers*each)), st.Frames)
}

func TestIDsAreRandomAndOfOneForm(t *testing.T) {
	b := newBed(t, nil)
	seen := map[string]bool{}
	for range 100 {
		sid := b.poll().sid
		require.Regexp(t, `^[A-Za-z0-9_-]{20}$`, sid)
		require.False(t, seen[sid])
		seen[sid] = true
	}
}
