//go:build linux

package main

import (
	"slices"
	"time"

	"downlink/bench/loadgen"
)

// scenario is one fleet and what is done with it: a server is started for it, and stopped after it.
type scenario struct {
	name   string
	about  string
	spec   loadgen.Spec
	figure []figure
}

// Names of phases, by which figures find them.
const (
	single  = "one at a time"
	burst   = "8 in flight"
	latency = "20 pushes/s"
	spread  = "random rooms"
	intake  = "empty room"
)

// pushSize is the size of a push's data in bytes, in all scenarios.
const pushSize = 128

// pacing is how long things last.
type pacing struct {
	settle  time.Duration // a fleet idles before its first phase
	idle    time.Duration // the same where idle memory is the figure
	warmup  time.Duration
	load    time.Duration // a phase at full speed
	latency time.Duration // the phase at a fixed rate
}

var (
	fullPacing  = pacing{settle: time.Second, idle: 3 * time.Second, warmup: 300 * time.Millisecond, load: 2 * time.Second, latency: 5 * time.Second}
	quickPacing = pacing{settle: 500 * time.Millisecond, idle: 2 * time.Second, warmup: 200 * time.Millisecond, load: time.Second, latency: 2 * time.Second}
)

// growthTime is how long the fan-out lasts over which the growth of memory is measured. The target names it.
const growthTime = 2 * time.Second

// scenarios lists all there are, in the order they run.
func scenarios(t pacing) []scenario {
	phase := func(name string, audience loadgen.Audience, inFlight, pushers int) loadgen.Phase {
		return loadgen.Phase{
			Name: name, Audience: audience, Size: pushSize,
			Warmup: t.warmup, Duration: t.load, InFlight: inFlight, Pushers: pushers,
		}
	}
	oneAtATime := phase(single, loadgen.Everyone, 1, 1)
	eight := phase(burst, loadgen.Everyone, 8, 2)
	growth := eight
	growth.Warmup, growth.Duration = 0, growthTime
	steady := loadgen.Phase{
		Name: latency, Audience: loadgen.Everyone, Size: pushSize,
		Warmup: 500 * time.Millisecond, Duration: t.latency, Rate: 20, Pushers: 4,
	}

	return []scenario{
		{
			name:  "fanout-1000",
			about: "global pushes to 1,000 WebSocket clients: one at a time, 8 in flight, 20 per second",
			spec:  loadgen.Spec{Clients: 1000, Settle: t.settle, Phases: []loadgen.Phase{oneAtATime, eight, steady}},
			figure: []figure{
				{name: "fan-out to 1,000, one at a time", unit: "µs CPU/delivery", value: cpuPerDelivery(single), must: atMost(0.60)},
				{name: "fan-out to 1,000, 8 in flight", unit: "µs CPU/delivery", value: cpuPerDelivery(burst)},
				{name: "fan-out to 1,000, 8 in flight", unit: "deliveries/s", value: deliveryRate(burst)},
				{name: "p99 POST sent → received, 20/s to 1,000", unit: "ms", value: p99(latency), must: atMost(0.80)},
			},
		},
		{
			name:  "fanout-5000",
			about: "global pushes to 5,000 WebSocket clients: memory over 2 s of full fan-out, 8 in flight, one at a time",
			spec:  loadgen.Spec{Clients: 5000, Settle: t.settle, Phases: []loadgen.Phase{growth, oneAtATime}},
			figure: []figure{
				{name: "fan-out to 5,000, one at a time", unit: "µs CPU/delivery", value: cpuPerDelivery(single), must: atMost(0.60)},
				{name: "fan-out to 5,000, 8 in flight", unit: "µs CPU/delivery", value: cpuPerDelivery(burst), must: atMost(0.15)},
				{name: "fan-out to 5,000, 8 in flight", unit: "deliveries/s", value: deliveryRate(burst), must: atLeast(8)},
				{name: "RSS growth over 2 s of it", unit: "× idle", value: memoryGrowth(burst), must: ownAtMost(1.2)},
			},
		},
		{
			name:   "rooms",
			about:  "pushes to random rooms, 1,000 rooms of 5 WebSocket clients",
			spec:   loadgen.Spec{Clients: 5000, Rooms: 1000, Settle: t.settle, Phases: []loadgen.Phase{phase(spread, loadgen.OneRoom, 64, 16)}},
			figure: []figure{{name: "rooms 1,000 × 5", unit: "µs CPU/push", value: cpuPerPush(spread), must: atMost(0.75)}},
		},
		{
			name:   "ingest",
			about:  "POST /push to a room nobody is in, 16 connections",
			spec:   loadgen.Spec{Clients: 1, Settle: t.settle / 2, Phases: []loadgen.Phase{phase(intake, loadgen.Nobody, 1, 16)}},
			figure: []figure{{name: "POST /push to an empty room", unit: "µs CPU/push", value: cpuPerPush(intake), must: atMost(1.5)}},
		},
		{
			name:  "connect-10000",
			about: "10,000 WebSocket clients connect, then idle",
			spec:  loadgen.Spec{Clients: 10_000, Settle: t.idle},
			figure: []figure{
				{name: "connects/s, 10,000", unit: "1/s", value: connectRate, must: atLeast(1.8)},
				{name: "idle RSS per connection, 10,000", unit: "KB", value: memoryPerConnection, must: atMost(0.85)},
			},
		},
		{
			name:   "polling-1000",
			about:  "global pushes to 1,000 long-polling clients, one at a time",
			spec:   loadgen.Spec{Clients: 1000, Polling: true, Settle: t.settle, Phases: []loadgen.Phase{oneAtATime}},
			figure: []figure{{name: "polling, fan-out to 1,000", unit: "µs CPU/delivery", value: cpuPerDelivery(single), must: atMost(0.80)}},
		},
	}
}

// figure is one row of the table: a number taken from the result of a scenario, and what it must be.
type figure struct {
	name  string
	unit  string
	value func(*loadgen.Result) float64
	must  target
}

// target is what a figure must be. The zero value demands nothing.
type target struct {
	kind  targetKind
	bound float64
}

type targetKind int

const (
	noTarget   targetKind = iota
	ratioBelow            // downlink's figure over Node's is at most bound
	ratioAbove            // … at least bound
	ownBelow              // downlink's figure itself is at most bound
)

func atMost(ratio float64) target    { return target{ratioBelow, ratio} }
func atLeast(ratio float64) target   { return target{ratioAbove, ratio} }
func ownAtMost(value float64) target { return target{ownBelow, value} }

// met judges the medians of downlink's own figure and of the ratio.
func (t target) met(own, ratio float64) bool {
	switch t.kind {
	case ratioBelow:
		return ratio <= t.bound
	case ratioAbove:
		return ratio >= t.bound
	case ownBelow:
		return own <= t.bound
	}
	return true
}

// phaseOf finds the phase of that name in a result.
func phaseOf(r *loadgen.Result, name string) *loadgen.PhaseResult {
	i := slices.IndexFunc(r.Phases, func(p loadgen.PhaseResult) bool { return p.Name == name })
	if i < 0 {
		panic("no phase " + name) // a figure names a phase its scenario does not have
	}
	return &r.Phases[i]
}

// What figures are made of. All are per one, in the unit the figure states.

func cpuPerDelivery(phase string) func(*loadgen.Result) float64 {
	return func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return micros(p.CPU) / float64(p.Deliveries)
	}
}

func cpuPerPush(phase string) func(*loadgen.Result) float64 {
	return func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return micros(p.CPU) / float64(p.Pushes)
	}
}

func deliveryRate(phase string) func(*loadgen.Result) float64 {
	return func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return float64(p.Deliveries) / p.Took.Seconds()
	}
}

func p99(phase string) func(*loadgen.Result) float64 {
	return func(r *loadgen.Result) float64 { return micros(phaseOf(r, phase).P99) / 1000 }
}

func memoryGrowth(phase string) func(*loadgen.Result) float64 {
	return func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return float64(p.RSSPeak) / float64(p.RSSBefore)
	}
}

func connectRate(r *loadgen.Result) float64 {
	return float64(r.Connect.Clients-r.Connect.Lost) / r.Connect.Took.Seconds()
}

func memoryPerConnection(r *loadgen.Result) float64 {
	return float64(r.Connect.RSS-r.Connect.RSSBefore) / float64(r.Connect.Clients) / 1024
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
