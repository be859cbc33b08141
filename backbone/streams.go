package backbone

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams; see the package comment.
const (
	histStream  = "HIST"
	claimStream = "CLAIMS"
)

// apiTimeout bounds one question to JetStream.
const apiTimeout = 5 * time.Second

// openTimeout bounds the opening of one stream. To lower a limit takes JetStream long: it removes the messages one by
// one, some ten thousand a second.
const openTimeout = time.Hour

// epochsPerStart is how many claims one process can number. Epochs stay whole numbers in JavaScript for 2^21 starts.
const epochsPerStart = 1 << 32

// openStreams creates both streams, or changes them to what the options now say.
func (b *Backbone) openStreams(ctx context.Context, history int64) error {
	starts, err := countStart(b.opts.Dir)
	if err != nil {
		return err
	}
	js, err := jetstream.New(b.nc, jetstream.WithDefaultTimeout(openTimeout))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	slow := time.AfterFunc(apiTimeout, func() {
		b.log.Info("opening the store takes long: a history limit was lowered, or the disk is slow", "dir", b.opts.Dir)
	})
	defer slow.Stop()
	o := &b.opts
	for _, c := range []jetstream.StreamConfig{{
		Name:              histStream,
		Description:       "pushes",
		Subjects:          []string{histPrefix + ">"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: int64(o.HistoryMax),
		MaxAge:            max(o.HistoryAge, o.IdempotencyWindow), // keys are known as long as their pushes
		MaxBytes:          history,
		Duplicates:        o.IdempotencyWindow,
		AllowDirect:       true,
		RePublish:         &jetstream.RePublish{Source: histPrefix + ">", Destination: livePrefix + ">"},
	}, {
		Name:        claimStream,
		Description: "who holds which room",
		Subjects:    []string{claimPrefix + ">"},
		// No connection outlives the process that held it, so no claim does. A file would have a worse fault: while one
		// claim stays, each other one that comes and goes leaves a block behind.
		Storage:           jetstream.MemoryStorage,
		FirstSeq:          starts * epochsPerStart,
		Discard:           jetstream.DiscardNew, // a claim is never dropped for another
		MaxMsgsPerSubject: 1,
		MaxBytes:          claimsBytes,
	}} {
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("open stream %s: %w", c.Name, err)
		}
	}
	return nil
}

// lastSeq is the number of the message stored last.
func (b *Backbone) lastSeq(ctx context.Context) (uint64, error) {
	var info struct {
		State struct {
			LastSeq uint64 `json:"last_seq"`
		}
	}
	if err := b.api(ctx, "STREAM.INFO."+histStream, nil, &info); err != nil {
		return 0, fmt.Errorf("state of stream %s: %w", histStream, err)
	}
	return info.State.LastSeq, nil
}

// api asks JetStream and decodes its answer into v, unless v is nil. A refusal is an *ackError.
func (b *Backbone) api(ctx context.Context, name string, ask []byte, v any) error {
	if b.isClosed() {
		return ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	m, err := b.nc.RequestWithContext(ctx, "$JS.API."+name, ask)
	if err != nil {
		return err
	}
	var answer struct{ Error *ackError }
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(m.Data, v)
}

// historyBytes is how many bytes the history may take: what was asked for, or what the disk allows.
func historyBytes(want int64, dir string, log *slog.Logger) (int64, error) {
	free, ok := diskFree(dir)
	if !ok {
		return want, nil
	}
	// A tenth stays free for others: a full disk stops the store altogether.
	room := (free + treeBytes(dir)) / 10 * 9
	if room < minBytes {
		return 0, fmt.Errorf("data directory %s: only %d bytes free on its disk", dir, free)
	}
	if want > room {
		log.Warn("history limited by the free space on the disk", "dir", dir, "wanted", want, "bytes", room)
		return room, nil
	}
	return want, nil
}

// treeBytes is the size of all files under dir; what cannot be read does not count.
func treeBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
