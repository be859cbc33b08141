// Command conformance is a small server on our Engine.IO engine and our Socket.IO bridge for running the protocols'
// public test suites by hand. It is no part of the product.
//
//	go run ./internal/conformance
//
// It prints one line when it is ready and then serves, with the timings the suites expect:
//
//   - /engine.io/ Engine.IO: every message, text or binary, is sent back.
//   - /socket.io/ Socket.IO: on the namespaces / and /custom an event "auth" carries the handshake's auth ({} when
//     there was none) on connect, "message" is answered by "message-back" with the same arguments, "message-with-ack"
//     is acknowledged with them. Any other namespace is refused.
//
// The suites are test-suite/test-suite.js in the repositories socketio/engine.io-protocol and
// socketio/socket.io-protocol. They expect a server on localhost:3000:
//
//	git clone https://github.com/socketio/engine.io-protocol && cd engine.io-protocol/test-suite && npm ci && npm test
//	git clone https://github.com/socketio/socket.io-protocol && cd socket.io-protocol/test-suite && npm ci && npm test
//
// localhost may mean ::1 to Node: use --addr 'localhost:3000' or NODE_OPTIONS=--dns-result-order=ipv4first then. Suites
// for clients of protocol 3 need --allow-eio3. The tests of this package state the suites' expectations in Go, so that
// they hold without Node too.
package main
