package loadgen

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeServer is the least Socket.IO server that a run can be carried out on. Its trick changes what a client gets for a
// push; nil leaves it right.
type fakeServer struct {
	http  *httptest.Server
	trick trick

	mu      sync.Mutex
	clients []*fakeClient
	pushes  int
	held    string // for the trick's own use
}

// trick says what a client gets for the push of that number, counted from 1. It is called with the server locked.
type trick func(f *fakeServer, push int, to *fakeClient, packet string) []string

type fakeClient struct {
	number int
	room   string
	out    chan string // packets; closed to end the client
}

func startFake(t *testing.T, trick trick) *fakeServer {
	f := &fakeServer{trick: trick}
	f.http = httptest.NewServer(f)
	t.Cleanup(func() {
		f.mu.Lock()
		for _, c := range f.clients {
			close(c.out)
		}
		f.clients = nil
		f.mu.Unlock()
		f.http.Close()
	})
	return f
}

func (f *fakeServer) server() Server {
	addr := f.http.Listener.Addr().String()
	return Server{
		Addr: addr, PushAddr: addr, PID: os.Getpid(), Accepted: "fine",
		Greeting: `42["hello"]`, Join: `42["join","{room}"]`, Joined: `42["joined","{room}"]`,
	}
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/push":
		f.push(w, r)
	case r.FormValue("transport") == "websocket":
		f.webSocket(w, r)
	default:
		f.poll(w, r)
	}
}

func (f *fakeServer) push(w http.ResponseWriter, r *http.Request) {
	var push struct {
		RoomID, EventName string
		Data              json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&push); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	packet := fmt.Sprintf(`42["%s",%s]`, push.EventName, push.Data)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pushes++
	for _, c := range f.clients {
		packets := []string{packet}
		if f.trick != nil {
			packets = f.trick(f, f.pushes, c, packet)
		} else if push.RoomID != "" && push.RoomID != c.room {
			packets = nil
		}
		for _, p := range packets {
			c.out <- p
		}
	}
	_, _ = io.WriteString(w, "fine")
}

func (f *fakeServer) open() *fakeClient {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &fakeClient{number: len(f.clients), out: make(chan string, 4096)}
	f.clients = append(f.clients, c)
	c.out <- fmt.Sprintf(`0{"sid":"%d"}`, c.number)
	return c
}

// heard takes a packet of a client.
func (f *fakeServer) heard(c *fakeClient, packet string) {
	if packet == "40" {
		c.out <- `40{"sid":"x"}`
		c.out <- "2"
		c.out <- `42["hello"]`
	}
	if room, ok := cut([]byte(packet), `42["join","`, `"]`); ok {
		f.mu.Lock()
		c.room = string(room)
		f.mu.Unlock()
		c.out <- `42["joined","` + string(room) + `"]`
	}
}

func (f *fakeServer) webSocket(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	c := f.open()
	go func() {
		defer func() { _ = conn.Close() }()
		for packet := range c.out {
			if _, err := conn.Write(serverFrame(opText, packet)); err != nil {
				return
			}
		}
	}()
	for {
		packet, err := readClientFrame(rw.Reader)
		if err != nil {
			return
		}
		f.heard(c, packet)
	}
}

func readClientFrame(r *bufio.Reader) (string, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	payload := make([]byte, head[1]&0x7f)
	_, err := io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= head[2+i%4]
	}
	return string(payload), err
}

func (f *fakeServer) poll(w http.ResponseWriter, r *http.Request) {
	sid := r.FormValue("sid")
	var c *fakeClient
	if sid == "" {
		c = f.open()
	} else {
		var number int
		_, _ = fmt.Sscan(sid, &number)
		f.mu.Lock()
		c = f.clients[number]
		f.mu.Unlock()
	}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		for packet := range strings.SplitSeq(string(body), "\x1e") {
			f.heard(c, packet)
		}
		_, _ = io.WriteString(w, "ok")
		return
	}
	select {
	case packet, ok := <-c.out:
		if !ok {
			return
		}
		packets := []string{packet}
		for len(c.out) > 0 {
			packets = append(packets, <-c.out)
		}
		_, _ = io.WriteString(w, strings.Join(packets, "\x1e"))
	case <-r.Context().Done():
	}
}

// abort ends a client's connection.
func (f *fakeServer) abort(c *fakeClient) {
	var rest []*fakeClient
	for _, other := range f.clients {
		if other != c {
			rest = append(rest, other)
		}
	}
	f.clients = rest
	close(c.out)
}

func TestFakeFrames(t *testing.T) {
	a, b := net.Pipe()
	go func() { _, _ = a.Write(clientFrame(opText, []byte("40"), [4]byte{1, 2, 3, 4})) }()
	packet, err := readClientFrame(bufio.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, "40", packet)
}
