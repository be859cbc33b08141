package roomstest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"downlink/codes"
	"downlink/rooms"
)

// Door is a rooms.Door whose connections write down what they get.
type Door struct {
	built   atomic.Int64
	flushed atomic.Int64
}

// Built says for how many messages a wire form was asked for.
func (d *Door) Built() int { return int(d.built.Load()) }

// Flushed says how many of them were flushed.
func (d *Door) Flushed() int { return int(d.flushed.Load()) }

// Fanout implements rooms.Door.
func (d *Door) Fanout(m *rooms.Message) rooms.Fanout {
	d.built.Add(1)
	return &fanout{d, m}
}

type fanout struct {
	d *Door
	m *rooms.Message
}

func (f *fanout) Add(c rooms.Conn) { c.(*Conn).note(Got{Message: f.m}) }
func (f *fanout) Flush()           { f.d.flushed.Add(1) }

// Got is one thing that a connection was sent: a status or a message.
type Got struct {
	Status  codes.Status
	Message *rooms.Message // nil for a status
}

// Conn is a rooms.Conn that writes down what it gets. Its client answers probes at once until Freeze or Close.
type Conn struct {
	id     string
	door   *Door
	probes atomic.Int64
	closed chan struct{}

	mu     sync.Mutex
	frozen bool
	got    []Got
}

// NewConn returns a connection that came in by d.
func (d *Door) NewConn(id string) *Conn {
	return &Conn{id: id, door: d, closed: make(chan struct{})}
}

// ID implements rooms.Conn.
func (c *Conn) ID() string { return c.id }

// Door implements rooms.Conn.
func (c *Conn) Door() rooms.Door { return c.door }

// Tell implements rooms.Conn.
func (c *Conn) Tell(s codes.Status) { c.note(Got{Status: s}) }

// Probe implements rooms.Conn.
func (c *Conn) Probe(ctx context.Context, _ time.Time) bool {
	c.probes.Add(1)
	c.mu.Lock()
	frozen := c.frozen
	c.mu.Unlock()
	if !frozen {
		select {
		case <-c.closed:
			return false
		default:
			return true
		}
	}
	select {
	case <-c.closed:
	case <-ctx.Done():
	}
	return false
}

// Freeze has the client answer no probe any more.
func (c *Conn) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

// Close ends all probes, as the closing of a real connection does; it is not told to the hub. Call it once.
func (c *Conn) Close() { close(c.closed) }

// Probes says how often the client was asked for a sign of life.
func (c *Conn) Probes() int { return int(c.probes.Load()) }

func (c *Conn) note(g Got) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, g)
}

// Got returns all that was sent so far, in order.
func (c *Conn) Got() []Got {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[:len(c.got):len(c.got)]
}

// Statuses returns the codes of the statuses sent so far, in order.
func (c *Conn) Statuses() (codes []string) {
	for _, g := range c.Got() {
		if g.Message == nil {
			codes = append(codes, g.Status.Code)
		}
	}
	return codes
}

// Seqs returns the numbers of the messages sent so far, in order.
func (c *Conn) Seqs() (seqs []uint64) {
	for _, g := range c.Got() {
		if g.Message != nil {
			seqs = append(seqs, g.Message.Seq)
		}
	}
	return seqs
}
