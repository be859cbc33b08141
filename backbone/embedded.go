package backbone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// claimsBytes is the most that the claims may take in memory: 150,000 held rooms with the longest ids, 500,000 with
// short ones.
const claimsBytes = 64 << 20

// startServer starts a NATS server with JetStream in this process. It opens no port and handles no signals.
func startServer(o *Options) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:             o.NodeName,
		DontListen:             true,
		NoSigs:                 true,
		NoSystemAccount:        true, // its statistics would wake an idle process for nobody
		NoSublistCache:         true, // there are more rooms than it holds, and few subscriptions to match
		DisableJetStreamBanner: true,
		MaxPayload:             MaxPush + 1<<10,
		MaxPending:             1 << 30, // a client past it is cut off; the publishers' window keeps far below
		JetStream:              true,
		StoreDir:               filepath.Join(o.Dir, "nats"),
		JetStreamMaxMemory:     claimsBytes, // 0 would mean three quarters of the machine's
		// Each stream has its own limit, sized for this disk. One for all would keep a stream from being opened that
		// was larger before its limit was lowered.
		JetStreamMaxStore: 1 << 50,
		SyncInterval:      o.Sync,
		SyncAlways:        o.Sync == 0,
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	l := &serverLog{log: o.Log}
	s.SetLoggerV2(l, o.Log.Enabled(context.Background(), slog.LevelDebug), false, false)
	s.Start()
	if fatal := l.fatal.Load(); fatal != nil {
		stopServer(s)
		return nil, fmt.Errorf("start NATS server: %s", *fatal)
	}
	if !s.ReadyForConnections(10 * time.Second) {
		stopServer(s)
		return nil, errors.New("start NATS server: not ready after 10s")
	}
	return s, nil
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog passes the NATS server's log on: what needs an operator as warnings, the rest at debug.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // why the server could not start
}

func (l *serverLog) at(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "nats: "+strings.TrimSpace(fmt.Sprintf(format, v...)))
	}
}

// Noticef is one of the methods that make serverLog a server.Logger.
func (l *serverLog) Noticef(format string, v ...any) { l.at(slog.LevelDebug, format, v) }

// Debugf logs at debug.
func (l *serverLog) Debugf(format string, v ...any) { l.at(slog.LevelDebug, format, v) }

// Tracef logs at debug.
func (l *serverLog) Tracef(format string, v ...any) { l.at(slog.LevelDebug, format, v) }

// Warnf logs a warning.
func (l *serverLog) Warnf(format string, v ...any) { l.at(slog.LevelWarn, format, v) }

// Errorf logs a warning: whoever asked gets the error.
func (l *serverLog) Errorf(format string, v ...any) { l.at(slog.LevelWarn, format, v) }

// Fatalf keeps the message for startServer, which fails with it. The process goes on.
func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
}
