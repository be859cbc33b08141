package codes

import "fmt"

// Status is one answer to a receiver, as it travels in the event EventName: two fields, both strings.
// Source: seed 003, section "code".
type Status struct {
	Code string `json:"code"`
	Msg  string `json:"msg"`
}

// EventName is the event that carries a Status to a receiver, and the default event of a browser's listen.
const EventName = "downmsg"

// The status codes of EventName.
const (
	CodeConnected   = "2001" // connected
	CodeLoggedIn    = "2002" // admitted to a room
	CodeLoginFailed = "2003" // login failed, for the reason in Msg
	CodeRoomTaken   = "2004" // refused: somebody holds the room
	CodeKickedOut   = "2005" // put out of a room
)

// Connected is the first thing every connection is told.
var Connected = Status{CodeConnected, "connect success"}

// LoggedIn tells a newcomer that it was admitted to room.
func LoggedIn(room string) Status {
	return Status{CodeLoggedIn, fmt.Sprintf("login room (id:%s) success", room)}
}

// LoginFailed tells a newcomer why its login could not be decided; see Of for how an error becomes words.
func LoginFailed(err error) Status { return Status{CodeLoginFailed, Of(err).Msg} }

// RoomTaken tells a newcomer that somebody holds room.
func RoomTaken(room string) Status {
	return Status{CodeRoomTaken, fmt.Sprintf("your room id(%s) already exist", room)}
}

// KickedOut tells a member that it was put out of room.
func KickedOut(room string) Status {
	return Status{CodeKickedOut, fmt.Sprintf("you have kicked out room (id%s)", room)}
}
