package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestRepository(t *testing.T) {
	breaches, err := check(os.DirFS("../.."))
	require.NoError(t, err)
	require.Empty(t, breaches, strings.Join(breaches, "\n"))
}

// TestCheckSeesBreaches keeps check honest: each breach is planted in an otherwise clean repository.
func TestCheckSeesBreaches(t *testing.T) {
	clean := func() fstest.MapFS {
		return fstest.MapFS{
			"rooms/doc.go":       {Data: []byte("// Package rooms is.\npackage rooms\n")},
			"rooms/hub.go":       {Data: []byte("package rooms\nimport (\n\"sync\"\n\"downlink/codes\"\n)\n")},
			"rooms/hub_test.go":  {Data: []byte("package rooms\nimport (\n\"testing\"\n\"os\"\n)\nvar _ = os.Getenv\n")},
			"codes/doc.go":       {Data: []byte("// Package codes is.\npackage codes\n")},
			"bench/peers/go.mod": {Data: []byte("module peer\n")},
			"bench/peers/a.go":   {Data: []byte("package main\nimport \"example.com/anything\"\n")},
		}
	}
	breaches, err := check(clean())
	require.NoError(t, err)
	require.Empty(t, breaches)

	for _, c := range []struct{ name, file, text, want string }{
		{"upwards", "rooms/a.go", "package rooms\nimport \"downlink/backbone\"", "rooms/a.go: imports downlink/backbone: the domain is plain Go"},
		{"foreign", "rooms/a.go", "package rooms\nimport \"example.com/x\"", "rooms/a.go: imports example.com/x"},
		{"under a build tag", "rooms/a.go", "//go:build never\n\npackage rooms\nimport \"downlink/server\"", "imports downlink/server"},
		{"the engine imports rooms", "server/engineio/doc.go", "package engineio\nimport \"downlink/rooms\"", "the engine stands alone"},
		{"codes imports rooms", "codes/a.go", "package codes\nimport \"downlink/rooms\"", "they may depend on none"},
		{"Socket.IO elsewhere", "server/doc.go", "package server\nimport \"github.com/zishang520/socket.io/v2/socket\"", "belongs to server/socketio"},
		{"NATS in another's test", "rooms/a_test.go", "package rooms\nimport \"github.com/nats-io/nats.go\"", "belongs to backbone"},
		{"testify in product code", "rooms/a.go", "package rooms\nimport \"github.com/stretchr/testify/require\"", "it is for tests only"},
		{"test support in product code", "backbone/doc.go", "package backbone\nimport \"downlink/rooms/roomstest\"", "it is for tests only"},
		{"testing in product code", "rooms/a.go", "package rooms\nimport \"testing\"", "it is for tests only"},
		{"ingest sees receivers", "ingest/doc.go", "package ingest\nimport \"downlink/server/socketio\"", "a push leaves it through rooms.Journal"},
		{"a package nobody explained", "util/doc.go", "package util", "package util has no rule"},
		{"no doc.go", "ingest/a.go", "package ingest", "ingest: has no doc.go"},
		{"environment", "rooms/a.go", "package rooms\nimport \"os\"\nvar a = os.Getenv(\"A\")", "uses os.Getenv"},
		{"exit", "rooms/a.go", "package rooms\nimport \"os\"\nfunc a() { os.Exit(1) }", "uses os.Exit"},
		{"init", "rooms/a.go", "package rooms\nfunc init() {}", "has an init function"},
		{"long", "rooms/a.go", "package rooms\n" + strings.Repeat("\n", maxFileLines), "above 500 a file is split"},
	} {
		t.Run(c.name, func(t *testing.T) {
			repository := clean()
			repository[c.file] = &fstest.MapFile{Data: []byte(c.text + "\n")}
			breaches, err := check(repository)
			require.NoError(t, err)
			require.NotEmpty(t, breaches)
			require.Contains(t, strings.Join(breaches, "\n"), c.want)
		})
	}
}
