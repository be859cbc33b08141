package loadgen

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHistogramStepsJoin(t *testing.T) {
	// Every step begins where the one before it ends.
	last := -1
	for v := range uint64(1 << 16) {
		i := histIndex(v)
		require.True(t, i == last || i == last+1, "value %d: step %d after %d", v, i, last)
		require.Less(t, v, histUpper(i))
		if i > 0 {
			require.GreaterOrEqual(t, v, histUpper(i-1))
		}
		last = i
	}
}

func TestHistogramQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	values := make([]time.Duration, 20_000)
	for i := range values {
		values[i] = time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond))
		h.add(values[i])
	}
	slices.Sort(values)
	for _, p := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		exact := values[int(p*float64(len(values)))]
		require.InEpsilon(t, exact, h.quantile(p), 0.03, "quantile %v", p)
	}
	require.Equal(t, values[len(values)-1], h.quantile(1))
}

func TestHistogramEdges(t *testing.T) {
	var h histogram
	require.Zero(t, h.quantile(0.5))
	h.add(-time.Second)
	require.Zero(t, h.quantile(1), "a clock that went back counts as no time")
	h.add(1000 * time.Hour)
	require.Equal(t, 1000*time.Hour, h.quantile(1), "more than the histogram spans is kept as the maximum")
}
