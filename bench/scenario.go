//go:build linux

package main

import (
	"slices"
	"time"

	"downlink/bench/loadgen"
)

// scenario is one fleet and what is done with it: a server is started for it, and stopped after it.
type scenario struct {
	name    string
	about   string
	spec    loadgen.Spec
	figures []figure
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
	fullPacing = pacing{
		settle: time.Second, idle: 3 * time.Second,
		warmup: 300 * time.Millisecond, load: 2 * time.Second, latency: 5 * time.Second,
	}
	quickPacing = pacing{
		settle: 500 * time.Millisecond, idle: 2 * time.Second,
		warmup: 200 * time.Millisecond, load: time.Second, latency: 2 * time.Second,
	}
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
			figures: []figure{
				{"fan-out to 1,000, one at a time", cpuPerDelivery(single), atMost(0.60)},
				{"fan-out to 1,000, 8 in flight", cpuPerDelivery(burst), target{}},
				{"fan-out to 1,000, 8 in flight", deliveryRate(burst), target{}},
				{"POST sent → received, 20/s to 1,000", p99(latency), atMost(0.80)},
			},
		},
		{
			name:  "fanout-5000",
			about: "global pushes to 5,000 WebSocket clients: memory over 2 s of full fan-out, 8 in flight, one at a time",
			spec:  loadgen.Spec{Clients: 5000, Settle: t.settle, Phases: []loadgen.Phase{growth, oneAtATime}},
			figures: []figure{
				{"fan-out to 5,000, one at a time", cpuPerDelivery(single), atMost(0.60)},
				{"fan-out to 5,000, 8 in flight", cpuPerDelivery(burst), atMost(0.15)},
				{"fan-out to 5,000, 8 in flight", deliveryRate(burst), atLeast(8)},
				{"RSS growth in 2 s of full fan-out", memoryGrowth(burst), ownAtMost(1.2)},
			},
		},
		{
			name:  "rooms",
			about: "pushes to random rooms, 1,000 rooms of 5 WebSocket clients",
			spec: loadgen.Spec{
				Clients: 5000, Rooms: 1000, Settle: t.settle,
				Phases: []loadgen.Phase{phase(spread, loadgen.OneRoom, 64, 16)},
			},
			figures: []figure{{"rooms 1,000 × 5", cpuPerPush(spread), atMost(0.75)}},
		},
		{
			name:  "ingest",
			about: "POST /push to a room nobody is in, 16 connections",
			spec: loadgen.Spec{
				Clients: 1, Settle: t.settle,
				Phases: []loadgen.Phase{phase(intake, loadgen.Nobody, 1, 16)},
			},
			figures: []figure{{"POST /push to an empty room", cpuPerPush(intake), atMost(1.5)}},
		},
		{
			name:  "connect-10000",
			about: "10,000 WebSocket clients connect, then idle",
			spec:  loadgen.Spec{Clients: 10_000, Settle: t.idle},
			figures: []figure{
				{"connects, 10,000", connectRate, atLeast(1.8)},
				{"idle RSS, 10,000", memoryPerConnection, atMost(0.85)},
			},
		},
		{
			name:    "polling-1000",
			about:   "global pushes to 1,000 long-polling clients, one at a time",
			spec:    loadgen.Spec{Clients: 1000, Polling: true, Settle: t.settle, Phases: []loadgen.Phase{oneAtATime}},
			figures: []figure{{"polling, fan-out to 1,000", cpuPerDelivery(single), atMost(0.80)}},
		},
	}
}

// figure is one row of the table: a number taken from the result of a scenario, and what it must be.
type figure struct {
	name  string
	value measure
	must  target
}

// measure is a number a result holds, with its unit.
type measure struct {
	unit string
	of   func(*loadgen.Result) float64
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

// What figures are made of.

func cpuPerDelivery(phase string) measure {
	return measure{"µs CPU/delivery", func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return micros(p.CPU) / float64(p.Deliveries)
	}}
}

func cpuPerPush(phase string) measure {
	return measure{"µs CPU/push", func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return micros(p.CPU) / float64(p.Pushes)
	}}
}

func deliveryRate(phase string) measure {
	return measure{"deliveries/s", func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return float64(p.Deliveries) / p.Took.Seconds()
	}}
}

func p99(phase string) measure {
	return measure{"ms, p99", func(r *loadgen.Result) float64 { return micros(phaseOf(r, phase).P99) / 1000 }}
}

// memoryGrowth is the most memory held during a phase over what was held before it.
func memoryGrowth(phase string) measure {
	return measure{"× idle", func(r *loadgen.Result) float64 {
		p := phaseOf(r, phase)
		return float64(p.RSSPeak) / float64(p.RSSBefore)
	}}
}

var connectRate = measure{"connects/s", func(r *loadgen.Result) float64 {
	return float64(r.Connect.Clients-r.Connect.Lost) / r.Connect.Took.Seconds()
}}

var memoryPerConnection = measure{"KB/connection", func(r *loadgen.Result) float64 {
	return float64(r.Connect.RSS-r.Connect.RSSBefore) / float64(r.Connect.Clients) / 1024
}}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
