package rooms_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"downlink/codes"
	"downlink/rooms"
	"downlink/rooms/roomstest"
)

// nullDoor is a door whose connections cost nothing, so that what is measured is the hub.
type nullDoor struct{ _ int } // not of size zero: doors are told apart by address

func (d *nullDoor) Fanout(*rooms.Message) rooms.Fanout { return d }
func (d *nullDoor) Add(c rooms.Conn)                   { c.(*nullConn).got++ }
func (d *nullDoor) Flush()                             {}

type nullConn struct {
	id   string
	door *nullDoor
	got  int
}

func (c *nullConn) ID() string                            { return c.id }
func (c *nullConn) Door() rooms.Door                      { return c.door }
func (c *nullConn) Tell(codes.Status)                     {}
func (c *nullConn) Probe(context.Context, time.Time) bool { return true }

func benchWorld(b *testing.B, conns, inRooms, perRoom int) (*rooms.Hub, *rooms.Admission, []*rooms.Member) {
	b.Helper()
	hub := rooms.NewHub()
	adm := rooms.NewAdmission(hub, roomstest.NewMemClaims(), rooms.AdmissionOptions{})
	door := &nullDoor{}
	members := make([]*rooms.Member, conns)
	for i := range members {
		members[i] = hub.Attach(&nullConn{id: fmt.Sprint(i), door: door}, "", nil)
	}
	for r := range inRooms {
		for i := range perRoom {
			l := rooms.Login{Room: fmt.Sprint("room ", r), Policy: rooms.Whenever}
			adm.Login(context.Background(), members[(r*perRoom+i)%conns], l, func(rooms.Answer) {})
		}
	}
	return hub, adm, members
}

func BenchmarkDeliverGlobal5000(b *testing.B) {
	hub, _, _ := benchWorld(b, 5000, 0, 0)
	m := &rooms.Message{To: rooms.Everyone}
	b.ReportAllocs()
	for b.Loop() {
		m.Seq++
		hub.Deliver(m)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/delivery")
}

func BenchmarkDeliverRooms1000x5(b *testing.B) {
	hub, _, _ := benchWorld(b, 5000, 1000, 5)
	messages := make([]*rooms.Message, 1000)
	for i := range messages {
		messages[i] = &rooms.Message{To: rooms.Room(fmt.Sprint("room ", i))}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		hub.Deliver(messages[i%1000])
	}
}

func BenchmarkDeliverEmptyRoom(b *testing.B) {
	hub, _, _ := benchWorld(b, 5000, 1000, 5)
	m := &rooms.Message{To: rooms.Room("nobody")}
	b.ReportAllocs()
	for b.Loop() {
		hub.Deliver(m)
	}
}

func BenchmarkLoginLeave(b *testing.B) {
	for _, p := range policies {
		for _, crowd := range []int{0, 5000} {
			if crowd > 0 && p != rooms.Whenever {
				continue
			}
			b.Run(fmt.Sprintf("%s/among %d", p, crowd), func(b *testing.B) {
				_, adm, members := benchWorld(b, crowd+1, min(crowd, 1), crowd)
				me := members[crowd]
				l := rooms.Login{Room: "room 0", Policy: p}
				b.ReportAllocs()
				for b.Loop() {
					adm.Login(context.Background(), me, l, func(rooms.Answer) {})
					adm.Leave(context.Background(), me, l.Room)
				}
				if err := adm.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
