//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/bench/loadgen"
)

func TestMedian(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{9, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	require.True(t, math.IsNaN(median(nil)))
	require.True(t, math.IsNaN(median([]float64{1, math.NaN(), 2})))
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.4567: "0.46", 9.994: "9.99", 10.04: "10.0", 99.94: "99.9", 100.4: "100", 123456: "123456", -3: "-3.00",
		math.Inf(1): "–", math.NaN(): "–",
	} {
		require.Equal(t, want, number(v))
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		must       target
		own, ratio float64
		met        bool
	}{
		{atMost(0.6), 100, 0.6, true}, {atMost(0.6), 0, 0.61, false},
		{atLeast(8), 0, 8, true}, {atLeast(8), 100, 7.9, false},
		{ownAtMost(1.2), 1.2, 9, true}, {ownAtMost(1.2), 1.3, 0.1, false},
		{target{}, 9, 9, true},
	} {
		require.Equal(t, c.met, c.must.met(c.own, c.ratio), c)
	}
}

// oneFigure is a benchmark of one made-up scenario, whose figure is the CPU time of a delivery.
func oneFigure(must target) *bench {
	return &bench{
		contenders: []contender{{name: ours}, {name: theirs}},
		scenarios:  []scenario{{name: "s", figures: []figure{{"fan-out", cpuPerDelivery("p"), must}}}},
		maxOther:   0.3,
	}
}

func (b *bench) add(mine, other time.Duration, disturbed float64) *run {
	result := func(cpu time.Duration) *loadgen.Result {
		return &loadgen.Result{
			Connect: loadgen.Connect{Clients: 10},
			Phases:  []loadgen.PhaseResult{{Name: "p", Pushes: 10, Deliveries: 100, CPU: cpu, Took: time.Second}},
		}
	}
	b.runs = append(b.runs, run{
		scenario: "s", disturbed: disturbed,
		results: map[string]*loadgen.Result{ours: result(mine), theirs: result(other)},
	})
	return &b.runs[len(b.runs)-1]
}

func (b *bench) printed(t *testing.T) (text string, missed int) {
	var out strings.Builder
	missed, err := b.write(&out, "Setting.")
	require.NoError(t, err)
	return out.String(), missed
}

func TestTableOfMediansOfRatios(t *testing.T) {
	b := oneFigure(atMost(0.6))
	b.add(4*time.Millisecond, 10*time.Millisecond, 0)  // 0.4
	b.add(11*time.Millisecond, 20*time.Millisecond, 0) // 0.55, and the machine was slower
	b.add(5*time.Millisecond, 10*time.Millisecond, 0)  // 0.5
	b.add(99*time.Millisecond, 10*time.Millisecond, 2) // disturbed: does not count
	text, missed := b.printed(t)
	require.Zero(t, missed)
	require.Contains(t, text, "| fan-out | µs CPU/delivery | 50.0 | 100 | 0.50 × (0.40–0.55) | ≤ 0.60 × Node | met |\n")
	require.Contains(t, text, "deliveries | of all | 0 of 400 | 0 of 400 | | 0 | met |\n")
	require.Contains(t, text, "| lost connects | of all | 0 of 40 | 0 of 40 | | 0 | met |\n")
	require.NotContains(t, text, "†")
	require.True(t, b.clean())
}

func TestTableNamesWhatIsMissed(t *testing.T) {
	b := oneFigure(atMost(0.6))
	b.add(7*time.Millisecond, 10*time.Millisecond, 0)
	text, missed := b.printed(t)
	require.Equal(t, 1, missed)
	require.Contains(t, text, "0.70 × (0.70–0.70) | ≤ 0.60 × Node | **missed** |")
}

func TestTableMarksWhatWasAlwaysDisturbed(t *testing.T) {
	b := oneFigure(atMost(0.6))
	b.add(5*time.Millisecond, 10*time.Millisecond, 0.5)
	text, _ := b.printed(t)
	require.Contains(t, text, "| fan-out † |")
	require.Contains(t, text, "† other work took more than 0.3 cores")
}

func TestFaultsAreNeverClean(t *testing.T) {
	b := oneFigure(target{})
	b.add(time.Millisecond, time.Millisecond, 0)
	faulty := b.add(time.Millisecond, time.Millisecond, 2) // counts here although it was disturbed
	faulty.results[ours].Phases[0].Faults.Doubled = 3
	require.False(t, b.clean())
	text, missed := b.printed(t)
	require.Equal(t, 1, missed)
	require.Contains(t, text, "| of all | 3 of 200 | 0 of 200 | | 0 | **missed** |")

	b = oneFigure(target{})
	b.add(time.Millisecond, time.Millisecond, 0).results[theirs].Connect.Lost = 1
	require.False(t, b.clean(), "a peer that fails is no measure")
}

func TestTableOfOneServer(t *testing.T) {
	b := oneFigure(atMost(0.6))
	delete(b.add(5*time.Millisecond, time.Millisecond, 0).results, theirs)
	text, missed := b.printed(t)
	require.Zero(t, missed)
	require.Contains(t, text, "| fan-out | µs CPU/delivery | 50.0 | – | – | ≤ 0.60 × Node |  |")
}

func TestOtherWork(t *testing.T) {
	r := &loadgen.Result{
		Connect: loadgen.Connect{Others: 5, Took: shortest / 2}, // too short to tell
		Phases:  []loadgen.PhaseResult{{Others: 0.1, Took: time.Second}, {Others: 0.4, Took: time.Second}, {Others: 0.2, Took: time.Second}},
	}
	require.Equal(t, 0.4, otherWork(r))
	r.Connect.Took = shortest
	require.Equal(t, 5.0, otherWork(r))
}

// TestFiguresFindTheirPhases fails if a figure names a phase that its scenario does not have.
func TestFiguresFindTheirPhases(t *testing.T) {
	for _, pace := range []pacing{fullPacing, quickPacing} {
		for _, s := range scenarios(pace) {
			r := &loadgen.Result{Connect: loadgen.Connect{Clients: s.spec.Clients, Took: time.Second, RSS: 1 << 20}}
			for _, p := range s.spec.Phases {
				r.Phases = append(r.Phases, loadgen.PhaseResult{
					Name: p.Name, Pushes: 1, Deliveries: 1, Took: time.Second, CPU: time.Second, P99: time.Second, RSSBefore: 1, RSSPeak: 1,
				})
			}
			require.NotEmpty(t, s.figures)
			for _, f := range s.figures {
				require.Positive(t, f.value.of(r), "%s: %s", s.name, f.name)
			}
		}
	}
}
