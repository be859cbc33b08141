// Package socketio is the door for Socket.IO clients: it lets them in, takes their logins to rooms and hands them what
// is pushed there.
//
// It stands on package bridge, which speaks the protocol, and on package rooms, which decides. What it adds:
//
//   - Gateway is a rooms.Door: a push becomes one WebSocket frame, built once from the bytes that were posted, and the
//     same frame goes to every member (fanout.go).
//   - conn is a rooms.Conn: one client in the main namespace, a member of the hub from its first frame to its last. The
//     answer to CONNECT and the status 2001 are queued together, before anything else can be (conn.go).
//   - The events loginRoom, leaveRoom and the three login types as event names (login.go, contract in seed 003). They
//     never run on the goroutine that reads the connection: deciding may wait for another client's sign of life, and
//     that goroutine must stay free to read one. Each connection has a bounded inbox that is worked off in order; when
//     it is full the client is not read any further (inbox.go).
//
// Other events are ignored, other namespaces refused, malformed packets end their own connection.
package socketio
