package backbone

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"downlink/codes"
)

func deleteStream(t *testing.T, b *Backbone, name string) {
	t.Helper()
	require.NoError(t, b.api(t.Context(), "STREAM.DELETE."+name, nil, nil))
}

func sealStream(t *testing.T, b *Backbone, name string) {
	t.Helper()
	js, err := jetstream.New(b.nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	c := s.CachedInfo().Config
	c.Sealed = true
	_, err = js.UpdateStream(t.Context(), c)
	require.NoError(t, err)
}

// forget makes the next Check look anew.
func forget(b *Backbone) {
	b.checking <- struct{}{}
	b.health = health{}
	<-b.checking
}

func TestCheck(t *testing.T) {
	b := open(t, t.TempDir())
	require.ErrorIs(t, b.Check(t.Context()), errNoFollower)
	r := follow(t, b)
	forget(b)
	require.NoError(t, b.Check(t.Context()))

	before, err := b.lastSeq(t.Context())
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { require.NoError(t, b.Check(t.Context())) })
	}
	all.Wait()
	after, err := b.lastSeq(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, after, before+1, "asking often stores next to nothing")

	publishAll(t, b, 1, 1)
	r.wait(t, 1) // probes are not delivered
}

func TestCheckSeesABrokenStore(t *testing.T) {
	breaks := map[string]func(t *testing.T, b *Backbone, r *record){
		"stream deleted": func(t *testing.T, b *Backbone, _ *record) { deleteStream(t, b, histStream) },
		"stream sealed":  func(t *testing.T, b *Backbone, _ *record) { sealStream(t, b, histStream) },
		"server stopped": func(_ *testing.T, b *Backbone, _ *record) { b.server.Shutdown() },
		"store disabled": func(t *testing.T, b *Backbone, _ *record) { require.NoError(t, b.server.DisableJetStream()) },
		"delivery hangs": func(t *testing.T, b *Backbone, r *record) {
			r.hold.Lock()
			t.Cleanup(r.hold.Unlock)
			publishAll(t, b, 1, 1)
		},
	}
	for name, breakIt := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, t.TempDir())
			r := follow(t, b)
			require.NoError(t, b.Check(t.Context()))
			breakIt(t, b, r)
			forget(b)
			err := b.Check(t.Context())
			require.Error(t, err)
			require.Equal(t, codes.Unavailable, codes.Of(err))
		})
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	b := open(t, t.TempDir())
	b.checking <- struct{}{} // one is running
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.Check(ctx), context.DeadlineExceeded)
	<-b.checking
}
