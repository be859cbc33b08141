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
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("handshake: %d %s", status, body)
	}
	if err != nil {
		p.Close()
		return nil, err
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
func (p *Polling) Get() (status int, body string, err error) { return p.do(http.MethodGet, "") }

// Post sends a payload.
func (p *Polling) Post(payload string) (status int, body string, err error) {
	return p.do(http.MethodPost, payload)
}

func (p *Polling) do(method, payload string) (status int, body string, err error) {
	req, err := http.NewRequest(method, p.url, strings.NewReader(payload))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	res, err := p.client.Do(req)
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
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("poll: %d %s", status, body)
		}
		if err != nil {
			return packets, err
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
