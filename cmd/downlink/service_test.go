package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// logBuffer takes what a service writes while a test reads it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// await waits until the log matches and returns the first group.
func (b *logBuffer) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	require.Eventually(t, func() bool {
		found = re.FindStringSubmatch(b.String())
		return found != nil
	}, patience, time.Millisecond, "no %q in the log", pattern)
	return found[len(found)-1]
}

// running is a service in this process, the same that main runs.
type running struct {
	public, ingest string
	log            *logBuffer
	stop           context.CancelFunc
	done           chan error
}

func startService(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{log: &logBuffer{}, stop: stop, done: make(chan error, 1)}
	args = append([]string{"--public-addr=127.0.0.1:0", "--ingest-addr=127.0.0.1:0", "--data-dir", t.TempDir()}, args...)
	go func() { r.done <- run(ctx, args, env(nil), io.Discard, r.log) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-r.done:
			t.Log("stopped:", err)
		case <-time.After(patience):
			t.Error("the service did not stop")
		}
	})
	require.Eventually(t, func() bool {
		select {
		case err := <-r.done:
			r.done <- err
			t.Fatalf("the service ended at start: %v\n%s", err, r.log)
		default:
		}
		return strings.Contains(r.log.String(), "ingest listener ready")
	}, patience, time.Millisecond)
	r.public = r.log.await(t, `msg="public listener ready" addr=(\S+)\n`)
	r.ingest = r.log.await(t, `msg="ingest listener ready" addr=(\S+)\n`)
	return r
}

// wait returns how long after now run returned, and what.
func (r *running) wait(t *testing.T) (time.Duration, error) {
	t.Helper()
	begun := time.Now()
	select {
	case err := <-r.done:
		r.done <- err
		return time.Since(begun), err
	case <-time.After(patience):
		t.Fatalf("the service did not stop:\n%s", r.log)
		return 0, nil
	}
}

func TestPushReachesThePage(t *testing.T) {
	r := startService(t)
	status, _ := get(t, "http://"+r.ingest+"/readyz")
	require.Equal(t, 200, status)

	in, out := openPage(t, r.public), openPage(t, r.public)
	in.login("456")
	status, body := push(t, r.ingest, "456", "test", `{"n":9007199254740993}`)
	require.Equal(t, 200, status)
	require.Equal(t, pushOK, body)
	require.Equal(t, `42["test",{"n":9007199254740993}]`, in.read())
	_, body = push(t, r.ingest, "", "all", `1`)
	require.Equal(t, pushOK, body)
	require.Equal(t, `42["all",1]`, in.read())
	require.Equal(t, `42["all",1]`, out.read(), "the other page gets the global push and not the room's")
}

func TestEachListenerServesItsOwn(t *testing.T) {
	r := startService(t)
	status, body := get(t, "http://"+r.public+"/")
	require.Equal(t, 200, status)
	require.Contains(t, body, "downlink")
	for _, path := range []string{"/push", "/healthz", "/readyz", "/openapi.yaml", "/nothing"} {
		status, _ = get(t, "http://"+r.public+path)
		require.Equal(t, 404, status, path)
	}
	status, _ = get(t, "http://"+r.ingest+"/socket.io/?EIO=4&transport=polling")
	require.Equal(t, 404, status)
	status, body = get(t, "http://"+r.ingest+"/openapi.yaml")
	require.Equal(t, 200, status)
	require.Contains(t, body, "openapi:")
}

func TestOneAddressForBoth(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	r := startService(t, "--public-addr="+addr, "--ingest-addr=localhost:"+strings.Split(addr, ":")[1])
	require.Equal(t, addr, r.public)
	require.Equal(t, addr, r.ingest)

	p := openPage(t, addr)
	p.login("456")
	_, body := push(t, addr, "456", "test", `{}`)
	require.Equal(t, pushOK, body)
	require.Equal(t, `42["test",{}]`, p.read())
	status, _ := get(t, "http://"+addr+"/")
	require.Equal(t, 200, status)
	status, _ = get(t, "http://"+addr+"/readyz")
	require.Equal(t, 200, status)
	status, body = get(t, "http://"+addr+"/nothing")
	require.Equal(t, 404, status)
	require.Contains(t, body, "ROOT")
}

func TestSameAddr(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:3000", "127.0.0.1:3000", true},
		{"127.0.0.1:3000", "localhost:3000", true},
		{":3000", "[::]:3000", true},
		{"127.0.0.1:3000", "127.0.0.1:3001", false},
		{"127.0.0.1:3000", "127.0.0.2:3000", false},
		{"127.0.0.1:3000", ":3000", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{":0", ":0", false},
	} {
		require.Equal(t, c.same, sameAddr(c.a, c.b), "%s %s", c.a, c.b)
	}
}

func TestOriginsOfTheListener(t *testing.T) {
	r := startService(t, "--cors-origin=https://app.example.com", "--ping-timeout=500ms")
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	handshake := func(transport, origin, more string) (status int) {
		conn, err := net.Dial("tcp", r.public)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\n%s\r\n",
			transport, r.public, origin, more)
		require.NoError(t, err)
		_, err = fmt.Fscanf(conn, "HTTP/1.1 %d", &status)
		require.NoError(t, err)
		return status
	}
	for origin, allowed := range map[string]bool{
		"http://" + r.public: true, "http://localhost:5173": true, "https://app.example.com": true,
		"https://evil.example": false, "null": false,
	} {
		polling, websocket := 403, 403
		if allowed {
			polling, websocket = 200, 101
		}
		require.Equal(t, polling, handshake("polling", origin, ""), origin)
		require.Equal(t, websocket, handshake("websocket", origin, upgrade), origin)
	}
	r.log.await(t, `origin=https://evil.example to_allow="--cors-origin https://evil.example"`)
}

func TestWarningsAtStart(t *testing.T) {
	quiet := startService(t)
	require.NotContains(t, quiet.log.String(), "level=WARN")
	loud := startService(t, "--public-addr=:0", "--ingest-addr=0.0.0.0:0", "--client-buffer=64KiB")
	loud.log.await(t, `level=WARN msg="public listener faces other machines without keys`)
	loud.log.await(t, `level=WARN msg="ingest listener faces other machines without keys`)
	loud.log.await(t, `level=WARN msg="a push may be larger`)
}

func TestAPushSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	first := startService(t, "--data-dir", dir)
	_, body := push(t, first.ingest, "456", "test", `1`)
	require.Equal(t, pushOK, body)
	first.stop()
	_, err := first.wait(t)
	require.NoError(t, err)
	second := startService(t, "--data-dir", dir)
	p := openPage(t, second.public)
	p.login("456")
	_, body = push(t, second.ingest, "456", "test", `2`)
	require.Equal(t, pushOK, body)
	require.Equal(t, `42["test",2]`, p.read())
}

// A request whose body does not come keeps the intake draining, so that the tests below can look at that state.
func stuckPush(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", addr)
	require.NoError(t, err)
	// The server asks for the body when the handler begins to read it: from here on the request is in flight.
	asked := make([]byte, len("HTTP/1.1 100 Continue"))
	_, err = io.ReadFull(conn, asked)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue", string(asked))
	return conn
}

func TestStopWithClientsIsQuick(t *testing.T) {
	t.Parallel()
	r := startService(t)
	pages := make([]*page, 20)
	for i := range pages {
		pages[i] = openPage(t, r.public)
		pages[i].login(fmt.Sprint(i))
	}
	r.stop()
	took, err := r.wait(t)
	require.NoError(t, err)
	require.Less(t, took, 5*time.Second, "a few clients do not need the whole 30 s")
	for _, p := range pages {
		_, err := p.next()
		require.Error(t, err)
	}
}

func TestStopDoesNotWaitLongForPagesThatLeft(t *testing.T) {
	t.Parallel()
	r := startService(t)
	status, _ := get(t, "http://"+r.public+"/socket.io/?EIO=4&transport=polling") // and never polls again
	require.Equal(t, 200, status)
	r.stop()
	took, err := r.wait(t)
	require.NoError(t, err)
	require.Less(t, took, 10*time.Second, "not the whole ping timeout")
}

func TestWhileDraining(t *testing.T) {
	t.Parallel()
	r := startService(t)
	p := openPage(t, r.public)
	p.login("456")
	stuck := stuckPush(t, r.ingest)
	r.stop()
	r.log.await(t, "msg=stopping")
	status, _ := get(t, "http://"+r.ingest+"/healthz")
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+r.ingest+"/readyz")
		return status == 503
	}, patience, time.Millisecond)
	status, body := push(t, r.ingest, "456", "test", `"late"`)
	require.Equal(t, 503, status)
	require.Contains(t, body, "RETURN_CODE")

	body = `{"eventName":"test","data":"in time","roomId":"456"}`
	_, err := io.WriteString(stuck, body+strings.Repeat(" ", 100-len(body)))
	require.NoError(t, err)
	answer, err := io.ReadAll(stuck)
	require.NoError(t, err)
	require.Contains(t, string(answer), pushOK, "what was begun before the stop is finished")
	require.Equal(t, `42["test","in time"]`, p.read(), "and delivered")
	_, err = p.next()
	require.Error(t, err, "then the page is closed")
	_, err = r.wait(t)
	require.NoError(t, err)
}

func TestStopThatDoesNotEndInTime(t *testing.T) {
	t.Parallel()
	r := startService(t, "--drain=300ms")
	stuckPush(t, r.ingest)
	r.stop()
	took, err := r.wait(t)
	require.ErrorContains(t, err, "not stopped in order within --drain 300ms: 1 requests were not answered")
	require.Equal(t, 1, exitCode(err))
	require.Less(t, took, 5*time.Second)
}

func TestEveryAcceptedPushIsDeliveredBeforeAStop(t *testing.T) {
	t.Parallel()
	r := startService(t)
	p := openPage(t, r.public)
	p.login("456")
	const senders = 8
	accepted := make(chan string, 100_000)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := 0; ; i++ {
				data := fmt.Sprintf(`"%d-%d"`, s, i)
				resp, err := client.Post("http://"+r.ingest+"/push", "application/json",
					strings.NewReader(`{"roomId":"456","eventName":"test","data":`+data+`}`))
				if err != nil {
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || strings.TrimSpace(string(body)) != pushOK {
					return
				}
				accepted <- data
			}
		})
	}
	received := map[string]int{}
	stopped := false
	for {
		m, err := p.next()
		if err != nil {
			require.True(t, stopped, err)
			break
		}
		received[strings.TrimSuffix(strings.TrimPrefix(m, `42["test",`), "]")]++
		if len(received) == 300 {
			r.stop()
			stopped = true
		}
	}
	wg.Wait()
	close(accepted)
	for data := range accepted {
		require.Equal(t, 1, received[data], data)
	}
	_, err := r.wait(t)
	require.NoError(t, err)
}

// startInside starts a service whose parts a test can reach.
func startInside(ctx context.Context, t *testing.T, args ...string) (*service, *logBuffer, chan error) {
	t.Helper()
	args = append([]string{"--public-addr=127.0.0.1:0", "--ingest-addr=127.0.0.1:0", "--data-dir", t.TempDir()}, args...)
	_, c, err := load(args, env(nil), io.Discard)
	require.NoError(t, err)
	log := &logBuffer{}
	s := newService(c, newLogger(log, "info"))
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	log.await(t, "ingest listener ready")
	return s, log, done
}

func TestAFailedPartStopsTheService(t *testing.T) {
	s, _, done := startInside(t.Context(), t)
	s.fail(fmt.Errorf("listener 127.0.0.1:1: too many open files"))
	require.EqualError(t, <-done, "listener 127.0.0.1:1: too many open files")
}

func TestStopWaitsForWhatIsStoredToBeDelivered(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s, _, done := startInside(ctx, t)
	s.journal.stored.Add(1) // as if the follower were behind
	behind := s.journal.stored.Load()
	stop()
	require.Eventually(t, s.requests.closed.Load, patience, time.Millisecond)
	select {
	case err := <-done:
		t.Fatal("stopped before the push was delivered:", err)
	case <-time.After(100 * time.Millisecond):
	}
	s.journal.delivered.Store(behind)
	require.NoError(t, <-done)
}

func TestStopSaysWhatWasNotDelivered(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s, _, done := startInside(ctx, t, "--drain=300ms")
	s.journal.stored.Store(7)
	s.journal.delivered.Store(4)
	stop()
	require.EqualError(t, <-done,
		"not stopped in order within --drain 300ms: pushes 5 to 7 are stored but were not delivered")
}

func TestRequestsThatComeWhileDrainingAreNotWaitedFor(t *testing.T) {
	f := &inFlight{}
	f.next = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		require.Equal(t, int64(1), f.n.Load())
		f.close()
		before := f.next
		f.next = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			require.Equal(t, int64(1), f.n.Load(), "a second one does not count")
		})
		f.ServeHTTP(nil, nil)
		f.next = before
	})
	f.ServeHTTP(nil, nil)
	require.Zero(t, f.n.Load())
}
