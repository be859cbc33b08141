package codes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"downlink/codes"
)

// Clients compare these byte for byte.
func TestStatusesAreLiteral(t *testing.T) {
	for want, s := range map[string]codes.Status{
		`{"code":"2001","msg":"connect success"}`:                  codes.Connected,
		`{"code":"2002","msg":"login room (id:456) success"}`:      codes.LoggedIn("456"),
		`{"code":"2003","msg":"the room id is missing"}`:           codes.LoginFailed(codes.MissingRoomID),
		`{"code":"2004","msg":"your room id(456) already exist"}`:  codes.RoomTaken("456"),
		`{"code":"2005","msg":"you have kicked out room (id456)"}`: codes.KickedOut("456"),
	} {
		got, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	require.Equal(t, "downmsg", codes.EventName)
	require.Equal(t, "0000", codes.ReturnOK)
}

func TestRoomIDsAreNotFormats(t *testing.T) {
	require.Equal(t, "login room (id:%s%d) success", codes.LoggedIn("%s%d").Msg)
}

func TestOnlyCausesAreTold(t *testing.T) {
	secret := errors.New("open /secret/path: permission denied")
	require.Same(t, codes.Internal, codes.Of(secret))
	require.Same(t, codes.Internal, codes.Of(nil))
	wrapped := fmt.Errorf("store: %w (%w)", codes.Unavailable, secret)
	require.Same(t, codes.Unavailable, codes.Of(wrapped))
	require.Equal(t, codes.Unavailable.Msg, codes.LoginFailed(wrapped).Msg)
	require.Equal(t, "internal error; nothing was sent", codes.ReturnMsg(secret))
	require.Equal(t, "eventName is missing; nothing was sent", codes.ReturnMsg(codes.MissingEvent))
	require.Equal(t, "ok", codes.ReturnMsg(nil))
}

func TestWhatReachesPushIsAnswered200(t *testing.T) {
	require.Equal(t, http.StatusOK, codes.NotJSON.PushStatus())
	require.Equal(t, http.StatusOK, codes.Unavailable.PushStatus())
	require.Equal(t, http.StatusServiceUnavailable, codes.Draining.PushStatus())
}

func TestEveryCauseIsInTheTableOnceAndWellPut(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	require.NoError(t, err)
	declared := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if name.Name != "Causes" {
					declared++
				}
			}
		}
	}
	require.Len(t, codes.Causes, declared)
	names := map[string]bool{}
	for _, c := range codes.Causes {
		require.Regexp(t, regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), c.Name)
		require.False(t, names[c.Name], "%s twice", c.Name)
		names[c.Name] = true
		require.NotEmpty(t, c.Msg)
		require.NotRegexp(t, `[.\n]$`, c.Msg)
	}
}
