package ingest

import (
	"mime"
	"net/http"
	"strings"

	"downlink/codes"
)

// MaxKey is the longest idempotency key, in bytes.
const MaxKey = 256

// wantJSON checks that a body is JSON in UTF-8 and not compressed. Asking for the exact type is also what keeps pages
// of other origins out: a browser must ask leave before it posts application/json, and is refused.
func wantJSON(h http.Header) error {
	if enc := h["Content-Encoding"]; len(enc) > 0 {
		for _, e := range enc {
			if !strings.EqualFold(e, "identity") {
				return badEncoding
			}
		}
	}
	types := h["Content-Type"]
	if len(types) != 1 {
		return badType
	}
	if types[0] == "application/json" {
		return nil // what nearly everyone sends, without parsing
	}
	name, params, err := mime.ParseMediaType(types[0])
	if err != nil || name != "application/json" {
		return badType
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return badType
	}
	return nil
}

// key is the request's idempotency key, empty for none.
func (s *Server) key(h http.Header) (string, error) {
	name := "Idempotency-Key"
	values := h[name]
	if len(values) == 0 && s.o.RequestIDAsKey {
		name = "X-Request-Id"
		values = h[name]
	}
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", because(codes.MalformedKey, "%s is given %d times", name, len(values))
	}
	key := values[0]
	if len(key) == 0 || len(key) > MaxKey || strings.ContainsFunc(key, notPrintable) {
		return "", because(codes.MalformedKey, "the one in %s is not", name)
	}
	return key, nil
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }
