//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"downlink/bench/loadgen"
)

// bench is one run of the benchmark.
type bench struct {
	contenders []contender
	scenarios  []scenario
	rounds     int
	maxOther   float64       // cores; more than this busy with something else disturbs a round
	limit      time.Duration // the most all rounds may take
	cores      cores
	self       string // this binary, which is the generator too
	progress   io.Writer
	raw        io.Writer // every result as a line of JSON, if not nil

	began time.Time
	runs  []run
}

// run is one scenario done by every contender in turn: the unit that is compared, and discarded if disturbed.
type run struct {
	scenario  string
	round     int
	results   map[string]*loadgen.Result // by contender
	disturbed float64                    // the most cores other work took, if that was too many; else 0
}

const (
	// retries is how often a disturbed run is done again.
	retries = 2
	// patience is how much longer than its phases a generator may take: connecting, draining, and a busy machine.
	patience = 60 * time.Second
	// stall is how long a server may be silent with deliveries owed. A busy machine can keep it from its core for long.
	stall = 10 * time.Second
	// shortest is how long a stretch must be for its share of other work to say anything: it is counted in steps of
	// 10 ms.
	shortest = 400 * time.Millisecond
)

var errLimit = errors.New("stopped at the --limit")

// measure does all rounds. What was measured before an error stays in b.runs.
func (b *bench) measure(ctx context.Context) error {
	b.began = time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, errLimit)
	defer cancel()
	left := b.rounds * len(b.scenarios)
	for round := range b.rounds {
		for _, s := range b.scenarios {
			left--
			for try := 0; ; try++ {
				r, err := b.compare(ctx, s, round)
				if errors.Is(context.Cause(ctx), errLimit) {
					return fmt.Errorf("round %d, %s: %w of %v", round+1, s.name, errLimit, b.limit)
				}
				if err != nil {
					return fmt.Errorf("round %d, %s: %w", round+1, s.name, err)
				}
				b.runs = append(b.runs, r)
				if r.disturbed == 0 {
					break
				}
				if try == retries || !b.timeFor(left+1) {
					b.say("  disturbed by %.2f cores of other work, and not done again", r.disturbed)
					break
				}
				b.say("  disturbed by %.2f cores of other work: done again", r.disturbed)
			}
		}
	}
	return nil
}

// timeFor says whether n more runs fit the time, at the pace so far.
func (b *bench) timeFor(n int) bool {
	spent := time.Since(b.began)
	return spent+spent/time.Duration(len(b.runs))*time.Duration(n) < b.limit
}

// compare does one scenario with every contender. Who begins changes from round to round.
func (b *bench) compare(ctx context.Context, s scenario, round int) (run, error) {
	r := run{scenario: s.name, round: round, results: map[string]*loadgen.Result{}}
	for i := range b.contenders {
		c := b.contenders[(i+round)%len(b.contenders)]
		result, err := b.load(ctx, s, c)
		if err != nil {
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
		r.results[c.name] = result
		if other := otherWork(result); other > b.maxOther {
			r.disturbed = max(r.disturbed, other)
		}
		b.report(s, c, round, result)
	}
	return r, nil
}

// otherWork is the most cores that something else kept busy in any stretch long enough to tell.
func otherWork(r *loadgen.Result) float64 {
	var most float64
	if r.Connect.Took >= shortest {
		most = r.Connect.Others
	}
	for _, p := range r.Phases {
		if p.Took >= shortest {
			most = max(most, p.Others)
		}
	}
	return most
}

// load starts a contender, lets the generator do the scenario's work on it, and stops it.
func (b *bench) load(ctx context.Context, s scenario, c contender) (*loadgen.Result, error) {
	server, err := c.start(ctx, b.cores.server)
	if err != nil {
		return nil, err
	}
	defer server.stop()

	spec := s.spec
	spec.Server = server.Server
	spec.Limit, spec.Stall = patience+spec.Settle, stall
	for _, p := range spec.Phases {
		spec.Limit += p.Warmup + p.Duration
	}
	// The generator ends by itself at its limit; the context is for one that hangs.
	ctx, cancel := context.WithTimeout(ctx, spec.Limit+5*time.Second)
	defer cancel()
	input, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.self, generate)
	var output bytes.Buffer
	var complaint tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, &complaint
	if err := startPinned(cmd, b.cores.generator); err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("generator: %w: %s", err, &complaint)
	}
	var result loadgen.Result
	if err := json.Unmarshal(output.Bytes(), &result); err != nil {
		return nil, fmt.Errorf("read the generator's result: %w", err)
	}
	return &result, nil
}

// generate is the argument that makes this program the generator.
const generate = "generate"

// runGenerator reads a spec from in, puts on its load, and writes the result to out.
func runGenerator(in io.Reader, out io.Writer) error {
	var spec loadgen.Spec
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	// Whatever hangs, this process ends.
	end := time.AfterFunc(spec.Limit+3*time.Second, func() {
		fmt.Fprintln(os.Stderr, "past its time limit")
		os.Exit(1)
	})
	defer end.Stop()
	result, err := loadgen.Run(&spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// report tells on the progress writer what a server did, and keeps the raw result if asked to.
func (b *bench) report(s scenario, c contender, round int, r *loadgen.Result) {
	took := r.Connect.Took.Seconds()
	b.say("round %d/%d  %-13s %-8s  %d connected, %.0f/s, %.2f of the core (generator %.2f), %.1f KB each%s",
		round+1, b.rounds, s.name, c.name, r.Connect.Clients-r.Connect.Lost, connectRate.of(r),
		r.Connect.CPU.Seconds()/took, r.Connect.Generator.Seconds()/took, memoryPerConnection.of(r),
		noise(r.Connect.Others, r.Connect.Took))
	if r.Connect.Lost > 0 {
		b.say("  LOST CONNECTS: %d %v", r.Connect.Lost, r.Connect.Complaints)
	}
	for _, p := range r.Phases {
		took := p.Took.Seconds()
		b.say("  %-14s %9d deliveries of %7d pushes in %5.2fs, %.2f of the core (generator %.2f), "+
			"p50 %.2f p99 %.2f ms, RSS %d→%d MB%s", p.Name, p.Deliveries, p.Pushes, took, p.CPU.Seconds()/took,
			p.Generator.Seconds()/took, micros(p.P50)/1000, micros(p.P99)/1000, p.RSSBefore>>20, p.RSSPeak>>20,
			noise(p.Others, p.Took))
		if p.Faults.Total() > 0 {
			b.say("  FAULTS: %v %v", p.Faults, p.Complaints)
		}
	}
	if b.raw != nil {
		line := struct {
			Scenario, Server string
			Round            int
			Result           *loadgen.Result
		}{s.name, c.name, round, r}
		if err := json.NewEncoder(b.raw).Encode(line); err != nil {
			b.say("  write raw result: %v", err)
		}
	}
}

// noise is what a progress line says about other work; nothing where there is none to speak of.
func noise(others float64, took time.Duration) string {
	if others < 0.1 || took < shortest {
		return ""
	}
	return fmt.Sprintf(", %.2f cores of other work", others)
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}
