package ingest

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"downlink/codes"
)

// depth is how deep a valid text nests.
func depth(p []byte) int {
	dec := json.NewDecoder(bytes.NewReader(p))
	deepest, now := 0, 0
	for {
		tok, err := dec.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

// members are the members of a JSON object, nil for any other value. A map keeps the last of equal keys.
func members(p []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(p, &m) != nil {
		return nil
	}
	return m
}

// wholeText decodes a JSON string, and is false for one with half a surrogate pair and for any other value.
func wholeText(p []byte) (string, bool) {
	var s string
	if len(p) == 0 || p[0] != '"' || json.Unmarshal(p, &s) != nil {
		return "", false
	}
	// encoding/json puts U+FFFD for half a pair, so there are more of them than were written.
	written := strings.Count(string(p), "\uFFFD") + strings.Count(strings.ToLower(string(p)), `\ufffd`) -
		strings.Count(strings.ToLower(string(p)), `\\ufffd`)
	return s, strings.Count(s, "\uFFFD") == written
}

// agree holds findFields to encoding/json.
func agree(t *testing.T, body []byte) {
	t.Helper()
	posted := bytes.Clone(body)
	s := scanner{p: body}
	err := s.scan()
	require.Equal(t, posted, body, "the body may not change")
	valid := json.Valid(body) && utf8.Valid(body)
	if valid && depth(body) > MaxDepth {
		valid = false
	}
	require.Equal(t, valid, err == nil, "%q: %v", body, err)
	if err != nil {
		require.Contains(t, []string{codes.NotJSON.Name, codes.NotUTF8.Name}, codes.Of(err).Name)
		require.LessOrEqual(t, s.fault.at, len(body))
		return
	}
	top := members(body)
	want := top
	if root, enveloped := top["ROOT"]; enveloped {
		want = members(members(root)["BODY"])
	}
	found, err := findFields(body)
	event, whole := wholeText(want["eventName"])
	if !whole {
		// A string with an escaped backslash before "ufffd" is more than this oracle tells apart.
		if !bytes.Contains(bytes.ToLower(body), []byte(`ufffd`)) {
			require.Error(t, err, "%q", body)
		}
		return
	}
	if err != nil {
		require.Equal(t, codes.MalformedRoomID.Name, codes.Of(err).Name, "%q: %v", body, err)
		return
	}
	require.Equal(t, event, found.Event)
	require.Equal(t, string(want["data"]), string(found.Data))
	room := want["roomId"]
	switch {
	case room == nil || room[0] == 'n':
		require.Nil(t, found.Room)
	case room[0] == '"':
		id, _ := wholeText(room)
		require.Equal(t, id, *found.Room)
	default:
		n, err := strconv.ParseFloat(string(room), 64)
		require.NoError(t, err)
		require.Equal(t, math.Trunc(n), n)
		id, err := strconv.ParseFloat(*found.Room, 64)
		require.NoError(t, err)
		require.Equal(t, n, id, "%s is not %s", *found.Room, room)
	}
}

// seeds are bodies that are good, bad or odd.
func seeds() [][]byte {
	texts := []string{
		`{"ROOT":{"BODY":{"roomId":"456","eventName":"test","data":{}}}}`,
		`{"roomId":456,"eventName":"test","data":[1.0,9007199254740993,"\u0041\ud83d\ude00",null,true,false]}`,
		`{"eventName":"a","eventName":"b","data":1,"data":{"x":[[],{}]}}`,
		`{"R\u004fOT":{"BODY":{"eventName":"\ud800"}},"ROOT":{}}`,
		`{"roomId":-1.5e+3,"eventName":"x"}`, `{"roomId":1e99999999999,"eventName":"x"}`, `{"roomId":0.00e-9,"eventName":"x"}`,
		"{\"eventName\":\"\xff\"}", "{\"eventName\":\"\xed\xa0\x80\"}", "\xef\xbb\xbf{}", "{\"a\":\"\u2028\"}", "\x00", "",
		`{"eventName":"te`, `{"eventName":"te\`, `{"eventName":"te\u00`, `{"eventName"`, `{`, `[`, `"`, `-`, `tru`, `1.`, `1e`, `1e+`,
		`{"a":1,}`, `[1,]`, `01`, `+1`, `.5`, `0x1`, `NaN`, `{'a':1}`, `{"a":1}}`, `{"a" 1}`, "[\v1]", `{"ROOT":null}`, `{"ROOT":{"BODY":[]}}`,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
		strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth),
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
		`{"eventName":"` + strings.Repeat("é", 100) + `"}`,
	}
	all := make([][]byte, len(texts))
	for i, text := range texts {
		all[i] = []byte(text)
	}
	return all
}

func FuzzEnvelope(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(agree)
}

// TestScanEveryStop puts each byte at each offset of a string, so that it meets every lane of the eight at a time and
// the rest after them, alone and after another that stops the scan.
func TestScanEveryStop(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				text := []byte(`"` + strings.Repeat("a", length) + `"`)
				text[1+at] = byte(c)
				agree(t, text)
			}
		}
	}
}

// TestScanEveryCut cuts good bodies at every byte: none of the parts is a body, and none may be taken for one.
func TestScanEveryCut(t *testing.T) {
	for _, seed := range seeds()[:5] {
		for i := range seed {
			agree(t, seed[:i])
			_, err := findFields(seed[:i])
			require.Error(t, err)
		}
		agree(t, seed)
	}
}

// TestScanEveryFlip replaces every byte of a good body by every other.
func TestScanEveryFlip(t *testing.T) {
	good := []byte(`{"ROOT":{"BODY":{"roomId":"4\n","eventName":"t\u0065","data":[-1.5e+3,true,null,{"é":""}]}}}`)
	for i := range good {
		for c := range 256 {
			body := bytes.Clone(good)
			body[i] = byte(c)
			agree(t, body)
		}
	}
}

// TestDataIsPartOfBody holds that data is not copied, and that nothing can grow over what follows it in the body.
func TestDataIsPartOfBody(t *testing.T) {
	body := []byte(`{"eventName":"test","data":{"a":1},"roomId":"1"}`)
	found, err := findFields(body)
	require.NoError(t, err)
	require.Same(t, &body[27], &found.Data[0])
	require.Equal(t, len(found.Data), cap(found.Data))
}

func TestDecimal(t *testing.T) {
	for lit, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "0e9": "0", "-0.000E-5": "0",
		"1": "1", "-1": "-1", "456": "456", "456.000": "456", "1e3": "1000", "1E+3": "1000", "1000e-3": "1", "-12.5e1": "-125",
		"0.001e3": "1", "0.001e5": "100", "120": "120", "1.20e2": "120", "9007199254740993": "9007199254740993",
		"18446744073709551615": "18446744073709551615", "1e20": "100000000000000000000",
		"123456789012345678901": "123456789012345678901", "0e99999999999999999999": "0",
	} {
		got, err := decimal([]byte(lit))
		require.NoError(t, err, lit)
		require.Equal(t, want, got, lit)
	}
	for lit, want := range map[string]error{
		"0.5": roomFraction, "1e-1": roomFraction, "12.34e1": roomFraction, "1e-99999999999999999999": roomFraction,
		"1e21": roomHuge, "1234567890123456789012": roomHuge, "-1e21": roomHuge, "1e99999999999999999999": roomHuge,
		"0.1e2147483648": roomHuge,
	} {
		_, err := decimal([]byte(lit))
		require.Equal(t, want, err, lit)
	}
}

func TestUnquote(t *testing.T) {
	for lit, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u0041b"`: "Ab", `"\uABCD\uabcd"`: "\uabcd\uabcd",
		`"x\ud83d\ude00y"`: "x😀y", `"\uFFFD"`: "\uFFFD", `"\\ud800"`: `\ud800`, `"\u0000"`: "\x00", `"é\n"`: "é\n",
	} {
		got, whole := unquote([]byte(lit))
		require.True(t, whole, lit)
		require.Equal(t, want, got, lit)
	}
	for _, lit := range []string{
		`"\ud800"`, `"\udc00"`, `"\ud800a"`, `"\ud800\n"`, `"\ud800\u0041"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"a\ud83d\ude00\ude00"`,
	} {
		_, whole := unquote([]byte(lit))
		require.False(t, whole, lit)
	}
}
