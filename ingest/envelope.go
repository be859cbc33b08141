package ingest

import (
	"bytes"

	"downlink/codes"
)

// fields is what a request body says of a push. checker.check holds Room and Event to the rules that their tags name.
type fields struct {
	Room  *string `validate:"omitnil,room"` // nil for a push to everyone
	Event string  `validate:"event"`
	Data  []byte  `validate:"-"` // a part of the body, nil for none
}

// findFields finds the fields of a push in a request body, in the envelope or flat. A body with ROOT is an envelope,
// whatever else stands beside it. The error has the cause.
func findFields(body []byte) (fields, error) {
	s := scanner{p: body}
	if err := s.scan(); err != nil {
		return fields{}, err
	}
	found, err := s.found.spans()
	if err != nil {
		return fields{}, err
	}
	return found.fields()
}

// place is where an object stands in a body, as far as that matters for finding the fields of a push.
type place uint8

const (
	inData place = iota // anywhere else
	atTop               // {here}
	inRoot              // {"ROOT":{here}}
	inBody              // {"ROOT":{"BODY":{here}}}
)

// spans are the JSON values of a push's fields, nil where a field is absent.
type spans struct{ room, event, data []byte }

// finder notes the fields of a push as the scanner comes by them. A later member replaces an earlier one of the same
// name as a whole, as in JavaScript's JSON.parse.
type finder struct {
	root     []byte // ROOT's value, nil if absent
	body     []byte // BODY's value in the last ROOT, nil if absent
	flat     spans  // at the top
	enclosed spans  // in the last BODY of the last ROOT
}

// member scans the value at i that belongs to key, a JSON string with its quotation marks, of an object at where.
func (s *scanner) member(where place, key []byte, i int) int {
	f := &s.found
	in := &f.flat
	if where == inBody {
		in = &f.enclosed
	}
	switch name := bareKey(key); string(name) {
	case "ROOT":
		if where == atTop {
			f.body, f.enclosed = nil, spans{}
			return s.into(&f.root, i, inRoot)
		}
	case "BODY":
		if where == inRoot {
			f.enclosed = spans{}
			return s.into(&f.body, i, inBody)
		}
	case "roomId":
		if where != inRoot {
			return s.into(&in.room, i, inData)
		}
	case "eventName":
		if where != inRoot {
			return s.into(&in.event, i, inData)
		}
	case "data":
		if where != inRoot {
			return s.into(&in.data, i, inData)
		}
	}
	return s.value(i)
}

// into scans the value at i, which is an object at where if it is one, and notes it in span.
func (s *scanner) into(span *[]byte, i int, where place) int {
	var end int
	if where != inData && s.at(i) == '{' {
		end = s.object(i, where)
	} else {
		end = s.value(i)
	}
	if end != bad {
		*span = s.p[i:end:end]
	}
	return end
}

// bareKey is what a key says: itself without quotation marks, unless it holds escapes.
func bareKey(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key[1 : len(key)-1]
	}
	name, _ := unquote(key) // a key with half a surrogate pair is none of ours
	return []byte(name)
}

// spans decides which fields count: those of the envelope, or the flat ones if there is none.
func (f *finder) spans() (spans, error) {
	switch {
	case f.root == nil && f.flat.event == nil && f.flat.room == nil && f.flat.data == nil:
		return spans{}, noFields
	case f.root == nil:
		return f.flat, nil
	case f.root[0] != '{':
		return spans{}, rootNoObject
	case f.body == nil:
		return spans{}, bodyMissing
	case f.body[0] != '{':
		return spans{}, bodyNoObject
	default:
		return f.enclosed, nil
	}
}

// fields reads the two names and hands on the bytes of data.
func (v spans) fields() (fields, error) {
	if v.event == nil {
		return fields{}, codes.MissingEvent
	}
	if v.event[0] != '"' {
		return fields{}, eventNoText
	}
	event, whole := unquote(v.event)
	if !whole {
		return fields{}, eventHalf
	}
	f := fields{Event: event, Data: v.data}
	if v.room == nil {
		return f, nil
	}
	var room string
	switch c := v.room[0]; {
	case c == 'n': // null
		return f, nil
	case c == '"':
		if room, whole = unquote(v.room); !whole {
			return fields{}, roomHalf
		}
	case c == '-' || c-'0' <= 9:
		var err error
		if room, err = decimal(v.room); err != nil {
			return fields{}, err
		}
	default:
		return fields{}, roomNoText
	}
	f.Room = &room
	return f, nil
}
