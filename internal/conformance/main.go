package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"downlink/server/engineio"
	"downlink/server/socketio/bridge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. It writes one line with the address to out when it is ready.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:3000", "address to listen on; port 0 picks one")
	var o engineio.Options
	flags.DurationVar(&o.PingInterval, "ping-interval", 300*time.Millisecond, "time between heartbeats")
	flags.DurationVar(&o.PingTimeout, "ping-timeout", 200*time.Millisecond, "time to answer a heartbeat")
	flags.IntVar(&o.MaxPayload, "max-payload", 1_000_000, "bytes of one message or request body")
	flags.BoolVar(&o.AllowEIO3, "allow-eio3", false, "admit clients of Engine.IO protocol 3")
	connectTimeout := flags.Duration("connect-timeout", time.Second, "time a client may take to enter a namespace")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.CORS = anyOrigin

	echo := o
	echo.Open = func(s *engineio.Session, _ *http.Request) engineio.Handler { return echoHandler{s} }
	eio, err := engineio.New(echo)
	if err != nil {
		return fmt.Errorf("start the echo: %w", err)
	}
	defer func() { _ = eio.Close() }()
	sio, err := bridge.New(bridge.Options{
		Engine:         o,
		ConnectTimeout: *connectTimeout,
		Namespaces:     map[string]bridge.Namespace{"/": suiteNamespace(), "/custom": suiteNamespace()},
	})
	if err != nil {
		return fmt.Errorf("start the bridge: %w", err)
	}
	defer func() { _ = sio.Close() }()

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", eio)
	mux.Handle("/socket.io/", sio)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	defer serving.Wait()
	failed := make(chan error, 1)
	serving.Go(func() { failed <- server.Serve(listener) })
	_, _ = fmt.Fprintf(out, "conformance server ready on http://%s\n", listener.Addr())
	select {
	case <-ctx.Done():
		return server.Close()
	case err := <-failed:
		return err
	}
}

// anyOrigin lets pages of every origin read the answers.
func anyOrigin(h http.Header, _ *http.Request) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
}

// echoHandler sends every message back.
type echoHandler struct{ s *engineio.Session }

func (h echoHandler) Message(p []byte, binary bool) error {
	if binary {
		h.s.Send(engineio.BinaryMessage(p))
	} else {
		h.s.Send(engineio.TextMessage(string(p)))
	}
	return nil
}

func (echoHandler) Closed(string) {}

// suiteNamespace is what the Socket.IO suite expects of a namespace.
func suiteNamespace() bridge.Namespace {
	return bridge.Namespace{
		Connected: func(s *bridge.Socket, connect engineio.Frame, auth []byte) {
			if auth == nil {
				auth = []byte("{}")
			}
			s.Send(connect)
			s.Emit("auth", auth)
		},
		Closed: func(*bridge.Socket, string) {},
		Events: map[string]func(*bridge.Socket, *bridge.Event){
			"message": func(s *bridge.Socket, e *bridge.Event) {
				s.Emit("message-back", e.Args, e.Attachments...)
			},
			"message-with-ack": func(s *bridge.Socket, e *bridge.Event) {
				s.Send(e.Ack.Frames(e.Args, e.Attachments...)...)
			},
		},
	}
}
