package roomstest_test

import (
	"testing"

	"go.uber.org/goleak"

	"downlink/rooms"
	"downlink/rooms/roomstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemClaims(t *testing.T) {
	roomstest.Claims(t, func(*testing.T) rooms.Claims { return roomstest.NewMemClaims() })
}

func TestMemJournal(t *testing.T) {
	roomstest.Journal(t, func(*testing.T) rooms.Journal { return roomstest.NewMemJournal() })
}
