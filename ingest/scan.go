package ingest

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"downlink/codes"
)

// MaxDepth is how many levels of objects and arrays a request body may nest, the envelope's own levels included.
const MaxDepth = 512

var tooDeep = "more than " + strconv.Itoa(MaxDepth) + " levels of nesting"

// scanner checks a text strictly against RFC 8259 and finds where its values end.
//
// Each method that scans takes the offset of the first byte of what it scans and returns the offset after its last, or
// bad after it noted in fault what is wrong.
type scanner struct {
	p     []byte
	depth int
	fault fault
	found finder
}

// bad is the offset returned by a scan that failed.
const bad = -1

// fault is why a text is not acceptable.
type fault struct {
	cause *codes.Cause
	what  string
	at    int // bytes before it
}

// scan scans the whole text. The error has the cause.
func (s *scanner) scan() error {
	i := s.space(0)
	if len(s.p) == 0 {
		return emptyBody
	}
	if s.at(i) == '{' {
		i = s.object(i, atTop)
	} else {
		i = s.value(i)
	}
	if i != bad {
		if i = s.space(i); i == len(s.p) {
			return nil
		}
		s.fail(i)
	}
	return because(s.fault.cause, "%s at byte %d", s.fault.what, s.fault.at)
}

// fail notes that the byte at i cannot stand there. It always returns bad.
func (s *scanner) fail(i int) int {
	if i >= len(s.p) {
		return s.failFor(codes.NotJSON, "it ends too early", len(s.p))
	}
	return s.failFor(codes.NotJSON, "unexpected character", i)
}

func (s *scanner) failFor(cause *codes.Cause, what string, i int) int {
	s.fault = fault{cause, what, i}
	return bad
}

// deeper counts a level, and is false if that is one too many.
func (s *scanner) deeper(i int) bool {
	s.depth++
	if s.depth <= MaxDepth {
		return true
	}
	s.failFor(codes.NotJSON, tooDeep, i)
	return false
}

// at is the byte at i, or 0 past the end: a byte that is valid nowhere in a JSON text.
func (s *scanner) at(i int) byte {
	if i < len(s.p) {
		return s.p[i]
	}
	return 0
}

// space skips whitespace. Unlike the other scans it cannot fail, and may scan nothing.
func (s *scanner) space(i int) int {
	for i < len(s.p) && s.p[i] <= ' ' && (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t') {
		i++
	}
	return i
}

func (s *scanner) value(i int) int {
	switch s.at(i) {
	case '"':
		return s.str(i)
	case '{':
		return s.object(i, inData)
	case '[':
		return s.array(i)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	default:
		return s.fail(i)
	}
}

func (s *scanner) word(i int, word string) int {
	for k := range len(word) {
		if s.at(i+k) != word[k] {
			return s.fail(i + k)
		}
	}
	return i + len(word)
}

// object scans an object and shows each of its members to the finder, which knows from the place whether it matters.
func (s *scanner) object(i int, where place) int {
	if !s.deeper(i) {
		return bad
	}
	i = s.space(i + 1)
	if s.at(i) == '}' {
		s.depth--
		return i + 1
	}
	for {
		if s.at(i) != '"' {
			return s.fail(i)
		}
		key := i
		if i = s.str(i); i == bad {
			return bad
		}
		keyEnd := i
		if i = s.space(i); s.at(i) != ':' {
			return s.fail(i)
		}
		i = s.space(i + 1)
		if where == inData {
			i = s.value(i)
		} else {
			i = s.member(where, s.p[key:keyEnd], i)
		}
		if i == bad {
			return bad
		}
		switch i = s.space(i); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case '}':
			s.depth--
			return i + 1
		default:
			return s.fail(i)
		}
	}
}

func (s *scanner) array(i int) int {
	if !s.deeper(i) {
		return bad
	}
	i = s.space(i + 1)
	if s.at(i) == ']' {
		s.depth--
		return i + 1
	}
	for {
		if i = s.value(i); i == bad {
			return bad
		}
		switch i = s.space(i); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case ']':
			s.depth--
			return i + 1
		default:
			return s.fail(i)
		}
	}
}

func (s *scanner) number(i int) int {
	if s.at(i) == '-' {
		i++
	}
	if s.at(i) == '0' {
		i++
	} else if i = s.digits(i); i == bad {
		return bad
	}
	if s.at(i) == '.' {
		if i = s.digits(i + 1); i == bad {
			return bad
		}
	}
	if s.at(i)|0x20 == 'e' {
		i++
		if s.at(i) == '+' || s.at(i) == '-' {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits scans at least one digit.
func (s *scanner) digits(i int) int {
	first := i
	for i < len(s.p) && s.p[i]-'0' <= 9 {
		i++
	}
	if i == first {
		return s.fail(i)
	}
	return i
}

func (s *scanner) str(i int) int {
	i++
	for {
		i = s.plain(i)
		if i >= len(s.p) {
			return s.fail(i)
		}
		switch c := s.p[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = s.escape(i); i == bad {
				return bad
			}
		case c < ' ':
			return s.fail(i)
		default:
			for i < len(s.p) && s.p[i] >= utf8.RuneSelf {
				r, n := utf8.DecodeRune(s.p[i:])
				if r == utf8.RuneError && n == 1 {
					return s.failFor(codes.NotUTF8, "unexpected byte", i)
				}
				i += n
			}
		}
	}
}

// plain skips what a string may hold as it is: ASCII but control characters, quotation mark and backslash. It may stop
// at less than the whole of it only at the end of the text.
func (s *scanner) plain(i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	// Eight bytes at a time. Subtracting n from every byte borrows into the high bit of those below n. A borrow may
	// run on and mark a byte too many, but only one above the lowest mark, and the lowest is what is used.
	for ; i+8 <= len(s.p); i += 8 {
		w := binary.LittleEndian.Uint64(s.p[i:])
		quote := w ^ '"'*ones
		slash := w ^ '\\'*ones
		stop := (w | (w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for ; i < len(s.p); i++ {
		if c := s.p[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

func (s *scanner) escape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if !isHex(s.at(k)) {
				return s.fail(k)
			}
		}
		return i + 6
	default:
		return s.fail(i + 1)
	}
}

func isHex(c byte) bool {
	return c-'0' <= 9 || c|0x20-'a' <= 5
}
