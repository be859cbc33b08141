package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take before a test gives up.
const patience = 20 * time.Second

// page is a Socket.IO client over a raw WebSocket: RFC 6455, Engine.IO protocol 4 and Socket.IO protocol 5, as little
// of each as the tests need.
type page struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// openPage connects to the main namespace and reads 2001.
func openPage(t *testing.T, addr string, header ...string) *page {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	p := &page{t: t, conn: conn, r: bufio.NewReader(conn)}
	key := base64.StdEncoding.EncodeToString(make([]byte, 16))
	_, err = fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", addr, key, strings.Join(header, ""))
	require.NoError(t, err)
	resp, err := http.ReadResponse(p.r, nil)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Regexp(t, `^0\{"sid":`, p.read())
	p.send("40")
	require.Regexp(t, `^40\{"sid":`, p.read())
	require.Equal(t, `42["downmsg",{"code":"2001","msg":"connect success"}]`, p.read())
	return p
}

// next reads the next message; an error means that the connection is over.
func (p *page) next() (string, error) {
	for {
		if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return "", err
		}
		head := make([]byte, 2)
		if _, err := io.ReadFull(p.r, head); err != nil {
			return "", err
		}
		n := uint64(head[1])
		if n >= 126 {
			long := make([]byte, 2+6*(n-126))
			if _, err := io.ReadFull(p.r, long); err != nil {
				return "", err
			}
			n = binary.BigEndian.Uint64(append(make([]byte, 8-len(long)), long...))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(p.r, payload); err != nil {
			return "", err
		}
		switch {
		case head[0] == 0x88:
			return "", io.EOF
		case bytes.Equal(payload, []byte("2")):
			p.send("3")
		default:
			return string(payload), nil
		}
	}
}

func (p *page) read() string {
	p.t.Helper()
	m, err := p.next()
	require.NoError(p.t, err)
	return m
}

// send writes one text frame, masked with zeros.
func (p *page) send(text string) {
	p.t.Helper()
	require.Less(p.t, len(text), 126)
	_, err := p.conn.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
	require.NoError(p.t, err)
}

func (p *page) login(room string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`42["loginRoom",%q]`, room))
	require.Equal(p.t, fmt.Sprintf(`42["downmsg",{"code":"2002","msg":"login room (id:%s) success"}]`, room), p.read())
}

// push posts to room, or to everyone if it is empty, and returns the answer's status and body.
func push(t *testing.T, addr, room, event, data string) (int, string) {
	t.Helper()
	body := fmt.Sprintf(`{"eventName":%q,"data":%s}`, event, data)
	if room != "" {
		body = fmt.Sprintf(`{"roomId":%q,%s`, room, body[1:])
	}
	resp, err := client.Post("http://"+addr+"/push", "application/json", strings.NewReader(`{"ROOT":{"BODY":`+body+`}}`))
	require.NoError(t, err)
	return read(t, resp)
}

const pushOK = `{"ROOT":{"BODY":{"RETURN_CODE":"0000","RETURN_MSG":"ok"}}}`

// client keeps no connection open, so that none outlives its test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) (int, string) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, strings.TrimSpace(string(body))
}
