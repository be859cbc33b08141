package loadgen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testSize = 100

// newLedger is a ledger in a phase with n pushes to everyone, posted and answered one after the other, each owed to
// want clients.
func newLedger(n int, want int32) *ledger {
	l := &ledger{}
	l.begin(testSize)
	for seq := range n {
		l.post(0, toEveryone, want)
		l.answer(int64(seq))
	}
	return l
}

func (l *ledger) take(t *track, seqs ...int64) {
	for _, seq := range seqs {
		l.deliver(t, toEveryone, packetOf(seq, toEveryone, testSize), time.Millisecond)
	}
}

func TestAllAsItMustBe(t *testing.T) {
	l := newLedger(5, 2)
	var a, b track
	require.Equal(t, 5, l.open)
	l.take(&a, 0, 1, 2, 3, 4)
	require.Equal(t, 5, l.open)
	l.take(&b, 0, 1, 2, 3, 4)
	require.Zero(t, l.open)
	l.settle()
	require.Zero(t, l.faults)
	require.EqualValues(t, 10, l.deliveries)
	require.Equal(t, time.Millisecond, l.latency.max)
	require.Equal(t, "none", l.faults.String())
}

func TestEachFaultIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(l *ledger, a, b *track)
		want    Faults
	}{
		"lost":    {func(l *ledger, a, b *track) { l.take(a, 0, 1, 2); l.take(b, 0, 2) }, Faults{Lost: 1}},
		"doubled": {func(l *ledger, a, b *track) { l.take(a, 0, 1, 2, 2); l.take(b, 0, 1, 2) }, Faults{Doubled: 1}},
		"a double does not make up for a loss": {
			func(l *ledger, a, b *track) { l.take(a, 0, 1, 1, 2); l.take(b, 0, 2) }, Faults{Doubled: 1, Lost: 1},
		},
		"reordered":  {func(l *ledger, a, b *track) { l.take(a, 0, 2, 1); l.take(b, 0, 1, 2) }, Faults{Reordered: 1}},
		"not posted": {func(l *ledger, a, b *track) { l.take(a, 0, 1, 2, 3); l.take(b, 0, 1, 2) }, Faults{Wrong: 1}},
		"garbage": {
			func(l *ledger, a, b *track) {
				l.take(a, 0, 1, 2)
				l.take(b, 0, 1, 2)
				l.deliver(a, toEveryone, []byte(`42["downmsg",{}]`), 0)
			}, Faults{Wrong: 1},
		},
		"another size": {
			func(l *ledger, a, b *track) {
				l.take(a, 0, 1)
				l.deliver(a, toEveryone, packetOf(2, toEveryone, testSize-1), 0)
				l.take(b, 0, 1, 2)
			}, Faults{Wrong: 1, Lost: 1},
		},
		"another room's name": {
			func(l *ledger, a, b *track) {
				l.take(a, 0, 1)
				l.deliver(a, 5, packetOf(2, 5, testSize), 0)
				l.take(b, 0, 1, 2)
			}, Faults{Wrong: 1, Lost: 1},
		},
		"a phase late": {
			func(l *ledger, a, b *track) {
				l.take(a, 0, 1)
				l.take(b, 0, 1, 2)
				l.begin(testSize)
				l.take(a, 2)
			}, Faults{Doubled: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(3, 2)
			c.happens(l, &track{}, &track{})
			l.settle()
			require.Equal(t, c.want, l.faults)
			if l.faults.Total() != l.faults.Lost {
				require.NotEmpty(t, l.complaints)
			}
		})
	}
}

func TestRoomPushes(t *testing.T) {
	l := &ledger{}
	l.begin(testSize)
	l.post(0, 3, 1)
	l.post(0, toNobody, 0)
	require.Equal(t, 1, l.open, "what is owed to nobody is not waited for")
	var member, other track
	l.deliver(&member, 3, packetOf(0, 3, testSize), 0)
	require.Zero(t, l.faults)
	l.deliver(&other, 4, packetOf(0, 3, testSize), 0)
	require.Equal(t, Faults{Misrouted: 1}, l.faults)
	l.deliver(&other, toEveryone, packetOf(0, 3, testSize), 0)
	l.deliver(&member, 3, packetOf(1, toNobody, testSize), 0)
	require.Equal(t, Faults{Misrouted: 3}, l.faults)
}

// TestOrderOfRacingPushes: what was on its way at the same time may come in any order; what was answered before the
// other was posted may not.
func TestOrderOfRacingPushes(t *testing.T) {
	l := &ledger{}
	l.begin(testSize)
	l.post(0, toEveryone, 3) // 0 and 1 race
	l.post(0, toEveryone, 3)
	l.answer(1)
	l.post(0, toEveryone, 3) // 2 after 1, races 0
	l.answer(0)
	l.answer(2)
	l.post(0, toEveryone, 3) // 3 after all

	var a, b, c track
	l.take(&a, 1, 2, 0, 3)
	l.take(&b, 0, 1, 2, 3)
	require.Zero(t, l.faults)
	l.take(&c, 2, 1) // 1 was answered before 2 was posted
	require.Equal(t, Faults{Reordered: 1}, l.faults)
	l.take(&c, 3, 0)
	require.Equal(t, Faults{Reordered: 2}, l.faults)
	l.settle()
	require.Zero(t, l.faults.Lost)
}

func TestTrackWindow(t *testing.T) {
	var tr track
	require.Equal(t, first, tr.mark(5))
	require.Equal(t, again, tr.mark(5))
	require.Equal(t, first, tr.mark(5+seenWindow-1))
	require.Equal(t, again, tr.mark(5), "the last of the window is still known")
	require.Equal(t, first, tr.mark(6))
	require.Equal(t, first, tr.mark(5+seenWindow))
	require.Equal(t, tooOld, tr.mark(5))
	require.Equal(t, again, tr.mark(6))

	// A gap wider than the window leaves nothing behind in it.
	require.Equal(t, first, tr.mark(1000+5*seenWindow))
	for seq := int64(1000 + 4*seenWindow + 1); seq < 1000+5*seenWindow; seq++ {
		require.Equal(t, first, tr.mark(seq), seq)
		require.Equal(t, again, tr.mark(seq), seq)
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	var c complaints
	for i := range 1000 {
		c.add("kind", append([]byte("sample "), byte(i), byte(i>>8)))
	}
	c.add("long", make([]byte, 1<<20))
	require.LessOrEqual(t, len(c), maxComplaints+2)
	sum := 0
	for text, n := range c {
		sum += n
		require.Less(t, len(text), 200)
	}
	require.Equal(t, 1001, sum)
}
