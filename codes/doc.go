// Package codes holds every word the service says to those outside: the statuses a receiver is told (2001 to 2005),
// the RETURN_CODE and RETURN_MSG a backend is answered, and the causes of everything that is refused.
//
// It is one table in one place because clients compare these texts byte for byte. To change one, edit it here and run
//
//	go generate ./codes
//
// which writes the browser client's copy, web-client/src/codes.ts; a test fails while that copy is stale.
//
// An error that reaches a wire carries a *Cause somewhere in its chain, put there with %w by whoever knows it. Of finds
// it; an error without one is told as Internal, so that no text of ours gets out by accident.
package codes

//go:generate go run ./internal/tsgen
