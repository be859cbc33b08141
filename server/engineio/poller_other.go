//go:build !linux

package engineio

import "syscall"

// poller is Linux' own; elsewhere each connection has a goroutine that reads.
type poller struct{}

func newPoller() (*poller, error) { return nil, nil }

func (*poller) watch(*conn) {}

func (*poller) close() {}

func shutdown(syscall.RawConn) {}
