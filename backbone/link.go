package backbone

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The subscriptions of a link.
const (
	ackSub  = "1"
	liveSub = "2"
)

const (
	linkBuffer  = 64 << 10         // read at once
	keepBuffer  = 1 << 20          // the largest write buffer kept for later
	linkTimeout = 5 * time.Second  // for connecting
	maxSlots    = 16 * maxInFlight // of one link; so many are needed only if the server answers nothing
	writeRounds = 8                // how often one publisher writes what others queued meanwhile
)

var (
	errLinkLost  = errors.New("connection to the NATS server lost")
	errNoAnswers = errors.New("too many messages were never acknowledged")
)

// link is a connection to the NATS server in this process that does nothing but the path of a push: publish, receive
// acknowledgements, receive what is republished. It speaks NATS' client protocol itself, because the client library
// costs about as much per push as all the rest on this side: it decodes the headers of each message into a map and
// hands each message and each flush to another goroutine. Everything else goes through the library.
//
// A link that broke stays broken; see Backbone.keepLink.
type link struct {
	conn  net.Conn
	inbox string        // prefix of this link's acknowledgement subjects, different for each link
	live  func(live)    // set once; called by the reader for each republished message; must not block
	dead  chan struct{} // closed when the link broke
	ended chan struct{} // closed when the reader ended, after dead

	mu      sync.Mutex
	out     []byte // to be written
	spare   []byte
	writing bool // a goroutine is writing, and will write what is added to out
	cause   error

	slots atomic.Pointer[[]*slot] // by number; replaced under mu when one is added
}

// live is a republished message. Its parts share one buffer that belongs to the receiver.
type live struct {
	token  []byte // subject after live.
	header []byte
	data   []byte
}

// dialLink connects over conn, subscribes, and starts the reader, which ends when the connection does. n makes the
// link's inbox different from those of links before it.
func dialLink(conn net.Conn, n uint64, deliver func(live)) (*link, error) {
	l := &link{
		conn:  conn,
		inbox: "ack." + strconv.FormatUint(n, 36) + ".",
		live:  deliver,
		dead:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	l.slots.Store(new([]*slot))
	r := bufio.NewReaderSize(conn, linkBuffer)
	if err := l.greet(r); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to the NATS server: %w", err)
	}
	go l.read(r)
	return l, nil
}

// greet shakes hands and waits until the server has taken the subscriptions.
func (l *link) greet(r *bufio.Reader) error {
	if err := l.conn.SetDeadline(time.Now().Add(linkTimeout)); err != nil {
		return err
	}
	if _, err := r.ReadSlice('\n'); err != nil { // INFO
		return err
	}
	_, err := fmt.Fprintf(l.conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,"+
		"\"no_responders\":true,\"protocol\":1,\"lang\":\"go\",\"version\":\"1\",\"name\":\"downlink pushes\"}\r\n"+
		"SUB %s* %s\r\nSUB %s> %s\r\nPING\r\n", l.inbox, ackSub, livePrefix, liveSub)
	if err != nil {
		return err
	}
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(line, []byte("-ERR")):
			return errors.New(string(bytes.TrimSpace(line)))
		case bytes.HasPrefix(line, []byte("PONG")):
			return l.conn.SetDeadline(time.Time{})
		}
	}
}

// newSlot makes a slot. A slot whose acknowledgement never came is lost, since it may come yet. When there are maxSlots
// the link fails, and the next one begins with none.
func (l *link) newSlot() *slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := *l.slots.Load()
	if len(old) == maxSlots {
		l.fail(errNoAnswers)
		return &slot{link: l}
	}
	s := &slot{link: l, subject: l.inbox + strconv.Itoa(len(old)), acks: make(chan ack, 1)}
	grown := append(old[:len(old):len(old)], s)
	l.slots.Store(&grown)
	return s
}

// publish sends data to subject, with one header if name is not empty, and has the acknowledgement sent to reply. It
// keeps nothing of data. It returns an error only if nothing was sent.
func (l *link) publish(subject, reply, name, value string, data []byte) error {
	l.mu.Lock()
	if l.cause != nil {
		defer l.mu.Unlock()
		return l.cause
	}
	b := l.out
	if name == "" {
		b = append(b, "PUB "...)
	} else {
		b = append(b, "HPUB "...)
	}
	b = append(append(b, subject...), ' ')
	b = append(append(b, reply...), ' ')
	size := len(data)
	if name != "" {
		header := len("NATS/1.0\r\n: \r\n\r\n") + len(name) + len(value)
		b = append(strconv.AppendInt(b, int64(header), 10), ' ')
		size += header
	}
	b = append(strconv.AppendInt(b, int64(size), 10), "\r\n"...)
	if name != "" {
		b = append(append(b, "NATS/1.0\r\n"...), name...)
		b = append(append(b, ": "...), value...)
		b = append(b, "\r\n\r\n"...)
	}
	b = append(b, data...)
	l.out = append(b, "\r\n"...)
	l.flush()
	return nil
}

// flush writes what is queued, or leaves it to the goroutine that is writing already. l.mu is held and is unlocked.
func (l *link) flush() {
	if l.writing {
		l.mu.Unlock()
		return
	}
	l.writing = true
	l.mu.Unlock()
	runtime.Gosched() // publishers that are about to run add theirs to the same write
	l.writeOut(writeRounds)
}

// writeOut writes until nothing is queued. After some rounds another goroutine goes on, because a publisher has
// to look after its own acknowledgement.
func (l *link) writeOut(rounds int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := 0; len(l.out) > 0 && l.cause == nil; n++ {
		if n == rounds {
			go l.writeOut(-1) // ends when nothing is queued or the link is dead
			return
		}
		b := l.out
		l.out, l.spare = l.spare[:0], nil
		l.mu.Unlock()
		_, err := l.conn.Write(b)
		l.mu.Lock()
		if cap(b) <= keepBuffer {
			l.spare = b
		}
		if err != nil {
			l.fail(err)
		}
	}
	l.writing = false
}

// fail ends the link. l.mu is held.
func (l *link) fail(err error) {
	if l.cause != nil {
		return
	}
	l.cause = fmt.Errorf("%w: %w", errLinkLost, err)
	_ = l.conn.Close() // ends the reader
	close(l.dead)
}

// close ends the link. Its reader ends soon.
func (l *link) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(err)
}

// read handles what the server sends. It ends with the connection.
func (l *link) read(r *bufio.Reader) {
	defer close(l.ended)
	for {
		if err := l.readOne(r); err != nil {
			l.close(err)
			return
		}
	}
}

func (l *link) readOne(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	switch {
	case bytes.HasPrefix(line, []byte("MSG ")):
		return l.message(r, line[4:], false)
	case bytes.HasPrefix(line, []byte("HMSG ")):
		return l.message(r, line[5:], true)
	case bytes.Equal(line, []byte("PING")):
		// Not by the reader: the server may be waiting for it to read.
		go func() { // ends with the write
			l.mu.Lock()
			l.out = append(l.out, "PONG\r\n"...)
			l.flush()
		}()
		return nil
	case bytes.HasPrefix(line, []byte("-ERR")):
		return errors.New(string(line))
	default: // INFO, PONG
		return nil
	}
}

// message handles a message whose control line had args: subject, subscription, header size if it has one, size.
// Nothing that arrives here carries a reply subject.
func (l *link) message(r *bufio.Reader, args []byte, hasHeader bool) error {
	subject, args, _ := bytes.Cut(args, []byte{' '})
	sub, args, _ := bytes.Cut(args, []byte{' '})
	header := 0
	ok := true
	if hasHeader {
		var n []byte
		n, args, _ = bytes.Cut(args, []byte{' '})
		header, ok = parseSize(n)
	}
	size, ok2 := parseSize(args)
	if !ok || !ok2 || header > size {
		return fmt.Errorf("control line not understood: %q %q %q", subject, sub, args)
	}
	if string(sub) == liveSub {
		return l.readLive(r, subject, header, size)
	}
	return l.readAck(r, subject, header, size)
}

func (l *link) readLive(r *bufio.Reader, subject []byte, header, size int) error {
	token := subject[min(len(livePrefix), len(subject)):]
	b := make([]byte, len(token)+size)
	n := copy(b, token) // before reading on, which moves what token points to
	if _, err := io.ReadFull(r, b[n:]); err != nil {
		return err
	}
	if _, err := r.Discard(2); err != nil {
		return err
	}
	l.live(live{token: b[:n:n], header: b[n : n+header : n+header], data: b[n+header:]})
	return nil
}

func (l *link) readAck(r *bufio.Reader, subject []byte, header, size int) error {
	n, ok := parseSize(subject[min(len(l.inbox), len(subject)):])
	slots := *l.slots.Load()
	if !ok || n >= len(slots) {
		return fmt.Errorf("acknowledgement to unknown subject %q", subject)
	}
	if size+2 > r.Size() {
		return fmt.Errorf("acknowledgement of %d bytes", size)
	}
	b, err := r.Peek(size + 2)
	if err != nil {
		return err
	}
	a := parseAck(b[:header], b[header:size])
	select {
	case slots[n].acks <- a:
	default: // a second one for the same message; there is none
	}
	_, err = r.Discard(size + 2)
	return err
}
