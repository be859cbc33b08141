package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/ingest"
	"downlink/rooms"
)

// request is a whole POST /push, as it is on the wire.
func request(body string) string { return head(fmt.Sprintf("Content-Length: %d", len(body))) + body }

// head is the start of a POST /push, up to its body.
func head(headers ...string) string {
	return "POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

// client is a sender that writes what no HTTP library would.
type client struct {
	*net.TCPConn
	t  *testing.T
	in *bufio.Reader
}

func dial(t *testing.T, ts *httptest.Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // closed before by some tests
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := c.Write([]byte(text))
	require.NoError(c.t, err)
}

// answer reads an answer, which must be the envelope.
func (c *client) answer() (status int, msg string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err)
	a := read(c.t, res)
	return a.status, a.msg(c.t)
}

// closed waits for the server to close the connection.
func (c *client) closed() {
	c.t.Helper()
	_, err := c.in.ReadByte()
	require.Error(c.t, err)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded, "still open")
}

const bodyTimeout = 100 * time.Millisecond

// TestUnreadableBody holds that a body that does not come whole is answered clearly, sends nothing, and ends its
// connection, for what follows on it may be the rest.
func TestUnreadableBody(t *testing.T) {
	good := `{"eventName":"test"}`
	slow := "the body could not be read to its end: only %d bytes came within 100ms; nothing was sent"
	badChunk := "the body could not be read to its end: a chunk is malformed or the last one is missing; nothing was sent"
	for name, c := range map[string]struct {
		text      string
		halfClose bool
		msg       string
	}{
		"stalls at once":          {head("Content-Length: 20"), false, fmt.Sprintf(slow, 0)},
		"stalls midway":           {head("Content-Length: 21") + good, false, fmt.Sprintf(slow, 20)},
		"stalls in a chunk":       {head("Transfer-Encoding: chunked") + "20\r\n" + good, false, fmt.Sprintf(slow, 20)},
		"stalls between chunks":   {head("Transfer-Encoding: chunked") + "14\r\n" + good + "\r\n", false, fmt.Sprintf(slow, 20)},
		"is cut":                  {head("Content-Length: 21") + good, true, "the body could not be read to its end: it ends after 20 of 21 bytes; nothing was sent"},
		"is cut at once":          {head("Content-Length: 20"), true, "the body could not be read to its end: it ends after 0 of 20 bytes; nothing was sent"},
		"is cut in a chunk":       {head("Transfer-Encoding: chunked") + "20\r\n" + good, true, badChunk},
		"has no last chunk":       {head("Transfer-Encoding: chunked") + "14\r\n" + good + "\r\n", true, badChunk},
		"has a bad chunk length":  {head("Transfer-Encoding: chunked") + "xy\r\n" + good + "\r\n0\r\n\r\n", false, badChunk},
		"has a chunk too long":    {head("Transfer-Encoding: chunked") + "13\r\n" + good + "\r\n0\r\n\r\n", false, badChunk},
		"has a huge chunk length": {head("Transfer-Encoding: chunked") + "fffffffffffffffff\r\n" + good, false, badChunk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{}
			_, ts := start(t, ingest.Options{Journal: j, BodyTimeout: bodyTimeout})
			conn := dial(t, ts)
			conn.send(c.text)
			if c.halfClose {
				require.NoError(t, conn.CloseWrite())
			}
			status, msg := conn.answer()
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, c.msg, msg)
			conn.closed()
			require.Empty(t, j.sent())
			require.Equal(t, "ok", post(t, ts, good).msg(t))
		})
	}
}

// TestDrip holds that the time for a body is for all of it: a byte now and then buys no more.
func TestDrip(t *testing.T) {
	_, ts := start(t, ingest.Options{BodyTimeout: bodyTimeout})
	conn := dial(t, ts)
	conn.send(head("Content-Length: 1000000"))
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for { // ends when the server closes the connection
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, msg := conn.answer()
	require.Contains(t, msg, "came within 100ms")
	<-stop
}

// TestStallElsewhere holds that a body that no handler reads cannot hold a connection either.
func TestStallElsewhere(t *testing.T) {
	s, ts := start(t, ingest.Options{BodyTimeout: bodyTimeout})
	s.Drain()
	for _, start := range []string{"GET /healthz", "GET /readyz", "POST /nowhere", "PUT /push", "POST /push", "OPTIONS /push"} {
		conn := dial(t, ts)
		conn.send(start + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
		res, err := http.ReadResponse(conn.in, nil)
		require.NoError(t, err, start)
		read(t, res)
		conn.closed()
	}
}

// TestDeadlineEndsWithBody holds that the time for a body does not run while the push is stored, nor on the next
// request of the connection.
func TestDeadlineEndsWithBody(t *testing.T) {
	for name, encode := range map[string]func(string) string{
		"length": request,
		"chunks": func(body string) string {
			return head("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ts := start(t, ingest.Options{BodyTimeout: bodyTimeout, Journal: &journal{
				publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
					time.Sleep(3 * bodyTimeout)
					return rooms.Receipt{ID: pushID}, nil
				},
			}})
			conn := dial(t, ts)
			for range 2 {
				conn.send(encode(`{"eventName":"test"}`))
				_, msg := conn.answer()
				require.Equal(t, "ok", msg)
				time.Sleep(2 * bodyTimeout) // an idle connection is no stalled body
			}
		})
	}
}

// TestKeepAlive holds that a rejected push does not cost its sender the connection.
func TestKeepAlive(t *testing.T) {
	_, ts := start(t, ingest.Options{})
	conn := dial(t, ts)
	for range 3 {
		conn.send(request(`{"eventName":""}`) + request(`{"eventName":"test"}`)) // pipelined
		_, msg := conn.answer()
		require.Equal(t, "eventName is missing; nothing was sent", msg)
		_, msg = conn.answer()
		require.Equal(t, "ok", msg)
	}
	conn.send(strings.Replace(request(`{"eventName":"test"}`), "application/json", "text/plain", 1))
	status, _ := conn.answer()
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	conn.send(request(`{"eventName":"test"}`))
	_, msg := conn.answer()
	require.Equal(t, "ok", msg)
}

// sized is a good push of exactly n bytes.
func sized(n int) string {
	const start, end = `{"eventName":"test","data":"`, `"}`
	return start + strings.Repeat("x", n-len(start)-len(end)) + end
}

func TestBodyLimit(t *testing.T) {
	const limit = 1000
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j, MaxBody: limit})
	require.Equal(t, "ok", post(t, ts, sized(limit)).msg(t))
	a := post(t, ts, sized(limit+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	require.Equal(t, "rejected", a.header.Get("X-Push-Result"))
	require.Equal(t, "the body is too large: the limit is 1000 bytes; nothing was sent", a.msg(t))

	chunked := func(body string) answer {
		req, err := http.NewRequest(http.MethodPost, ts.URL+"/push", io.MultiReader(strings.NewReader(body)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		res, err := ts.Client().Do(req)
		require.NoError(t, err)
		return read(t, res)
	}
	require.Equal(t, "ok", chunked(sized(limit)).msg(t))
	require.Equal(t, "everyone \"test\" "+sized(limit)[27:limit-1], show(j.sent()[1]))
	require.Equal(t, http.StatusRequestEntityTooLarge, chunked(sized(limit+1)).status)
	require.Len(t, j.sent(), 2)
}

// TestHugeBody holds that a sender of 10 MB that writes all of it before it reads gets its answer, and not a reset.
func TestHugeBody(t *testing.T) {
	_, ts := start(t, ingest.Options{})
	huge := sized(10 << 20)
	for name, text := range map[string]string{
		"length":           request(huge),
		"chunks":           head("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(huge), huge),
		"length on no one": head("Content-Length: 1152921504606846976") + huge,
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, ts)
			conn.send(text)
			status, msg := conn.answer()
			require.Equal(t, http.StatusRequestEntityTooLarge, status)
			require.Equal(t, msgTooLarge, msg)
			require.NoError(t, conn.CloseWrite())
			conn.closed()
		})
	}
}

// TestEndlessBody holds that a sender that never stops is answered at once and cut off soon.
func TestEndlessBody(t *testing.T) {
	_, ts := start(t, ingest.Options{})
	conn := dial(t, ts)
	conn.send(head("Transfer-Encoding: chunked"))
	var written atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", 1<<16, strings.Repeat(" ", 1<<16)))
		for { // ends when the server closes the connection
			n, err := conn.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	status, _ := conn.answer()
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	<-done
	require.Less(t, written.Load(), int64(64<<20))
}

// TestExpectContinue holds that a sender that asks first is told to go on only if its push may be taken.
func TestExpectContinue(t *testing.T) {
	_, ts := start(t, ingest.Options{})
	body := `{"eventName":"test"}`
	conn := dial(t, ts)
	conn.send(head("Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(body))))
	status, err := conn.in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", status)
	_, err = conn.in.ReadString('\n')
	require.NoError(t, err)
	conn.send(body)
	_, msg := conn.answer()
	require.Equal(t, "ok", msg)

	for want, text := range map[int]string{
		http.StatusRequestEntityTooLarge: head("Expect: 100-continue", "Content-Length: 10485760"),
		http.StatusUnsupportedMediaType: strings.Replace(
			head("Expect: 100-continue", "Content-Length: 20"), "application/json", "text/plain", 1),
	} {
		conn := dial(t, ts)
		conn.send(text)
		status, _ := conn.answer()
		require.Equal(t, want, status)
		require.NoError(t, conn.CloseWrite())
		conn.closed()
	}
}

// TestSenderVanishes holds that a connection that breaks in the midst of a body disturbs nobody.
func TestSenderVanishes(t *testing.T) {
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j})
	for i := range 50 {
		conn := dial(t, ts)
		conn.send(request(`{"eventName":"test"}`)[:80+i%20])
		require.NoError(t, conn.SetLinger(0)) // a reset
		require.NoError(t, conn.Close())
	}
	require.Equal(t, "ok", post(t, ts, `{"eventName":"test"}`).msg(t))
	require.Len(t, j.sent(), 1)
}
