package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"downlink/codes"
	"downlink/rooms"
)

// Header values that are the same in every answer. net/http only reads them.
var (
	typeJSON        = []string{"application/json"}
	resultAccepted  = []string{"accepted"}
	resultDuplicate = []string{"duplicate"}
	resultRejected  = []string{"rejected"}
)

// The headers beside the envelope, spelled as net/http keeps them.
const (
	headerPushID     = "X-Push-Id"     // the push's ULID
	headerPushResult = "X-Push-Result" // accepted, rejected or duplicate
)

// retryAfter is what Retry-After says while the node is stopping, in seconds.
const retryAfter = "2"

var bodyOK = envelope(codes.ReturnMsgOK)

// answerOK answers a push that is stored.
func answerOK(c echo.Context, receipt rooms.Receipt) error {
	h := c.Response().Header()
	h["Content-Type"] = typeJSON
	h[headerPushResult] = resultAccepted
	if receipt.Duplicate {
		h[headerPushResult] = resultDuplicate
	}
	if receipt.ID != "" {
		h[headerPushID] = []string{receipt.ID}
	}
	return write(c, http.StatusOK, bodyOK)
}

// refuse answers a request that ended with err, which is every request that does not end well: it is the one place
// where an error becomes an answer.
func (s *Server) refuse(err error, c echo.Context) {
	if c.Response().Committed {
		return // too late to say anything else
	}
	cause := s.cause(err, c)
	answer := envelope(returnMsg(cause))
	h := c.Response().Header()
	h["Content-Type"] = typeJSON
	h[headerPushResult] = resultRejected
	switch cause.Name {
	case codes.BodyTooLarge.Name:
		h.Set("Connection", "close")
		s.refuseLarge(c, answer)
		return
	case codes.Draining.Name:
		h.Set("Connection", "close") // the sender's next connection finds a node that stays
		h.Set("Retry-After", retryAfter)
	}
	_ = write(c, cause.PushStatus(), answer) // fails only for a sender that is gone
}

// cause finds the cause in a handler's error, or in what the router returns for a request that no handler takes.
func (s *Server) cause(err error, c echo.Context) *codes.Cause {
	switch {
	case errors.Is(err, echo.ErrNotFound):
		return because(codes.NotFound, "pushes go to POST /push, GET /openapi.yaml describes the rest")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return because(codes.MethodNotAllowed, "it takes %s", c.Response().Header().Get(echo.HeaderAllow))
	}
	cause := codes.Of(err)
	if cause == codes.Internal {
		s.o.Log.Error("a request failed", "method", c.Request().Method, "path", c.Path(), "err", err)
		return handlerFailed
	}
	return cause
}

// refuseLarge answers a body that is too large, and then reads some of it into nothing. Closing at once would reset the
// connection, and many senders write their whole body first and would find the reset instead of the answer.
func (s *Server) refuseLarge(c echo.Context, answer []byte) {
	// The answer leaves before the handler returns, so net/http cannot count its length.
	c.Response().Header().Set("Content-Length", strconv.Itoa(len(answer)))
	conn := http.NewResponseController(c.Response().Writer)
	_ = conn.EnableFullDuplex() // an error means a writer that is no connection, as in a test
	if write(c, codes.BodyTooLarge.HTTP, answer) != nil || conn.Flush() != nil {
		return // a sender that is gone: nobody to go along with
	}
	if conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Request().Body, lingerBytes)
	}
}

func write(c echo.Context, status int, body []byte) error {
	w := c.Response()
	w.WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// envelope is the body of every answer about pushes. Its two fields are all it ever has. Source: seed 003.
func envelope(msg string) []byte {
	type body struct {
		Code string `json:"RETURN_CODE"`
		Msg  string `json:"RETURN_MSG"`
	}
	type root struct {
		Body body `json:"BODY"`
	}
	type answer struct {
		Root root `json:"ROOT"`
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(answer{root{body{codes.ReturnOK, msg}}}) // two strings: it cannot fail
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
