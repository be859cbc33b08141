package engineio

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer of the Engine.IO protocol to a request that cannot be served.
type refusal struct {
	code    int
	message string
}

// The reference implementation's codes and texts.
var (
	errTransport       = refusal{0, "Transport unknown"}
	errSession         = refusal{1, "Session ID unknown"}
	errHandshakeMethod = refusal{2, "Bad handshake method"}
	errBadRequest      = refusal{3, "Bad request"}
	errForbidden       = refusal{4, "Forbidden"}
	errVersion         = refusal{5, "Unsupported protocol version"}
)

// fail answers a request that cannot be served. The connection is closed: a body may still be under way.
func (srv *Server) fail(w http.ResponseWriter, status int, e refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Connection", "close")
	_ = srv.answer(w, status, []byte(`{"code":`+strconv.Itoa(e.code)+`,"message":"`+e.message+`"}`))
}

// answer writes an answer and makes sure that it is on its way: what the HTTP server still has in hand when its handler
// returns has no deadline.
func (srv *Server) answer(w http.ResponseWriter, status int, body []byte) error {
	if body != nil {
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	rc := http.NewResponseController(w)
	last := time.Now().Add(srv.o.PingInterval + srv.o.PingTimeout) // then its heartbeat has failed anyway
	for more := true; more; more = len(body) > 0 {
		deadline := time.Now().Add(srv.o.WriteTimeout)
		if deadline.After(last) {
			deadline = last
		}
		_ = rc.SetWriteDeadline(deadline) // not every ResponseWriter can; then the HTTP server's own timeout holds
		n := min(len(body), flushChunk)
		if _, err := w.Write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_ = rc.SetWriteDeadline(time.Time{})
	return nil
}

// ServeHTTP serves every request of the protocol: handshakes, polls, POSTs, WebSockets and CORS preflights.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if srv.o.CORS != nil {
		srv.o.CORS(w.Header(), r)
	}
	if r.ContentLength != 0 {
		// For all of the body. Who reads none needs it too: the HTTP server looks for its end before it goes on.
		deadline := time.Now().Add(srv.o.PingInterval + srv.o.PingTimeout)
		_ = http.NewResponseController(w).SetReadDeadline(deadline)
	}
	if r.Method == http.MethodOptions {
		_ = srv.answer(w, http.StatusNoContent, nil)
		return
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		srv.fail(w, http.StatusBadRequest, errBadRequest)
		return
	}
	transport := q.Get("transport")
	if transport != "polling" && transport != "websocket" {
		srv.fail(w, http.StatusBadRequest, errTransport)
		return
	}
	var eio uint8
	switch v := q.Get("EIO"); {
	case v == "4":
		eio = 4
	case v == "3" && srv.o.AllowEIO3:
		eio = 3
	default:
		srv.fail(w, http.StatusBadRequest, errVersion)
		return
	}
	socket := transport == "websocket"
	jsonp := q.Has("j") // which no client needs any more
	if upgrade := len(r.Header["Upgrade"]) > 0; upgrade != socket || jsonp {
		srv.fail(w, http.StatusBadRequest, errBadRequest)
		return
	}
	if sid := q.Get("sid"); sid != "" || q.Has("sid") {
		srv.serveSession(w, r, srv.find(sid), eio, socket)
		return
	}
	switch {
	case r.Method != http.MethodGet:
		srv.fail(w, http.StatusBadRequest, errHandshakeMethod)
	case srv.refusing.Load():
		srv.fail(w, http.StatusServiceUnavailable, errBadRequest)
	case !srv.allowed(r):
		srv.fail(w, http.StatusForbidden, errForbidden)
	case socket:
		srv.connect(w, r, eio)
	default:
		srv.openPolling(w, r, eio, q.Get("b64") != "" && q.Get("b64") != "0")
	}
}

// serveSession serves a request that names a session.
func (srv *Server) serveSession(w http.ResponseWriter, r *http.Request, s *Session, eio uint8, socket bool) {
	switch {
	case s == nil:
		srv.fail(w, http.StatusBadRequest, errSession)
	case s.eio != eio:
		srv.fail(w, http.StatusBadRequest, errBadRequest)
	case socket && !srv.allowed(r):
		srv.fail(w, http.StatusForbidden, errForbidden)
	case socket:
		srv.upgrade(w, r, s)
	case r.Method == http.MethodGet:
		s.get(w, r)
	case r.Method == http.MethodPost:
		s.post(w, r)
	default:
		srv.fail(w, http.StatusBadRequest, errBadRequest)
	}
}

// allowed asks Options.Allow.
func (srv *Server) allowed(r *http.Request) bool {
	if srv.o.Allow == nil {
		return true
	}
	err := srv.o.Allow(r)
	if err != nil {
		srv.o.Log.Debug("client refused", "addr", r.RemoteAddr, "origin", strings.Join(r.Header["Origin"], ","), "err", err)
	}
	return err == nil
}

// openPolling opens a session that polls.
func (srv *Server) openPolling(w http.ResponseWriter, r *http.Request, eio uint8, b64 bool) {
	s, err := srv.open(r, eio, b64)
	if err != nil {
		srv.fail(w, http.StatusServiceUnavailable, errBadRequest)
		return
	}
	body := s.encodeOne(srv.openPacket(s, `"websocket"`))
	s.established(nil)
	if err := s.reply(w, body, false); err != nil {
		s.end(ending{ReasonClient, true, closeNormal})
	}
}
