package codes

import "errors"

// Cause is why something asked for was not done. It is an error; Msg is the only text of it that a client sees.
type Cause struct {
	Name string // stable, kebab-case
	Msg  string // plain words, without a full stop
}

func (c *Cause) Error() string { return c.Msg }

// Of finds the cause in err's chain; an error without one is Internal, and its own text stays in our log.
func Of(err error) *Cause {
	var c *Cause
	if errors.As(err, &c) {
		return c
	}
	return Internal
}

// Internal stands for every error that has no cause of its own.
var Internal = &Cause{"internal", "internal error"}

// Unavailable is the cause of what could not be stored or decided in time; trying again later may help.
var Unavailable = &Cause{"unavailable", "the service cannot store this now, try again later"}
