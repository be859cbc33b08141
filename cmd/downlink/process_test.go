package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// actAsMain makes this test binary the product: the tests here start it as a process of its own.
const actAsMain = "DOWNLINK_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(actAsMain) != "" {
		main()
	}
	// net/http lingers half a second on a connection it cut.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// process is the product as a process.
type process struct {
	cmd    *exec.Cmd
	stdout logBuffer
	stderr logBuffer
}

func startProcess(t *testing.T, environment []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(self, args...)}
	p.cmd.Env = append([]string{actAsMain + "=1"}, environment...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// exit waits for the process to end and returns its exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	defer stop()
	_ = p.cmd.Wait()
	require.NoError(t, ctx.Err(), "the process did not end:\n%s", &p.stderr)
	return p.cmd.ProcessState.ExitCode()
}

// complaint is what a failed process says, which is the last line: log lines may stand before it.
func (p *process) complaint() string {
	lines := strings.Split(strings.TrimSuffix(p.stderr.String(), "\n"), "\n")
	return lines[len(lines)-1]
}

var anyPorts = []string{"--public-addr=127.0.0.1:0", "--ingest-addr=127.0.0.1:0"}

func startReady(t *testing.T, args ...string) *process {
	t.Helper()
	p := startProcess(t, nil, append(anyPorts, args...)...)
	p.stderr.await(t, "ingest listener ready")
	return p
}

func TestCommands(t *testing.T) {
	t.Parallel()
	help := startProcess(t, nil, "--help")
	require.Equal(t, 0, help.exit(t))
	require.Contains(t, help.stdout.String(), "--public-addr")
	require.Empty(t, help.stderr.String())

	version := startProcess(t, nil, "version")
	require.Equal(t, 0, version.exit(t))
	require.Contains(t, version.stdout.String(), "downlink ")
	require.Contains(t, version.stdout.String(), runtime.Version())

	check := startProcess(t, []string{"DOWNLINK_DRAIN=1m"}, "config", "check", "--ping-interval=1s")
	require.Equal(t, 0, check.exit(t))
	require.Equal(t, "the settings are valid\n", check.stdout.String())
	entries, err := os.ReadDir(check.cmd.Dir)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is started")
}

func TestWrongSettingsEndTheProcess(t *testing.T) {
	file := settingsFile(t, "history-max: many\n")
	for _, c := range []struct {
		env  []string
		args []string
		want string
	}{
		{nil, []string{"--ping-interval=soon"}, `--ping-interval: "soon" is not a time`},
		{nil, []string{"--pong"}, "unknown flag --pong"},
		{[]string{"DOWNLINK_MAX_BODY=1MB"}, nil, `DOWNLINK_MAX_BODY: "1MB" is not a size`},
		{nil, []string{"--config=" + file}, file + ": history-max: "},
		{[]string{"DOWNLINK_CONFIG=" + file}, []string{"config", "check"}, file + ": history-max: "},
	} {
		p := startProcess(t, c.env, c.args...)
		require.Equal(t, 2, p.exit(t))
		require.Contains(t, p.stderr.String(), "downlink: "+c.want)
		require.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line and no usage: %s", &p.stderr)
		require.Empty(t, p.stdout.String())
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for _, role := range []string{"public", "ingest"} {
		p := startProcess(t, nil, append(anyPorts, "--"+role+"-addr="+l.Addr().String())...)
		require.Equal(t, 1, p.exit(t))
		require.Contains(t, p.complaint(), "downlink: "+role+" listener: ")
		require.Contains(t, p.complaint(), l.Addr().String()+": bind: address already in use")
	}
}

func TestDataDirInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := startReady(t, "--data-dir", dir)
	second := startProcess(t, nil, append(anyPorts, "--data-dir", dir)...)
	require.Equal(t, 1, second.exit(t))
	require.Contains(t, second.complaint(), dir)
	require.Contains(t, second.complaint(), strconv.Itoa(first.cmd.Process.Pid))

	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, first.exit(t))
	again := startReady(t, "--data-dir", dir)
	require.NoError(t, again.cmd.Process.Kill())
	_ = again.exit(t)
	startReady(t, "--data-dir", dir) // a killed process holds nothing
}

func TestDataDirThatCannotBe(t *testing.T) {
	p := startProcess(t, nil, append(anyPorts, "--data-dir", settingsFile(t, "x"))...)
	require.Equal(t, 1, p.exit(t))
	require.Contains(t, p.complaint(), "downlink.yaml")
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := startReady(t)
		page := openPage(t, p.stderr.await(t, `msg="public listener ready" addr=(\S+)`))
		page.login("456")
		begun := time.Now()
		require.NoError(t, p.cmd.Process.Signal(signal))
		require.Equal(t, 0, p.exit(t), &p.stderr)
		require.Less(t, time.Since(begun), 5*time.Second)
		require.Contains(t, p.stderr.String(), "msg=stopped")
		_, err := page.next()
		require.Error(t, err)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startReady(t)
	stuckPush(t, p.stderr.await(t, `msg="ingest listener ready" addr=(\S+)`))
	begun := time.Now()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.stderr.await(t, "msg=stopping")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 1, p.exit(t))
	require.Equal(t, "downlink: stopped at once by a second signal", p.complaint())
	require.Less(t, time.Since(begun), 5*time.Second)
}
