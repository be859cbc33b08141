package backbone

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// crashDir, when set, makes this test binary the process that is killed.
const crashDir = "BACKBONE_TEST_CRASH_DIR"

// keepAll makes a history that trims nothing here.
func keepAll(o *Options) { o.HistoryMax = 1 << 20 }

// Every push whose Publish returned, and every epoch whose Acquire returned, is still there after kill -9.
func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		untilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	want := map[uint64]string{}
	var epoch uint64
	for range 2 {
		child := exec.Command(os.Args[0], "-test.run=^TestKillLosesNothingThatWasAcknowledged$")
		child.Env = append(os.Environ(), crashDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		timer := time.AfterFunc(patience, func() { _ = child.Process.Kill() })
		lines := bufio.NewScanner(out)
		n := 0
		for ; lines.Scan(); n++ {
			if n == 2000 {
				_, err := Open(t.Context(), Options{Dir: dir, Log: quiet()})
				require.ErrorIs(t, err, ErrLocked)
				require.ErrorContains(t, err, fmt.Sprintf("pid %d", child.Process.Pid))
				require.NoError(t, child.Process.Kill())
			}
			var seq uint64
			var id string
			if _, err := fmt.Sscanf(lines.Text(), "push %d %s\n", &seq, &id); err == nil {
				if len(id) == 26 { // the last line may be cut short
					want[seq] = id
				}
			} else if _, err := fmt.Sscanf(lines.Text(), "epoch %d.\n", &seq); err == nil {
				epoch = max(epoch, seq)
			}
		}
		require.Error(t, child.Wait(), "killed")
		timer.Stop()
		require.Greater(t, n, 2000)
	}

	b := open(t, dir, keepAll)
	got := map[uint64]string{}
	for _, m := range replayed(t, b) {
		got[m.Seq] = m.ID
	}
	for seq, id := range want {
		require.Equal(t, id, got[seq], "push %d of %d", seq, len(want))
	}
	for _, room := range []string{"held", "freed"} {
		next, err := b.Acquire(t.Context(), rooms.Claim{Room: room, Conn: "a"}, 0)
		require.NoError(t, err)
		require.Greater(t, next, epoch)
	}
}

// untilKilled publishes and claims, and writes down what was acknowledged, until the process dies.
func untilKilled(t *testing.T, dir string) {
	b := open(t, dir, keepAll)
	follow(t, b)
	var all sync.WaitGroup
	for p := range 16 {
		all.Go(func() {
			for i := 0; ; i++ {
				r, err := b.Publish(t.Context(), push(fmt.Sprint(p), i))
				if err != nil {
					panic(err)
				}
				fmt.Printf("push %d %s\n", r.Seq, r.ID) // one write, so lines do not mix
			}
		})
	}
	all.Go(func() {
		var held uint64
		for {
			var err error
			if held, err = b.Acquire(t.Context(), rooms.Claim{Room: "held", Conn: "a"}, held); err != nil {
				panic(err)
			}
			freed, err := b.Acquire(t.Context(), rooms.Claim{Room: "freed", Conn: "a"}, 0)
			if err != nil {
				panic(err)
			}
			fmt.Printf("epoch %d.\n", freed)
			if err := b.Release(t.Context(), "freed", freed); err != nil {
				panic(err)
			}
		}
	})
	all.Wait()
}
