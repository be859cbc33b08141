package rooms_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
	"downlink/rooms/roomstest"
)

func TestADoorBuildsAMessageOnceAndOnlyIfItHasSomebodyThere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		here, there, idle := w.door, &roomstest.Door{}, &roomstest.Door{}
		counts := func() []int {
			return []int{here.Built(), here.Flushed(), there.Built(), there.Flushed(), idle.Built(), idle.Flushed()}
		}
		w.push(rooms.Everyone)
		w.push(rooms.Room(room))
		require.Equal(t, []int{0, 0, 0, 0, 0, 0}, counts(), "nobody is there")

		var a, b []*client
		for range 200 {
			a = append(a, w.attach(""))
			w.door = there
			b = append(b, w.attach(""))
			w.door = here
		}
		require.Equal(t, "2002", a[0].login(room, rooms.Whenever).Status.Code)
		require.Equal(t, "2002", a[1].login(room, rooms.Whenever).Status.Code)
		w.push(rooms.Everyone)
		require.Equal(t, []int{1, 1, 1, 1, 0, 0}, counts())
		w.push(rooms.Room(room))
		require.Equal(t, []int{2, 2, 1, 1, 0, 0}, counts())
		require.Equal(t, "2002", b[0].login(room, rooms.Whenever).Status.Code)
		w.push(rooms.Room(room))
		require.Equal(t, []int{3, 3, 2, 2, 0, 0}, counts())
		a[0].leave(room)
		a[1].leave(room)
		w.push(rooms.Room(room))
		require.Equal(t, []int{3, 3, 3, 3, 0, 0}, counts())
		require.Len(t, b[0].Seqs(), 3)
		require.Len(t, b[1].Seqs(), 1)
	})
}

func TestAMessageIsBuiltWithNoLockHeld(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		c.login(room, rooms.First)
		slow := &reentrantDoor{}
		m := w.hub.Attach(&doorConn{c.Conn, slow}, "", nil)
		joined := w.attach("")
		slow.during = func() {
			w.hub.Counts() // takes every lock
			if slow.built == 1 {
				joined.login(room, rooms.Whenever)
			}
		}
		w.admission.Login(t.Context(), m, rooms.Login{Room: room, Policy: rooms.Whenever}, func(rooms.Answer) {})
		seq := w.push(rooms.Room(room))
		require.Equal(t, []uint64{seq}, joined.Seqs(), "who joins while the message is built gets it")
		w.admission.Gone(m)
	})
}

type reentrantDoor struct {
	built  int
	during func()
}

func (d *reentrantDoor) Fanout(*rooms.Message) rooms.Fanout {
	d.built++
	d.during()
	return d
}
func (d *reentrantDoor) Add(rooms.Conn) {}
func (d *reentrantDoor) Flush()         { d.during() }

type doorConn struct {
	rooms.Conn
	door rooms.Door
}

func (c *doorConn) Door() rooms.Door { return c.door }

func TestCounts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var all []*client
		for i := range 300 {
			c := w.attach("")
			c.login(fmt.Sprint(i%100), rooms.Whenever)
			all = append(all, c)
		}
		conns, in := w.hub.Counts()
		require.Equal(t, []int{300, 100}, []int{conns, in})
		require.Zero(t, w.hub.Head())
		w.push(rooms.Room("nobody"))
		require.EqualValues(t, 1, w.hub.Head())
		for _, c := range all {
			c.gone()
		}
		conns, in = w.hub.Counts()
		require.Equal(t, []int{0, 0}, []int{conns, in})
		synctest.Wait()
		w.empty(t)
	})
}

// until calls f over and over, with room for others in between.
func until(stop <-chan struct{}, f func(i int)) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
			f(i)
			if i%16 == 0 {
				runtime.Gosched()
			}
		}
	}
}

// A push while members come and go: none of those told 2002 before it misses it, none gets one that was delivered
// before it was told, and the order is that of the pushes.
func TestJoinAndLeaveRacingWithPushes(t *testing.T) {
	w := newWorld()
	const clients, turns = 12, 300
	stop := make(chan struct{})
	var pusher, all sync.WaitGroup
	var globals, inRoom []uint64
	pusher.Go(func() {
		until(stop, func(int) {
			inRoom = append(inRoom, w.push(rooms.Room(room)))
			globals = append(globals, w.push(rooms.Everyone))
		})
	})
	type span struct{ joined, leaving, left uint64 } // by Seq
	spans := make([][]span, clients)
	everybody := make([]*client, clients)
	attached := make([]uint64, clients)
	for i := range clients {
		everybody[i] = w.attach("")
		attached[i] = w.hub.Head()
		all.Go(func() {
			c := everybody[i]
			for range turns {
				a := c.login(room, rooms.Whenever)
				leaving := w.hub.Head()
				c.leave(room)
				spans[i] = append(spans[i], span{a.Seq, leaving, w.hub.Head()})
			}
		})
	}
	all.Wait()
	close(stop)
	pusher.Wait()
	for i, c := range everybody {
		got := c.Seqs()
		require.True(t, slices.IsSorted(got))
		had := map[uint64]bool{}
		for _, seq := range got {
			require.False(t, had[seq], "twice")
			had[seq] = true
		}
		for _, seq := range globals {
			require.True(t, had[seq] || seq <= attached[i], "global push %d", seq)
		}
		for _, seq := range inRoom {
			must, may := false, false
			for _, s := range spans[i] {
				must = must || seq > s.joined && seq <= s.leaving
				may = may || seq > s.joined && seq <= s.left
			}
			require.True(t, !must || had[seq], "push %d is missed", seq)
			require.True(t, may || !had[seq], "push %d was for others", seq)
		}
		c.gone()
	}
	require.NoError(t, w.admission.Close(t.Context()))
	w.empty(t)
}

// Each push to a room that is taken with Last reaches exactly one: the holder at its moment. So 2005 comes before any
// push that follows the newcomer's 2002, and that push reaches the newcomer only.
func TestPushesBetweenKicksReachTheHolderOfTheMomentOnly(t *testing.T) {
	w := newWorld()
	const clients, turns = 8, 200
	stop := make(chan struct{})
	var pusher, all sync.WaitGroup
	pusher.Go(func() { until(stop, func(int) { w.push(rooms.Room(room)) }) })
	var mu sync.Mutex
	type holding struct {
		epoch, from uint64
		by          *client
	}
	var holdings []holding
	everybody := make([]*client, clients)
	for i := range clients {
		everybody[i] = w.attach("")
		all.Go(func() {
			for range turns {
				a := everybody[i].login(room, rooms.Last)
				mu.Lock()
				holdings = append(holdings, holding{a.Epoch, a.Seq, everybody[i]})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	close(stop)
	pusher.Wait()

	slices.SortFunc(holdings, func(a, b holding) int { return int(a.epoch) - int(b.epoch) })
	want := map[*client][]uint64{}
	for i, h := range holdings {
		upTo := w.hub.Head()
		if i+1 < len(holdings) {
			upTo = holdings[i+1].from
		}
		for seq := h.from + 1; seq <= upTo; seq++ {
			want[h.by] = append(want[h.by], seq)
		}
	}
	for _, c := range everybody {
		require.Equal(t, want[c], c.Seqs())
		in := false
		for _, g := range c.Got() {
			switch {
			case g.Message != nil:
				require.True(t, in, "a push after 2005")
			case g.Status.Code == "2002":
				in = true
			case g.Status.Code == "2005":
				require.True(t, in, "2005 twice")
				in = false
			}
		}
		c.gone()
	}
	require.NoError(t, w.admission.Close(t.Context()))
	w.empty(t)
}

// Everything at once, for the race detector, for claims that agree with the hub, and for what is left behind.
func TestEverythingRacesWithEverything(t *testing.T) {
	w := newWorld()
	const workers, lives = 16, 60
	var acquires atomic.Int64
	w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
		if n := acquires.Add(1); op == roomstest.OpAcquire && n%5 == 0 {
			runtime.Gosched()
			return n%2 == 0, errDown
		}
		return true, nil
	})
	stop := make(chan struct{})
	var pusher, all sync.WaitGroup
	pusher.Go(func() {
		until(stop, func(i int) {
			w.push(rooms.Room(fmt.Sprint(i % 4)))
			w.push(rooms.Everyone)
		})
	})
	var attach sync.Mutex
	survivors := make([]*client, workers)
	for i := range workers {
		all.Go(func() {
			for life := range lives {
				attach.Lock()
				c := w.attach([]string{"", "", fmt.Sprint(i % 4)}[life%3])
				attach.Unlock()
				var end sync.WaitGroup
				for turn := range 8 {
					if turn == 5 && life < lives-1 {
						end.Go(c.gone) // during the logins that follow
					}
					name := fmt.Sprint((i + turn + life) % 4)
					c.send(t.Context(), rooms.Login{Room: name, Policy: policies[(life+turn*i)%3], Resume: turn%4 == 3})
					if turn%3 == 0 {
						c.leave(name)
					}
				}
				end.Wait()
				survivors[i] = c
			}
		})
	}
	all.Wait()
	close(stop)
	pusher.Wait()
	w.claims.Intercept(nil)
	require.Eventually(t, func() bool { return w.admission.Remembered().Pages == 0 }, 20*time.Second, time.Millisecond)
	for i := range 4 {
		name := fmt.Sprint(i)
		require.Equal(t, w.hub.Holding(name), w.claims.All()[name])
	}
	for _, c := range survivors {
		c.gone()
	}
	require.NoError(t, w.admission.Close(t.Context()))
	w.empty(t)
}

func TestTheHelloComesBeforeAnyPush(t *testing.T) {
	w := newWorld()
	stop := make(chan struct{})
	var pusher sync.WaitGroup
	pusher.Go(func() { until(stop, func(int) { w.push(rooms.Everyone) }) })
	for i := range 2000 {
		conn := w.door.NewConn(fmt.Sprint(i))
		m := w.hub.Attach(conn, "", func() {
			runtime.Gosched()
			conn.Tell(codes.Connected)
		})
		require.Equal(t, codes.Connected, conn.Got()[0].Status)
		w.admission.Gone(m)
	}
	close(stop)
	pusher.Wait()
	require.NoError(t, w.admission.Close(t.Context()))
	w.empty(t)
}
