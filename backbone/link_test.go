package backbone

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// peer is the server's side of a link.
type peer struct {
	net.Conn
	in *bufio.Reader
}

func (p *peer) line(t *testing.T) string {
	t.Helper()
	s, err := p.in.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(s, "\r\n")
}

// send writes what the server says, in pieces of n bytes, so that nothing depends on where a read ends.
func (p *peer) send(t *testing.T, n int, text string) {
	t.Helper()
	for len(text) > 0 {
		n = min(n, len(text))
		_, err := p.Write([]byte(text[:n]))
		require.NoError(t, err)
		text = text[n:]
	}
}

// dialPeer returns a link and its peer, past the greeting.
func dialPeer(t *testing.T, deliver func(live)) (*link, *peer) {
	t.Helper()
	here, there := net.Pipe()
	p := &peer{there, bufio.NewReader(there)}
	require.NoError(t, there.SetDeadline(time.Now().Add(patience)))
	type dialed struct {
		l   *link
		err error
	}
	done := make(chan dialed, 1)
	go func() {
		l, err := dialLink(here, 7, deliver)
		done <- dialed{l, err}
	}()
	p.send(t, 5, "INFO {\"headers\":true}\r\n")
	require.Contains(t, p.line(t), "CONNECT {")
	require.Equal(t, "SUB ack.7.* 1", p.line(t))
	require.Equal(t, "SUB live.> 2", p.line(t))
	require.Equal(t, "PING", p.line(t))
	p.send(t, 5, "PONG\r\n")
	d := <-done
	require.NoError(t, d.err)
	t.Cleanup(func() {
		d.l.close(ErrClosed)
		<-d.l.ended
		_ = there.Close()
	})
	return d.l, p
}

func TestLinkPublishes(t *testing.T) {
	l, p := dialPeer(t, nil)
	require.Equal(t, "ack.7.0", l.newSlot().subject)
	require.Equal(t, "ack.7.1", l.newSlot().subject)
	go func() {
		_ = l.publish("hist.g", "ack.7.0", "", "", []byte("a\r\nb"))
		_ = l.publish("hist.g", "ack.7.1", "Name", "value", []byte("abc"))
		_ = l.publish("hist.g", "ack.7.1", "", "", nil)
	}()
	for _, want := range []string{
		"PUB hist.g ack.7.0 4", "a", "b", "HPUB hist.g ack.7.1 25 28", "NATS/1.0", "Name: value", "", "abc",
		"PUB hist.g ack.7.1 0", "",
	} {
		require.Equal(t, want, p.line(t))
	}
}

func TestLinkReadsAcknowledgements(t *testing.T) {
	for answer, want := range map[string]ack{
		`{"stream":"HIST","seq":18}`:                        {seq: 18},
		`{"stream":"HIST", "seq": 18, "domain":"d"}`:        {seq: 18},
		`{"stream":"HIST","seq":18,"duplicate": true}`:      {seq: 18, duplicate: true},
		`{"stream":"HIST","seq":18446744073709551615}`:      {seq: 1<<64 - 1},
		`{"error":{"err_code":10071,"description":"last"}}`: {err: &ackError{10071, "last"}},
	} {
		for _, n := range []int{1, 7, 1000} {
			l, p := dialPeer(t, nil)
			l.newSlot()
			s := l.newSlot()
			p.send(t, n, fmt.Sprintf("MSG ack.7.1 1 %d\r\n%s\r\n", len(answer), answer))
			require.Equal(t, want, <-s.acks)
		}
	}
	l, p := dialPeer(t, nil)
	s := l.newSlot()
	for _, bad := range []string{"", "{", `{"seq":0}`, `{"seq":-1}`, `{"seq":}`} {
		p.send(t, 1000, fmt.Sprintf("MSG ack.7.0 1 %d\r\n%s\r\n", len(bad), bad))
		require.Error(t, (<-s.acks).err, "%q", bad)
	}
	p.send(t, 1000, "HMSG ack.7.0 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")
	require.Equal(t, errNoStream, (<-s.acks).err)
}

func TestLinkReadsLiveMessages(t *testing.T) {
	header := "NATS/1.0\r\nNats-Msg-Id: x\r\nNats-Stream: HIST\r\nNats-Sequence: 42\r\n" +
		"Nats-Time-Stamp: 2026-01-02T03:04:05.000000006Z\r\nNats-Last-Sequence: 41\r\n\r\n"
	for _, size := range []int{0, 1, 100, linkBuffer - 10, 3 * linkBuffer} {
		for _, n := range []int{1009, 1 << 20} {
			got := make(chan live, 2)
			_, p := dialPeer(t, func(m live) { got <- m })
			data := strings.Repeat("\r\nMSG x", size/7+1)[:size]
			text := fmt.Sprintf("HMSG live.r.NDU2 2 %d %d\r\n%s%s\r\n", len(header), len(header)+size, header, data)
			p.send(t, n, text+text)
			for range 2 {
				m := <-got
				s, err := m.stored()
				require.NoError(t, err)
				require.EqualValues(t, 42, s.seq)
				require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), s.time)
				require.Equal(t, "r.NDU2", string(s.token))
				require.True(t, bytes.Equal([]byte(data), s.data))
			}
		}
	}
}

func TestLinkAnswersPings(t *testing.T) {
	_, p := dialPeer(t, nil)
	p.send(t, 1000, "INFO {}\r\nPING\r\n")
	require.Equal(t, "PONG", p.line(t))
}

func TestLinkEndsAtWhatItDoesNotUnderstand(t *testing.T) {
	for _, text := range []string{
		"-ERR 'Slow Consumer'\r\n",
		"MSG\r\nMSG \r\n",
		"MSG ack.7.0 1 x\r\n",
		"MSG ack.7.0 1 -1\r\n",
		"MSG ack.7.0 1 99999999999999999999999\r\n",
		"HMSG live.g 2 5 4\r\nabcd\r\n",
		"HMSG live.g 2 4\r\nabcd\r\n",
		"MSG ack.7.9 1 1\r\nx\r\n",
		"MSG ack.6.0 1 99999\r\nx\r\n",
		"MSG a 1 1\r\nx\r\n",
		strings.Repeat("x", linkBuffer+1),
	} {
		l, p := dialPeer(t, func(live) {})
		l.newSlot()
		_, _ = p.Write([]byte(text))
		select {
		case <-l.dead:
		case <-time.After(patience):
			t.Fatalf("%q: still alive", text)
		}
		require.ErrorIs(t, l.publish("hist.g", "ack.7.0", "", "", nil), errLinkLost)
	}
}

func TestLinkRefusedByTheServer(t *testing.T) {
	here, there := net.Pipe()
	go func() {
		r := bufio.NewReader(there)
		_, _ = there.Write([]byte("INFO {}\r\n"))
		for range 4 {
			_, _ = r.ReadString('\n')
		}
		_, _ = there.Write([]byte("-ERR 'Authorization Violation'\r\n"))
	}()
	_, err := dialLink(here, 1, nil)
	require.ErrorContains(t, err, "Authorization Violation")
}

func TestQueueDropsWhenFullAndSaysSo(t *testing.T) {
	q := newQueue(2)
	for i := range 5 {
		q.add(live{token: []byte{byte(i)}})
	}
	<-q.wake
	items, dropped := q.take(nil)
	require.Len(t, items, 2)
	require.True(t, dropped)
	q.add(live{})
	<-q.wake
	items, dropped = q.take(items)
	require.Len(t, items, 1)
	require.False(t, dropped)
	q.doubt()
	<-q.wake
	items, dropped = q.take(items)
	require.Empty(t, items)
	require.True(t, dropped)
}
