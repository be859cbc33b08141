package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// cores says which core the server has for itself and which the generator.
type cores struct {
	server, generator int
}

// pickCores takes two of the cores this process may run on.
func pickCores() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, fmt.Errorf("read the cores allowed: %w", err)
	}
	var found []int
	for core := 0; core < len(allowed)*64 && len(found) < 2; core++ {
		if allowed.IsSet(core) {
			found = append(found, core)
		}
	}
	if len(found) < 2 {
		return cores{}, fmt.Errorf("two cores are needed, one for the server and one for the load; %d allowed", len(found))
	}
	return cores{server: found[0], generator: found[1]}, nil
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
	return fmt.Sprintf("%d cores of %s, %s, %s, %s with Socket.IO 4.8.4. Server on one core, load on another; "+
		"%d B a push; medians over %d rounds; ratio: downlink ÷ Node.",
		runtime.NumCPU(), processor(), kernel, runtime.Version(), node, pushSize, b.rounds)
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
