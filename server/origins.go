package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// maxLoggedOrigins bounds how many refused origins are remembered, and so logged. A page can make up origins for ever.
const maxLoggedOrigins = 256

// maxOriginLen is the longest Origin header looked at, in bytes: a scheme, a host of 253 bytes (RFC 1035) and a port.
const maxOriginLen = 300

// ErrOrigin is why a request is refused that comes from a page of an origin nobody allowed.
var ErrOrigin = errors.New("origin not allowed")

// Origins decides which pages may connect. It is safe for concurrent use.
type Origins struct {
	any      bool
	loopback bool
	allowed  map[string]bool
	log      *slog.Logger

	mu     sync.Mutex
	logged map[string]bool // refused origins that were logged; at most maxLoggedOrigins
}

// NewOrigins allows the origins of list, each as ParseOrigin reads it, besides the same origin, and every loopback
// origin if loopback is set.
func NewOrigins(list []string, loopback bool, log *slog.Logger) (*Origins, error) {
	o := &Origins{loopback: loopback, allowed: map[string]bool{}, log: log, logged: map[string]bool{}}
	for _, s := range list {
		origin, err := ParseOrigin(s)
		if err != nil {
			return nil, err
		}
		if origin == "*" {
			o.any = true
		}
		o.allowed[origin] = true
	}
	return o, nil
}

// ParseOrigin reads an origin as a browser sends it, scheme://host[:port], and returns it in lower case without the
// scheme's default port (RFC 6454 §6.2). "*" and "null", the origin of pages without one such as files, stand for
// themselves.
func ParseOrigin(s string) (string, error) {
	if s == "*" || s == "null" {
		return s, nil
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > maxOriginLen || u.Scheme == "" || u.Hostname() == "" || u.Opaque != "" || u.User != nil ||
		u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") || strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("%q is not an origin like https://app.example.com or http://localhost:8080 (no path)", s)
	}
	return u.Scheme + "://" + withoutPort(strings.ToLower(u.Host), defaultPorts[u.Scheme]), nil
}

var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

func withoutPort(host, port string) string {
	if port == "" {
		return host
	}
	return strings.TrimSuffix(host, port)
}

// Allow refuses a request from a page of an origin that may not connect, with an error that is ErrOrigin. The first
// refusals of an origin are logged with the flag that would allow it.
func (o *Origins) Allow(r *http.Request) error {
	origin, ok := o.check(r)
	if ok {
		return nil
	}
	o.logRefusal(origin)
	return ErrOrigin
}

// CORS sets on h what lets a page of an allowed origin read the answer to r, and answers its preflight. Answers differ
// by origin, so caches are told (Vary).
func (o *Origins) CORS(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	origin, ok := o.check(r)
	if origin == "" || !ok {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return
	}
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
}

// check returns r's Origin header as it was sent and whether a page from there may connect.
func (o *Origins) check(r *http.Request) (origin string, ok bool) {
	sent := r.Header["Origin"]
	if len(sent) == 0 {
		return "", true
	}
	origin = sent[0]
	if len(sent) > 1 || len(origin) > maxOriginLen {
		return origin, false
	}
	if o.any {
		return origin, true
	}
	parsed, err := ParseOrigin(origin)
	if err != nil || parsed == "*" {
		return origin, false
	}
	scheme, host, _ := strings.Cut(parsed, "://")
	switch {
	case o.allowed[parsed]:
		return origin, true
	case parsed == "null":
		return origin, false
	// Behind a proxy that ends TLS the request's own scheme is not known, so the host alone decides.
	case host == withoutPort(strings.ToLower(r.Host), defaultPorts[scheme]):
		return origin, true
	case o.loopback:
		return origin, isLoopbackHost(host)
	}
	return origin, false
}

func (o *Origins) logRefusal(origin string) {
	if len(origin) > maxOriginLen {
		origin = origin[:maxOriginLen]
	}
	o.mu.Lock()
	known := o.logged[origin] || len(o.logged) >= maxLoggedOrigins
	if !known {
		o.logged[origin] = true
	}
	last := !known && len(o.logged) == maxLoggedOrigins
	o.mu.Unlock()
	if known {
		return
	}
	o.log.Warn("origin refused", "origin", origin, "to_allow", "--cors-origin "+origin)
	if last {
		o.log.Warn("further refused origins are not logged", "logged", maxLoggedOrigins)
	}
}

// isLoopbackHost tells whether host, with or without a port, can only name the machine itself.
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 §6.3
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
