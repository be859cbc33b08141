package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the command as a person would and returns its address.
func start(t *testing.T, args ...string) (addr string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"--addr", "127.0.0.1:0"}, args...), w)
		_ = w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "ready on http://")
	require.True(t, ok, line)
	return addr
}

// startCalm is start without heartbeats in between, for tests that are about something else.
func startCalm(t *testing.T) (addr string) {
	t.Helper()
	return start(t, "--ping-interval", "20s", "--ping-timeout", "20s")
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"--nothing"}, {"--ping-interval", "x"}, {"--ping-interval", "-1s"}, {"--addr", "nowhere:x"}} {
		require.Error(t, run(t.Context(), args, io.Discard), args)
	}
}

// ws opens a WebSocket and reads OPEN.
func ws(t *testing.T, addr, path string) *rawclient.WebSocket {
	t.Helper()
	w, err := rawclient.Dial(addr, path)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	if !strings.Contains(path, "&sid=") {
		require.Regexp(t, `^0\{"sid":`, read(t, w))
	}
	return w
}

func poll(t *testing.T, addr, path string) *rawclient.Polling {
	t.Helper()
	p, err := rawclient.DialPolling(addr, path)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// read is the next packet, heartbeats included; binary ones begin with "b:".
func read(t *testing.T, w *rawclient.WebSocket) string {
	t.Helper()
	m, err := w.ReadAny(rawclient.Patience)
	require.NoError(t, err)
	if m.Binary {
		return "b:" + m.Data
	}
	return m.Data
}

func send(t *testing.T, w *rawclient.WebSocket, packets ...string) {
	t.Helper()
	for _, p := range packets {
		if b, ok := strings.CutPrefix(p, "b:"); ok {
			require.NoError(t, w.SendBinary([]byte(b)))
		} else {
			require.NoError(t, w.Send(p))
		}
	}
}

func requireClosed(t *testing.T, w *rawclient.WebSocket) {
	t.Helper()
	for {
		if _, err := w.ReadAny(rawclient.Patience); err != nil {
			var timeout net.Error
			require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection stayed open")
			return
		}
	}
}

func requireOpen(t *testing.T, packet, upgrades string) {
	t.Helper()
	var open map[string]json.RawMessage
	require.Equal(t, "0", packet[:1])
	require.NoError(t, json.Unmarshal([]byte(packet[1:]), &open))
	require.Len(t, open, 5)
	require.Regexp(t, `^"[\w-]+"$`, string(open["sid"]))
	require.JSONEq(t, upgrades, string(open["upgrades"]))
	require.Equal(t, "300 200 1000000",
		string(open["pingInterval"])+" "+string(open["pingTimeout"])+" "+string(open["maxPayload"]))
}

func get(t *testing.T, addr, method, path string) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: rawclient.Patience}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(b)
}

// requireGone shows that a polling session has ended.
func requireGone(t *testing.T, p *rawclient.Polling) {
	t.Helper()
	status, body, err := p.Get()
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, status, body)
}

const patient = 5 * time.Second
