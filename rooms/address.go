package rooms

// Kind says what an Address names.
type Kind uint8

// The kinds of address.
const (
	KindGlobal Kind = iota // everyone connected
	KindRoom               // the members of one room
)

// Address is whom a push is for. It is comparable and serves as a map key; the kinds do not share names.
type Address struct {
	Kind Kind
	ID   string // empty for KindGlobal
}

// Everyone is the address of every connection.
var Everyone = Address{}

// Room is the address of the members of the room id.
func Room(id string) Address { return Address{KindRoom, id} }
