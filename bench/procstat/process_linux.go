package procstat

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Process reads the use of one running process.
type Process struct {
	clock int32
	dir   string
}

// Open prepares reading the process pid.
func Open(pid int) Process {
	const schedClock = 2 // CPUCLOCK_SCHED: the scheduler's own count, in nanoseconds, for all threads dead and alive
	return Process{clock: int32(^pid<<3 | schedClock), dir: "/proc/" + strconv.Itoa(pid)}
}

// CPU is the CPU time all threads of the process have used since it began, ended ones included. Where the kernel does
// not lend out its clock the figure comes from /proc/<pid>/stat, in steps of 10 ms.
func (p Process) CPU() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(p.clock, &t); err == nil {
		return time.Duration(t.Nano()), nil
	}
	stat, err := os.ReadFile(p.dir + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return parseStatCPU(stat)
}

// RSS is the resident memory in bytes, exact: the kernel walks the page tables for it (milliseconds for a large
// process).
func (p Process) RSS() (int64, error) {
	rollup, err := os.ReadFile(p.dir + "/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return parseRollupRSS(rollup)
}

// RSSFast is the resident memory in bytes from the kernel's running count, which may be off by some pages per CPU and
// costs microseconds.
func (p Process) RSSFast() (int64, error) {
	statm, err := os.ReadFile(p.dir + "/statm")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return parseStatmRSS(statm, os.Getpagesize())
}

// Busy is the time all cores of the machine together have been busy since it started, time stolen by a hypervisor
// included, in steps of 10 ms.
func Busy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read machine load: %w", err)
	}
	return parseBusy(stat)
}
