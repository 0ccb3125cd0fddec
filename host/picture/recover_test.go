package picture

import (
	"errors"
	"testing"
)

func TestAPanicOfADecoderIsABrokenPicture(t *testing.T) {
	o := &outline{Info: Info{Format: "png"}, end: 100} // Beyond the content.
	_, err := o.render([]byte("short"), nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeBad {
		t.Errorf("%v; want %s", err, CodeBad)
	}
}
