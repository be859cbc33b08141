//go:build !unix

package engineio

// cpuTime is not known here.
func cpuTime() int64 { return 0 }
