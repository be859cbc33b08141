// Package procstat reads what a process on this Linux machine has used: CPU time to the nanosecond, memory, and the
// busy time of the machine as a whole, so that a measurement can tell its own load from everybody else's.
//
// Sources: proc(5) for stat, statm and smaps_rollup; clock_getcpuclockid(3) for the CPU clock of another process.
package procstat
