package socketio

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"downlink/codes"
	"downlink/server/engineio"
	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// TestStatusesByteForByte goes through the five codes over WebSocket. Source: seed 003.
func TestStatusesByteForByte(t *testing.T) {
	n := start(t)
	a, b := n.connect(""), n.connect(`{"clientKey":"b"}`)
	a.send(`42["loginRoom","456"]`)
	a.expect(`42["downmsg",{"code":"2002","msg":"login room (id:456) success"}]`)
	b.send(`42["loginRoom",456]`)
	b.expect(`42["downmsg",{"code":"2004","msg":"your room id(456) already exist"}]`)
	b.send(`42["loginRoom","456","loginWhenLast"]`)
	b.expect(loggedIn("456"))
	a.expect(`42["downmsg",{"code":"2005","msg":"you have kicked out room (id456)"}]`)
	a.send(`42["loginRoom"]`)
	a.expect(failed(codes.MissingRoomID.Msg))
	a.send(`42["loginWhenever","456"]`)
	a.expect(loggedIn("456"))
	n.push("456", "test", `{}`)
	n.push("", "test", ``)
	for _, c := range []*client{a, b} {
		c.expect(`42["test",{}]`, `42["test",null]`)
		c.quiet()
	}
}

// TestPolling is the main job over polling, and a packet of several in one body.
func TestPolling(t *testing.T) {
	n := start(t)
	p, err := rawclient.DialPolling(n.addr, pollPath)
	require.NoError(t, err)
	defer p.Close()
	status, body, err := p.Post("40\x1e42[\"loginRoom\",\"456\"]\x1e421[\"loginRoom\",\"457\",\"loginWhenLast\"]")
	require.NoError(t, err)
	require.Equal(t, "200 ok", fmt.Sprint(status, " ", body))
	got, err := p.Packets(5)
	require.NoError(t, err)
	require.Regexp(t, `^40\{"sid":`, got[0])
	require.Equal(t, []string{
		welcome, loggedIn("456"), loggedIn("457"),
		`431[{"code":"2002","msg":"login room (id:457) success","roomId":"457","epoch":2,"seq":0}]`,
	}, got[1:])
	n.push("456", "test", `"聊天 "`)
	n.push("", "downmsg", `1.0`)
	got, err = p.Packets(2)
	require.NoError(t, err)
	require.Equal(t, []string{`42["test","聊天 "]`, `42["downmsg",1.0]`}, got)
	status, _, err = p.Post("41\x1e1")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	n.empty()
}

func TestAckShapes(t *testing.T) {
	n := start(t)
	c, other := n.connect(""), n.connect("")
	n.push("", "x", "1")
	for _, w := range []*client{c, other} {
		w.expect(`42["x",1]`)
	}
	c.send(`420["loginRoom","456"]`)
	c.expect(loggedIn("456"), `430[{"code":"2002","msg":"login room (id:456) success","roomId":"456","epoch":1,"seq":1}]`)
	c.send(`427["loginWhenever",456]`)
	c.expect(loggedIn("456"), `437[{"code":"2002","msg":"login room (id:456) success","roomId":"456","epoch":1,"seq":1}]`)
	c.send(`428["loginWhenever","457"]`)
	c.expect(loggedIn("457"), `438[{"code":"2002","msg":"login room (id:457) success","roomId":"457","seq":1}]`)
	other.send(`421["loginRoom",{"id":"456","type":"loginWhenFirst"}]`)
	other.expect(taken("456"), `431[{"code":"2004","msg":"your room id(456) already exist","roomId":"456","seq":1}]`)
	other.send(`421["loginRoom",{"roomId":"456","type":"loginWhenLast","resume":true,"epoch":0}]`)
	other.expect(kickedOut("456"), `431[{"code":"2005","msg":"you have kicked out room (id456)","roomId":"456","seq":1}]`)
	other.send(`422["loginRoom",null]`)
	other.expect(failed(codes.MissingRoomID.Msg), `432[{"code":"2003","msg":"`+codes.MissingRoomID.Msg+`"}]`)
	c.send(`4212["leaveRoom","456"]`)
	c.expect(`4312[{"code":"0000","msg":"ok","roomId":"456"}]`)
	c.send(`4212["leaveRoom",{}]`)
	c.expect(failed(codes.MalformedRoomID.Msg), `4312[{"code":"2003","msg":"`+codes.MalformedRoomID.Msg+`"}]`)
	other.send(`4224["loginRoom","a\"<\u0026>\\聊"]`)
	other.expect(`42["downmsg",{"code":"2002","msg":"login room (id:a\"<&>\\聊) success"}]`,
		`4324[{"code":"2002","msg":"login room (id:a\"<&>\\聊) success","roomId":"a\"<&>\\聊","epoch":2,"seq":1}]`)
}

// TestAckAtTheEdges takes the smallest and largest ids, and the login types as event names.
func TestAckAtTheEdges(t *testing.T) {
	c := start(t).connect("")
	c.send(`429007199254740991["loginWhenFirst","a"]`)
	c.expect(loggedIn("a"), `439007199254740991[{"code":"2002","msg":"login room (id:a) success","roomId":"a","epoch":1,"seq":0}]`)
	c.send(`42007["loginWhenLast","b"]`)
	c.expect(loggedIn("b"), `437[{"code":"2002","msg":"login room (id:b) success","roomId":"b","epoch":2,"seq":0}]`)
	c.send(`42["loginWhenLast",{"id":"b"}]`)
	c.expect(failed(codes.MalformedRoomID.Msg))
}

func TestLeaveRoom(t *testing.T) {
	n := start(t)
	c, other := n.connect(""), n.connect("")
	c.send(`42["loginRoom","456"]`, `42["loginRoom","457"]`)
	c.expect(loggedIn("456"), loggedIn("457"))
	c.send(`42["leaveRoom",456]`)
	c.quiet() // no downmsg
	n.push("456", "x", "1")
	n.push("457", "x", "2")
	c.expect(`42["x",2]`)
	other.send(`42["loginRoom","456"]`)
	other.expect(loggedIn("456"))
}

// TestFailedLoginsChangeNothing sends every bad login; the connection stays and keeps its room.
func TestFailedLoginsChangeNothing(t *testing.T) {
	n := start(t)
	c := n.connect("")
	c.send(`42["loginRoom","mine"]`)
	c.expect(loggedIn("mine"))
	for _, l := range loginCases {
		if l.err == nil {
			continue
		}
		packet := `42["loginRoom"]`
		if l.args != "" {
			packet = `42["loginRoom",` + l.args + `]`
		}
		c.send(packet)
		c.expect(failed(codes.Of(l.err).Msg))
	}
	n.push("mine", "x", "1")
	n.push("", "x", "2")
	c.expect(`42["x",1]`, `42["x",2]`)
	_, rooms := n.hub.Counts()
	require.Equal(t, 1, rooms)
}

// TestUnavailableClaims shows a failing store as a failed login.
func TestUnavailableClaims(t *testing.T) {
	n := start(t)
	c := n.connect("")
	n.claims.set(0, codes.Unavailable)
	c.send(`42["loginRoom","456"]`)
	c.expect(failed(codes.Unavailable.Msg))
	c.send(`42["loginWhenever","456"]`)
	c.expect(loggedIn("456"))
	n.claims.set(0, nil)
	c.send(`42["loginWhenLast","457"]`)
	c.expect(loggedIn("457"))
}

// TestDataIsByteFaithful pushes what a decoder would change.
func TestDataIsByteFaithful(t *testing.T) {
	n := start(t)
	c := n.connect("")
	for _, data := range []string{
		`9007199254740993`, `1.0`, `1e400`, `{"b":1,"a":2,"b":3}`, `"\u0041\/<>&\u2028"`, "\" \"", `[[],{}]`, `""`, `null`,
		`"` + strings.Repeat("x", 200_000) + `"`,
	} {
		n.push("", "聊\"天", data)
		c.expect(`42["聊\"天",` + data + `]`)
	}
}

// TestOrderOnOneConnection: 2001, then 2002, then the room's events, for clients that send all they have at once while
// pushes go on.
func TestOrderOnOneConnection(t *testing.T) {
	n := start(t)
	stop := make(chan struct{})
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.push("r", "room", fmt.Sprint(i))
				n.push("", "all", fmt.Sprint(i))
				time.Sleep(200 * time.Microsecond)
			}
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 25 {
				if err := quickClient(n.addr); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	pushing.Wait()
	n.empty()
}

// quickClient sends CONNECT and a login in one write and checks what comes back.
func quickClient(addr string) error {
	w, err := rawclient.Dial(addr, wsPath)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Send("40", `421["loginRoom","r","loginWhenever"]`); err != nil {
		return err
	}
	var kinds []string
	last := map[string]int{"room": -1, "all": -1}
	for len(kinds) < 40 {
		m, err := w.Read()
		if err != nil {
			return fmt.Errorf("after %v: %w", kinds, err)
		}
		var event []json.RawMessage
		kind := m.Data[:2]
		if i := strings.IndexByte(m.Data, '['); i >= 0 && json.Unmarshal([]byte(m.Data[i:]), &event) == nil {
			kind += strings.Trim(string(event[0]), `"`)
		}
		if last, ok := last[strings.TrimPrefix(kind, "42")]; ok {
			var i int
			if err := json.Unmarshal(event[1], &i); err != nil || last >= 0 && i != last+1 {
				return fmt.Errorf("%s after %d", m.Data, last)
			}
		}
		switch kind {
		case "42room", "42all":
			var i int
			_ = json.Unmarshal(event[1], &i)
			last[kind[2:]] = i
		case "42downmsg":
			kind = m.Data
		}
		kinds = append(kinds, kind)
	}
	at := func(kind string) int {
		for i, k := range kinds {
			if strings.HasPrefix(k, kind) {
				return i
			}
		}
		return 1 << 20
	}
	if at("0") != 0 || at("40") != 1 || at(welcome) != 2 || at(loggedIn("r")) > at("42room") || at(loggedIn("r")) > 39 {
		return fmt.Errorf("order: %v", kinds)
	}
	return nil
}

func TestHundredSimultaneousFirst(t *testing.T) {
	n := start(t)
	clients := n.crowd(100)
	for _, c := range clients {
		c.send(`42["loginRoom","456"]`)
	}
	count := map[string]int{}
	for _, c := range clients {
		got, err := c.next()
		require.NoError(t, err)
		count[got]++
	}
	require.Equal(t, map[string]int{loggedIn("456"): 1, taken("456"): 99}, count)
}

func TestHundredSimultaneousLast(t *testing.T) {
	n := start(t)
	clients := n.crowd(100)
	for _, c := range clients {
		c.send(`42["loginRoom","456","loginWhenLast"]`)
	}
	for _, c := range clients {
		c.expect(loggedIn("456"))
	}
	n.push("456", "x", "1")
	holders := 0
	for _, c := range clients {
		got, err := c.next()
		require.NoError(t, err)
		if got == `42["x",1]` {
			holders++
		} else {
			require.Equal(t, kickedOut("456"), got)
		}
		c.quiet() // nobody gets 2005 twice
	}
	require.Equal(t, 1, holders)
}

// crowd connects many clients at once.
func (n *node) crowd(count int) []*client {
	clients := make([]*client, count)
	for i := range clients {
		clients[i] = n.connect("")
	}
	return clients
}

// TestFrozenHolderIsReplaced: a holder that neither reads nor answers loses its room to a newcomer within the probe's
// time, a live one keeps it.
func TestFrozenHolderIsReplaced(t *testing.T) {
	n := startProbing(t, 500*time.Millisecond)
	holder, frozen, newcomer := n.connect(""), n.connectFrozen(), n.connect("")
	holder.send(`42["loginRoom","live"]`)
	holder.expect(loggedIn("live"))
	frozen.send(`42["loginRoom","456"]`)
	frozen.expect(loggedIn("456"))
	begin := time.Now()
	newcomer.send(`42["loginRoom","456"]`)
	newcomer.expect(loggedIn("456"))
	require.Less(t, time.Since(begin), 1200*time.Millisecond)
	newcomer.send(`42["loginRoom","live"]`)
	newcomer.expect(taken("live"))
	// The frozen one wakes up: its 2005 waits, and the room is another's.
	frozen.expect(kickedOut("456"))
	frozen.send(`42["loginRoom","456"]`)
	frozen.expect(taken("456"))
}

// TestWaitingLoginStillAnswersPings: the connection whose own login waits for a probe is not deaf meanwhile.
func TestWaitingLoginStillAnswersPings(t *testing.T) {
	n := start(t, withEngine(func(o *engineio.Options) {
		o.PingInterval, o.PingTimeout = 50*time.Millisecond, 500*time.Millisecond
	}))
	c := n.connect("")
	n.claims.set(800*time.Millisecond, nil)
	c.send(`42["loginRoom","456"]`)
	c.expect(loggedIn("456")) // some heartbeats later
	n.claims.set(0, nil)
}

// TestOwnGhost: the same client key takes over silently.
func TestOwnGhost(t *testing.T) {
	n := start(t)
	before := n.connect(`{"clientKey":"k"}`)
	before.send(`42["loginRoom","456"]`)
	before.expect(loggedIn("456"))
	after := n.connect(`{"clientKey":"k"}`)
	after.send(`42["loginRoom","456"]`)
	after.expect(loggedIn("456"))
	n.push("456", "x", "1")
	after.expect(`42["x",1]`)
	before.quiet()
}

// TestInboxOverflowLosesNothing sends far more logins than an inbox holds, faster than they can be decided.
func TestInboxOverflowLosesNothing(t *testing.T) {
	n := start(t, withEngine(func(o *engineio.Options) { o.PingInterval, o.PingTimeout = time.Second, 5*time.Second }))
	c, bystander := n.connect(""), n.connect("")
	n.claims.set(time.Millisecond, nil)
	const count = 600
	var packets, want []string
	for i := range count {
		packets = append(packets, fmt.Sprintf(`42%d["loginRoom","r%d"]`, i, i))
		want = append(want, loggedIn(fmt.Sprint("r", i)), fmt.Sprintf(
			`43%d[{"code":"2002","msg":"login room (id:r%d) success","roomId":"r%d","epoch":%d,"seq":0}]`, i, i, i, i+1))
	}
	c.send(packets...)
	bystander.send(`42["loginWhenever","b"]`)
	bystander.expect(loggedIn("b"))
	c.expect(want...)
	_, rooms := n.hub.Counts()
	require.Equal(t, count+1, rooms)
	c.Close()
	bystander.Close()
	n.empty()
}

// TestInboxOverflowOverPolling is the same with all in one body.
func TestInboxOverflowOverPolling(t *testing.T) {
	n := start(t)
	p, err := rawclient.DialPolling(n.addr, pollPath)
	require.NoError(t, err)
	defer p.Close()
	n.claims.set(time.Millisecond, nil)
	packets, want := []string{"40"}, []string{welcome}
	for i := range 200 {
		packets = append(packets, fmt.Sprintf(`42["loginRoom","r%d"]`, i))
		want = append(want, loggedIn(fmt.Sprint("r", i)))
	}
	posted := make(chan error, 1)
	go func() {
		status, body, err := p.Post(strings.Join(packets, "\x1e"))
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, body)
		}
		posted <- err
	}()
	got, err := p.Packets(1 + len(want))
	require.NoError(t, err)
	require.Equal(t, want, got[1:])
	require.NoError(t, <-posted)
}

// TestCloseDuringLogin drops connections whose logins are being decided: nothing stays behind.
func TestCloseDuringLogin(t *testing.T) {
	n := start(t)
	n.claims.set(5*time.Millisecond, nil)
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			w, _, err := rawclient.Socket(n.addr, "")
			if err != nil {
				t.Error(err)
				return
			}
			for range 30 {
				_ = w.Send(`42["loginRoom","456","loginWhenLast"]`, `42["leaveRoom","456"]`)
			}
			time.Sleep(time.Duration(i) * time.Millisecond)
			w.Close()
		})
	}
	clients.Wait()
	n.empty()
}

// TestReconnectStorm connects, logs in and drops many clients at once, some in the middle of the handshake.
func TestReconnectStorm(t *testing.T) {
	n := start(t)
	bystander := n.connect("")
	bystander.send(`42["loginWhenever","storm"]`)
	bystander.expect(loggedIn("storm"))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 50 {
				w, err := rawclient.Dial(n.addr, wsPath)
				if err != nil {
					t.Error(err)
					return
				}
				_ = w.Send(`40{"clientKey":"k"}`, `42["loginRoom","storm","loginWhenever"]`)
				for k := 0; k < (i+j)%4; k++ {
					if _, err := w.Read(); err != nil {
						t.Error(err)
					}
				}
				w.Close()
			}
		})
	}
	clients.Wait()
	require.Eventually(t, func() bool { conns, _ := n.hub.Counts(); return conns == 1 }, 10*time.Second, 10*time.Millisecond)
	n.push("storm", "x", "1")
	bystander.expect(`42["x",1]`)
	bystander.Close()
	n.empty()
}

// TestRoomsAreNoSocketIDs: a room named like another client's session gives nothing of it.
func TestRoomsAreNoSocketIDs(t *testing.T) {
	n := start(t)
	w, answer, err := rawclient.Socket(n.addr, "")
	require.NoError(t, err)
	defer w.Close()
	var connect struct{ Sid string }
	require.NoError(t, json.Unmarshal([]byte(answer[2:]), &connect))
	spy := n.connect("")
	spy.send(`42["loginRoom","` + connect.Sid + `","loginWhenever"]`)
	spy.expect(loggedIn(connect.Sid))
	victim := &client{t: t, WebSocket: w}
	victim.expect(welcome)
	victim.send(`42["loginRoom","456"]`)
	victim.expect(loggedIn("456"))
	n.push("456", "secret", "1")
	victim.expect(`42["secret",1]`)
	spy.quiet()
}
