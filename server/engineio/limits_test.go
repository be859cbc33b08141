package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBodyAboveTheLimit(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			b := newBed(t, func(o *Options) { o.MaxPayload = 10_000 })
			p := b.poll()
			status, _ := p.post("4" + strings.Repeat("x", 9_999))
			require.Equal(t, 200, status, "at the limit")
			read := &counter{left: 50 << 20}
			req, err := http.NewRequest("POST", b.http.URL+"/engine.io/?"+p.q, read)
			require.NoError(t, err)
			if !chunked {
				req.ContentLength = read.left
			}
			resp, err := http.DefaultClient.Do(req)
			if err == nil { // else the connection was reset before the client looked for an answer
				require.Equal(t, 413, resp.StatusCode)
				resp.Body.Close()
			}
			require.Equal(t, ReasonError, b.client().reason(t))
			require.Less(t, read.sent(), int64(20<<20), "the rest is never read")
		})
	}
}

// counter is an endless body that knows how much of it was taken.
type counter struct {
	mu   sync.Mutex
	left int64
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), c.left)
	for i := range p[:n] {
		p[i] = '4'
	}
	c.left -= n
	c.n += n
	return int(n), nil
}

func (c *counter) sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func TestChunkedBodyAboveTheLimitIs413(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxPayload = 100 })
	p := b.poll()
	c := rawDial(t, b.addr)
	defer c.nc.Close()
	c.raw([]byte("POST /engine.io/?" + p.q + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"65\r\n" + strings.Repeat("4", 0x65) + "\r\n")...) // one byte too many; the end of the body never comes
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 413, resp.StatusCode)
	require.Equal(t, ReasonError, b.client().reason(t))
}

func TestBodyThatStalls(t *testing.T) {
	b := newBed(t, fast)
	p := b.poll()
	c := rawDial(t, b.addr)
	defer c.nc.Close()
	c.raw([]byte("POST /engine.io/?" + p.q + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4abc")...)
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(t, err, "the server gives up by itself")
	defer resp.Body.Close()
	require.Equal(t, 400, resp.StatusCode)
	b.client().reason(t)
}

func TestBodyCutShort(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	c := rawDial(t, b.addr)
	c.raw([]byte("POST /engine.io/?" + p.q + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4abc")...)
	c.nc.Close()
	s := b.client()
	require.Equal(t, ReasonClient, s.reason(t))
	require.Empty(t, s.received(), "half a body is none")
}

func TestMessageAboveTheLimit(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { reader(o); o.MaxPayload = 1000 })
		c := b.socket()
		c.send("4" + strings.Repeat("x", 999))
		require.Len(t, c.text(), 1000)
		c.raw(maskedFrame(finBit|opText, []byte("4"+strings.Repeat("x", 1000)))...)
		require.Equal(t, closeTooBig, c.closing())
		require.Equal(t, ReasonError, b.client().reason(t))
	})
}

// The peer of a big frame learns why, though most of the frame is never read.
func TestTooBigIsToldWhileTheFrameIsUnderWay(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		c := newBed(t, func(o *Options) { reader(o); o.MaxPayload = 1000 }).socket()
		sent := make(chan error, 1)
		go func() {
			_, err := c.nc.Write(maskedFrame(finBit|opBinary, make([]byte, 8<<20)))
			sent <- err
		}()
		require.NoError(t, recv(t, sent), "a reset could overtake the close frame")
		require.Equal(t, closeTooBig, c.closing())
	})
}

func TestHandlerError(t *testing.T) {
	refuse := func(c *client) { c.message = func(*client, []byte, bool) error { return errors.New("no") } }
	b := newBed(t, nil, refuse)
	c := b.socket()
	c.send("4a")
	c.send("4b")
	require.Equal(t, closePolicy, c.closing())
	s := b.client()
	require.Equal(t, ReasonParse, s.reason(t))
	require.Equal(t, []string{"t:a"}, s.received(), "nothing is delivered behind an error")
	p := b.poll()
	status, _ := p.post("4a\x1e4b")
	require.Equal(t, 400, status)
	s = b.client()
	require.Equal(t, ReasonParse, s.reason(t))
	require.Equal(t, []string{"t:a"}, s.received())
}

func TestHandlerPanic(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		var mu sync.Mutex
		var log bytes.Buffer
		b := newBed(t, func(o *Options) {
			reader(o)
			o.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return log.Write(p)
			}), nil))
		}, func(c *client) {
			c.message = func(_ *client, p []byte, _ bool) error {
				if string(p) == "boom" {
					panic("kaboom")
				}
				c.s.Send(TextMessage(string(p)))
				return nil
			}
		})
		bystander := b.socket()
		b.client()
		c := b.socket()
		s := b.client()
		c.send("4boom")
		require.Equal(t, closeInternal, c.closing())
		require.Equal(t, ReasonPanic, s.reason(t))
		p := b.poll()
		status, _ := p.post("4boom")
		require.Equal(t, 400, status)
		require.Equal(t, ReasonPanic, b.client().reason(t))
		bystander.send("4hello")
		require.Equal(t, "4hello", bystander.text())
		mu.Lock()
		defer mu.Unlock()
		require.Contains(t, log.String(), "kaboom")
		require.Contains(t, log.String(), "limits_test.go", "with a stack")
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOpenThatPanicsOrRefuses(t *testing.T) {
	for name, open := range map[string]func(*Session, *http.Request) Handler{
		"panics":  func(*Session, *http.Request) Handler { panic("kaboom") },
		"refuses": func(*Session, *http.Request) Handler { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, func(o *Options) { o.Open = open })
			status, _, _ := b.do("GET", "EIO=4&transport=polling", "")
			require.Equal(t, 503, status)
			_, err := dialWS(b.addr, "EIO=4&transport=websocket")
			var e *errStatus
			require.ErrorAs(t, err, &e)
			require.Equal(t, 503, e.code)
			require.Zero(t, b.srv.Count())
			require.Zero(t, b.srv.known.Load())
		})
	}
}

func TestClosedThatPanics(t *testing.T) {
	b := newBed(t, func(o *Options) {
		o.Open = func(*Session, *http.Request) Handler { return panicky{} }
	})
	c := b.socket()
	c.nc.Close()
	require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
}

type panicky struct{}

func (panicky) Message([]byte, bool) error { return nil }
func (panicky) Closed(string)              { panic("kaboom") }

func TestBadOptions(t *testing.T) {
	open := func(*Session, *http.Request) Handler { return panicky{} }
	for name, o := range map[string]Options{
		"no Open":           {},
		"negative interval": {Open: open, PingInterval: -1},
		"tiny timeout":      {Open: open, WriteTimeout: 1},
		"negative payload":  {Open: open, MaxPayload: -1},
		"huge queue":        {Open: open, MaxQueue: 2 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			require.ErrorContains(t, err, "engine.io option")
		})
	}
}

// A client that answers heartbeats but reads nothing is closed; memory grows by its queue at most, and the others get
// everything.
func TestSlowReaderIsClosed(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		const maxQueue, window = 1 << 20, 500 // window: frames the healthy client may be behind
		b := newBed(t, func(o *Options) { reader(o); o.MaxQueue = maxQueue })
		slow := b.socket()
		slowSide := b.client()
		require.NoError(t, slow.nc.(*net.TCPConn).SetReadBuffer(4096))
		healthy := b.socket()
		b.client()
		const n = 40_000
		read := make(chan error, 1)
		ahead := make(chan struct{}, window)
		go func() {
			for range n {
				if _, _, err := healthy.read(); err != nil {
					read <- err
					return
				}
				<-ahead
			}
			read <- nil
		}()
		before := heap()
		var peak uint64
		f := TextMessage(strings.Repeat("x", 1024))
		for i := range n {
			select {
			case ahead <- struct{}{}:
			case err := <-read:
				require.NoError(t, err)
			}
			batch := b.srv.Batch(f)
			b.srv.Range(batch.Add)
			batch.Flush()
			if i%2000 == 0 {
				peak = max(peak, heap())
			}
		}
		require.NoError(t, recv(t, read))
		require.Equal(t, ReasonSlowReader, slowSide.reason(t))
		require.Less(t, int64(peak)-int64(before), int64(4*maxQueue))
		require.Equal(t, uint64(1), b.srv.Stats().Closed[ReasonSlowReader])
		require.Equal(t, 1, b.srv.Count())
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestPollingClientThatNeverPollsIsClosed(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 10_000 })
	p := b.poll()
	s := b.client()
	for range 10 {
		s.s.Send(TextMessage(strings.Repeat("x", 900)))
	}
	require.True(t, s.s.Open())
	for range 2 {
		s.s.Send(TextMessage(strings.Repeat("x", 900)))
	}
	require.Equal(t, ReasonSlowReader, s.reason(t))
	status, _ := p.get()
	require.Equal(t, 400, status)
}

// A client that takes nothing at all does not hold its queue for longer than WriteTimeout.
func TestWriteTimeout(t *testing.T) {
	b := newBed(t, func(o *Options) { o.WriteTimeout = 200 * time.Millisecond; o.MaxQueue = 64 << 20 })
	c := b.socket()
	s := b.client()
	for range 32 {
		s.s.Send(BinaryMessage(make([]byte, 1<<20)))
	}
	require.Equal(t, ReasonWriteTimeout, s.reason(t))
	_ = c
}

// A slow client that keeps reading gets everything, however little it takes at a time, and can be written to
// afterwards.
func TestSteadySlowReaderIsKept(t *testing.T) {
	b := newBed(t, func(o *Options) { o.WriteTimeout = time.Second; o.MaxQueue = 64 << 20 })
	c := b.socket()
	s := b.client().s
	for i := range 16 {
		p := make([]byte, 1<<20)
		p[0] = byte(i)
		s.Send(BinaryMessage(p))
	}
	for i := range 16 {
		time.Sleep(20 * time.Millisecond)
		_, p, err := c.read()
		require.NoError(t, err)
		require.Equal(t, byte(i), p[0])
		require.Len(t, p, 1<<20)
	}
	require.Eventually(t, func() bool { return s.Queued() == 0 }, patience, time.Millisecond)
	time.Sleep(1100 * time.Millisecond) // the flusher's deadline must not outlive it
	s.Send(TextMessage("after"))
	require.Equal(t, "4after", c.text())
	require.True(t, s.Open())
}

// A close behind a long queue still delivers the queue; a kill does not.
func TestCloseWhileTheSocketIsFull(t *testing.T) {
	for _, hard := range []bool{false, true} {
		b := newBed(t, func(o *Options) { o.MaxQueue = 64 << 20 })
		c := b.socket()
		s := b.client()
		for range 16 {
			s.s.Send(BinaryMessage(make([]byte, 1<<20)))
		}
		stuckNow := func() bool {
			s.s.mu.Lock()
			defer s.s.mu.Unlock()
			return s.s.flags.has(stuck)
		}
		require.Eventually(t, stuckNow, patience, time.Millisecond)
		if hard {
			s.s.Kill("because")
		} else {
			s.s.Close("because")
		}
		require.Equal(t, "because", s.reason(t))
		n := 0
		for {
			op, _, err := c.read()
			if err != nil {
				break
			}
			if op == finBit|opBinary {
				n++
			} else {
				require.Equal(t, byte(finBit|opClose), op)
				c.nc.Close()
			}
		}
		if hard {
			require.Less(t, n, 16)
		} else {
			require.Equal(t, 16, n)
		}
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
	}
}

// 100,000 frames from one client: it is served, its pongs are bounded, and others are not harmed.
func TestFloodOfPings(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 64 << 10 })
	c := b.socket()
	s := b.client()
	// Small, so that its pongs soon fill it; not so small that the kernel, out of room for packets, drops the server's
	// acknowledgements together with the pongs and both ends wait for each other.
	require.NoError(t, c.nc.(*net.TCPConn).SetReadBuffer(64<<10))
	flood := bytes.Repeat(maskedFrame(finBit|opPing, make([]byte, 100)), 1000)
	for range 100 {
		if _, err := c.nc.Write(flood); err != nil {
			break
		}
	}
	require.Equal(t, ReasonSlowReader, s.reason(t), "it does not read what it asks for")
}
