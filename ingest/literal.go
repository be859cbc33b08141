package ingest

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote decodes a valid JSON string with its quotation marks. It is false for one that holds half a surrogate pair:
// that is no Unicode text, and a name made of it would be equal to other such names once it is UTF-8.
func unquote(lit []byte) (string, bool) {
	lit = lit[1 : len(lit)-1]
	i := bytes.IndexByte(lit, '\\')
	if i < 0 {
		return string(lit), true
	}
	text := make([]byte, 0, len(lit))
	for i >= 0 {
		text = append(text, lit[:i]...)
		r, n := unescape(lit[i:])
		if utf16.IsSurrogate(r) {
			return "", false
		}
		text = utf8.AppendRune(text, r)
		lit = lit[i+n:]
		i = bytes.IndexByte(lit, '\\')
	}
	return string(append(text, lit...)), true
}

// unescape decodes the escape at the start of p, or the two that make a surrogate pair, and says how long it is. Half a
// pair is returned as it is.
func unescape(p []byte) (r rune, n int) {
	switch p[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hexRune(p[2:6])
		if utf16.IsSurrogate(r) && len(p) >= 12 && p[6] == '\\' && p[7] == 'u' {
			if pair := utf16.DecodeRune(r, hexRune(p[8:12])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return r, 6
	default: // a quotation mark, a backslash or a slash
		return rune(p[1]), 2
	}
}

// hexRune reads four hexadecimal digits.
func hexRune(p []byte) rune {
	var r rune
	for _, c := range p {
		d := rune(c - '0')
		if d > 9 {
			d = rune(c|0x20-'a') + 10
		}
		r = r<<4 | d
	}
	return r
}

// maxDigits is the longest number that JavaScript prints without an exponent.
const maxDigits = 21

// decimal prints a valid JSON number as JavaScript prints an integer: 456, 456.0 and 4.56e2 are "456", -0 is "0".
// Unlike JavaScript it keeps every digit past 2^53, for a backend that sends a 64-bit id means exactly that id.
func decimal(lit []byte) (string, error) {
	num, negative := strings.CutPrefix(string(lit), "-")
	mantissa, exponent := num, int64(0)
	if e := strings.IndexAny(num, "eE"); e >= 0 {
		mantissa = num[:e]
		// An exponent past 32 bits becomes the nearest one: more than the digits of any body can outweigh.
		exponent, _ = strconv.ParseInt(num[e+1:], 10, 32)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	// The value is 0.digits × 10^point.
	point := len(digits) - len(fraction) + int(exponent)
	digits = strings.TrimRight(digits, "0")
	switch {
	case digits == "":
		return "0", nil
	case len(digits) > point:
		return "", roomFraction
	case point > maxDigits:
		return "", roomHuge
	}
	digits += strings.Repeat("0", point-len(digits))
	if negative {
		return "-" + digits, nil
	}
	return digits, nil
}
