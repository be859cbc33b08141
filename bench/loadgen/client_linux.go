package loadgen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// stage is how far a client has come. Each but the last names what is to come next; anything else breaks the client.
type stage uint8

const (
	wantUpgrade  stage = iota // WebSocket: the 101
	wantOpen                  // the Engine.IO OPEN packet
	wantConnect               // the Socket.IO CONNECT packet
	wantGreeting              // the event that says it is connected
	wantJoined                // the event that says it is in its room
	ready
)

// client is one Socket.IO v5 client over Engine.IO v4.
type client struct {
	fleet  *fleet
	socket *socket
	room   int32 // toEveryone: in none
	stage  stage
	gone   bool
	track  track

	accept  string   // WebSocket: what the server must answer to the key
	polling *polling // nil: WebSocket
}

// polling is what a long-polling client needs besides. It has one HTTP connection and one request at a time on it: what
// it has to say goes out by POST as soon as the GET before is answered.
type polling struct {
	sid     string
	posting bool     // the request under way is a POST
	queue   []string // packets to be posted
}

// packetSeparator stands between the packets of one polling payload.
const packetSeparator = 0x1e

func (c *client) connected() {
	if c.polling != nil {
		c.stage = wantOpen
		c.request()
		return
	}
	var nonce [16]byte
	binary.LittleEndian.PutUint64(nonce[:], c.fleet.rng.Uint64())
	binary.LittleEndian.PutUint64(nonce[8:], c.fleet.rng.Uint64())
	key := base64Key(nonce)
	c.accept = acceptKey(key)
	c.socket.write([]byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: " + c.fleet.spec.Server.Addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + key +
		"\r\nSec-WebSocket-Version: 13\r\n\r\n"))
}

func (c *client) received(p []byte, at time.Duration) (used int, err error) {
	for used < len(p) && !c.gone {
		var n int
		switch {
		case c.polling != nil:
			n, err = c.polled(p[used:], at)
		case c.stage == wantUpgrade:
			n, err = c.upgraded(p[used:])
		default:
			n, err = c.frame(p[used:], at)
		}
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		used += n
	}
	return used, nil
}

func (c *client) broken(err error) {
	c.gone = true
	c.fleet.left(c, err)
}

// upgraded takes the answer to the WebSocket handshake.
func (c *client) upgraded(p []byte) (int, error) {
	r, n, err := parseResponse(p)
	if n == 0 || err != nil {
		return 0, err
	}
	if accept, _ := r.header("sec-websocket-accept"); r.status != 101 || string(accept) != c.accept {
		return 0, fmt.Errorf("upgrade answered %d, accept key %q", r.status, accept)
	}
	c.stage, c.accept = wantOpen, ""
	return n, nil
}

func (c *client) frame(p []byte, at time.Duration) (int, error) {
	op, payload, n, err := parseFrame(p)
	if n == 0 || err != nil {
		return 0, err
	}
	switch op {
	case opText:
		err = c.packet(payload, at)
	case opPing:
		c.sendFrame(opPong, payload)
	case opClose:
		err = fmt.Errorf("closed by the server: %q", payload)
	}
	return n, err
}

// polled takes the answer to a GET or POST and asks again.
func (c *client) polled(p []byte, at time.Duration) (int, error) {
	r, n, err := parseResponse(p)
	if n == 0 || err != nil {
		return 0, err
	}
	if r.status != 200 {
		return 0, fmt.Errorf("polling answered %d %q", r.status, r.body)
	}
	if c.polling.posting {
		if string(r.body) != "ok" {
			return 0, fmt.Errorf("polling post answered %q", r.body)
		}
	} else {
		for packet := range bytes.SplitSeq(r.body, []byte{packetSeparator}) {
			if err := c.packet(packet, at); err != nil {
				return 0, err
			}
		}
	}
	c.request()
	return n, nil
}

// request posts what is queued, or else gets what comes next.
func (c *client) request() {
	poll := c.polling
	path := "/socket.io/?EIO=4&transport=polling"
	if poll.sid != "" {
		path += "&sid=" + poll.sid
	}
	host := c.fleet.spec.Server.Addr
	if poll.posting = len(poll.queue) > 0; !poll.posting {
		c.socket.write([]byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"))
		return
	}
	body := strings.Join(poll.queue, string(rune(packetSeparator)))
	poll.queue = poll.queue[:0]
	c.socket.write(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain;charset=UTF-8\r\n"+
		"Content-Length: %d\r\n\r\n%s", path, host, len(body), body))
}

// packet takes one Engine.IO packet.
func (c *client) packet(p []byte, at time.Duration) error {
	if len(p) == 0 {
		return errors.New("empty packet")
	}
	switch p[0] {
	case '2': // ping
		c.send("3" + string(p[1:]))
		return nil
	case '6': // noop
		return nil
	}
	if c.stage == ready {
		if p[0] != '4' {
			return fmt.Errorf("unexpected packet %.60q", p)
		}
		c.fleet.ledger.deliver(&c.track, c.room, p, at)
		return nil
	}
	return c.advance(string(p))
}

// advance takes the packet a client that is still connecting waits for.
func (c *client) advance(p string) error {
	server := &c.fleet.spec.Server
	switch {
	case c.stage == wantOpen && p[0] == '0':
		if c.polling != nil {
			sid, err := openSID(p[1:])
			if err != nil {
				return err
			}
			c.polling.sid = sid
		}
		c.stage = wantConnect
		c.send("40")
	case c.stage == wantConnect && strings.HasPrefix(p, "40{"):
		if server.Greeting != "" {
			c.stage = wantGreeting
			return nil
		}
		c.join()
	case c.stage == wantGreeting && p == server.Greeting:
		c.join()
	case c.stage == wantJoined && p == inRoom(server.Joined, c.room):
		c.arrive()
	default:
		return fmt.Errorf("unexpected packet at stage %d: %.60q", c.stage, p)
	}
	return nil
}

func (c *client) join() {
	if c.room == toEveryone {
		c.arrive()
		return
	}
	c.stage = wantJoined
	c.send(inRoom(c.fleet.spec.Server.Join, c.room))
}

func (c *client) arrive() {
	c.stage = ready
	c.fleet.arrived(c)
}

func (c *client) send(packet string) {
	if c.polling != nil {
		c.polling.queue = append(c.polling.queue, packet)
		return
	}
	c.sendFrame(opText, []byte(packet))
}

func (c *client) sendFrame(op byte, payload []byte) {
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], c.fleet.rng.Uint32())
	c.socket.write(clientFrame(op, payload, mask))
}

func inRoom(text string, room int32) string {
	return strings.ReplaceAll(text, "{room}", roomName(room))
}
