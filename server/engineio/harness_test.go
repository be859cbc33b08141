package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const patience = 10 * time.Second // for what must happen; nothing waits this long when all is well

// client is the application's side of a session in tests.
type client struct {
	s       *Session
	message func(c *client, p []byte, binary bool) error // nil: echo

	mu      sync.Mutex
	got     []string
	reasons []string
	closed  chan struct{}
}

func (c *client) Message(p []byte, binary bool) error {
	kind := "t:"
	if binary {
		kind = "b:"
	}
	c.mu.Lock()
	c.got = append(c.got, kind+string(p))
	c.mu.Unlock()
	if c.message != nil {
		return c.message(c, p, binary)
	}
	if binary {
		c.s.Send(BinaryMessage(p))
	} else {
		c.s.Send(TextMessage(string(p)))
	}
	return nil
}

func (c *client) Closed(reason string) {
	c.mu.Lock()
	c.reasons = append(c.reasons, reason)
	n := len(c.reasons)
	c.mu.Unlock()
	if n == 1 {
		close(c.closed)
	}
}

func (c *client) received() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.got...)
}

// reason waits for the end of the session and tells why it came, once.
func (c *client) reason(t testing.TB) string {
	t.Helper()
	select {
	case <-c.closed:
	case <-time.After(patience):
		require.FailNow(t, "session was not closed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Len(t, c.reasons, 1, "Closed is called exactly once")
	return c.reasons[0]
}

// bed is a server under test.
type bed struct {
	t     testing.TB
	srv   *Server
	http  *httptest.Server
	addr  string
	conns chan *client // as they open
}

// newBed starts a server; change may set options, and wire what each client does.
func newBed(t testing.TB, change func(o *Options), wire ...func(c *client)) *bed {
	t.Helper()
	b := &bed{t: t, conns: make(chan *client, 20_000)}
	o := Options{MaxPayload: 1_000_000, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	o.Open = func(s *Session, _ *http.Request) Handler {
		c := &client{s: s, closed: make(chan struct{})}
		for _, f := range wire {
			f(c)
		}
		b.conns <- c
		return c
	}
	if change != nil {
		change(&o)
	}
	srv, err := New(o)
	require.NoError(t, err)
	b.srv = srv
	b.http = httptest.NewServer(srv)
	b.addr = b.http.Listener.Addr().String()
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		b.http.CloseClientConnections()
		b.http.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return b
}

// fast are the timings the public suites use.
func fast(o *Options) { o.PingInterval, o.PingTimeout = 300*time.Millisecond, 200*time.Millisecond }

// client returns the application's side of the session opened last.
func (b *bed) client() *client {
	b.t.Helper()
	select {
	case c := <-b.conns:
		require.Eventually(b.t, func() bool { // the client may know of it before we are through
			c.s.mu.Lock()
			defer c.s.mu.Unlock()
			return c.s.st != stOpening
		}, patience, time.Millisecond/4)
		return c
	case <-time.After(patience):
		require.FailNow(b.t, "no session was opened")
		return nil
	}
}

// do sends a request and returns status and body.
func (b *bed) do(method, query, body string, header ...string) (int, string, http.Header) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.http.URL+"/engine.io/?"+query, strings.NewReader(body))
	require.NoError(b.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, string(raw), resp.Header
}

// pollClient is a client that polls.
type pollClient struct {
	b   *bed
	q   string // query of its requests
	sid string
}

type openData struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// poll opens a session of protocol 4 by polling.
func (b *bed) poll() *pollClient {
	b.t.Helper()
	status, body, _ := b.do("GET", "EIO=4&transport=polling", "")
	require.Equal(b.t, 200, status, body)
	var d openData
	require.NoError(b.t, json.Unmarshal([]byte(body[1:]), &d))
	return &pollClient{b, "EIO=4&transport=polling&sid=" + d.SID, d.SID}
}

// poll3 opens one of protocol 3.
func (b *bed) poll3(extra string) *pollClient {
	b.t.Helper()
	status, body, _ := b.do("GET", "EIO=3&transport=polling"+extra, "")
	require.Equal(b.t, 200, status, body)
	_, packet, ok := strings.Cut(body, ":")
	require.True(b.t, ok, body)
	var d openData
	require.NoError(b.t, json.Unmarshal([]byte(packet[1:]), &d))
	return &pollClient{b, "EIO=3&transport=polling&sid=" + d.SID, d.SID}
}

func (p *pollClient) get() (int, string) {
	p.b.t.Helper()
	status, body, _ := p.b.do("GET", p.q, "")
	return status, body
}

func (p *pollClient) post(body string, header ...string) (int, string) {
	p.b.t.Helper()
	status, answer, _ := p.b.do("POST", p.q, body, header...)
	return status, answer
}

// want polls and expects a body.
func (p *pollClient) want(body string) {
	p.b.t.Helper()
	status, got := p.get()
	require.Equal(p.b.t, 200, status, got)
	require.Equal(p.b.t, body, got)
}

// later polls in the background.
func (p *pollClient) later() chan string {
	ch := make(chan string, 1)
	go func() {
		resp, err := http.Get(p.b.http.URL + "/engine.io/?" + p.q)
		if err != nil {
			ch <- "error: " + err.Error()
			return
		}
		defer resp.Body.Close()
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 {
			ch <- resp.Status
			return
		}
		ch <- string(raw)
	}()
	return ch
}

// waiting waits until a poll of the session waits in the server.
func (p *pollClient) waiting() {
	p.b.t.Helper()
	s := p.b.srv.find(p.sid)
	require.NotNil(p.b.t, s)
	require.Eventually(p.b.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.flags.has(polling)
	}, patience, time.Millisecond)
}

func recv[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// ws is a raw WebSocket client.
type ws struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

// errStatus is an answer other than 101.
type errStatus struct {
	code int
	body string
}

func (e *errStatus) Error() string { return e.body }

func dialWS(addr, query string, header ...string) (*ws, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	var req bytes.Buffer
	req.WriteString("GET /engine.io/?" + query + " HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	for i := 0; i < len(header); i += 2 {
		req.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	req.WriteString("\r\n")
	if _, err := nc.Write(req.Bytes()); err != nil {
		return nil, err
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		nc.Close()
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 {
		raw, _ := io.ReadAll(resp.Body)
		nc.Close()
		return nil, &errStatus{resp.StatusCode, string(raw)}
	}
	if resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 §1.3
		nc.Close()
		return nil, errors.New("wrong accept key")
	}
	return &ws{nc: nc, r: r}, nil
}

// rawDial connects without a handshake.
func rawDial(t testing.TB, addr string) *ws {
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	return &ws{t, nc, bufio.NewReader(nc)}
}

// ws opens a WebSocket; OPEN is not read.
func (b *bed) ws(query string) *ws {
	b.t.Helper()
	c, err := dialWS(b.addr, query)
	require.NoError(b.t, err)
	c.t = b.t
	b.t.Cleanup(func() { c.nc.Close() })
	return c
}

// socket opens a session on a WebSocket.
func (b *bed) socket() *ws {
	b.t.Helper()
	c := b.ws("EIO=4&transport=websocket")
	require.Equal(b.t, byte('0'), c.text()[0])
	return c
}

// maskedFrame is a client's frame.
func maskedFrame(first byte, p []byte) []byte {
	return maskWith(first, p, [4]byte{0x37, 0xfa, 0x21, 0x3d})
}

func maskWith(first byte, p []byte, key [4]byte) []byte {
	f := header(0, len(p))
	f[0] = first
	f[1] |= 0x80
	f = append(f, key[:]...)
	at := len(f)
	f = append(f, p...)
	for i := range p {
		f[at+i] ^= key[i&3]
	}
	return f
}

func (c *ws) raw(b ...byte) {
	c.t.Helper()
	_, err := c.nc.Write(b)
	require.NoError(c.t, err)
}

func (c *ws) send(p string) { c.t.Helper(); c.raw(maskedFrame(finBit|opText, []byte(p))...) }

func (c *ws) sendBinary(p string) { c.t.Helper(); c.raw(maskedFrame(finBit|opBinary, []byte(p))...) }

// read reads one frame.
func (c *ws) read() (op byte, p []byte, err error) {
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	var h [8]byte
	if _, err = io.ReadFull(c.r, h[:2]); err != nil {
		return 0, nil, err
	}
	op = h[0]
	n := int(h[1])
	switch n {
	case 126:
		if _, err = io.ReadFull(c.r, h[:2]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(h[:]))
	case 127:
		if _, err = io.ReadFull(c.r, h[:8]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint64(h[:]))
	}
	p = make([]byte, n)
	_, err = io.ReadFull(c.r, p)
	return op, p, err
}

// text reads a text packet; pings are not skipped.
func (c *ws) text() string {
	c.t.Helper()
	op, p, err := c.read()
	require.NoError(c.t, err)
	require.Equal(c.t, byte(finBit|opText), op, "%q", p)
	return string(p)
}

// closing reads until the close frame and the end, and returns the code: 0 without a close frame.
func (c *ws) closing() (code int) {
	c.t.Helper()
	for {
		op, p, err := c.read()
		if err != nil {
			var ne net.Error
			require.False(c.t, errors.As(err, &ne) && ne.Timeout(), "connection was not closed")
			return code
		}
		if op == finBit|opClose {
			require.GreaterOrEqual(c.t, len(p), 2)
			code = int(binary.BigEndian.Uint16(p))
			_ = c.nc.(*net.TCPConn).CloseWrite() // the server waits for us to hang up
		}
	}
}

// upgrade moves a polling session to a new WebSocket.
func (p *pollClient) upgrade() *ws {
	p.b.t.Helper()
	c := p.b.ws(strings.Replace(p.q, "polling", "websocket", 1))
	c.send("2probe")
	require.Equal(p.b.t, "3probe", c.text())
	c.send("5")
	return c
}

// bothReaders runs a test with the epoll reader and the portable one.
func bothReaders(t *testing.T, f func(t *testing.T, reader func(o *Options))) {
	t.Helper()
	t.Run("epoll", func(t *testing.T) { f(t, func(*Options) {}) })
	t.Run("portable", func(t *testing.T) { f(t, func(o *Options) { o.Portable = true }) })
}

// inTime runs a test whose timing a busy machine can spoil, a few times if need be.
func inTime(t *testing.T, attempt func() bool) {
	t.Helper()
	for range 5 {
		if attempt() {
			return
		}
	}
	require.Fail(t, "never in time")
}

// soon is a context that ends when a test has waited long enough.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
