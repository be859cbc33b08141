package engineio

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
