package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A NodeCollector dumps one node. Local is the only one yet; one that starts a
// collector on another node of a live cluster and reads its result back has
// the same shape, and AddNode takes its results.
type NodeCollector interface {
	CollectNode(ctx context.Context, o netns.Options) (*netns.Result, error)
}

// Local collects the machine that it runs on.
type Local struct{}

// CollectNode dumps this machine.
func (Local) CollectNode(ctx context.Context, o netns.Options) (*netns.Result, error) {
	return netns.Collect(ctx, o)
}

// Node adds the dump of this machine to a bundle.
func Node(ctx context.Context, o netns.Options, w *snapshot.Writer) error {
	result, err := Local{}.CollectNode(ctx, o)
	if err != nil {
		return err
	}
	return AddNode(result, w)
}

// AddNode adds the dump of a node to a bundle.
func AddNode(r *netns.Result, w *snapshot.Writer) error {
	base := snapshot.NodeBase(r.Node.Name, r.Node.External)
	errs := []error{w.AddNode(r.Node)}
	for _, info := range r.Netns {
		errs = append(errs, w.AddNetNS(base, info))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		f := r.Files[name]
		errs = append(errs, w.AddStatus(base+"/files/"+name, f.Data, f.Status, f.Reason))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("node %s: %w", r.Node.Name, err)
	}
	return nil
}
