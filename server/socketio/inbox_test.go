package socketio

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"downlink/rooms"
	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// asker is a client whose every message is a login.
type asker struct {
	c       *conn
	most    atomic.Int64 // tasks seen waiting
	handled atomic.Int64
}

func (a *asker) Message(p []byte, _ bool) error {
	a.c.ask(task{login: rooms.Login{Room: string(p), Policy: rooms.Last}})
	a.c.inbox.mu.Lock()
	a.most.Store(max(a.most.Load(), int64(len(a.c.inbox.tasks))))
	a.c.inbox.mu.Unlock()
	a.handled.Add(1)
	return nil
}

func (a *asker) Closed(string) {
	a.c.inbox.close()
	a.c.g.admission.Gone(a.c.member)
}

// TestInboxIsBounded: a client that asks faster than it can be answered is not read, and goes on when it can be.
func TestInboxIsBounded(t *testing.T) {
	claims := &memoryClaims{byRoom: map[string]rooms.Claim{}, delay: 200 * time.Millisecond}
	g := &Gateway{hub: rooms.NewHub()}
	g.admission = rooms.NewAdmission(g.hub, claims, rooms.AdmissionOptions{})
	var a asker
	eng, err := engineio.New(engineio.Options{
		Log: slog.New(slog.DiscardHandler),
		Open: func(s *engineio.Session, _ *http.Request) engineio.Handler {
			a.c = &conn{g: g, session: s, id: s.ID()}
			a.c.member = g.hub.Attach(a.c, "", nil)
			return &a
		},
	})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: eng, ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	w, err := rawclient.Dial(l.Addr().String(), wsPath)
	require.NoError(t, err)
	defer w.Close()
	var packets []string
	const count = 500
	for i := range count {
		packets = append(packets, fmt.Sprint("4r", i))
	}
	require.NoError(t, w.Send(packets...))
	require.Eventually(t, func() bool { return a.handled.Load() >= inboxFull }, rawclient.Patience, time.Millisecond)
	claims.set(0, nil)
	_, err = w.Read() // OPEN
	require.NoError(t, err)
	for i := range count {
		m, err := w.Read()
		require.NoError(t, err)
		require.Equal(t, loggedIn(fmt.Sprint("r", i)), m.Data)
	}
	require.LessOrEqual(t, a.most.Load(), int64(inboxFull))
	require.NoError(t, eng.Close())
	_ = server.Close()
	<-served
	require.NoError(t, g.settle())
	require.NoError(t, g.admission.Close(t.Context()))
}
