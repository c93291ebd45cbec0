// Package plugins lists the CNI plugins. To add one, write its package and add
// a line to All.
package plugins

import (
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/plugins/calico"
	"github.com/pathsnap/pathsnap/plugins/flannel"
	"github.com/pathsnap/pathsnap/plugins/linux"
	"github.com/pathsnap/pathsnap/plugins/terway"
)

// All returns new descriptors of every plugin, in the order of detection.
func All() []*plugin.Descriptor {
	return []*plugin.Descriptor{
		flannel.Descriptor(),
		calico.Descriptor(),
		terway.Descriptor(),
		linux.Descriptor(), // the last: it takes what the others leave
	}
}
