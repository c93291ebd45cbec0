package netns

import (
	"fmt"
	"runtime"

	vns "github.com/vishvananda/netns"
)

// inside calls f on a thread that is in the namespace ns, and brings the
// thread back. If that fails the thread is given up rather than used for
// something else in the wrong place.
func inside(ns vns.NsHandle, f func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := vns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			failed <- fmt.Errorf("own network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := vns.Set(ns); err != nil {
			runtime.UnlockOSThread()
			failed <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		err = f()
		if vns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		failed <- err
	}()
	return <-failed
}
