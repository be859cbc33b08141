package ingest

import (
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// routes maps every path of the intake listener to its handler. Whatever else is asked for becomes an error, and
// every error becomes an answer in refuse.
//
// There is no middleware: Echo puts its chain together anew for every request.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = s.refuse

	e.POST("/push", s.recovering(s.push))

	e.Match(getOrHead, "/healthz", s.recovering(s.healthz))
	e.Match(getOrHead, "/readyz", s.recovering(s.readyz))
	e.Match(getOrHead, "/openapi.yaml", s.recovering(s.openAPI))
	return e
}

var getOrHead = []string{http.MethodGet, http.MethodHead}

// recovering keeps a panic to its own request.
func (s *Server) recovering(handler echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(p) // net/http's own way to cut a connection, and not a fault
			}
			s.o.Log.Error("a request handler panicked", "method", c.Request().Method, "path", c.Path(),
				"panic", p, "stack", string(debug.Stack()))
			err = handlerFailed
		}()
		return handler(c)
	}
}

// isPreflight is whether a browser asks leave for a page of another origin.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}
