package bridge

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// good are packets that stock clients send, with what becomes of them.
var good = []struct {
	in   string
	want packet
}{
	{"0", packet{kind: '0', namespace: "/"}},
	{"0{}", packet{kind: '0', namespace: "/", data: []byte("{}")}},
	{`0{"token":"123"}`, packet{kind: '0', namespace: "/", data: []byte(`{"token":"123"}`)}},
	{"0/,", packet{kind: '0', namespace: "/"}},
	{"0/custom", packet{kind: '0', namespace: "/custom"}},
	{"0/custom,", packet{kind: '0', namespace: "/custom"}},
	{`0/custom,{"a":1}`, packet{kind: '0', namespace: "/custom", data: []byte(`{"a":1}`)}},
	{"0/custom?token=a,", packet{kind: '0', namespace: "/custom?token=a"}},
	{"1", packet{kind: '1', namespace: "/"}},
	{"1/custom,", packet{kind: '1', namespace: "/custom"}},
	{`2["foo"]`, packet{kind: '2', namespace: "/", data: []byte(`["foo"]`), name: []byte("foo")}},
	{`2 [ "foo" , 1 , {"a":[2,"]"]} ] `, packet{
		kind: '2', namespace: "/", data: []byte(`[ "foo" , 1 , {"a":[2,"]"]} ]`), name: []byte("foo"), args: []byte(`1 , {"a":[2,"]"]}`),
	}},
	{`212["foo"]`, packet{kind: '2', namespace: "/", id: 12, hasID: true, data: []byte(`["foo"]`), name: []byte("foo")}},
	{`2/admin,0["foo","b,\"]"]`, packet{
		kind: '2', namespace: "/admin", hasID: true, data: []byte(`["foo","b,\"]"]`), name: []byte("foo"), args: []byte(`"b,\"]"`),
	}},
	{`2["f\u006f\"o",null]`, packet{
		kind: '2', namespace: "/", data: []byte(`["f\u006f\"o",null]`), name: []byte(`fo"o`), args: []byte("null"),
	}},
	{`2[17,1]`, packet{kind: '2', namespace: "/", data: []byte(`[17,1]`), name: []byte("17"), args: []byte("1")}},
	{`29007199254740991["x"]`, packet{
		kind: '2', namespace: "/", id: 9007199254740991, hasID: true, data: []byte(`["x"]`), name: []byte("x"),
	}},
	{"312[]", packet{kind: '3', namespace: "/", id: 12, hasID: true, data: []byte("[]"), args: []byte{}}},
	{`3/admin,13["bar"]`, packet{kind: '3', namespace: "/admin", id: 13, hasID: true, data: []byte(`["bar"]`), args: []byte(`"bar"`)}},
	{`51-["baz",{"_placeholder":true,"num":0}]`, packet{
		kind: '5', attachments: 1, namespace: "/", data: []byte(`["baz",{"_placeholder":true,"num":0}]`),
		name: []byte("baz"), args: []byte(`{"_placeholder":true,"num":0}`),
	}},
	{`52-/admin,7["b"]`, packet{
		kind: '5', attachments: 2, namespace: "/admin", id: 7, hasID: true, data: []byte(`["b"]`), name: []byte("b"),
	}},
	{`61-15["bar"]`, packet{kind: '6', attachments: 1, namespace: "/", id: 15, hasID: true, data: []byte(`["bar"]`), args: []byte(`"bar"`)}},
}

// bad are packets that must close their connection. The first group ends a process that lets the library see them.
var bad = []struct {
	in   string
	want error
}{
	{"2", errPayload},
	{"31", errPayload},
	{"3", errID},
	{"212", errPayload},
	{"51-", errPayload},
	{`51-{"a":1}`, errPayload},
	{"50-", errAttachments},
	{`50-["a"]`, errAttachments},
	{"61-1", errPayload},
	{"60-1[]", errAttachments},
	{"5", errAttachments},
	{"5-", errAttachments},
	{"5+1-[]", errAttachments},
	{`511-["a"]`, errAttachments},
	{`599999999999999999999-["a"]`, errAttachments},
	{`51x["a"]`, errAttachments},
	{`51-["a",{"_placeholder":true,"num":1}]`, errPlaceholder},
	{`51-["a",{"_placeholder":true,"num":-1}]`, errPlaceholder},
	{`51-["a",{"_placeholder":true,"num":0.5}]`, errPlaceholder},
	{`51-["a",{"_placeholder":true,"num":"0"}]`, errPlaceholder},
	{`51-["a",[{"b":{"_placeholder":true}}]]`, errPlaceholder},

	{"", errType},
	{"abc", errType},
	{"7", errType},
	{"4", errType},
	{`4{"message":"x"}`, errType},
	{"\x002", errType},
	{"2{}", errPayload},
	{"2[]", errPayload},
	{"2[[]]", errPayload},
	{"2[{}]", errPayload},
	{"2[null]", errPayload},
	{"2[true]", errPayload},
	{`2["a"`, errPayload},
	{`2["a"]]`, errPayload},
	{`2["a"]x`, errPayload},
	{`2"a"`, errPayload},
	{`2abc["a"]`, errPayload},
	{`2-1["a"]`, errPayload},
	{`2["a",NaN]`, errPayload},
	{`2["connect"]`, errPayload},
	{`2["\u0063onnect"]`, errPayload},
	{`2["disconnecting",1]`, errPayload},
	{`2["newListener"]`, errPayload},
	{`29007199254740992["x"]`, errID},
	{`299999999999999999999999["x"]`, errID},
	{`2/custom["x"]`, errPayload}, // all of it is the namespace
	{"2/" + strings.Repeat("n", maxNamespace) + `,["x"]`, errNamespace},
	{"3[]", errID},
	{"31{}", errPayload},
	{"0[]", errPayload},
	{"0null", errPayload},
	{`0"a"`, errPayload},
	{"01", errID},
	{"01{}", errID},
	{"0{", errPayload},
	{"1{}", errPayload},
	{"1[]", errPayload},
	{"17", errID},
	{"2[\"\xff\"]", errEncoding},
	{"0/\xc3\x28,", errEncoding},
	{"2[\"a\"," + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "]", errPayload},
	{"51-[\"a\"," + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "]", errPayload},
}

func TestDecodeGood(t *testing.T) {
	for _, c := range good {
		p, err := decode([]byte(c.in))
		require.NoError(t, err, c.in)
		if len(c.want.args) == 0 {
			require.Empty(t, p.args, c.in)
			p.args, c.want.args = nil, nil
		}
		require.Equal(t, c.want, p, c.in)
	}
}

func TestDecodeBad(t *testing.T) {
	for _, c := range bad {
		_, err := decode([]byte(c.in))
		require.ErrorIs(t, err, c.want, "%.60s", c.in)
	}
}

// TestDecodeDeepJSONWithinLimits shows that nesting alone is no fault.
func TestDecodeDeepJSONWithinLimits(t *testing.T) {
	p, err := decode([]byte(`51-["a",` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "]"))
	require.NoError(t, err)
	require.Len(t, p.args, 18_000)
}

func TestEventValues(t *testing.T) {
	for args, want := range map[string][]string{
		"":                             nil,
		"1":                            {"1"},
		`"a,b","\"]", {"c":[1,2]} , x`: {`"a,b"`, `"\"]"`, `{"c":[1,2]}`, "x"},
		"[[],[1,[2]]],null":            {"[[],[1,[2]]]", "null"},
	} {
		e := Event{Args: []byte(args)}
		values, all := e.Values(10)
		require.True(t, all)
		require.Len(t, values, len(want), args)
		for i, v := range values {
			require.Equal(t, want[i], string(v))
		}
		if len(want) > 0 {
			values, all = e.Values(len(want) - 1)
			require.False(t, all)
			require.Len(t, values, len(want)-1)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":           `""`,
		"downmsg":    `"downmsg"`,
		"聊天":         `"聊天"`,
		`a"b\c`:      `"a\"b\\c"`,
		"<&>\n":      `"<&>\n"`,
		"\u2028\x00": `"\u2028\u0000"`,
	} {
		require.Equal(t, want, Quote(in))
	}
}

// FuzzDecode holds decode to what everything behind it relies on.
func FuzzDecode(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.in))
	}
	for _, c := range bad {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := decode(in)
		if err != nil {
			return
		}
		require.NotEqual(t, byte(typeRefusal), p.kind)
		require.True(t, p.namespace[0] == '/' && len(p.namespace) <= maxNamespace && utf8.ValidString(p.namespace))
		require.LessOrEqual(t, p.id, uint64(maxID))
		binary := p.kind == typeBinaryEvent || p.kind == typeBinaryAck
		require.Equal(t, binary, p.attachments > 0)
		require.LessOrEqual(t, p.attachments, maxAttachments)
		var array []json.RawMessage
		switch p.kind {
		case typeConnect:
			var object map[string]json.RawMessage
			require.True(t, p.data == nil || json.Unmarshal(p.data, &object) == nil)
			require.False(t, p.hasID)
		case typeDisconnect:
			require.True(t, p.data == nil && !p.hasID)
		case typeEvent, typeBinaryEvent:
			require.NoError(t, json.Unmarshal(p.data, &array))
			require.NotEmpty(t, array)
			require.False(t, reserved(string(p.name)))
			array = array[1:]
		default:
			require.True(t, p.hasID)
			require.NoError(t, json.Unmarshal(p.data, &array))
		}
		e := Event{Args: p.args}
		values, all := e.Values(len(array))
		require.True(t, all)
		require.Len(t, values, len(array))
		for i := range array {
			require.JSONEq(t, string(array[i]), string(values[i]))
		}
	})
}
