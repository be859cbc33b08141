package procstat

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// tick is the unit of the CPU times in /proc: USER_HZ is 100 on every Linux architecture Go runs on.
const tick = time.Second / 100

// parseStatCPU gives user plus system time from the text of /proc/<pid>/stat. The command's name is in brackets and may
// itself hold blanks and brackets, so fields are counted from the last closing one.
func parseStatCPU(stat []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("stat: no command name")
	}
	fields := bytes.Fields(stat[end+1:])
	const utime, stime = 14 - 3, 15 - 3 // proc(5) numbers from 1; the first field after the name is its third
	if len(fields) <= stime {
		return 0, fmt.Errorf("stat: %d fields after the name", len(fields))
	}
	user, err := strconv.ParseInt(string(fields[utime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: utime: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[stime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: stime: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// parseBusy gives the machine's busy time, summed over its cores, from the text of /proc/stat. Time stolen by the
// hypervisor counts as busy: it was not there to be measured. Time spent for guests is already in user and nice.
func parseBusy(stat []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	const user, idle, iowait, steal = 1, 4, 5, 8
	if len(fields) <= steal || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat: unexpected first line %q", line)
	}
	var sum int64
	for i := user; i <= steal; i++ {
		if i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: field %d: %w", i, err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// parseStatmRSS gives the resident bytes from the text of /proc/<pid>/statm.
func parseStatmRSS(statm []byte, pageSize int) (int64, error) {
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm: unexpected text %q", statm)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("statm: resident: %w", err)
	}
	return pages * int64(pageSize), nil
}

// parseRollupRSS gives the resident bytes from the text of /proc/<pid>/smaps_rollup.
func parseRollupRSS(rollup []byte) (int64, error) {
	for line := range bytes.Lines(rollup) {
		value, ok := bytes.CutPrefix(line, []byte("Rss:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("smaps_rollup: unexpected line %q", line)
		}
		kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: Rss: %w", err)
		}
		return kb << 10, nil
	}
	return 0, errors.New("smaps_rollup: no Rss line")
}
