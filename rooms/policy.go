package rooms

// Policy is how a newcomer enters a room. Source: seed 003.
type Policy uint8

// The policies.
const (
	First    Policy = iota // only into an empty room: the first one in keeps it
	Last                   // puts all others out: the last one in takes it
	Whenever               // joins whoever is there
)

var policyNames = [...]string{"loginWhenFirst", "loginWhenLast", "loginWhenever"}

// String gives the policy's name on the wire.
func (p Policy) String() string { return policyNames[p] }

// ParsePolicy reads a policy's name on the wire.
func ParsePolicy(name string) (Policy, bool) {
	for p, n := range policyNames {
		if n == name {
			return Policy(p), true
		}
	}
	return 0, false
}
