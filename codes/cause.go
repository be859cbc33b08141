package codes

import (
	"errors"
	"net/http"
)

// Cause is why something asked for was not done. It is an error; Msg is the only text of it that a client sees.
type Cause struct {
	Name string // stable, kebab-case
	Msg  string // plain words, without a full stop
	HTTP int    // the status POST /push answers with; 0 for 200, the answer to whatever reaches that endpoint
}

// Error gives Msg, so that a Cause can be returned and wrapped like any error.
func (c *Cause) Error() string { return c.Msg }

// PushStatus is the HTTP status by which POST /push answers a push refused for c.
func (c *Cause) PushStatus() int {
	if c.HTTP == 0 {
		return http.StatusOK
	}
	return c.HTTP
}

// Of finds the cause in err's chain; an error without one is Internal, and its own text stays in our log.
func Of(err error) *Cause {
	var c *Cause
	if errors.As(err, &c) {
		return c
	}
	return Internal
}

// Causes that any request may meet.
var (
	// Internal stands for every error that has no cause of its own.
	Internal = &Cause{Name: "internal", Msg: "internal error"}
	// Unavailable is the cause of what could not be stored or decided in time; trying again later may help.
	Unavailable = &Cause{Name: "unavailable", Msg: "the service cannot do this now, try again later"}
)

// Causes about rooms, for logins and pushes alike.
var (
	MissingRoomID   = &Cause{Name: "missing-room-id", Msg: "the room id is missing"}
	MalformedRoomID = &Cause{
		Name: "malformed-room-id",
		Msg:  "the room id must be a whole number or 1 to 256 bytes of UTF-8 text without control characters",
	}
)

// Causes of a failed login (status 2003).
var (
	MalformedLogin = &Cause{
		Name: "malformed-login",
		Msg:  "the arguments must be a room id, a room id and a login type, or one object",
	}
	UnknownLoginType = &Cause{
		Name: "unknown-login-type",
		Msg:  "the login type must be loginWhenFirst, loginWhenLast or loginWhenever",
	}
	TooManyRooms = &Cause{Name: "too-many-rooms", Msg: "this connection is in as many rooms as it may be"}
)

// Causes of a rejected push: it reached POST /push, so the HTTP status is 200.
var (
	UnreadableBody = &Cause{Name: "unreadable-body", Msg: "the body could not be read to its end"}
	NotUTF8        = &Cause{Name: "not-utf8", Msg: "the body is not valid UTF-8"}
	NotJSON        = &Cause{Name: "not-json", Msg: "the body is not JSON"}
	NoEnvelope     = &Cause{Name: "no-envelope", Msg: "the body is neither {\"ROOT\":{\"BODY\":{...}}} nor a flat object"}
	MissingEvent   = &Cause{Name: "missing-event", Msg: "eventName is missing"}
	MalformedEvent = &Cause{Name: "malformed-event", Msg: "eventName must be 1 to 256 bytes of UTF-8 text"}
	ReservedEvent  = &Cause{Name: "reserved-event", Msg: "eventName is reserved by Socket.IO"}
	// OutcomeUnknown is the cause of a push that was handed to the store, which then did not say whether it stored it.
	OutcomeUnknown = &Cause{
		Name: "outcome-unknown", Msg: "the store did not answer in time: it is not known whether this push was sent",
	}
	MalformedKey = &Cause{Name: "malformed-key", Msg: "the idempotency key must be 1 to 256 bytes of printable ASCII"}
)

// Causes of a request that never reached POST /push.
var (
	NotFound         = &Cause{"not-found", "there is nothing at this address", http.StatusNotFound}
	MethodNotAllowed = &Cause{
		"method-not-allowed", "this address does not take this method", http.StatusMethodNotAllowed,
	}
	BodyTooLarge         = &Cause{"body-too-large", "the body is too large", http.StatusRequestEntityTooLarge}
	UnsupportedMediaType = &Cause{
		"unsupported-media-type", "the body must be application/json", http.StatusUnsupportedMediaType,
	}
	PreflightRefused = &Cause{
		Name: "preflight-refused", Msg: "pages of other origins may not use this listener: push from your backend",
		HTTP: http.StatusForbidden,
	}
	Draining = &Cause{"draining", "this node is stopping, try again", http.StatusServiceUnavailable}
)

// Causes is the whole table, in the order in which it is documented and generated.
var Causes = []*Cause{
	Internal, Unavailable,
	MissingRoomID, MalformedRoomID,
	MalformedLogin, UnknownLoginType, TooManyRooms,
	UnreadableBody, NotUTF8, NotJSON, NoEnvelope, MissingEvent, MalformedEvent, ReservedEvent, MalformedKey,
	OutcomeUnknown,
	NotFound, MethodNotAllowed, BodyTooLarge, UnsupportedMediaType, PreflightRefused, Draining,
}
