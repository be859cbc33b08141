package loadgen

import (
	"math/bits"
	"time"
)

// Each power of two of microseconds is split into histSteps, so a value is known to 1/histSteps of itself.
const (
	histBits  = 6
	histSteps = 1 << histBits
)

// histogram counts durations in logarithmic steps: 1 µs up to 64 µs, then within 1.6 %. The zero value is empty.
type histogram struct {
	counts [(40 - histBits) * histSteps]uint64 // up to 2^39 µs, six days
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.max = max(h.max, d)
	h.counts[min(histIndex(uint64(d/time.Microsecond)), len(h.counts)-1)]++
	h.total++
}

// quantile is the least duration, as exact as the steps are, that a share p (0 to 1) of the values does not exceed.
// It is 0 for an empty histogram and never more than the largest value.
func (h *histogram) quantile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(p*float64(h.total)+0.5), 1)
	var below uint64
	for i, n := range h.counts {
		below += n
		if below >= rank && i < len(h.counts)-1 { // the last step has no end
			return min(time.Duration(histUpper(i))*time.Microsecond, h.max)
		}
	}
	return h.max
}

// histIndex is the step of v microseconds: v itself below histSteps, then histSteps for each doubling.
func histIndex(v uint64) int {
	if v < histSteps {
		return int(v)
	}
	shift := bits.Len64(v) - histBits - 1
	return (shift+1)*histSteps + int(v>>shift) - histSteps
}

// histUpper is the end of step i, in microseconds.
func histUpper(i int) uint64 {
	if i < histSteps {
		return uint64(i) + 1
	}
	shift := i/histSteps - 1
	return (uint64(i%histSteps) + histSteps + 1) << shift
}
