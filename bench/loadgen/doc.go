// Package loadgen puts load on one Socket.IO push server and checks everything it sends.
//
// [Run] connects a fleet of clients, WebSocket or long-polling, lets them join rooms, and then runs phases: it posts
// pushes at full speed with a bounded number in flight, or at a fixed rate, and follows each push to each client that
// is to get it. A delivery counts only if it is the posted one byte for byte. The [Faults] of a phase say how many were
// lost, doubled, sent to the wrong room, out of order, or wrong in content. The figures of a server with any of these
// say nothing.
//
// It is one thread and one epoll instance: with the server pinned to one core and the generator to another, neither
// disturbs the other, and the generator's own use is a figure of the result. It runs on Linux.
//
// # What is checked
//
// A push carries its number, its room and a filling that depends on its number, so that mixed-up buffers show. For each
// client the numbers it has seen are kept in a window, so that a repeat is seen as one; for each push the clients that
// got it are counted, so that a loss is seen once nothing more comes. Order: if push b was posted after the answer to
// push a had been read, no client may get b before a. With one pusher that is the order of posting; with several it
// leaves free only what raced.
//
// # What is measured
//
// The server's CPU time from before the first push to after the last delivery, its memory before and at most during the
// phase, and the latency from just before the write of a POST to the read of the delivery at each client. What else ran
// on the machine at the time is a figure of the result too, in cores.
package loadgen
