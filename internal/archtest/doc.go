// Package archtest holds the shape of the repository: which package may import what, and a few habits that reviews
// forget. Each rule is one line of the tables in rules.go together with its reason; a package without a line there
// fails the test, so that a new one comes with a reason too. It reads import clauses and syntax only, of every file
// under every build tag, and so needs neither the compiler nor the network.
package archtest
