package ingest_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"downlink/ingest"
	"downlink/rooms"
)

// pushCase is one entry of testdata/push.txt.
type pushCase struct {
	name, body, answer, sent string
	headers                  []string
	line                     int
}

// readCases reads testdata/push.txt, which explains itself.
func readCases(t *testing.T) []pushCase {
	t.Helper()
	text, err := os.ReadFile("testdata/push.txt")
	require.NoError(t, err)
	var cases []pushCase
	var c *pushCase
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "case":
			cases = append(cases, pushCase{name: value, line: i + 1})
			c = &cases[len(cases)-1]
		case "header":
			c.headers = append(c.headers, value)
		case "body":
			c.body = value
		case "quoted":
			c.body, err = strconv.Unquote(value)
			require.NoError(t, err, "line %d", i+1)
		case "answer":
			c.answer = value
		case "sent":
			c.sent = value
		default:
			t.Fatalf("line %d: %s", i+1, key)
		}
	}
	return cases
}

// TestPushTable holds every answer, byte for byte, and what was handed to the journal to testdata/push.txt.
func TestPushTable(t *testing.T) {
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j})
	cases := readCases(t)
	require.Greater(t, len(cases), 80)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			typed := false
			for _, h := range c.headers {
				typed = typed || strings.HasPrefix(h, "Content-Type")
			}
			if !typed {
				c.headers = append(c.headers, "Content-Type: application/json")
			}
			before := len(j.sent())
			a := do(t, ts, http.MethodPost, "/push", []byte(c.body), c.headers...)
			got := fmt.Sprintf("%d %s %s", a.status, a.header.Get("X-Push-Result"), a.body)
			require.Equal(t, c.answer, got, "line %d", c.line)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			rejected := a.header.Get("X-Push-Result") == "rejected"
			require.Equal(t, rejected, a.header.Get("X-Push-Id") == "")
			if c.sent == "" {
				require.Len(t, j.sent(), before, "nothing may be sent")
				return
			}
			require.Len(t, j.sent(), before+1)
			require.Equal(t, c.sent, show(j.sent()[before]), "line %d", c.line)
		})
	}
}

// show writes a push as the sent lines of testdata/push.txt do.
func show(p rooms.Push) string {
	to, data := "everyone", "-"
	if p.To.Kind == rooms.KindRoom {
		to = strconv.Quote(p.To.ID)
	}
	if p.Data != nil {
		data = string(p.Data)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %q %s %s", to, p.Event, data, p.Key))
}
