package loadgen

import (
	"bytes"
	"fmt"
	"time"
)

// pusher is one connection of a backend that posts pushes, one at a time.
type pusher struct {
	fleet  *fleet
	socket *socket
	up     bool
	busy   bool // a post is not answered yet
	gone   bool
	seq    int64 // of the post under way
	buf    []byte
}

// idle says that the pusher can post now.
func (p *pusher) idle() bool { return p.up && !p.busy && !p.gone }

// post sends the next push of the ledger.
func (p *pusher) post(room, want int32, size int) {
	f := p.fleet
	p.seq, p.busy = f.ledger.next(), true
	p.buf = appendPush(p.buf[:0], f.spec.Server.PushAddr, p.seq, room, size)
	f.ledger.post(f.loop.now(), room, want)
	p.socket.write(p.buf)
}

func (p *pusher) connected() { p.up = true }

func (p *pusher) received(b []byte, _ time.Duration) (int, error) {
	r, n, err := parseResponse(b)
	if n == 0 || err != nil {
		return 0, err
	}
	if !p.busy {
		return 0, fmt.Errorf("answer to nothing: %d %q", r.status, r.body)
	}
	p.busy = false
	if r.status != 200 || !bytes.Contains(r.body, []byte(p.fleet.spec.Server.Accepted)) {
		p.fleet.ledger.faults.Refused++
		p.fleet.ledger.complaints.add(fmt.Sprintf("post answered %d", r.status), r.body)
	}
	p.fleet.ledger.answer(p.seq)
	return n, nil
}

func (p *pusher) broken(err error) {
	p.gone = true
	p.fleet.ledger.faults.Closed++
	p.fleet.ledger.complaints.add("pusher: "+err.Error(), nil)
}
