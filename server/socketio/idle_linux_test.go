package socketio

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"downlink/rooms"

	"golang.org/x/sys/unix"
)

// BenchmarkIdle connects clients that log in and then rest, and reports what each costs: resident memory, live heap and
// stacks of the whole process, and its CPU time for connecting one. The clients are bare file descriptors, so that next
// to all of it is the server's, but for their share of the CPU time.
//
//	IDLE_HEAP=idle.heap go test -run - -bench Idle -benchtime 5000x ./server/socketio
//
// IDLE_HEAP may be left out; it names a file for a heap profile with all clients connected.
func BenchmarkIdle(b *testing.B) {
	hub := rooms.NewHub()
	admission := rooms.NewAdmission(hub, &memoryClaims{byRoom: map[string]rooms.Claim{}}, rooms.AdmissionOptions{})
	g, addr, stop := serve(b, Options{Hub: hub, Admission: admission})
	defer stop()
	warm := bare(b, addr)
	defer func() { _ = unix.Close(warm) }()

	clients := make([]int, b.N)
	before := take(b)
	b.ResetTimer()
	for i := range clients {
		clients[i] = bare(b, addr)
	}
	b.StopTimer()
	cpu := cpuTime(b) - before.cpu
	for conns, _ := hub.Counts(); conns < b.N+1; conns, _ = hub.Counts() {
		time.Sleep(time.Millisecond)
	}
	after := take(b)
	n := float64(b.N)
	b.ReportMetric(float64(after.rss-before.rss)/n, "rss-B/conn")
	b.ReportMetric(float64(after.heap-before.heap)/n, "heap-B/conn")
	b.ReportMetric(float64(after.stack-before.stack)/n, "stack-B/conn")
	b.ReportMetric(float64(cpu.Microseconds())/n, "cpu-µs/conn")
	if path, ok := os.LookupEnv("IDLE_HEAP"); ok {
		var p bytes.Buffer
		_ = pprof.Lookup("heap").WriteTo(&p, 0)
		_ = os.WriteFile(path, p.Bytes(), 0o600)
	}
	for _, fd := range clients {
		_ = unix.Close(fd)
	}
	runtime.KeepAlive(g)
}

type usage struct {
	rss, heap, stack int64
	cpu              time.Duration
}

func take(b *testing.B) usage {
	b.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return usage{pages * int64(os.Getpagesize()), int64(m.HeapAlloc), int64(m.StackInuse), cpuTime(b)}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare connects a client up to its 2001 and leaves nothing of it in the heap.
func bare(b *testing.B, addr string) (fd int) {
	b.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}); err != nil {
		b.Fatal(err)
	}
	talk := func(send, until string) {
		if _, err := unix.Write(fd, []byte(send)); err != nil {
			b.Fatal(err)
		}
		var buf [2048]byte
		for n := 0; !bytes.Contains(buf[:n], []byte(until)); {
			m, err := unix.Read(fd, buf[n:])
			if err != nil || m == 0 {
				b.Fatal(fmt.Errorf("read %q: %w", buf[:n], err))
			}
			n += m
		}
	}
	talk("GET "+wsPath+" HTTP/1.1\r\nHost: "+addr+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0\r\n"+
		"Origin: http://localhost:8080\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n\r\n",
		"maxPayload")
	talk("\x81\x82\x00\x00\x00\x0040", "2001")
	return fd
}
