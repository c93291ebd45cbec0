package plugin

import "encoding/json"

// CNIConfig returns the CNI configuration that a node's runtime takes, and the
// part of the bundle that it stands in; "" if none was collected.
func CNIConfig(env Env, node string) (part string, text []byte) {
	found := (&scene{snap: env.Snapshot}).configs(env.Snapshot.Files(node))
	if len(found) == 0 {
		return "", nil
	}
	text, err := env.Snapshot.Read(found[0].part)
	if err != nil {
		return "", nil
	}
	return found[0].part, text
}

// NodeCNIPlugin reads the part for the plugin of a type of the CNI configuration that
// a node's runtime takes; where that was not collected, or has no such part, of a
// ConfigMap that it is made from, which has it under one of keys. It reports false if
// the bundle has neither.
func NodeCNIPlugin[T any](env Env, node, kind string, keys ...string) (conf T, ok bool) {
	if _, text := CNIConfig(env, node); text != nil {
		if conf, ok := CNIPlugin[T](text, kind); ok {
			return conf, true
		}
	}
	maps, _ := env.Snapshot.ConfigMaps() // the analyzer says what is missing
	for i := range maps {
		for _, key := range keys {
			if conf, ok := CNIPlugin[T]([]byte(maps[i].Data[key]), kind); ok {
				return conf, true
			}
		}
	}
	return conf, false
}

// CNIPlugin reads, of a CNI configuration, the part that is for the plugin of a
// type: of a list of plugins, or of a configuration of one alone. It reports false
// if there is none, or none that can be read.
func CNIPlugin[T any](text []byte, kind string) (conf T, ok bool) {
	var list struct{ Plugins []json.RawMessage }
	if json.Unmarshal(text, &list) != nil {
		return conf, false
	}
	for _, one := range append(list.Plugins, text) {
		var named struct{ Type string }
		if json.Unmarshal(one, &named) == nil && named.Type == kind {
			ok = json.Unmarshal(one, &conf) == nil
			return conf, ok
		}
	}
	return conf, false
}
