package engineio

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sink is a client on a real socket that only counts bytes; many share a goroutine's worth of work.
type sinks struct {
	b     *bed
	bytes atomic.Int64
	want  atomic.Int64 // bytes await waits for
	there chan struct{}
	conns []net.Conn
	wg    sync.WaitGroup
}

type quiet struct{}

func (quiet) Message([]byte, bool) error { return nil }
func (quiet) Closed(string)              {}

func newSinks(tb testing.TB, n int, portable bool) *sinks {
	x := &sinks{b: newQuietBed(tb, portable), there: make(chan struct{}, 1)}
	for range n {
		c, err := dialWS(x.b.addr, "EIO=4&transport=websocket")
		if err != nil {
			tb.Fatal(err)
		}
		if _, _, err := c.read(); err != nil {
			tb.Fatal(err)
		}
		_ = c.nc.SetReadDeadline(time.Time{})
		x.conns = append(x.conns, c.nc)
		x.wg.Go(func() { x.drain(c) })
	}
	tb.Cleanup(func() {
		for _, c := range x.conns {
			c.Close()
		}
		x.wg.Wait()
	})
	return x
}

func newQuietBed(tb testing.TB, portable bool) *bed {
	o := Options{Portable: portable, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	o.Open = func(*Session, *http.Request) Handler { return quiet{} }
	srv, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bed{t: tb, srv: srv, http: httptest.NewServer(srv)}
	b.addr = b.http.Listener.Addr().String()
	tb.Cleanup(func() {
		_ = srv.Close()
		b.http.Close()
	})
	return b
}

func (x *sinks) drain(c *ws) {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.nc.Read(buf)
		if all, want := x.bytes.Add(int64(n)), x.want.Load(); all >= want && all-int64(n) < want {
			x.there <- struct{}{}
		}
		if err != nil {
			return
		}
	}
}

// await waits until the clients have got n bytes in all, since the beginning.
func (x *sinks) await(tb testing.TB, n int64) {
	x.want.Store(n)
	if x.bytes.Load() >= n {
		select {
		case <-x.there:
		default:
		}
		return
	}
	select {
	case <-x.there:
	case <-time.After(patience):
		tb.Fatalf("%d bytes of %d came; %+v", x.bytes.Load(), n, x.b.srv.Stats())
	}
}

// BenchmarkFanOut sends one frame to 1,000 sockets per operation; the clients are in the same process, so their
// reading is in the CPU figure too. "burst" waits for the clients only every 8 pushes.
func BenchmarkFanOut(b *testing.B) {
	const sockets = 1000
	for _, burst := range []int{1, 8} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) {
			x := newSinks(b, sockets, false)
			f := TextMessage(strings.Repeat("x", 100))
			var sessions []*Session
			x.b.srv.Range(func(s *Session) { sessions = append(sessions, s) })
			size := int64(len(f)) * sockets
			var sent int64
			b.ResetTimer()
			cpu := cpuTime()
			for i := range b.N {
				batch := x.b.srv.Batch(f)
				for _, s := range sessions {
					batch.Add(s)
				}
				batch.Flush()
				sent += size
				if (i+1)%burst == 0 {
					x.await(b, sent)
				}
			}
			x.await(b, sent)
			n := float64(b.N) * sockets
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/delivery")
			b.ReportMetric(float64(cpuTime()-cpu)/n, "cpu-ns/delivery")
			st := x.b.srv.Stats()
			b.ReportMetric(float64(st.Frames)/float64(st.Writes), "frames/write")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkQueue is the part of a fan-out that runs under the publisher's locks: one session takes one frame.
func BenchmarkQueue(b *testing.B) {
	bd := newQuietBed(b, false)
	s := &Session{srv: bd.srv, w: bd.srv.writers[0], eio: 4, st: stOpen}
	f := []Frame{TextMessage("x")}
	b.ReportAllocs()
	for b.Loop() {
		s.enqueue(f)
		s.mu.Lock()
		q := s.take()
		s.queued = 0
		s.mu.Unlock()
		q.free()
	}
}

// BenchmarkIdle reports what an idle session on a WebSocket costs in heap and stacks.
func BenchmarkIdle(b *testing.B) {
	const sockets = 2000
	for _, portable := range []bool{false, true} {
		b.Run(fmt.Sprintf("portable=%v", portable), func(b *testing.B) {
			bd := newQuietBed(b, portable)
			before := inUse()
			conns := make([]net.Conn, 0, sockets)
			r := bufio.NewReaderSize(nil, 4096)
			for range sockets {
				nc, err := net.Dial("tcp", bd.addr)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = fmt.Fprint(nc, "GET /?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
				r.Reset(nc)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
				conns = append(conns, nc)
			}
			time.Sleep(200 * time.Millisecond)
			const dialed = 400 // the client's own net.Conn, about
			b.ReportMetric(float64(inUse()-before)/sockets-dialed, "B/session")
			b.ReportMetric(0, "ns/op")
			for _, c := range conns {
				c.Close()
			}
		})
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkParse is one small frame of a client.
func BenchmarkParse(b *testing.B) {
	in := maskedFrame(finBit|opText, []byte(`42["loginRoom","456"]`))
	buf := make([]byte, len(in))
	var p parser
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		_ = p.feed(buf, 1000, discard{})
	}
}

type discard struct{}

func (discard) frame(byte, []byte) error { return nil }
