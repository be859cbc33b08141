package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"downlink"
	"downlink/codes"
	"downlink/ingest"
	"downlink/rooms"
)

func TestRoutes(t *testing.T) {
	j := &journal{}
	_, ts := start(t, ingest.Options{Journal: j})
	for _, c := range []struct {
		request string
		status  int
		allow   string
		msg     string // empty for an answer that is no envelope
	}{
		{request: "GET /healthz", status: 200},
		{request: "HEAD /healthz", status: 200},
		{request: "GET /readyz", status: 200},
		{request: "HEAD /readyz", status: 200},
		{request: "GET /openapi.yaml", status: 200},
		{request: "HEAD /openapi.yaml", status: 200},
		{request: "GET /", status: 404},
		{request: "POST /", status: 404},
		{request: "POST /push/", status: 404},
		{request: "POST /Push", status: 404},
		{request: "POST /pushes", status: 404},
		{request: "POST /%2fpush", status: 404},
		{request: "POST //push", status: 404},
		{request: "PUT /nowhere", status: 404},
		{request: "OPTIONS /nowhere", status: 404},
		{request: "HEAD /nowhere", status: 404},
		{request: "GET /push", status: 405, allow: "OPTIONS, POST"},
		{request: "HEAD /push", status: 405, allow: "OPTIONS, POST"},
		{request: "PUT /push", status: 405, allow: "OPTIONS, POST"},
		{request: "DELETE /push", status: 405, allow: "OPTIONS, POST"},
		{request: "BREW /push", status: 405, allow: "OPTIONS, POST"},
		{request: "POST /readyz", status: 405, allow: "OPTIONS, GET, HEAD"},
		{request: "OPTIONS /push", status: 204, allow: "OPTIONS, POST"},
		{request: "OPTIONS /healthz", status: 204, allow: "OPTIONS, GET, HEAD"},
	} {
		t.Run(c.request, func(t *testing.T) {
			method, path, _ := strings.Cut(c.request, " ")
			a := do(t, ts, method, path, nil)
			require.Equal(t, c.status, a.status)
			require.Equal(t, c.allow, a.header.Get("Allow"))
			switch {
			case method == http.MethodHead || c.status == 204:
				require.Empty(t, a.body)
			case c.status == 404:
				require.Equal(t, "there is nothing at this address: pushes go to POST /push, "+
					"GET /openapi.yaml describes the rest; nothing was sent", a.msg(t))
			case c.status == 405:
				require.Equal(t, "this address does not take this method: it takes "+c.allow+"; nothing was sent", a.msg(t))
			}
		})
	}
	require.Empty(t, j.sent())
}

// TestNoBrowser holds that a page of another origin can neither ask leave nor post without asking, and that no answer
// carries a CORS header.
func TestNoBrowser(t *testing.T) {
	j := &journal{}
	s, ts := start(t, ingest.Options{Journal: j})
	var all []answer
	for _, path := range []string{"/push", "/healthz", "/openapi.yaml", "/nowhere"} {
		a := do(t, ts, http.MethodOptions, path, nil,
			"Origin: http://evil.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
		require.Equal(t, http.StatusForbidden, a.status)
		require.Equal(t, "pages of other origins may not use this listener: push from your backend; nothing was sent", a.msg(t))
		all = append(all, a)
	}
	push := []byte(`{"eventName":"test"}`)
	// What a page can send without a preflight.
	for _, simple := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""} {
		a := do(t, ts, http.MethodPost, "/push", push, "Origin: http://evil.example", "Content-Type: "+simple)
		require.Equal(t, http.StatusUnsupportedMediaType, a.status)
		all = append(all, a)
	}
	require.Empty(t, j.sent())
	all = append(all, post(t, ts, string(push), "Origin: http://evil.example"), do(t, ts, http.MethodOptions, "/push", nil),
		do(t, ts, http.MethodGet, "/readyz", nil, "Origin: http://evil.example"))
	s.Drain()
	all = append(all, post(t, ts, string(push), "Origin: http://evil.example"))
	for _, a := range all {
		for name := range a.header {
			require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
		}
	}
}

func TestHealth(t *testing.T) {
	var err error
	s, ts := start(t, ingest.Options{Ready: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			return errors.New("not bounded")
		}
		return err
	}})
	get := func(path string, status int) string {
		a := do(t, ts, http.MethodGet, path, nil)
		require.Equal(t, status, a.status)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Empty(t, a.header.Get("X-Push-Result"))
		return a.body
	}
	require.Equal(t, `{"status":"ok"}`, get("/healthz", 200))
	require.Equal(t, `{"status":"ready"}`, get("/readyz", 200))

	err = fmt.Errorf("disk full at /secret/path: %w", codes.Unavailable)
	require.Equal(t, `{"status":"unavailable","cause":"unavailable","msg":"the service cannot do this now, try again later"}`,
		get("/readyz", 503))
	err = errors.New("a secret")
	require.Equal(t, `{"status":"unavailable","cause":"internal","msg":"internal error"}`, get("/readyz", 503))
	require.Equal(t, `{"status":"ok"}`, get("/healthz", 200))

	err = nil
	require.Equal(t, `{"status":"ready"}`, get("/readyz", 200))
	s.Drain()
	require.Equal(t, `{"status":"draining","cause":"draining","msg":"this node is stopping, try again"}`, get("/readyz", 503))
	require.Equal(t, `{"status":"ok"}`, get("/healthz", 200))
}

// TestReadyIsBounded holds that a check that hangs does not hang /readyz.
func TestReadyIsBounded(t *testing.T) {
	_, ts := start(t, ingest.Options{ReadyTimeout: 20 * time.Millisecond, Ready: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	require.Equal(t, 503, do(t, ts, http.MethodGet, "/readyz", nil).status)
}

// TestDrain holds that a push being stored when the intake ends is answered, and that later ones are refused.
func TestDrain(t *testing.T) {
	var leave <-chan struct{}
	entered := make(chan struct{})
	s, ts := start(t, ingest.Options{Journal: &journal{publish: func(context.Context, rooms.Push) (rooms.Receipt, error) {
		close(entered)
		<-leave
		return rooms.Receipt{ID: pushID}, nil
	}}})
	leave, open := gate(t)
	first := make(chan answer, 1)
	go func() { first <- post(t, ts, `{"eventName":"test"}`) }()
	<-entered
	s.Drain()
	s.Drain()
	late := post(t, ts, `{"eventName":"test"}`)
	require.Equal(t, http.StatusServiceUnavailable, late.status)
	require.Equal(t, "2", late.header.Get("Retry-After"))
	require.Equal(t, "rejected", late.header.Get("X-Push-Result"))
	require.True(t, late.last)
	require.Equal(t, "this node is stopping, try again; nothing was sent", late.msg(t))
	open()
	require.Equal(t, "ok", (<-first).msg(t))
}

func TestOpenAPI(t *testing.T) {
	_, ts := start(t, ingest.Options{})
	a := do(t, ts, http.MethodGet, "/openapi.yaml", nil)
	require.Equal(t, string(downlink.OpenAPI), a.body)
	require.Equal(t, "application/yaml", a.header.Get("Content-Type"))

	doc, err := openapi3.NewLoader().LoadFromData(downlink.OpenAPI)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(context.Background(), openapi3.EnableExamplesValidation()))
	require.Equal(t, "3.0.3", doc.OpenAPI)
	require.Equal(t, "http://localhost:3001", doc.Servers[0].URL)
	require.ElementsMatch(t, []string{"/push", "/healthz", "/readyz", "/openapi.yaml"}, doc.Paths.InMatchingOrder())

	// The examples of requests are real: each is taken.
	body := doc.Paths.Find("/push").Post.RequestBody.Value.Content["application/json"]
	require.NotEmpty(t, body.Examples)
	for name, example := range body.Examples {
		text, err := example.Value.MarshalJSON()
		require.NoError(t, err)
		value := strings.TrimSuffix(string(text[strings.Index(string(text), `"value":`)+len(`"value":`):]), "}")
		require.Equal(t, "ok", post(t, ts, value).msg(t), "%s: %s", name, value)
	}
	// So are the answers: each text is one that the service gives.
	table, err := os.ReadFile("testdata/push.txt")
	require.NoError(t, err)
	given := string(table) + returnMsgs
	push := doc.Paths.Find("/push").Post
	for status, res := range push.Responses.Map() {
		media := res.Value.Content["application/json"]
		examples := []any{media.Example}
		for _, e := range media.Examples {
			examples = append(examples, e.Value.Value)
		}
		for _, e := range examples {
			if e == nil {
				continue
			}
			msg := e.(map[string]any)["ROOT"].(map[string]any)["BODY"].(map[string]any)["RETURN_MSG"].(string)
			require.True(t, strings.Contains(given, msg), "status %s: %s", status, msg)
		}
	}
}
