package procstat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatCPU(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 1234 66 0 0 20 0 11 0"
	for name, stat := range map[string]string{
		"plain":              "42 (node)" + rest,
		"blanks in name":     "42 (a b c)" + rest,
		"brackets in name":   "42 (x) S 9 (y))" + rest,
		"newline at the end": "42 (node)" + rest + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			cpu, err := parseStatCPU([]byte(stat))
			require.NoError(t, err)
			require.Equal(t, 13*time.Second, cpu)
		})
	}
	for _, bad := range []string{"", "42 node S", "42 (node) S 1 2 3", "42 (node) S 1 2 3 4 5 6 7 8 9 10 x 66"} {
		_, err := parseStatCPU([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestBusy(t *testing.T) {
	busy, err := parseBusy([]byte("cpu  100 20 30 99999 88888 4 5 41 77 66\ncpu0 1 1 1 1 1 1 1 1 1 1\n"))
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, busy, "idle, iowait and guest time are not busy; steal is")

	for _, bad := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 x 4 5 6 7 8 9"} {
		_, err := parseBusy([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestResidentMemory(t *testing.T) {
	rss, err := parseStatmRSS([]byte("5000 300 20 1 0 100 0\n"), 4096)
	require.NoError(t, err)
	require.EqualValues(t, 300*4096, rss)

	rss, err = parseRollupRSS([]byte("55-7f ---p 00000000 00:00 0  [rollup]\nRss:    1672 kB\nPss:     296 kB\n"))
	require.NoError(t, err)
	require.EqualValues(t, 1672<<10, rss)

	for _, bad := range []string{"", "Pss: 1 kB\n", "Rss: 1 MB\n", "Rss: x kB\n"} {
		_, err := parseRollupRSS([]byte(bad))
		require.Error(t, err, bad)
	}
	_, err = parseStatmRSS([]byte("5000"), 4096)
	require.Error(t, err)
}
