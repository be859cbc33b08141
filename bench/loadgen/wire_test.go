package loadgen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serverFrame is a frame as a server sends it.
func serverFrame(op byte, payload string) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = append(b, 126, byte(n>>8), byte(n))
	default:
		b = append(b, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, payload...)
}

func TestParseFrame(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		payload := strings.Repeat("x", size)
		frame := serverFrame(opText, payload)
		for _, short := range []int{0, 1, 2, 3, 9, len(frame) - 1} {
			if short < len(frame) {
				_, _, n, err := parseFrame(frame[:short])
				require.NoError(t, err)
				require.Zero(t, n, "%d of %d bytes", short, len(frame))
			}
		}
		op, got, n, err := parseFrame(append(frame, "more"...))
		require.NoError(t, err)
		require.EqualValues(t, opText, op)
		require.Equal(t, payload, string(got))
		require.Equal(t, len(frame), n)
	}
}

func TestParseFrameRefuses(t *testing.T) {
	for name, frame := range map[string][]byte{
		"a fragment":      {0x01, 1, 'x'},
		"a continuation":  {0x80, 1, 'x'},
		"binary":          {0x82, 1, 'x'},
		"compressed":      {0xC1, 1, 'x'},
		"masked":          {0x81, 0x81, 0, 0, 0, 0, 'x'},
		"a gigantic size": {0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a negative size": {0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		_, _, _, err := parseFrame(frame)
		require.Error(t, err, name)
	}
}

func TestClientFrame(t *testing.T) {
	// RFC 6455 §5.7: a single-frame masked text message.
	require.Equal(t, []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58},
		clientFrame(opText, []byte("Hello"), [4]byte{0x37, 0xfa, 0x21, 0x3d}))
	long := clientFrame(opText, bytes.Repeat([]byte("x"), 300), [4]byte{})
	require.Equal(t, []byte{0x81, 0x80 | 126, 1, 44}, long[:4])
	require.Len(t, long, 2+2+4+300)
}

func TestAcceptKey(t *testing.T) {
	// RFC 6455 §1.3.
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", acceptKey("dGhlIHNhbXBsZSBub25jZQ=="))
}

func TestParseResponse(t *testing.T) {
	const full = "HTTP/1.1 200 OK\r\nX: 1\r\ncontent-LENGTH:  5 \r\n\r\nhello"
	for n := range len(full) {
		_, used, err := parseResponse([]byte(full[:n]))
		require.NoError(t, err)
		require.Zero(t, used, "%d bytes", n)
	}
	r, n, err := parseResponse([]byte(full + "HTTP/1.1 "))
	require.NoError(t, err)
	require.Equal(t, len(full), n)
	require.Equal(t, 200, r.status)
	require.Equal(t, "hello", string(r.body))
	x, ok := r.header("x")
	require.True(t, ok)
	require.Equal(t, "1", string(x))
	_, ok = r.header("y")
	require.False(t, ok)

	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
	r, n, err = parseResponse([]byte(upgrade + "\x81\x00"))
	require.NoError(t, err)
	require.Equal(t, len(upgrade), n, "the first frame is not part of it")
	require.Equal(t, 101, r.status)

	for name, bad := range map[string]string{
		"another protocol":  "ICY 200 OK\r\n\r\n",
		"no status":         "HTTP/1.1 abc\r\n\r\n",
		"too short":         "HTTP/1.1\r\n\r\n",
		"no length":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a negative length": "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"a silly length":    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"an endless head":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead),
	} {
		_, _, err := parseResponse([]byte(bad))
		require.Error(t, err, name)
	}
}

func TestOpenSID(t *testing.T) {
	sid, err := openSID(`{"sid":"abc","upgrades":[]}`)
	require.NoError(t, err)
	require.Equal(t, "abc", sid)
	for _, bad := range []string{"", "{}", "[]", `{"sid":1}`} {
		_, err := openSID(bad)
		require.Error(t, err, bad)
	}
}
