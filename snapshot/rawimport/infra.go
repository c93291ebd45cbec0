package rawimport

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/aliyun"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// importInfra adds what the API of a cloud tells of the network between nodes:
// the files in infra/aliyun/, as they are. One that is not understood is a part
// that failed, and the reason names the place.
func importInfra(raw fs.FS, w *snapshot.Writer) (found bool, err error) {
	dir := path.Clean(aliyun.Dir)
	entries, err := fs.ReadDir(raw, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		found = true
		err = errors.Join(err, importInfraFile(raw, w, dir+"/"+e.Name()))
	}
	return found, err
}

func importInfraFile(raw fs.FS, w *snapshot.Writer, from string) error {
	name := infraName(from)
	for w.Has(name) {
		name = strings.TrimSuffix(name, ".json") + "_.json"
	}
	data, err := fs.ReadFile(raw, from)
	if err == nil {
		_, err = aliyun.Actions(name, data)
	}
	if err != nil {
		return w.Missing(name, nodedump.StatusFailed, strings.NewReplacer(name+": ", "", name+":", "line ").Replace(err.Error()))
	}
	return w.Add(name, data)
}

// infraName is what a file is called in a bundle, where it ends in .json and has
// no bytes that a name of a part must not have.
func infraName(from string) string {
	dir, base := path.Split(from)
	base = strings.Map(func(r rune) rune {
		if snapshot.CheckName(string(r)) != nil && r != '.' && r != '-' {
			return '_'
		}
		return r
	}, base)
	if base = strings.TrimLeft(base, "-"); path.Ext(base) != ".json" {
		base += ".json"
	}
	return dir + base
}
