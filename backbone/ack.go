package backbone

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

var errNoStream = errors.New("nobody stores this subject")

// slot receives one acknowledgement at a time. It belongs to its link.
//
// Each waiting publisher has one, with a subject of its own. So an acknowledgement goes from the reader straight to
// the one who waits for it, and the server finds the way to so few subjects in its cache.
type slot struct {
	link    *link
	subject string
	acks    chan ack // of 1
}

// ack is what a stream says to a message.
type ack struct {
	seq       uint64
	duplicate bool
	err       error // *ackError when the stream refused
}

// ackError is a refusal by JetStream, with its error code.
type ackError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *ackError) Error() string { return fmt.Sprintf("%s (NATS error %d)", e.Description, e.Code) }

// parseAck reads what a stream answered. Nearly all are of one form, read without a JSON parser.
func parseAck(header, data []byte) ack {
	if i := bytes.LastIndexByte(data, ':'); i > 0 && bytes.HasSuffix(data[:i], []byte(`,"seq"`)) {
		if digits, ok := bytes.CutSuffix(data[i+1:], []byte{'}'}); ok {
			if seq, ok := parseNumber(digits); ok && seq > 0 {
				return ack{seq: seq}
			}
		}
	}
	if bytes.HasPrefix(header, []byte("NATS/1.0 503")) {
		return ack{err: errNoStream}
	}
	var a struct {
		Seq       uint64
		Duplicate bool
		Error     *ackError
	}
	switch err := json.Unmarshal(data, &a); {
	case err != nil:
		return ack{err: fmt.Errorf("read acknowledgement: %w", err)}
	case a.Error != nil:
		return ack{err: a.Error}
	case a.Seq == 0:
		return ack{err: errors.New("acknowledgement without a number")}
	default:
		return ack{seq: a.Seq, duplicate: a.Duplicate}
	}
}

// parseSize reads a decimal number that fits a message.
func parseSize(b []byte) (int, bool) {
	n, ok := parseNumber(b)
	return int(n), ok && n <= 1<<30
}

// parseNumber reads a decimal number of at most 19 digits.
func parseNumber(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
