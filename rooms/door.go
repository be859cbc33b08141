package rooms

import (
	"context"
	"time"

	"downlink/codes"
)

// Door is one way to receive: it turns a message into its wire form once and queues that for many connections.
// Doors are compared with ==, so a Door is a pointer.
type Door interface {
	// Fanout builds m's wire form for this door. It is called at most once per message, with no lock held.
	Fanout(m *Message) Fanout
}

// Fanout hands one message to connections of one door.
type Fanout interface {
	// Add queues the message for c. It never blocks: a part of the hub is locked meanwhile.
	Add(c Conn)
	// Flush starts the writing of all that was added. It may wait for slow writers; no lock is held.
	Flush()
}

// Conn is one connection as its door shows it to the hub.
type Conn interface {
	// ID is unique over all nodes and all time.
	ID() string
	// Door is the door the connection came in by.
	Door() Door
	// Tell queues a status and sees to it that it is written. It never blocks: a part of the hub is locked meanwhile.
	Tell(codes.Status)
	// Probe asks the client for a sign of life and reports whether one came after since. It waits until one comes,
	// the connection closes or ctx is done. Several probes of one connection share one question.
	Probe(ctx context.Context, since time.Time) bool
}
