package roomstest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"downlink/rooms"
)

// MemJournal is a rooms.Journal in memory. It keeps everything, keys included, for as long as it lives.
type MemJournal struct {
	mu        sync.Mutex
	changed   *sync.Cond
	intercept Intercept
	log       []*rooms.Message // log[i].Seq == i+1
	keys      map[scopedKey]*rooms.Message
}

type scopedKey struct {
	to  rooms.Address
	key string
}

// NewMemJournal returns an empty journal.
func NewMemJournal() *MemJournal {
	j := &MemJournal{keys: map[scopedKey]*rooms.Message{}}
	j.changed = sync.NewCond(&j.mu)
	return j
}

// Intercept has f asked before every Publish from now on; nil ends that.
func (j *MemJournal) Intercept(f Intercept) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.intercept = f
}

// Stored returns what was stored, in order.
func (j *MemJournal) Stored() []*rooms.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log[:len(j.log):len(j.log)]
}

// Publish implements rooms.Journal.
func (j *MemJournal) Publish(ctx context.Context, p rooms.Push) (rooms.Receipt, error) {
	j.mu.Lock()
	intercept := j.intercept
	j.mu.Unlock()
	apply, fault := true, error(nil)
	if intercept != nil {
		apply, fault = intercept(ctx, OpPublish, p.To.ID)
	}
	if ctx.Err() != nil && fault == nil {
		apply, fault = false, ctx.Err()
	}
	var receipt rooms.Receipt
	if apply {
		receipt = j.store(p)
	}
	if fault != nil {
		return rooms.Receipt{}, fault
	}
	return receipt, nil
}

func (j *MemJournal) store(p rooms.Push) rooms.Receipt {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := scopedKey{p.To, p.Key}
	if first := j.keys[key]; first != nil {
		return rooms.Receipt{ID: first.ID, Seq: first.Seq, Duplicate: true}
	}
	seq := uint64(len(j.log)) + 1
	m := &rooms.Message{
		Seq: seq, ID: fmt.Sprintf("%026d", seq), Time: time.Now(),
		To: p.To, Event: p.Event, Data: p.Data,
	}
	j.log = append(j.log, m)
	if p.Key != "" {
		j.keys[key] = m
	}
	j.changed.Broadcast()
	return rooms.Receipt{ID: m.ID, Seq: seq}
}

// Follow implements rooms.Journal.
func (j *MemJournal) Follow(ctx context.Context, deliver func(*rooms.Message)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	at := len(j.log)
	j.mu.Unlock()
	context.AfterFunc(ctx, j.wake)
	go func() { // ends with ctx
		for {
			j.mu.Lock()
			for at == len(j.log) && ctx.Err() == nil {
				j.changed.Wait()
			}
			if ctx.Err() != nil {
				j.mu.Unlock()
				return
			}
			m := j.log[at]
			j.mu.Unlock()
			at++
			deliver(m)
		}
	}()
	return nil
}

// wake has followers look at their context. The lock is taken so that none of them is between looking and waiting.
func (j *MemJournal) wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changed.Broadcast()
}

// Replay implements rooms.Journal.
func (j *MemJournal) Replay(ctx context.Context, after, upTo uint64, fn func(*rooms.Message) error) error {
	for _, m := range j.Stored() {
		if m.Seq <= after || m.Seq > upTo {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}
