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
	"runtime/debug"
	"strings"
	"syscall"
	"time"
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
