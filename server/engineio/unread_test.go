package engineio

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What clients that do not read, or do not send what they announced, cost others: nothing.

// flood writes b until the peer takes no more, or has closed the connection, and returns that error.
func (c *ws) flood(b []byte, stuckFor time.Duration) error {
	for range 64 << 20 / len(b) {
		_ = c.nc.SetWriteDeadline(time.Now().Add(stuckFor))
		if _, err := c.nc.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// An upgrading WebSocket is answered by who reads for all.
func TestUpgradesThatDoNotReadHoldUpNobody(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) {
			reader(o)
			o.WriteTimeout, o.UpgradeTimeout = 3*patience, 3*patience
		})
		healthy := b.socket()
		pings := bytes.Repeat(control(opPing, strings.Repeat("p", 125)), 512)
		n := 8 * runtime.GOMAXPROCS(0) // twice the readers
		done := make(chan error, n)
		var polls []*pollClient
		for range n {
			p := b.poll()
			polls = append(polls, p)
			c := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
			go func() { done <- c.flood(pings, time.Second) }()
		}
		for range n {
			require.Error(t, recv(t, done))
		}
		healthy.send("4hello")
		require.Equal(t, "4hello", healthy.text())
		_ = b.client()
		for _, p := range polls {
			b.client().s.Send(TextMessage("still here"))
			p.want("4still here")
		}
	})
}

// Whatever a request is, a body that does not come ends its connection.
func TestBodyThatDoesNotCome(t *testing.T) {
	b := newBed(t, fast)
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	sid := b.poll().sid
	for name, head := range map[string]string{
		"handshake":   "GET /?EIO=4&transport=polling HTTP/1.1\r\n",
		"no upgrade":  "GET /?EIO=4&transport=websocket HTTP/1.1\r\n" + upgrade,
		"preflight":   "OPTIONS /?EIO=4&transport=polling HTTP/1.1\r\n",
		"session":     "POST /?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\n",
		"no session":  "POST /?EIO=4&transport=polling&sid=x HTTP/1.1\r\n",
		"no protocol": "POST / HTTP/1.1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := rawDial(t, b.addr)
			defer c.nc.Close()
			c.raw([]byte(head + "Host: x\r\nContent-Length: 10\r\n\r\n4")...)
			_ = c.nc.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err := io.Copy(io.Discard, c.r)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is not closed")
		})
	}
}

func TestAnswersNobodyReads(t *testing.T) {
	b := newBed(t, func(o *Options) { o.WriteTimeout = 300 * time.Millisecond })
	for name, request := range map[string]string{
		"preflight": "OPTIONS /?EIO=4 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST":      "POST /?EIO=4&transport=polling&sid=" + b.poll().sid + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n3",
	} {
		t.Run(name, func(t *testing.T) {
			c := rawDial(t, b.addr)
			defer c.nc.Close()
			err := c.flood(bytes.Repeat([]byte(request), 100), 5*time.Second)
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is not closed")
		})
	}
}

// longAnswer polls for size bytes and takes 64 KiB of them at a time. It returns how many came until the end.
func longAnswer(t *testing.T, size int, pause time.Duration, change func(o *Options)) (got int, err error) {
	b := newBed(t, func(o *Options) {
		o.MaxQueue = 2 * size
		change(o)
	})
	p := b.poll()
	b.client().s.Send(TextMessage(strings.Repeat("x", size-1)))
	c := rawDial(t, b.addr)
	defer c.nc.Close()
	require.NoError(t, c.nc.(*net.TCPConn).SetReadBuffer(64<<10))
	c.raw([]byte("GET /?" + p.q + " HTTP/1.1\r\nHost: x\r\n\r\n")...)
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	for piece := make([]byte, 64<<10); got < size && err == nil; time.Sleep(pause) {
		var n int
		n, err = io.ReadFull(resp.Body, piece[:min(len(piece), size-got)])
		got += n
	}
	return got, err
}

// Options.WriteTimeout is for a client that takes nothing: a long answer to one that reads slowly may take longer.
func TestLongAnswerToASlowClient(t *testing.T) {
	const size = 12 << 20 // 192 pieces: four times WriteTimeout
	got, err := longAnswer(t, size, 10*time.Millisecond, func(o *Options) { o.WriteTimeout = 500 * time.Millisecond })
	require.NoError(t, err, "after %d bytes", got)
}

// But not so long that the session is over meanwhile.
func TestLongAnswerToADeadClient(t *testing.T) {
	got, err := longAnswer(t, 16<<20, 20*time.Millisecond, fast) // 256 pieces: ten times the heartbeat
	require.Error(t, err, "all of it, %d bytes", got)
}

// Frames take more than their bytes while they wait.
func TestQueueBoundsSmallFramesToo(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxQueue = 64 << 10 })
	b.poll()
	s := b.client()
	n := 0
	for ; s.s.Open() && n < 64<<10; n++ {
		s.s.Send(controlFrame(opPong, nil))
	}
	require.Equal(t, ReasonSlowReader, s.reason(t))
	const place = 24 // bytes of a slice header
	require.LessOrEqual(t, n*place, 64<<10)
}

// Packets that are held back take about as much room as in the body they came in.
func TestPausedSessionHoldsSmallPacketsSmall(t *testing.T) {
	b := newBed(t, nil, pausing)
	p := b.poll()
	s := b.client()
	const n = 200_000
	body := "4stop" + strings.Repeat("\x1e4", n) + "\x1ebAQI=\x1e4stop\x1e4end"
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	status := make(chan int, 1)
	go func() {
		resp, err := http.Post(b.http.URL+"/?"+p.q, "text/plain", strings.NewReader(body))
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	waits := func() bool {
		s.s.mu.Lock()
		defer s.s.mu.Unlock()
		return s.s.resumed != nil
	}
	require.Eventually(t, waits, patience, time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(8*len(body)))

	s.s.Resume()
	require.Eventually(t, waits, patience, time.Millisecond)
	s.s.Resume()
	require.Equal(t, 200, recv(t, status))
	got := s.received()
	require.Len(t, got, n+4)
	require.Equal(t, []string{"t:", "b:\x01\x02", "t:stop", "t:end"}, got[n:])
}
