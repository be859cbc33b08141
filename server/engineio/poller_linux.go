package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller reads all WebSockets of a server with one epoll instance, one goroutine that waits and a few that read: an
// idle connection costs no goroutine. The epoll descriptor itself waits in Go's own poller, so no thread is spent on
// it and closing it ends the wait.
//
// A connection is armed for one event at a time (EPOLLONESHOT): whoever got it owns the connection's reading until it
// arms it again, so messages stay in order.
type poller struct {
	ep   *os.File
	fd   int
	wait syscall.RawConn
	work chan *conn
	wg   sync.WaitGroup // run and the readers; they end with close

	mu     sync.Mutex
	conns  []*conn // by slot, which is what an event carries
	free   []int32
	spare  int // readers above the fixed number
	closed bool
}

const (
	// readersPerCore are the readers that always live. They do not only read: handlers run on them.
	readersPerCore = 4
	// spareReaders is how many more may come while the others are all held up in handlers.
	spareReaders = 64
)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // os.NewFile then hands it to Go's poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make epoll instance non-blocking: %w", err)
	}
	p := &poller{ep: os.NewFile(uintptr(fd), "epoll"), fd: fd, work: make(chan *conn, 256)}
	if p.wait, err = p.ep.SyscallConn(); err != nil {
		_ = p.ep.Close()
		return nil, fmt.Errorf("use epoll instance: %w", err)
	}
	for range readersPerCore * runtime.GOMAXPROCS(0) {
		p.wg.Go(func() {
			r := newReader(p)
			for c := range p.work {
				r.serve(c)
			}
		})
	}
	p.wg.Go(p.run)
	return p, nil
}

// watch arms c: for the first time, or again.
func (p *poller) watch(c *conn) {
	var err error
	c.baton.Add(1)
	if c.slot == 0 {
		err = p.enter(c)
	} else {
		err = p.control(c, unix.EPOLL_CTL_MOD)
	}
	if err != nil {
		p.drop(c)
	}
}

// enter puts c into the epoll set.
func (p *poller) enter(c *conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		c.slot, p.free = p.free[n-1], p.free[:n-1]
		p.conns[c.slot-1] = c
	} else {
		p.conns = append(p.conns, c)
		c.slot = int32(len(p.conns))
	}
	if p.closed {
		return os.ErrClosed
	}
	return p.control(c, unix.EPOLL_CTL_ADD)
}

// control changes the epoll set. It uses the bare descriptors: c's is only ever closed by its reader, which is the
// caller, and the epoll instance's after all readers.
func (p *poller) control(c *conn, op int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: c.slot}
	return unix.EpollCtl(p.fd, op, int(c.fd), &ev)
}

// drop forgets c, whose reading is over.
func (p *poller) drop(c *conn) {
	p.mu.Lock()
	p.conns[c.slot-1] = nil
	p.free = append(p.free, c.slot)
	p.mu.Unlock()
	c.gone()
}

// run hands out connections that have something to read, until close.
func (p *poller) run() {
	defer close(p.work)
	events := make([]unix.EpollEvent, 256)
	ready := make([]*conn, 0, len(events))
	var n int
	var err error
	collect := func(ep uintptr) bool {
		for {
			n, err = unix.EpollWait(int(ep), events, 0)
			if !errors.Is(err, unix.EINTR) {
				return n != 0 // none: Go's poller waits for us
			}
		}
	}
	for {
		if e := p.wait.Read(collect); e != nil {
			return // closed
		}
		if err != nil {
			slog.Error("epoll wait failed", "err", err) // only ever for a descriptor that is none
			return
		}
		p.mu.Lock()
		for _, ev := range events[:n] {
			ready = append(ready, p.conns[ev.Fd-1])
		}
		p.mu.Unlock()
		for i, c := range ready {
			ready[i] = nil
			p.hand(c)
		}
		ready = ready[:0]
	}
}

// hand gives c to a reader; to a new one when all are held up.
func (p *poller) hand(c *conn) {
	select {
	case p.work <- c:
		return
	default:
	}
	p.mu.Lock()
	more := p.spare < spareReaders
	if more {
		p.spare++
	}
	p.mu.Unlock()
	if !more {
		p.work <- c
		return
	}
	p.wg.Go(func() { // ends when there is no work left over
		r := newReader(p)
		for ok := true; ok && c != nil; {
			r.serve(c)
			select {
			case c, ok = <-p.work:
			default:
				ok = false
			}
		}
		p.mu.Lock()
		p.spare--
		p.mu.Unlock()
	})
}

// close ends the goroutines. All connections must be gone.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ep.Close()
	p.wg.Wait()
}

// reader is one goroutine's buffer.
type reader struct {
	p   *poller
	buf []byte
}

func newReader(p *poller) *reader { return &reader{p, make([]byte, readSize)} }

// serve reads once from c and handles what came.
func (r *reader) serve(c *conn) {
	c.baton.Load()
	n, err := readNow(uintptr(c.fd), r.buf)
	next := readMore
	switch {
	case errors.Is(err, errAgain):
	case err != nil || n == 0:
		next = readDone
	default:
		next = c.received(r.buf[:n])
	}
	switch next {
	case readMore:
		r.p.watch(c)
	case readDone:
		r.p.drop(c)
	}
}
