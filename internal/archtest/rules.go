package archtest

// module is the path of our own packages.
const module = "downlink"

type packageRule struct {
	pkg     string   // import path below the module; "." is the module's root
	imports []string // besides the standard library
	reason  string
}

// packages says what the product code of each package may import, and why not more. Patterns ending in "/..." stand for
// everything below. The order from top to bottom is the one imports follow.
var packages = []packageRule{
	{"cmd/downlink", []string{".", "server/...", "ingest", "backbone", "rooms", "codes",
		"github.com/alecthomas/kong", "github.com/goccy/go-yaml", "github.com/lmittmann/tint"},
		"the one place that knows all parts puts them together and reads the settings"},
	{".", nil, "only embeds files that stand at the top, so that any part may be given them"},
	{"server", []string{"rooms", "codes"},
		"the public listener knows doors as http.Handlers; a protocol library stays in its door"},
	{"server/socketio/...", []string{"server/engineio", "rooms", "codes", "github.com/zishang520/..."},
		"the library's warts are guarded against in one place"},
	{"server/engineio/...", []string{"golang.org/x/sys/..."},
		"the engine stands alone: it knows neither Socket.IO nor rooms, and anyone may read or reuse it"},
	{"ingest", []string{"rooms", "codes", "github.com/labstack/echo/v4/...", "github.com/go-playground/validator/v10",
		"golang.org/x/time/rate"},
		"senders' side: a push leaves it through rooms.Journal, so that nothing here depends on the store or on receivers"},
	{"backbone", []string{"rooms", "codes", "github.com/nats-io/...", "github.com/oklog/ulid/v2", "golang.org/x/sys/..."},
		"the store implements what rooms asks for; nothing else sees NATS"},
	{"rooms/roomstest", []string{"rooms", "codes", "github.com/stretchr/testify/...", "pgregory.net/rapid"},
		"the contract as tests: whoever implements it imports this, so it may not import an implementation"},
	{"rooms", []string{"codes"}, "the domain is plain Go: it is called, and calls out only through its own interfaces"},
	{"codes/...", nil, "every part speaks these words, so they may depend on none"},
	{"internal/conformance/...", []string{"server/engineio", "server/socketio/..."},
		"the protocol suites test the engine and the bridge, without rooms behind them"},
	{"internal/e2e/storedump", []string{"backbone", "rooms"}, "reads back what a killed process had stored"},
	{"internal/e2e/...", nil, "tests from outside know the product only by its wire"},
	{"internal/archtest", nil, "reads the others' source instead"},
	{"bench/...", []string{"golang.org/x/sys/..."}, "measures from outside, as a client and a backend would"},
}

// owners says which package alone may import a library, tests included.
var owners = []struct {
	library string
	owner   []string
	reason  string
}{
	{"github.com/zishang520/...", []string{"server/socketio/..."},
		"it ends the process on input its guards do not see first"},
	{"github.com/nats-io/...", []string{"backbone"}, "subjects, streams and their traps have one home"},
	{"github.com/labstack/echo/...", []string{"ingest"}, "the other listener is plain net/http"},
	{"github.com/go-playground/validator/...", []string{"ingest"}, "only senders' bodies are validated by tags"},
	{"github.com/alecthomas/kong", []string{"cmd/downlink"}, "settings are read once and passed down as values"},
	{"github.com/goccy/go-yaml", []string{"cmd/downlink", "ingest"},
		"settings are read once; ingest's tests read openapi.yaml"},
	{"github.com/lmittmann/tint", []string{"cmd/downlink"}, "the logger is made once and passed down"},
	{"github.com/getkin/kin-openapi/...", []string{"ingest", "cmd/downlink"},
		"only tests hold answers against openapi.yaml"},
}

// testOnly are libraries for tests: product code that imported one would carry it into the binary.
var testOnly = []string{
	"testing/...", "github.com/stretchr/testify/...", "go.uber.org/goleak", "pgregory.net/rapid",
	"github.com/getkin/kin-openapi/...",
}

// testSupport are packages that exist for other packages' tests: they may use testOnly, and only tests may use them.
var testSupport = []string{"rooms/roomstest", "server/socketio/rawclient"}

const (
	readOnce = "settings are read once, in cmd, and passed down as values"
	mainEnds = "only a main function ends the process; others return errors"
)

// forbidden calls, by package-qualified name, with the packages that may nevertheless use them.
var forbidden = []struct {
	call   string
	except []string
	mains  bool // main packages may
	reason string
}{
	{"os.Getenv", []string{"cmd/downlink", "internal/e2e/...", "bench/..."}, false, readOnce},
	{"os.LookupEnv", []string{"bench/..."}, false, readOnce},
	{"os.Environ", []string{"bench/...", "internal/e2e/..."}, false, readOnce},
	{"os.Exit", nil, true, mainEnds},
	{"log.Fatal", nil, false, "it ends the process without clean-up"},
	{"log.Fatalf", nil, false, "it ends the process without clean-up"},
	{"slog.SetDefault", nil, false, "no globals: the logger is passed down"},
}

// maxFileLines is where a file of product code has to be split by concept.
const maxFileLines = 500
