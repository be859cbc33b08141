//go:build linux || darwin || freebsd

package backbone

import "golang.org/x/sys/unix"

// diskFree is how many bytes an ordinary user may still write to the disk of dir; false if that cannot be told.
func diskFree(dir string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:unconvert // the types differ between systems
}
