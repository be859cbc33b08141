package backbone

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"downlink/codes"
	"downlink/rooms"
)

// fullDir, when set, makes this test binary the process that can write no more.
const fullDir = "BACKBONE_TEST_FULL_DIR"

// When the store cannot be written to, pushes fail as unavailable, the check sees it, and what was acknowledged
// before is there after a restart. A limit on the size of files stands in for a full disk.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(fullDir); dir != "" {
		untilFull(t, dir)
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	child.Env = append(os.Environ(), fullDir+"="+dir)
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	var acknowledged int
	_, err = fmt.Sscanf(string(out), "=== RUN   TestDiskFull\nacknowledged %d\n", &acknowledged)
	require.NoError(t, err, "%s", out)

	b := open(t, dir)
	require.GreaterOrEqual(t, len(replayed(t, b)), acknowledged)
	_, err = b.Publish(t.Context(), push("456", 1))
	require.NoError(t, err)
}

func untilFull(t *testing.T, dir string) {
	b := open(t, dir)
	follow(t, b)
	require.NoError(t, b.Check(t.Context()))
	signal.Ignore(syscall.SIGXFSZ)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: math.MaxUint64}))
	acknowledged := 0
	for i := 0; ; i++ {
		p := rooms.Push{To: rooms.Room(fmt.Sprint(i)), Event: "e", Data: make([]byte, 1000)}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := b.Publish(ctx, p)
		cancel()
		if err != nil {
			require.Equal(t, codes.OutcomeUnknown, codes.Of(err))
			break
		}
		acknowledged++
		require.Less(t, acknowledged, 100, "the limit has no effect")
	}
	forget(b)
	require.Equal(t, codes.Unavailable, codes.Of(b.Check(t.Context())))
	fmt.Println("acknowledged", acknowledged)
}
