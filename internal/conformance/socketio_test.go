package main

import (
	"strings"
	"testing"
	"time"

	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// The rules of the Socket.IO protocol v5 that its public suite looks at, over both transports.

// link is a session of either transport.
type link interface {
	send(t *testing.T, packets ...string)
	expect(t *testing.T, packets ...string)
	closed(t *testing.T)
}

type wsLink struct{ w *rawclient.WebSocket }

func (l wsLink) send(t *testing.T, packets ...string) { t.Helper(); send(t, l.w, packets...) }
func (l wsLink) closed(t *testing.T)                  { t.Helper(); requireClosed(t, l.w) }

func (l wsLink) expect(t *testing.T, packets ...string) {
	t.Helper()
	for _, want := range packets {
		m, err := l.w.Read() // answers heartbeats
		require.NoError(t, err, "waiting for %s", want)
		if m.Binary {
			m.Data = "b:" + m.Data
		}
		require.Regexp(t, want, m.Data)
	}
}

type pollLink struct{ p *rawclient.Polling }

// inBase64 turns the bytes of these tests into what polling sends.
var inBase64 = strings.NewReplacer("b:\x01\x02\x03", "bAQID", "b:\x04\x05\x06", "bBAUG", `b:\x01\x02\x03`, "bAQID", `b:\x04\x05\x06`, "bBAUG")

func (l pollLink) send(t *testing.T, packets ...string) {
	t.Helper()
	_, _, err := l.p.Post(inBase64.Replace(strings.Join(packets, "\x1e")))
	require.NoError(t, err)
}

func (l pollLink) expect(t *testing.T, packets ...string) {
	t.Helper()
	got, err := l.p.Packets(len(packets))
	require.NoError(t, err)
	require.Len(t, got, len(packets))
	for i, want := range packets {
		require.Regexp(t, inBase64.Replace(want), got[i])
	}
}

func (l pollLink) closed(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, _, err := l.p.Get()
		return err == nil && status == 400
	}, patient, time.Millisecond)
}

// overBoth runs a test over WebSocket and over polling.
func overBoth(t *testing.T, f func(t *testing.T, open func() link)) {
	addr := startCalm(t)
	t.Run("websocket", func(t *testing.T) {
		f(t, func() link { return wsLink{ws(t, addr, sioWS)} })
	})
	t.Run("polling", func(t *testing.T) {
		f(t, func() link { return pollLink{poll(t, addr, sioPoll)} })
	})
}

const sid = `\{"sid":"[\w-]{20,}"\}$`

func TestConnect(t *testing.T) {
	overBoth(t, func(t *testing.T, open func() link) {
		for packet, want := range map[string][]string{
			"40":                        {"^40" + sid, `^42\["auth",\{\}\]$`},
			`40{"token":"123"}`:         {"^40" + sid, `^42\["auth",\{"token":"123"\}\]$`},
			"40/custom,":                {"^40/custom," + sid, `^42/custom,\["auth",\{\}\]$`},
			"40/custom":                 {"^40/custom," + sid, `^42/custom,\["auth",\{\}\]$`},
			`40/custom,{"token":"abc"}`: {"^40/custom," + sid, `^42/custom,\["auth",\{"token":"abc"\}\]$`},
			"40/random":                 {`^44/random,\{"message":"Invalid namespace"\}$`},
		} {
			l := open()
			l.send(t, packet)
			l.expect(t, want...)
		}
		l := open()
		l.send(t, "4abc")
		l.closed(t)
		open().closed(t) // without CONNECT, within the connect timeout
	})
}

func TestDisconnect(t *testing.T) {
	overBoth(t, func(t *testing.T, open func() link) {
		l := open()
		l.send(t, "40", "40/custom,")
		l.expect(t, "^40"+sid, "^42", "^40/custom,"+sid, "^42/custom,")
		l.send(t, "41/custom,", `42["message","message to main namespace"]`)
		l.expect(t, `^42\["message-back","message to main namespace"\]$`)
		l.send(t, "41", "40")
		l.expect(t, "^40"+sid, "^42")
	})
	t.Run("the connection stays", func(t *testing.T) {
		w := ws(t, start(t), sioWS)
		send(t, w, "40")
		read(t, w)
		read(t, w)
		send(t, w, "41")
		require.Equal(t, "2", read(t, w))
	})
}

func TestMessages(t *testing.T) {
	overBoth(t, func(t *testing.T, open func() link) {
		l := open()
		l.send(t, "40", "40/custom,")
		l.expect(t, "^40"+sid, "^42", "^40/custom,"+sid, "^42/custom,")
		l.send(t, `42["message",1,"2",{"3":[true]}]`)
		l.expect(t, `^42\["message-back",1,"2",\{"3":\[true\]\}\]$`)
		l.send(t, `42["message"]`, `42/custom,["message",null]`)
		l.expect(t, `^42\["message-back"\]$`, `^42/custom,\["message-back",null\]$`)
		l.send(t, `42456["message-with-ack",1,"2",{"3":[false]}]`, `42/custom,0["message-with-ack"]`)
		l.expect(t, `^43456\[1,"2",\{"3":\[false\]\}\]$`, `^43/custom,0\[\]$`)

		two := `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		want := `\{"_placeholder":true,"num":0\},\{"_placeholder":true,"num":1\}\]$`
		l.send(t, `452-["message",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		l.expect(t, `^452-\["message-back",`+want, `^b:\x01\x02\x03$`, `^b:\x04\x05\x06$`)
		l.send(t, `452-789["message-with-ack",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		l.expect(t, `^462-789\[`+want, `^b:\x01\x02\x03$`, `^b:\x04\x05\x06$`)
		l.send(t, `452-/custom,["message",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		l.expect(t, `^452-/custom,\["message-back",`+want, `^b:\x01\x02\x03$`, `^b:\x04\x05\x06$`)
	})
}

func TestInvalidFormats(t *testing.T) {
	overBoth(t, func(t *testing.T, open func() link) {
		for _, packet := range []string{
			"4abc", "42{}", `42abc["message-with-ack",1,"2",{"3":[false]}]`, "42", "42[]", `451-["message"]` + "\x1e" + `42["message"]`,
		} {
			l := open()
			l.send(t, "40")
			l.expect(t, "^40"+sid, "^42")
			l.send(t, strings.Split(packet, "\x1e")...)
			l.closed(t)
		}
	})
}

// TestProtocol3 is the same server for clients of Engine.IO protocol 3.
func TestProtocol3(t *testing.T) {
	w, err := rawclient.Dial(start(t, "--allow-eio3"), "/socket.io/?EIO=3&transport=websocket")
	require.NoError(t, err)
	defer w.Close()
	l := wsLink{w}
	l.expect(t, `^0\{"sid"`, "^40$", `^42\["auth",\{\}\]$`)
	l.send(t, "40/custom?token=1,", `42["message",1]`)
	l.expect(t, "^40/custom,$", `^42/custom,\["auth",\{\}\]$`, `^42\["message-back",1\]$`)
	l.send(t, "2")
	l.expect(t, "^3$")
	l.send(t, `451-5["message-with-ack",{"_placeholder":true,"num":0}]`, "b:\x04\x01\x02\x03")
	l.expect(t, `^461-5\[\{"_placeholder":true,"num":0\}\]$`, `^b:\x04\x01\x02\x03$`)
}
