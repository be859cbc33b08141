// Package server is what faces receivers: the public listener's paths and limits, and the rule about which pages may
// connect. Each way to receive is a door in a subpackage (server/socketio); this package only puts them behind one
// http.Server.
//
// # Which pages may connect
//
// A browser tells with the Origin header whose page asks. Without one the caller is no browser page and is let in: the
// rule keeps foreign pages from acting with a visitor's network position, it is no login. A page is let in
//
//   - from the public listener's own origin: Origin names the host and port the request was sent to (RFC 6454);
//   - from any loopback origin (localhost, 127.0.0.0/8, [::1], any port) while the public listener itself is on
//     loopback, so that a development server on another port works without a setting;
//   - from an origin listed with --cors-origin, or from anywhere with *.
//
// Polling and WebSocket upgrade obey the same rule (Origins.Allow), although browsers apply CORS to polling alone.
package server
