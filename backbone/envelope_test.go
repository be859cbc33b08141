package backbone

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"downlink/rooms"
)

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rooms.Push{
			Event: rapid.StringN(0, 64, rooms.MaxEvent).Draw(t, "event"),
			Data:  rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"),
		}
		id := newID()
		gotID, event, data, err := parseEnvelope(appendEnvelope(nil, id, &p))
		require.NoError(t, err)
		require.Equal(t, id, gotID)
		require.Equal(t, p.Event, event)
		require.True(t, bytes.Equal(p.Data, data))
		require.Equal(t, len(p.Data) == 0, data == nil, "no data is nil")
	})
}

func TestEnvelopeRefusesWhatIsNone(t *testing.T) {
	whole := appendEnvelope(nil, newID(), &rooms.Push{Event: "test", Data: []byte("1")})
	head := len(whole) - len("test1")
	for n := range head + len("test") {
		_, _, _, err := parseEnvelope(whole[:n])
		require.ErrorIs(t, err, errEnvelope, "%d bytes", n)
	}
	whole[0] = 2
	_, _, _, err := parseEnvelope(whole)
	require.ErrorContains(t, err, "version 2")
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{envelopeVersion})
	f.Add(appendEnvelope(nil, newID(), &rooms.Push{Event: "test", Data: []byte(`{"a":1}`)}))
	f.Add(append(appendEnvelope(nil, newID(), &rooms.Push{})[:17], bytes.Repeat([]byte{0xff}, 10)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, event, data, err := parseEnvelope(b)
		if err != nil {
			require.ErrorIs(t, err, errEnvelope)
			return
		}
		id2, event2, data2, err := parseEnvelope(appendEnvelope(nil, id, &rooms.Push{Event: event, Data: data}))
		require.NoError(t, err)
		require.Equal(t, id, id2)
		require.Equal(t, event, event2)
		require.Equal(t, data, data2)
	})
}

func FuzzParseClaim(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(appendClaim(nil, rooms.Claim{Conn: "n1.7", Policy: rooms.Last}))
	f.Add([]byte{envelopeVersion, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseClaim(b)
		if err == nil {
			require.Equal(t, b, appendClaim(nil, c))
			require.NotPanics(t, func() { _ = c.Policy.String() })
		}
	})
}

func TestSubjects(t *testing.T) {
	for _, to := range []rooms.Address{
		rooms.Everyone, rooms.Room("456"), rooms.Room("*"), rooms.Room(">"), rooms.Room("a.b"), rooms.Room(" "),
		rooms.Room("g"), rooms.Room("h"), rooms.Room("日本語"), rooms.Room("\xff\x00"),
	} {
		token := appendToken(nil, to)
		require.NotContains(t, string(token), "*")
		got, deliver, err := parseToken(token)
		require.NoError(t, err)
		require.True(t, deliver)
		require.Equal(t, to, got)
	}
	_, deliver, err := parseToken([]byte(probeToken))
	require.NoError(t, err)
	require.False(t, deliver)
	for _, bad := range []string{"", "x", "r", "r.*", "r.====", "g.g"} {
		_, _, err := parseToken([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}
