package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"downlink/server/socketio/rawclient"

	"github.com/stretchr/testify/require"
)

// The rules of the Engine.IO protocol v4 that its public suite looks at, on the echo and on Socket.IO's engine alike.

const (
	echoPoll = "/engine.io/?EIO=4&transport=polling"
	echoWS   = "/engine.io/?EIO=4&transport=websocket"
	sioPoll  = "/socket.io/?EIO=4&transport=polling"
	sioWS    = "/socket.io/?EIO=4&transport=websocket"
)

func TestHandshake(t *testing.T) {
	addr := start(t)
	for _, base := range []string{"/engine.io/", "/socket.io/"} {
		status, header, body := get(t, addr, http.MethodGet, base+"?EIO=4&transport=polling")
		require.Equal(t, 200, status)
		require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"))
		requireOpen(t, body, `["websocket"]`)
		w, err := rawclient.Dial(addr, base+"?EIO=4&transport=websocket")
		require.NoError(t, err)
		requireOpen(t, read(t, w), "[]")
		w.Close()
		for _, query := range []string{
			"transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling", "EIO=5&transport=polling",
			"EIO=4", "EIO=4&transport=abc", "EIO=4&transport=polling&sid=unknown", "EIO=4&transport=websocket",
		} {
			status, _, _ := get(t, addr, http.MethodGet, base+"?"+query)
			require.Equal(t, 400, status, query)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			status, _, _ := get(t, addr, method, base+"?EIO=4&transport=polling")
			require.Equal(t, 400, status, method)
		}
		for _, query := range []string{"transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"} {
			_, err := rawclient.Dial(addr, base+"?"+query)
			require.Error(t, err, query)
		}
	}
}

func TestEchoOverPolling(t *testing.T) {
	addr := startCalm(t)
	for _, payload := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4聊天"} {
		p := poll(t, addr, echoPoll)
		status, body, err := p.Post(payload)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, "ok", body)
		status, body, err = p.Get()
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, payload, body)
	}
}

func TestEchoOverWebSocket(t *testing.T) {
	addr := startCalm(t)
	w := ws(t, addr, echoWS)
	for _, packet := range []string{"4hello", "b:\x01\x02\x03\x04", "4", "b:", "4" + strings.Repeat("x", 100_000)} {
		send(t, w, packet)
		require.Equal(t, packet, read(t, w))
	}
}

func TestInvalidPacketEndsTheSession(t *testing.T) {
	addr := startCalm(t)
	p := poll(t, addr, echoPoll)
	status, _, err := p.Post("abc")
	require.NoError(t, err)
	require.Equal(t, 400, status)
	requireGone(t, p)
	w := ws(t, addr, echoWS)
	send(t, w, "abc")
	requireClosed(t, w)
}

func TestSecondPollEndsTheSession(t *testing.T) {
	addr := startCalm(t)
	p := poll(t, addr, echoPoll)
	first := make(chan string, 1)
	go func() {
		_, body, err := p.Get()
		if err != nil {
			body = err.Error()
		}
		first <- body
	}()
	time.Sleep(50 * time.Millisecond) // the first has to wait by now; the suite does the same
	status, _, _ := get(t, addr, http.MethodGet, echoPoll+"&sid="+p.SID)
	require.Equal(t, 400, status)
	require.Equal(t, "1", <-first)
	requireGone(t, p)
}

func TestHeartbeatOverPolling(t *testing.T) {
	addr := start(t)
	p := poll(t, addr, echoPoll)
	for range 3 {
		status, body, err := p.Get()
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, "2", body)
		status, _, err = p.Post("3")
		require.NoError(t, err)
		require.Equal(t, 200, status)
	}
	silent := poll(t, addr, echoPoll)
	time.Sleep(500 * time.Millisecond) // what the suite waits, interval and timeout
	requireGone(t, silent)
}

func TestHeartbeatOverWebSocket(t *testing.T) {
	addr := start(t)
	w := ws(t, addr, echoWS)
	for range 3 {
		require.Equal(t, "2", read(t, w))
		send(t, w, "3")
	}
	silent := ws(t, addr, echoWS)
	begin := time.Now()
	requireClosed(t, silent)
	require.Less(t, time.Since(begin), patient)
}

func TestClientCloses(t *testing.T) {
	addr := startCalm(t)
	p := poll(t, addr, echoPoll)
	pending := make(chan string, 1)
	go func() {
		_, body, err := p.Get()
		if err != nil {
			body = err.Error()
		}
		pending <- body
	}()
	status, _, err := p.Post("1")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Equal(t, "6", <-pending)
	requireGone(t, p)
	w := ws(t, addr, echoWS)
	send(t, w, "1")
	requireClosed(t, w)
}

func TestUpgrade(t *testing.T) {
	addr := startCalm(t)
	for _, base := range []string{"/engine.io/", "/socket.io/"} {
		p := poll(t, addr, base+"?EIO=4&transport=polling")
		path := base + "?EIO=4&transport=websocket&sid=" + p.SID
		w := ws(t, addr, path)
		send(t, w, "2probe")
		require.Equal(t, "3probe", read(t, w))
		status, body, err := p.Get()
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, "6", body)
		send(t, w, "5")
		if base == "/engine.io/" {
			send(t, w, "4hello")
			require.Equal(t, "4hello", read(t, w))
		} else {
			send(t, w, "40")
			require.Regexp(t, `^40\{"sid"`, read(t, w))
			require.Equal(t, `42["auth",{}]`, read(t, w))
		}
		requireGone(t, p)
		second := ws(t, addr, path)
		requireClosed(t, second)
	}
}

func TestMaxPayload(t *testing.T) {
	addr := startCalm(t)
	w := ws(t, addr, echoWS)
	send(t, w, "4"+strings.Repeat("x", 1_000_000))
	requireClosed(t, w)
	p := poll(t, addr, echoPoll)
	status, _, err := p.Post("4" + strings.Repeat("x", 1_000_000))
	if err == nil {
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
	}
}
