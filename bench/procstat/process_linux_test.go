package procstat

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOtherProcess reads a process of ours from outside, as a benchmark does.
func TestOtherProcess(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=TestBurn")
	child.Env = append(os.Environ(), "PROCSTAT_BURN=1")
	stdin, err := child.StdinPipe() // keeps the child alive until it was read
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() {
		_ = stdin.Close()
		_ = child.Wait()
	}()
	_, err = stdout.Read(make([]byte, 1))
	require.NoError(t, err)

	busy, err := Busy()
	require.NoError(t, err)
	p := Open(child.Process.Pid)
	cpu, err := p.CPU()
	require.NoError(t, err)
	require.GreaterOrEqual(t, cpu, burn)
	require.Less(t, cpu, busy+tick, "one process cannot have used more than the machine")

	exact, err := p.RSS()
	require.NoError(t, err)
	fast, err := p.RSSFast()
	require.NoError(t, err)
	require.InEpsilon(t, exact, fast, 0.25)
	require.Greater(t, exact, int64(1<<20))
}

// burn is how much CPU time the child uses before it says that it is done.
const burn = 50 * time.Millisecond

// TestBurn is the child of TestOtherProcess; on its own it does nothing.
func TestBurn(*testing.T) {
	if os.Getenv("PROCSTAT_BURN") == "" {
		return
	}
	self := Open(os.Getpid())
	for cpu := time.Duration(0); cpu < burn; {
		cpu, _ = self.CPU()
	}
	_, _ = os.Stdout.WriteString("x")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestGoneProcess(t *testing.T) {
	gone := Open(1<<22 + 1) // past the highest pid Linux gives
	_, err := gone.CPU()
	require.Error(t, err)
	_, err = gone.RSS()
	require.Error(t, err)
	_, err = gone.RSSFast()
	require.Error(t, err)
}
