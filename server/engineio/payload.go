package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// Bodies of HTTP long-polling, protocol 4: packets with a record separator between them, bytes as 'b' + base64.

const separator = 0x1e

// errPacket is a packet or a payload that is none. It closes the session.
var errPacket = errors.New("invalid packet")

// packetSink takes the packets of a POST body. p is only valid during the call. An error ends the decoding.
type packetSink interface {
	// text takes a text packet, type digit included.
	text(p []byte) error
	// binary takes the bytes of a binary message packet.
	binary(p []byte) error
}

// encodePayload appends the text and binary frames of fs to b as one body.
func encodePayload(b []byte, fs []Frame) []byte {
	for _, f := range fs {
		op := f.opcode()
		if op != opText && op != opBinary {
			continue
		}
		if len(b) > 0 {
			b = append(b, separator)
		}
		if op == opBinary {
			b = base64.StdEncoding.AppendEncode(append(b, 'b'), f.payload())
		} else {
			b = append(b, f.payload()...)
		}
	}
	return b
}

// decodePayload takes a body apart; base64 is decoded in place.
func decodePayload(b []byte, to packetSink) error {
	if !utf8.Valid(b) {
		return errPacket
	}
	for more := true; more; {
		var p []byte
		p, b, more = bytes.Cut(b, []byte{separator})
		if len(p) == 0 {
			return errPacket
		}
		if p[0] == 'b' {
			raw, err := decodeBase64(p[1:])
			if err != nil {
				return err
			}
			if err := to.binary(raw); err != nil {
				return err
			}
			continue
		}
		if err := to.text(p); err != nil {
			return err
		}
	}
	return nil
}

// decodeBase64 decodes p in place: the bytes are always behind what is still to be read.
func decodeBase64(p []byte) ([]byte, error) {
	n, err := base64.StdEncoding.Decode(p, p)
	if err != nil {
		return nil, errPacket
	}
	return p[:n], nil
}
