package engineio

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// What is different for clients of protocol 3 (socket.io-client 2.x):
//
//   - the client sends the heartbeats, the server answers;
//   - a binary packet begins with the packet type, the byte 4, on a WebSocket too;
//   - a polling body is a row of <length>:<packet>, the length in UTF-16 code units (a JavaScript string's length),
//     bytes as "b4" + base64;
//   - a client that did not ask for b64=1 in its handshake gets a body with bytes in it in a binary form: 0 for text
//     or 1 for bytes, the length's decimal digits as one byte each, 255, the packet. It may send that form too.

const messageType3 = 4

// frame3 is f as a protocol 3 client gets it: shared unless it is binary.
func frame3(f Frame) Frame {
	if f.opcode() != opBinary {
		return f
	}
	p := f.payload()
	return append(append(header(opBinary, 1+len(p)), messageType3), p...)
}

// utf16Len is the length JavaScript gives a string: runes beyond the basic plane count twice.
func utf16Len(p []byte) int {
	n := 0
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			i++
			n++
			continue
		}
		r, size := utf8.DecodeRune(p[i:])
		i += size
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

// encodePayload3 appends frames, made by frame3, to b as one body. raw tells whether it is in the binary form.
func encodePayload3(b []byte, fs []Frame, b64 bool) (body []byte, raw bool) {
	if !b64 {
		for _, f := range fs {
			raw = raw || f.opcode() == opBinary
		}
	}
	for _, f := range fs {
		op, p := f.opcode(), f.payload()
		switch {
		case op != opText && op != opBinary:
		case raw:
			b = append(b, op-opText) // 0 text, 1 bytes
			for _, digit := range strconv.Itoa(len(p)) {
				b = append(b, byte(digit-'0'))
			}
			b = append(append(b, 255), p...)
		case op == opBinary:
			b = strconv.AppendInt(b, int64(2+base64.StdEncoding.EncodedLen(len(p)-1)), 10)
			b = append(b, ':', 'b', '0'+messageType3)
			b = base64.StdEncoding.AppendEncode(b, p[1:])
		default:
			b = strconv.AppendInt(b, int64(utf16Len(p)), 10)
			b = append(append(b, ':'), p...)
		}
	}
	return b, raw
}

// maxDigits bounds the length in front of a packet; no body is longer.
const maxDigits = 9

// decodePayload3 takes a textual body apart; base64 is decoded in place.
func decodePayload3(b []byte, to packetSink) error {
	if len(b) == 0 || !utf8.Valid(b) {
		return errPacket
	}
	for len(b) > 0 {
		units, i := 0, 0
		for ; i < len(b) && b[i] >= '0' && b[i] <= '9' && i < maxDigits; i++ {
			units = units*10 + int(b[i]-'0')
		}
		if i == 0 || i == len(b) || b[i] != ':' {
			return errPacket
		}
		b = b[i+1:]
		end := 0
		for ; units > 0 && end < len(b); units-- {
			r, size := utf8.DecodeRune(b[end:])
			end += size
			if r >= 0x10000 {
				units--
			}
		}
		if units != 0 { // too short, or ends within a pair
			return errPacket
		}
		p := b[:end]
		b = b[end:]
		if err := packet3(p, to); err != nil {
			return err
		}
	}
	return nil
}

// packet3 hands over one textual packet.
func packet3(p []byte, to packetSink) error {
	switch {
	case len(p) == 0: // "0:" is how the client writes an empty body
		return nil
	case p[0] != 'b':
		return to.text(p)
	case len(p) < 2 || p[1] != '0'+messageType3:
		return errPacket
	}
	raw, err := decodeBase64(p[2:])
	if err != nil {
		return err
	}
	return to.binary(raw)
}

// decodeBinaryPayload3 takes a body in the binary form apart.
func decodeBinaryPayload3(b []byte, to packetSink) error {
	if len(b) == 0 {
		return errPacket
	}
	for len(b) > 0 {
		kind, n, i := b[0], 0, 1
		for ; i < len(b) && b[i] <= 9 && i <= maxDigits; i++ {
			n = n*10 + int(b[i])
		}
		if kind > 1 || i == 1 || i == len(b) || b[i] != 255 || n > len(b)-i-1 {
			return errPacket
		}
		p := b[i+1 : i+1+n]
		b = b[i+1+n:]
		var err error
		if kind == 0 {
			if !utf8.Valid(p) {
				return errPacket
			}
			err = packet3(p, to)
		} else {
			err = binaryPacket3(p, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// binaryPacket3 hands over a packet of bytes: only messages come as such.
func binaryPacket3(p []byte, to packetSink) error {
	if len(p) == 0 || p[0] != messageType3 {
		return errPacket
	}
	return to.binary(p[1:])
}
