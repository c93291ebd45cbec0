package analyze

import (
	"errors"
	"fmt"
)

// ErrUsage indicates a question that cannot be asked: an endpoint that nobody
// knows, a missing port, an unknown plugin. Everything else that fails is a
// fault of the program or of the bundle.
var ErrUsage = errors.New("usage")

// A usageError is an error that is [ErrUsage], in words for the one who asked.
type usageError struct{ error }

// usagef makes a usageError as fmt.Errorf does.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// Is reports that a usageError is an [ErrUsage].
func (e *usageError) Is(target error) bool { return target == ErrUsage }

// Unwrap returns the error itself.
func (e *usageError) Unwrap() error { return e.error }
