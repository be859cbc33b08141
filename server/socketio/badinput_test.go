package socketio

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"downlink/codes"
	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// fatal are the inputs that end a process whose strangers reach the library, and others that must end their own
// connection only. Each is what a connected client sends; "b:" marks a binary message.
var fatal = map[string][]string{
	"event without payload":            {"42"},
	"ack without payload":              {"431"},
	"ack of no event without payload":  {"43"},
	"event with id without payload":    {"4212"},
	"binary event without payload":     {"451-", "b:x"},
	"binary event of no attachments":   {"450-"},
	"binary event, none, with payload": {`450-["loginRoom","456"]`},
	"binary ack without payload":       {"461-1", "b:x"},
	"attachment count too large":       {`4599-["x"]`},
	"attachment count beyond integers": {`4599999999999999999999-["x"]`},
	"attachment without packet":        {"b:x"},
	"text among attachments":           {`451-["x",{"_placeholder":true,"num":0}]`, `42["x"]`},
	"placeholder without attachment":   {`451-["x",{"_placeholder":true,"num":7}]`, "b:x"},
	"negative placeholder":             {`451-["x",{"_placeholder":true,"num":-1}]`, "b:x"},
	"deep array":                       {`42["x",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "]"},
	"deep object":                      {`451-["x",` + strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat("}", 50_000) + "]"},
	"event that is no array":           {`42{"a":1}`},
	"event without name":               {"42[]"},
	"reserved event":                   {`42["disconnect"]`},
	"broken JSON":                      {`42["x"`},
	"unknown type":                     {"47"},
	"no type":                          {"4"},
	"refusal from a client":            {`44{"message":"x"}`},
	"letters":                          {"4abc"},
	"connect twice":                    {"40"},
	"connect with an array":            {"40/custom,[]"},
	"event in another namespace":       {`42/custom,["x"]`},
	"disconnect of another namespace":  {"41/custom,"},
	"disconnect with payload":          {`41{"a":1}`},
	"ack in another namespace":         {"43/custom,1[]"},
	"namespace without end":            {"42/" + strings.Repeat("a", 100_000)},
	"unknown engine packet":            {"9"},
	"not UTF-8":                        {"42[\"x\",\"\xff\xfe\"]"},
	"too many bytes of attachments": {
		`453-["x"]`, "b:" + strings.Repeat("a", 400_000), "b:" + strings.Repeat("a", 400_000), "b:" + strings.Repeat("a", 400_000),
	},
	"event after leaving": {"41", `42["loginRoom","456"]`},
}

// harmless are inputs that change nothing.
var harmless = map[string][]string{
	"unknown event":               {`42["nobody","knows",{"it":[]}]`},
	"unknown event with ack":      {`429["nobody"]`},
	"numeric event":               {`42[17,"x"]`},
	"event named like a property": {`42["__proto__",1]`, `42["error","x"]`, `42["disconnection"]`, `42[""]`},
	"ack nobody waits for":        {`4317[]`, `43900719925474099["x"]`},
	"binary event nobody knows":   {`452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:a", "b:"},
	"binary ack":                  {`461-5[{"_placeholder":true,"num":0}]`, "b:a"},
	"many arguments":              {`42["x"` + strings.Repeat(",1", 100_000) + "]"},
	"nested within limits":        {`42["x",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "]"},
}

func (c *client) sendAll(inputs []string) {
	for _, in := range inputs {
		// The connection may be gone already.
		if b, ok := strings.CutPrefix(in, "b:"); ok {
			_ = c.SendBinary([]byte(b))
		} else {
			_ = c.Send(in)
		}
	}
}

// TestMalformedPacketClosesItsOwnConnection sends each fatal input to a connection of its own, and before CONNECT too. A
// bystander keeps its connection and its pushes.
func TestMalformedPacketClosesItsOwnConnection(t *testing.T) {
	n := start(t)
	bystander := n.connect("")
	bystander.send(`42["loginRoom","456"]`)
	bystander.expect(loggedIn("456"))
	for name, inputs := range fatal {
		t.Run(name, func(t *testing.T) {
			c := n.connect("")
			c.t = t
			c.sendAll(inputs)
			c.expectClosed()
			n.push("456", "x", "1")
			bystander.expect(`42["x",1]`)

			if inputs[0] == "40" || inputs[0] == "41" {
				return
			}
			w, err := rawclient.Dial(n.addr, wsPath)
			require.NoError(t, err)
			defer w.Close()
			early := &client{t: t, WebSocket: w}
			early.sendAll(inputs)
			early.expectClosed()
		})
	}
	bystander.Close()
	n.empty()
}

func TestHarmlessPacketsAreIgnored(t *testing.T) {
	n := start(t)
	for name, inputs := range harmless {
		t.Run(name, func(t *testing.T) {
			c := n.connect("")
			c.t = t
			c.sendAll(inputs)
			c.quiet()
		})
	}
}

// TestEventsBeforeConnect closes a client that does not introduce itself. Source: Socket.IO protocol v5, "Connection to
// a namespace".
func TestEventsBeforeConnect(t *testing.T) {
	n := start(t)
	for _, packet := range []string{`42["loginRoom","456"]`, "41", `431[]`, `42/custom,["x"]`} {
		w, err := rawclient.Dial(n.addr, wsPath)
		require.NoError(t, err)
		c := &client{t: t, WebSocket: w}
		c.send(packet)
		c.expectClosed()
		w.Close()
	}
	n.empty()
}

// TestUnknownNamespaces are refused as the protocol says, and the connection stays.
func TestUnknownNamespaces(t *testing.T) {
	n := start(t)
	c := n.connect("")
	c.send("40/random,")
	c.expect(`44/random,{"message":"Invalid namespace"}`)
	c.send(`40/聊?a="b",{"token":"x"}`)
	c.expect(`44/聊?a="b",{"message":"Invalid namespace"}`)
	c.quiet()
}

// TestMalformedPacketOverPolling answers 400 and ends the session.
func TestMalformedPacketOverPolling(t *testing.T) {
	n := start(t)
	for _, packet := range []string{"42", "451-", "450-", "431", "4\x1e", "b!", "42[\"\xff\"]"} {
		p, err := rawclient.DialPolling(n.addr, pollPath)
		require.NoError(t, err)
		status, _, err := p.Post("40\x1e" + packet)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, status, "%q", packet)
		require.Eventually(t, func() bool {
			status, _, err := p.Get()
			return err == nil && status == http.StatusBadRequest
		}, rawclient.Patience, 1)
		p.Close()
	}
	n.empty()
}

// TestFlood sends 100,000 packets as fast as they go: all are served, in order, and a bystander does not notice.
func TestFlood(t *testing.T) {
	n := start(t)
	bystander := n.connect("")
	for packet, answer := range map[string]string{
		`42["nobody"]`: "", `42["loginRoom"]`: failed(codes.MissingRoomID.Msg), `42["leaveRoom","x"]`: "", `431[]`: "",
	} {
		c := n.connect("")
		burst := make([]string, 1000)
		for i := range burst {
			burst[i] = packet
		}
		for range 25 {
			c.send(burst...)
			n.push("", "x", "1")
			bystander.expect(`42["x",1]`)
		}
		pushed, answered := 0, 0
		for pushed < 25 || answer != "" && answered < 25*len(burst) {
			switch got, err := c.next(); {
			case err != nil:
				require.NoError(t, err)
			case got == `42["x",1]`:
				pushed++
			default:
				require.Equal(t, answer, got)
				answered++
			}
		}
		c.quiet()
		c.Close()
	}
	bystander.Close()
	n.empty()
}

// TestHandshakeAuthOfAnySort keeps nothing and breaks nothing.
func TestHandshakeAuthOfAnySort(t *testing.T) {
	n := start(t)
	for _, auth := range []string{
		`{}`, `{"clientKey":{}}`, `{"clientKey":[[[]]]}`, `{"pid":1,"offset":{}}`, `{"pid":"x","offset":"y"}`, `{"":null}`,
		fmt.Sprintf(`{"clientKey":%q}`, strings.Repeat("k", 500_000)),
	} {
		n.connect(auth).quiet()
	}
}

// TestUpgradeWithAnotherVersion ends a process whose engine is the library's.
func TestUpgradeWithAnotherVersion(t *testing.T) {
	n := start(t, withEngine(allowEIO3))
	for _, versions := range [][2]string{{"4", "3"}, {"3", "4"}, {"4", "x"}} {
		p, err := rawclient.DialPolling(n.addr, "/socket.io/?transport=polling&EIO="+versions[0])
		require.NoError(t, err)
		w, err := rawclient.Dial(n.addr, "/socket.io/?transport=websocket&EIO="+versions[1]+"&sid="+p.SID)
		if err == nil {
			_ = w.Send("2probe", "5", `42["x"]`)
			_, _ = w.ReadWithin(200 * time.Millisecond)
			w.Close()
		}
		p.Close()
	}
	n.connect("").quiet()
}

// TestEarlyPong answers a ping nobody sent, before anything else and after CONNECT.
func TestEarlyPong(t *testing.T) {
	n := start(t)
	w, err := rawclient.Dial(n.addr, wsPath)
	require.NoError(t, err)
	defer w.Close()
	c := &client{t: t, WebSocket: w}
	c.send("3", "40", "3")
	m, err := w.Read()
	require.NoError(t, err)
	require.Regexp(t, `^0\{`, m.Data)
	m, err = w.Read()
	require.NoError(t, err)
	require.Regexp(t, `^40\{`, m.Data)
	c.expect(welcome)
	c.quiet()
}

// TestCloseDuringUpgrade ends sessions, from both sides, while their WebSocket is taking over.
func TestCloseDuringUpgrade(t *testing.T) {
	n := start(t)
	for i := range 12 {
		p, err := rawclient.DialPolling(n.addr, pollPath)
		require.NoError(t, err)
		_, _, err = p.Post("40")
		require.NoError(t, err)
		w, err := rawclient.Dial(n.addr, wsPath+"&sid="+p.SID)
		require.NoError(t, err)
		require.NoError(t, w.Send("2probe"))
		if i%2 == 0 {
			_, err = w.Read()
			require.NoError(t, err)
		}
		switch i % 4 {
		case 0:
			_, _, _ = p.Post("1")
		case 1:
			n.gateway.bridge.Engine().Range(func(s *engineio.Session) { s.Close("test") })
		case 2:
			n.gateway.bridge.Engine().Range(func(s *engineio.Session) { s.Kill("test") })
		default:
			_, _, _ = p.Post("42")
		}
		_ = w.Send("5", `42["loginRoom","456"]`)
		w.Close()
		p.Close()
	}
	n.empty()
}
