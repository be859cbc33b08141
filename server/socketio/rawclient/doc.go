// Package rawclient is a client for tests: WebSocket frames and polling requests with nothing of Engine.IO or Socket.IO
// done for the test, so that it can send what no real client would.
package rawclient
