package loadgen

import (
	"bytes"
	"fmt"
)

// The data of a push is {"seq":"0000000042","to":"000007","pad":"…"}: ten digits of its number, six of its room, and a
// filling that begins at a different letter for each number, so that bytes of another push in its place are seen.
const (
	eventName = "bench"

	dataHead = `{"seq":"`
	dataRoom = `","to":"`
	dataPad  = `","pad":"`
	dataTail = `"}`

	seqDigits  = 10
	roomDigits = 6

	// MinSize is the data's size without any filling, in bytes; MaxSize bounds what a phase may ask for.
	MinSize = len(dataHead) + seqDigits + len(dataRoom) + roomDigits + len(dataPad) + len(dataTail)
	MaxSize = 64 << 10

	packetHead = `42["` + eventName + `",`
	packetTail = `]`
)

// Rooms that are not one of the fleet's, as they appear in a push and in a client.
const (
	toEveryone = -1 // a global push; a client that is in no room
	toNobody   = -2 // a push to a room no client is in
)

const padLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// padding holds a filling of MaxSize bytes from any of the letters on.
var padding = bytes.Repeat([]byte(padLetters), MaxSize/len(padLetters)+2)

// appendData writes the data of push seq to room, size bytes in all.
func appendData(b []byte, seq int64, room int32, size int) []byte {
	b = append(b, dataHead...)
	b = appendDigits(b, seq, seqDigits)
	b = append(b, dataRoom...)
	b = appendDigits(b, roomMark(room), roomDigits)
	b = append(b, dataPad...)
	from := int(seq % int64(len(padLetters)))
	b = append(b, padding[from:from+size-MinSize]...)
	return append(b, dataTail...)
}

// parsePacket reads the Socket.IO event packet of a push and checks every byte of it. It does not copy or allocate.
func parsePacket(p []byte) (seq int64, room int32, size int, ok bool) {
	data, ok := cut(p, packetHead, packetTail)
	if !ok || len(data) < MinSize {
		return 0, 0, 0, false
	}
	rest := data[len(dataHead):]
	seq, ok = parseDigits(rest[:seqDigits])
	if !ok {
		return 0, 0, 0, false
	}
	rest = rest[seqDigits+len(dataRoom):]
	mark, ok := parseDigits(rest[:roomDigits])
	if !ok {
		return 0, 0, 0, false
	}
	pad := rest[roomDigits+len(dataPad) : len(rest)-len(dataTail)]
	from := int(seq % int64(len(padLetters)))
	ok = len(data) <= MaxSize &&
		string(data[:len(dataHead)]) == dataHead &&
		string(data[len(dataHead)+seqDigits:][:len(dataRoom)]) == dataRoom &&
		string(rest[roomDigits:][:len(dataPad)]) == dataPad &&
		bytes.Equal(pad, padding[from:from+len(pad)]) &&
		string(data[len(data)-len(dataTail):]) == dataTail
	return seq, markRoom(mark), len(data), ok
}

// cut takes head and tail off p.
func cut(p []byte, head, tail string) ([]byte, bool) {
	if len(p) < len(head)+len(tail) || string(p[:len(head)]) != head || string(p[len(p)-len(tail):]) != tail {
		return nil, false
	}
	return p[len(head) : len(p)-len(tail)], true
}

// The marks of the two audiences that are no room of the fleet; rooms are below MaxClients.
const (
	everyoneMark = 999_999
	nobodyMark   = 999_998
)

func roomMark(room int32) int64 {
	switch room {
	case toEveryone:
		return everyoneMark
	case toNobody:
		return nobodyMark
	}
	return int64(room)
}

func markRoom(mark int64) int32 {
	switch mark {
	case everyoneMark:
		return toEveryone
	case nobodyMark:
		return toNobody
	}
	return int32(mark)
}

// roomName is the id of a room on the wire.
func roomName(room int32) string {
	if room == toNobody {
		return "bench-nobody"
	}
	return fmt.Sprintf("bench-%06d", room)
}

// appendPush writes the whole HTTP request that posts a push.
func appendPush(b []byte, host string, seq int64, room int32, size int) []byte {
	const (
		to    = `{"roomId":"`
		event = `","eventName":"` + eventName + `","data":`
		data  = `{"eventName":"` + eventName + `","data":`
		end   = `}`
	)
	length := len(data) + size + len(end)
	var name string
	if room != toEveryone {
		name = roomName(room)
		length = len(to) + len(name) + len(event) + size + len(end)
	}
	b = append(b, "POST /push HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = fmt.Appendf(b, "%d\r\n\r\n", length)
	if room == toEveryone {
		b = append(b, data...)
	} else {
		b = append(b, to...)
		b = append(b, name...)
		b = append(b, event...)
	}
	b = appendData(b, seq, room, size)
	return append(b, end...)
}

func appendDigits(b []byte, n int64, width int) []byte {
	start := len(b)
	b = append(b, "0000000000"[:width]...)
	for i := start + width - 1; i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func parseDigits(p []byte) (n int64, ok bool) {
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
