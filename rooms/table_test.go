package rooms_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
)

const room = "456"

var policies = []rooms.Policy{rooms.First, rooms.Last, rooms.Whenever}

// companies are the ways a room can be filled before the newcomer logs in: "me" is the newcomer, the others are named
// by their policy. Each is reached by logging in in this order.
var companies = []string{
	"",
	"F", "L", "W", "F W", "L W", "W W", "F W W", "L W W W",
	"me:F", "me:L", "me:W",
	"me:F W", "me:L W W", "F me:W", "L me:W", "me:W W", "F me:W W",
}

var policyOf = map[string]rooms.Policy{"F": rooms.First, "L": rooms.Last, "W": rooms.Whenever}

// fill brings company into the room.
func (w *world) fill(t *testing.T, me *client, company string) (others []*client, in bool) {
	for _, who := range strings.Fields(company) {
		c := me
		if name, mine := strings.CutPrefix(who, "me:"); mine {
			in, who = true, name
		} else {
			c = w.attach("")
			others = append(others, c)
		}
		require.Equal(t, codes.LoggedIn(room), c.login(room, policyOf[who]).Status)
	}
	return others, in
}

// expected is the admission table: what the newcomer is told, and whether the others are put out.
func expected(p rooms.Policy, others, in bool) (told string, out bool) {
	table := map[rooms.Policy]map[[2]bool]string{
		//            no others, not in      no others, in        others, not in        others, in
		rooms.First:    {{false, false}: "2002", {false, true}: "2002", {true, false}: "2004", {true, true}: "2004"},
		rooms.Last:     {{false, false}: "2002", {false, true}: "2002", {true, false}: "2002 out", {true, true}: "2002 out"},
		rooms.Whenever: {{false, false}: "2002", {false, true}: "2002", {true, false}: "2002", {true, true}: "2002"},
	}
	return strings.CutSuffix(table[p][[2]bool{others, in}], " out")
}

// statuses as literals: clients compare them byte for byte.
var literal = map[string]codes.Status{
	"2002": {Code: "2002", Msg: "login room (id:456) success"},
	"2004": {Code: "2004", Msg: "your room id(456) already exist"},
	"2005": {Code: "2005", Msg: "you have kicked out room (id456)"},
}

func TestEveryCellOfTheAdmissionTable(t *testing.T) {
	for _, company := range companies {
		for _, p := range policies {
			t.Run(fmt.Sprintf("%s into [%s]", p, company), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					me := w.attach("")
					others, in := w.fill(t, me, company)
					everybody := append(slices.Clone(others), me)
					before := w.members(room, everybody...)
					claim := w.claims.All()[room]

					began := time.Now()
					answer := me.login(room, p)
					require.Zero(t, time.Since(began), "nobody waits for the living")

					told, out := expected(p, len(others) > 0, in)
					require.Equal(t, literal[told], answer.Status)
					require.Equal(t, room, answer.Room)
					require.Equal(t, w.hub.Head(), answer.Seq)
					for _, o := range others {
						want := []codes.Status{literal["2002"]}
						if out {
							want = append(want, literal["2005"])
						}
						require.Equal(t, want, o.texts())
					}
					after := before
					switch {
					case out:
						after = []*client{me}
					case told == "2002" && !in:
						after = append(after, me)
					}
					require.ElementsMatch(t, after, w.members(room, everybody...))

					synctest.Wait()
					switch now := w.claims.All()[room]; {
					case told != "2002":
						require.Equal(t, claim, now, "a refused login changes nothing")
						require.Zero(t, answer.Epoch)
					case p == rooms.Whenever:
						require.Equal(t, claim, now, "Whenever claims nothing")
						require.Equal(t, claim.Epoch, answer.Epoch)
					default:
						require.Equal(t, rooms.Claim{Room: room, Conn: me.ID(), Policy: p, Epoch: answer.Epoch, Ours: true}, now)
						require.Greater(t, answer.Epoch, claim.Epoch)
					}
					for _, c := range everybody {
						c.gone()
					}
					synctest.Wait()
					w.empty(t)
				})
			})
		}
	}
}

// The same table for others that are silent: they keep nobody out.
func TestSilentMembersAreReplacedByFirst(t *testing.T) {
	for _, company := range companies {
		t.Run("["+company+"]", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				me := w.attach("")
				others, _ := w.fill(t, me, company)
				for _, o := range others {
					o.Freeze()
				}
				began := time.Now()
				require.Equal(t, literal["2002"], me.login(room, rooms.First).Status)
				wait := time.Duration(0)
				if len(others) > 0 {
					wait = time.Second
				}
				require.Equal(t, wait, time.Since(began))
				for _, o := range others {
					require.Equal(t, []codes.Status{literal["2002"], literal["2005"]}, o.texts())
				}
				require.Equal(t, []*client{me}, w.members(room, append(others, me)...))
				for _, c := range append(others, me) {
					c.gone()
				}
				synctest.Wait()
				w.empty(t)
			})
		})
	}
}

// What a resumed login meets: "G:" marks an earlier connection of the same client.
func TestResumeNeverPutsAnybodyOut(t *testing.T) {
	const (
		unknown = 0
		older   = 1 // before the holder came
		current = 2 // the holder's own
	)
	for _, c := range []struct {
		company string
		policy  rooms.Policy
		epoch   int
		told    string
		dropped bool // the ghosts
	}{
		{"", rooms.First, unknown, "2002", false},
		{"", rooms.Last, older, "2002", false},
		{"", rooms.Whenever, older, "2002", false},
		{"W", rooms.First, older, "2002", false},
		{"W W", rooms.Last, older, "2002", false},
		{"W", rooms.Whenever, unknown, "2002", false},
		{"F", rooms.First, older, "2005", false},
		{"F", rooms.Last, older, "2005", false},
		{"L", rooms.First, unknown, "2005", false},
		{"L", rooms.Last, older, "2005", false},
		{"L W", rooms.Last, older, "2005", false},
		{"L", rooms.Whenever, unknown, "2005", false},
		{"L", rooms.Whenever, older, "2005", false},
		{"L", rooms.Whenever, current, "2002", false},
		{"F W", rooms.Whenever, current, "2002", false},
		{"G:F", rooms.First, older, "2002", true},
		{"G:L", rooms.Last, current, "2002", true},
		{"G:L W", rooms.Last, current, "2002", true},
		{"G:W W", rooms.Last, unknown, "2002", true},
		{"F G:W", rooms.First, older, "2005", false},
		{"G:L", rooms.Whenever, unknown, "2002", false},
		{"G:W", rooms.Whenever, unknown, "2002", false},
		// already in: nothing was missed, so there is nothing to be told 2005 for
		{"me:L", rooms.Last, older, "2002", false},
		{"me:W W", rooms.Last, older, "2002", false},
		{"F me:W", rooms.First, older, "2004", false},
		{"F me:W", rooms.Whenever, older, "2002", false},
	} {
		t.Run(fmt.Sprintf("%s into [%s] with epoch %d", c.policy, c.company, c.epoch), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				past := w.attach("") // gives the room a past, so that there is an older epoch
				old := past.login(room, rooms.Last).Epoch
				past.leave(room)
				synctest.Wait()

				me := w.attach("key")
				var others, ghosts []*client
				var now uint64
				in := false
				for _, who := range strings.Fields(c.company) {
					o := me
					if name, ghost := strings.CutPrefix(who, "G:"); ghost {
						o, who = w.attach("key"), name
						ghosts = append(ghosts, o)
					} else if name, mine := strings.CutPrefix(who, "me:"); mine {
						in, who = true, name
					} else {
						o = w.attach("other")
						others = append(others, o)
					}
					now = max(now, o.login(room, policyOf[who]).Epoch)
				}
				everybody := append(append(slices.Clone(others), ghosts...), me)
				for _, o := range everybody {
					o.Freeze() // resume asks nobody
				}
				claim := w.claims.All()[room]
				before := w.members(room, everybody...)

				l := rooms.Login{Room: room, Policy: c.policy, Resume: true, Epoch: []uint64{0, old, now}[c.epoch]}
				answer := me.send(t.Context(), l)
				require.Equal(t, literal[c.told], answer.Status)
				for _, o := range append(others, ghosts...) {
					require.Equal(t, []codes.Status{literal["2002"]}, o.texts(), "nobody is told anything")
				}
				after := before
				if c.told == "2002" && !in {
					after = append(after, me)
				}
				if c.dropped {
					after = slices.DeleteFunc(after, func(o *client) bool { return slices.Contains(ghosts, o) })
				}
				require.ElementsMatch(t, after, w.members(room, everybody...))
				synctest.Wait()
				if c.told == "2002" && c.policy != rooms.Whenever {
					require.Equal(t, answer.Epoch, w.claims.All()[room].Epoch)
					require.Equal(t, me.ID(), w.claims.All()[room].Conn)
				} else {
					require.Equal(t, claim, w.claims.All()[room])
				}
				past.gone()
				for _, o := range everybody {
					o.gone()
				}
				synctest.Wait()
				w.empty(t)
			})
		})
	}
}
