package rawclient

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Patience is how long Read waits by default.
const Patience = 10 * time.Second

// ErrClosed is returned by Read when the server sent a close frame.
var ErrClosed = errors.New("closed by the server")

// WebSocket is one connection. Reading and writing may happen at the same time, but each from one goroutine.
type WebSocket struct {
	conn net.Conn
	r    *bufio.Reader
	mu   sync.Mutex // writes: a ping is answered by the reader
}

// Message is one text or binary message.
type Message struct {
	Binary bool
	Data   string
}

// Dial opens a WebSocket on a listener's address, with path and query as in "/socket.io/?EIO=4&transport=websocket".
func Dial(addr, path string) (*WebSocket, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, err
	}
	w := &WebSocket{conn: conn, r: bufio.NewReaderSize(conn, 512)}
	if err := w.handshake(addr, path); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *WebSocket) handshake(addr, path string) error {
	_ = w.conn.SetDeadline(time.Now().Add(Patience))
	_, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, addr)
	if err != nil {
		return err
	}
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // of a 101 it is empty, and the connection stays
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		return fmt.Errorf("upgrade refused: %s %s", res.Status, body)
	}
	return w.conn.SetDeadline(time.Time{})
}

// Send sends text messages, all in one write.
func (w *WebSocket) Send(texts ...string) error {
	var b []byte
	for _, t := range texts {
		b = appendFrame(b, 0x81, t)
	}
	return w.write(b)
}

// SendBinary sends a binary message.
func (w *WebSocket) SendBinary(p []byte) error { return w.write(appendFrame(nil, 0x82, string(p))) }

func (w *WebSocket) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.conn.Write(b)
	return err
}

// appendFrame masks with zeros, which the protocol allows.
func appendFrame(b []byte, first byte, p string) []byte {
	b = append(b, first)
	switch n := len(p); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), p...)
}

// Read returns the next message. Engine.IO heartbeats are answered and not returned.
func (w *WebSocket) Read() (Message, error) { return w.ReadWithin(Patience) }

// ReadWithin is Read with another patience.
func (w *WebSocket) ReadWithin(d time.Duration) (Message, error) {
	for end := time.Now().Add(d); ; {
		m, err := w.ReadAny(time.Until(end))
		if err != nil || m.Binary || m.Data != "2" {
			return m, err
		}
		if err := w.Send("3"); err != nil {
			return Message{}, err
		}
	}
}

// ReadAny returns the next message, heartbeats included, without answering them.
func (w *WebSocket) ReadAny(d time.Duration) (Message, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(d))
	for {
		op, p, err := w.frame()
		switch {
		case err != nil:
			return Message{}, err
		case op == 0x8:
			_ = w.conn.Close() // as RFC 6455 §7.1.1 has it: the server waits for that
			return Message{}, ErrClosed
		case op == 0x9:
			if err := w.write(appendFrame(nil, 0x8a, string(p))); err != nil {
				return Message{}, err
			}
		case op == 0x1 || op == 0x2:
			return Message{op == 0x2, string(p)}, nil
		}
	}
}

func (w *WebSocket) frame() (op byte, p []byte, err error) {
	var h [2]byte
	if _, err = io.ReadFull(w.r, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1] & 0x7f)
	ext := map[uint64]int{126: 2, 127: 8}[n]
	if ext > 0 {
		b := make([]byte, 8)
		if _, err = io.ReadFull(w.r, b[8-ext:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(b)
	}
	p = make([]byte, n)
	_, err = io.ReadFull(w.r, p)
	return h[0] & 0xf, p, err
}

// Close drops the connection without a word.
func (w *WebSocket) Close() { _ = w.conn.Close() }

// Socket opens a WebSocket session of Engine.IO and enters the main namespace of Socket.IO with auth, a JSON object or
// nothing. It reads up to the answer and returns that too.
func Socket(addr, auth string) (*WebSocket, string, error) {
	w, err := Dial(addr, "/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return nil, "", err
	}
	open, err := w.Read()
	if err == nil && !strings.HasPrefix(open.Data, "0{") {
		err = fmt.Errorf("no OPEN but %q", open.Data)
	}
	if err == nil {
		err = w.Send("40" + auth)
	}
	var answer Message
	if err == nil {
		answer, err = w.Read()
	}
	if err != nil {
		w.Close()
		return nil, "", err
	}
	return w, answer.Data, nil
}
