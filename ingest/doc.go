// Package ingest is the side of the service that faces senders: the HTTP listener where backends post pushes and
// operators ask for health.
//
// # The one job
//
// POST /push takes one push, as the envelope {"ROOT":{"BODY":{"roomId","eventName","data"}}} or as the same three
// fields flat, and answers with an envelope of exactly two fields, RETURN_CODE and RETURN_MSG. The wire form is seed
// 003's: whatever reaches the endpoint is answered with status 200 and RETURN_CODE "0000". RETURN_MSG is "ok" when the
// push was stored, which is what rooms.Journal.Publish returning nil means; else it says what was wrong and that
// nothing was sent. What does not reach the endpoint (a path, a method, a size or a type it does not take, a service
// that is stopping) has a status of its own, and still the envelope as body.
//
// # The bytes of data
//
// The body is read once into a buffer of its own size. One pass (scan.go) checks it strictly against RFC 8259, checks
// that it is UTF-8, and notes where roomId, eventName and data stand (envelope.go). Nothing is decoded but the two
// names; data is handed on as a slice of the body, so 9007199254740993, 1.0, the order of keys, duplicate keys and
// escapes stay what they were. Keys are compared as JavaScript would: case-sensitive, after their escapes are decoded,
// the last of several equal ones wins. Values may nest MaxDepth levels deep, the body's own levels included.
//
// # Guarding the listener
//
// A body is refused by its Content-Length before a byte of it is read, and a chunked one is never held past the limit.
// Every request with a body has a read deadline, so a sender that stalls holds a connection and one buffer for
// Options.BodyTimeout at the most. Web pages are kept out by asking for Content-Type application/json, which makes a
// browser send a preflight, and by refusing every preflight: this package never sets a CORS header.
//
// A push that was received whole is published even if its sender hangs up meanwhile. When the store does not answer in
// time, the sender is told that the outcome is not known, and never that nothing was sent.
package ingest
