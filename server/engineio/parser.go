package engineio

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// What a peer can do wrong on a WebSocket (RFC 6455 §7.4.1), as the parser reports it.
var (
	errProtocol = errors.New("websocket protocol error") // 1002
	errUTF8     = errors.New("text is not UTF-8")        // 1007
	errTooBig   = errors.New("message too big")          // 1009
)

// sink takes what a parser finds: text and binary messages put together, and control frames. p is only valid during the
// call. An error ends the parsing.
type sink interface {
	frame(op byte, p []byte) error
}

// parser is the reading half of RFC 6455 for a server. It holds memory only while a frame or a fragmented message is
// incomplete, and then never more than was really sent: at most the limit and one header.
type parser struct {
	rest *unfinished
}

// unfinished is what a parser keeps from one read to the next.
type unfinished struct {
	frame   []byte // the beginning of a frame
	message []byte // the fragments of a message so far
	op      byte   // the message's opcode; 0 when none is being put together
}

// head is the header of a client's frame.
type head struct {
	fin     bool
	op      byte
	size    int // of the header, mask included
	payload int
}

// feed handles all complete frames of what was kept and b, unmasking b in place. Messages may have limit bytes.
func (p *parser) feed(b []byte, limit int, to sink) error {
	for len(b) > 0 || (p.rest != nil && len(p.rest.frame) > 0) {
		if p.rest != nil && len(p.rest.frame) > 0 {
			left, err := p.refill(b, limit)
			if err != nil {
				return err
			}
			whole := p.rest.frame
			h, ok, err := p.head(whole, limit)
			if err != nil {
				return err
			}
			if !ok || len(whole) < h.size+h.payload {
				return nil // b is used up
			}
			b = left
			p.rest.frame = nil
			if err := p.handle(h, whole, limit, to); err != nil {
				return err
			}
			p.tidy()
			continue
		}
		h, ok, err := p.head(b, limit)
		if err != nil {
			return err
		}
		total := h.size + h.payload
		if !ok || len(b) < total {
			p.keep(b, total)
			return nil
		}
		if err := p.handle(h, b[:total], limit, to); err != nil {
			return err
		}
		p.tidy()
		b = b[total:]
	}
	return nil
}

// refill moves from b into the kept beginning of a frame what belongs to that frame, and returns the rest of b.
func (p *parser) refill(b []byte, limit int) ([]byte, error) {
	r := p.rest
	for {
		h, ok, err := p.head(r.frame, limit)
		if err != nil {
			return nil, err
		}
		want := h.size // of the header, as far as known
		if ok {
			want += h.payload
		}
		n := min(want-len(r.frame), len(b))
		if n <= 0 {
			return b, nil
		}
		if need := len(r.frame) + n; need > cap(r.frame) {
			// Doubling, but never past the frame's end; and never what the header promises but nobody has sent.
			grown := make([]byte, len(r.frame), max(need, min(2*cap(r.frame), want)))
			copy(grown, r.frame)
			r.frame = grown
		}
		r.frame = append(r.frame, b[:n]...)
		b = b[n:]
		if ok {
			return b, nil
		}
	}
}

// keep stores the beginning of a frame.
func (p *parser) keep(b []byte, total int) {
	if p.rest == nil {
		p.rest = new(unfinished)
	}
	p.rest.frame = append(make([]byte, 0, min(max(total, 1), max(2*len(b), 16))), b...)
}

// tidy frees what is no longer needed.
func (p *parser) tidy() {
	if p.rest != nil && len(p.rest.frame) == 0 && p.rest.op == 0 {
		p.rest = nil
	}
}

// head reads a frame's header and checks all that can be checked before its payload is there. While the header is
// incomplete ok is false and size is how many bytes are needed to know more.
func (p *parser) head(b []byte, limit int) (h head, ok bool, err error) {
	if len(b) < 2 {
		return head{size: 2}, false, nil
	}
	h = head{fin: b[0]&finBit != 0, op: b[0] & 0x0f, size: 2 + 4, payload: int(b[1] & 0x7f)}
	var kept int
	var inside bool
	if p.rest != nil {
		kept, inside = len(p.rest.message), p.rest.op != 0
	}
	switch {
	case b[0]&0x70 != 0: // no extension was agreed on
		return h, false, errProtocol
	case b[1]&0x80 == 0: // §5.1: a client must mask
		return h, false, errProtocol
	case h.op >= opClose:
		if h.op > opPong || !h.fin || h.payload > 125 { // §5.5
			return h, false, errProtocol
		}
	case h.op > opBinary: // reserved
		return h, false, errProtocol
	case (h.op == opContinuation) != inside: // §5.4
		return h, false, errProtocol
	}
	switch h.payload {
	case 126:
		h.size += 2
		if len(b) < h.size-4 { // the length is judged before the mask is there
			return head{size: h.size}, false, nil
		}
		h.payload = int(binary.BigEndian.Uint16(b[2:]))
		if h.payload < 126 { // §5.2: the shortest form is a must
			return h, false, errProtocol
		}
	case 127:
		h.size += 8
		if len(b) < h.size-4 {
			return head{size: h.size}, false, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		switch {
		case n>>63 != 0 || n <= 0xffff:
			return h, false, errProtocol
		case n > uint64(limit):
			return h, false, errTooBig
		}
		h.payload = int(n)
	}
	if h.op < opClose && h.payload > limit-kept {
		return h, false, errTooBig
	}
	return h, len(b) >= h.size, nil
}

// handle unmasks a complete frame and hands over what it completes.
func (p *parser) handle(h head, whole []byte, limit int, to sink) error {
	payload := whole[h.size : h.size+h.payload]
	unmask(payload, whole[h.size-4:h.size])
	if h.op >= opClose {
		return to.frame(h.op, payload)
	}
	op := h.op
	if !h.fin || op == opContinuation {
		if p.rest == nil {
			p.rest = new(unfinished)
		}
		r := p.rest
		if op != opContinuation {
			r.op = op
		}
		if need := len(r.message) + len(payload); need > cap(r.message) {
			grown := make([]byte, len(r.message), max(need, min(2*cap(r.message), limit)))
			copy(grown, r.message)
			r.message = grown
		}
		r.message = append(r.message, payload...)
		if !h.fin {
			return nil
		}
		op, payload = r.op, r.message
		r.op, r.message = 0, nil
	}
	if op == opText && !utf8.Valid(payload) {
		return errUTF8
	}
	return to.frame(op, payload)
}

// unmask applies a frame's mask (§5.3), eight bytes at a time.
func unmask(p, key []byte) {
	k4 := binary.LittleEndian.Uint32(key)
	if k4 == 0 {
		return
	}
	k8 := uint64(k4) | uint64(k4)<<32
	i := 0
	for ; i+8 <= len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], binary.LittleEndian.Uint64(p[i:])^k8)
	}
	for ; i < len(p); i++ {
		p[i] ^= key[i&3]
	}
}

// checkClose reads the payload of a close frame (§5.5.1, §7.4) and returns the code to answer it with.
func checkClose(p []byte) (uint16, error) {
	if len(p) == 0 {
		return closeNormal, nil
	}
	if len(p) == 1 {
		return 0, errProtocol
	}
	code := binary.BigEndian.Uint16(p)
	switch {
	case code >= 3000 && code <= 4999, code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
	default:
		return 0, errProtocol
	}
	if !utf8.Valid(p[2:]) {
		return 0, errUTF8
	}
	return code, nil
}

// Close codes of RFC 6455 §7.4.1.
const (
	closeNormal   = 1000
	closeProtocol = 1002
	closeUTF8     = 1007
	closePolicy   = 1008
	closeTooBig   = 1009
	closeInternal = 1011
)
