package bridge

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
	"github.com/zishang520/socket.io/v2/socket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wsPath = "/socket.io/?EIO=4&transport=websocket"

// counters follow the promises about Connected and Closed.
type counters struct {
	connected, closed, wrong atomic.Int64
}

// namespace echoes "echo" with and without ack and counts.
func (k *counters) namespace() Namespace {
	return Namespace{
		Connected: func(s *Socket, connect engineio.Frame, auth []byte) {
			s.Data = new(atomic.Int32)
			k.connected.Add(1)
			s.Send(connect)
			s.Emit("auth", auth)
		},
		Closed: func(s *Socket, _ string) {
			if s.Data.(*atomic.Int32).Add(1) != 1 {
				k.wrong.Add(1)
			}
			k.closed.Add(1)
		},
		Events: map[string]func(*Socket, *Event){
			"echo": func(s *Socket, e *Event) {
				s.Emit("echo", e.Args, e.Attachments...)
				s.Send(e.Ack.Frames(e.Args, e.Attachments...)...)
			},
			"panic": func(*Socket, *Event) { panic("handler") },
		},
	}
}

// start serves b until the test ends.
func start(t *testing.T, o Options) (b *Server, addr string) {
	t.Helper()
	o.Engine.Log = slog.New(slog.DiscardHandler)
	b, err := New(o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		require.NoError(t, b.Close())
		_ = server.Close()
		<-served
	})
	return b, l.Addr().String()
}

func startCounting(t *testing.T, set ...func(*Options)) (*counters, *Server, string) {
	t.Helper()
	k := new(counters)
	o := Options{Namespaces: map[string]Namespace{"/": k.namespace(), "/custom": k.namespace()}}
	for _, f := range set {
		f(&o)
	}
	b, addr := start(t, o)
	return k, b, addr
}

func dial(t *testing.T, addr string) *rawclient.WebSocket {
	t.Helper()
	w, err := rawclient.Dial(addr, wsPath)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	open, err := w.Read()
	require.NoError(t, err)
	require.Regexp(t, `^0\{"sid"`, open.Data)
	return w
}

func expect(t *testing.T, w *rawclient.WebSocket, want ...string) {
	t.Helper()
	for _, x := range want {
		m, err := w.Read()
		require.NoError(t, err, "waiting for %s", x)
		require.Regexp(t, x, m.Data)
	}
}

func expectExactly(t *testing.T, w *rawclient.WebSocket, want ...string) {
	t.Helper()
	for _, x := range want {
		m, err := w.Read()
		require.NoError(t, err)
		require.True(t, m.Data == x, "got %.100s", m.Data)
	}
}

func expectClosed(t *testing.T, w *rawclient.WebSocket) {
	t.Helper()
	for {
		if _, err := w.Read(); err != nil {
			timeout, ok := err.(net.Error) //nolint:errorlint // the client returns it bare
			require.False(t, ok && timeout.Timeout(), "the connection stayed open")
			return
		}
	}
}

// settled waits until everything that was connected is closed, here and in the library.
func (k *counters) settled(t *testing.T, b *Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		return b.eng.Count() == 0 && k.connected.Load() == k.closed.Load() && b.listed() == 0
	}, 10*time.Second, 10*time.Millisecond, "connected %d closed %d listed %d", k.connected.Load(), k.closed.Load(), b.listed())
	require.Zero(t, k.wrong.Load())
}

// listed is how many sessions the library knows.
func (b *Server) listed() (n int) {
	for name := range b.namespaces {
		n += b.sio.Of(name, nil).Sockets().Len()
	}
	return n
}

func TestOptions(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "main namespace")
	ns := map[string]Namespace{"/": {}}
	_, err = New(Options{Namespaces: ns, Engine: engineio.Options{
		Open: func(*engineio.Session, *http.Request) engineio.Handler { return nil },
	}})
	require.ErrorContains(t, err, "Open")
	_, err = New(Options{Namespaces: ns, Engine: engineio.Options{MaxQueue: -1}})
	require.ErrorContains(t, err, "MaxQueue")
}

func TestTwoNamespacesOnOneConnection(t *testing.T) {
	k, b, addr := startCounting(t)
	w := dial(t, addr)
	require.NoError(t, w.Send("40", `40/custom,{"token":"x"}`, `42["echo",1]`, `42/custom,7["echo",2]`))
	expect(t, w, `^40\{"sid":"[\w-]{24}"\}$`, `^42\["auth"\]$`, `^40/custom,\{"sid":"[\w-]{24}"\}$`, `^42/custom,\["auth",\{"token":"x"\}\]$`,
		`^42\["echo",1\]$`, `^42/custom,\["echo",2\]$`, `^43/custom,7\[2\]$`)
	// Leaving one keeps the other, and it may be entered again.
	require.NoError(t, w.Send("41/custom,", `42["echo",3]`, "40/custom,", `42/custom,["echo",4]`))
	expect(t, w, `^42\["echo",3\]$`, `^40/custom,`, `^42/custom,\["auth"\]$`, `^42/custom,\["echo",4\]$`)
	require.EqualValues(t, 3, k.connected.Load())
	require.EqualValues(t, 1, k.closed.Load())
	w.Close()
	k.settled(t, b)
	require.EqualValues(t, 3, k.closed.Load())
}

func TestBinaryEventsAndAcks(t *testing.T) {
	k, b, addr := startCounting(t)
	w := dial(t, addr)
	require.NoError(t, w.Send("40", `452-/,5["echo",{"_placeholder":true,"num":1},"x",[{"_placeholder":true,"num":0}]]`))
	require.NoError(t, w.SendBinary([]byte("\x00\xff")))
	require.NoError(t, w.SendBinary(nil))
	args := `\{"_placeholder":true,"num":1\},"x",\[\{"_placeholder":true,"num":0\}\]\]$`
	expect(t, w, `^40`, `^42\["auth"\]$`, `^452-\["echo",`+args)
	for range 2 {
		m, err := w.Read()
		require.NoError(t, err)
		require.Equal(t, rawclient.Message{Binary: true, Data: "\x00\xff"}, m)
		m, err = w.Read()
		require.NoError(t, err)
		require.Equal(t, rawclient.Message{Binary: true, Data: ""}, m)
		if m, err = w.ReadWithin(100 * time.Millisecond); err == nil {
			require.Regexp(t, `^462-5\[`+args, m.Data)
		}
	}
	w.Close()
	k.settled(t, b)
}

// TestPacketOutlivesItsRead: the text of a packet with attachments is needed after others have been read into the same
// memory.
func TestPacketOutlivesItsRead(t *testing.T) {
	_, _, addr := startCounting(t)
	w, other := dial(t, addr), dial(t, addr)
	for _, x := range []*rawclient.WebSocket{w, other} {
		require.NoError(t, x.Send("40"))
		expect(t, x, `^40`, `auth`)
	}
	mine, theirs := strings.Repeat("a", 5000), strings.Repeat("b", 15_000)
	require.NoError(t, w.Send(`452-["echo","`+mine+`"]`))
	disturb := func() {
		for range 10 {
			require.NoError(t, other.Send(`42["echo","`+theirs+`"]`))
			expectExactly(t, other, `42["echo","`+theirs+`"]`)
		}
	}
	disturb()
	require.NoError(t, w.SendBinary([]byte(mine)))
	disturb()
	require.NoError(t, w.SendBinary(nil))
	expectExactly(t, w, `452-["echo","`+mine+`"]`, mine)
}

// TestEventsInOrder sends events directly behind CONNECT, more than one read takes.
func TestEventsInOrder(t *testing.T) {
	_, _, addr := startCounting(t)
	w := dial(t, addr)
	packets := []string{"40"}
	for i := range 2000 {
		packets = append(packets, fmt.Sprintf(`42["echo",%d]`, i))
	}
	go func() { _ = w.Send(packets...) }()
	expect(t, w, `^40`, `^42\["auth"\]$`)
	for i := range 2000 {
		expect(t, w, fmt.Sprintf(`^42\["echo",%d\]$`, i))
	}
}

// TestPanicInHandler closes the client that brought it about, and nobody else.
func TestPanicInHandler(t *testing.T) {
	k, b, addr := startCounting(t)
	w, bystander := dial(t, addr), dial(t, addr)
	for _, x := range []*rawclient.WebSocket{w, bystander} {
		require.NoError(t, x.Send("40"))
		expect(t, x, `^40`, `auth`)
	}
	require.NoError(t, w.Send(`42["panic"]`))
	expectClosed(t, w)
	require.NoError(t, bystander.Send(`42["echo",1]`))
	expect(t, bystander, `^42\["echo",1\]$`)
	bystander.Close()
	k.settled(t, b)
}

func TestConnectTimeout(t *testing.T) {
	k, b, addr := startCounting(t, func(o *Options) { o.ConnectTimeout = time.Second })
	silent, refused, entered, left := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	require.NoError(t, refused.Send("40/random,"))
	require.NoError(t, entered.Send("40"))
	require.NoError(t, left.Send("40", "41"))
	expect(t, refused, `^44/random,`)
	expectClosed(t, silent)
	expectClosed(t, refused)
	expect(t, entered, `^40`, `auth`)
	require.NoError(t, entered.Send(`42["echo",1]`))
	expect(t, entered, `^42\["echo",1\]$`)
	require.NoError(t, left.Send("40"))
	expect(t, left, `^40`, `auth`, `^40`, `auth`)
	entered.Close()
	left.Close()
	k.settled(t, b)
}

// TestChurn connects and drops, at every point of entering and leaving, with and without the close in the middle of the
// library's work.
func TestChurn(t *testing.T) {
	k, b, addr := startCounting(t, func(o *Options) { o.Engine.AllowEIO3 = true })
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 60 {
				path := wsPath
				if j%5 == 4 {
					path = "/socket.io/?EIO=3&transport=websocket"
				}
				w, err := rawclient.Dial(addr, path)
				if err != nil {
					t.Error(err)
					return
				}
				for _, p := range []string{"40", "40/custom,", "41/custom,", `42["echo",1]`, "41", "1"}[:(i+j)%7] {
					if path != wsPath && p == "40" {
						continue
					}
					_ = w.Send(p)
				}
				if (i+j)%3 == 0 {
					_, _ = w.Read()
				}
				w.Close()
			}
		})
	}
	clients.Wait()
	k.settled(t, b)
	require.NotZero(t, k.connected.Load())
}

// TestCloseWhileConnected: a client that is gone while Connected runs is closed after it, in the library too.
func TestCloseWhileConnected(t *testing.T) {
	begun, goOn := make(chan *Socket), make(chan struct{})
	var order []string
	closed := make(chan string, 1)
	b, addr := start(t, Options{Namespaces: map[string]Namespace{"/": {
		Connected: func(s *Socket, connect engineio.Frame, _ []byte) {
			begun <- s
			<-goOn
			s.Send(connect)
			order = append(order, "connected")
		},
		Closed: func(_ *Socket, reason string) {
			order = append(order, "closed")
			closed <- reason
		},
	}}})
	w := dial(t, addr)
	require.NoError(t, w.Send("40"))
	c := (<-begun).conn
	c.s.Kill("test") // the client's own leaving is not read now
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.closed && c.lib.close == nil
	}, 10*time.Second, time.Millisecond)
	close(goOn)
	select {
	case reason := <-closed:
		require.Equal(t, "test", reason)
	case <-time.After(10 * time.Second):
		require.Fail(t, "Closed was not called")
	}
	require.Equal(t, []string{"connected", "closed"}, order)
	require.Eventually(t, func() bool { return b.listed() == 0 }, 10*time.Second, time.Millisecond)
}

// TestClosedBeforeConnect: the engine may report the end while a CONNECT is being handled. The library, which has no
// client for the connection yet, must not keep one for it, nor its timer.
func TestClosedBeforeConnect(t *testing.T) {
	k, b, addr := startCounting(t)
	w := dial(t, addr)
	var c *conn
	b.eng.Range(func(s *engineio.Session) { c = &conn{b: b, s: s} })
	c.Closed("test")
	require.NoError(t, c.connect(&packet{kind: typeConnect, namespace: "/"}))
	require.Nil(t, c.lib.close)
	require.Nil(t, c.lib.data)
	w.Close()
	k.settled(t, b)
	require.Zero(t, k.connected.Load())
	// What is left of the library's goroutines is found by goleak.
}

// TestSocketLife calls enter and leave in every order.
func TestSocketLife(t *testing.T) {
	for name, c := range map[string]struct {
		play func(s *Socket)
		want string
	}{
		"comes and goes":      {func(s *Socket) { s.enter(nil); s.leave("a") }, "C Xa"},
		"goes twice":          {func(s *Socket) { s.enter(nil); s.leave("a"); s.leave("b") }, "C Xa"},
		"goes before":         {func(s *Socket) { s.leave("a"); s.enter(nil) }, ""},
		"never comes":         {func(s *Socket) { s.leave("a"); s.leave("b") }, ""},
		"goes while it comes": {func(s *Socket) { s.auth = []byte("a"); s.enter(nil) }, "C Xa"},
	} {
		var got []string
		s := newSocket(new(conn), &namespace{Namespace: Namespace{
			Connected: func(s *Socket, _ engineio.Frame, auth []byte) {
				got = append(got, "C")
				if auth != nil {
					s.leave(string(auth))
					s.leave("twice")
				}
			},
			Closed: func(_ *Socket, reason string) { got = append(got, "X"+reason) },
		}}, nil)
		c.play(s)
		require.Equal(t, c.want, strings.Join(got, " "), name)
	}
}

// TestNothingIsReadDuringConnect: what comes behind CONNECT waits for its outcome, and no goroutine waits with it.
func TestNothingIsReadDuringConnect(t *testing.T) {
	goOn := make(chan struct{})
	var slow atomic.Bool
	_, addr := start(t, Options{Namespaces: map[string]Namespace{"/": {
		Connected: func(s *Socket, connect engineio.Frame, _ []byte) {
			if slow.Load() {
				<-goOn
			}
			s.Send(connect)
		},
		Closed: func(*Socket, string) {},
		Events: map[string]func(*Socket, *Event){"echo": func(s *Socket, e *Event) { s.Emit("echo", e.Args) }},
	}}})
	bystander := dial(t, addr)
	require.NoError(t, bystander.Send("40"))
	expect(t, bystander, `^40`)
	slow.Store(true)
	waiting := make([]*rawclient.WebSocket, 16) // more than there are readers
	for i := range waiting {
		waiting[i] = dial(t, addr)
		require.NoError(t, waiting[i].Send("40", `42["echo",1]`))
	}
	require.NoError(t, bystander.Send(`42["echo",2]`))
	expect(t, bystander, `^42\["echo",2\]$`)
	close(goOn)
	for _, w := range waiting {
		expect(t, w, `^40`, `^42\["echo",1\]$`)
	}
}

// TestLibrarySocketsAreSmall holds the guard against what the library would keep per connection.
func TestLibrarySocketsAreSmall(t *testing.T) {
	_, b, addr := startCounting(t)
	w := dial(t, addr)
	require.NoError(t, w.Send(`40{"token":"x"}`))
	expect(t, w, `^40`)
	b.sio.Sockets().Sockets().Range(func(_ socket.SocketId, s *socket.Socket) bool {
		require.Equal(t, socket.Handshake{}, *s.Handshake())
		require.Zero(t, s.Rooms().Len())
		require.Zero(t, s.EventEmitter.Len())
		return true
	})
}
