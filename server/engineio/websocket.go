package engineio

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 asks for it; it protects nothing
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// acceptGUID is RFC 6455's constant for Sec-WebSocket-Accept.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// errHandshake is an upgrade request that is none.
var errHandshake = errors.New("not a websocket handshake")

// hijacked is a connection taken from net/http.
type hijacked struct {
	nc    net.Conn
	early []byte // what the client sent before our answer
	reply []byte // the 101, not written yet
}

// hijack takes the request's connection over. When it cannot, it has answered.
func (srv *Server) hijack(w http.ResponseWriter, r *http.Request) (*hijacked, error) {
	key := r.Header.Get("Sec-Websocket-Key")
	nonce, err := base64.StdEncoding.DecodeString(key)
	hj := http.NewResponseController(w)
	switch {
	case r.Method != http.MethodGet, !r.ProtoAtLeast(1, 1), err != nil, len(nonce) != 16,
		!hasToken(r.Header["Connection"], "upgrade"), !hasToken(r.Header["Upgrade"], "websocket"):
		srv.fail(w, http.StatusBadRequest, errBadRequest)
		return nil, errHandshake
	case r.Header.Get("Sec-Websocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13") // §4.4
		srv.fail(w, http.StatusUpgradeRequired, errBadRequest)
		return nil, errHandshake
	}
	nc, rw, err := hj.Hijack()
	if err != nil { // HTTP/2, or a middleware in between
		srv.fail(w, http.StatusBadRequest, errBadRequest)
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{}) // the HTTP server's own
	x := &hijacked{nc: nc}
	if n := rw.Reader.Buffered(); n > 0 {
		x.early = make([]byte, n)
		if _, err := io.ReadFull(rw.Reader, x.early); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	sum := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // see the import
	x.reply = append(make([]byte, 0, 384), "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	x.reply = append(base64.StdEncoding.AppendEncode(x.reply, sum[:]), "\r\n\r\n"...)
	return x, nil
}

// hasToken tells whether a header, a list of tokens, has one of them.
func hasToken(values []string, want string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), want) {
				return true
			}
		}
	}
	return false
}

// connect opens a session on a WebSocket.
func (srv *Server) connect(w http.ResponseWriter, r *http.Request, eio uint8) {
	x, err := srv.hijack(w, r)
	if err != nil {
		return
	}
	s, err := srv.open(r, eio, false)
	if err != nil {
		_, _ = x.nc.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		_ = x.nc.Close()
		return
	}
	c := newConn(srv, s, x.nc)
	if err := c.write(append(x.reply, srv.openPacket(s, "")...)); err != nil {
		_ = x.nc.Close()
		s.established(nil)
		s.end(ending{ReasonClient, true, closeNormal})
		srv.forget(s)
		return
	}
	s.established(c)
	c.start(x.early)
}

// upgrade lets a WebSocket try to replace a session's polling. Until its "5" it is no part of the session.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, s *Session) {
	s.mu.Lock()
	free := s.st == stOpen && s.conn == nil && s.up == nil && !s.flags.has(reserved)
	if free {
		s.flags |= reserved
	}
	s.mu.Unlock()
	x, err := srv.hijack(w, r)
	if !free {
		if err == nil { // not 400: clients are to see a WebSocket that opens and closes, and the session goes on
			c := newConn(srv, s, x.nc)
			_ = c.write(append(x.reply, closeFrame(closePolicy)...))
			_ = x.nc.Close()
		}
		return
	}
	var c *conn
	if err == nil {
		c = newConn(srv, s, x.nc)
		err = c.write(x.reply)
	}
	s.mu.Lock()
	s.flags &^= reserved
	if err != nil || s.st != stOpen {
		s.mu.Unlock()
		if c != nil {
			_ = x.nc.Close()
		}
		return
	}
	s.up = c
	c.timer = time.AfterFunc(srv.o.UpgradeTimeout, c.kill) // stopped by "5" and by gone
	s.mu.Unlock()
	c.start(x.early)
}

// probe takes a frame of a WebSocket that is to replace polling; the session's in is held.
func (c *conn) probe(op byte, p []byte) error {
	s := c.s
	switch {
	case op == opPing:
		return c.offer(controlFrame(opPong, p))
	case op == opPong:
		return nil
	case op == opClose:
		code, err := checkClose(p)
		if err != nil {
			return err
		}
		return &errClosed{code}
	case op != opText:
		return errPacket
	case string(p) == "2probe":
		s.mu.Lock()
		ok := s.up == c && s.st == stOpen
		if ok {
			s.flags |= probed
			s.poke() // the poll that waits gets a "6": the client sends "5" only when it is back
		}
		s.mu.Unlock()
		if !ok {
			return errPacket
		}
		return c.offer(probeAnswer)
	case string(p) == "5":
		s.mu.Lock()
		if s.up != c || !s.flags.has(probed) || s.st != stOpen {
			s.mu.Unlock()
			return errPacket
		}
		s.conn, s.up = c, nil
		s.flags &^= probed
		c.timer.Stop()
		c.timer = nil
		s.poke() // a poll that is here now is none
		list := s.mark()
		s.mu.Unlock()
		s.srv.stats.upgraded.Add(1)
		if list {
			s.w.add(s)
		}
		return nil
	}
	return errPacket
}
