package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTypeScriptCopyIsFresh(t *testing.T) {
	// go test runs in this directory, go generate in that of package codes
	onDisk, err := os.ReadFile("../../" + target)
	require.NoError(t, err)
	require.Equal(t, string(render()), string(onDisk), "run: go generate ./codes")
}

func TestQuoteEscapesWhatTypeScriptWould(t *testing.T) {
	require.Equal(t, `"a\"b\\c\n<&>"`, quote("a\"b\\c\n<&>"))
}
