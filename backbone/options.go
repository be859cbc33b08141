package backbone

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Defaults for the fields of Options that are zero.
const (
	DefaultHistoryMax        = 256
	DefaultHistoryAge        = 24 * time.Hour
	DefaultIdempotencyWindow = 24 * time.Hour
	DefaultMaxBytes          = 1 << 30
)

// MaxPush is the most bytes a stored push may have: its data, its event's name and 32 more. With a header it is just
// the 8 MiB up to which NATS works well.
const MaxPush = 8<<20 - 1<<10

// minBytes is the least store size that is worth starting with: a few blocks of the file store.
const minBytes = 16 << 20

// Options say where and how a Backbone keeps what it stores.
type Options struct {
	// Dir is the data directory. It is created if need be and belongs to one process at a time.
	Dir string

	// NodeName is this node's name in logs and in the lock file. Default: the host name.
	NodeName string

	// HistoryMax is how many messages are kept per address. Default: DefaultHistoryMax.
	HistoryMax int

	// HistoryAge is how long messages are kept. Default: DefaultHistoryAge. They stay on disk, but are not replayed,
	// for the IdempotencyWindow if that is longer.
	HistoryAge time.Duration

	// IdempotencyWindow is how long an idempotency key is remembered. Default: DefaultIdempotencyWindow; at least
	// 100 ms.
	IdempotencyWindow time.Duration

	// Sync is how often stored messages are forced to disk; 0 forces each one before it is acknowledged.
	Sync time.Duration

	// MaxBytes is the most that the history may take on disk; beyond it the oldest messages of any address go first.
	// Default: DefaultMaxBytes, or less when the disk has not that much left.
	MaxBytes int64

	// Log gets this package's log records and those of the NATS server. Default: slog.Default().
	Log *slog.Logger

	// pending is how many messages may wait between NATS and a follower; tests make it tiny.
	pending int
}

// withDefaults returns o with its zero fields filled in, or an error that names the field that is wrong.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("data directory: none given")
	}
	if o.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "downlink"
		}
		o.NodeName = name
	}
	if o.HistoryMax == 0 {
		o.HistoryMax = DefaultHistoryMax
	}
	if o.HistoryAge == 0 {
		o.HistoryAge = DefaultHistoryAge
	}
	if o.IdempotencyWindow == 0 {
		o.IdempotencyWindow = DefaultIdempotencyWindow
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.pending == 0 {
		o.pending = defaultPending
	}
	switch {
	case o.HistoryMax < 1:
		return o, fmt.Errorf("history max: %d is less than 1 message", o.HistoryMax)
	case o.HistoryAge < 100*time.Millisecond:
		return o, fmt.Errorf("history age: %s is less than 100ms", o.HistoryAge)
	case o.IdempotencyWindow < 100*time.Millisecond:
		return o, fmt.Errorf("idempotency window: %s is less than 100ms", o.IdempotencyWindow)
	case o.Sync < 0:
		return o, fmt.Errorf("sync: %s is negative", o.Sync)
	case o.MaxBytes < minBytes:
		return o, fmt.Errorf("max bytes: %d is less than %d", o.MaxBytes, minBytes)
	}
	return o, nil
}
