package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/lmittmann/tint"
)

// settingError says which setting is wrong and where it stands.
type settingError struct{ err error }

func (e *settingError) Error() string { return e.err.Error() }
func (e *settingError) Unwrap() error { return e.err }

// run does what args ask for. serve returns nil when it stopped in order after ctx was done. The process's own
// environment, outputs and signals come in as arguments, so that tests run the very same service.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	command, c, err := load(args, getenv, stdout)
	switch {
	case errors.Is(err, errHelp):
		return nil
	case err != nil:
		return &settingError{err}
	}
	switch command {
	case "version":
		_, err = fmt.Fprintln(stdout, "downlink", version())
		return err
	case "config check":
		_, err = fmt.Fprintln(stdout, "the settings are valid")
		return err
	}
	return newService(c, newLogger(stderr, c.LogLevel)).run(ctx)
}

// newLogger writes for people on a terminal, else one key=value line per event. level was checked by Validate.
func newLogger(w io.Writer, level string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo
	}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(tint.NewTextHandler(f, &tint.Options{Level: least, TimeFormat: time.TimeOnly}))
		}
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: least}))
}

// version is the module's version, which for a build from a checkout holds its commit, and Go's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}
