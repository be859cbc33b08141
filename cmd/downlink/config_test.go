package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// env is an environment for load and run.
func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "downlink.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func mustLoad(t *testing.T, environment map[string]string, args ...string) Config {
	t.Helper()
	command, c, err := load(args, env(environment), &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, "serve", command)
	return c
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, nil)
	require.NotEmpty(t, c.NodeName)
	c.NodeName = ""
	require.Equal(t, Config{
		PublicAddr: "127.0.0.1:3000", IngestAddr: "127.0.0.1:3001", DataDir: "./downlink-data",
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, ProbeTimeout: time.Second,
		HistoryMax: 256, HistoryAge: 24 * time.Hour, IdempotencyWindow: 24 * time.Hour,
		ClientBuffer: 4 << 20, MaxBody: 1 << 20, MaxFrame: 1 << 20,
		Sync: syncInterval(time.Second), Drain: 30 * time.Second, LogLevel: "info",
	}, c)
}

// settingCases has every setting with a value per source, so that each pair of sources can be compared.
var settingCases = []struct {
	flag                  string
	field                 string
	flagged, envd, inFile string // as text
	want                  [3]any
}{
	{"public-addr", "PublicAddr", ":1", ":2", "':3'", [3]any{":1", ":2", ":3"}},
	{"ingest-addr", "IngestAddr", ":1", ":2", "':3'", [3]any{":1", ":2", ":3"}},
	{"cors-origin", "CORSOrigin", "http://a", "http://b,http://c", "[http://d, http://e]",
		[3]any{[]string{"http://a"}, []string{"http://b", "http://c"}, []string{"http://d", "http://e"}}},
	{"data-dir", "DataDir", "a", "b", "c", [3]any{"a", "b", "c"}},
	{"node-name", "NodeName", "a", "b", "c", [3]any{"a", "b", "c"}},
	{"ping-interval", "PingInterval", "1s", "2s", "3s", [3]any{1 * time.Second, 2 * time.Second, 3 * time.Second}},
	{"ping-timeout", "PingTimeout", "1s", "2s", "3s", [3]any{1 * time.Second, 2 * time.Second, 3 * time.Second}},
	{"probe-timeout", "ProbeTimeout", "1s", "2s", "3s", [3]any{1 * time.Second, 2 * time.Second, 3 * time.Second}},
	{"history-max", "HistoryMax", "1", "2", "3", [3]any{1, 2, 3}},
	{"history-age", "HistoryAge", "1m", "2m", "3m", [3]any{1 * time.Minute, 2 * time.Minute, 3 * time.Minute}},
	{"idempotency-window", "IdempotencyWindow", "1m", "2m", "3m", [3]any{1 * time.Minute, 2 * time.Minute, 3 * time.Minute}},
	{"client-buffer", "ClientBuffer", "5MiB", "64KiB", "7340032", [3]any{byteSize(5 << 20), byteSize(64 << 10), byteSize(7 << 20)}},
	{"max-body", "MaxBody", "2MiB", "64KiB", "3145728", [3]any{byteSize(2 << 20), byteSize(64 << 10), byteSize(3 << 20)}},
	{"max-frame", "MaxFrame", "2MiB", "64KiB", "3145728", [3]any{byteSize(2 << 20), byteSize(64 << 10), byteSize(3 << 20)}},
	{"sync", "Sync", "always", "2s", "3s", [3]any{syncInterval(0), syncInterval(2 * time.Second), syncInterval(3 * time.Second)}},
	{"drain", "Drain", "1s", "2s", "3s", [3]any{1 * time.Second, 2 * time.Second, 3 * time.Second}},
	{"allow-eio3", "AllowEIO3", "true", "true", "true", [3]any{true, true, true}},
	{"request-id-as-key", "RequestIDAsKey", "true", "true", "true", [3]any{true, true, true}},
	{"log-level", "LogLevel", "debug", "warn", "error", [3]any{"debug", "warn", "error"}},
}

func TestEverySettingHasACase(t *testing.T) {
	var covered []string
	for _, c := range settingCases {
		covered = append(covered, c.field)
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Name != "Config" { // --config itself is not a setting of the file
			require.Contains(t, covered, f.Name)
		}
	}
}

func TestPrecedence(t *testing.T) {
	for _, c := range settingCases {
		field := func(conf Config) any { return reflect.ValueOf(conf).FieldByName(c.field).Interface() }
		file := settingsFile(t, c.flag+": "+c.inFile+"\n")
		flag, fileFlag := "--"+c.flag+"="+c.flagged, "--config="+file
		inEnv := map[string]string{envName(c.flag): c.envd}
		inBoth := map[string]string{envName(c.flag): c.envd, "DOWNLINK_CONFIG": file}

		t.Run(c.flag, func(t *testing.T) {
			require.Equal(t, c.want[0], field(mustLoad(t, nil, flag)), "flag over default")
			require.Equal(t, c.want[0], field(mustLoad(t, inEnv, flag)), "flag over env")
			require.Equal(t, c.want[0], field(mustLoad(t, nil, flag, fileFlag)), "flag over file")
			require.Equal(t, c.want[0], field(mustLoad(t, inBoth, flag)), "flag over all")
			require.Equal(t, c.want[1], field(mustLoad(t, inEnv)), "env over default")
			require.Equal(t, c.want[1], field(mustLoad(t, inEnv, fileFlag)), "env over file")
			require.Equal(t, c.want[1], field(mustLoad(t, inBoth)), "env over a file named in the env")
			require.Equal(t, c.want[2], field(mustLoad(t, nil, fileFlag)), "file over default")
			require.Equal(t, c.want[2], field(mustLoad(t, map[string]string{envName(c.flag): ""}, fileFlag)), "empty env is not set")
			require.Equal(t, c.want[0], field(mustLoad(t, inBoth, "serve", flag)), "after the command's name")
		})
	}
}

func TestAFlagCanTurnOffWhatAnotherSourceTurnsOn(t *testing.T) {
	on := map[string]string{"DOWNLINK_ALLOW_EIO3": "true"}
	require.True(t, mustLoad(t, on).AllowEIO3)
	require.False(t, mustLoad(t, on, "--allow-eio3=false").AllowEIO3)
	require.False(t, mustLoad(t, map[string]string{"DOWNLINK_ALLOW_EIO3": "false"}, "--config", settingsFile(t, "allow-eio3: true")).AllowEIO3)
}

func TestRepeatedFlag(t *testing.T) {
	c := mustLoad(t, map[string]string{"DOWNLINK_CORS_ORIGIN": "*"}, "--cors-origin", "http://a", "--cors-origin=http://b,http://c")
	require.Equal(t, []string{"http://a", "http://b", "http://c"}, c.CORSOrigin)
}

func TestDefaultsThatFollowOtherSettings(t *testing.T) {
	require.Equal(t, 200*time.Millisecond, mustLoad(t, nil, "--ping-timeout=200ms").ProbeTimeout)
	for from, want := range map[string]string{
		"box-1": "box-1", "Box_1.example.com": "Box_1.example.com", "ä box": "box", "": "downlink", "-": "downlink",
		strings.Repeat("a", 100): strings.Repeat("a", 64),
	} {
		require.Equal(t, want, nodeNameFrom(from))
		require.Regexp(t, nodeNameForm, nodeNameFrom(from))
	}
}

func TestWrongSettings(t *testing.T) {
	bad := map[string][]string{ // by flag: text no source may give
		"public-addr":        {"3000", "localhost", "127.0.0.1:http", "127.0.0.1:70000", "127.0.0.1:-1", "::1:3000"},
		"ingest-addr":        {"3000", ":x"},
		"cors-origin":        {"https://a.example/path", "a.example"},
		"node-name":          {"a b", "-a", strings.Repeat("a", 65), "a/b"},
		"ping-interval":      {"25", "abc", "0s", "-1s", "1ms", "24h"},
		"ping-timeout":       {"20", "0s", "24h"},
		"probe-timeout":      {"1", "0s", "21s"},
		"history-max":        {"0", "-1", "abc", "1000001"},
		"history-age":        {"0s", "-1h", "9000h"},
		"idempotency-window": {"0s", "9000h"},
		"client-buffer":      {"4MB", "4 M", "-1", "1KiB", "2GiB", "99999999999GiB", "1.5MiB", "MiB"},
		"max-body":           {"0", "1B", "5MiB", "1TiB"},
		"max-frame":          {"0", "65MiB"},
		"sync":               {"never", "0s", "-1s", "1ms", "1h"},
		"drain":              {"30", "-1s", "0s", "2h"},
		"allow-eio3":         {"maybe"},
		"log-level":          {"loud"},
	}
	for flag, texts := range bad {
		for _, text := range texts {
			t.Run(flag+"="+text, func(t *testing.T) {
				file := settingsFile(t, fmt.Sprintf("%s: %q\n", flag, text))
				for where, load := range map[string]func() error{
					"--" + flag: func() error {
						_, _, err := load([]string{"--" + flag + "=" + text}, env(nil), &bytes.Buffer{})
						return err
					},
					envName(flag): func() error {
						_, _, err := load(nil, env(map[string]string{envName(flag): text}), &bytes.Buffer{})
						return err
					},
					file + ": " + flag: func() error {
						_, _, err := load([]string{"config", "check", "--config", file}, env(nil), &bytes.Buffer{})
						return err
					},
				} {
					err := load()
					require.Error(t, err)
					require.Regexp(t, "^"+where+": ", err.Error())
					require.NotContains(t, err.Error(), "\n")
				}
			})
		}
	}
}

func TestWrongCommandLineAndFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	file := func(text string) []string { return []string{"--config", settingsFile(t, text)} }
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want string
	}{
		{"unknown flag", []string{"--pong"}, nil, "unknown flag --pong"},
		{"unknown command", []string{"start"}, nil, "start"},
		{"half a command", []string{"config"}, nil, "check"},
		{"flag without value", []string{"--drain"}, nil, "--drain: needs a value"},
		{"no data directory", []string{"--data-dir="}, nil, "--data-dir: must name a directory"},
		{"no such file", []string{"--config", missing}, nil, "--config: open " + missing},
		{"no such file, named in env", nil, map[string]string{"DOWNLINK_CONFIG": missing}, "DOWNLINK_CONFIG: open " + missing},
		{"unknown key", file("drain: 1s\nping-intervall: 1s\n"), nil, `downlink.yaml: unknown key "ping-intervall"`},
		{"config is no key", file("config: x\n"), nil, `downlink.yaml: unknown key "config"`},
		{"help is no key", file("help: true\n"), nil, `downlink.yaml: unknown key "help"`},
		{"env names are no keys", file("ping_interval: 1s\n"), nil, `unknown key "ping_interval"`},
		{"not YAML", file("drain: [1s\n"), nil, "downlink.yaml: "},
		{"not a mapping", file("- drain\n"), nil, "downlink.yaml: "},
		{"twice", file("drain: 1s\ndrain: 2s\n"), nil, "drain"},
		{"nested", file("drain:\n  max: 1s\n"), nil, "downlink.yaml: drain: must be a value"},
		{"empty", file("drain:\n"), nil, "downlink.yaml: drain: must be a value"},
		{"two documents", file("drain: 1s\n---\nsync: 2s\n"), nil, "downlink.yaml: more than one YAML document"},
		{"number for a time", file("drain: 30\n"), nil, `downlink.yaml: drain: "30" is not a time`},
		{"list for one value", file("drain: [1s, 2s]\n"), nil, `downlink.yaml: drain: "1s,2s" is not a time`},
		{"two that do not fit", []string{"--probe-timeout=3s"}, map[string]string{"DOWNLINK_PING_TIMEOUT": "2s"},
			"--probe-timeout: 3s is longer than DOWNLINK_PING_TIMEOUT (2s)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(c.args, env(c.env), &bytes.Buffer{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestVersionNeedsNoValidSettings(t *testing.T) {
	command, _, err := load([]string{"version"}, env(map[string]string{"DOWNLINK_DRAIN": "x", "DOWNLINK_LOG_LEVEL": "loud"}), &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, "version", command)
}

func TestHelpNamesEverySettingWithDefaultAndVariable(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"config", "check", "--help"}} {
		var out bytes.Buffer
		_, _, err := load(args, env(map[string]string{"DOWNLINK_DRAIN": "x"}), &out)
		require.ErrorIs(t, err, errHelp)
		help := strings.Join(strings.Fields(out.String()), " ")
		for _, c := range settingCases {
			require.Contains(t, help, "--"+c.flag)
			require.Contains(t, help, "$"+envName(c.flag)+"]")
		}
		for _, d := range []string{"127.0.0.1:3000", "127.0.0.1:3001", "./downlink-data", "25s", "20s", "256", "24h", "4MiB", "1MiB", "30s", "info"} {
			require.Contains(t, help, "[default "+d+", $")
		}
		if args[0] == "--help" {
			for _, command := range []string{" serve ", " version ", " config check "} {
				require.Contains(t, help, command)
			}
		}
	}
}

func TestByteSizeString(t *testing.T) {
	for text, want := range map[string]string{"0": "0", "1000": "1000", "1024": "1KiB", "1536KiB": "1536KiB", "2048KiB": "2MiB", "1GiB": "1GiB", "5B": "5"} {
		var s byteSize
		require.NoError(t, s.UnmarshalText([]byte(text)))
		require.Equal(t, want, s.String())
	}
	require.True(t, slices.IsSortedFunc(sizeUnits, func(a, b struct {
		name  string
		bytes int64
	}) int {
		return int(b.bytes - a.bytes)
	}), "the largest unit is tried first")
}
