//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var (
	errUsage  = errors.New("wrong usage") // already told
	errFaults = errors.New("not every connect and delivery was as it must be")
	errMissed = errors.New("targets missed")
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

// start is the whole program but for the exit code.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 1 && args[0] == generate {
		debug.SetGCPercent(400) // memory is cheap here, pauses are not
		return runGenerator(os.Stdin, stdout)
	}
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{rounds: s.rounds, maxOther: s.maxOther, limit: s.limit, progress: stderr}
	if err := b.choose(s); err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return errUsage
	}
	if b.cores, err = pickCores(); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "downlink-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := b.prepare(ctx, s, tmp); err != nil {
		return err
	}
	if s.raw != "" {
		raw, err := os.Create(s.raw)
		if err != nil {
			return err
		}
		defer func() { _ = raw.Close() }()
		b.raw = raw
	}
	return b.runAndReport(ctx, s, stdout)
}

// runAndReport measures and prints the table, of what there is if measuring failed.
func (b *bench) runAndReport(ctx context.Context, s *settings, stdout io.Writer) error {
	failed := b.measure(ctx)
	if len(b.runs) == 0 {
		return failed
	}
	var table bytes.Buffer
	missed, err := b.write(&table, b.setting(ctx))
	if err != nil {
		return err
	}
	if s.out == "" {
		_, err = stdout.Write(table.Bytes())
	} else {
		err = os.WriteFile(s.out, table.Bytes(), 0o644)
	}
	b.say("took %v", time.Since(b.began).Round(time.Second))
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case !b.clean():
		return errFaults
	case s.strict && missed > 0:
		return fmt.Errorf("%d %w", missed, errMissed)
	}
	return nil
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
		_, _ = fmt.Fprint(stderr, "Usage: go run ./bench [flags]\n\nMeasures downlink beside Node's Socket.IO and prints a table of ratios.\n\nFlags:\n")
		f.PrintDefaults()
		_, _ = fmt.Fprint(stderr, "\nScenarios:\n")
		for _, sc := range scenarios(fullPacing) {
			_, _ = fmt.Fprintf(stderr, "  %-14s %s\n", sc.name, sc.about)
		}
		_, _ = fmt.Fprint(stderr, "\nExit codes: 0 measured, 1 a wrong delivery or a failure (with --strict also a missed target), 2 wrong usage.\n")
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

// prepare builds or installs the servers chosen and limits this process's open files to what the machine allows.
func (b *bench) prepare(ctx context.Context, s *settings, tmp string) error {
	if err := allowFiles(12_000); err != nil {
		return err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	for i, c := range b.contenders {
		switch c.name {
		case ours:
			binary := s.binary
			if binary == "" {
				b.say("building downlink")
				binary = filepath.Join(tmp, "downlink")
				if err := build(ctx, root, binary); err != nil {
					return err
				}
			}
			b.contenders[i] = downlink(binary, tmp)
		case theirs:
			dir := filepath.Join(root, "bench", "node")
			b.say("installing the Node peer")
			if err := installed(ctx, dir); err != nil {
				return err
			}
			node, err := exec.LookPath("node")
			if err != nil {
				return fmt.Errorf("the peer needs Node: %w", err)
			}
			b.contenders[i] = nodePeer(node, dir)
		}
	}
	return nil
}

// allowFiles raises the limit of open files, which children inherit, to at least n.
func allowFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Max < n {
		return fmt.Errorf("%d open files allowed, %d needed: raise the limit (ulimit -n)", limit.Max, n)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// moduleRoot is the directory of the go.mod this is run in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("run it inside the downlink module")
	}
	return filepath.Dir(mod), nil
}

// setting says in one sentence on what the figures were taken.
func (b *bench) setting(ctx context.Context) string {
	node := "no Node"
	if out, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
		node = "Node " + strings.TrimSpace(string(out))
	}
	var uts unix.Utsname
	kernel := "Linux"
	if unix.Uname(&uts) == nil {
		kernel += " " + unix.ByteSliceToString(uts.Release[:])
	}
	return fmt.Sprintf("%d cores of %s, %s, %s, %s with Socket.IO 4.8.4. Server on one core, load on another; %d B a push; "+
		"medians of %d rounds, ratio is downlink ÷ Node.", runtime.NumCPU(), processor(), kernel, runtime.Version(), node, pushSize, b.rounds)
}

// processor is the name the CPU gives itself.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
