package ingest

import (
	"errors"
	"reflect"

	"github.com/go-playground/validator/v10"

	"downlink/rooms"
)

// checker holds the fields of a push to the rules of rooms, which are the rules for receivers too.
type checker struct{ validate *validator.Validate }

// rules are the validation tags of fields. Each parser's error has the codes.Cause that a sender is told.
var rules = map[string]func(string) error{
	"room":  rooms.ParseRoomID,
	"event": rooms.ParseEvent,
}

func newChecker() *checker {
	v := validator.New(validator.WithRequiredStructEnabled())
	for tag, parse := range rules {
		holds := func(fl validator.FieldLevel) bool { return parse(fl.Field().String()) == nil }
		if err := v.RegisterValidation(tag, holds); err != nil {
			panic(err) // only for a tag that is empty or reserved
		}
	}
	return &checker{v}
}

// check returns the cause of the first rule that f breaks.
func (c *checker) check(f *fields) error {
	err := c.validate.Struct(f)
	var broken validator.ValidationErrors
	if !errors.As(err, &broken) {
		return err
	}
	// The validator knows only whether a rule holds, its parser knows why not.
	text := reflect.Indirect(reflect.ValueOf(broken[0].Value())).String()
	return rules[broken[0].Tag()](text)
}
