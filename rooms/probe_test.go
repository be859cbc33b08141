package rooms_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

func TestASilentHolderIsReplacedAfterTheProbe(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		holder, me := w.attach(""), w.attach("")
		holder.login(room, rooms.First)
		holder.Freeze()
		began := time.Now()
		require.Equal(t, "2002", me.login(room, rooms.First).Status.Code)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, []string{"2002", "2005"}, holder.Statuses())
		require.Equal(t, []*client{me}, w.members(room, holder, me))
	})
}

func TestAProbeMayTakeLongerThanATurn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.admission = rooms.NewAdmission(w.hub, w.claims, rooms.AdmissionOptions{ProbeTimeout: 2 * rooms.TurnTimeout})
		holder, me := w.attach(""), w.attach("")
		holder.login(room, rooms.First)
		holder.Freeze()
		began := time.Now()
		require.Equal(t, "2002", me.login(room, rooms.First).Status.Code)
		require.Equal(t, 2*rooms.TurnTimeout, time.Since(began))
	})
}

func TestNewcomersAtASilentHolderShareTheWaitAndOneWins(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		holder := w.attach("")
		holder.login(room, rooms.First)
		holder.Freeze()
		clients := make([]*client, 100)
		began := time.Now()
		var all sync.WaitGroup
		for i := range clients {
			clients[i] = w.attach("")
			all.Go(func() { clients[i].login(room, rooms.First) })
		}
		all.Wait()
		require.Equal(t, time.Second, time.Since(began))
		got := map[string]int{}
		for _, c := range clients {
			got[c.Statuses()[0]]++
		}
		require.Equal(t, map[string]int{"2002": 1, "2004": 99}, got)
		require.Equal(t, []string{"2002", "2005"}, holder.Statuses())
	})
}

func TestAHolderThatClosesDuringTheProbeIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		holder, me := w.attach(""), w.attach("")
		holder.login(room, rooms.First)
		holder.Freeze()
		began := time.Now()
		go func() {
			time.Sleep(300 * time.Millisecond)
			holder.gone()
		}()
		require.Equal(t, "2002", me.login(room, rooms.First).Status.Code)
		require.Equal(t, 300*time.Millisecond, time.Since(began))
		me.gone()
		synctest.Wait()
		w.empty(t)
	})
}

func TestOneLivingMemberAmongSilentOnesKeepsFirstOut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var others []*client
		for range 300 {
			o := w.attach("")
			o.login(room, rooms.Whenever)
			o.Freeze()
			others = append(others, o)
		}
		alive := w.attach("")
		alive.login(room, rooms.Whenever)
		began := time.Now()
		require.Equal(t, "2004", w.attach("").login(room, rooms.First).Status.Code)
		require.Zero(t, time.Since(began), "the newest are asked first")

		for _, o := range others[:200] { // swaps alive into the place of the eldest, who is asked last
			o.leave(room)
		}
		me := w.attach("")
		began = time.Now()
		require.Equal(t, "2004", me.login(room, rooms.First).Status.Code)
		require.NotZero(t, time.Since(began))
		require.Less(t, time.Since(began), time.Second/2)
		require.Len(t, w.members(room, append(others, alive, me)...), 101, "nobody was put out")
	})
}

func TestInALargeRoomOnlyAFewAreAsked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		others := make([]*client, 2000)
		for i := range others {
			others[i] = w.attach("")
			others[i].login(room, rooms.Whenever)
		}
		me := w.attach("")
		require.Equal(t, "2004", me.login(room, rooms.First).Status.Code)
		asked := 0
		for _, o := range others {
			asked += o.Probes()
		}
		require.LessOrEqual(t, asked, rooms.ProbeFirst)

		for _, o := range others {
			o.Freeze()
		}
		began := time.Now()
		require.Equal(t, "2002", me.login(room, rooms.First).Status.Code)
		require.Equal(t, time.Second, time.Since(began), "all are asked in the time of one probe")
		for _, o := range others {
			require.Equal(t, []string{"2002", "2005"}, o.Statuses())
		}
	})
}

func TestAWheneverThatComesDuringTheProbeKeepsFirstOut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		silent, second, me := w.attach(""), w.attach(""), w.attach("")
		silent.login(room, rooms.First)
		silent.Freeze()
		go func() {
			time.Sleep(time.Second / 2)
			second.login(room, rooms.Whenever)
		}()
		require.Equal(t, "2004", me.login(room, rooms.First).Status.Code)
		require.Equal(t, []string{"2002", "2005"}, silent.Statuses(), "it was found dead all the same")
		require.Equal(t, []*client{second}, w.members(room, silent, second, me))
		synctest.Wait()
		require.Empty(t, w.claims.All(), "nobody holds the room")
	})
}

func TestALoginThatIsCutShortPutsNobodyOut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		holder, me := w.attach(""), w.attach("")
		epoch := holder.login(room, rooms.First).Epoch
		holder.Freeze()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.Equal(t, "2003", me.send(ctx, rooms.Login{Room: room}).Status.Code)
		require.Equal(t, []string{"2002"}, holder.Statuses())
		require.Equal(t, []*client{holder}, w.members(room, holder, me))
		require.Equal(t, epoch, w.claims.All()[room].Epoch)
	})
}

func TestANewcomerThatClosesDuringTheProbeIsNotAdmitted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		holder, me := w.attach(""), w.attach("")
		holder.login(room, rooms.First)
		holder.Freeze()
		go func() {
			time.Sleep(time.Second / 2)
			me.gone()
		}()
		require.Equal(t, "2003", me.login(room, rooms.First).Status.Code)
		require.Empty(t, w.members(room, me))
		holder.gone()
		synctest.Wait()
		w.empty(t)
	})
}

func TestLivingMembersAreAskedAboutTheTimeSinceTheNewcomerCame(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		// a holder whose only sign of life came before the newcomer did
		conn := &lateConn{Conn: w.door.NewConn("holder"), heard: time.Now()}
		holder := w.hub.Attach(conn, "", nil)
		w.admission.Login(t.Context(), holder, rooms.Login{Room: room}, func(rooms.Answer) {})
		time.Sleep(time.Minute)
		came := time.Now()
		require.Equal(t, "2002", w.attach("").login(room, rooms.First).Status.Code)
		require.Equal(t, came, conn.asked)
		w.admission.Gone(holder)
	})
}

// lateConn answers probes about the time before heard only.
type lateConn struct {
	rooms.Conn
	heard, asked time.Time
}

func (c *lateConn) Probe(ctx context.Context, since time.Time) bool {
	c.asked = since
	if c.heard.After(since) {
		return true
	}
	<-ctx.Done()
	return false
}
