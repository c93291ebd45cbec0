package netns

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A statusError is a failure that knows the status of the part it spoiled.
type statusError struct {
	status nodedump.Status
	reason string
}

// Error returns the reason.
func (e *statusError) Error() string { return e.reason }

// truncated says that what was read is not all there is.
func truncated(reason string) error {
	return &statusError{status: nodedump.StatusTruncated, reason: reason}
}

// statusOf turns an error into the status and the reason of a part.
func statusOf(err error) (nodedump.Status, string) {
	var known *statusError
	switch {
	case err == nil:
		return nodedump.StatusOK, ""
	case errors.As(err, &known):
		return known.status, err.Error()
	case errors.Is(err, fs.ErrPermission):
		return nodedump.StatusDenied, err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return nodedump.StatusTimedOut, err.Error()
	}
	return nodedump.StatusFailed, err.Error()
}
