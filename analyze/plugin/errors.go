package plugin

import "errors"

// ErrNoOpinion indicates that a network plugin does not say where a packet
// should go: reality is all there is.
var ErrNoOpinion = errors.New("the network plugin has no opinion")
