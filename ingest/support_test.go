package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"downlink"
	"downlink/ingest"
	"downlink/rooms"
)

const pushID = "01KAFXJ8Q2M6T5V0Z4B7C9D1EF"

// journal stands in for the store: it keeps what was published, or fails as told.
type journal struct {
	rooms.Journal // nil: only Publish is called

	publish func(context.Context, rooms.Push) (rooms.Receipt, error) // nil: keep the push

	mu     sync.Mutex
	pushes []rooms.Push
}

func (j *journal) Publish(ctx context.Context, p rooms.Push) (rooms.Receipt, error) {
	if j.publish != nil {
		return j.publish(ctx, p)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, old := range j.pushes {
		if p.Key != "" && p.Key == old.Key && p.To == old.To {
			return rooms.Receipt{ID: pushID, Seq: uint64(i + 1), Duplicate: true}, nil
		}
	}
	j.pushes = append(j.pushes, p)
	return rooms.Receipt{ID: pushID, Seq: uint64(len(j.pushes))}, nil
}

// sent returns what was published.
func (j *journal) sent() []rooms.Push {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]rooms.Push(nil), j.pushes...)
}

// start runs a server on a real socket. Zero options are filled in for a test.
func start(t testing.TB, o ingest.Options) (*ingest.Server, *httptest.Server) {
	t.Helper()
	if o.Journal == nil {
		o.Journal = &journal{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.OpenAPI = downlink.OpenAPI
	s := ingest.New(o)
	ts := httptest.NewServer(s.Handler())
	t.Cleanup(ts.Close)
	return s, ts
}

// gate is closed until it is opened, at the end of the test at the latest: a server waits for its handlers.
func gate(t *testing.T) (closed <-chan struct{}, open func()) {
	ch := make(chan struct{})
	open = sync.OnceFunc(func() { close(ch) })
	t.Cleanup(open)
	return ch, open
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
	last   bool // whether it ends its connection
}

// msg is RETURN_MSG. It fails the test if the body is anything but the envelope.
func (a answer) msg(t testing.TB) string {
	t.Helper()
	var env map[string]map[string]map[string]string
	require.NoError(t, json.Unmarshal([]byte(a.body), &env), a.body)
	require.Len(t, env, 1)
	require.Len(t, env["ROOT"], 1)
	require.Len(t, env["ROOT"]["BODY"], 2)
	require.Equal(t, "0000", env["ROOT"]["BODY"]["RETURN_CODE"])
	return env["ROOT"]["BODY"]["RETURN_MSG"]
}

func read(t testing.TB, res *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return answer{res.StatusCode, res.Header, string(body), res.Close}
}

// do sends a request, and holds the answer to openapi.yaml.
func do(t testing.TB, ts *httptest.Server, method, path string, body []byte, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, ts.URL+path, bytes.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := ts.Client().Do(req)
	require.NoError(t, err)
	a := read(t, res)
	described(t, req, body, a)
	return a
}

// post sends a body to POST /push as a backend does.
func post(t testing.TB, ts *httptest.Server, body string, headers ...string) answer {
	t.Helper()
	return do(t, ts, http.MethodPost, "/push", []byte(body), append(headers, "Content-Type: application/json")...)
}

var description = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(downlink.OpenAPI)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // tests listen elsewhere
	return legacy.NewRouter(doc)
})

// described fails the test if openapi.yaml does not describe the answer, or calls an accepted request wrong.
func described(t testing.TB, req *http.Request, body []byte, a answer) {
	t.Helper()
	router, err := description()
	require.NoError(t, err)
	route, params, err := router.FindRoute(req)
	if err != nil {
		// Wrong paths and methods are described with the push that somebody meant.
		push, err := http.NewRequest(http.MethodPost, "/push", nil)
		require.NoError(t, err)
		route, params, err = router.FindRoute(push)
		require.NoError(t, err)
	}
	ctx := context.Background()
	again := req.Clone(ctx)
	again.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route}
	if res := a.header.Get("X-Push-Result"); res == "accepted" || res == "duplicate" {
		// The validator finds fault with two things that are right: a number past float64, and null for a schema
		// without a type, which by OpenAPI 3.0.3 takes any value.
		if !bytes.Contains(body, []byte("1e999")) && !bytes.Contains(body, []byte(`"data":null`)) {
			require.NoError(t, openapi3filter.ValidateRequest(ctx, in), "accepted, but not by openapi.yaml: %.200s", body)
		}
	}
	if a.status == http.StatusNoContent || req.Method == http.MethodHead {
		require.Empty(t, a.body)
		return
	}
	in.Options = &openapi3filter.Options{IncludeResponseStatus: true}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.status, Header: a.header, Options: in.Options,
	}
	require.NoError(t, openapi3filter.ValidateResponse(ctx, out.SetBodyBytes([]byte(a.body))))
}
