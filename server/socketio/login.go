package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"downlink/codes"
	"downlink/rooms"
	"downlink/server/socketio/bridge"
)

// login is the event loginRoom.
func (g *Gateway) login(s *bridge.Socket, e *bridge.Event) {
	l, err := parseLogin(e.Values(2))
	s.Data.(*conn).ask(task{login: l, err: err, ack: e.Ack})
}

// loginAs is a login type as an event's name, with the room id alone.
func (g *Gateway) loginAs(p rooms.Policy) func(*bridge.Socket, *bridge.Event) {
	return func(s *bridge.Socket, e *bridge.Event) {
		id, err := parseOnlyRoom(e.Values(1))
		s.Data.(*conn).ask(task{login: rooms.Login{Room: id, Policy: p}, err: err, ack: e.Ack})
	}
}

// leave is the event leaveRoom.
func (g *Gateway) leave(s *bridge.Socket, e *bridge.Event) {
	id, err := parseOnlyRoom(e.Values(1))
	s.Data.(*conn).ask(task{leave: true, login: rooms.Login{Room: id}, err: err, ack: e.Ack})
}

// do decides one task and answers it.
func (c *conn) do(ctx context.Context, t task) {
	if t.err != nil {
		s := codes.LoginFailed(t.err)
		c.tell(s, t.ack, receipt{status: s})
		return
	}
	if t.leave {
		c.g.admission.Leave(ctx, c.member, t.login.Room)
		ok := codes.Status{Code: codes.ReturnOK, Msg: codes.ReturnMsgOK}
		c.session.Send(t.ack.Frames(receipt{status: ok, room: t.login.Room}.json())...)
		return
	}
	c.g.admission.Login(ctx, c.member, t.login, func(a rooms.Answer) {
		c.tell(a.Status, t.ack, receipt{status: a.Status, room: a.Room, epoch: a.Epoch, seq: a.Seq, hasSeq: true})
	})
}

// parseLogin reads the arguments of loginRoom: (id), (id, type) or ({id | roomId, type, resume, epoch}). A type of null
// is none: that is what an undefined one becomes on the wire. Errors are *codes.Cause.
func parseLogin(args []json.RawMessage, all bool) (rooms.Login, error) {
	switch {
	case !all:
		return rooms.Login{}, codes.MalformedLogin
	case len(args) == 0:
		return rooms.Login{}, codes.MissingRoomID
	case args[0][0] == '{' && len(args) == 1:
		return parseLoginObject(args[0])
	case args[0][0] == '{':
		return rooms.Login{}, codes.MalformedLogin
	}
	id, err := parseRoomID(args[0])
	if err != nil {
		return rooms.Login{}, err
	}
	l := rooms.Login{Room: id}
	if len(args) == 2 {
		l.Policy, err = parsePolicy(args[1])
	}
	return l, err
}

func parseLoginObject(b json.RawMessage) (l rooms.Login, err error) {
	var o map[string]json.RawMessage // a struct would match names in any case
	if json.Unmarshal(b, &o) != nil {
		return l, codes.MalformedLogin
	}
	id := o["id"]
	if isNull(id) {
		id = o["roomId"]
	} else if !isNull(o["roomId"]) && !bytes.Equal(id, o["roomId"]) {
		return l, codes.MalformedLogin
	}
	if l.Room, err = parseRoomID(id); err != nil {
		return l, err
	}
	if l.Policy, err = parsePolicy(o["type"]); err != nil {
		return l, err
	}
	if r := o["resume"]; !isNull(r) && json.Unmarshal(r, &l.Resume) != nil {
		return l, codes.MalformedLogin
	}
	if e := o["epoch"]; !isNull(e) && json.Unmarshal(e, &l.Epoch) != nil {
		return l, codes.MalformedLogin
	}
	return l, nil
}

// parseOnlyRoom reads the arguments of an event that takes a room id and nothing else.
func parseOnlyRoom(args []json.RawMessage, all bool) (string, error) {
	switch {
	case !all:
		return "", codes.MalformedLogin
	case len(args) == 0:
		return "", codes.MissingRoomID
	}
	return parseRoomID(args[0])
}

func parsePolicy(b json.RawMessage) (rooms.Policy, error) {
	if isNull(b) {
		return rooms.First, nil
	}
	var name string
	if json.Unmarshal(b, &name) != nil {
		return 0, codes.UnknownLoginType
	}
	p, ok := rooms.ParsePolicy(name)
	if !ok {
		return 0, codes.UnknownLoginType
	}
	return p, nil
}

// parseRoomID reads a room id: a string, or a number that stands for its decimal string.
func parseRoomID(b json.RawMessage) (string, error) {
	if isNull(b) {
		return "", codes.MissingRoomID
	}
	var id string
	switch c := b[0]; {
	case c == '"':
		if json.Unmarshal(b, &id) != nil {
			return "", codes.MalformedRoomID
		}
		if id == "" {
			return "", codes.MissingRoomID
		}
	case c == '-' || c >= '0' && c <= '9':
		var ok bool
		if id, ok = wholeNumber(string(b)); !ok {
			return "", codes.MalformedRoomID
		}
	default:
		return "", codes.MalformedRoomID
	}
	if err := rooms.ParseRoomID(id); err != nil {
		return "", err // not the id: it may be as long as a packet, and the answer may have to wait for others
	}
	return id, nil
}

// maxDigits is the longest number that JavaScript prints without an exponent.
const maxDigits = 21

// wholeNumber gives a JSON number as JavaScript prints it, if it is a whole one. Plain digits are taken as they are, so
// that an id beyond 2^53 from a client with wider numbers is not rounded to its neighbour's.
func wholeNumber(n string) (string, bool) {
	if n == "-0" {
		return "0", true
	}
	if !strings.ContainsAny(n, ".eE") {
		return n, len(strings.TrimPrefix(n, "-")) <= maxDigits
	}
	f, err := strconv.ParseFloat(n, 64)
	const exact = 1 << 53
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

func isNull(b json.RawMessage) bool { return len(b) == 0 || b[0] == 'n' }
