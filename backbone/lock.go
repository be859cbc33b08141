package backbone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked is in the error of Open when the data directory belongs to another Backbone, of this or another process.
var ErrLocked = errors.New("data directory is in use")

// lockName is the file in the data directory that carries the lock. The system drops the lock when the process ends,
// however it ends; the file stays.
const lockName = "downlink.lock"

// errHeld is what tryLock returns when somebody else has the lock.
var errHeld = errors.New("lock is held")

// lockDir takes dir for this process and writes down who has it. Closing the file gives it back.
func lockDir(dir, node string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer closeLock(f)
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
		}
		return nil, fmt.Errorf("%w: %s is held by %s", ErrLocked, dir, holder(f))
	}
	if err := writeHolder(f, node); err != nil {
		closeLock(f)
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return f, nil
}

// closeLock gives the lock back. Nothing that could be lost was written, so an error says nothing.
func closeLock(f *os.File) { _ = f.Close() }

func writeHolder(f *os.File, node string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "pid %d, node %q\n", os.Getpid(), node), 0)
	return err
}

// holder is what the lock file says of its holder. It may be empty for a moment, while that one starts.
func holder(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 512))
	if s := strings.TrimSpace(string(text)); s != "" {
		return s
	}
	return "another process"
}
