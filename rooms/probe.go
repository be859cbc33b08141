package rooms

import (
	"context"
	"sync"
	"time"
)

// In a room of thousands the newest members, who most likely live, are asked first; each time no answer came for a part
// of the probe's time, many more are asked.
const (
	probeFirst  = 16 // members asked at once
	probeGrowth = 8  // times as many in the next step
	probeSteps  = 8  // parts of the probe's time; half of them are enough for 60,000 members
)

// anyAlive asks the members in seats for a sign of life and reports whether one gave it after since. It returns at the
// first sign, else when all are known to be silent: at the latest after the probe's time, or when ctx ends.
func (a *Admission) anyAlive(ctx context.Context, seats []*seat, since time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, a.probeTimeout)
	var probes sync.WaitGroup
	defer probes.Wait() // they end with ctx
	defer cancel()
	step := time.NewTicker(a.probeTimeout / probeSteps)
	defer step.Stop()

	alive := make(chan bool, len(seats))
	asked, silent := 0, 0
	for n := probeFirst; silent < len(seats); {
		for ; asked < min(n, len(seats)); asked++ {
			conn := seats[asked].conn
			probes.Go(func() { alive <- conn.Probe(ctx, since) })
		}
		select {
		case yes := <-alive:
			if yes {
				return true
			}
			if silent++; silent == asked {
				n *= probeGrowth
			}
		case <-step.C:
			n *= probeGrowth
		}
	}
	return false
}
