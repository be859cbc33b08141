package ingest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"downlink/codes"
)

// health is the body of GET /healthz and GET /readyz.
type health struct {
	Status string `json:"status"`          // ok, ready, draining or unavailable
	Cause  string `json:"cause,omitempty"` // the name of a codes.Cause, when not ready
	Msg    string `json:"msg,omitempty"`   // the cause in plain words
}

// healthz is GET /healthz: the process answers, so it need not be restarted.
func (s *Server) healthz(c echo.Context) error {
	return answerHealth(c, http.StatusOK, health{Status: "ok"})
}

// readyz is GET /readyz: whether pushes should be sent here now.
func (s *Server) readyz(c echo.Context) error {
	if s.draining.Load() {
		return answerHealth(c, http.StatusServiceUnavailable, notReady("draining", codes.Draining))
	}
	if s.o.Ready != nil {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.ReadyTimeout)
		defer cancel()
		if err := s.o.Ready(ctx); err != nil {
			s.o.Log.Debug("not ready", "err", err)
			return answerHealth(c, http.StatusServiceUnavailable, notReady("unavailable", codes.Of(err)))
		}
	}
	return answerHealth(c, http.StatusOK, health{Status: "ready"})
}

func notReady(status string, cause *codes.Cause) health {
	return health{Status: status, Cause: cause.Name, Msg: cause.Msg}
}

func answerHealth(c echo.Context, status int, body health) error {
	h := c.Response().Header()
	h["Content-Type"] = typeJSON
	h.Set("Cache-Control", "no-store")
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return write(c, status, text)
}

// openAPI is GET /openapi.yaml: the description of all of this, for people and for generators.
func (s *Server) openAPI(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Type", "application/yaml") // RFC 9512
	h.Set("Cache-Control", "no-cache")
	return write(c, http.StatusOK, s.o.OpenAPI)
}
