package backbone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// startsName is the file in the data directory that says how often the store was opened. It is no part of a stream:
// JetStream replaces a stream's settings in two steps, and forgets them when the process dies between the two.
const startsName = "downlink.starts"

// countStart counts a start of the store in dir, which is locked, and says how many there were. The new number is on
// the disk when it returns, and no crash leaves an older one.
func countStart(dir string) (uint64, error) {
	name := filepath.Join(dir, startsName)
	starts := uint64(0)
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, fmt.Errorf("read the number of starts: %w", err)
	default:
		if starts, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 31); err != nil {
			return 0, fmt.Errorf("number of starts in %s: %w", name, err)
		}
	}
	starts++
	if err := replaceFile(name, fmt.Appendln(nil, starts)); err != nil {
		return 0, fmt.Errorf("count a start: %w", err)
	}
	return starts, nil
}

// replaceFile makes data the content of the file name in one step, on the disk too.
func replaceFile(name string, data []byte) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	_ = dir.Sync() // not every system can do this
	return dir.Close()
}
