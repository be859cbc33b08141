package backbone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// claimsBytes is the most that the claims may take on disk: about 400,000 held rooms.
const claimsBytes = 64 << 20

// startServer starts a NATS server with JetStream in this process. It opens no port and handles no signals; history
// bytes and what the claims need is all it may store.
func startServer(o *Options, history int64) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:             o.NodeName,
		DontListen:             true,
		NoSigs:                 true,
		NoSystemAccount:        true, // its statistics would wake an idle process for nobody
		DisableJetStreamBanner: true,
		MaxPayload:             MaxPush + 1<<10,
		MaxPending:             1 << 30, // a client past it is cut off; the publishers' window keeps far below
		JetStream:              true,
		StoreDir:               filepath.Join(o.Dir, "nats"),
		JetStreamMaxMemory:     1 << 20, // nothing is kept in memory; 0 would mean three quarters of it
		JetStreamMaxStore:      history + claimsBytes,
		SyncInterval:           o.Sync,
		SyncAlways:             o.Sync == 0,
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	s.SetLoggerV2(serverLog{o.Log}, o.Log.Enabled(context.Background(), slog.LevelDebug), false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		stopServer(s)
		return nil, errors.New("start NATS server: not ready after 10s")
	}
	if !s.JetStreamEnabled() {
		stopServer(s)
		return nil, errors.New("start NATS server: its store did not start, see the log")
	}
	return s, nil
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog passes the NATS server's log on: what needs an operator as warnings, the rest at debug.
type serverLog struct{ log *slog.Logger }

func (l serverLog) at(level slog.Level, format string, v []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.log.Log(context.Background(), level, "nats: "+strings.TrimSpace(fmt.Sprintf(format, v...)))
}

func (l serverLog) Noticef(format string, v ...any) { l.at(slog.LevelDebug, format, v) }
func (l serverLog) Debugf(format string, v ...any)  { l.at(slog.LevelDebug, format, v) }
func (l serverLog) Tracef(format string, v ...any)  { l.at(slog.LevelDebug, format, v) }
func (l serverLog) Warnf(format string, v ...any)   { l.at(slog.LevelWarn, format, v) }
func (l serverLog) Errorf(format string, v ...any)  { l.at(slog.LevelWarn, format, v) }

// Fatalf logs only. With this logger the server does not end the process by itself; Open sees that it did not start.
func (l serverLog) Fatalf(format string, v ...any) { l.at(slog.LevelError, format, v) }
