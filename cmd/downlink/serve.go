package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"downlink"
	"downlink/backbone"
	"downlink/ingest"
	"downlink/rooms"
	"downlink/server"
	"downlink/server/engineio"
	"downlink/server/socketio"
)

// service is the running product.
type service struct {
	conf Config
	log  *slog.Logger

	store     *backbone.Backbone
	journal   *tally
	hub       *rooms.Hub
	admission *rooms.Admission
	gateway   *socketio.Gateway
	intake    *ingest.Server
	requests  *inFlight
	listeners []*http.Server

	failed chan error // the first error of a goroutine that has to run as long as the service
}

func newService(c Config, log *slog.Logger) *service {
	return &service{conf: c, log: log, failed: make(chan error, 1)}
}

// run runs the service until ctx is done or a part of it fails, and stops it in order.
func (s *service) run(ctx context.Context) error {
	c, log := s.conf, s.log
	log.Info("starting", "version", version(), "node", c.NodeName, "data_dir", c.DataDir)
	if err := s.start(ctx); err != nil {
		if stopErr := s.stop(); stopErr != nil {
			log.Error("clean-up after a failed start", "err", stopErr)
		}
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	var failure error
	select {
	case <-ctx.Done():
		log.Info("stopping", "at_most", c.Drain)
	case failure = <-s.failed:
	}
	err := s.stop()
	switch {
	case failure != nil:
		if err != nil {
			log.Error("stop after a failure", "err", err)
		}
		return failure
	case err != nil:
		return err
	}
	log.Info("stopped")
	return nil
}

// start brings the parts up in the order in which a push passes through them from its end: nothing accepts what the
// next part could not take. On an error stop ends what was started.
func (s *service) start(ctx context.Context) (err error) {
	c := s.conf
	s.store, err = backbone.Open(ctx, backbone.Options{
		Dir: c.DataDir, NodeName: c.NodeName,
		HistoryMax: c.HistoryMax, HistoryAge: c.HistoryAge, IdempotencyWindow: c.IdempotencyWindow,
		Sync: time.Duration(c.Sync), Log: s.log.With("part", "backbone"),
	})
	if err != nil {
		return err
	}
	s.journal = &tally{Journal: s.store.Journal()}
	s.hub = rooms.NewHub()
	s.admission = rooms.NewAdmission(s.hub, s.store.Claims(), rooms.AdmissionOptions{
		ProbeTimeout: c.ProbeTimeout, Log: s.log.With("part", "rooms"),
	})
	// Not ctx: what was accepted is still delivered after it is done. Closing the store ends the following.
	if err := s.journal.Follow(context.WithoutCancel(ctx), s.hub.Deliver); err != nil {
		return fmt.Errorf("follow the store: %w", err)
	}

	var listen net.ListenConfig
	public, err := listen.Listen(ctx, "tcp", c.PublicAddr)
	if err != nil {
		return fmt.Errorf("public listener: %w", err)
	}
	sockets, err := s.newGateway(isLoopback(public.Addr()))
	if err != nil {
		return errors.Join(err, public.Close())
	}
	s.gateway = sockets
	s.intake = ingest.New(ingest.Options{
		Journal: s.journal, Ready: s.store.Check, MaxBody: int64(c.MaxBody),
		RequestIDAsKey: c.RequestIDAsKey, OpenAPI: downlink.OpenAPI, Log: s.log.With("part", "ingest"),
	})
	s.requests = &inFlight{next: s.intake.Handler()}

	if sameAddr(c.PublicAddr, c.IngestAddr) {
		s.serve(public, server.NewPublic(s.gateway, s.requests))
		s.ready("public", public.Addr())
		s.ready("ingest", public.Addr())
		return nil
	}
	s.serve(public, server.NewPublic(s.gateway, nil))
	intake, err := listen.Listen(ctx, "tcp", c.IngestAddr)
	if err != nil {
		return fmt.Errorf("ingest listener: %w", err)
	}
	s.serve(intake, s.requests)
	s.ready("public", public.Addr())
	s.ready("ingest", intake.Addr())
	return nil
}

func (s *service) newGateway(loopback bool) (*socketio.Gateway, error) {
	c, log := s.conf, s.log.With("part", "socketio")
	origins, err := server.NewOrigins(c.CORSOrigin, loopback, log)
	if err != nil {
		return nil, err
	}
	if c.ClientBuffer < c.MaxBody {
		s.log.Warn("a push may be larger than what may wait for a client: whoever is to get such a push is closed",
			"client_buffer", c.ClientBuffer, "max_body", c.MaxBody)
	}
	return socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: c.PingInterval, PingTimeout: c.PingTimeout,
			MaxPayload: int(c.MaxFrame), MaxQueue: int(c.ClientBuffer), AllowEIO3: c.AllowEIO3,
			Allow: origins.Allow, CORS: origins.CORS, Log: log,
		},
		Hub: s.hub, Admission: s.admission, Log: log,
	})
}

// serve accepts connections until stop. An accept loop that ends by itself ends the service.
func (s *service) serve(l net.Listener, h http.Handler) {
	srv := server.NewHTTP(h, s.log)
	s.listeners = append(s.listeners, srv)
	go func() { // ends with srv.Close or srv.Shutdown, in stop
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("listener %s: %w", l.Addr(), err))
		}
	}()
}

func (s *service) fail(err error) {
	select {
	case s.failed <- err:
	default: // the service stops for an earlier one
	}
}

// ready logs the line that says where a role is served, and a warning if that faces other machines: there are no keys.
func (s *service) ready(role string, addr net.Addr) {
	s.log.Info(role+" listener ready", "addr", addr.String())
	if isLoopback(addr) {
		return
	}
	risk := map[string]string{
		"public": "who can reach it can enter any room",
		"ingest": "who can reach it can push to any room",
	}[role]
	s.log.Warn(role+" listener faces other machines without keys: "+risk, "addr", addr.String())
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// sameAddr tells whether two listen addresses are one. Port 0 is a new port each time and never the same.
func sameAddr(a, b string) bool {
	x, errX := net.ResolveTCPAddr("tcp", a)
	y, errY := net.ResolveTCPAddr("tcp", b)
	if errX != nil || errY != nil {
		return strings.EqualFold(a, b)
	}
	anywhere := func(ip net.IP) bool { return len(ip) == 0 || ip.Equal(net.IPv6unspecified) }
	sameIP := x.IP.Equal(y.IP) || anywhere(x.IP) && anywhere(y.IP)
	return x.Port != 0 && x.Port == y.Port && x.Zone == y.Zone && sameIP
}
