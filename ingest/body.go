package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"downlink/codes"
)

// readBody reads a request's body into memory of its own, which the push keeps. A body over the limit is not read if
// it says its length, and else not a byte further than proves it too long.
func (s *Server) readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > s.o.MaxBody {
		return nil, s.tooLarge
	}
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		var n int
		n, err = io.ReadFull(r.Body, body)
		body = body[:n]
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, s.o.MaxBody+1))
	}
	switch {
	case int64(len(body)) > s.o.MaxBody:
		return nil, s.tooLarge
	case err == nil:
		return body, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, because(codes.UnreadableBody, "only %d bytes came within %s", len(body), s.o.BodyTimeout)
	case r.ContentLength >= 0:
		return nil, because(codes.UnreadableBody, "it ends after %d of %d bytes", len(body), r.ContentLength)
	default:
		return nil, because(codes.UnreadableBody, "a chunk is malformed or the last one is missing")
	}
}

// How far refuseLarge goes along with a sender that does not stop.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 32 << 20
)
