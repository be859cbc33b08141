package socketio

import (
	"testing"

	"downlink/codes"
	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

func allowEIO3(o *engineio.Options) { o.AllowEIO3 = true }

// connectEIO3 opens a WebSocket session of protocol 3, which is in the main namespace unasked.
func (n *node) connectEIO3() *client {
	n.t.Helper()
	w, err := rawclient.Dial(n.addr, "/socket.io/?EIO=3&transport=websocket")
	require.NoError(n.t, err)
	n.t.Cleanup(w.Close)
	c := &client{t: n.t, WebSocket: w}
	open, err := c.Read()
	require.NoError(n.t, err)
	require.Regexp(n.t, `^0\{"sid"`, open.Data)
	c.expect("40", welcome)
	return c
}

// TestProtocol3 is the main job for socket.io-client 2.x.
func TestProtocol3(t *testing.T) {
	n := start(t, withEngine(allowEIO3))
	old, young := n.connectEIO3(), n.connect("")
	old.send(`420["loginRoom","456"]`)
	old.expect(loggedIn("456"), `430[{"code":"2002","msg":"login room (id:456) success","roomId":"456","epoch":1,"seq":0}]`)
	young.send(`42["loginRoom","456","loginWhenLast"]`)
	young.expect(loggedIn("456"))
	old.expect(kickedOut("456"))
	old.send(`42["loginRoom",{}]`)
	old.expect(failed(codes.MissingRoomID.Msg))
	n.push("", "x", `"聊"`)
	old.expect(`42["x","聊"]`)
	young.expect(`42["x","聊"]`)
	old.send("2")
	old.expect("3")
	old.send("41")
	young.quiet()
	old.Close()
	young.Close()
	n.empty()
}

// TestProtocol3Errors: an unknown namespace is refused, the query behind a namespace is none of its name, and CONNECT for the main namespace comes too late. Source: Socket.IO protocol v4.
func TestProtocol3Errors(t *testing.T) {
	n := start(t, withEngine(allowEIO3))
	c := n.connectEIO3()
	c.send("40/random?token=1,")
	c.expect(`44/random,{"message":"Invalid namespace"}`)
	c.send("40")
	c.expectClosed()
	for _, packet := range []string{"42", "451-", "450-", "431", "40[]"} {
		c := n.connectEIO3()
		c.send(packet)
		c.expectClosed()
	}
	n.empty()
}

func TestProtocol3Polling(t *testing.T) {
	n := start(t, withEngine(allowEIO3))
	p, err := rawclient.DialPolling(n.addr, "/socket.io/?EIO=3&transport=polling&b64=1")
	require.NoError(t, err)
	defer p.Close()
	status, body, err := p.Post(`22:42["loginRoom","456"]`)
	require.NoError(t, err)
	require.Equal(t, 400, status, body) // 21 characters came
	p, err = rawclient.DialPolling(n.addr, "/socket.io/?EIO=3&transport=polling&b64=1")
	require.NoError(t, err)
	defer p.Close()
	status, body, err = p.Post(`21:42["loginRoom","456"]`)
	require.NoError(t, err)
	require.Equal(t, 200, status, body)
	var got string
	for len(got) < 100 {
		status, body, err = p.Get()
		require.NoError(t, err)
		require.Equal(t, 200, status)
		got += body
	}
	require.Equal(t, "2:40"+`53:`+welcome+`65:`+loggedIn("456"), got)
}

func TestProtocol3IsRefusedByDefault(t *testing.T) {
	n := start(t)
	_, err := rawclient.Dial(n.addr, "/socket.io/?EIO=3&transport=websocket")
	require.ErrorContains(t, err, "400")
}
