package backbone

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"downlink/rooms"
	"downlink/rooms/roomstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open opens a backbone on dir, quietly, and closes it when the test ends.
func open(t testing.TB, dir string, change ...func(*Options)) *Backbone {
	t.Helper()
	o := Options{Dir: dir, NodeName: "n1", Sync: time.Second, Log: quiet()}
	for _, c := range change {
		c(&o)
	}
	b, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { shut(t, b) })
	return b
}

func shut(t testing.TB, b *Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, b.Close(ctx))
}

func TestContracts(t *testing.T) {
	t.Run("journal", func(t *testing.T) {
		roomstest.Journal(t, func(t *testing.T) rooms.Journal { return open(t, t.TempDir()) })
	})
	t.Run("claims", func(t *testing.T) {
		roomstest.Claims(t, func(t *testing.T) rooms.Claims { return open(t, t.TempDir()) })
	})
}
