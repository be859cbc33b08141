package socketio

import (
	"context"
	"strings"
	"testing"
	"time"

	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// TestShutdown closes clients of both transports, also one whose login is being decided, takes no new ones, and gives
// their rooms back.
func TestShutdown(t *testing.T) {
	n := start(t)
	w := n.connect("")
	w.send(`42["loginRoom","456"]`)
	w.expect(loggedIn("456"))
	waiting := n.connect("")
	p, err := rawclient.DialPolling(n.addr, pollPath)
	require.NoError(t, err)
	defer p.Close()
	_, _, err = p.Post("40")
	require.NoError(t, err)
	_, err = p.Packets(2)
	require.NoError(t, err)
	polled := make(chan struct{})
	go func() { // as a real client does, until it is told that the session has ended
		defer close(polled)
		for status := 200; status == 200; {
			status, _, _ = p.Get()
		}
	}()
	n.claims.set(300*time.Millisecond, nil)
	waiting.send(`42["loginRoom","457"]`)

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.gateway.Shutdown(ctx) }()
	require.Eventually(t, func() bool {
		_, err := rawclient.Dial(n.addr, wsPath)
		return err != nil
	}, rawclient.Patience, time.Millisecond)
	_, err = rawclient.Dial(n.addr, wsPath)
	require.ErrorContains(t, err, "503")
	w.expectClosed()
	waiting.expectClosed()
	require.NoError(t, <-done)
	<-polled
	n.claims.set(0, nil)
	n.empty()
	require.NoError(t, n.gateway.Shutdown(context.Background())) // again is fine
}

// TestSlowReaderIsClosed: who does not read is closed when its queue is full; the others do not wait.
func TestSlowReaderIsClosed(t *testing.T) {
	n := start(t, withEngine(func(o *engineio.Options) { o.MaxQueue = 256 << 10 }))
	n.connectFrozen()
	reader := n.connect("")
	data := `"` + strings.Repeat("x", 16<<10) + `"`
	for range 40 { // more than a socket and a queue hold, at a pace a reader keeps
		for range 50 {
			n.push("", "x", data)
		}
		for range 50 {
			reader.expect(`42["x",` + data + `]`)
		}
	}
	require.Eventually(t, func() bool { conns, _ := n.hub.Counts(); return conns == 1 }, rawclient.Patience, time.Millisecond)
	reader.quiet()
}
