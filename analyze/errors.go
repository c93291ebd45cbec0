package analyze

import "errors"

// ErrUsage indicates a question that cannot be asked: an endpoint that nobody
// knows, a missing port, an unknown plugin. Everything else that fails is a
// fault of the program or of the bundle.
var ErrUsage = errors.New("usage")
