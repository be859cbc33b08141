package ingest

import (
	"fmt"
	"net/http"

	"downlink/codes"
)

// because is the cause c with what in particular is wrong after it. It keeps c's name and status.
func because(c *codes.Cause, format string, args ...any) *codes.Cause {
	detailed := *c
	detailed.Msg += ": " + fmt.Sprintf(format, args...)
	return &detailed
}

// repeatable tells a sender whose push had no key what would help the next time, repeat one whose push had one what to
// do.
const (
	repeatable = "; a push with an Idempotency-Key header can be repeated safely"
	repeat     = "; repeat it with the same Idempotency-Key, then it is sent once"

	internalError = "internal error: it is not known whether this push was sent" + repeatable
)

// Causes after which it is not known whether the push was sent.
var (
	outcomeUnknown        = &codes.Cause{Name: codes.OutcomeUnknown.Name, Msg: codes.OutcomeUnknown.Msg + repeatable}
	outcomeUnknownWithKey = &codes.Cause{Name: codes.OutcomeUnknown.Name, Msg: codes.OutcomeUnknown.Msg + repeat}
	storeFailed           = &codes.Cause{Name: codes.Internal.Name, Msg: internalError}
	handlerFailed         = &codes.Cause{
		Name: codes.Internal.Name, Msg: internalError, HTTP: http.StatusInternalServerError,
	}
)

// returnMsg is the RETURN_MSG of a request refused for c.
func returnMsg(c *codes.Cause) string {
	switch c {
	case outcomeUnknown, outcomeUnknownWithKey, storeFailed, handlerFailed:
		return c.Msg
	default:
		return codes.ReturnMsg(c)
	}
}

// What is refused with the same words every time.
var (
	badType = because(codes.UnsupportedMediaType,
		"the Content-Type header must be application/json, its charset utf-8 or left out")
	badEncoding = because(codes.UnsupportedMediaType, "leave the Content-Encoding header out and do not compress")

	emptyBody    = because(codes.NotJSON, "it is empty")
	noFields     = because(codes.NoEnvelope, "it has no eventName")
	rootNoObject = because(codes.NoEnvelope, "ROOT is not an object")
	bodyMissing  = because(codes.NoEnvelope, "ROOT has no BODY")
	bodyNoObject = because(codes.NoEnvelope, "BODY is not an object")

	eventNoText  = because(codes.MalformedEvent, "it is not a string")
	eventHalf    = because(codes.MalformedEvent, "it has half a surrogate pair")
	roomNoText   = because(codes.MalformedRoomID, "it is neither a string nor a number")
	roomHalf     = because(codes.MalformedRoomID, "it has half a surrogate pair")
	roomFraction = because(codes.MalformedRoomID, "it is a number with a fraction, write it as a string")
	roomHuge     = because(codes.MalformedRoomID, "it is a number of more than 21 digits, write it as a string")
)
