//go:build unix

package backbone

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// BenchmarkPublish measures a push with 128 bytes of data from Publish until it was delivered to a follower that does
// nothing. cpu-µs/op is user and system time of the whole process, p50-µs and p99-µs how long Publish takes.
func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			bb := open(b, b.TempDir())
			benchmarkPublish(b, bb, publishers)
		})
	}
}

func benchmarkPublish(b *testing.B, bb *Backbone, publishers int) {
	var delivered atomic.Int64
	require.NoError(b, bb.Follow(b.Context(), func(*rooms.Message) { delivered.Add(1) }))
	took := make([]time.Duration, b.N)
	data := make([]byte, 128)
	var next atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	for range publishers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				_, err := bb.Publish(ctx, rooms.Push{
					To: rooms.Room(fmt.Sprintf("room%d", i%1000)), Event: "test", Data: data,
				})
				if err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	all.Wait()
	for delivered.Load() < int64(b.N) && !b.Failed() {
		time.Sleep(100 * time.Microsecond)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
}

// cpuTime is the user and system time of this process so far.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkRooms measures what the first push to a room, and holding a room, cost in memory that stays: heap-B/room
// after a garbage collection.
func BenchmarkRooms(b *testing.B) {
	const n = 100_000
	for name, touch := range map[string]func(bb *Backbone, i int) error{
		"pushed": func(bb *Backbone, i int) error {
			_, err := bb.Publish(b.Context(), push(fmt.Sprintf("room%d", i), i))
			return err
		},
		"held": func(bb *Backbone, i int) error {
			_, err := bb.Acquire(b.Context(), rooms.Claim{Room: fmt.Sprintf("room%d", i), Conn: "n1.0123456789abcdef"}, 0)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				bb := open(b, b.TempDir())
				before := heap()
				for i := range n {
					require.NoError(b, touch(bb, i))
				}
				b.ReportMetric((heap()-before)/n, "heap-B/room")
				shut(b, bb)
			}
		})
	}
}

// heap is the size of what is reachable.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkClaims measures taking, reading and giving back a room while 100,000 others are held.
func BenchmarkClaims(b *testing.B) {
	bb := open(b, b.TempDir())
	for i := range 100_000 {
		_, err := bb.Acquire(b.Context(), rooms.Claim{Room: fmt.Sprintf("held%d", i), Conn: "a"}, 0)
		require.NoError(b, err)
	}
	var took [3]time.Duration
	n := 0
	for b.Loop() {
		room := fmt.Sprintf("room%d", n)
		n++
		start := time.Now()
		epoch, err := bb.Acquire(b.Context(), rooms.Claim{Room: room, Conn: "a"}, 0)
		require.NoError(b, err)
		acquired := time.Now()
		_, err = bb.Get(b.Context(), room)
		require.NoError(b, err)
		read := time.Now()
		require.NoError(b, bb.Release(b.Context(), room, epoch))
		took[0] += acquired.Sub(start)
		took[1] += read.Sub(acquired)
		took[2] += time.Since(read)
	}
	for i, name := range []string{"acquire-µs", "get-µs", "release-µs"} {
		b.ReportMetric(float64(took[i].Nanoseconds())/1e3/float64(n), name)
	}
}
