package rooms_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
)

func TestParseRoomID(t *testing.T) {
	for _, id := range []string{"456", " ", "a b", "日本語", "*", ">", "__proto__", strings.Repeat("x", 256), "a\u2028b"} {
		require.NoError(t, rooms.ParseRoomID(id), "%q", id)
	}
	for _, id := range []string{
		"", strings.Repeat("x", 257), strings.Repeat("é", 128) + "x", "a\x00b", "a\nb", "\x7f", "\u0085", "\xff", "a\xc3",
	} {
		require.ErrorIs(t, rooms.ParseRoomID(id), codes.MalformedRoomID, "%q", id)
	}
}

func TestParseEvent(t *testing.T) {
	for _, name := range []string{"test", "downmsg", "Connect", "connect ", "日本語", strings.Repeat("x", 256)} {
		require.NoError(t, rooms.ParseEvent(name), "%q", name)
	}
	for _, name := range []string{
		"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
	} {
		require.ErrorIs(t, rooms.ParseEvent(name), codes.ReservedEvent, "%q", name)
	}
	require.ErrorIs(t, rooms.ParseEvent(""), codes.MissingEvent)
	require.ErrorIs(t, rooms.ParseEvent(strings.Repeat("x", 257)), codes.MalformedEvent)
	require.ErrorIs(t, rooms.ParseEvent("\xff"), codes.MalformedEvent)
}

func TestParsePolicy(t *testing.T) {
	for _, p := range policies {
		got, ok := rooms.ParsePolicy(p.String())
		require.True(t, ok)
		require.Equal(t, p, got)
	}
	for _, name := range []string{"", "first", "loginwhenfirst", "loginWhenFirst "} {
		_, ok := rooms.ParsePolicy(name)
		require.False(t, ok, "%q", name)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "456", "connect", "\xff", "a\x00", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if rooms.ParseRoomID(s) == nil && (len(s) < 1 || len(s) > rooms.MaxRoomID || !utf8.ValidString(s)) {
			t.Fatalf("room id %q passed", s)
		}
		if rooms.ParseEvent(s) == nil && (len(s) < 1 || len(s) > rooms.MaxEvent || !utf8.ValidString(s)) {
			t.Fatalf("event %q passed", s)
		}
	})
}
