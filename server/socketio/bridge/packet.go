package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The packet types of Socket.IO. Source: Socket.IO protocol v5, "Exchange protocol". The values are those on the wire.
const (
	typeConnect     = '0'
	typeDisconnect  = '1'
	typeEvent       = '2'
	typeAck         = '3'
	typeRefusal     = '4' // only a server sends it
	typeBinaryEvent = '5'
	typeBinaryAck   = '6'
)

// Limits of one packet, beyond the engine's limit on its bytes.
const (
	maxAttachments = 10  // what the reference parser accepts by default
	maxNamespace   = 256 // bytes of a namespace's name, query included
	maxID          = 1<<53 - 1
)

const mainNamespace = "/"

// What a client can get wrong. Each closes that client's connection; nothing is sent, the reason is in the log.
var (
	errType        = errors.New("unknown packet type")
	errAttachments = errors.New("illegal number of attachments")
	errNamespace   = errors.New("illegal namespace")
	errID          = errors.New("illegal acknowledgement id")
	errPayload     = errors.New("illegal payload")
	errPlaceholder = errors.New("placeholder without its attachment")
	errEncoding    = errors.New("not UTF-8")
	errInterleaved = errors.New("text packet among attachments")
	errStray       = errors.New("attachment without its packet")
	errTooLarge    = errors.New("attachments exceed the payload limit")
	errState       = errors.New("packet for a namespace that is not connected")
	errAgain       = errors.New("namespace connected already")
)

// packet is one decoded packet. The slices are parts of the input.
type packet struct {
	kind        byte
	attachments int
	namespace   string // with its query, which clients of protocol 3 send
	id          uint64
	hasID       bool
	data        []byte // valid JSON, nil for none

	// Of events and acknowledgements:
	name []byte // the event's name, without quotes and escapes
	args []byte // what stands between the brackets behind the name, without the comma: zero or more JSON values
}

// decode reads the text of one packet. It is the only way in for what strangers send: nothing the protocol does not
// know gets any further, because the library ends the process over some of it.
func decode(b []byte) (packet, error) {
	p := packet{namespace: mainNamespace}
	if !utf8.Valid(b) {
		return p, errEncoding
	}
	if len(b) == 0 || b[0] < typeConnect || b[0] > typeBinaryAck || b[0] == typeRefusal {
		return p, errType
	}
	p.kind, b = b[0], b[1:]
	var err error
	if p.kind == typeBinaryEvent || p.kind == typeBinaryAck {
		if b, err = p.takeAttachments(b); err != nil {
			return p, err
		}
	}
	if b, err = p.takeNamespace(b); err != nil {
		return p, err
	}
	if b, err = p.takeID(b); err != nil {
		return p, err
	}
	if len(b) > 0 {
		if !json.Valid(b) {
			return p, errPayload
		}
		p.data = bytes.Trim(b, " \t\r\n")
	}
	return p, p.check()
}

func (p *packet) takeAttachments(b []byte) ([]byte, error) {
	i := bytes.IndexByte(b, '-')
	if i < 1 || i > 2 || !digits(b[:i]) {
		return nil, errAttachments
	}
	p.attachments, _ = strconv.Atoi(string(b[:i]))
	if p.attachments < 1 || p.attachments > maxAttachments {
		return nil, errAttachments
	}
	return b[i+1:], nil
}

func (p *packet) takeNamespace(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != '/' {
		return b, nil
	}
	name, rest, _ := bytes.Cut(b, []byte{','})
	if len(name) > maxNamespace {
		return nil, errNamespace
	}
	if len(name) > 1 { // the main namespace may be spelt out
		p.namespace = string(name)
	}
	return rest, nil
}

func (p *packet) takeID(b []byte) ([]byte, error) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return b, nil
	}
	id, err := strconv.ParseUint(string(b[:n]), 10, 64)
	if err != nil || id > maxID {
		return nil, errID
	}
	p.id, p.hasID = id, true
	return b[n:], nil
}

// check tells whether a packet of this type may look like this, and finds the parts of an array.
func (p *packet) check() error {
	switch p.kind {
	case typeConnect:
		if p.hasID {
			return errID
		}
		if p.data != nil && p.data[0] != '{' {
			return errPayload
		}
	case typeDisconnect:
		if p.hasID {
			return errID
		}
		if p.data != nil {
			return errPayload
		}
	case typeEvent, typeBinaryEvent:
		if len(p.data) == 0 || p.data[0] != '[' || !p.splitEvent() {
			return errPayload
		}
	case typeAck, typeBinaryAck:
		if !p.hasID {
			return errID
		}
		if len(p.data) == 0 || p.data[0] != '[' {
			return errPayload
		}
		p.args = inside(p.data)
	}
	if p.attachments > 0 {
		return p.checkPlaceholders()
	}
	return nil
}

// inside is what stands between the brackets of a JSON array.
func inside(array []byte) []byte { return bytes.Trim(array[1:len(array)-1], " \t\r\n") }

// splitEvent takes the name off an event's array. The name is a string, or a number as the reference parser allows.
func (p *packet) splitEvent() bool {
	b := inside(p.data)
	first, rest := nextValue(b)
	if len(first) == 0 {
		return false
	}
	switch c := first[0]; {
	case c == '"' && bytes.IndexByte(first, '\\') < 0:
		p.name = first[1 : len(first)-1]
	case c == '"':
		var s string
		if json.Unmarshal(first, &s) != nil {
			return false
		}
		p.name = []byte(s)
	case c == '-' || c >= '0' && c <= '9':
		p.name = first
	default:
		return false
	}
	p.args = rest
	return !reserved(string(p.name))
}

// reserved tells whether a name belongs to the two sides' own events. Source: Socket.IO protocol v5; the reference
// parser refuses them too.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// nextValue cuts the first value off a list of values that is known to be valid JSON. Both are nil at the list's end.
func nextValue(b []byte) (value, rest []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			return bytes.Trim(b[:i], " \t\r\n"), bytes.Trim(b[i+1:], " \t\r\n")
		}
	}
	return bytes.Trim(b, " \t\r\n"), nil
}

// checkPlaceholders refuses a packet that names an attachment it does not announce.
func (p *packet) checkPlaceholders() error {
	var v any
	if json.Unmarshal(p.data, &v) != nil {
		return errPayload
	}
	if !p.placed(v) {
		return errPlaceholder
	}
	return nil
}

func (p *packet) placed(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !p.placed(e) {
				return false
			}
		}
	case map[string]any:
		if v["_placeholder"] == true {
			n, ok := v["num"].(float64)
			return ok && n >= 0 && n < float64(p.attachments) && n == math.Trunc(n)
		}
		for _, e := range v {
			if !p.placed(e) {
				return false
			}
		}
	}
	return true
}

// path is the namespace without its query.
func (p *packet) path() string {
	path, _, _ := strings.Cut(p.namespace, "?")
	return path
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
