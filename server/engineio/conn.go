package engineio

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is one WebSocket: the session's own, or one that tries to become it. Exactly one goroutine at a time reads from
// it: the one that called start, a worker of the poller, its own loop, or unpark. Only the session's writer or flusher
// writes to it once it is the session's own; before that only the reader does.
type conn struct {
	// Set once.
	srv *Server
	s   *Session
	nc  net.Conn
	raw syscall.RawConn // nil where bytes cannot go by the file descriptor (TLS in the process, some systems)
	fd  int32           // valid while not shut

	// The reader's.
	in      parser
	discard bool          // nothing more is understood; only the end is waited for
	slot    int32         // in the poller; 0: not there
	baton   atomic.Uint32 // passes what one reader did on to the next: the kernel's hand-over says nothing to Go

	// fdMu is held by the writer while it writes by the file descriptor, and by who closes that. RawConn would do the
	// same, for a tenth of what a delivery costs.
	fdMu sync.Mutex
	shut bool // guarded by fdMu: fd may be another connection's by now

	broken bool        // guarded by the session's mu: the reader has closed it
	timer  *time.Timer // guarded by the session's mu: ends an upgrade that does not come about
}

func newConn(srv *Server, s *Session, nc net.Conn) *conn {
	c := &conn{srv: srv, s: s, nc: nc}
	if sc, ok := nc.(syscall.Conn); ok && rawIO {
		if raw, err := sc.SyscallConn(); err == nil && raw.Control(func(fd uintptr) { c.fd = int32(fd) }) == nil {
			c.raw = raw
		}
	}
	return c
}

// start begins the reading with what came along with the handshake. The reader is a task of the server until gone.
func (c *conn) start(early []byte) {
	c.srv.tasks.add()
	if len(early) > 0 {
		switch c.received(early) {
		case readParked:
			return
		case readDone:
			c.gone()
			return
		}
	}
	c.read()
}

// polled tells whether the poller reads the connection.
func (c *conn) polled() bool { return c.srv.poll != nil && c.raw != nil }

// read starts the reading, or starts it again after a pause.
func (c *conn) read() {
	switch {
	case c.polled():
		c.srv.poll.watch(c)
	case c.raw != nil:
		go c.loop() // a task since start; a fresh goroutine has a small stack
	default:
		go c.loopPlain()
	}
}

// loop reads on a goroutine of its own. A buffer is only taken while there is something to read. It ends with the
// connection, or when the session is paused.
func (c *conn) loop() {
	var buf *[readSize]byte
	var n int
	var err error
	try := func(fd uintptr) bool {
		buf = readBuffers.Get().(*[readSize]byte)
		n, err = readNow(fd, buf[:])
		if errors.Is(err, errAgain) {
			readBuffers.Put(buf)
			buf = nil
			return false
		}
		return true
	}
	for {
		if e := c.raw.Read(try); e != nil {
			c.gone()
			return
		}
		next := readDone
		if n > 0 && err == nil {
			next = c.received(buf[:n])
		}
		readBuffers.Put(buf)
		buf = nil
		switch next {
		case readParked:
			return
		case readDone:
			c.gone()
			return
		}
	}
}

const (
	readSize  = 16 << 10
	plainSize = 4 << 10
)

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// loopPlain is loop for a connection without a file descriptor to ask: it has to hold a buffer while it waits.
func (c *conn) loopPlain() {
	buf := make([]byte, plainSize)
	for {
		n, err := c.nc.Read(buf)
		next := readMore
		if n > 0 {
			next = c.received(buf[:n])
		}
		if next == readParked {
			return
		}
		if err != nil || next == readDone {
			c.gone()
			return
		}
	}
}

// next is what a reader has to do.
type next uint8

const (
	readMore   next = iota
	readParked      // stop: unpark starts the reading again
	readDone        // the connection is to be closed
)

// received handles bytes from the peer. They may be changed.
func (c *conn) received(b []byte) next {
	if c.discard {
		return readMore
	}
	s := c.s
	s.hear()
	s.in.Lock()
	err := c.in.feed(b, c.srv.o.MaxPayload, c)
	own := c.own()
	parked := false
	if err == nil && own {
		parked, err = s.settle()
	}
	s.in.Unlock()
	switch {
	case err != nil && own:
		c.giveUp(err)
	case err != nil:
		c.reject(err)
		return readDone
	case parked:
		return readParked
	}
	return readMore
}

// own tells whether the connection is the session's.
func (c *conn) own() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.conn == c
}

// giveUp ends the session because of what came; from now on only the end of the connection is waited for.
func (c *conn) giveUp(err error) {
	c.discard = true
	c.in.rest = nil
	c.s.fail(err)
}

// reject tells the peer of an upgrade why it failed; the session goes on polling.
func (c *conn) reject(err error) {
	code := uint16(closeProtocol)
	var left *errClosed
	switch {
	case errors.As(err, &left):
		code = left.code
	case errors.Is(err, errUTF8):
		code = closeUTF8
	case errors.Is(err, errTooBig):
		code = closeTooBig
	}
	if !errors.Is(err, errFull) { // else in the middle of a frame
		_ = c.offer(closeFrame(code))
	}
}

// frame takes what the parser found.
func (c *conn) frame(op byte, p []byte) error {
	s := c.s
	if !c.own() {
		return c.probe(op, p)
	}
	switch op {
	case opText:
		return s.text(p)
	case opBinary:
		if s.eio == 3 {
			return binaryPacket3(p, s)
		}
		return s.binary(p)
	case opPing:
		s.Send(controlFrame(opPong, p))
	case opClose:
		code, err := checkClose(p)
		if err != nil {
			return err
		}
		return s.leave(&errClosed{code})
	}
	return nil
}

// write writes b, waiting at most Options.WriteTimeout. It is for handshakes.
func (c *conn) write(b []byte) error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.srv.o.WriteTimeout))
	_, err := c.nc.Write(b)
	_ = c.nc.SetWriteDeadline(time.Time{})
	return err
}

// errFull is an answer that the socket of an upgrading client did not take.
var errFull = errors.New("the client does not read")

// offer writes b, or as much as the socket takes at once. It is for upgrades that are not through: who answers them
// reads for other sessions too, and must not wait for a client that does not read.
func (c *conn) offer(b []byte) error {
	if c.raw == nil { // this reader has no other session
		return c.write(b)
	}
	n, err := c.writeNow(b)
	if err == nil && n < len(b) {
		return errFull
	}
	return err
}

// kill ends the connection from anywhere: its reader sees the end and closes it. Under the poller the file descriptor
// must not be closed here: it would leave the epoll set without an event, and the reader would never know.
func (c *conn) kill() {
	switch {
	case c.polled():
		shutdown(c.raw)
	case c.raw != nil:
		c.shutFD()
	default:
		go func() { _ = c.nc.Close() }() // TLS may wait up to 5 s to say goodbye
	}
}

// writeNow writes what the socket takes, without waiting; raw is not nil.
func (c *conn) writeNow(b []byte) (int, error) {
	c.fdMu.Lock()
	defer c.fdMu.Unlock()
	if c.shut {
		return 0, net.ErrClosed
	}
	return writeNow(uintptr(c.fd), b)
}

// shutFD closes the connection, once the writer is not at it.
func (c *conn) shutFD() {
	c.fdMu.Lock()
	defer c.fdMu.Unlock()
	c.shut = true
	_ = c.nc.Close()
}

// closeWrite tells the peer that nothing more comes; its answer ends the reader.
func (c *conn) closeWrite() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	c.kill()
}

// gone is called once, by the last reader: the connection is over.
func (c *conn) gone() {
	c.shutFD()
	c.in.rest = nil
	s := c.s
	s.mu.Lock()
	c.broken = true
	own := s.conn == c
	if s.up == c {
		s.up = nil
		s.flags &^= probed // a failed upgrade: polling goes on
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	s.mu.Unlock()
	if own {
		s.end(ending{ReasonClient, true, closeNormal})
		s.srv.forget(s)
	}
	c.srv.tasks.done()
}
