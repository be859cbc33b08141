package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is one epoll instance and its sockets. Everything happens on the goroutine that calls step.
type loop struct {
	epoll   int
	sockets []*socket // by file descriptor
	events  []unix.EpollEvent
	buf     []byte // what a read goes into, shared by all sockets
	began   time.Time
}

// owner is told what happens on a socket.
type owner interface {
	// connected says that the TCP connection is up.
	connected()
	// received is given all bytes that wait, and says how many of them it has dealt with; the rest comes again, with
	// more behind it. p is valid during the call only. An error closes the socket, and broken is called with it.
	received(p []byte, at time.Duration) (used int, err error)
	// broken says that the socket was closed, not by close. It is called once.
	broken(err error)
}

// socket is one TCP connection that never blocks.
type socket struct {
	loop    *loop
	owner   owner
	fd      int
	up      bool   // the connection stands
	closed  bool   // fd is closed
	waiting bool   // epoll is asked for room to write
	rest    []byte // read, not yet dealt with
	out     []byte // to be written
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	return &loop{
		epoll:  epoll,
		events: make([]unix.EpollEvent, 512),
		buf:    make([]byte, 256<<10),
		began:  time.Now(),
	}, nil
}

// now is the time since the loop began, from the monotonic clock.
func (l *loop) now() time.Duration { return time.Since(l.began) }

// dial begins a connection to an IPv4 address, from the given source address if that is valid.
func (l *loop) dial(to netip.AddrPort, from netip.Addr, o owner) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("create socket: %w", err)
	}
	s := &socket{loop: l, owner: o, fd: fd}
	if err := s.dial(to, from); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	for len(l.sockets) <= fd {
		l.sockets = append(l.sockets, make([]*socket, 1024)...)
	}
	l.sockets[fd] = s
	return s, nil
}

func (s *socket) dial(to netip.AddrPort, from netip.Addr) error {
	if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set no delay: %w", err)
	}
	// Closing sends a reset, so that tens of thousands of connections leave no TIME_WAIT behind to fill the ports.
	if err := unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("set linger: %w", err)
	}
	if from.IsValid() {
		// The port is chosen at connect, when the destination is known: a source port may then serve several.
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("defer source port: %w", err)
		}
		if err := unix.Bind(s.fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
			return fmt.Errorf("bind to %v: %w", from, err)
		}
	}
	err := unix.Connect(s.fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect to %v: %w", to, err)
	}
	s.waiting = true
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(s.fd)}
	if err := unix.EpollCtl(s.loop.epoll, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		return fmt.Errorf("add to epoll: %w", err)
	}
	return nil
}

// step waits at most wait for something to happen and deals with it. A wait below a millisecond does not sleep: epoll
// counts in milliseconds, and a push is to leave on time.
func (l *loop) step(wait time.Duration) error {
	n, err := unix.EpollWait(l.epoll, l.events, int(wait/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	for i := range max(n, 0) {
		ev := &l.events[i]
		if s := l.sockets[ev.Fd]; s != nil {
			s.handle(ev.Events)
		}
	}
	return nil
}

func (s *socket) handle(events uint32) {
	if !s.up {
		code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			s.fail(fmt.Errorf("connect: %w", err))
			return
		}
		s.up = true
		s.owner.connected()
		s.flush()
		return
	}
	if events&unix.EPOLLOUT != 0 {
		s.flush()
	}
	if events&^uint32(unix.EPOLLOUT) != 0 && !s.closed {
		s.read()
	}
}

// read takes what is there in one go. What does not fit the buffer makes epoll report the socket again.
func (s *socket) read() {
	l := s.loop
	old := copy(l.buf, s.rest)
	n, errno := readNow(s.fd, l.buf[old:])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		s.fail(fmt.Errorf("read: %w", errno))
		return
	case n == 0:
		s.fail(io.EOF)
		return
	}
	p := l.buf[:old+n]
	used, err := s.owner.received(p, l.now())
	if err != nil {
		s.fail(err)
		return
	}
	rest := p[used:]
	switch {
	case len(rest) == len(l.buf):
		s.fail(fmt.Errorf("more than %d bytes without an end", len(rest)))
	case len(rest) > 0 || len(s.rest) > 0:
		s.rest = append(s.rest[:0], rest...)
	}
}

// readNow is read(2) on a descriptor that does not block, without telling the Go scheduler: at a million reads a second
// that would be a good part of the generator's time.
func readNow(fd int, p []byte) (int, unix.Errno) {
	start := unsafe.Pointer(unsafe.SliceData(p))
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(start), uintptr(len(p)))
	return int(n), errno
}

// write sends p, or keeps what does not go out at once.
func (s *socket) write(p []byte) {
	if s.closed {
		return
	}
	s.out = append(s.out, p...)
	if s.up {
		s.flush()
	}
}

func (s *socket) flush() {
	for len(s.out) > 0 {
		n, err := unix.Write(s.fd, s.out)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			s.fail(fmt.Errorf("write: %w", err))
			return
		}
		s.out = s.out[:copy(s.out, s.out[n:])]
	}
	if wait := len(s.out) > 0; wait != s.waiting && !s.closed {
		s.waiting = wait
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.fd)}
		if wait {
			ev.Events |= unix.EPOLLOUT
		}
		if err := unix.EpollCtl(s.loop.epoll, unix.EPOLL_CTL_MOD, s.fd, &ev); err != nil {
			s.fail(fmt.Errorf("change epoll: %w", err))
		}
	}
}

// fail closes the socket and tells its owner why.
func (s *socket) fail(err error) {
	if !s.closed {
		s.close()
		s.owner.broken(err)
	}
}

// close closes the socket at once.
func (s *socket) close() {
	if !s.closed {
		s.closed = true
		s.loop.sockets[s.fd] = nil
		_ = unix.Close(s.fd)
		s.rest, s.out = nil, nil
	}
}

// close closes all sockets and the loop.
func (l *loop) close() {
	for _, s := range l.sockets {
		if s != nil {
			s.close()
		}
	}
	_ = unix.Close(l.epoll)
}
