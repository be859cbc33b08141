package engineio

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// bubble is a server without sockets: its requests are function calls, so its time can be the bubble's.
func bubble(t *testing.T, o Options) (*Server, func(method, query, body string) (int, string), *client) {
	c := &client{closed: make(chan struct{})}
	o.Portable = true
	o.Open = func(s *Session, _ *http.Request) Handler { c.s = s; return c }
	srv, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	do := func(method, query, body string) (int, string) {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(method, "/engine.io/?"+query, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	status, _ := do("GET", "EIO=4&transport=polling", "")
	require.Equal(t, 200, status)
	return srv, func(method, query, body string) (int, string) {
		return do(method, "EIO=4&transport=polling&sid="+c.s.ID()+query, body)
	}, c
}

func TestHeartbeatIsEarlyNeverLate(t *testing.T) {
	for _, x := range []struct{ interval, timeout time.Duration }{
		{25 * time.Second, 20 * time.Second}, {300 * time.Millisecond, 200 * time.Millisecond}, {time.Second, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			srv, do, c := bubble(t, Options{PingInterval: x.interval, PingTimeout: x.timeout})
			tick := time.Duration(srv.wheel.tick)
			within := func(due time.Duration) {
				t.Helper()
				require.LessOrEqual(t, time.Since(start), due)
				require.GreaterOrEqual(t, time.Since(start), due-2*tick)
			}
			_, body := do("GET", "", "")
			require.Equal(t, "2", body)
			within(x.interval)
			time.Sleep(x.timeout / 2)
			_, body = do("POST", "", "3")
			require.Equal(t, "ok", body)
			ponged := time.Since(start)
			_, body = do("GET", "", "")
			require.Equal(t, "2", body)
			within(ponged + x.interval)
			<-c.closed
			within(ponged + x.interval + x.timeout)
			require.Equal(t, []string{ReasonPingTimeout}, c.reasons)
			synctest.Wait()
			require.Zero(t, srv.known.Load())
		})
	}
}

func TestClosedPollingSessionIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _, c := bubble(t, Options{})
		c.s.Send(TextMessage("nobody fetches this"))
		c.s.Close("because")
		time.Sleep(srv.o.PingTimeout - time.Second)
		require.Equal(t, int64(1), srv.known.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, srv.known.Load())
	})
}

// A process that did not run for a while does not take it out on its clients.
func TestStoppedProcessDoesNotTimeClientsOut(t *testing.T) {
	o, err := Options{Open: func(*Session, *http.Request) Handler { return nil }}.withDefaults()
	require.NoError(t, err)
	var passed int64
	var w *wheel
	w = newWheel(&o, func() int64 {
		if w == nil {
			return passed
		}
		return passed - w.stall.Load()
	})
	tick := w.tick
	passed += tick
	w.advance()
	require.Equal(t, int64(1), w.now)
	passed += int64(time.Hour)
	w.advance()
	require.Equal(t, int64(2), w.now, "an hour asleep is one tick")
	passed += tick
	w.advance()
	require.Equal(t, int64(3), w.now)
	passed += int64(900 * time.Millisecond) // merely late
	w.advance()
	require.Equal(t, (3*tick+int64(900*time.Millisecond))/tick, w.now)
}

func TestWheelOrder(t *testing.T) {
	o, err := Options{Open: func(*Session, *http.Request) Handler { return nil }}.withDefaults()
	require.NoError(t, err)
	w := newWheel(&o, func() int64 { return 0 })
	a, b, c := &Session{}, &Session{}, &Session{}
	w.add(a, 10*w.tick)
	w.add(b, 10*w.tick)
	w.add(c, 10*w.tick)
	w.remove(b) // from the middle
	require.Equal(t, c, w.slots[10])
	require.Equal(t, a, c.next)
	require.Equal(t, c, a.prev)
	w.remove(c) // from the front
	require.Equal(t, a, w.slots[10])
	w.add(a, 11*w.tick) // moves
	require.Nil(t, w.slots[10])
	require.Equal(t, a, w.slots[11])
	w.add(a, -5) // past: the next tick
	require.Equal(t, a, w.slots[1])
	w.add(a, 1<<60) // beyond reach: as late as it can be
	require.Equal(t, a, w.slots[len(w.slots)-1])
	w.remove(a)
	w.remove(a)
	for _, s := range w.slots {
		require.Nil(t, s)
	}
}
