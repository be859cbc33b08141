package rooms

import (
	"unicode"
	"unicode/utf8"

	"downlink/codes"
)

// Limits on what strangers choose.
const (
	MaxRoomID = 256  // bytes of a room id
	MaxEvent  = 256  // bytes of an event name
	MaxRooms  = 1024 // rooms one connection may be in at a time
)

// ParseRoomID reports whether id may name a room: 1 to MaxRoomID bytes of UTF-8 without control characters. The error
// is codes.MalformedRoomID.
func ParseRoomID(id string) error {
	if id == "" || len(id) > MaxRoomID || !utf8.ValidString(id) {
		return codes.MalformedRoomID
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return codes.MalformedRoomID
		}
	}
	return nil
}

// ParseEvent reports whether a push may carry the event name: 1 to MaxEvent bytes of UTF-8 and none of the six names
// that Socket.IO keeps for itself. The error is codes.MissingEvent, codes.MalformedEvent or codes.ReservedEvent.
func ParseEvent(name string) error {
	switch name {
	case "":
		return codes.MissingEvent
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return codes.ReservedEvent
	}
	if len(name) > MaxEvent || !utf8.ValidString(name) {
		return codes.MalformedEvent
	}
	return nil
}
