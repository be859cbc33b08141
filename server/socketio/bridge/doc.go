// Package bridge speaks Socket.IO (protocol v5, and v4 for clients of Engine.IO protocol 3) to clients: the prescribed
// library decides about sessions and namespaces, our engine moves the bytes, and this package stands between them. It
// knows nothing of rooms.
//
// # What goes through the library
//
// CONNECT and DISCONNECT: it makes the session and its id, writes the answer, keeps the books. Everything else goes
// past it. An event is read by our decoder and handed to its handler by name, in order, on the goroutine that reads the
// connection; an acknowledgement is built by us; what a server sends to many is a finished frame.
//
// # Why
//
// The library (v2.5.0, its last) runs every inbound event in a goroutine of its own, so events overtake each other; it
// panics, in goroutines nobody can recover, on packets without their payload; it registers a session after the client
// was told of it; it may report a session's end twice or not at all. The guards:
//
//   - decode (packet.go) refuses what the protocol does not know before anything else sees it.
//   - While the library works on a CONNECT or DISCONNECT, which it does in a goroutine, the connection is not read
//     (conn.connect, conn.disconnect, conn.endTurn).
//   - Connected runs in place of the library's writing the answer to CONNECT, so the application can queue that answer
//     and its own first frames in one step (conn.connected).
//   - A Socket's end is decided once, here (Socket.leave), and what the library still lists then is removed
//     (conn.entered, conn.end).
//   - The library's objects are kept small: one empty request for all, a listener or two instead of three maps, nothing
//     of it before a client's first CONNECT (library.go).
//
// Connection state recovery is off.
package bridge
