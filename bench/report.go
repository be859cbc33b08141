//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"downlink/bench/loadgen"
)

// The names of the two sides of a ratio.
const (
	ours   = "downlink"
	theirs = "node"
)

// row is one line of the table, ready to be printed.
type row struct {
	figure, unit       string
	ours, theirs       float64 // medians; NaN where not measured
	ratio, least, most float64 // median and range of the ratios of the rounds
	must               target
	disturbed          bool // no undisturbed round was to be had
}

// table makes the rows of the figures from all runs.
func (b *bench) table() []row {
	var rows []row
	for _, s := range b.scenarios {
		runs, disturbed := b.kept(s.name)
		if len(runs) == 0 {
			continue
		}
		for _, f := range s.figures {
			r := row{figure: f.name, unit: f.value.unit, must: f.must, disturbed: disturbed}
			var mine, others, ratios []float64
			for _, run := range runs {
				a, b := valueOf(f, run.results[ours]), valueOf(f, run.results[theirs])
				mine, others, ratios = append(mine, a), append(others, b), append(ratios, a/b)
			}
			r.ours, r.theirs, r.ratio = median(mine), median(others), median(ratios)
			r.least, r.most = slices.Min(ratios), slices.Max(ratios)
			rows = append(rows, r)
		}
	}
	return rows
}

// kept gives the runs of a scenario that count: the undisturbed ones, or all if there are none.
func (b *bench) kept(scenario string) (runs []run, disturbed bool) {
	var all []run
	for _, r := range b.runs {
		if r.scenario != scenario {
			continue
		}
		all = append(all, r)
		if r.disturbed == 0 {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return all, len(all) > 0
	}
	return runs, false
}

func valueOf(f figure, r *loadgen.Result) float64 {
	if r == nil {
		return math.NaN()
	}
	return f.value.of(r)
}

// median is the middle of the values, the mean of the two middle ones for an even number; NaN for none, or if one is.
func median(values []float64) float64 {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// tally sums up what was checked at one contender, in all runs, disturbed or not.
type tally struct {
	deliveries, connects int64
	faults               loadgen.Faults
	lostConnects         int64
}

func (b *bench) tally(name string) (t tally) {
	for _, run := range b.runs {
		r := run.results[name]
		if r == nil {
			continue
		}
		t.connects += int64(r.Connect.Clients)
		t.lostConnects += int64(r.Connect.Lost)
		for _, p := range r.Phases {
			t.deliveries += p.Deliveries
			t.faults.Add(p.Faults)
		}
	}
	return t
}

// clean says that every connect and every delivery at every contender was right.
func (b *bench) clean() bool {
	for _, c := range b.contenders {
		if t := b.tally(c.name); t.lostConnects+t.faults.Total() > 0 {
			return false
		}
	}
	return true
}

// write prints the table in Markdown and says how many targets were missed.
func (b *bench) write(w io.Writer, setting string) (missed int, err error) {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\n", setting)
	out.WriteString("| figure | unit | downlink | Node | ratio (range) | must be | |\n|---|---|---:|---:|---:|---|---|\n")
	missed += b.writeChecks(&out)
	rows := b.table()
	for _, r := range rows {
		verdict := ""
		if met, judged := r.judge(); judged {
			if verdict = "met"; !met {
				verdict = "**missed**"
				missed++
			}
		}
		mark := ""
		if r.disturbed {
			mark = " †"
		}
		fmt.Fprintf(&out, "| %s%s | %s | %s | %s | %s | %s | %s |\n", r.figure, mark, r.unit,
			number(r.ours), number(r.theirs), r.ratios(), r.must, verdict)
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r.disturbed }) {
		fmt.Fprintf(&out, "\n† other work took more than %.1f cores in every round: not to be relied on\n", b.maxOther)
	}
	_, err = io.WriteString(w, out.String())
	return missed, err
}

// writeChecks prints the rows of what must be zero.
func (b *bench) writeChecks(out *strings.Builder) (missed int) {
	mine, others := b.tally(ours), b.tally(theirs)
	check := func(figure string, bad, of, badOther, ofOther int64) {
		verdict := "met"
		if bad > 0 {
			verdict = "**missed**"
			missed++
		}
		if of == 0 {
			verdict = ""
		}
		fmt.Fprintf(out, "| %s | of all | %d of %d | %d of %d | | 0 | %s |\n", figure, bad, of, badOther, ofOther, verdict)
	}
	check("lost, doubled, misrouted, reordered or wrong deliveries", mine.faults.Total(), mine.deliveries,
		others.faults.Total(), others.deliveries)
	check("lost connects", mine.lostConnects, mine.connects, others.lostConnects, others.connects)
	return missed
}

// judge says whether the target was met, and whether there is one and it could be told.
func (r *row) judge() (met, judged bool) {
	judged = r.must.kind != noTarget && !math.IsNaN(r.ours) && (r.must.kind == ownBelow || !math.IsNaN(r.ratio))
	return judged && r.must.met(r.ours, r.ratio), judged
}

func (r *row) ratios() string {
	if math.IsNaN(r.ratio) {
		return "–"
	}
	return fmt.Sprintf("%s × (%s–%s)", number(r.ratio), number(r.least), number(r.most))
}

// String is how the table states a target.
func (t target) String() string {
	switch t.kind {
	case ratioBelow:
		return fmt.Sprintf("≤ %.2f × Node", t.bound)
	case ratioAbove:
		return fmt.Sprintf("≥ %.2f × Node", t.bound)
	case ownBelow:
		return fmt.Sprintf("downlink ≤ %.2f", t.bound)
	}
	return "–"
}

// number prints v with three digits that count, and no exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
