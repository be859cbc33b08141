package socketio

import (
	"encoding/json"
	"strings"
	"testing"

	"downlink/codes"
	"downlink/rooms"
	"downlink/server/socketio/bridge"

	"github.com/stretchr/testify/require"
)

// loginCases are the arguments of loginRoom as they stand in the packet, with what becomes of them.
var loginCases = []struct {
	args string
	want rooms.Login
	err  error
}{
	{args: `"456"`, want: rooms.Login{Room: "456"}},
	{args: `456`, want: rooms.Login{Room: "456"}},
	{args: `-5`, want: rooms.Login{Room: "-5"}},
	{args: `-0`, want: rooms.Login{Room: "0"}},
	{args: `1e3`, want: rooms.Login{Room: "1000"}},
	{args: `4.50e1`, want: rooms.Login{Room: "45"}},
	{args: `1e-400`, want: rooms.Login{Room: "0"}},
	{args: `1.0`, want: rooms.Login{Room: "1"}},
	{args: `9007199254740993`, want: rooms.Login{Room: "9007199254740993"}},
	{args: `98765432109876543210`, want: rooms.Login{Room: "98765432109876543210"}},
	{args: `"聊天室"`, want: rooms.Login{Room: "聊天室"}},
	{args: `"\u804a<b>\"'"`, want: rooms.Login{Room: `聊<b>"'`}},
	{args: `"__proto__"`, want: rooms.Login{Room: "__proto__"}},
	{args: `"` + strings.Repeat("x", 256) + `"`, want: rooms.Login{Room: strings.Repeat("x", 256)}},
	{args: `"456","loginWhenFirst"`, want: rooms.Login{Room: "456"}},
	{args: `"456","loginWhenLast"`, want: rooms.Login{Room: "456", Policy: rooms.Last}},
	{args: `456, "loginWhenever"`, want: rooms.Login{Room: "456", Policy: rooms.Whenever}},
	{args: `"456",null`, want: rooms.Login{Room: "456"}},
	{args: `{"id":"456"}`, want: rooms.Login{Room: "456"}},
	{args: `{"id":456,"type":"loginWhenLast"}`, want: rooms.Login{Room: "456", Policy: rooms.Last}},
	{args: `{"roomId":"456","id":null,"type":null}`, want: rooms.Login{Room: "456"}},
	{args: `{"roomId":"456","id":"456"}`, want: rooms.Login{Room: "456"}},
	{args: `{"id":"456","type":"loginWhenever","resume":true,"epoch":17,"more":[]}`, want: rooms.Login{
		Room: "456", Policy: rooms.Whenever, Resume: true, Epoch: 17,
	}},
	{args: `{"id":"456","resume":false,"epoch":null}`, want: rooms.Login{Room: "456"}},

	{args: ``, err: codes.MissingRoomID},
	{args: `null`, err: codes.MissingRoomID},
	{args: `""`, err: codes.MissingRoomID},
	{args: `{}`, err: codes.MissingRoomID},
	{args: `{"ID":"456"}`, err: codes.MissingRoomID},
	{args: `{"id":null}`, err: codes.MissingRoomID},
	{args: `true`, err: codes.MalformedRoomID},
	{args: `[]`, err: codes.MalformedRoomID},
	{args: `["456"]`, err: codes.MalformedRoomID},
	{args: `1.5`, err: codes.MalformedRoomID},
	{args: `1234567890123456789012`, err: codes.MalformedRoomID},
	{args: `1e400`, err: codes.MalformedRoomID},
	{args: `1e20`, err: codes.MalformedRoomID},
	{args: strings.Repeat("9", 300), err: codes.MalformedRoomID},
	{args: `"` + strings.Repeat("x", 300) + `"`, err: codes.MalformedRoomID},
	{args: `{"id":"` + strings.Repeat("x", 300) + `"}`, err: codes.MalformedRoomID},
	{args: `"` + strings.Repeat("聊", 86) + `"`, err: codes.MalformedRoomID},
	{args: `"a\u0000b"`, err: codes.MalformedRoomID},
	{args: `"a\nb"`, err: codes.MalformedRoomID},
	{args: `"\u0085"`, err: codes.MalformedRoomID},
	{args: `{"id":{}}`, err: codes.MalformedRoomID},
	{args: `{"id":["456"]}`, err: codes.MalformedRoomID},
	{args: `{"_placeholder":true,"num":0}`, err: codes.MissingRoomID},
	{args: `"456","loginwhenfirst"`, err: codes.UnknownLoginType},
	{args: `"456",""`, err: codes.UnknownLoginType},
	{args: `"456",0`, err: codes.UnknownLoginType},
	{args: `"456",{}`, err: codes.UnknownLoginType},
	{args: `{"id":"456","type":"x"}`, err: codes.UnknownLoginType},
	{args: `{"id":"456","type":[]}`, err: codes.UnknownLoginType},
	{args: `"456","loginWhenLast",1`, err: codes.MalformedLogin},
	{args: `"456",null,null`, err: codes.MalformedLogin},
	{args: `{"id":"456"},"loginWhenLast"`, err: codes.MalformedLogin},
	{args: `{"id":"456","roomId":"457"}`, err: codes.MalformedLogin},
	{args: `{"id":"456","resume":1}`, err: codes.MalformedLogin},
	{args: `{"id":"456","epoch":-1}`, err: codes.MalformedLogin},
	{args: `{"id":"456","epoch":"1"}`, err: codes.MalformedLogin},
	{args: `{"id":"456","epoch":1.5}`, err: codes.MalformedLogin},
	{args: `{"id":"456","epoch":18446744073709551616}`, err: codes.MalformedLogin},
}

func TestParseLogin(t *testing.T) {
	for _, c := range loginCases {
		e := bridge.Event{Args: []byte(c.args)}
		l, err := parseLogin(e.Values(2))
		if c.err != nil {
			require.ErrorIs(t, err, c.err, c.args)
			require.LessOrEqual(t, len(l.Room), 256, "what is too long is not kept")
			continue
		}
		require.NoError(t, err, c.args)
		require.Equal(t, c.want, l, c.args)
	}
}

func TestParseOnlyRoom(t *testing.T) {
	for args, want := range map[string]error{
		`"456"`:                              nil,
		`456`:                                nil,
		``:                                   codes.MissingRoomID,
		`{"id":"456"}`:                       codes.MalformedRoomID,
		`"456","457"`:                        codes.MalformedLogin,
		`"` + strings.Repeat("x", 300) + `"`: codes.MalformedRoomID,
		`"456",null`:                         codes.MalformedLogin,
	} {
		e := bridge.Event{Args: []byte(args)}
		id, err := parseOnlyRoom(e.Values(1))
		require.ErrorIs(t, err, want, args)
		if want == nil {
			require.Equal(t, "456", id)
		} else {
			require.Empty(t, id)
		}
	}
}

func TestClientKey(t *testing.T) {
	for auth, want := range map[string]string{
		``:                       "",
		`{}`:                     "",
		`{"clientKey":"k1"}`:     "k1",
		`{"clientKey":1}`:        "",
		`{"clientKey":null}`:     "",
		`{"clientKey":{"a":[]}}`: "",
		`{"clientKey":"` + strings.Repeat("k", 128) + `"}`: strings.Repeat("k", 128),
		`{"clientKey":"` + strings.Repeat("k", 129) + `"}`: "",
	} {
		require.Equal(t, want, clientKey([]byte(auth)), auth)
	}
}

// FuzzLoginArgs holds the parsers to what admission relies on.
func FuzzLoginArgs(f *testing.F) {
	for _, c := range loginCases {
		f.Add([]byte(c.args))
	}
	f.Fuzz(func(t *testing.T, args []byte) {
		if !json.Valid(append(append([]byte("["), args...), ']')) {
			return // the decoder lets nothing else through
		}
		e := bridge.Event{Args: []byte(strings.Trim(string(args), " \t\r\n"))}
		for _, parse := range []func() (string, error){
			func() (string, error) { l, err := parseLogin(e.Values(2)); return l.Room, err },
			func() (string, error) { return parseOnlyRoom(e.Values(1)) },
		} {
			id, err := parse()
			if err != nil {
				var cause *codes.Cause
				require.ErrorAs(t, err, &cause)
				continue
			}
			require.NoError(t, rooms.ParseRoomID(id))
		}
	})
}
