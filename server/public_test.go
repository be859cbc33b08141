package server

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// net/http lingers half a second on a connection it refused.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.Path) })
}

func TestPublicPaths(t *testing.T) {
	alone, shared := NewPublic(named("sockets"), nil), NewPublic(named("sockets"), named("ingest"))
	for _, c := range []struct{ method, path, alone, shared string }{
		{"GET", "/socket.io/?EIO=4", "sockets /socket.io/", "sockets /socket.io/"},
		{"POST", "/socket.io/", "sockets /socket.io/", "sockets /socket.io/"},
		{"OPTIONS", "/socket.io/", "sockets /socket.io/", "sockets /socket.io/"},
		{"GET", "/socket.io?EIO=4", "sockets /socket.io", "sockets /socket.io"},
		{"GET", "/", "downlink: connect with", "downlink: connect with"},
		{"GET", "/push", "404 page not found", "ingest /push"},
		{"POST", "/push", "404 page not found", "ingest /push"},
		{"POST", "/", "404 page not found", "ingest /"},
		{"GET", "/socket.iox", "404 page not found", "ingest /socket.iox"},
	} {
		for want, h := range map[string]http.Handler{c.alone: alone, c.shared: shared} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
			require.Contains(t, w.Body.String(), want, "%s %s", c.method, c.path)
			if strings.HasPrefix(want, "404") {
				require.Equal(t, http.StatusNotFound, w.Code)
			}
		}
	}
}

func TestHTTPLimits(t *testing.T) {
	s := NewHTTP(named("x"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.Handler = bounded(named("x"), 50*time.Millisecond)
	s.ReadHeaderTimeout = 50 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(l) }()
	defer func() { _ = s.Close() }()

	t.Run("a header that never ends is cut off", func(t *testing.T) {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = io.ReadAll(c)
		require.NoError(t, err, "the server hangs up")
	})
	t.Run("a body that never comes is given up", func(t *testing.T) {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = io.ReadAll(c)
		require.NoError(t, err, "the server hangs up")
	})
	t.Run("a huge header is refused", func(t *testing.T) {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Big: "+strings.Repeat("b", 2*maxHeaderBytes)+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	})
}
