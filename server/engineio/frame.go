package engineio

import "encoding/binary"

// Frame is one finished server-to-client WebSocket frame. It is the only form in which packets are queued: a WebSocket
// writes it as it is, polling takes the header off again. A frame is never changed once it is built, so any number of
// sessions share its bytes.
type Frame []byte

// Opcodes of RFC 6455 §5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

const finBit = 0x80

// maxHeader is the longest header of a frame from us: 2 bytes and a 64-bit length; a client's has 4 bytes of mask more.
const maxHeader = 10

// TextMessage builds an Engine.IO message packet of text out of parts, which must be valid UTF-8 together.
func TextMessage(parts ...string) Frame {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	f := append(header(opText, n), '4')
	for _, p := range parts {
		f = append(f, p...)
	}
	return f
}

// BinaryMessage builds an Engine.IO message packet of bytes; p is copied.
func BinaryMessage(p []byte) Frame { return append(header(opBinary, len(p)), p...) }

// textPacket builds a text packet of any type: p begins with the type's digit.
func textPacket(p string) Frame { return append(header(opText, len(p)), p...) }

// controlFrame builds a ping, pong or close frame; p has at most 125 bytes.
func controlFrame(op byte, p []byte) Frame { return append(header(op, len(p)), p...) }

// closeFrame builds a close frame with a status code of RFC 6455 §7.4.
func closeFrame(code uint16) Frame { return binary.BigEndian.AppendUint16(header(opClose, 2), code) }

// header starts a frame with room for n bytes of payload.
func header(op byte, n int) Frame {
	switch {
	case n <= 125:
		return append(make(Frame, 0, 2+n), finBit|op, byte(n))
	case n <= 0xffff:
		return append(make(Frame, 0, 4+n), finBit|op, 126, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(make(Frame, 0, maxHeader+n), finBit|op, 127), uint64(n))
}

// opcode tells what kind of frame f is.
func (f Frame) opcode() byte { return f[0] & 0x0f }

// payload returns what is behind the header.
func (f Frame) payload() []byte {
	switch f[1] {
	case 126:
		return f[4:]
	case 127:
		return f[10:]
	}
	return f[2:]
}
