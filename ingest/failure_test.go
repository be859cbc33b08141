package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/ingest"
	"downlink/rooms"
)

// What RETURN_MSG says where testdata/push.txt, whose store always works, cannot have it.
const (
	msgUnavailable = "the service cannot do this now, try again later; nothing was sent"
	msgUnknown     = "the store did not answer in time: it is not known whether this push was sent; " +
		"a push with an Idempotency-Key header can be repeated safely"
	msgUnknownWithKey = "the store did not answer in time: it is not known whether this push was sent; " +
		"repeat it with the same Idempotency-Key, then it is sent once"
	msgInternal = "internal error: it is not known whether this push was sent; " +
		"a push with an Idempotency-Key header can be repeated safely"
	msgDraining = "this node is stopping, try again; nothing was sent"
	msgNotFound = "there is nothing at this address: pushes go to POST /push, GET /openapi.yaml describes the rest; " +
		"nothing was sent"
	msgTooLarge = "the body is too large: the limit is 1048576 bytes; nothing was sent"

	returnMsgs = msgUnavailable + msgUnknown + msgUnknownWithKey + msgInternal + msgDraining + msgNotFound + msgTooLarge
)

// failing is a journal whose Publish returns err.
func failing(err error) *journal {
	return &journal{publish: func(context.Context, rooms.Push) (rooms.Receipt, error) { return rooms.Receipt{}, err }}
}

// TestNotStored holds that nobody is told "nothing was sent" unless that is known.
func TestNotStored(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		plain, key string
	}{
		"refused":       {codes.Unavailable, msgUnavailable, msgUnavailable},
		"wrapped":       {fmt.Errorf("no quorum in secret-cluster: %w", codes.Unavailable), msgUnavailable, msgUnavailable},
		"unanswered":    {fmt.Errorf("%w: %w", codes.OutcomeUnknown, context.DeadlineExceeded), msgUnknown, msgUnknownWithKey},
		"without cause": {errors.New("a secret"), msgInternal, msgInternal},
	} {
		t.Run(name, func(t *testing.T) {
			_, ts := start(t, ingest.Options{Journal: failing(c.err)})
			answers := []answer{post(t, ts, `{"eventName":"test"}`), post(t, ts, `{"eventName":"test"}`, "Idempotency-Key: 1")}
			for i, a := range answers {
				require.Equal(t, http.StatusOK, a.status)
				require.Equal(t, "rejected", a.header.Get("X-Push-Result"))
				require.Empty(t, a.header.Get("X-Push-Id"))
				require.Equal(t, []string{c.plain, c.key}[i], a.msg(t))
			}
		})
	}
}

// TestStoreRefuses is a push that the store finds at fault, for which nobody needs to look after the store.
func TestStoreRefuses(t *testing.T) {
	var log bytes.Buffer
	_, ts := start(t, ingest.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Journal: failing(fmt.Errorf("9 MB: %w", codes.BodyTooLarge)),
	})
	a := post(t, ts, `{"eventName":"test"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	require.Equal(t, "the body is too large; nothing was sent", a.msg(t))
	require.Empty(t, log.String())
}

// TestPublishTimeout holds that a store that hangs does not hang the sender.
func TestPublishTimeout(t *testing.T) {
	_, ts := start(t, ingest.Options{PublishTimeout: 20 * time.Millisecond, Journal: &journal{
		publish: func(ctx context.Context, _ rooms.Push) (rooms.Receipt, error) {
			<-ctx.Done()
			return rooms.Receipt{}, fmt.Errorf("%w: %w", codes.OutcomeUnknown, ctx.Err())
		},
	}})
	for range 3 {
		require.Equal(t, msgUnknown, post(t, ts, `{"eventName":"test"}`).msg(t))
	}
}

// TestAnsweredAfterStored holds that ok is not said before the store said so.
func TestAnsweredAfterStored(t *testing.T) {
	var stored <-chan struct{}
	entered := make(chan struct{})
	_, ts := start(t, ingest.Options{Journal: &journal{
		publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
			close(entered)
			<-stored
			return rooms.Receipt{ID: pushID}, nil
		},
	}})
	stored, store := gate(t)
	answered := make(chan answer, 1)
	go func() { answered <- post(t, ts, `{"eventName":"test"}`) }()
	<-entered
	select {
	case <-answered:
		t.Fatal("answered before the push was stored")
	case <-time.After(50 * time.Millisecond):
	}
	store()
	require.Equal(t, "ok", (<-answered).msg(t))
}

// TestHangUp holds that a push that was received whole is stored though its sender is gone.
func TestHangUp(t *testing.T) {
	var gone <-chan struct{}
	entered := make(chan struct{})
	outcome := make(chan error, 1)
	_, ts := start(t, ingest.Options{Journal: &journal{
		publish: func(ctx context.Context, _ rooms.Push) (rooms.Receipt, error) {
			close(entered)
			<-gone
			select {
			case <-ctx.Done():
				outcome <- ctx.Err()
			case <-time.After(50 * time.Millisecond):
				outcome <- nil
			}
			return rooms.Receipt{ID: pushID}, nil
		},
	}})
	gone, leave := gate(t)
	conn := dial(t, ts)
	conn.send(request(`{"eventName":"test"}`))
	<-entered
	require.NoError(t, conn.Close())
	leave()
	require.NoError(t, <-outcome)
}

func TestPanic(t *testing.T) {
	var log bytes.Buffer
	boom := true
	_, ts := start(t, ingest.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Journal: &journal{publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
			if boom {
				panic("a secret")
			}
			return rooms.Receipt{ID: pushID}, nil
		}},
		Ready: func(context.Context) error { panic("not me") },
	})
	a := post(t, ts, `{"eventName":"test","data":"private"}`)
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, msgInternal, a.msg(t))
	require.Equal(t, "rejected", a.header.Get("X-Push-Result"))
	require.Equal(t, http.StatusInternalServerError, do(t, ts, http.MethodGet, "/readyz", nil).status)
	boom = false
	require.Equal(t, "ok", post(t, ts, `{"eventName":"test"}`).msg(t))
	require.Contains(t, log.String(), "a secret")
	require.Contains(t, log.String(), "failure_test.go", "where it happened")
	require.NotContains(t, log.String(), "private")
}

// TestStoreLog holds that a store that fails is one line, not one for each push.
func TestStoreLog(t *testing.T) {
	var log bytes.Buffer
	err := fmt.Errorf("disk full: %w", codes.Unavailable)
	_, ts := start(t, ingest.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Journal: &journal{publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
			return rooms.Receipt{ID: pushID}, err
		}},
	})
	for range 10 {
		post(t, ts, `{"eventName":"test"}`)
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "disk full")
	err = nil
	for range 10 {
		post(t, ts, `{"eventName":"test"}`)
	}
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
}

func TestRequestIDAsKey(t *testing.T) {
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j, RequestIDAsKey: true})
	body := `{"eventName":"test"}`
	require.Equal(t, "accepted", post(t, ts, body, "X-Request-Id: r1").header.Get("X-Push-Result"))
	require.Equal(t, "duplicate", post(t, ts, body, "X-Request-Id: r1").header.Get("X-Push-Result"))
	require.Equal(t, "accepted", post(t, ts, body, "X-Request-Id: r1", "Idempotency-Key: k1").header.Get("X-Push-Result"))
	require.Equal(t, "the idempotency key must be 1 to 256 bytes of printable ASCII: the one in X-Request-Id is not; "+
		"nothing was sent", post(t, ts, body, "X-Request-Id: é").msg(t))
	require.Equal(t, "accepted", post(t, ts, body).header.Get("X-Push-Result"))
	require.Equal(t, "accepted", post(t, ts, body).header.Get("X-Push-Result"))
	require.Equal(t, "", j.sent()[2].Key)
}

// TestForgottenDuplicate is a repeat whose first push is no longer stored, so that its id is not known.
func TestForgottenDuplicate(t *testing.T) {
	_, ts := start(t, ingest.Options{Journal: &journal{publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
		return rooms.Receipt{Duplicate: true}, nil
	}}})
	a := post(t, ts, `{"eventName":"test"}`, "Idempotency-Key: 1")
	require.Equal(t, "ok", a.msg(t))
	require.Equal(t, "duplicate", a.header.Get("X-Push-Result"))
	require.NotContains(t, a.header, "X-Push-Id")
}

// TestConcurrentPushes holds that requests do not share memory: each push keeps its body after the answer.
func TestConcurrentPushes(t *testing.T) {
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j})
	const senders, each = 16, 50
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				a := post(t, ts, fmt.Sprintf(`{"ROOT":{"BODY":{"roomId":%d,"eventName":"e%d","data":"%s"}}}`,
					s, i, strings.Repeat(fmt.Sprint(s, ".", i, " "), 50)))
				if a.msg(t) != "ok" {
					t.Error(a.body)
				}
			}
		})
	}
	wg.Wait()
	got := map[string]bool{}
	for _, p := range j.sent() {
		got[show(p)] = true
	}
	require.Len(t, got, senders*each)
	for s := range senders {
		for i := range each {
			require.Contains(t, got, fmt.Sprintf(`"%d" "e%d" "%s"`, s, i, strings.Repeat(fmt.Sprint(s, ".", i, " "), 50)))
		}
	}
}
