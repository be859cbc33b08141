package backbone

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneBackbonePerDirectory(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("%s is held by pid %d, node \"n1\"", dir, os.Getpid()))

	_, err = b.Publish(t.Context(), push("456", 1)) // the holder is not disturbed
	require.NoError(t, err)
	shut(t, b)
	require.NoError(t, b.Close(t.Context()), "closing again does nothing")
	open(t, dir)
}

func TestOpenFailures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, o := range map[string]Options{
		"none given":             {},
		"not a directory":        {Dir: file},
		"history max":            {Dir: t.TempDir(), HistoryMax: -1},
		"history age":            {Dir: t.TempDir(), HistoryAge: 1},
		"idempotency window":     {Dir: t.TempDir(), IdempotencyWindow: 1},
		"sync":                   {Dir: t.TempDir(), Sync: -1},
		"max bytes":              {Dir: t.TempDir(), MaxBytes: 1},
		"start NATS server":      {Dir: blocked(t)},
		"open backbone: history": {Dir: t.TempDir(), HistoryAge: -1},
	} {
		t.Run(name, func(t *testing.T) {
			o.Log = quiet()
			b, err := Open(t.Context(), o)
			require.Nil(t, b)
			require.ErrorContains(t, err, name)
		})
	}
}

// blocked is a data directory in which NATS cannot make its own.
func blocked(t *testing.T) string {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nats"), nil, 0o600))
	return dir
}
