package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// progress shows one line per part on a terminal. Elsewhere it returns nil:
// the manifest of the bundle says the same.
func progress(w io.Writer) func(netns.Event) {
	if !terminal(w) {
		return nil
	}
	return progressLines(w)
}

func progressLines(w io.Writer) func(netns.Event) {
	var mu sync.Mutex
	return func(e netns.Event) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintln(w, oneLine(eventText(e)))
	}
}

func eventText(e netns.Event) string {
	where := e.Node
	if where == "" {
		where = "cluster"
	}
	if e.Netns != "" {
		where += "/" + e.Netns
	}
	text := fmt.Sprintf("%-32s %-28s %s", where, e.Part, e.Status)
	if e.Status != nodedump.StatusOK && e.Status != nodedump.StatusEmpty && e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Took >= time.Second {
		text += fmt.Sprintf(" (%.1fs)", e.Took.Seconds())
	}
	return text
}
