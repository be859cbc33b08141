package engineio

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzFrames: however the bytes are cut into reads, the parser finds the same, never panics and never holds more than
// was sent.
func FuzzFrames(f *testing.F) {
	for _, x := range frameCases {
		if len(x.in) < 4096 {
			f.Add(x.in, uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		const limit = 1000
		parse := func(step int) (got []string, err error) {
			var p parser
			var r recorder
			sent := 0
			for rest := bytes.Clone(in); len(rest) > 0 && err == nil; {
				n := min(step, len(rest))
				err = p.feed(rest[:n:n], limit, &r)
				rest = rest[n:]
				sent += n
				if p.rest != nil && len(p.rest.frame)+len(p.rest.message) > min(sent, limit+maxHeader+4) {
					t.Fatalf("holds %d+%d of %d bytes", len(p.rest.frame), len(p.rest.message), sent)
				}
			}
			return r.got, err
		}
		whole, err := parse(len(in) + 1)
		pieces, err2 := parse(int(step) + 1)
		if fmt.Sprint(err) != fmt.Sprint(err2) || strings.Join(whole, "|") != strings.Join(pieces, "|") {
			t.Fatalf("whole: %q %v, in steps of %d: %q %v", whole, err, int(step)+1, pieces, err2)
		}
		for _, w := range whole {
			if w[0] == '1' && !utf8.ValidString(w[2:]) {
				t.Fatalf("text that is none: %q", w)
			}
		}
	})
}

// packets takes what a payload consists of, as frames again.
type packets struct{ frames []Frame }

func (x *packets) text(p []byte) error {
	if len(p) == 0 {
		return errPacket
	}
	x.frames = append(x.frames, textPacket(string(p)))
	return nil
}

func (x *packets) binary(p []byte) error {
	x.frames = append(x.frames, BinaryMessage(p))
	return nil
}

// seedBodies are bodies of both versions, sound and broken.
var seedBodies = []string{
	"4hello", "4a\x1e4b", "4hello\x1ebAQIDBA==", "4\x1eb", "", "\x1e", "b", "b!", "42", "1", "3", "4\xff", "451-[\"x\"]\x1ebAQ==",
	"6:4hello", "2:4€", "3:4😀", "2:4😀", "10:b4AQIDBA==", "6:4hello10:b4AQIDBA==", "0:", "1:2", "9999999999:4", "-1:4", "6", ":", "3:b4",
	"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04", "\x00\xff", "\x01\x09\x09\x09\xff\x04", "\x02\x01\xff4", "\x00\x00\xff",
}

// FuzzPayload: a body of version 4 that is taken encodes to what decodes to the same.
func FuzzPayload(f *testing.F) {
	for _, b := range seedBodies {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var x, y packets
		if decodePayload(bytes.Clone(in), &x) != nil {
			return
		}
		again := encodePayload(nil, x.frames)
		if err := decodePayload(bytes.Clone(again), &y); err != nil {
			t.Fatalf("%q became %q: %v", in, again, err)
		}
		sameFrames(t, x.frames, y.frames)
	})
}

// FuzzPayload3 is FuzzPayload for version 3, whose bodies have two forms.
func FuzzPayload3(f *testing.F) {
	for _, b := range seedBodies {
		f.Add([]byte(b), false)
		f.Add([]byte(b), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, binary bool) {
		decode := decodePayload3
		if binary {
			decode = decodeBinaryPayload3
		}
		var x packets
		if decode(bytes.Clone(in), &x) != nil || len(x.frames) == 0 {
			return
		}
		var old []Frame
		for _, f := range x.frames {
			if p := f.payload(); f.opcode() == opText && p[0] == 'b' {
				t.Fatalf("base64 taken for text: %q", p)
			}
			old = append(old, frame3(f))
		}
		for _, b64 := range []bool{false, true} {
			body, raw := encodePayload3(nil, old, b64)
			decode := decodePayload3
			if raw {
				decode = decodeBinaryPayload3
			}
			var y packets
			if err := decode(bytes.Clone(body), &y); err != nil {
				t.Fatalf("%q became %q: %v", in, body, err)
			}
			sameFrames(t, x.frames, y.frames)
		}
	})
}

func sameFrames(t *testing.T, a, b []Frame) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d packets became %d", len(a), len(b))
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("%s became %s", base64.StdEncoding.EncodeToString(a[i]), base64.StdEncoding.EncodeToString(b[i]))
		}
	}
}
