//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// settings are the command's flags.
type settings struct {
	rounds   int
	quick    bool
	only     string
	servers  string
	out      string
	raw      string
	binary   string
	maxOther float64
	limit    time.Duration
	strict   bool
}

// parse reads the flags; what is wrong with them is told on stderr.
func parse(args []string, stderr io.Writer) (*settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&s.rounds, "rounds", 3, "how often each scenario is done with each server, 1 to 20; with --quick 1")
	f.BoolVar(&s.quick, "quick", false, "one round with shorter phases, for a first look")
	f.StringVar(&s.only, "only", "", "scenarios to run, comma-separated (default all)")
	f.StringVar(&s.servers, "servers", "downlink,node", "servers to measure; ratios need both")
	f.StringVar(&s.out, "out", "", "write the table to this file instead of standard output")
	f.StringVar(&s.raw, "raw", "", "write every result to this file too, a line of JSON each")
	f.StringVar(&s.binary, "downlink", "", "measure this binary (default: built from this tree)")
	f.Float64Var(&s.maxOther, "max-other", 0.3, "cores other work may take before a round is done again")
	f.DurationVar(&s.limit, "limit", 12*time.Minute, "the most the rounds may take")
	f.BoolVar(&s.strict, "strict", false, "exit with 1 if a target is missed")
	f.Usage = func() {
		_, _ = fmt.Fprint(stderr, "Usage: go run ./bench [flags]\n\n"+
			"Measures downlink beside Node's Socket.IO and prints a table of ratios.\n\nFlags:\n")
		f.PrintDefaults()
		_, _ = fmt.Fprint(stderr, "\nScenarios:\n")
		for _, sc := range scenarios(fullPacing) {
			_, _ = fmt.Fprintf(stderr, "  %-14s %s\n", sc.name, sc.about)
		}
		_, _ = fmt.Fprint(stderr, "\nExit codes: 0 measured, 1 a wrong delivery or a failure "+
			"(with --strict also a missed target), 2 wrong usage.\n")
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	given := false
	f.Visit(func(fl *flag.Flag) { given = given || fl.Name == "rounds" })
	if s.quick && !given {
		s.rounds = 1
	}
	var wrong string
	switch {
	case f.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", f.Arg(0))
	case s.rounds < 1 || s.rounds > 20:
		wrong = fmt.Sprintf("--rounds %d: must be 1 to 20", s.rounds)
	case s.limit <= 0:
		wrong = fmt.Sprintf("--limit %v: must be above 0", s.limit)
	case !(s.maxOther >= 0):
		wrong = fmt.Sprintf("--max-other %v: must be 0 or more", s.maxOther)
	}
	if wrong != "" {
		_, _ = fmt.Fprintln(stderr, "bench:", wrong)
		return nil, errUsage
	}
	return &s, nil
}

// choose takes the scenarios and servers that were asked for.
func (b *bench) choose(s *settings) error {
	pace := fullPacing
	if s.quick {
		pace = quickPacing
	}
	all := scenarios(pace)
	b.scenarios = all
	if s.only != "" {
		b.scenarios = nil
		for name := range strings.SplitSeq(s.only, ",") {
			i := slices.IndexFunc(all, func(sc scenario) bool { return sc.name == name })
			if i < 0 {
				return fmt.Errorf("--only: no scenario %q", name)
			}
			b.scenarios = append(b.scenarios, all[i])
		}
	}
	for name := range strings.SplitSeq(s.servers, ",") {
		if name != ours && name != theirs {
			return fmt.Errorf("--servers: no server %q", name)
		}
		if slices.ContainsFunc(b.contenders, func(c contender) bool { return c.name == name }) {
			return fmt.Errorf("--servers: %s twice", name)
		}
		b.contenders = append(b.contenders, contender{name: name})
	}
	return nil
}
