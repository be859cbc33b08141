// Command bench measures downlink beside Node's Socket.IO, in one run on one machine, and prints a table of ratios.
//
//	go run ./bench            # at least three rounds, some seven minutes
//	go run ./bench --quick    # one short round, below two minutes
//
// Each round starts each of the two servers anew for each scenario, one after the other, pinned to one core, and puts
// the same load on it from another core. A figure of the table is the median of the ratios of the rounds. A round in
// which something else kept more than 0.3 cores busy is done again.
//
// Every delivery is checked. If one is lost, doubled, misrouted, out of order or wrong, at either server, the run ends
// with exit code 1, and so it does if a server or the generator fails. A missed target is marked in the table; it ends
// the run with exit code 1 if --strict is given.
//
// README.md describes the method. Package loadgen is the load generator, package procstat reads what processes use.
package main
