// Package engineio is an Engine.IO server: protocol 4, and 3 for older clients, over HTTP long-polling, WebSocket and
// the upgrade from one to the other. It knows sessions and frames, and nothing of what is said in them.
//
// # Model
//
// A [Server] is an http.Handler. A handshake makes a [Session] and asks [Options].Open for its [Handler]; from then on
// messages of the client go to Handler.Message, and frames queued with [Session.Send] or a [Batch] go to the client.
//
// A session's state only moves forward:
//
//	opening ──► open ──► closing ──► closed
//
// While opening, frames are taken but not written. Open is the time between OPEN packet and Close. In closing the
// session is over for the application (Handler.Closed has been started, nothing is delivered, nothing more is queued)
// but what was queued still goes out, then a close frame, or the packet "1" to a client that polls. Closed means that
// nothing goes out; a WebSocket may still wait, at most two seconds, for the peer to hang up.
//
// A session polls until it has a connection. A WebSocket that wants to take over is no part of the session while it
// proves itself ("2probe", "3probe"); its "5" makes it the session's connection in one step, with whatever is queued.
//
// # Frames and queues
//
// The only form of outbound data is the finished WebSocket frame, built once and shared by all who get it. A WebSocket
// gets the bytes as they are; polling takes the header off again. Each session has one queue, bounded in bytes by
// [Options].MaxQueue. A client that does not read loses its session; nobody waits for it.
//
// # Goroutines
//
//   - writers, one per core: join what waits for a connection into one write that never waits. They end with the
//     server.
//   - a flusher per connection whose socket is full, for as long as it is.
//   - the wheel, one: all heartbeats and closing deadlines.
//   - the poller and its readers (Linux): read all WebSockets and call handlers. Elsewhere, for TLS in the process,
//     and with [Options].Portable, a reader per connection.
//   - one for each call of Handler.Closed, so that Close and Kill neither block nor call back.
//
// [Server.Shutdown] and [Server.Close] wait for all of them. Polls and POSTs run on the HTTP server's goroutines.
//
// # Locks
//
// In this order: Session.in (held while inbound packets are handled, so that POST bodies and frames stay in order over
// an upgrade), Session.mu (the session's state; never held while anything is written or the Handler is called), and
// the leaves: wheel, writer, table, poller, statistics. Send, Batch.Add, Close, Kill and Resume take only the last two
// kinds, for a few instructions, so they may be called under the application's own locks.
//
// # What strangers can do
//
// Every input has a bound: a message or body MaxPayload, an unfinished frame what was really sent of it, a handshake
// the HTTP server's limits, a body's slowness one ping interval and timeout, an upgrade UpgradeTimeout, an answer
// WriteTimeout for each 64 KiB and no longer than a heartbeat may take. A malformed frame, packet or body closes its
// own session and nothing else. Who reads for many sessions waits for none. There is no compression: a
// few bytes could unpack to many, and frames could not be shared.
//
// Sources: Engine.IO protocol v4 and v3, RFC 6455. Where they leave a choice, what socket.io-client expects decides;
// the place says so.
package engineio
