package socketio

import (
	"context"
	"sync"

	"downlink/rooms"
	"downlink/server/socketio/bridge"
)

// Bounds of an inbox, in tasks. The client is read again when half of it is worked off.
const (
	inboxFull = 16
	inboxLow  = inboxFull / 2
)

// task is one login or leave, read and ready to be decided.
type task struct {
	leave bool
	login rooms.Login // Room alone for a leave
	err   error       // why it cannot be decided; everything else is unset but for ack
	ack   bridge.Ack
}

// inbox holds what a client has asked for, in order. It has a goroutine only while there is work.
type inbox struct {
	mu      sync.Mutex
	tasks   []task
	working context.CancelFunc // of the running goroutine, nil if none runs
	paused  bool
	closed  bool
}

// ask puts a task into the inbox. It must be called by an event's handler: if the inbox is now full, the client is not
// read any further until there is room, so that nothing is lost and the client's own sending slows down.
func (c *conn) ask(t task) {
	b := &c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.tasks = append(b.tasks, t)
	if len(b.tasks) >= inboxFull && !b.paused {
		b.paused = true
		c.session.Pause()
	}
	if b.working == nil {
		var ctx context.Context
		ctx, b.working = context.WithCancel(context.Background()) // until the connection closes
		c.g.busy.Add(1)
		go c.workOff(ctx)
	}
}

// workOff ends when the inbox is empty or closed.
func (c *conn) workOff(ctx context.Context) {
	defer c.g.busy.Done()
	for {
		t, ok := c.next()
		if !ok {
			return
		}
		c.do(ctx, t)
	}
}

func (c *conn) next() (t task, ok bool) {
	b := &c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.tasks) == 0 {
		b.working()
		b.working, b.tasks = nil, nil
		return task{}, false
	}
	t, b.tasks = b.tasks[0], b.tasks[1:]
	if b.paused && len(b.tasks) <= inboxLow {
		b.paused = false
		c.session.Resume()
	}
	return t, true
}

// close drops what waits and ends what is being worked on.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.tasks = true, nil
	if b.working != nil {
		b.working()
	}
}
