//go:build unix && !linux

package engineio

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawIO tells whether readNow and writeNow work here.
const rawIO = true

// errAgain is what readNow returns when there is nothing to read.
const errAgain = syscall.EAGAIN

// readNow reads what is there.
func readNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), b)
		if err == nil || !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// writeNow writes what the socket takes: nothing, without an error, when it is full.
func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := unix.Write(int(fd), b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		case !errors.Is(err, unix.EINTR):
			return 0, err
		}
	}
}
