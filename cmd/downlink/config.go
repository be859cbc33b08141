package main

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"downlink/server"
)

// Config is every setting of the service. The tags hold the defaults and what --help says.
type Config struct {
	PublicAddr string   `default:"127.0.0.1:3000" placeholder:"HOST:PORT" group:"listen" help:"Where browsers connect: Socket.IO on /socket.io/. Port 0 picks a free one."`
	IngestAddr string   `default:"127.0.0.1:3001" placeholder:"HOST:PORT" group:"listen" help:"Where backends push: POST /push, /healthz, /readyz. The same as --public-addr: one listener serves all."`
	CORSOrigin []string `name:"cors-origin" placeholder:"ORIGIN" group:"listen" help:"An origin whose pages may connect, like https://app.example.com; repeatable; * for any. Always allowed: the same origin and, while --public-addr is on loopback, every loopback origin."`

	DataDir           string        `default:"./downlink-data" placeholder:"DIR" group:"store" help:"The directory of everything the service keeps."`
	Sync              syncInterval  `default:"1s" placeholder:"TIME" group:"store" help:"How often the store is forced to disk: a time, or 'always' for before each answer. A killed process loses nothing either way; a power cut loses up to this time."`
	HistoryMax        int           `default:"256" placeholder:"N" group:"store" help:"Pushes kept per room, and of those to everyone."`
	HistoryAge        time.Duration `default:"24h" placeholder:"TIME" group:"store" help:"How long a push is kept."`
	IdempotencyWindow time.Duration `default:"24h" placeholder:"TIME" group:"store" help:"How long the same Idempotency-Key is accepted only once."`

	PingInterval time.Duration `default:"25s" placeholder:"TIME" group:"socket" help:"Time between two heartbeats to a client."`
	PingTimeout  time.Duration `default:"20s" placeholder:"TIME" group:"socket" help:"How long a client may take to answer a heartbeat before it is closed."`
	ProbeTimeout time.Duration `default:"1s" placeholder:"TIME" group:"socket" help:"How long a room's silent holder may take to answer before a newcomer replaces it; at most --ping-timeout."`
	ClientBuffer byteSize      `default:"4MiB" placeholder:"SIZE" group:"socket" help:"What may wait for one client that reads slowly; past it the client is closed."`
	MaxFrame     byteSize      `default:"1MiB" placeholder:"SIZE" group:"socket" help:"The largest message a client may send."`
	AllowEIO3    bool          `name:"allow-eio3" group:"socket" help:"Also serve socket.io-client 2.x (off by default)."`

	MaxBody        byteSize `default:"1MiB" placeholder:"SIZE" group:"push" help:"The largest body of POST /push."`
	RequestIDAsKey bool     `name:"request-id-as-key" group:"push" help:"Take X-Request-Id for the idempotency key where there is no Idempotency-Key (off by default)."`

	NodeName string        `placeholder:"NAME" group:"run" help:"This node's name in logs (default: the host name)."`
	Drain    time.Duration `default:"30s" placeholder:"TIME" group:"run" help:"The most a graceful stop may take."`
	LogLevel string        `default:"info" placeholder:"LEVEL" group:"run" help:"debug, info, warn or error."`
	Config   string        `placeholder:"FILE" group:"run" help:"A YAML file of settings; its keys are the flags' names without the dashes."`
}

// Limits that hold whatever the settings say.
const (
	minHeartbeat  = 100 * time.Millisecond // below it the heartbeats themselves become the load
	maxHeartbeat  = 10 * time.Minute       // above it a proxy between has long dropped the connection
	minSync       = 100 * time.Millisecond
	maxSync       = 2 * time.Minute
	maxAge        = 365 * 24 * time.Hour
	minDrain      = 100 * time.Millisecond // less cannot even close the store in order
	maxDrain      = time.Hour
	maxHistory    = 1_000_000
	minBytes      = 1 << 10
	maxBodyBytes  = 4 << 20 // one message of the store, which takes up to 8 MiB and copies it a few times
	maxFrameBytes = 64 << 20
	minBuffer     = 16 << 10
	maxBuffer     = 1 << 30
)

var nodeNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate checks each setting and those that depend on each other. name turns a flag's name into what the user
// wrote: the flag, the environment variable or the file's key the value came from.
func (c *Config) Validate(name func(flag string) string) error {
	fail := func(flag, format string, args ...any) error {
		return fmt.Errorf("%s: %s", name(flag), fmt.Sprintf(format, args...))
	}
	for flag, addr := range map[string]string{"public-addr": c.PublicAddr, "ingest-addr": c.IngestAddr} {
		if err := checkAddr(addr); err != nil {
			return fail(flag, "%v", err)
		}
	}
	for _, origin := range c.CORSOrigin {
		if _, err := server.ParseOrigin(origin); err != nil {
			return fail("cors-origin", "%v", err)
		}
	}
	for _, d := range []struct {
		flag     string
		got      time.Duration
		from, to time.Duration
	}{
		{"ping-interval", c.PingInterval, minHeartbeat, maxHeartbeat},
		{"ping-timeout", c.PingTimeout, minHeartbeat, maxHeartbeat},
		{"probe-timeout", c.ProbeTimeout, minHeartbeat, maxHeartbeat},
		{"history-age", c.HistoryAge, time.Second, maxAge},
		{"idempotency-window", c.IdempotencyWindow, time.Second, maxAge},
		{"drain", c.Drain, minDrain, maxDrain},
	} {
		if d.got < d.from || d.got > d.to {
			return fail(d.flag, "%v is not between %v and %v", d.got, d.from, d.to)
		}
	}
	if s := time.Duration(c.Sync); s != 0 && (s < minSync || s > maxSync) {
		return fail("sync", "%v is not between %v and %v, nor 'always'", s, minSync, maxSync)
	}
	for _, s := range []struct {
		flag     string
		got      byteSize
		from, to byteSize
	}{
		{"client-buffer", c.ClientBuffer, minBuffer, maxBuffer},
		{"max-frame", c.MaxFrame, minBytes, maxFrameBytes},
		{"max-body", c.MaxBody, minBytes, maxBodyBytes},
	} {
		if s.got < s.from || s.got > s.to {
			return fail(s.flag, "%v is not between %v and %v", s.got, s.from, s.to)
		}
	}
	switch {
	case c.HistoryMax < 1 || c.HistoryMax > maxHistory:
		return fail("history-max", "%d is not between 1 and %d", c.HistoryMax, maxHistory)
	case c.ProbeTimeout > c.PingTimeout:
		return fail("probe-timeout", "%v is longer than %s (%v), after which the holder is closed anyway",
			c.ProbeTimeout, name("ping-timeout"), c.PingTimeout)
	case strings.TrimSpace(c.DataDir) == "":
		return fail("data-dir", "must name a directory")
	case !nodeNameForm.MatchString(c.NodeName):
		return fail("node-name", "%q is not 1 to 64 letters, digits, dots, dashes or underscores", c.NodeName)
	case !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel):
		return fail("log-level", "%q is not debug, info, warn or error", c.LogLevel)
	}
	return nil
}

// settle fills in the defaults that depend on the machine or on another setting; given says which settings the user
// gave.
func (c *Config) settle(given func(flag string) bool, hostname string) {
	if !given("node-name") {
		c.NodeName = nodeNameFrom(hostname)
	}
	if !given("probe-timeout") {
		c.ProbeTimeout = min(c.ProbeTimeout, c.PingTimeout)
	}
}

var notInNodeName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// nodeNameFrom makes a valid node name of a host name, which the user did not choose for us.
func nodeNameFrom(hostname string) string {
	s := strings.TrimLeft(notInNodeName.ReplaceAllString(hostname, "-"), "._-")
	if len(s) > 64 {
		s = s[:64]
	}
	if s == "" {
		return "downlink"
	}
	return s
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address like 127.0.0.1:3000 or :3000", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: the port is not a number between 0 and 65535", addr)
	}
	return nil
}

// byteSize is a number of bytes, written 65536, 64KiB, 1MiB or 1GiB.
type byteSize int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size.
func (s *byteSize) UnmarshalText(text []byte) error {
	digits, unit := string(text), int64(1)
	for _, u := range sizeUnits {
		if d, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(d), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return fmt.Errorf("%q is not a size like 65536, 64KiB or 1MiB", text)
	}
	*s = byteSize(n * unit)
	return nil
}

// String writes the size in its largest whole unit.
func (s byteSize) String() string {
	for _, u := range sizeUnits {
		if n := int64(s); n != 0 && n%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// syncInterval is the time between two forced writes to disk; 0, written "always", is before each answer.
type syncInterval time.Duration

// UnmarshalText reads a duration above 0, or "always".
func (s *syncInterval) UnmarshalText(text []byte) error {
	if string(text) == "always" {
		*s = 0
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither 'always' nor a time like 1s", text)
	}
	*s = syncInterval(d)
	return nil
}
