// Package rooms is the domain of the service: who is connected, who is in which room, who may enter, and whom a push is
// for. It knows no protocol, no store and no network; those are at the other side of its small interfaces.
//
// # Words
//
// A room is a named audience. A member is a connection in the hub; it belongs to the global audience, and to each room
// it was admitted to. A room taken with First or Last has a holder, and a claim that says so to other nodes; the number
// of a claim is its epoch. A push is one message from a backend. Source: seed 003.
//
// # The way of a push
//
// An intake hands a Push to Journal.Publish, which stores and numbers it. On each node one goroutine follows the
// journal and calls Hub.Deliver. The hub asks each Door that has somebody there for its wire form, once, and adds that
// to the queue of each Conn. Pushes reach every connection in the order of their numbers, rooms and everyone together.
//
// # Who may enter
//
// Admission.Login decides by the newcomer's policy alone, whatever policies the other members came in with:
//
//	others in the room          First (default)       Last                     Whenever
//	none                        2002                  2002                     2002
//	some                        2004, they stay       each gets 2005, 2002     2002, joins them
//	some, newcomer already in   2004, stays in        each gets 2005, 2002     2002, nothing changes
//	none, newcomer already in   2002                  2002                     2002, nothing changes
//
// "Others" are live members. What looks like one and is not, does not keep a First out:
//
//   - A silent member: a First that meets others probes them. The first answer is a 2004. If none comes within the
//     probe's time they are put out (2005, should they ever read it) and the newcomer is admitted.
//   - The newcomer's own ghost, an earlier connection with the same client key: First and Last put it out without a
//     word. Whenever leaves it in.
//
// A login with Resume is an automatic one after a reconnect. It puts nobody out, or else two pages that use Last would
// kick each other for ever:
//
//	others in the room          First, Last           Whenever
//	none, or only ghosts        2002                  2002
//	some, none holds the room   2002, joins them      2002, joins them
//	one holds the room          2005                  2005 if its epoch is above Login.Epoch, else 2002
//
// The 2005 says that the newcomer was put out while it was away. (Is it still in the room, that cannot be: then First
// and Last get 2004 and Whenever 2002, and nothing changes.)
//
// A refused or failed login changes nothing. Nobody is told anything about another room, and being put out of a room
// does not touch the connection.
//
// # What holds at every moment
//
//   - Of simultaneous Firsts one is admitted. Of simultaneous Lasts one remains, and each other one was admitted and
//     then put out, once.
//   - To put others out, to join and to be told 2002 is one step: a push comes before it, for the old members, or after
//     it, for the newcomer.
//   - A member that was told 2002 gets every push of the room delivered after, one that was told 2005 gets none.
//   - A room without members leaves nothing behind; a member that is gone joins nothing.
//
// # How it is built
//
// The hub (hub.go, audience.go, member.go) is sharded: a room is in one shard, whose lock is held while members join,
// leave or are handed a push, and never during I/O. A login takes effect in one critical section of it (enter.go).
//
// First and Last need a claim, so they take turns: on one node only one of them is being decided per room (ledger.go).
// In its turn a login looks for others, probes them (probe.go), acquires the claim by compare-and-set over the one this
// node knows, and enters. Since Whenever takes no turn and members leave at any time, entering looks at the room once
// more. What Claims hold and what the hub knows can differ, after a holder left or after an Acquire that failed with an
// unknown outcome; settling in the background makes them agree (settle.go), and until then the next login takes the
// leftover claim over.
package rooms
