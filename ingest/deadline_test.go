package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDeadlines holds that no context ends sooner than asked for or much later, and that most calls share one.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{after: time.Second}
		first := d.next()
		seen := map[any]bool{}
		for range 200 {
			ctx := d.next()
			seen[ctx] = true
			end, _ := ctx.Deadline()
			require.NoError(t, ctx.Err())
			require.GreaterOrEqual(t, time.Until(end), time.Second)
			require.LessOrEqual(t, time.Until(end), 1010*time.Millisecond)
			time.Sleep(time.Millisecond)
		}
		require.Len(t, seen, 20)
		<-first.Done()
		time.Sleep(2 * time.Second) // the last one ends too: none is left behind
	})
}
