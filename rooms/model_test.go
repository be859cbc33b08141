package rooms_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"downlink/codes"
	"downlink/rooms"
	"downlink/rooms/roomstest"
)

// model is what the documentation says, without locks, claims or time: lists of who is where.
type model struct {
	w       *world
	clients []*modelClient
	rooms   map[string]*modelRoom
	fault   *bool // the next acquire fails: made all the same, or not
}

type modelClient struct {
	*client
	key    string
	frozen bool
	want   []string // all it should have got
	epochs map[string]uint64
}

type modelRoom struct {
	members []*modelClient
	holder  *modelClient
	epoch   uint64 // of the holder
}

func (md *model) room(name string) *modelRoom {
	if md.rooms[name] == nil {
		md.rooms[name] = &modelRoom{}
	}
	return md.rooms[name]
}

func (r *modelRoom) drop(c *modelClient) {
	r.members = slices.DeleteFunc(r.members, func(o *modelClient) bool { return o == c })
	if r.holder == c {
		r.holder, r.epoch = nil, 0
	}
}

func (c *modelClient) expect(s codes.Status) { c.want = append(c.want, s.Msg) }

func (c *modelClient) had() (got []string) {
	for _, g := range c.Got() {
		if g.Message != nil {
			got = append(got, fmt.Sprint("push ", g.Message.Seq))
		} else {
			got = append(got, g.Status.Msg)
		}
	}
	return got
}

// login does to the model what l should do, and returns what the newcomer should be told.
func (md *model) login(c *modelClient, l rooms.Login) codes.Status {
	r := md.room(l.Room)
	in := slices.Contains(r.members, c)
	ghost := func(o *modelClient) bool { return o != c && o.key != "" && o.key == c.key }
	stranger := func(o *modelClient) bool { return o != c && !ghost(o) }
	held := r.holder != nil && stranger(r.holder)

	if l.Policy == rooms.Whenever {
		if l.Resume && !in && held && r.epoch > l.Epoch {
			return codes.KickedOut(l.Room)
		}
		if !in {
			r.members = append(r.members, c)
		}
		return codes.LoggedIn(l.Room)
	}
	if l.Resume && held {
		if in {
			return codes.RoomTaken(l.Room)
		}
		return codes.KickedOut(l.Room)
	}
	if l.Policy == rooms.First && !l.Resume {
		for _, o := range r.members {
			if stranger(o) && !o.frozen {
				return codes.RoomTaken(l.Room)
			}
		}
	}
	if md.fault != nil {
		return codes.LoginFailed(codes.Unavailable)
	}
	for _, o := range slices.Clone(r.members) {
		switch {
		case ghost(o):
			r.drop(o)
		case stranger(o) && !l.Resume:
			r.drop(o)
			o.expect(codes.KickedOut(l.Room))
		}
	}
	if !in {
		r.members = append(r.members, c)
	}
	r.holder = c
	return codes.LoggedIn(l.Room)
}

func (md *model) step(t *rapid.T) {
	c := rapid.SampledFrom(md.clients).Draw(t, "client")
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "room")
	switch rapid.SampledFrom([]string{
		"login", "login", "login", "login", "resume", "leave", "die", "freeze", "push", "push all", "fault",
	}).Draw(t, "action") {
	case "login":
		md.send(t, c, rooms.Login{Room: name, Policy: rapid.SampledFrom(policies).Draw(t, "policy")})
	case "resume":
		epoch := rapid.SampledFrom([]uint64{0, c.epochs[name], md.room(name).epoch}).Draw(t, "epoch")
		p := rapid.SampledFrom(policies).Draw(t, "policy")
		md.send(t, c, rooms.Login{Room: name, Policy: p, Resume: true, Epoch: epoch})
	case "leave":
		c.leave(name)
		md.room(name).drop(c)
	case "die": // and a new one comes in its place
		c.gone()
		for _, r := range md.rooms {
			r.drop(c)
		}
		md.clients[slices.Index(md.clients, c)] = md.attach(c.key)
	case "freeze":
		c.Freeze()
		c.frozen = true
	case "push":
		seq := md.w.push(rooms.Room(name))
		for _, o := range md.room(name).members {
			o.want = append(o.want, fmt.Sprint("push ", seq))
		}
	case "push all":
		seq := md.w.push(rooms.Everyone)
		for _, o := range md.clients {
			o.want = append(o.want, fmt.Sprint("push ", seq))
		}
	case "fault":
		made := rapid.Bool().Draw(t, "made all the same")
		md.fault = &made
		md.w.claims.Intercept(func(_ context.Context, op roomstest.Op, _ string) (bool, error) {
			if op != roomstest.OpAcquire {
				return true, nil
			}
			md.w.claims.Intercept(nil)
			return made, errDown
		})
	}
}

func (md *model) send(t *rapid.T, c *modelClient, l rooms.Login) {
	before := md.w.claims.All()[l.Room].Epoch
	c.expect(md.login(c, l))
	answer := c.send(context.Background(), l)
	require.Equal(t, c.want[len(c.want)-1], answer.Status.Msg)
	switch answer.Status.Code {
	case codes.CodeLoginFailed:
		md.fault = nil
		synctest.Wait() // the claim may have been made and given back: with a new number
		md.room(l.Room).epoch = md.w.claims.All()[l.Room].Epoch
	case codes.CodeLoggedIn:
		if l.Policy == rooms.Whenever {
			require.Equal(t, md.room(l.Room).epoch, answer.Epoch)
		} else {
			require.Greater(t, answer.Epoch, before)
			md.room(l.Room).epoch = answer.Epoch
		}
		c.epochs[l.Room] = answer.Epoch
	}
}

func (md *model) attach(key string) *modelClient {
	return &modelClient{client: md.w.attach(key), key: key, epochs: map[string]uint64{}}
}

func (md *model) check(t *rapid.T) {
	synctest.Wait()
	filled, seats := 0, 0
	want := map[string]string{}
	for name, r := range md.rooms {
		if len(r.members) > 0 {
			filled++
		}
		seats += len(r.members)
		if r.holder != nil {
			want[name] = r.holder.ID()
		}
	}
	got := map[string]string{}
	for name, claim := range md.w.claims.All() {
		got[name] = claim.Conn
		require.Equal(t, md.rooms[name].epoch, claim.Epoch)
	}
	require.Equal(t, want, got, "claims")
	for _, c := range md.clients {
		require.Equal(t, c.want, c.had())
	}
	require.Equal(t, rooms.Remembered{Conns: len(md.clients), Rooms: filled, Seats: seats}, md.w.admission.Remembered())
}

func TestRandomLivesAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // without t.Deadline, which is not to be had in a bubble
			md := &model{w: newWorld(), rooms: map[string]*modelRoom{}}
			defer func() {
				md.w.claims.Intercept(nil)
				require.NoError(t, md.w.admission.Close(context.Background()))
			}()
			for _, key := range []string{"", "", "", "k", "k", "l"} {
				md.clients = append(md.clients, md.attach(key))
			}
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				md.step(t)
				md.check(t)
				time.Sleep(time.Millisecond)
			}
			for _, c := range md.clients {
				c.gone()
			}
			synctest.Wait()
			md.w.empty(t)
		})
	})
}
