package engineio

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rules of the Engine.IO protocol text, version 3, where they differ from version 4.

func eio3(o *Options) { o.AllowEIO3 = true }

func TestV3PollingHandshake(t *testing.T) {
	b := newBed(t, func(o *Options) { eio3(o); fast(o) })
	status, body, _ := b.do("GET", "EIO=3&transport=polling", "")
	require.Equal(t, 200, status)
	n, packet, ok := strings.Cut(body, ":")
	require.True(t, ok)
	require.Equal(t, len(packet), atoi(t, n))
	var d openData
	require.NoError(t, json.Unmarshal([]byte(packet[1:]), &d))
	require.Equal(t, openData{d.SID, []string{"websocket"}, 300, 200, 1_000_000}, d)
	require.Equal(t, 3, b.client().s.Protocol())
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(s), &n))
	return n
}

func TestV3PollingMessages(t *testing.T) {
	for name, x := range map[string]struct{ body, echo, query string }{
		"one text packet":      {"6:4hello", "6:4hello", "&b64=1"},
		"several text packets": {"6:4test16:4test26:4test3", "6:4test16:4test26:4test3", "&b64=1"},
		"base64":               {"6:4hello10:b4AQIDBA==", "6:4hello10:b4AQIDBA==", "&b64=1"},
		"characters not bytes": {"2:4€", "2:4€", ""},
		"pairs count twice":    {"3:4😀", "3:4😀", ""},
		"empty payload":        {"0:", "", "&b64=1"},
		"bytes where they can be": {"6:4hello10:b4AQIDBA==",
			"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", ""},
		"text in bytes": {"2:4€10:b4AQIDBA==", "\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newBed(t, eio3).poll3(x.query)
			status, body := p.post(x.body)
			require.Equal(t, 200, status)
			require.Equal(t, "ok", body)
			if x.echo == "" {
				return
			}
			status, got, h := p.b.do("GET", p.q, "")
			require.Equal(t, 200, status)
			require.Equal(t, x.echo, got)
			if got[0] < 2 {
				require.Equal(t, "application/octet-stream", h.Get("Content-Type"))
			}
		})
	}
}

func TestV3BinaryBody(t *testing.T) {
	b := newBed(t, eio3)
	p := b.poll3("&b64=1")
	status, _ := p.post("\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04\x00\x01\x00\xff4123456789",
		"Content-Type", "application/octet-stream")
	require.Equal(t, 200, status)
	require.Equal(t, []string{"t:€", "b:\x01\x02\x03\x04", "t:123456789"}, b.client().received())
}

func TestV3BadBodiesCloseTheSession(t *testing.T) {
	text, octets := "text/plain", "application/octet-stream"
	for name, x := range map[string]struct{ body, kind string }{
		"no length":             {"abc", text},
		"no colon":              {"6", text},
		"nothing":               {"", text},
		"too short":             {"7:4hello", text},
		"within a pair":         {"2:4😀", text},
		"endless length":        {"99999999999999999999:4", text},
		"not base64":            {"4:b4!!", text},
		"base64 of no message":  {"4:b2AA", text},
		"not UTF-8":             {"2:4\xff", text},
		"pong from client":      {"1:3", text},
		"binary: no length":     {"\x00\xff4", octets},
		"binary: no end":        {"\x00\x01", octets},
		"binary: too short":     {"\x00\x05\xff4", octets},
		"binary: unknown kind":  {"\x02\x01\xff4", octets},
		"binary: no message":    {"\x01\x02\xff\x02\x01", octets},
		"binary: empty":         {"", octets},
		"binary: not UTF-8":     {"\x00\x02\xff4\xff", octets},
		"binary: endless digit": {strings.Repeat("\x00\x09", 1) + strings.Repeat("\x09", 30) + "\xff4", octets},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, eio3)
			p := b.poll3("")
			status, _ := p.post(x.body, "Content-Type", x.kind)
			require.Equal(t, 400, status)
			status, _ = p.get()
			require.Equal(t, 400, status)
			require.Equal(t, ReasonParse, b.client().reason(t))
		})
	}
}

func TestV3WebSocketMessages(t *testing.T) {
	b := newBed(t, eio3)
	c := b.ws("EIO=3&transport=websocket")
	require.Equal(t, byte('0'), c.text()[0])
	c.send("4hello")
	require.Equal(t, "4hello", c.text())
	c.sendBinary("\x04\x01\x02\x03")
	op, p, err := c.read()
	require.NoError(t, err)
	require.Equal(t, byte(finBit|opBinary), op)
	require.Equal(t, []byte{4, 1, 2, 3}, p)
	require.Equal(t, []string{"t:hello", "b:\x01\x02\x03"}, b.client().received())
	c.sendBinary("\x02")
	require.Equal(t, closeProtocol, c.closing())
}

func TestV3ClientSendsTheHeartbeats(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		p := newBed(t, func(o *Options) { eio3(o); fast(o) }).poll3("&b64=1")
		for range 3 {
			status, _ := p.post("1:2")
			require.Equal(t, 200, status)
			p.want("1:3")
		}
	})
	t.Run("websocket", func(t *testing.T) {
		b := newBed(t, func(o *Options) { eio3(o); fast(o) })
		c := b.ws("EIO=3&transport=websocket")
		c.text()
		for range 6 { // longer than a silent client would live
			time.Sleep(100 * time.Millisecond)
			c.send("2probe")
			require.Equal(t, "3probe", c.text())
		}
	})
}

func TestV3PingTimeout(t *testing.T) {
	b := newBed(t, func(o *Options) { eio3(o); fast(o) })
	c := b.ws("EIO=3&transport=websocket")
	c.text()
	require.Equal(t, ReasonPingTimeout, b.client().reason(t))
	require.Equal(t, closeNormal, c.closing())
	inTime(t, func() bool {
		p := b.poll3("")
		s := b.client()
		time.Sleep(500 * time.Millisecond)
		status, _ := p.post("1:2")
		if status == 400 {
			require.Equal(t, ReasonPingTimeout, s.reason(t))
		}
		return status == 400
	})
}

func TestV3ClientLeaves(t *testing.T) {
	p := newBed(t, eio3).poll3("")
	answer := p.later()
	p.waiting()
	status, _ := p.post("1:1")
	require.Equal(t, 200, status)
	require.Equal(t, "1:6", recv(t, answer))
	status, _ = p.get()
	require.Equal(t, 400, status)
}

func TestV3SecondPoll(t *testing.T) {
	p := newBed(t, eio3).poll3("")
	first := p.later()
	p.waiting()
	status, _ := p.get()
	require.Equal(t, 400, status)
	require.Equal(t, "1:1", recv(t, first))
}

func TestV3Upgrade(t *testing.T) {
	b := newBed(t, eio3)
	p := b.poll3("")
	c := b.ws(strings.Replace(p.q, "polling", "websocket", 1))
	c.send("2probe")
	require.Equal(t, "3probe", c.text())
	p.want("1:6")
	c.send("5")
	c.send("4hello")
	require.Equal(t, "4hello", c.text())
	status, _ := p.get()
	require.Equal(t, 400, status)
}

func TestVersionsDoNotMix(t *testing.T) {
	b := newBed(t, eio3)
	p := b.poll()
	status, body, _ := b.do("GET", strings.Replace(p.q, "EIO=4", "EIO=3", 1), "")
	require.Equal(t, 400, status)
	require.Equal(t, `{"code":3,"message":"Bad request"}`, body)
	_, err := dialWS(b.addr, "EIO=3&transport=websocket&sid="+p.sid)
	require.Error(t, err)
	require.Equal(t, 1, b.srv.Count())
	p.post("4x")
	p.want("4x")
}

// One fan-out of shared frames reaches clients of both versions in their own form.
func TestSharedFramesBothVersions(t *testing.T) {
	b := newBed(t, eio3)
	old := b.ws("EIO=3&transport=websocket")
	old.text()
	oldPoll := b.poll3("&b64=1")
	now := b.socket()
	nowPoll := b.poll()
	batch := b.srv.Batch(TextMessage("a", "b"), BinaryMessage([]byte{9}))
	b.srv.Range(batch.Add)
	batch.Flush()
	for c, binary := range map[*ws]string{old: "\x04\x09", now: "\x09"} {
		require.Equal(t, "4ab", c.text())
		_, p, err := c.read()
		require.NoError(t, err)
		require.Equal(t, binary, string(p))
	}
	nowPoll.want("4ab\x1ebCQ==")
	oldPoll.want("3:4ab6:b4CQ==")
}

func TestHTTP10Client(t *testing.T) {
	b := newBed(t, nil)
	c := rawDial(t, b.addr)
	defer c.nc.Close()
	c.raw([]byte("GET /engine.io/?EIO=4&transport=polling HTTP/1.0\r\n\r\n")...)
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, byte('0'), raw[0])
	up := rawDial(t, b.addr)
	defer up.nc.Close()
	up.raw([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")...)
	resp, err = http.ReadResponse(up.r, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 400, resp.StatusCode)
}
