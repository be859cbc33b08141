package bridge

import (
	"encoding/json"
	"strconv"
	"strings"

	"downlink/server/engineio"
)

// EventFrame builds an event of the main namespace with one argument. data is a JSON value, used byte for byte; nil
// stands for null. The frame may be sent to any number of clients.
func EventFrame(name string, data []byte) engineio.Frame {
	arg := "null"
	if data != nil {
		arg = string(data)
	}
	return engineio.TextMessage("2[", Quote(name), ",", arg, "]")
}

// Quote gives s as a JSON string as a browser's JSON.stringify would, but for a few characters that stay escaped.
func Quote(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\'
	}
	if plain {
		return `"` + s + `"`
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // neither a string nor the builder can fail
	return strings.TrimSuffix(b.String(), "\n")
}

// frames builds an event or an acknowledgement around body, the values of its array. A packet with attachments is many
// frames that belong together: they must be queued in one call.
func frames(kind byte, prefix, id, body string, attachments [][]byte) []engineio.Frame {
	if len(attachments) == 0 {
		return []engineio.Frame{engineio.TextMessage(string(kind), prefix, id, "[", body, "]")}
	}
	kind += typeBinaryEvent - typeEvent
	out := make([]engineio.Frame, 0, 1+len(attachments))
	out = append(out, engineio.TextMessage(string(kind), strconv.Itoa(len(attachments)), "-", prefix, id, "[", body, "]"))
	for _, a := range attachments {
		out = append(out, engineio.BinaryMessage(a))
	}
	return out
}
