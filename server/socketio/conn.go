package socketio

import (
	"context"
	"encoding/json"
	"time"

	"downlink/codes"
	"downlink/rooms"
	"downlink/server/engineio"
	"downlink/server/socketio/bridge"
)

// maxClientKey bounds what a client may name itself with, in bytes.
const maxClientKey = 128

// conn is one client in the main namespace: the hub's view of it (rooms.Conn) and its inbox.
type conn struct {
	g       *Gateway
	session *engineio.Session
	id      string
	member  *rooms.Member
	inbox   inbox
}

// connected attaches a client the protocol has let in. The answer it waits for and 2001 are queued under the hub's
// lock, so that no push can come before them.
func (g *Gateway) connected(s *bridge.Socket, connect engineio.Frame, auth []byte) {
	c := &conn{g: g, session: s.Session(), id: s.ID()}
	s.Data = c
	c.member = g.hub.Attach(c, clientKey(auth), func() { c.session.Send(connect, g.welcome) })
}

func (g *Gateway) closed(s *bridge.Socket, _ string) {
	c := s.Data.(*conn)
	c.inbox.close()
	g.admission.Gone(c.member)
}

// clientKey finds the name by which a client is known again after a reconnect. Anything but a string of fair length is
// as good as none.
func clientKey(auth []byte) string {
	var a struct {
		ClientKey json.RawMessage `json:"clientKey"`
	}
	if len(auth) == 0 || json.Unmarshal(auth, &a) != nil {
		return ""
	}
	var key string
	if json.Unmarshal(a.ClientKey, &key) != nil || len(key) > maxClientKey {
		return ""
	}
	return key
}

// ID is unique over all nodes and all time.
func (c *conn) ID() string { return c.id }

// Door is the gateway.
func (c *conn) Door() rooms.Door { return c.g }

// Tell queues a status.
func (c *conn) Tell(s codes.Status) { c.session.Send(statusFrame(s)) }

// Probe asks the client for a sign of life.
func (c *conn) Probe(ctx context.Context, since time.Time) bool { return c.session.Probe(ctx, since) }

// tell queues the event a client is answered by together with the acknowledgement it may have asked for.
func (c *conn) tell(s codes.Status, ack bridge.Ack, r receipt) {
	frames := append([]engineio.Frame{statusFrame(s)}, ack.Frames(r.json())...)
	c.session.Send(frames...)
}
