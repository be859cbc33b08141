// Command storedump prints every push in the store of a data directory that no process has open: one JSON object per
// line with seq, id, room (empty for a global push), event and data, in the order of the store. The end-to-end tests
// look with it at what a killed service had stored.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"downlink/backbone"
	"downlink/rooms"
)

// keepAll is above any number of pushes a test stores, since opening a store with a smaller limit would trim it.
const keepAll = 1_000_000

type line struct {
	Seq   uint64 `json:"seq"`
	ID    string `json:"id"`
	Room  string `json:"room"`
	Event string `json:"event"`
	Data  string `json:"data"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: storedump DATA-DIR")
		os.Exit(2)
	}
	if err := dump(context.Background(), os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dump(ctx context.Context, dir string, w io.Writer) (err error) {
	b, err := backbone.Open(ctx, backbone.Options{
		Dir: dir, NodeName: "storedump", HistoryMax: keepAll, HistoryAge: 24 * time.Hour, IdempotencyWindow: time.Hour,
		Sync: time.Second, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer func() {
		if closing := b.Close(ctx); err == nil {
			err = closing
		}
	}()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	err = b.Journal().Replay(ctx, 0, math.MaxUint64, func(m *rooms.Message) error {
		return enc.Encode(line{m.Seq, m.ID, m.To.ID, m.Event, string(m.Data)})
	})
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	return out.Flush()
}
