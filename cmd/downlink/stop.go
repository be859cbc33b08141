package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// stopPoll is how often a stop looks whether it can go on.
	stopPoll = 2 * time.Millisecond

	// httpLinger is how long answers that are written already may take to leave before their connections are cut.
	// net/http would wait 5 s for a connection that never sent a request.
	httpLinger = 250 * time.Millisecond

	// closeGrace is what the store gets to close even if the time is up: cutting it short gains nothing.
	closeGrace = 2 * time.Second
)

// stop ends the service in the reverse order of start, within the drain time, and says what it had to cut off. It also
// cleans up after a start that failed half-way.
//
// The listeners stay open until all clients are gone, so that a load balancer sees 503 and not a refused connection.
func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.conf.Drain)
	defer cancel()
	var left []string
	leave := func(format string, args ...any) { left = append(left, fmt.Sprintf(format, args...)) }

	if s.intake != nil {
		s.intake.Drain()
		s.requests.close()
		// The clients need most of the time: a sender that does not finish its request gets a third.
		if !waitUntil(ctx, s.conf.Drain/3, func() bool { return s.requests.n.Load() == 0 }) {
			leave("%d requests were not answered", s.requests.n.Load())
		}
		if !waitUntil(ctx, s.conf.Drain/3, func() bool { return !s.journal.waiting() }) {
			leave("pushes %d to %d are stored but were not delivered", s.journal.delivered.Load()+1, s.journal.stored.Load())
		}
	}
	if s.gateway != nil {
		if err := s.closeClients(ctx); err != nil {
			leave("%v", err)
		}
	}
	for _, l := range s.listeners {
		if err := closeHTTP(l); err != nil {
			leave("%v", err)
		}
	}
	deadline, _ := ctx.Deadline()
	if least := time.Now().Add(closeGrace); deadline.Before(least) {
		deadline = least
	}
	late, cancelLate := context.WithDeadline(context.Background(), deadline)
	defer cancelLate()
	if s.admission != nil {
		if err := s.admission.Close(late); err != nil {
			leave("rooms not released: %v", err)
		}
	}
	if s.store != nil {
		if err := s.store.Close(late); err != nil {
			leave("store not closed: %v", err)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("not stopped in order within --drain %v: %s", s.conf.Drain, strings.Join(left, "; "))
	}
	return nil
}

// closeClients closes the connections spread over what is left of the drain time, but for what the rest of the stop
// needs.
func (s *service) closeClients(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-min(s.conf.Drain/10, closeGrace)))
	defer cancel()
	if err := s.gateway.Shutdown(ctx); err != nil {
		_ = s.gateway.Close() // the error is told already
		return fmt.Errorf("clients were cut off that had not taken all that waited for them (%w)", err)
	}
	return nil
}

// closeHTTP lets the answers out that are written already, and cuts what is open then: every request that counts was
// waited for before.
func closeHTTP(l *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), httpLinger)
	defer cancel()
	err := l.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = l.Close()
	}
	return err
}

// waitUntil waits until done, for at most d and no longer than ctx, and says whether it is.
func waitUntil(ctx context.Context, d time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return done()
		case <-tick.C:
		}
	}
	return true
}
