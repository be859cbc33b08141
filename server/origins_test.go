package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func origins(t *testing.T, loopback bool, list ...string) *Origins {
	t.Helper()
	o, err := NewOrigins(list, loopback, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	return o
}

func request(method, host string, origin ...string) *http.Request {
	r := httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling", nil)
	r.Host = host
	if len(origin) > 0 {
		r.Header["Origin"] = origin
	}
	return r
}

func TestAllow(t *testing.T) {
	const faraway, near = "push.example.com", "127.0.0.1:3000"
	for _, c := range []struct {
		name     string
		loopback bool
		list     []string
		host     string
		origin   []string
		ok       bool
	}{
		{name: "no browser", host: faraway, ok: true},
		{name: "same origin", host: faraway, origin: []string{"https://push.example.com"}, ok: true},
		{name: "same origin, port", host: "push.example.com:8443", origin: []string{"https://push.example.com:8443"}, ok: true},
		{name: "same origin, default port in Host", host: "push.example.com:443", origin: []string{"https://push.example.com"}, ok: true},
		{name: "same origin, upper case Host", host: "Push.Example.com", origin: []string{"https://push.example.com"}, ok: true},
		{name: "other port", host: faraway, origin: []string{"https://push.example.com:8443"}},
		{name: "other default port", host: "push.example.com:80", origin: []string{"https://push.example.com"}},
		{name: "foreign", host: faraway, origin: []string{"https://evil.example"}},
		{name: "foreign that ends alike", host: faraway, origin: []string{"https://evil-push.example.com"}},
		{name: "foreign that starts alike", host: faraway, origin: []string{"https://push.example.com.evil.example"}},
		{name: "null", host: faraway, origin: []string{"null"}},
		{name: "empty", host: faraway, origin: []string{""}},
		{name: "two", host: faraway, origin: []string{"https://push.example.com", "https://evil.example"}},
		{name: "no origin at all", host: faraway, origin: []string{"push.example.com"}},
		{name: "a star sent", host: faraway, origin: []string{"*"}},
		{name: "endless", host: faraway, origin: []string{"https://" + strings.Repeat("a", 4000)}},
		{name: "loopback page, listener not on loopback", host: faraway, origin: []string{"http://localhost:5173"}},
		{name: "localhost", loopback: true, host: near, origin: []string{"http://localhost:5173"}, ok: true},
		{name: "localhost over https", loopback: true, host: near, origin: []string{"https://localhost"}, ok: true},
		{name: "sub of localhost", loopback: true, host: near, origin: []string{"http://app.localhost:5173"}, ok: true},
		{name: "127.1.2.3", loopback: true, host: near, origin: []string{"http://127.1.2.3"}, ok: true},
		{name: "::1", loopback: true, host: near, origin: []string{"http://[::1]:5173"}, ok: true},
		{name: "foreign to loopback", loopback: true, host: near, origin: []string{"https://evil.example"}},
		{name: "name with localhost in it", loopback: true, host: near, origin: []string{"http://localhost.evil.example"}},
		{name: "name like an address", loopback: true, host: near, origin: []string{"http://127.0.0.1.evil.example"}},
		{name: "null to loopback", loopback: true, host: near, origin: []string{"null"}},
		{name: "private address to loopback", loopback: true, host: near, origin: []string{"http://192.168.1.5"}},
		{name: "listed", list: []string{"https://a.example", "https://b.example:444"}, host: faraway, origin: []string{"https://b.example:444"}, ok: true},
		{name: "listed with its default port", list: []string{"https://A.example:443"}, host: faraway, origin: []string{"https://a.example"}, ok: true},
		{name: "listed, other scheme", list: []string{"https://a.example"}, host: faraway, origin: []string{"http://a.example"}},
		{name: "null listed", list: []string{"null"}, host: faraway, origin: []string{"null"}, ok: true},
		{name: "any", list: []string{"*"}, host: faraway, origin: []string{"https://evil.example"}, ok: true},
		{name: "any, null", list: []string{"*"}, host: faraway, origin: []string{"null"}, ok: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, r := origins(t, c.loopback, c.list...), request("GET", c.host, c.origin...)
			err := o.Allow(r)
			h := http.Header{}
			o.CORS(h, r)
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, r.Header.Get("Origin"), h.Get("Access-Control-Allow-Origin"), "polling as upgrade")
			} else {
				require.ErrorIs(t, err, ErrOrigin)
				require.Empty(t, h.Get("Access-Control-Allow-Origin"), "polling as upgrade")
				require.Empty(t, h.Get("Access-Control-Allow-Credentials"))
			}
			require.Equal(t, []string{"Origin"}, h.Values("Vary"))
		})
	}
}

func TestCORSPreflight(t *testing.T) {
	r := request("OPTIONS", "push.example.com", "https://a.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "content-type,x-mine")
	h := http.Header{}
	origins(t, false, "https://a.example").CORS(h, r)
	require.Equal(t, http.Header{
		"Vary":                             {"Origin", "Access-Control-Request-Headers"},
		"Access-Control-Allow-Origin":      {"https://a.example"},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Methods":     {"GET, POST"},
		"Access-Control-Allow-Headers":     {"content-type,x-mine"},
		"Access-Control-Max-Age":           {"600"},
	}, h)

	h = http.Header{}
	origins(t, false).CORS(h, r)
	require.Equal(t, http.Header{"Vary": {"Origin"}}, h, "a foreign page's preflight fails")
}

func TestParseOriginRefuses(t *testing.T) {
	for _, s := range []string{
		"", "a.example", "https://", "https://a.example/", "https://a.example/x", "https://a.example?x", "https://a.example#x",
		"https://user@a.example", "mailto:a@example", "https://*.example/", "https://a b", "http://a.example:", "http://a:b",
		"https://a.example#", "https://a.example?",
	} {
		_, err := ParseOrigin(s)
		require.ErrorContains(t, err, fmt.Sprintf("%q is not an origin", s))
	}
	_, err := NewOrigins([]string{"https://a.example", "b.example"}, false, slog.Default())
	require.ErrorContains(t, err, "b.example")
}

func TestRefusedOriginsAreLoggedOnceAndBounded(t *testing.T) {
	var out bytes.Buffer
	o, err := NewOrigins(nil, false, slog.New(slog.NewTextHandler(&out, nil)))
	require.NoError(t, err)
	for range 3 {
		require.Error(t, o.Allow(request("GET", "push.example.com", "https://evil.example")))
	}
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `msg="origin refused" origin=https://evil.example to_allow="--cors-origin https://evil.example"`)

	for i := range 10 * maxLoggedOrigins {
		require.Error(t, o.Allow(request("GET", "push.example.com", fmt.Sprintf("https://%d.evil.example", i))))
	}
	require.Equal(t, maxLoggedOrigins+1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "further refused origins are not logged")
	require.Len(t, o.logged, maxLoggedOrigins)

	out.Reset()
	long, err := NewOrigins(nil, false, slog.New(slog.NewTextHandler(&out, nil)))
	require.NoError(t, err)
	require.Error(t, long.Allow(request("GET", "push.example.com", "https://"+strings.Repeat("a", 20_000))))
	require.Less(t, out.Len(), 3*maxOriginLen, "one header does not fill the log")
}

func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://[::1]:3000", "null", "*", "http://%00", "://", "http://a:80:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseOrigin(s)
		if err != nil {
			return
		}
		again, err := ParseOrigin(parsed)
		require.NoError(t, err)
		require.Equal(t, parsed, again)
	})
}
