package socketio

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"downlink/rooms"
	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wsPath   = "/socket.io/?EIO=4&transport=websocket"
	pollPath = "/socket.io/?EIO=4&transport=polling"
	welcome  = `42["downmsg",{"code":"2001","msg":"connect success"}]`
)

func loggedIn(room string) string {
	return `42["downmsg",{"code":"2002","msg":"login room (id:` + room + `) success"}]`
}

func taken(room string) string {
	return `42["downmsg",{"code":"2004","msg":"your room id(` + room + `) already exist"}]`
}

func kickedOut(room string) string {
	return `42["downmsg",{"code":"2005","msg":"you have kicked out room (id` + room + `)"}]`
}

func failed(reason string) string {
	return `42["downmsg",{"code":"2003","msg":"` + reason + `"}]`
}

// node is a gateway with rooms behind it, on a listener of its own.
type node struct {
	t         *testing.T
	addr      string
	gateway   *Gateway
	hub       *rooms.Hub
	admission *rooms.Admission
	claims    *memoryClaims

	mu  sync.Mutex // one delivery at a time, as by the follower
	seq uint64
}

// start runs a node until the test ends, and then waits for all of it.
func start(t *testing.T, set ...func(*Options)) *node {
	t.Helper()
	return startProbing(t, 5*time.Second, set...) // a live client answers within that on the busiest machine
}

// startProbing is start with another patience for silent holders.
func startProbing(t *testing.T, probe time.Duration, set ...func(*Options)) *node {
	t.Helper()
	n := &node{t: t, hub: rooms.NewHub(), claims: &memoryClaims{byRoom: map[string]rooms.Claim{}}}
	n.admission = rooms.NewAdmission(n.hub, n.claims, rooms.AdmissionOptions{ProbeTimeout: probe})
	o := Options{Hub: n.hub, Admission: n.admission, ConnectTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	for _, f := range set {
		f(&o)
	}
	var stop func()
	n.gateway, n.addr, stop = serve(t, o)
	t.Cleanup(func() {
		stop()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, n.admission.Close(ctx))
	})
	return n
}

// serve puts a gateway on a listener of its own. stop ends and waits for it.
func serve(t testing.TB, o Options) (g *Gateway, addr string, stop func()) {
	t.Helper()
	g, err := New(o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	return g, l.Addr().String(), func() {
		require.NoError(t, g.Close())
		_ = server.Close()
		<-served
	}
}

// push delivers an event to a room, or to everyone if room is empty.
func (n *node) push(room, event, data string) {
	to := rooms.Everyone
	if room != "" {
		to = rooms.Room(room)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seq++
	m := &rooms.Message{Seq: n.seq, To: to, Event: event}
	if data != "" {
		m.Data = []byte(data)
	}
	n.hub.Deliver(m)
}

// connect opens a WebSocket client and reads its 2001.
func (n *node) connect(auth string) *client {
	n.t.Helper()
	w, answer, err := rawclient.Socket(n.addr, auth)
	require.NoError(n.t, err)
	n.t.Cleanup(w.Close)
	require.Regexp(n.t, `^40\{"sid":"[\w-]{20,}"\}$`, answer)
	c := &client{n.t, w, make(chan rawclient.Message, 10_000)}
	go func() { // ends with the connection
		defer close(c.in)
		for {
			m, err := w.ReadWithin(time.Hour)
			if err != nil {
				return
			}
			c.in <- m
		}
	}()
	c.expect(welcome)
	return c
}

// connectFrozen opens a client that reads, and so answers pings, only when it is told to expect something.
func (n *node) connectFrozen() *client {
	n.t.Helper()
	w, _, err := rawclient.Socket(n.addr, "")
	require.NoError(n.t, err)
	n.t.Cleanup(w.Close)
	c := &client{t: n.t, WebSocket: w}
	c.expect(welcome)
	return c
}

// empty waits until nobody is connected and no room exists.
func (n *node) empty() {
	n.t.Helper()
	require.Eventually(n.t, func() bool {
		conns, rooms := n.hub.Counts()
		return conns == 0 && rooms == 0 && n.gateway.bridge.Engine().Count() == 0 && n.claims.len() == 0
	}, 10*time.Second, 10*time.Millisecond)
}

// client is a WebSocket client in the main namespace.
type client struct {
	t *testing.T
	*rawclient.WebSocket
	in chan rawclient.Message // what has come; closed with the connection. nil if nobody reads unasked
}

func (c *client) send(packets ...string) {
	c.t.Helper()
	require.NoError(c.t, c.Send(packets...))
}

// next is the next packet, or an error if the connection has ended.
func (c *client) next() (string, error) {
	c.t.Helper()
	if c.in == nil {
		m, err := c.Read()
		return m.Data, err
	}
	select {
	case m, ok := <-c.in:
		if !ok {
			return "", rawclient.ErrClosed
		}
		return m.Data, nil
	case <-time.After(rawclient.Patience):
		require.FailNow(c.t, "nothing came")
		return "", nil
	}
}

// expect reads the next packets.
func (c *client) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		got, err := c.next()
		require.NoError(c.t, err, "waiting for %s", want)
		require.Equal(c.t, want, got)
	}
}

// expectClosed reads until the connection ends.
func (c *client) expectClosed() {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			return
		}
	}
}

// quiet shows that nothing is queued for the client: what it asks for now is the next thing to come.
func (c *client) quiet() {
	c.t.Helper()
	c.send(`4299["leaveRoom","nowhere"]`)
	c.expect(`4399[{"code":"0000","msg":"ok","roomId":"nowhere"}]`)
}

// memoryClaims keeps claims in a map, slowly or not at all if the test says so.
type memoryClaims struct {
	mu     sync.Mutex
	byRoom map[string]rooms.Claim
	last   uint64
	delay  time.Duration
	err    error
}

func (m *memoryClaims) set(delay time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay, m.err = delay, err
}

func (m *memoryClaims) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byRoom)
}

func (m *memoryClaims) wait(ctx context.Context) error {
	m.mu.Lock()
	delay, err := m.delay, m.err
	m.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (m *memoryClaims) Acquire(ctx context.Context, c rooms.Claim, over uint64) (uint64, error) {
	if err := m.wait(ctx); err != nil {
		return 0, fmt.Errorf("acquire: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byRoom[c.Room].Epoch != over {
		return 0, rooms.ErrClaimChanged
	}
	m.last++
	c.Epoch = m.last
	m.byRoom[c.Room] = c
	return c.Epoch, nil
}

func (m *memoryClaims) Get(ctx context.Context, room string) (rooms.Claim, error) {
	if err := m.wait(ctx); err != nil {
		return rooms.Claim{}, fmt.Errorf("get: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.byRoom[room]
	c.Ours = true
	return c, nil
}

func (m *memoryClaims) Release(ctx context.Context, room string, epoch uint64) error {
	if err := m.wait(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byRoom[room].Epoch == epoch {
		delete(m.byRoom, room)
	}
	return nil
}

func withEngine(f func(*engineio.Options)) func(*Options) {
	return func(o *Options) { f(&o.Engine) }
}
