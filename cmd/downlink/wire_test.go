package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/server/socketio/rawclient"
)

// patience is how long anything may take before a test gives up.
const patience = 20 * time.Second

// page is a Socket.IO client over a WebSocket.
type page struct {
	*rawclient.WebSocket
	t *testing.T
}

// openPage connects to the main namespace and reads 2001.
func openPage(t *testing.T, addr string) *page {
	t.Helper()
	socket, connected, err := rawclient.Socket(addr, "")
	require.NoError(t, err)
	t.Cleanup(socket.Close)
	require.Regexp(t, `^40\{"sid":`, connected)
	p := &page{socket, t}
	require.Equal(t, `42["downmsg",{"code":"2001","msg":"connect success"}]`, p.read())
	return p
}

// next reads the next message; an error means that the connection is over.
func (p *page) next() (string, error) {
	m, err := p.ReadWithin(patience)
	return m.Data, err
}

func (p *page) read() string {
	p.t.Helper()
	m, err := p.next()
	require.NoError(p.t, err)
	return m
}

func (p *page) login(room string) {
	p.t.Helper()
	require.NoError(p.t, p.Send(fmt.Sprintf(`42["loginRoom",%q]`, room)))
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
