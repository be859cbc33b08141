package engineio

import (
	"bufio"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// With TLS in the process no bytes go by the file descriptor: reading and writing take the other way.
func TestTLS(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 64 << 20 })
	secure := httptest.NewTLSServer(b.srv)
	defer secure.Close()
	dial := func() (*ws, *client) {
		nc, err := tls.Dial("tcp", secure.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		c := &ws{t, nc, bufio.NewReader(nc)}
		t.Cleanup(func() { nc.Close() })
		c.raw([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")...)
		resp, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 101, resp.StatusCode)
		require.Equal(t, byte('0'), c.text()[0])
		return c, b.client()
	}
	c, s := dial()
	c.send("4" + strings.Repeat("x", 50_000))
	require.Len(t, c.text(), 50_001)
	for range 100 {
		s.s.Send(TextMessage("a"), BinaryMessage([]byte("b")))
	}
	for range 100 {
		require.Equal(t, "4a", c.text())
		_, p, err := c.read()
		require.NoError(t, err)
		require.Equal(t, "b", string(p))
	}
	s.s.Close("because")
	op, _, err := c.read()
	require.NoError(t, err)
	require.Equal(t, byte(finBit|opClose), op)
	c.nc.Close()

	full, s := dial() // a client that reads nothing
	for range 16 {
		s.s.Send(BinaryMessage(make([]byte, 1<<20)))
	}
	s.s.Kill("enough")
	require.Equal(t, "enough", s.reason(t))
	require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
	_ = full

	c, s = dial()
	c.nc.Close()
	require.Equal(t, ReasonClient, s.reason(t))
}
