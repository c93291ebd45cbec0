//go:build !linux

package netns

import (
	"context"
	"fmt"
	"runtime"
)

// Collect returns ErrUnsupported: there is nothing to collect on this system.
func Collect(context.Context, Options) (*Result, error) {
	return nil, fmt.Errorf("%w, not %s", ErrUnsupported, runtime.GOOS)
}
