package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

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

// startPinned starts cmd on one core only. A child inherits the affinity of the thread that makes it, so the thread is
// moved there for the moment; a Go child then sees one core and sets its GOMAXPROCS to 1. The child is killed if this
// process dies.
func startPinned(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the cores allowed: %w", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &before); back != nil && err == nil {
		err = fmt.Errorf("unpin: %w", back)
	}
	return err
}

// tail keeps the last bytes written to it, for messages about a child that failed.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
