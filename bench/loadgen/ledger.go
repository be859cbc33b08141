package loadgen

import "time"

// ledger knows what was pushed to whom, takes in every delivery, and says what is still owed and what was wrong.
//
// Events (a push posted, an answer read) are numbered as they happen in the generator; the order rule compares these
// numbers, not clock readings, so that it is exact.
type ledger struct {
	event int64

	// base is the number of the first push of this phase. All earlier ones are settled: whatever still comes of them
	// came again, or came after it was given up.
	base   int64
	pushes []push
	size   int // bytes of each push's data in this phase
	open   int // pushes not yet received by all their clients

	posted     int64
	deliveries int64
	last       time.Duration // when the last delivery came
	latency    histogram
	faults     Faults
	complaints complaints
}

// push is what is known of one push. Its number is its place in ledger.pushes plus ledger.base.
type push struct {
	sentAt     time.Duration
	sent       int64 // event number of the post
	answered   int64 // event number of the answer, 0 before it
	room       int32
	want, have int32
}

// seenWindow is how many push numbers back from the newest a client remembers what it got.
const seenWindow = 256

// track is what one client has received. The zero value is a client that has received nothing.
type track struct {
	next   int64 // one past the highest push number received
	newest int64 // the latest post event of any push received
	seen   [seenWindow / 64]uint64
}

// begin settles all earlier pushes and starts a phase with pushes of size bytes.
func (l *ledger) begin(size int) {
	l.base += int64(len(l.pushes))
	l.pushes, l.size, l.open = l.pushes[:0], size, 0
	l.posted, l.deliveries, l.last = 0, 0, 0
	l.latency, l.faults, l.complaints = histogram{}, Faults{}, nil
}

// next is the number of the push that post will record.
func (l *ledger) next() int64 { return l.base + int64(len(l.pushes)) }

// post records push next as posted at the given time to room, owed to want clients.
func (l *ledger) post(at time.Duration, room, want int32) {
	l.event++
	l.pushes = append(l.pushes, push{sentAt: at, sent: l.event, room: room, want: want})
	l.posted++
	if want > 0 {
		l.open++
	}
}

// answer records that the server has answered push seq.
func (l *ledger) answer(seq int64) {
	l.event++
	if i := seq - l.base; i >= 0 && i < int64(len(l.pushes)) {
		l.pushes[i].answered = l.event
	}
}

// deliver takes in an event packet that came to a client in the given room.
func (l *ledger) deliver(t *track, room int32, packet []byte, at time.Duration) {
	seq, to, size, ok := parsePacket(packet)
	if !ok {
		l.wrong(packet)
		return
	}
	i := seq - l.base
	switch {
	case i >= int64(len(l.pushes)):
		l.wrong(packet)
		return
	case i < 0:
		l.faults.Doubled++
		l.complaints.add("came after its phase was settled", packet)
		return
	}
	p := &l.pushes[i]
	if p.room != to || size != l.size {
		l.wrong(packet)
		return
	}
	if to != toEveryone && to != room {
		l.faults.Misrouted++
		l.complaints.add("came to another room", packet)
		return
	}
	switch t.mark(seq) {
	case again:
		l.faults.Doubled++
		l.complaints.add("came again", packet)
		return
	case tooOld:
		l.faults.Reordered++
		l.complaints.add("came very late", packet)
	case first:
		if p.answered != 0 && p.answered < t.newest {
			l.faults.Reordered++
			l.complaints.add("came after a later push", packet)
		}
	}
	t.newest = max(t.newest, p.sent)
	p.have++
	if p.have == p.want {
		l.open--
	}
	l.deliveries++
	l.last = at
	l.latency.add(at - p.sentAt)
}

// settle counts as lost what is owed and has not come.
func (l *ledger) settle() {
	for i := range l.pushes {
		if p := &l.pushes[i]; p.have < p.want {
			l.faults.Lost += int64(p.want - p.have)
		}
	}
}

func (l *ledger) wrong(packet []byte) {
	l.faults.Wrong++
	l.complaints.add("not what was posted", packet)
}

// standing is what a client's track says of a push number.
type standing int

const (
	first  standing = iota
	again           // received before
	tooOld          // more than seenWindow behind the newest: whether it came before is not known
)

// mark notes that seq was received and says whether it was before.
func (t *track) mark(seq int64) standing {
	if seq >= t.next {
		for s := max(t.next, seq-seenWindow+1); s < seq; s++ {
			t.seen[s/64%int64(len(t.seen))] &^= 1 << (s % 64)
		}
		t.seen[seq/64%int64(len(t.seen))] |= 1 << (seq % 64)
		t.next = seq + 1
		return first
	}
	if seq < t.next-seenWindow {
		return tooOld
	}
	word, bit := &t.seen[seq/64%int64(len(t.seen))], uint64(1)<<(seq%64)
	if *word&bit != 0 {
		return again
	}
	*word |= bit
	return first
}

// complaints keeps samples of what went wrong, with how often each was said: enough to see the kind of a fault, never
// more than a few.
type complaints map[string]int

const (
	maxComplaints = 12
	maxSample     = 120
)

func (c *complaints) add(what string, sample []byte) {
	text := what
	if len(sample) > 0 {
		text += ": " + string(sample[:min(len(sample), maxSample)])
	}
	if *c == nil {
		*c = complaints{}
	}
	if _, known := (*c)[text]; !known && len(*c) >= maxComplaints {
		text = what + " (others)"
	}
	(*c)[text]++
}
