package engineio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// recorder takes what a parser finds.
type recorder struct{ got []string }

func (r *recorder) frame(op byte, p []byte) error {
	if op == opClose {
		if _, err := checkClose(p); err != nil {
			return err
		}
	}
	r.got = append(r.got, fmt.Sprintf("%x:%s", op, p))
	return nil
}

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func text(p string) []byte           { return maskedFrame(finBit|opText, []byte(p)) }
func first(op byte, p string) []byte { return maskedFrame(op, []byte(p)) }
func more(p string) []byte           { return maskedFrame(opContinuation, []byte(p)) }
func end(p string) []byte            { return maskedFrame(finBit|opContinuation, []byte(p)) }
func control(op byte, p string) []byte {
	return maskedFrame(finBit|op, []byte(p))
}
func closing(code uint16, reason string) []byte {
	return maskedFrame(finBit|opClose, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// promise is the header of a frame whose payload does not come.
func promise(firstByte byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{firstByte, 0xff}, n)
}

const frameLimit = 70_000

// frameCases are RFC 6455's rules for what a client sends, in the order of the Autobahn test suite's sections.
var frameCases = []struct {
	name string
	in   []byte
	want []string
	err  error
}{
	// 1 framing
	{"text of 0 bytes", text(""), []string{"1:"}, nil},
	{"text of 125 bytes", text(strings.Repeat("*", 125)), []string{"1:" + strings.Repeat("*", 125)}, nil},
	{"text of 126 bytes", text(strings.Repeat("*", 126)), []string{"1:" + strings.Repeat("*", 126)}, nil},
	{"text of 127 bytes", text(strings.Repeat("*", 127)), []string{"1:" + strings.Repeat("*", 127)}, nil},
	{"text of 65535 bytes", text(strings.Repeat("*", 65535)), []string{"1:" + strings.Repeat("*", 65535)}, nil},
	{"text of 65536 bytes", text(strings.Repeat("*", 65536)), []string{"1:" + strings.Repeat("*", 65536)}, nil},
	{"binary of 0 bytes", control(opBinary, ""), []string{"2:"}, nil},
	{"binary of any bytes", control(opBinary, "\xff\xfe\x00"), []string{"2:\xff\xfe\x00"}, nil},
	{"binary of 65536 bytes", control(opBinary, strings.Repeat("\xff", 65536)), []string{"2:" + strings.Repeat("\xff", 65536)}, nil},
	{"mask of zeros", maskWith(finBit|opText, []byte("plain"), [4]byte{}), []string{"1:plain"}, nil},
	// 2 pings and pongs
	{"ping without payload", control(opPing, ""), []string{"9:"}, nil},
	{"ping with payload", control(opPing, "hello"), []string{"9:hello"}, nil},
	{"ping with bytes", control(opPing, "\x00\xff\xfe"), []string{"9:\x00\xff\xfe"}, nil},
	{"ping of 125 bytes", control(opPing, strings.Repeat("*", 125)), []string{"9:" + strings.Repeat("*", 125)}, nil},
	{"control frame longer than 125", control(opPing, strings.Repeat("*", 126)), nil, errProtocol},
	{"pong nobody asked for", cat(control(opPong, "x"), text("a")), []string{"a:x", "1:a"}, nil},
	{"ten pings", cat(control(opPing, "0"), control(opPing, "1"), control(opPing, "2")), []string{"9:0", "9:1", "9:2"}, nil},
	// 3 reserved bits
	{"RSV1", first(finBit|0x40|opText, "x"), nil, errProtocol},
	{"RSV2", first(finBit|0x20|opText, "x"), nil, errProtocol},
	{"RSV3", first(finBit|0x10|opText, "x"), nil, errProtocol},
	{"RSV1 on a ping after a message", cat(text("a"), first(finBit|0x40|opPing, "")), []string{"1:a"}, errProtocol},
	{"all RSV on close", first(finBit|0x70|opClose, ""), nil, errProtocol},
	// 4 opcodes
	{"reserved opcode 3", first(finBit|3, ""), nil, errProtocol},
	{"reserved opcode 4", first(finBit|4, "x"), nil, errProtocol},
	{"reserved opcode 7 after a message", cat(text("a"), first(finBit|7, "")), []string{"1:a"}, errProtocol},
	{"reserved opcode 11", first(finBit|0xb, ""), nil, errProtocol},
	{"reserved opcode 15", first(finBit|0xf, "x"), nil, errProtocol},
	// 5 fragmentation
	{"fragmented ping", cat(first(opPing, "a"), end("b")), nil, errProtocol},
	{"fragmented pong", cat(first(opPong, "a"), end("b")), nil, errProtocol},
	{"fragmented close", first(opClose, ""), nil, errProtocol},
	{"text in two fragments", cat(first(opText, "frag"), end("ment")), []string{"1:fragment"}, nil},
	{"binary in three fragments", cat(first(opBinary, "a"), more("b"), end("c")), []string{"2:abc"}, nil},
	{"empty fragments", cat(first(opText, ""), more(""), end("")), []string{"1:"}, nil},
	{"empty fragments around", cat(first(opText, ""), more("x"), end("")), []string{"1:x"}, nil},
	{"ping between fragments", cat(first(opText, "a"), control(opPing, "p"), end("b")), []string{"9:p", "1:ab"}, nil},
	{"close between fragments", cat(first(opText, "a"), closing(1000, "")), []string{"8:\x03\xe8"}, nil},
	{"continuation of nothing", end("x"), nil, errProtocol},
	{"continuation of nothing, not final", more("x"), nil, errProtocol},
	{"continuation after a whole message", cat(text("a"), end("x")), []string{"1:a"}, errProtocol},
	{"continuation after the last fragment", cat(first(opText, "a"), end("b"), end("c")), []string{"1:ab"}, errProtocol},
	{"text within a fragmented message", cat(first(opText, "a"), text("b")), nil, errProtocol},
	{"binary within a fragmented text", cat(first(opText, "a"), first(opBinary, "b")), nil, errProtocol},
	{"two fragmented messages", cat(first(opText, "a"), end("b"), first(opBinary, "c"), end("d")), []string{"1:ab", "2:cd"}, nil},
	// 6 UTF-8
	{"text valid utf-8", text("κόσμε 😀"), []string{"1:κόσμε 😀"}, nil},
	{"utf-8 split over fragments", cat(first(opText, "κ\xe2\x82"), end("\xac")), []string{"1:κ€"}, nil},
	{"utf-8 byte by byte", cat(first(opText, "\xf0"), more("\x9f"), more("\x98"), end("\x80")), []string{"1:😀"}, nil},
	{"text invalid utf-8", text("a\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"), nil, errUTF8},
	{"utf-8 cut short", text("\xe2\x82"), nil, errUTF8},
	{"utf-8 cut short over fragments", cat(first(opText, "\xe2"), end("\x82")), nil, errUTF8},
	{"utf-8 too long a form", text("\xc0\xaf"), nil, errUTF8},
	{"utf-8 surrogate", text("\xed\xa0\x80"), nil, errUTF8},
	{"utf-8 beyond the last code point", text("\xf4\x90\x80\x80"), nil, errUTF8},
	{"utf-8 last code point", text("\xf4\x8f\xbf\xbf"), []string{"1:\xf4\x8f\xbf\xbf"}, nil},
	{"utf-8 zero and noncharacter", text("\x00\xef\xbf\xbe"), []string{"1:\x00\xef\xbf\xbe"}, nil},
	// 7 close
	{"close without payload", control(opClose, ""), []string{"8:"}, nil},
	{"close with half a code", control(opClose, "\x03"), nil, errProtocol},
	{"close with code", closing(1000, ""), []string{"8:\x03\xe8"}, nil},
	{"close with reason", closing(1000, "bye"), []string{"8:\x03\xe8bye"}, nil},
	{"close with the longest reason", closing(1000, strings.Repeat("*", 123)), []string{"8:\x03\xe8" + strings.Repeat("*", 123)}, nil},
	{"close with too long a reason", closing(1000, strings.Repeat("*", 124)), nil, errProtocol},
	{"close with reason of no utf-8", closing(1000, "\xed\xa0\x80"), nil, errUTF8},
	{"close code 1003", closing(1003, ""), []string{"8:\x03\xeb"}, nil},
	{"close code 1007", closing(1007, ""), []string{"8:\x03\xef"}, nil},
	{"close code 3000", closing(3000, ""), []string{"8:\x0b\xb8"}, nil},
	{"close code 4999", closing(4999, ""), []string{"8:\x13\x87"}, nil},
	{"close code 0", closing(0, ""), nil, errProtocol},
	{"close code 999", closing(999, ""), nil, errProtocol},
	{"close code 1004", closing(1004, ""), nil, errProtocol},
	{"close code 1005", closing(1005, ""), nil, errProtocol},
	{"close code 1006", closing(1006, ""), nil, errProtocol},
	{"close code 1015", closing(1015, ""), nil, errProtocol},
	{"close code 2999", closing(2999, ""), nil, errProtocol},
	{"close code 5000", closing(5000, ""), nil, errProtocol},
	{"close code 65535", closing(65535, ""), nil, errProtocol},
	// 9 limits, and what §5 asks of a header
	{"message at the limit", text(strings.Repeat("x", frameLimit)), []string{"1:" + strings.Repeat("x", frameLimit)}, nil},
	{"message above the limit", text(strings.Repeat("x", frameLimit+1)), nil, errTooBig},
	{"promise above the limit", promise(finBit|opBinary, frameLimit+1), nil, errTooBig},
	{"promise of 2^63-1 bytes", promise(finBit|opBinary, math.MaxInt64), nil, errTooBig},
	{"promise of 2^63 bytes", promise(finBit|opBinary, 1<<63), nil, errProtocol},
	{"fragments above the limit", cat(first(opText, strings.Repeat("x", frameLimit)), end("x")), nil, errTooBig},
	{"fragments at the limit", cat(first(opText, strings.Repeat("x", frameLimit-1)), end("x")), []string{"1:" + strings.Repeat("x", frameLimit)}, nil},
	{"frame without mask", []byte{finBit | opText, 1, 'x'}, nil, errProtocol},
	{"empty frame without mask", []byte{finBit | opText, 0}, nil, errProtocol},
	{"length of 125 in 16 bits", cat([]byte{finBit | opText, 0xfe, 0, 125}, make([]byte, 129)), nil, errProtocol},
	{"length of 65535 in 64 bits", promise(finBit|opText, 65535), nil, errProtocol},
	{"control frame with 16-bit length", []byte{finBit | opPing, 0xfe, 0, 1}, nil, errProtocol},
	{"half a header", []byte{finBit | opText}, nil, nil},
	{"half a frame", text("hello")[:8], nil, nil},
}

func TestFrames(t *testing.T) {
	for _, x := range frameCases {
		t.Run(x.name, func(t *testing.T) {
			for _, step := range []int{len(x.in), 1, 2, 3, 7, 1000} {
				if step == 0 || (len(x.in) > 5000 && step < 1000) {
					continue
				}
				var p parser
				var r recorder
				var err error
				for in := append([]byte(nil), x.in...); len(in) > 0 && err == nil; {
					n := min(step, len(in))
					err = p.feed(in[:n:n], frameLimit, &r)
					in = in[n:]
				}
				require.ErrorIs(t, err, x.err, "in steps of %d", step)
				require.Equal(t, x.want, r.got, "in steps of %d", step)
			}
		})
	}
}

// The same over a socket: what was understood is echoed, then comes the close code the mistake stands for.
func TestFramesOverASocket(t *testing.T) {
	bothReaders(t, func(t *testing.T, reader func(o *Options)) {
		b := newBed(t, func(o *Options) { reader(o); o.MaxPayload = frameLimit },
			func(c *client) { c.message = func(*client, []byte, bool) error { return nil } })
		for _, x := range frameCases {
			if strings.HasPrefix(x.name, "half") {
				continue
			}
			t.Run(x.name, func(t *testing.T) {
				c := b.socket()
				c.t = t
				s := b.client()
				c.raw(x.in...)
				switch {
				case errors.Is(x.err, errUTF8):
					require.Equal(t, closeUTF8, c.closing())
				case errors.Is(x.err, errTooBig):
					require.Equal(t, closeTooBig, c.closing())
				case x.err != nil:
					if code := c.closing(); len(x.want) == 0 || x.want[0][0] != '1' {
						require.Equal(t, closeProtocol, code)
					}
				case len(x.want) > 0 && x.want[len(x.want)-1][0] == '8':
					want := closeNormal
					if p := x.want[len(x.want)-1][2:]; len(p) >= 2 {
						want = int(binary.BigEndian.Uint16([]byte(p)))
					}
					require.Equal(t, want, c.closing(), "the close code is echoed")
				case x.want[0][0] == '9':
					for _, w := range x.want {
						if w[0] == '9' {
							op, p, err := c.read()
							require.NoError(t, err)
							require.Equal(t, byte(finBit|opPong), op)
							require.Equal(t, w[2:], string(p))
						}
					}
					c.raw(closing(1000, "")...)
					c.closing()
				default:
					c.raw(closing(1000, "")...)
					c.closing()
				}
				s.reason(t)
			})
		}
	})
}

// Memory follows what was sent, not what was promised.
func TestUnfinishedFramesHoldWhatWasSent(t *testing.T) {
	const limit = 1 << 20
	var p parser
	var r recorder
	require.NoError(t, p.feed(promise(finBit|opBinary, limit), limit, &r))
	require.NoError(t, p.feed([]byte{1, 2, 3, 4, 5}, limit, &r))
	require.LessOrEqual(t, cap(p.rest.frame), 64)

	chunk := make([]byte, 4096)
	for sent := 0; sent+len(chunk) < limit; sent += len(chunk) {
		require.NoError(t, p.feed(append([]byte(nil), chunk...), limit, &r))
		require.LessOrEqual(t, cap(p.rest.frame), min(2*(sent+2*len(chunk)), limit+maxHeader+4))
	}

	p = parser{}
	require.NoError(t, p.feed(first(opBinary, "x"), limit, &r))
	for n := 1; n+len(chunk) <= limit; n += len(chunk) {
		require.NoError(t, p.feed(more(string(chunk)), limit, &r))
		require.LessOrEqual(t, cap(p.rest.message), limit)
		require.Empty(t, p.rest.frame)
	}
	require.Nil(t, r.got)
	require.ErrorIs(t, p.feed(more(string(chunk)), limit, &r), errTooBig)

	p = parser{}
	require.NoError(t, p.feed(cat(first(opText, "a"), end("b"), text("c")), limit, &r))
	require.Nil(t, p.rest, "an idle parser holds nothing")
}

func TestUnmask(t *testing.T) {
	key := []byte{1, 2, 3, 4}
	for n := range 40 {
		p, want := make([]byte, n), make([]byte, n)
		for i := range p {
			p[i] = byte(i)
			want[i] = byte(i) ^ key[i&3]
		}
		unmask(p, key)
		require.Equal(t, want, p)
	}
}

func TestFrameForms(t *testing.T) {
	for _, n := range []int{0, 124, 125, 126, 65534, 65535, 65536} {
		f := TextMessage(strings.Repeat("x", n))
		require.Equal(t, "4"+strings.Repeat("x", n), string(f.payload()))
		require.Equal(t, byte(opText), f.opcode())
		require.Len(t, f, cap(f), "nothing to spare")
		g := BinaryMessage(make([]byte, n))
		require.Len(t, g.payload(), n)
		require.True(t, utf8.Valid(f.payload()))
	}
}
