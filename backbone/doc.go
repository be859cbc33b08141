// Package backbone stores pushes and hands them to every node. It is the only package that knows NATS.
//
// Open starts a NATS server with JetStream inside this process, without any open port, on a data directory that it
// locks for itself. A Backbone implements rooms.Journal and rooms.Claims.
//
// # The path of a push
//
//	Publish ──► stream HIST (file) ──► live.> ──► follower ──► deliver
//	   ▲             │
//	   └── ack ──────┘
//
// Publish sends the push to the stream and returns when the stream has acknowledged it. The stream numbers what it
// stores and republishes it under live.; a follower's queue takes it from there. What a follower misses (a full queue
// drops, a lost connection loses) it sees by the numbers and reads from the stream before it goes on; that the newest
// are missing it sees by the acknowledged numbers. Publishers wait while the slowest follower of this node is more
// than a window behind; the window is smaller than the number of messages kept per address, so nothing can be trimmed
// before it was delivered.
//
// This path has a connection to the server of its own, a link, which is a fifth cheaper per push than the client
// library; everything else goes through the library. BenchmarkPublish measures it.
//
// # Subjects and streams
//
//	hist.g        pushes to everyone        stream HIST
//	hist.r.<R>    pushes to room R          stream HIST; R is the unpadded base64url of the room id
//	hist.h        readiness probes          stream HIST; not delivered
//	live.…        the same, republished     not stored
//	claim.<R>     who holds room R          stream CLAIMS (memory), one message per held room; its number is the epoch
//	ack.<l>.<n>   acknowledgements          not stored; link and waiting publisher
//
// # The stored form of a push
//
//	byte      envelope version, 1
//	16 bytes  the push's id, a ULID
//	uvarint   length of the event's name in bytes
//	bytes     the event's name
//	bytes     the data, to the end, as it was posted; empty when there was none
//
// A push with an idempotency key carries one NATS header, Nats-Msg-Id, a hash of its address and key. There are no
// other headers. A stored claim is the version, the policy (one byte) and the connection's id, to the end.
//
// # What survives what
//
// What Publish returned for survives the death of the process, kill -9 included: it was given to the operating
// system. A power cut loses at most the last Options.Sync of it, or nothing with Options.Sync 0. Idempotency keys
// survive a restart as far as their pushes are still stored. Claims do not survive a restart, since no connection
// does. Epochs go on rising: each start is counted in a file, and its epochs begin at that count times 2^32.
//
// # Failures
//
// An error of Publish wraps codes.OutcomeUnknown if the push was handed over and nothing answered; else nothing was
// stored, and it wraps codes.Unavailable, unless the caller's input was refused: the disk is full, the stream is gone,
// the backbone is closed. One of Acquire and Release wraps codes.Unavailable in either case. Check sees all of these.
//
// After its disk was full the stream takes nothing until the process is restarted, even when there is room again.
// Open therefore leaves a tenth of the disk's free space alone, and the history drops its oldest messages in time.
package backbone
