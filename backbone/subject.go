package backbone

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"downlink/rooms"
)

// The subjects; see the package comment.
const (
	histPrefix  = "hist."
	livePrefix  = "live."
	claimPrefix = "claim."

	globalToken = "g"
	roomToken   = "r."
	probeToken  = "h"
)

// roomName makes a room id fit for a subject. A raw id could hold dots, wildcards and spaces, all of which mean
// something to NATS; a publish to a wildcard is even accepted without a word.
var roomName = base64.RawURLEncoding

// appendToken appends what follows hist. and live. for a.
func appendToken(b []byte, a rooms.Address) []byte {
	if a.Kind == rooms.KindGlobal {
		return append(b, globalToken...)
	}
	b = append(b, roomToken...)
	return roomName.AppendEncode(b, []byte(a.ID))
}

// parseToken is the reverse of appendToken. deliver is false for a probe.
func parseToken(token []byte) (a rooms.Address, deliver bool, err error) {
	switch string(token) {
	case globalToken:
		return rooms.Everyone, true, nil
	case probeToken:
		return rooms.Address{}, false, nil
	}
	name, found := bytes.CutPrefix(token, []byte(roomToken))
	if !found {
		return rooms.Address{}, false, fmt.Errorf("unknown subject %q", token)
	}
	var buf [64]byte
	id, err := roomName.AppendDecode(buf[:0], name)
	if err != nil {
		return rooms.Address{}, false, fmt.Errorf("room in subject %q: %w", token, err)
	}
	return rooms.Room(string(id)), true, nil
}

func claimSubject(room string) string {
	b := make([]byte, 0, len(claimPrefix)+roomName.EncodedLen(len(room)))
	return string(roomName.AppendEncode(append(b, claimPrefix...), []byte(room)))
}
