package rooms_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"downlink/codes"
	"downlink/rooms"
	"downlink/rooms/roomstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one node with connections that write down what they get.
type world struct {
	hub       *rooms.Hub
	claims    *roomstest.MemClaims
	admission *rooms.Admission
	door      *roomstest.Door
	conns     int
	seq       uint64
}

func newWorld() *world {
	w := &world{hub: rooms.NewHub(), claims: roomstest.NewMemClaims(), door: &roomstest.Door{}}
	w.admission = rooms.NewAdmission(w.hub, w.claims, rooms.AdmissionOptions{})
	return w
}

// bubble runs f on a world with a clock of its own, and ends what works in the background.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer func() { // a failed test leaves no goroutine either
			w.claims.Intercept(nil)
			require.NoError(t, w.admission.Close(context.Background()))
		}()
		f(t, w)
		synctest.Wait()
	})
}

// client is one connection and its membership.
type client struct {
	*roomstest.Conn
	w *world
	m *rooms.Member
}

func (w *world) attach(clientKey string) *client {
	w.conns++
	c := &client{Conn: w.door.NewConn(fmt.Sprintf("conn-%d", w.conns)), w: w}
	c.m = w.hub.Attach(c.Conn, clientKey, nil)
	return c
}

// send logs in and returns the one answer, which is written down like everything the client gets.
func (c *client) send(ctx context.Context, l rooms.Login) rooms.Answer {
	var answers []rooms.Answer
	c.w.admission.Login(ctx, c.m, l, func(a rooms.Answer) {
		c.Tell(a.Status)
		answers = append(answers, a)
	})
	if len(answers) != 1 {
		panic(fmt.Sprintf("%d answers to one login", len(answers)))
	}
	return answers[0]
}

func (c *client) login(room string, p rooms.Policy) rooms.Answer {
	return c.send(context.Background(), rooms.Login{Room: room, Policy: p})
}

func (c *client) leave(room string) { c.w.admission.Leave(context.Background(), c.m, room) }

func (c *client) gone() {
	c.Close()
	c.w.admission.Gone(c.m)
}

// push delivers a message and returns its number.
func (w *world) push(to rooms.Address) uint64 {
	w.seq++
	w.hub.Deliver(&rooms.Message{Seq: w.seq, To: to, Event: "e"})
	return w.seq
}

// members tells by a push which of all are in room.
func (w *world) members(room string, all ...*client) (in []*client) {
	seq := w.push(rooms.Room(room))
	for _, c := range all {
		if seqs := c.Seqs(); len(seqs) > 0 && seqs[len(seqs)-1] == seq {
			in = append(in, c)
		}
	}
	return in
}

// texts are all statuses that c got, word by word.
func (c *client) texts() (texts []codes.Status) {
	for _, g := range c.Got() {
		if g.Message == nil {
			texts = append(texts, g.Status)
		}
	}
	return texts
}

// empty checks that nothing of nobody is remembered.
func (w *world) empty(t require.TestingT) {
	require.Equal(t, rooms.Remembered{}, w.admission.Remembered())
	require.Empty(t, w.claims.All())
}
