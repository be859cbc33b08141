package engineio

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

// Publishers as fast as they can are slowed down instead of having healthy clients closed. A burst is more than a queue
// holds and less than a socket takes unread, so that a client counts as healthy however busy the machine is.
func TestFastPublisherDoesNotEvictHealthyReaders(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 256 << 10 })
	const clients, publishers, bursts, each = 100, 4, 5, 100
	var read atomic.Int64
	for range clients {
		c := b.socket()
		go func() { // ends with the connection
			for {
				if _, _, err := c.read(); err != nil {
					return
				}
				read.Add(1)
			}
		}()
	}
	f := TextMessage(strings.Repeat("x", 1000))
	for burst := range bursts {
		var wg sync.WaitGroup
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
		want := int64(clients * publishers * each * (burst + 1))
		require.Eventually(t, func() bool { return read.Load() == want || b.srv.Count() < clients }, patience, time.Millisecond)
		require.Equal(t, clients, b.srv.Count())
	}
	require.Equal(t, uint64(clients*publishers*bursts*each), b.srv.Stats().Frames)
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
