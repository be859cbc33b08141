package engineio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUpgrade(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, reader)
		p := b.poll()
		s := b.client().s
		require.Equal(t, "polling", s.Transport())
		require.NotEmpty(t, s.RemoteAddr())
		c := b.ws(strings.Replace(p.q, "polling", "websocket", 1))
		c.send("2probe")
		require.Equal(t, "3probe", c.text())
		require.True(t, s.Upgrading())
		p.want("6") // the client's poll has to come back before it sends "5"
		c.send("5")
		c.send("4hello")
		require.Equal(t, "4hello", c.text())
		require.False(t, s.Upgrading())
		require.Equal(t, "websocket", s.Transport())
		require.Equal(t, c.nc.LocalAddr().String(), s.RemoteAddr())
		require.Equal(t, uint64(1), b.srv.Stats().Upgraded)
	})
}

func TestUpgradeTakesTheQueueAlong(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	s := b.client().s
	c := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	require.Equal(t, "3probe", c.text())
	s.Send(TextMessage("one"), TextMessage("two"))
	c.send("5")
	require.Equal(t, "4one", c.text())
	require.Equal(t, "4two", c.text())
}

func TestProbeEndsThePollThatWaits(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	answer := p.later()
	p.waiting()
	c := b.ws(strings.Replace(p.q, "polling", "websocket", 1))
	c.send("2probe")
	require.Equal(t, "3probe", c.text())
	require.Equal(t, "6", recv(t, answer))
}

func TestPollingAfterUpgradeIsRefused(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	c := p.upgrade()
	status, _ := p.get() // it may even overtake the "5"
	require.Equal(t, 400, status)
	status, _ = p.post("4no")
	require.Equal(t, 400, status)
	c.send("4hello")
	require.Equal(t, "4hello", c.text())
	require.Equal(t, []string{"t:hello"}, b.client().received())
}

func TestSecondWebSocketOfASession(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	c := p.upgrade()
	c.send("4hello")
	require.Equal(t, "4hello", c.text())
	thief := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
	require.Equal(t, closePolicy, thief.closing())
	direct := b.socket()
	s := b.client()
	_ = s
	var sid string
	b.srv.Range(func(s *Session) {
		if s.ID() != p.sid {
			sid = s.ID()
		}
	})
	thief = b.ws("EIO=4&transport=websocket&sid=" + sid)
	require.Equal(t, closePolicy, thief.closing())
	for _, c := range []*ws{c, direct} {
		c.send("4still mine")
		require.Equal(t, "4still mine", c.text())
	}
}

func TestSecondUpgradeAtTheSameTime(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	first := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
	first.send("2probe")
	require.Equal(t, "3probe", first.text())
	require.Equal(t, closePolicy, b.ws("EIO=4&transport=websocket&sid="+p.sid).closing())
	first.send("5")
	first.send("4hello")
	require.Equal(t, "4hello", first.text())
}

func TestFailedUpgradeLeavesPollingAlone(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { reader(o); o.UpgradeTimeout = 100 * time.Millisecond })
		p := b.poll()
		s := b.client().s
		for name, f := range map[string]func(c *ws){
			"upgrade without probe": func(c *ws) { c.send("5"); require.Equal(t, closeProtocol, c.closing()) },
			"message":               func(c *ws) { c.send("4hello"); require.Equal(t, closeProtocol, c.closing()) },
			"bytes":                 func(c *ws) { c.sendBinary("2probe"); require.Equal(t, closeProtocol, c.closing()) },
			"unmasked":              func(c *ws) { c.raw(0x81, 1, '2'); require.Equal(t, closeProtocol, c.closing()) },
			"invalid text": func(c *ws) {
				c.raw(maskedFrame(finBit|opText, []byte{0xff})...)
				require.Equal(t, closeUTF8, c.closing())
			},
			"close frame": func(c *ws) {
				c.raw(maskedFrame(finBit|opClose, []byte{0x0b, 0xb8})...)
				require.Equal(t, 3000, c.closing())
			},
			"hang up":    func(c *ws) { c.send("2probe"); c.text(); c.nc.Close() },
			"never ends": func(c *ws) { c.send("2probe"); c.text(); require.Zero(t, c.closing()) },
		} {
			t.Run(name, func(t *testing.T) {
				f(b.ws("EIO=4&transport=websocket&sid=" + p.sid))
				require.Eventually(t, func() bool {
					s.mu.Lock()
					defer s.mu.Unlock()
					return s.up == nil
				}, patience, time.Millisecond)
				require.False(t, s.Upgrading())
				p.post("4hello")
				p.want("4hello")
			})
		}
		c := p.upgrade()
		c.send("4at last")
		require.Equal(t, "4at last", c.text())
		time.Sleep(200 * time.Millisecond) // the upgrade's timeout is off
		c.send("4still")
		require.Equal(t, "4still", c.text())
	})
}

func TestSessionClosedDuringUpgrade(t *testing.T) {
	b := newBed(t, nil)
	p := b.poll()
	c := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	require.Equal(t, "3probe", c.text())
	s := b.client()
	s.s.Close("because")
	require.Zero(t, c.closing())
	p.want("1")
	require.Equal(t, "because", s.reason(t))
}

// A publisher sends while the client polls, upgrades and goes on: everything arrives once and in order.
func TestOutboundOrderOverUpgrade(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		const n = 2000
		b := newBed(t, reader)
		p := b.poll()
		s := b.client().s
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range n {
				s.Send(TextMessage(fmt.Sprint(i)))
				if i%20 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
		var got []string
		take := func() bool { // one poll, as the client does it
			_, body := p.get()
			for _, packet := range strings.Split(body, "\x1e") {
				if packet[0] == '4' {
					got = append(got, packet[1:])
				}
			}
			return body != "6"
		}
		for len(got) < n/4 {
			take()
		}
		c := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
		answer := p.later() // pending while the probe goes on
		c.send("2probe")
		require.Equal(t, "3probe", c.text())
		for _, packet := range strings.Split(recv(t, answer), "\x1e") {
			if packet[0] == '4' {
				got = append(got, packet[1:])
			}
		}
		take()
		c.send("5")
		for len(got) < n {
			got = append(got, c.text()[1:])
		}
		recv(t, sent)
		for i := range got {
			require.Equal(t, fmt.Sprint(i), got[i])
		}
	})
}

// The client's messages keep their order too, even if its last POST is still being handled when frames come.
func TestInboundOrderOverUpgrade(t *testing.T) {
	b := newBed(t, nil, func(c *client) {
		c.message = func(_ *client, p []byte, _ bool) error {
			if strings.HasPrefix(string(p), "post") {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
	})
	p := b.poll()
	var want []string
	var body []string
	for i := range 50 {
		body = append(body, fmt.Sprintf("4post %d", i))
		want = append(want, fmt.Sprintf("t:post %d", i))
	}
	c := b.ws("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	require.Equal(t, "3probe", c.text())
	posted := make(chan struct{})
	go func() { defer close(posted); p.post(strings.Join(body, "\x1e")) }()
	s := b.client()
	require.Eventually(t, func() bool { return len(s.received()) > 0 }, patience, time.Millisecond)
	c.send("5")
	for i := range 50 {
		c.send(fmt.Sprintf("4frame %d", i))
		want = append(want, fmt.Sprintf("t:frame %d", i))
	}
	recv(t, posted)
	require.Eventually(t, func() bool { return len(s.received()) == len(want) }, patience, time.Millisecond)
	require.Equal(t, want, s.received())
}
