package backbone

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"downlink/rooms"
)

// Backbone stores pushes and claims. It implements rooms.Journal and rooms.Claims. All methods may be called by
// several goroutines at the same time.
type Backbone struct {
	opts     Options
	log      *slog.Logger
	lock     *os.File
	server   *server.Server
	nc       *nats.Conn // for everything but the path of a push
	present  atomic.Pointer[link]
	links    atomic.Uint64  // links ever made
	keeping  sync.WaitGroup // keepLink
	hist     *store
	held     *store // claims
	replays  chan struct{}
	checking chan struct{} // of 1: held by the running check
	health   health        // guarded by checking

	done chan struct{} // closed when closing

	repaired atomic.Uint64 // gaps filled from the stream

	mu        sync.Mutex
	closed    bool
	followers map[*follower]struct{}
	running   sync.WaitGroup // followers; added to under mu while not closed
}

// Open locks o.Dir, starts NATS in this process and opens the streams. The error is ErrLocked if another Backbone
// has the directory. What was stored stays, however the settings changed, as far as the new limits allow.
func Open(ctx context.Context, o Options) (_ *Backbone, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, fmt.Errorf("open backbone: %w", err)
	}
	b := &Backbone{
		opts:      o,
		log:       o.Log,
		replays:   make(chan struct{}, maxReplays),
		checking:  make(chan struct{}, 1),
		done:      make(chan struct{}),
		followers: make(map[*follower]struct{}),
	}
	defer func() {
		if err != nil {
			b.release()
			err = fmt.Errorf("open backbone: %w", err)
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if b.lock, err = lockDir(o.Dir, o.NodeName); err != nil {
		return nil, err
	}
	history, err := historyBytes(o.MaxBytes, o.Dir, o.Log)
	if err != nil {
		return nil, err
	}
	if b.server, err = startServer(&o); err != nil {
		return nil, err
	}
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := b.openStreams(ctx, history); err != nil {
		return nil, err
	}
	// What is on its way takes a part of the history, so that a small one is not full of it.
	b.hist = newStore(newWindow(pushWindow(o.HistoryMax), min(maxUndelivered, history/4)), b.link)
	b.held = newStore(newWindow(maxInFlight, maxUndelivered), b.link)
	first, err := b.dial()
	if err != nil {
		return nil, err
	}
	b.present.Store(first)
	b.keeping.Add(1)
	go b.keepLink(first)
	return b, nil
}

// Journal returns b as what stores pushes.
func (b *Backbone) Journal() rooms.Journal { return b }

// Claims returns b as what keeps who holds which room.
func (b *Backbone) Claims() rooms.Claims { return b }

// How long to wait before connecting again when that failed.
const (
	firstRedial   = 10 * time.Millisecond
	slowestRedial = 5 * time.Second
)

// settleTime is how long the server gets to store what it has read of a link that broke; a mark comes after all of it.
const settleTime = 50 * time.Millisecond

// markTimeout bounds the wait for the first acknowledgement over a new link.
const markTimeout = 2 * time.Second

// maxWindow is the most messages that publishers may be ahead of a follower.
const maxWindow = 4096

// pushWindow is how many messages may be on their way to a follower. One address may have them all, so they are
// fewer than are kept per address.
func pushWindow(historyMax int) int { return max(1, min(historyMax-1, maxWindow)) }

func (b *Backbone) connect() error {
	nc, err := nats.Connect("", nats.InProcessServer(b.server),
		nats.Name("downlink"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond),
		nats.ReconnectBufSize(-1), // else a request waits in vain while there is no server
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("nats: " + err.Error()) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !b.isClosed() {
				b.log.Warn("connection to the NATS server lost", "error", err)
			}
		}),
	)
	if err != nil {
		return fmt.Errorf("connect to the NATS server: %w", err)
	}
	b.nc = nc
	return nil
}

// link is the present link, which may be broken, or ErrClosed.
func (b *Backbone) link() (*link, error) {
	if b.isClosed() {
		return nil, ErrClosed
	}
	return b.present.Load(), nil
}

func (b *Backbone) dial() (*link, error) {
	conn, err := b.server.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect to the NATS server: %w", err)
	}
	return dialLink(conn, b.links.Add(1), b.receive)
}

// keepLink replaces the link when it broke, which it does only when the server cut it off. It ends when b closes.
func (b *Backbone) keepLink(l *link) {
	defer b.keeping.Done()
	wait := firstRedial
	for {
		select {
		case <-l.dead:
			<-l.ended
		case <-b.done:
			l.close(ErrClosed)
			<-l.ended
			return
		}
		select {
		case <-time.After(settleTime):
		case <-b.done:
			return
		}
		next, err := b.dial()
		if err != nil {
			b.log.Warn("pushes are not stored: no connection to the NATS server", "lost", l.cause, "error", err)
			select {
			case <-time.After(wait):
			case <-b.done:
				return
			}
			wait = min(2*wait, slowestRedial)
			continue
		}
		b.log.Warn("connected to the NATS server again", "lost", l.cause)
		b.mark(next)
		b.present.Store(next)
		l, wait = next, firstRedial
		b.doubtAll()
	}
}

// mark stores a probe over l, before anything else, and has publishers wait until the followers have passed it. What
// the link before l left unanswered may be stored without being counted in the window: more of it would be trimmed
// before it was delivered.
func (b *Backbone) mark(l *link) {
	s := l.newSlot()
	if l.publish(histPrefix+probeToken, s.subject, "", "", []byte{envelopeVersion}) != nil {
		return // broken already: the next one is marked
	}
	timer := time.NewTimer(markTimeout)
	defer timer.Stop()
	select {
	case a := <-s.acks:
		b.hist.window.raise(a.seq)
	case <-l.dead:
	case <-timer.C: // a stream that answers nothing stores nothing
	case <-b.done:
	}
}

// receive hands a republished message to the followers.
func (b *Backbone) receive(m live) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.followers {
		f.queue.add(m)
	}
}

// doubtAll makes all followers compare themselves with the stream.
func (b *Backbone) doubtAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.followers {
		f.queue.doubt()
	}
}

// begin counts f in, unless b is closed.
func (b *Backbone) begin(f *follower) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.followers[f] = struct{}{}
	b.running.Add(1)
	return true
}

// finish counts f out.
func (b *Backbone) finish(f *follower) {
	b.mu.Lock()
	delete(b.followers, f)
	b.mu.Unlock()
	b.running.Done()
}

func (b *Backbone) isClosed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// Close ends all followers, makes what still waits fail with ErrClosed, stops NATS and gives the directory back.
// A follower that is in the middle of a delivery is waited for until ctx is done. Closing again does nothing.
func (b *Backbone) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	close(b.done)
	for f := range b.followers {
		f.cancel()
	}
	b.mu.Unlock()
	stopped := make(chan struct{})
	go func() { // ends with the last follower
		defer close(stopped)
		b.running.Wait()
		b.keeping.Wait()
		b.hist.end()
		b.held.end()
	}()
	var err error
	select {
	case <-stopped:
	case <-ctx.Done():
		err = fmt.Errorf("close backbone: a delivery has not ended: %w", context.Cause(ctx))
	}
	b.release()
	return err
}

// release stops what runs. The client goes before the server: a connection to a stopped embedded server takes
// messages without storing them.
func (b *Backbone) release() {
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		stopServer(b.server)
	}
	if b.lock != nil {
		closeLock(b.lock)
	}
}
