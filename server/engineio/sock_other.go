//go:build !unix

package engineio

import (
	"errors"
	"net"
)

// rawIO tells whether readNow and writeNow work here: connections are only used through net.Conn.
const rawIO = false

var errAgain = errors.New("nothing to read")

func readNow(uintptr, []byte) (int, error) { return 0, net.ErrClosed }

func writeNow(uintptr, []byte) (int, error) { return 0, net.ErrClosed }
