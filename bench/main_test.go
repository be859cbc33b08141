//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"downlink/bench/loadgen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 3, s.rounds)
	require.Equal(t, 0.3, s.maxOther)

	s, err = parse([]string{"--quick"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 1, s.rounds)

	s, err = parse([]string{"--quick", "--rounds=3"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 3, s.rounds)

	for _, bad := range []string{"--rounds=0", "--rounds=21", "--limit=0s", "--max-other=-1", "--max-other=NaN", "--what", "more"} {
		var told bytes.Buffer
		_, err := parse([]string{bad}, &told)
		require.ErrorIs(t, err, errUsage, bad)
		require.Contains(t, told.String(), strings.TrimLeft(strings.SplitN(bad, "=", 2)[0], "-"))
	}

	var help bytes.Buffer
	_, err = parse([]string{"--help"}, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, s := range scenarios(fullPacing) {
		require.Contains(t, help.String(), s.name)
	}
}

func TestChoice(t *testing.T) {
	b := &bench{}
	require.NoError(t, b.choose(&settings{servers: "downlink,node"}))
	require.Len(t, b.contenders, 2)
	require.Len(t, b.scenarios, len(scenarios(fullPacing)))

	b = &bench{}
	require.NoError(t, b.choose(&settings{servers: "node", only: "rooms,ingest"}))
	require.Len(t, b.contenders, 1)
	require.Len(t, b.scenarios, 2)

	for _, s := range []settings{
		{servers: "node", only: "rooms,what"}, {servers: "deno"}, {servers: "node,node"}, {servers: ""},
	} {
		require.Error(t, (&bench{}).choose(&s))
	}
}

// TestWholeRunFitsItsTime adds up what all rounds take at least, with some time for starting, connecting and stopping.
func TestWholeRunFitsItsTime(t *testing.T) {
	const around = 4 * time.Second
	total := func(p pacing) (sum time.Duration) {
		for _, s := range scenarios(p) {
			once := s.spec.Settle + around
			for _, phase := range s.spec.Phases {
				once += phase.Warmup + phase.Duration
			}
			sum += 2 * once
		}
		return sum
	}
	require.Less(t, 3*total(fullPacing), 8*time.Minute, "leaves a third of the limit for rounds done again")
	require.Less(t, total(quickPacing), 100*time.Second)
}

func TestPinnedChild(t *testing.T) {
	c, err := pickCores()
	if err != nil {
		t.Skip(err)
	}
	require.NotEqual(t, c.server, c.generator)
	for _, core := range []int{c.server, c.generator} {
		cmd := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status")
		var out bytes.Buffer
		cmd.Stdout = &out
		require.NoError(t, startPinned(cmd, core))
		require.NoError(t, cmd.Wait())
		require.Equal(t, strconv.Itoa(core), strings.Fields(out.String())[1])
	}
	again, err := pickCores()
	require.NoError(t, err)
	require.Equal(t, c, again, "this process is where it was")
}

func TestLaunch(t *testing.T) {
	c, err := pickCores()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("sh", "-c", `echo first; echo "ready 7"; exec sleep 60`)
	var port string
	end, err := launch(cmd, c.server, cmd.StdoutPipe, func(line string) (ok bool) {
		port, ok = strings.CutPrefix(line, "ready ")
		return ok
	})
	require.NoError(t, err)
	require.Equal(t, "7", port)
	end()
	require.NotNil(t, cmd.ProcessState, "it is gone")

	stubborn := exec.Command("sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.1; done`)
	end, err = launch(stubborn, c.server, stubborn.StdoutPipe, func(string) bool { return true })
	require.NoError(t, err)
	end()
	require.NotNil(t, stubborn.ProcessState)

	broken := exec.Command("sh", "-c", "echo out; echo why >&2; exit 3")
	_, err = launch(broken, c.server, broken.StderrPipe, func(string) bool { return false })
	require.ErrorContains(t, err, "ended before it was ready")
	require.ErrorContains(t, err, "why")
}

func TestReadyLines(t *testing.T) {
	const line = `time=2026-01-01T00:00:00Z level=INFO msg="public listener ready" addr=127.0.0.1:43210 more=1`
	require.Equal(t, "127.0.0.1:43210", publicReady.FindStringSubmatch(line)[1])
	require.Nil(t, ingestReady.FindStringSubmatch(line))
	require.Equal(t, "[::1]:9", ingestReady.FindStringSubmatch(`msg="ingest listener ready" addr=[::1]:9`)[1])
}

func TestTailKeepsTheEnd(t *testing.T) {
	var last tail
	for range 1000 {
		_, _ = last.Write([]byte("a line of something\n"))
	}
	_, _ = last.Write([]byte("the end\n"))
	require.LessOrEqual(t, len(last.String()), tailSize)
	require.True(t, strings.HasSuffix(last.String(), "the end"))
}

func TestGeneratorProtocol(t *testing.T) {
	require.ErrorContains(t, runGenerator(strings.NewReader("nonsense"), io.Discard), "read spec")

	// A fleet of none and no phases: the way in and out alone.
	spec := loadgen.Spec{
		Server: loadgen.Server{Addr: "127.0.0.1:1", PushAddr: "127.0.0.1:1", PID: os.Getpid()},
		Limit:  10 * time.Second, Stall: time.Second,
	}
	input, err := json.Marshal(spec)
	require.NoError(t, err)
	var output bytes.Buffer
	require.NoError(t, runGenerator(bytes.NewReader(input), &output))
	var result loadgen.Result
	require.NoError(t, json.Unmarshal(output.Bytes(), &result))
	require.Positive(t, result.Connect.RSS)
}

func TestFailedServerFailsTheRun(t *testing.T) {
	wrong := errors.New("no such thing")
	b := &bench{
		contenders: []contender{{name: ours, start: func(context.Context, int) (*server, error) { return nil, wrong }}},
		scenarios:  scenarios(quickPacing)[:1], rounds: 1, limit: time.Minute, progress: io.Discard,
	}
	require.ErrorIs(t, b.measure(t.Context()), wrong)
	require.ErrorIs(t, b.runAndReport(t.Context(), &settings{}, io.Discard), wrong)

	b.limit = time.Nanosecond
	require.ErrorIs(t, b.measure(t.Context()), errLimit)
}
