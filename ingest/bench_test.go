package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"downlink/rooms"
)

// nowhere is a journal that costs nothing.
type nowhere struct{ rooms.Journal }

func (nowhere) Publish(context.Context, rooms.Push) (rooms.Receipt, error) {
	return rooms.Receipt{ID: "01KAFXJ8Q2M6T5V0Z4B7C9D1EF", Seq: 1}, nil
}

// benchBody is a push with 128 bytes of data, the size that bench/ uses.
var benchBody = []byte(`{"ROOT":{"BODY":{"roomId":"456","eventName":"test","data":{"seq":123456,"text":"` +
	strings.Repeat("x", 100) + `"}}}}`)

// The sender of BenchmarkPush is this test binary, started again with these set.
const (
	benchAddr     = "INGEST_BENCH_ADDR"
	benchRequests = "INGEST_BENCH_REQUESTS"
	benchConns    = 16
)

// BenchmarkPush measures the processor time that this process, user and kernel, takes per POST /push, without a store:
// 16 keep-alive connections over loopback, whose senders are another process. The bare sub-benchmark is the least that
// net/http can do with such a request: read the body, answer.
//
//	go test -run - -bench Push -benchtime 200000x ./ingest/
func BenchmarkPush(b *testing.B) {
	s := New(Options{Journal: nowhere{}, Log: slog.New(slog.DiscardHandler)})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, r.ContentLength))
		w.Header()["Content-Type"] = typeJSON
		_, _ = w.Write(bodyOK)
	})
	for name, h := range map[string]http.Handler{"ingest": s.Handler(), "bare": bare} {
		b.Run(name, func(b *testing.B) {
			ts := httptest.NewServer(h)
			defer ts.Close()
			sender := exec.Command(os.Args[0], "-test.run", "^TestBenchSender$")
			sender.Env = append(os.Environ(), benchAddr+"="+ts.Listener.Addr().String(), benchRequests+"="+strconv.Itoa(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime(b)
			if out, err := sender.CombinedOutput(); err != nil {
				b.Fatalf("sender: %v\n%s", err, out)
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBenchSender is the other process of BenchmarkPush.
func TestBenchSender(t *testing.T) {
	addr := os.Getenv(benchAddr)
	if addr == "" {
		t.Skip("only for BenchmarkPush")
	}
	n, err := strconv.Atoi(os.Getenv(benchRequests))
	if err != nil {
		t.Fatal(err)
	}
	req := fmt.Appendf(nil, "POST /push HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		addr, len(benchBody), benchBody)
	var wg sync.WaitGroup
	for i := range benchConns {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			answers := bufio.NewReader(conn)
			for range (n + i) / benchConns {
				if _, err := conn.Write(req); err != nil {
					t.Error(err)
					return
				}
				res, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || !bytes.Equal(body, bodyOK) {
					t.Errorf("%v %s", err, body)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkFindFields compares the one pass over a body with what the standard library needs for the same.
func BenchmarkFindFields(b *testing.B) {
	bodies := map[string][]byte{
		"128B":         benchBody,
		"64KiB":        []byte(`{"roomId":"456","eventName":"test","data":"` + strings.Repeat("x", 64<<10) + `"}`),
		"64KiBChinese": []byte(`{"roomId":"456","eventName":"test","data":"` + strings.Repeat("你好", 64<<10/6) + `"}`),
		"64KiBNumbers": []byte(`{"roomId":"456","eventName":"test","data":[1` + strings.Repeat(",123.5", 64<<10/6) + `]}`),
	}
	for name, body := range bodies {
		b.Run(name+"/scanner", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := findFields(body); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var push struct {
					Room  json.RawMessage `json:"roomId"`
					Event string          `json:"eventName"`
					Data  json.RawMessage `json:"data"`
					Root  struct{ Body json.RawMessage }
				}
				if !utf8.Valid(body) || json.Unmarshal(body, &push) != nil {
					b.Fatal("not JSON")
				}
			}
		})
	}
}

// BenchmarkCheck is what the validator costs.
func BenchmarkCheck(b *testing.B) {
	c := newChecker()
	room := "456"
	f := fields{Room: &room, Event: "test"}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.check(&f); err != nil {
			b.Fatal(err)
		}
	}
}
