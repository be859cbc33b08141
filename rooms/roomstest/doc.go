// Package roomstest holds tests and test doubles for the interfaces of package rooms. Only tests import it.
//
// Journal and Claims are what every implementation of these interfaces must pass: one test for each promise in the
// interfaces' documentation. MemJournal and MemClaims are small implementations in memory that pass them too; tests of
// other packages use them where they have to make a store fail, hang, or fail after the change was made. Where nothing
// has to fail, use the real store. Door and Conn stand for a way to receive: they write down what was queued, in order.
package roomstest
