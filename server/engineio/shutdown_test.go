package engineio

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

// A client that is between two polls and never comes back is no reason to miss the deadline.
func TestShutdownGivesUpAClientThatDoesNotPoll(t *testing.T) {
	b := newBed(t, nil)
	b.poll()
	s := b.client()
	s.s.Send(TextMessage("never fetched"))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	require.NoError(t, b.srv.Shutdown(ctx))
	require.Equal(t, ReasonShutdown, s.reason(t))
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

// A session whose handler is being made while the server stops is not forgotten.
func TestSessionOpenedDuringShutdownIsClosed(t *testing.T) {
	opening, stopping := make(chan struct{}), make(chan struct{})
	b := newBed(t, nil, func(*client) { close(opening); <-stopping })
	got := make(chan int, 1)
	go func() {
		c, err := dialWS(b.addr, "EIO=4&transport=websocket")
		if err != nil {
			got <- -1
			return
		}
		c.t = t
		got <- c.closing()
	}()
	recv(t, opening)
	done := make(chan error, 1)
	go func() { done <- b.srv.Shutdown(soon(t)) }()
	require.NoError(t, recv(t, done), "it knows of none")
	close(stopping)
	require.Contains(t, []int{0, closeNormal}, recv(t, got))
	require.Equal(t, ReasonShutdown, b.client().reason(t))
	require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
}
