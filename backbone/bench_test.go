package backbone

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
