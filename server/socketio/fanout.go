package socketio

import (
	"encoding/json"
	"strconv"

	"downlink/codes"
	"downlink/rooms"
	"downlink/server/engineio"
	"downlink/server/socketio/bridge"
)

// Fanout builds m's frame, once for all receivers. The data travels as the bytes that were posted.
func (g *Gateway) Fanout(m *rooms.Message) rooms.Fanout {
	return fanout{g.bridge.Engine().Batch(bridge.EventFrame(m.Event, m.Data))}
}

type fanout struct{ batch *engineio.Batch }

func (f fanout) Add(c rooms.Conn) { f.batch.Add(c.(*conn).session) }
func (f fanout) Flush()           { f.batch.Flush() }

// statusFrame is a status as the event every client understands: two fields, in this order. Source: seed 003.
func statusFrame(s codes.Status) engineio.Frame {
	return bridge.EventFrame(codes.EventName, append(appendStatus(nil, s), '}'))
}

// appendStatus adds the status' two fields, and leaves the object open.
func appendStatus(b []byte, s codes.Status) []byte {
	b = append(b, `{"code":`...)
	b = append(b, bridge.Quote(s.Code)...)
	b = append(b, `,"msg":`...)
	return append(b, bridge.Quote(s.Msg)...)
}

// receipt is the one argument of an acknowledgement: the status' fields and what else is known.
type receipt struct {
	status codes.Status
	room   string // empty if the client named none that can be
	epoch  uint64 // 0 if nobody holds the room, or the client was not admitted
	seq    uint64
	hasSeq bool
}

func (r receipt) json() json.RawMessage {
	b := appendStatus(make([]byte, 0, 128), r.status)
	if r.room != "" {
		b = append(b, `,"roomId":`...)
		b = append(b, bridge.Quote(r.room)...)
	}
	if r.epoch != 0 {
		b = append(b, `,"epoch":`...)
		b = strconv.AppendUint(b, r.epoch, 10)
	}
	if r.hasSeq {
		b = append(b, `,"seq":`...)
		b = strconv.AppendUint(b, r.seq, 10)
	}
	return append(b, '}')
}
