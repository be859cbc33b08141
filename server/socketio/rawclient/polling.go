package rawclient

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Polling is one polling session.
type Polling struct {
	SID    string // the session's id
	url    string
	client http.Client
}

// DialPolling opens a polling session; path as in "/socket.io/?EIO=4&transport=polling".
func DialPolling(addr, path string) (*Polling, error) {
	p := &Polling{url: "http://" + addr + path}
	p.client.Transport = &http.Transport{}
	p.client.Timeout = Patience
	status, body, err := p.Get()
	if err != nil || status != http.StatusOK {
		p.Close()
		return nil, fmt.Errorf("handshake: %d %s %v", status, body, err)
	}
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(body[strings.IndexByte(body, '{'):]), &open); err != nil {
		p.Close()
		return nil, err
	}
	p.SID = open.SID
	p.url += "&sid=" + open.SID
	return p, nil
}

// Get polls once.
func (p *Polling) Get() (status int, body string, err error) {
	res, err := p.client.Get(p.url)
	return result(res, err)
}

// Post sends a payload.
func (p *Polling) Post(payload string) (status int, body string, err error) {
	res, err := p.client.Post(p.url, "text/plain;charset=UTF-8", strings.NewReader(payload))
	return result(res, err)
}

func result(res *http.Response, err error) (int, string, error) {
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// Packets polls until count packets other than heartbeats have come, answering those.
func (p *Polling) Packets(count int) (packets []string, err error) {
	for end := time.Now().Add(Patience); len(packets) < count && time.Now().Before(end); {
		status, body, err := p.Get()
		if err != nil || status != http.StatusOK {
			return packets, fmt.Errorf("poll: %d %s %v", status, body, err)
		}
		for _, k := range strings.Split(body, "\x1e") {
			switch k {
			case "2":
				if _, _, err := p.Post("3"); err != nil {
					return packets, err
				}
			case "6":
			default:
				packets = append(packets, k)
			}
		}
	}
	return packets, nil
}

// Close drops the connections.
func (p *Polling) Close() { p.client.CloseIdleConnections() }
