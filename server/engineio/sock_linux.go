package engineio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawIO tells whether readNow and writeNow work here.
const rawIO = true

// errAgain is what readNow returns when there is nothing to read.
const errAgain = syscall.EAGAIN

// readNow reads what is there. The descriptor does not block, so the scheduler need not be told: that halves the call.
func readNow(fd uintptr, b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch e {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}

// writeNow writes what the socket takes: nothing, without an error, when it is full.
func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch e {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, e
		}
	}
}

// shutdown ends both directions of a connection; its reader sees that.
func shutdown(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
