package backbone

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"downlink/rooms"
)

// A room that stays held must not keep what others leave behind: in a file store each claim deleted behind it would.
func TestClaimsThatComeAndGoLeaveNothing(t *testing.T) {
	b := open(t, t.TempDir())
	_, err := b.Acquire(t.Context(), rooms.Claim{Room: "held", Conn: "a"}, 0)
	require.NoError(t, err)
	comeAndGo := func(n int) {
		for range n {
			const together = 16
			var epochs [together]uint64
			for i := range epochs {
				epochs[i], err = b.Acquire(t.Context(), rooms.Claim{Room: fmt.Sprint(i), Conn: "b"}, 0)
				require.NoError(t, err)
			}
			for i, epoch := range epochs {
				require.NoError(t, b.Release(t.Context(), fmt.Sprint(i), epoch))
			}
		}
	}
	comeAndGo(10)
	before := heap()
	comeAndGo(1000)
	require.Less(t, heap()-before, 1e6)
}
