package loadgen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// packetOf is the packet a server sends for a push.
func packetOf(seq int64, room int32, size int) []byte {
	return append(appendData([]byte(packetHead), seq, room, size), packetTail...)
}

func TestPacketRoundTrip(t *testing.T) {
	for _, c := range []struct {
		seq  int64
		room int32
		size int
	}{
		{0, toEveryone, MinSize}, {1, 0, MinSize + 1}, {62, 7, 128}, {63, toNobody, 128},
		{9_999_999_999, MaxClients, 4096}, {5, 3, MaxSize},
	} {
		packet := packetOf(c.seq, c.room, c.size)
		seq, room, size, ok := parsePacket(packet)
		require.True(t, ok)
		require.Equal(t, c.seq, seq)
		require.Equal(t, c.room, room)
		require.Equal(t, c.size, size)

		var event []json.RawMessage
		require.NoError(t, json.Unmarshal(packet[2:], &event))
		require.Len(t, event, 2)
		require.Len(t, event[1], c.size)
	}
}

func TestEveryChangedByteIsSeen(t *testing.T) {
	packet := packetOf(41, 6, 100)
	for i := range packet {
		bad := bytes.Clone(packet)
		bad[i] ^= 1
		seq, room, _, ok := parsePacket(bad)
		// A changed digit may make another valid number: the filling gives away a changed push number, the ledger a
		// changed room.
		require.True(t, !ok || seq == 41 && room != 6, "byte %d: %s", i, bad)
	}
	for n := range packet {
		_, _, _, ok := parsePacket(packet[:n])
		require.False(t, ok, "cut to %d bytes", n)
	}
	_, _, _, ok := parsePacket(packetOf(41, 6, MaxSize+1)[:MaxSize])
	require.False(t, ok)
}

func TestPushIsGoodHTTPAndJSON(t *testing.T) {
	for room, name := range map[int32]any{toEveryone: nil, toNobody: "bench-nobody", 7: "bench-000007"} {
		raw := appendPush(nil, "127.0.0.1:3001", 12, room, 128)
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		require.NoError(t, err)
		require.Equal(t, "POST", r.Method)
		require.Equal(t, "/push", r.URL.Path)
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.True(t, bytes.HasSuffix(raw, body), "Content-Length is the body's")

		var push map[string]any
		require.NoError(t, json.Unmarshal(body, &push))
		require.Equal(t, name, push["roomId"])
		require.Equal(t, eventName, push["eventName"])
		_, _, _, ok := parsePacket([]byte(packetHead + string(cutData(t, body)) + packetTail))
		require.True(t, ok)
	}
}

func cutData(t *testing.T, body []byte) []byte {
	var push struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(t, json.Unmarshal(body, &push))
	return push.Data
}
