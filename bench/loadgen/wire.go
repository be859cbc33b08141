package loadgen

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// WebSocket opcodes, RFC 6455 §5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// maxFrame bounds what is accepted as one server frame: no push is larger.
const maxFrame = MaxSize + 1024

// parseFrame reads one server frame from the front of b. n is how many bytes it takes, 0 if it is not complete yet.
// Only what a Socket.IO server without compression sends is accepted: unmasked, unfragmented text and control frames.
func parseFrame(b []byte) (op byte, payload []byte, n int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	const fin = 0x80
	op = b[0] &^ fin
	if b[0]&fin == 0 || op != opText && op != opClose && op != opPing && op != opPong || b[1]&0x80 != 0 {
		return 0, nil, 0, fmt.Errorf("frame begins with %#x %#x", b[0], b[1])
	}
	size, head := uint64(b[1]), 2
	switch size {
	case 126:
		if len(b) < 4 {
			return 0, nil, 0, nil
		}
		size, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return 0, nil, 0, nil
		}
		size, head = binary.BigEndian.Uint64(b[2:]), 10
	}
	if size > maxFrame {
		return 0, nil, 0, fmt.Errorf("frame of %d bytes", size)
	}
	n = head + int(size)
	if len(b) < n {
		return 0, nil, 0, nil
	}
	return op, b[head:n], n, nil
}

// clientFrame makes one client frame, masked as RFC 6455 §5.3 asks of clients. The payload is at most 65535 bytes.
func clientFrame(op byte, payload []byte, mask [4]byte) []byte {
	b := append(make([]byte, 0, len(payload)+8), 0x80|op)
	if len(payload) < 126 {
		b = append(b, 0x80|byte(len(payload)))
	} else {
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// acceptKey is what a server must answer to a Sec-WebSocket-Key, RFC 6455 §4.2.2.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// response is an HTTP/1.1 response in a read buffer.
type response struct {
	status int
	head   []byte // all lines up to the empty one
	body   []byte
}

// maxHead bounds the head of a response.
const maxHead = 8 << 10

// parseResponse reads one response from the front of b. n is how many bytes it takes, 0 if it is not complete yet. The
// body's length must be given by Content-Length, as both servers do for the small answers asked of them here.
func parseResponse(b []byte) (r response, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHead {
			return r, 0, errors.New("response head without end")
		}
		return r, 0, nil
	}
	const version = "HTTP/1.1 "
	head := b[:end+2]
	if len(head) < len(version)+3 || string(head[:len(version)]) != version {
		return r, 0, fmt.Errorf("response begins with %q", head[:min(len(head), 20)])
	}
	status, err := strconv.Atoi(string(head[len(version) : len(version)+3]))
	if err != nil {
		return r, 0, fmt.Errorf("response status: %w", err)
	}
	r.status, r.head = status, head
	start := end + 4
	if status == 101 {
		return r, start, nil
	}
	value, ok := r.header("content-length")
	if !ok {
		return r, 0, fmt.Errorf("response %d without Content-Length", status)
	}
	length, err := strconv.Atoi(string(value))
	if err != nil || length < 0 || length > 1<<20 {
		return r, 0, fmt.Errorf("response Content-Length %q", value)
	}
	if len(b) < start+length {
		return r, 0, nil
	}
	r.body = b[start : start+length]
	return r, start + length, nil
}

// header gives the value of the first field of that name, in any case.
func (r *response) header(name string) ([]byte, bool) {
	for line := range bytes.Lines(r.head) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}

// base64Key is the Sec-WebSocket-Key of a nonce.
func base64Key(nonce [16]byte) string { return base64.StdEncoding.EncodeToString(nonce[:]) }

// openSID reads the session id from the JSON of an Engine.IO OPEN packet.
func openSID(text string) (string, error) {
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(text), &open); err != nil {
		return "", fmt.Errorf("open packet: %w", err)
	}
	if open.SID == "" {
		return "", errors.New("open packet without sid")
	}
	return open.SID, nil
}
