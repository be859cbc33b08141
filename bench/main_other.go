//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: runs on Linux only: it needs epoll, CPU affinity and /proc")
	os.Exit(1)
}
