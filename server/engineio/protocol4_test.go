package engineio

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rules of the Engine.IO protocol text, version 4, each as a test named after it.

func TestPollingHandshake(t *testing.T) {
	b := newBed(t, fast)
	status, body, h := b.do("GET", "EIO=4&transport=polling", "")
	require.Equal(t, 200, status)
	require.Equal(t, "text/plain; charset=UTF-8", h.Get("Content-Type"))
	require.Equal(t, byte('0'), body[0])
	var d map[string]any
	require.NoError(t, json.Unmarshal([]byte(body[1:]), &d))
	require.Len(t, d["sid"], 20)
	delete(d, "sid")
	require.Equal(t, map[string]any{
		"upgrades": []any{"websocket"}, "pingInterval": 300.0, "pingTimeout": 200.0, "maxPayload": 1e6,
	}, d)
	require.Equal(t, 1, b.srv.Count())
}

func TestWebSocketHandshakeOffersNoUpgrade(t *testing.T) {
	b := newBed(t, fast)
	c := b.ws("EIO=4&transport=websocket")
	var d openData
	open := c.text()
	require.Equal(t, byte('0'), open[0])
	require.NoError(t, json.Unmarshal([]byte(open[1:]), &d))
	require.Equal(t, openData{d.SID, []string{}, 300, 200, 1_000_000}, d)
	require.Equal(t, d.SID, b.client().s.ID())
}

func TestRequestsThatCannotBeServed(t *testing.T) {
	b := newBed(t, func(o *Options) {
		o.Allow = func(r *http.Request) error {
			if r.Header.Get("Origin") == "http://evil.example" {
				return http.ErrNotSupported
			}
			return nil
		}
	})
	sid := b.poll().sid
	for _, x := range []struct {
		name, method, query string
		status              int
		body                string
		header              []string
	}{
		{"no EIO", "GET", "transport=polling", 400, `{"code":5,"message":"Unsupported protocol version"}`, nil},
		{"EIO abc", "GET", "EIO=abc&transport=polling", 400, `{"code":5,"message":"Unsupported protocol version"}`, nil},
		{"EIO 3 while off", "GET", "EIO=3&transport=polling", 400, `{"code":5,"message":"Unsupported protocol version"}`, nil},
		{"no transport", "GET", "EIO=4", 400, `{"code":0,"message":"Transport unknown"}`, nil},
		{"unknown transport", "GET", "EIO=4&transport=constructor", 400, `{"code":0,"message":"Transport unknown"}`, nil},
		{"POST handshake", "POST", "EIO=4&transport=polling", 400, `{"code":2,"message":"Bad handshake method"}`, nil},
		{"PUT handshake", "PUT", "EIO=4&transport=polling", 400, `{"code":2,"message":"Bad handshake method"}`, nil},
		{"unknown sid, GET", "GET", "EIO=4&transport=polling&sid=nope", 400, `{"code":1,"message":"Session ID unknown"}`, nil},
		{"unknown sid, POST", "POST", "EIO=4&transport=polling&sid=nope", 400, `{"code":1,"message":"Session ID unknown"}`, nil},
		{"empty sid", "GET", "EIO=4&transport=polling&sid=", 400, `{"code":1,"message":"Session ID unknown"}`, nil},
		{"PUT to a session", "PUT", "EIO=4&transport=polling&sid=" + sid, 400, `{"code":3,"message":"Bad request"}`, nil},
		{"websocket without upgrade", "GET", "EIO=4&transport=websocket", 400, `{"code":3,"message":"Bad request"}`, nil},
		{"polling with upgrade", "GET", "EIO=4&transport=polling", 400, `{"code":3,"message":"Bad request"}`,
			[]string{"Upgrade", "websocket", "Connection", "Upgrade"}},
		{"JSONP", "GET", "EIO=4&transport=polling&j=0", 400, `{"code":3,"message":"Bad request"}`, nil},
		{"query that is none", "GET", "EIO=4&transport=polling&%zz", 400, `{"code":3,"message":"Bad request"}`, nil},
		{"refused origin", "GET", "EIO=4&transport=polling", 403, `{"code":4,"message":"Forbidden"}`,
			[]string{"Origin", "http://evil.example"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			status, body, h := b.do(x.method, x.query, "", x.header...)
			require.Equal(t, x.status, status)
			require.Equal(t, x.body, body)
			require.Equal(t, "application/json", h.Get("Content-Type"))
		})
	}
	require.Equal(t, 1, b.srv.Count(), "the session that was there is unharmed")

	for _, x := range []struct {
		name, query string
		status      int
		header      []string
	}{
		{"websocket, no EIO", "transport=websocket", 400, nil},
		{"websocket, EIO abc", "EIO=abc&transport=websocket", 400, nil},
		{"websocket, no transport", "EIO=4", 400, nil},
		{"websocket, unknown transport", "EIO=4&transport=abc", 400, nil},
		{"websocket, unknown sid", "EIO=4&transport=websocket&sid=nope", 400, nil},
		{"websocket, refused origin", "EIO=4&transport=websocket", 403, []string{"Origin", "http://evil.example"}},
		{"upgrade, refused origin", "EIO=4&transport=websocket&sid=" + sid, 403, []string{"Origin", "http://evil.example"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := dialWS(b.addr, x.query, x.header...)
			var e *errStatus
			require.ErrorAs(t, err, &e)
			require.Equal(t, x.status, e.code)
		})
	}
}

func TestUpgradeRequestThatIsNoWebSocket(t *testing.T) {
	b := newBed(t, nil)
	for name, header := range map[string][]string{
		"h2c":         {"Upgrade", "h2c", "Connection", "Upgrade"},
		"no key":      {"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13"},
		"short key":   {"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "YQ=="},
		"old version": {"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "8", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, h := b.do("GET", "EIO=4&transport=websocket", "", header...)
			if name == "old version" {
				require.Equal(t, 426, status)
				require.Equal(t, "13", h.Get("Sec-Websocket-Version"))
				return
			}
			require.Equal(t, 400, status)
		})
	}
	t.Run("HTTP/1.0", func(t *testing.T) { // RFC 6455 §4.2.1
		c := rawDial(t, b.addr)
		defer c.nc.Close()
		c.raw([]byte("GET /?EIO=4&transport=websocket HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\n" +
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")...)
		resp, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 400, resp.StatusCode)
	})
	require.Zero(t, b.srv.Count())
}

func TestPreflightAndCORSOnEveryAnswer(t *testing.T) {
	b := newBed(t, func(o *Options) {
		o.CORS = func(h http.Header, r *http.Request) {
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		}
	})
	for _, x := range []struct {
		method, query string
		status        int
	}{{"OPTIONS", "EIO=4&transport=polling", 204}, {"GET", "EIO=4&transport=polling", 200}, {"GET", "EIO=9", 400}} {
		status, _, h := b.do(x.method, x.query, "", "Origin", "http://page.example")
		require.Equal(t, x.status, status)
		require.Equal(t, "http://page.example", h.Get("Access-Control-Allow-Origin"))
	}
}

func TestPollingMessages(t *testing.T) {
	for name, x := range map[string]struct{ body, echo string }{
		"one text packet":      {"4hello", "4hello"},
		"several text packets": {"4test1\x1e4test2\x1e4test3", "4test1\x1e4test2\x1e4test3"},
		"text and binary":      {"4hello\x1ebAQIDBA==", "4hello\x1ebAQIDBA=="},
		"empty messages":       {"4\x1eb", "4\x1eb"},
		"beyond ASCII":         {"4€\x1e4😀", "4€\x1e4😀"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newBed(t, nil).poll()
			status, body := p.post(x.body, "Content-Type", "text/plain;charset=UTF-8")
			require.Equal(t, 200, status)
			require.Equal(t, "ok", body)
			p.want(x.echo)
		})
	}
}

func TestPollWaitsForSomethingToSay(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	answer := p.later()
	p.waiting()
	b.client().s.Send(TextMessage("news"))
	require.Equal(t, "4news", recv(t, answer))
}

func TestBadPollingBodiesCloseTheSession(t *testing.T) {
	for name, body := range map[string]string{
		"no packet":          "abc",
		"empty":              "",
		"empty packet":       "4a\x1e\x1e4b",
		"trailing separator": "4a\x1e",
		"not base64":         "b!!!!",
		"not UTF-8":          "4\xff\xfe",
		"open from client":   "0{}",
		"ping from client":   "2",
		"upgrade by POST":    "5",
		"type 7":             "7",
		"close with data":    "1x",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil)
			p := b.poll()
			status, _ := p.post(body)
			require.Equal(t, 400, status)
			status, _ = p.get()
			require.Equal(t, 400, status)
			require.Equal(t, ReasonParse, b.client().reason(t))
			require.Zero(t, b.srv.Count())
		})
	}
	t.Run("binary content type", func(t *testing.T) {
		b := newBed(t, nil)
		p := b.poll()
		status, _ := p.post("4hello", "Content-Type", "application/octet-stream")
		require.Equal(t, 400, status)
		require.Equal(t, ReasonParse, b.client().reason(t))
	})
}

func TestSecondPollClosesTheSession(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	first := p.later()
	p.waiting()
	status, _ := p.get()
	require.Equal(t, 400, status)
	require.Equal(t, "1", recv(t, first))
	status, _ = p.get()
	require.Equal(t, 400, status)
	require.Equal(t, ReasonError, b.client().reason(t))
}

func TestSecondPostClosesTheSession(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	b := newBed(t, nil, func(c *client) {
		c.message = func(*client, []byte, bool) error { close(in); <-out; return nil }
	})
	p := b.poll()
	go func() {
		resp, err := http.Post(b.http.URL+"/engine.io/?"+p.q, "", strings.NewReader("4slow"))
		if err == nil {
			resp.Body.Close()
		}
	}()
	recv(t, in)
	status, _ := p.post("4second")
	require.Equal(t, 400, status)
	require.Equal(t, ReasonError, b.client().reason(t), "also while the first message is still being handled")
	close(out)
}

func TestCancelledPollClosesTheSession(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", b.http.URL+"/engine.io/?"+p.q, nil)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	p.waiting()
	cancel()
	recv(t, done)
	require.Equal(t, ReasonClient, b.client().reason(t))
	status, _ := p.get()
	require.Equal(t, 400, status)
}

func TestWebSocketMessages(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader)
		c := b.socket()
		c.send("4hello")
		require.Equal(t, "4hello", c.text())
		c.sendBinary("\x01\x02\x03\x04")
		op, p, err := c.read()
		require.NoError(t, err)
		require.Equal(t, byte(finBit|opBinary), op)
		require.Equal(t, []byte{1, 2, 3, 4}, p)
		require.Equal(t, "websocket", b.client().s.Transport())
	})
}

func TestWebSocketPacketThatIsNone(t *testing.T) {
	for name, packet := range map[string]string{"text": "abc", "empty": "", "ping from client": "2", "open": "0", "late upgrade": "5"} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil)
			c := b.socket()
			c.send(packet)
			require.Equal(t, closeProtocol, c.closing())
			require.Equal(t, ReasonParse, b.client().reason(t))
		})
	}
}

func TestPongNobodyAskedForAndNoopAreIgnored(t *testing.T) {
	c := newBed(t, nil).socket()
	c.send("3")
	c.send("6")
	c.send("4still here")
	require.Equal(t, "4still here", c.text())
}

func TestClientLeavesWhilePolling(t *testing.T) {
	t.Run("poll first", func(t *testing.T) {
		b := newBed(t, nil)
		p := b.poll()
		answer := p.later()
		p.waiting()
		status, body := p.post("1")
		require.Equal(t, 200, status)
		require.Equal(t, "ok", body)
		require.Equal(t, "6", recv(t, answer))
		status, _ = p.get()
		require.Equal(t, 400, status)
		require.Equal(t, ReasonClient, b.client().reason(t))
	})
	t.Run("post first", func(t *testing.T) {
		b := newBed(t, nil)
		p := b.poll()
		status, _ := p.post("4last words\x1e1")
		require.Equal(t, 200, status)
		c := b.client()
		require.Equal(t, ReasonClient, c.reason(t))
		require.Equal(t, []string{"t:last words"}, c.received())
		p.want("6")
		status, _ = p.get()
		require.Equal(t, 400, status)
	})
	t.Run("never polls again", func(t *testing.T) {
		b := newBed(t, fast)
		p := b.poll()
		p.post("1")
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, 10*time.Millisecond)
	})
}

func TestClientLeavesOnWebSocket(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		for name, leave := range map[string]func(c *ws){
			"close packet": func(c *ws) { c.send("1") },
			"close frame":  func(c *ws) { c.raw(maskedFrame(finBit|opClose, []byte{3, 0xe8})...) },
			"hang up":      func(c *ws) { c.nc.Close() },
		} {
			t.Run(name, func(t *testing.T) {
				b := newBed(t, reader)
				c := b.socket()
				leave(c)
				require.Equal(t, ReasonClient, b.client().reason(t))
				if name != "hang up" {
					require.Equal(t, closeNormal, c.closing())
				}
				require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
			})
		}
	})
}

func TestServerClosesAfterTheQueue(t *testing.T) {
	t.Run("websocket", func(t *testing.T) {
		b := newBed(t, nil)
		c := b.socket()
		s := b.client()
		s.s.Send(TextMessage("one"), TextMessage("two"))
		s.s.Close("because")
		s.s.Send(TextMessage("too late"))
		s.s.Close("not again")
		require.Equal(t, "4one", c.text())
		require.Equal(t, "4two", c.text())
		require.Equal(t, closeNormal, c.closing())
		require.Equal(t, "because", s.reason(t))
		require.Equal(t, uint64(1), b.srv.Stats().Closed["because"])
	})
	t.Run("polling", func(t *testing.T) {
		b := newBed(t, nil)
		p := b.poll()
		s := b.client()
		s.s.Send(TextMessage("41"))
		s.s.Close("because")
		p.want("441")
		p.want("1") // in a body of its own: a client acts on it before what stands in front of it
		status, _ := p.get()
		require.Equal(t, 400, status)
		require.Equal(t, "because", s.reason(t))
	})
	t.Run("polling, a poll waits", func(t *testing.T) {
		b := newBed(t, nil)
		p := b.poll()
		answer := p.later()
		p.waiting()
		b.client().s.Close("because")
		require.Equal(t, "1", recv(t, answer))
	})
}

func TestKillDropsTheQueue(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	s := b.client()
	s.s.Send(TextMessage("never seen"))
	require.Equal(t, 13, s.s.Queued())
	s.s.Kill("because")
	require.Zero(t, s.s.Queued())
	require.False(t, s.s.Open())
	status, _ := p.get()
	require.Equal(t, 400, status)
	require.Equal(t, "because", s.reason(t))
}

func TestClosedWhileOpening(t *testing.T) {
	for _, hard := range []bool{false, true} {
		b := newBed(t, nil, func(c *client) {
			c.s.Send(TextMessage("welcome"))
			if hard {
				c.s.Kill("unwanted")
			} else {
				c.s.Close("unwanted")
			}
		})
		c := b.socket()
		if !hard {
			require.Equal(t, "4welcome", c.text())
		}
		require.Equal(t, closeNormal, c.closing())
		require.Equal(t, "unwanted", b.client().reason(t))
		require.Eventually(t, func() bool { return b.srv.known.Load() == 0 }, patience, time.Millisecond)
	}
}

func TestWhatOpenQueuesComesRightBehindOpen(t *testing.T) {
	b := newBed(t, nil, func(c *client) { c.s.Send(TextMessage("welcome")) })
	require.Equal(t, "4welcome", b.socket().text())
	b.poll().want("4welcome")
}

func TestQuickClientIsHeard(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader)
		for range 50 { // its first frame comes in the same segment as its handshake
			c := rawDial(t, b.addr)
			frame := maskedFrame(finBit|opText, []byte("4early"))
			c.raw(append([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"+
				"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), frame...)...)
			resp, err := http.ReadResponse(c.r, nil)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, 101, resp.StatusCode)
			require.Equal(t, byte('0'), c.text()[0])
			require.Equal(t, "4early", c.text())
			c.nc.Close()
		}
	})
}
