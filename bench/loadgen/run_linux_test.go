package loadgen

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func testSpec(s Server) *Spec {
	return &Spec{
		Server: s, Clients: 20, Limit: 30 * time.Second, Stall: 2 * time.Second,
		Phases: []Phase{{
			Name: "load", Audience: Everyone, Size: 128,
			Duration: 100 * time.Millisecond, InFlight: 8, Pushers: 2,
		}},
	}
}

func TestRunOnAGoodServer(t *testing.T) {
	for _, polling := range []bool{false, true} {
		t.Run(map[bool]string{false: "websocket", true: "polling"}[polling], func(t *testing.T) {
			spec := testSpec(startFake(t, nil).server())
			spec.Rooms, spec.Polling = 5, polling
			load := spec.Phases[0]
			load.Warmup = 20 * time.Millisecond
			rooms, nobody, rate := load, load, load
			rooms.Name, rooms.Audience = "rooms", OneRoom
			nobody.Name, nobody.Audience = "nobody", Nobody
			rate.Name, rate.Rate, rate.InFlight = "rate", 100, 0
			spec.Phases = []Phase{load, rooms, nobody, rate}

			r, err := Run(spec)
			require.NoError(t, err)
			require.Zero(t, r.Connect.Lost, r.Connect.Complaints)
			require.Positive(t, r.Connect.RSSBefore)
			require.Len(t, r.Phases, 4)
			for _, p := range r.Phases {
				require.Zero(t, p.Faults, "%s: %v", p.Name, p.Complaints)
				require.Positive(t, p.Pushes, p.Name)
				require.Positive(t, p.Took, p.Name)
				require.Positive(t, p.CPU, p.Name)
				require.GreaterOrEqual(t, p.RSSPeak, int64(1<<20), p.Name)
			}
			require.Equal(t, r.Phases[0].Pushes*20, r.Phases[0].Deliveries)
			require.Equal(t, r.Phases[1].Pushes*4, r.Phases[1].Deliveries)
			require.Zero(t, r.Phases[2].Deliveries)
			require.EqualValues(t, 10, r.Phases[3].Pushes)
			require.Positive(t, r.Phases[3].P50)
			require.LessOrEqual(t, r.Phases[3].P50, r.Phases[3].P99)
		})
	}
}

// TestRunSeesABadServer: whatever a server does wrong to one client at the third push is found and named.
func TestRunSeesABadServer(t *testing.T) {
	for name, c := range map[string]struct {
		trick func(f *fakeServer, packet string) []string
		kind  func(Faults) int64
	}{
		"loses":   {func(*fakeServer, string) []string { return nil }, func(f Faults) int64 { return f.Lost }},
		"doubles": {func(_ *fakeServer, p string) []string { return []string{p, p} }, func(f Faults) int64 { return f.Doubled }},
		"corrupts": {
			func(_ *fakeServer, p string) []string { return []string{strings.Replace(p, `"pad":"`, `"pad":"x`, 1)} },
			func(f Faults) int64 { return f.Wrong },
		},
		"invents": {func(_ *fakeServer, p string) []string { return []string{p, `42["x"]`} }, func(f Faults) int64 { return f.Wrong }},
		"closes":  {func(f *fakeServer, _ string) []string { f.abort(f.clients[7]); return nil }, func(f Faults) int64 { return f.Closed }},
		"swaps":   {func(f *fakeServer, p string) []string { f.held = p; return nil }, func(f Faults) int64 { return f.Reordered }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what is lost takes seconds to be given up
			f := startFake(t, func(f *fakeServer, push int, to *fakeClient, packet string) []string {
				switch {
				case to.number == 7 && push == 3:
					return c.trick(f, packet)
				case to.number == 7 && f.held != "":
					packets := []string{packet, f.held}
					f.held = ""
					return packets
				}
				return []string{packet}
			})
			spec := testSpec(f.server())
			spec.Phases[0].Pushers = 1
			r, err := Run(spec)
			require.NoError(t, err)
			require.Positive(t, c.kind(r.Phases[0].Faults), "%v %v", r.Phases[0].Faults, r.Phases[0].Complaints)
			require.NotEqual(t, "none", r.Phases[0].Faults.String())
		})
	}
}

func TestRunSeesMisrouting(t *testing.T) {
	f := startFake(t, func(_ *fakeServer, _ int, _ *fakeClient, packet string) []string { return []string{packet} })
	spec := testSpec(f.server())
	spec.Rooms = 5
	spec.Phases[0].Audience = OneRoom
	r, err := Run(spec)
	require.NoError(t, err)
	require.Equal(t, r.Phases[0].Pushes*16, r.Phases[0].Faults.Misrouted)

	spec.Phases[0].Audience = Nobody
	r, err = Run(spec)
	require.NoError(t, err)
	require.Positive(t, r.Phases[0].Faults.Misrouted)
}

func TestRunSeesRefusedPushes(t *testing.T) {
	spec := testSpec(startFake(t, nil).server())
	spec.Server.Accepted = "something else"
	r, err := Run(spec)
	require.NoError(t, err)
	require.Equal(t, r.Phases[0].Pushes, r.Phases[0].Faults.Refused)
}

func TestRunSeesLostConnects(t *testing.T) {
	spec := testSpec(startFake(t, nil).server())
	spec.Server.Greeting = `42["another greeting"]`
	_, err := Run(spec)
	require.ErrorContains(t, err, "no client got through")

	spec = testSpec(Server{Addr: "127.0.0.1:1", PushAddr: "127.0.0.1:1", PID: os.Getpid()})
	_, err = Run(spec)
	require.ErrorContains(t, err, "connection refused")
}

func TestRunEndsInTime(t *testing.T) {
	spec := testSpec(startFake(t, nil).server())
	spec.Settle, spec.Limit = time.Hour, 200*time.Millisecond
	began := time.Now()
	_, err := Run(spec)
	require.ErrorContains(t, err, "took more than")
	require.Less(t, time.Since(began), 10*time.Second)
}

func TestSpecIsChecked(t *testing.T) {
	good := func() *Spec { return testSpec(Server{Addr: "127.0.0.1:1", PushAddr: "127.0.0.1:1", PID: 1}) }
	require.NoError(t, good().validate())
	for name, change := range map[string]func(*Spec){
		"too many clients":   func(s *Spec) { s.Clients = MaxClients + 1 },
		"too many rooms":     func(s *Spec) { s.Rooms = s.Clients + 1 },
		"no limit":           func(s *Spec) { s.Limit = 0 },
		"no stall":           func(s *Spec) { s.Stall = 0 },
		"too small a push":   func(s *Spec) { s.Phases[0].Size = MinSize - 1 },
		"too large a push":   func(s *Spec) { s.Phases[0].Size = MaxSize + 1 },
		"no pusher":          func(s *Spec) { s.Phases[0].Pushers = 0 },
		"no duration":        func(s *Spec) { s.Phases[0].Duration = 0 },
		"nothing in flight":  func(s *Spec) { s.Phases[0].InFlight = 0 },
		"too much in flight": func(s *Spec) { s.Phases[0].InFlight = seenWindow },
		"a negative rate":    func(s *Spec) { s.Phases[0].Rate = -1 },
		"no such audience":   func(s *Spec) { s.Phases[0].Audience = "all" },
		"no rooms":           func(s *Spec) { s.Phases[0].Audience = OneRoom },
		"nobody there":       func(s *Spec) { s.Clients = 0 },
	} {
		spec := good()
		change(spec)
		require.Error(t, spec.validate(), name)
	}
	spec := good()
	spec.Server.Addr = "localhost"
	_, err := Run(spec)
	require.ErrorContains(t, err, "server address")
}
