//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"downlink/bench/loadgen"
)

// contender is a server that can be measured.
type contender struct {
	name  string
	start func(ctx context.Context, core int) (*server, error)
}

// server is a contender that runs.
type server struct {
	loadgen.Server
	stop func()
}

const (
	readyWithin = 20 * time.Second
	stopWithin  = 3 * time.Second
)

// downlink is the server of this tree, with its defaults but for the addresses and a data directory of its own.
func downlink(binary, tmp string) contender {
	return contender{name: "downlink", start: func(ctx context.Context, core int) (*server, error) {
		data, err := os.MkdirTemp(tmp, "data-")
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, binary,
			"--public-addr", "127.0.0.1:0", "--ingest-addr", "127.0.0.1:0", "--data-dir", data)
		cmd.Env = plainEnv()
		var public, ingest string
		end, err := launch(cmd, core, cmd.StderrPipe, func(line string) bool {
			if m := publicReady.FindStringSubmatch(line); m != nil {
				public = m[1]
			}
			if m := ingestReady.FindStringSubmatch(line); m != nil {
				ingest = m[1]
			}
			return public != "" && ingest != ""
		})
		if err != nil {
			_ = os.RemoveAll(data)
			return nil, err
		}
		return &server{
			Server: loadgen.Server{
				Addr: public, PushAddr: ingest, PID: cmd.Process.Pid,
				Accepted: `"RETURN_MSG":"ok"`,
				Greeting: `42["downmsg",{"code":"2001","msg":"connect success"}]`,
				Join:     `42["loginRoom","{room}","loginWhenever"]`,
				Joined:   `42["downmsg",{"code":"2002","msg":"login room (id:{room}) success"}]`,
			},
			stop: func() {
				end()
				_ = os.RemoveAll(data)
			},
		}, nil
	}}
}

// The lines downlink logs when a listener is ready.
var (
	publicReady = regexp.MustCompile(`msg="public listener ready" addr=(\S+)`)
	ingestReady = regexp.MustCompile(`msg="ingest listener ready" addr=(\S+)`)
)

// nodePeer is the Socket.IO server in dir, run by Node.
func nodePeer(node, dir string) contender {
	return contender{name: "node", start: func(ctx context.Context, core int) (*server, error) {
		cmd := exec.CommandContext(ctx, node, "server.js")
		cmd.Dir = dir
		cmd.Env = append(plainEnv(), "NODE_ENV=production")
		var addr string
		end, err := launch(cmd, core, cmd.StdoutPipe, func(line string) bool {
			port, ok := strings.CutPrefix(line, "ready ")
			addr = "127.0.0.1:" + port
			return ok
		})
		if err != nil {
			return nil, err
		}
		return &server{
			Server: loadgen.Server{
				Addr: addr, PushAddr: addr, PID: cmd.Process.Pid,
				Accepted: "accepted",
				Join:     `42["join","{room}"]`,
				Joined:   `42["joined","{room}"]`,
			},
			stop: end,
		}, nil
	}}
}

// launch starts a server on a core and reads the pipe that says when it is ready, line by line, until ready agrees. end
// stops the server and waits until it is gone.
func launch(
	cmd *exec.Cmd, core int, pipe func() (io.ReadCloser, error), ready func(line string) bool,
) (end func(), err error) {
	out, err := pipe()
	if err != nil {
		return nil, err
	}
	var last tail
	if cmd.Stderr == nil {
		cmd.Stderr = &last
	}
	if err := startPinned(cmd, core); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	// The reader ends with the pipe, which ends with the child.
	up, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		lines := bufio.NewScanner(out)
		for seen := false; lines.Scan(); {
			_, _ = fmt.Fprintln(&last, lines.Text())
			if !seen && ready(lines.Text()) {
				seen = true
				close(up)
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line too long for the scanner must not block the child
	}()
	end = func() {
		kill := time.AfterFunc(stopWithin, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		<-over                                  // before Wait, which closes the pipe
		_ = cmd.Wait()                          // how it ended does not matter: it was told to
	}
	select {
	case <-up:
		return end, nil
	case <-over:
		err = errors.New("ended before it was ready")
	case <-time.After(readyWithin):
		err = fmt.Errorf("not ready after %v", readyWithin)
	}
	end()
	return nil, fmt.Errorf("%s: %w; it said: %s", filepath.Base(cmd.Path), err, &last)
}

// plainEnv is this process's environment without what would change the settings of a server.
func plainEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "DOWNLINK_") && name != "NODE_OPTIONS" && name != "GOGC" && name != "GOMEMLIMIT" &&
			name != "GODEBUG" && name != "GOMAXPROCS" {
			env = append(env, kv)
		}
	}
	return env
}

// build compiles downlink from this tree.
func build(ctx context.Context, root, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, "./cmd/downlink")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build downlink: %w\n%s", err, out)
	}
	return nil
}

// installed makes sure that the packages of the lock file in dir are there. npm leaves a copy of the lock file in
// node_modules when it is done, newer than the one it was made from.
func installed(ctx context.Context, dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	have, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && have.ModTime().After(lock.ModTime()) {
		return nil
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w\n%s", dir, err, out)
	}
	return nil
}
