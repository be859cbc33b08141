package rooms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
	"downlink/rooms/roomstest"
)

var errDown = fmt.Errorf("the store is down: %w", codes.Unavailable)

// fail has the next operations op fail: applied all the same or not.
func fail(ops map[roomstest.Op]bool, err error) roomstest.Intercept {
	return func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
		if applied, ok := ops[op]; ok {
			return applied, err
		}
		return true, nil
	}
}

// hang has every operation wait for its context, as a store does that lost its quorum.
func hang(ctx context.Context, _ roomstest.Op, _ string) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func TestWhileClaimsFailExclusiveLoginsFailAndTheRestGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.attach(""), w.attach("")
		epoch := a.login(room, rooms.First).Epoch
		for name, fault := range map[string]roomstest.Intercept{
			"fail": fail(map[roomstest.Op]bool{roomstest.OpAcquire: false, roomstest.OpGet: false, roomstest.OpRelease: false}, errDown),
			"hang": hang,
		} {
			w.claims.Intercept(fault)
			began := time.Now()
			require.Equal(t, codes.LoginFailed(codes.Unavailable), b.login(room, rooms.Last).Status, name)
			require.Equal(t, codes.LoginFailed(codes.Unavailable), b.login("other", rooms.First).Status, name)
			require.LessOrEqual(t, time.Since(began), 2*2*rooms.ClaimTimeout, "the turn may be a settler's, and its own call")
			require.Equal(t, []*client{a}, w.members(room, a, b), "a failed login changes nothing")
			require.Equal(t, []string{"2002"}, a.Statuses())

			began = time.Now()
			require.Equal(t, "2002", b.login(room, rooms.Whenever).Status.Code)
			b.leave(room)
			require.Zero(t, time.Since(began))
			require.Equal(t, "2004", b.login(room, rooms.First).Status.Code)
			require.LessOrEqual(t, time.Since(began), rooms.ClaimTimeout, "the turn may be a settler's")
		}
		w.claims.Intercept(nil)
		time.Sleep(time.Minute)
		require.Equal(t, epoch, w.claims.All()[room].Epoch)
		require.Len(t, w.claims.All(), 1, "what was in doubt is settled")
		require.Equal(t, 1, w.admission.Remembered().Rooms)
		require.Zero(t, w.admission.Remembered().Pages)
	})
}

func TestAnErrorWithoutCauseIsToldAsInternal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.claims.Intercept(fail(map[roomstest.Op]bool{roomstest.OpAcquire: false}, errors.New("secret path")))
		require.Equal(t, codes.LoginFailed(codes.Internal), w.attach("").login(room, rooms.First).Status)
	})
}

func TestAnAcquireThatFailedButWasMadeBlocksNobody(t *testing.T) {
	lost := func() roomstest.Intercept { // the confirmation of the first acquire, and all else works
		var done bool
		return func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			if op == roomstest.OpAcquire && !done {
				done = true
				return true, errDown
			}
			return true, nil
		}
	}
	for _, p := range []rooms.Policy{rooms.First, rooms.Last} {
		t.Run(p.String()+" at once", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.attach(""), w.attach("")
				w.claims.Intercept(lost())
				require.Equal(t, "2003", a.login(room, p).Status.Code)
				answer := b.login(room, p)
				require.Equal(t, "2002", answer.Status.Code)
				synctest.Wait()
				require.Equal(t, answer.Epoch, w.claims.All()[room].Epoch)
				require.Equal(t, []*client{b}, w.members(room, a, b))
				b.gone()
				a.gone()
				synctest.Wait()
				w.empty(t)
			})
		})
		t.Run(p.String()+" after it was settled", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.attach(""), w.attach("")
				w.claims.Intercept(lost())
				require.Equal(t, "2003", a.login(room, p).Status.Code)
				synctest.Wait()
				require.Empty(t, w.claims.All())
				require.Equal(t, "2002", b.login(room, p).Status.Code)
			})
		})
	}
	t.Run("over a living holder", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.attach(""), w.attach("")
			a.login(room, rooms.First)
			w.claims.Intercept(lost())
			require.Equal(t, "2003", b.login(room, rooms.Last).Status.Code)
			synctest.Wait()
			require.Equal(t, []*client{a}, w.members(room, a, b))
			require.Equal(t, a.ID(), w.claims.All()[room].Conn, "a has its claim back")
			require.Equal(t, rooms.First, w.claims.All()[room].Policy)
			require.Equal(t, "2004", b.login(room, rooms.First).Status.Code)
			require.Equal(t, "2002", b.login(room, rooms.Last).Status.Code)
			require.Equal(t, []*client{b}, w.members(room, a, b))
			a.gone()
			b.gone()
			synctest.Wait()
			w.empty(t)
		})
	})
	t.Run("arriving after everything was settled", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.attach(""), w.attach("")
			w.claims.Intercept(fail(map[roomstest.Op]bool{roomstest.OpAcquire: false}, errDown))
			require.Equal(t, "2003", a.login(room, rooms.First).Status.Code)
			w.claims.Intercept(nil)
			synctest.Wait()
			_, err := w.claims.Acquire(t.Context(), rooms.Claim{Room: room, Conn: a.ID()}, 0)
			require.NoError(t, err)
			require.Equal(t, "2002", b.login(room, rooms.First).Status.Code)
		})
	})
}

func TestClaimsOfOtherNodes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.attach("")
		far := w.claims.Seize(room, "far")
		require.Equal(t, "2004", a.login(room, rooms.First).Status.Code)
		require.Equal(t, "2005", a.send(t.Context(), rooms.Login{Room: room, Resume: true}).Status.Code)
		require.Equal(t, "2005", a.send(t.Context(), rooms.Login{Room: room, Policy: rooms.Last, Resume: true}).Status.Code)
		synctest.Wait()
		require.Equal(t, "far", w.claims.All()[room].Conn, "and it is not released")
		answer := a.login(room, rooms.Last)
		require.Equal(t, "2002", answer.Status.Code)
		require.Greater(t, answer.Epoch, far)

		// taken from here by another node, then left here: the newer claim stays
		w.claims.Seize(room, "far")
		a.leave(room)
		synctest.Wait()
		require.Equal(t, "far", w.claims.All()[room].Conn)
		require.Zero(t, w.admission.Remembered().Pages)
	})
	t.Run("that change all the time", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
				if op == roomstest.OpAcquire {
					w.claims.Seize(room, "far")
				}
				return true, nil
			})
			require.Equal(t, codes.LoginFailed(codes.Unavailable), w.attach("").login(room, rooms.Last).Status)
		})
	})
}

func TestReleasesAreRetriedUntilTheyWork(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		down := fail(map[roomstest.Op]bool{roomstest.OpRelease: false}, errDown)
		w.claims.Intercept(down)
		const n = 200
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = w.attach("")
			clients[i].login(fmt.Sprint(i), policies[i%2])
		}
		for i, c := range clients {
			if i%2 > 0 {
				c.gone()
			} else {
				c.leave(fmt.Sprint(i))
			}
		}
		time.Sleep(10 * time.Second)
		require.Len(t, w.claims.All(), n)
		require.LessOrEqual(t, w.admission.Remembered().Settlers, 8)
		require.Zero(t, w.admission.Remembered().Rooms)

		// a room is free meanwhile, and its new claim is not released by mistake
		answer := clients[0].login("1", rooms.First)
		require.Equal(t, "2002", answer.Status.Code)
		w.claims.Intercept(nil)
		time.Sleep(10 * time.Second)
		require.Len(t, w.claims.All(), 1)
		require.Equal(t, answer.Epoch, w.claims.All()["1"].Epoch)
		require.Zero(t, w.admission.Remembered().Pages)
		require.Zero(t, w.admission.Remembered().Settlers)
	})
}

func TestRetriesSlowDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.attach("")
		c.login(room, rooms.First)
		var tries atomic.Int64
		w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			tries.Add(1)
			return false, errDown
		})
		c.leave(room)
		time.Sleep(time.Minute)
		require.InDelta(t, 33, tries.Load(), 3, "after 0.1 s, 0.2 s, ... and then every two seconds")
		require.Equal(t, 1, w.admission.Remembered().Settlers)
	})
}

func TestCloseWaitsForReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 50 {
			c := w.attach("")
			c.login(fmt.Sprint(i), rooms.First)
			defer c.gone()
			w.claims.Intercept(fail(map[roomstest.Op]bool{roomstest.OpRelease: false}, errDown))
			c.leave(fmt.Sprint(i))
		}
		go func() {
			time.Sleep(3 * time.Second)
			w.claims.Intercept(nil)
		}()
		require.NoError(t, w.admission.Close(t.Context()))
		require.Empty(t, w.claims.All())
		require.Equal(t, codes.LoginFailed(codes.Draining), w.attach("").login(room, rooms.First).Status)
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 50 {
			c := w.attach("")
			c.login(fmt.Sprint(i), rooms.First)
			c.gone()
			w.claims.Intercept(hang)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := w.admission.Close(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "rooms")
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Zero(t, w.admission.Remembered().Settlers)
	})
}

func TestAClaimIsNotCutShortWhenTheCallerGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.claims.Intercept(func(ctx context.Context, op roomstest.Op, _ string) (bool, error) {
			if op == roomstest.OpAcquire {
				cancel()
				return ctx.Err() == nil, ctx.Err()
			}
			return true, nil
		})
		require.Equal(t, "2002", w.attach("").send(ctx, rooms.Login{Room: room}).Status.Code)
	})
}

// Somebody joins between the claim of a login and its seat, and it is refused. Who held the room goes on holding it.
func TestALoginRefusedAfterItsClaimLeavesTheHolderItsOwn(t *testing.T) {
	joins := func(w *world, c *client) {
		w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			if op == roomstest.OpAcquire {
				w.claims.Intercept(nil)
				c.login(room, rooms.Whenever)
			}
			return true, nil
		})
	}
	held := func(t *testing.T, w *world, by *client) {
		synctest.Wait()
		require.Equal(t, by.ID(), w.claims.All()[room].Conn)
		require.Equal(t, w.hub.Holding(room), w.claims.All()[room])
		require.Zero(t, w.admission.Remembered().Pages)
	}
	t.Run("which was itself", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			holder, silent, late := w.attach(""), w.attach(""), w.attach("")
			holder.login(room, rooms.First)
			silent.login(room, rooms.Whenever)
			silent.Freeze()
			joins(w, late)
			require.Equal(t, "2004", holder.login(room, rooms.First).Status.Code)
			held(t, w, holder)
			require.Equal(t, []*client{holder, late}, w.members(room, holder, silent, late))
		})
	})
	t.Run("which was its ghost", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			ghost, me, late := w.attach("key"), w.attach("key"), w.attach("")
			ghost.login(room, rooms.First)
			joins(w, late)
			require.Equal(t, "2004", me.login(room, rooms.First).Status.Code)
			held(t, w, ghost)
			require.Equal(t, []*client{ghost, late}, w.members(room, ghost, me, late))
		})
	})
}

// A login is cut off at each of its steps.
func TestGoneDuringALoginUndoesIt(t *testing.T) {
	for _, p := range []rooms.Policy{rooms.First, rooms.Last} {
		for _, at := range []roomstest.Op{roomstest.OpAcquire, roomstest.OpGet} {
			t.Run(fmt.Sprintf("%s at %s", p, at), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					leftover, err := w.claims.Acquire(t.Context(), rooms.Claim{Room: room, Conn: "leftover"}, 0)
					require.NoError(t, err)
					require.NotZero(t, leftover)
					me := w.attach("")
					var once bool
					w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
						if op == at && !once {
							once = true
							me.gone()
						}
						return true, nil
					})
					require.Equal(t, "2003", me.login(room, p).Status.Code)
					synctest.Wait()
					w.empty(t)
				})
			})
		}
	}
	t.Run("while it waits for its turn", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			first, me := w.attach(""), w.attach("")
			w.claims.Intercept(func(context.Context, roomstest.Op, string) (bool, error) {
				time.Sleep(rooms.ClaimTimeout / 2)
				return true, nil
			})
			go first.login(room, rooms.Last)
			synctest.Wait()
			go func() {
				time.Sleep(rooms.ClaimTimeout / 4)
				me.gone()
			}()
			require.Equal(t, "2003", me.login(room, rooms.Last).Status.Code)
			require.Empty(t, w.members(room, me))
			first.gone()
			time.Sleep(time.Minute)
			w.empty(t)
		})
	})
	t.Run("as a Last that has overthrown others", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			old, me := w.attach(""), w.attach("")
			old.login(room, rooms.First)
			w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
				if op == roomstest.OpAcquire {
					me.gone()
				}
				return true, nil
			})
			require.Equal(t, "2003", me.login(room, rooms.Last).Status.Code)
			require.Equal(t, []string{"2002", "2005"}, old.Statuses(), "its claim was replaced")
			old.gone()
			synctest.Wait()
			w.empty(t)
		})
	})
}

func TestTheTurnIsWaitedForOnlySoLong(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.claims.Intercept(func(context.Context, roomstest.Op, string) (bool, error) {
			time.Sleep(time.Minute) // worse than Claims may be
			return true, nil
		})
		go w.attach("").login(room, rooms.First)
		synctest.Wait()
		began := time.Now()
		require.Equal(t, codes.LoginFailed(codes.Unavailable), w.attach("").login(room, rooms.First).Status)
		require.Equal(t, rooms.TurnTimeout, time.Since(began))
		w.claims.Intercept(nil)
		time.Sleep(time.Hour)
		left := w.admission.Remembered()
		require.Zero(t, left.Pages+left.Due+left.Settlers)
	})
}

// slowClaims take their time to confirm what they did.
type slowClaims struct{ *roomstest.MemClaims }

func (c slowClaims) Acquire(ctx context.Context, claim rooms.Claim, over uint64) (uint64, error) {
	epoch, err := c.MemClaims.Acquire(ctx, claim, over)
	time.Sleep(100 * time.Millisecond)
	return epoch, err
}

func TestSettlingDoesNotReleaseAClaimThatIsAboutToBeHeld(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.admission = rooms.NewAdmission(w.hub, slowClaims{w.claims}, rooms.AdmissionOptions{})
		defer func() { require.NoError(t, w.admission.Close(context.Background())) }()
		failed := false
		w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			switch {
			case op == roomstest.OpAcquire && !failed:
				failed = true
				return false, errDown
			case op == roomstest.OpGet:
				time.Sleep(50 * time.Millisecond) // for the next login to begin
			}
			return true, nil
		})
		a, b := w.attach(""), w.attach("")
		require.Equal(t, "2003", a.login(room, rooms.First).Status.Code)
		answer := b.login(room, rooms.First)
		require.Equal(t, "2002", answer.Status.Code)
		time.Sleep(time.Minute)
		require.Equal(t, answer.Epoch, w.claims.All()[room].Epoch)
		b.gone()
		time.Sleep(time.Minute)
	})
}

func TestSettlingLeavesTheClaimsOfOtherNodesAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			if op == roomstest.OpAcquire {
				w.claims.Seize(room, "far")
				return false, errDown
			}
			return true, nil
		})
		require.Equal(t, "2003", w.attach("").login(room, rooms.First).Status.Code)
		time.Sleep(time.Minute)
		require.Equal(t, "far", w.claims.All()[room].Conn)
		require.Zero(t, w.admission.Remembered().Pages)
	})
}

func TestFailingClaimsAreLoggedOncePerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld()
		w.admission = rooms.NewAdmission(w.hub, w.claims, rooms.AdmissionOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
		w.claims.Intercept(fail(map[roomstest.Op]bool{roomstest.OpAcquire: false, roomstest.OpGet: false}, errDown))
		for i := range 20 {
			w.attach("").login(fmt.Sprint("room", i), rooms.First)
		}
		time.Sleep(time.Minute)
		w.claims.Intercept(nil)
		require.NoError(t, w.admission.Close(t.Context()))
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
		require.Equal(t, 1, strings.Count(log.String(), "level=INFO"), log.String())
		require.NotContains(t, log.String(), "room1", "no ids of clients")
	})
}
