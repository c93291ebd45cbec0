package snapshot

import (
	"bytes"
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The shapes of credentials in configuration files: a key that sounds like one,
// with its value, in JSON and in YAML, INI or env files.
const (
	secretKey  = `[\w.-]*(?i:token|passw|secret|access_?key|private_?key|client-key-data|credential)[\w.-]*`
	secretJSON = `("` + secretKey + `"\s*:\s*)"(?:[^"\\]|\\.)*"`
	secretLine = `(?m)^([ \t-]*` + secretKey + `[ \t]*[:=][ \t]*)[^\s"{\[|>].*$`
	privateKey = "PRIVATE KEY-----"
)

// Redact returns a text of a configuration without the values of keys that
// sound like credentials. A text that holds a private key has nothing left,
// and ok is false.
func Redact(text []byte) (clean []byte, ok bool) {
	if bytes.Contains(text, []byte(privateKey)) || bytes.Contains(text, []byte("client-key-data: |")) {
		return nil, false
	}
	clean = regexp.MustCompile(secretJSON).ReplaceAll(text, []byte(`${1}"REDACTED"`))
	return regexp.MustCompile(secretLine).ReplaceAll(clean, []byte(`${1}"REDACTED"`)), true
}

// RedactConfigMap applies Redact to the data of a config map and drops its
// binary data.
func RedactConfigMap(obj *unstructured.Unstructured) {
	delete(obj.Object, "binaryData")
	data, _ := obj.Object["data"].(map[string]any)
	for key, value := range data {
		if text, isText := value.(string); isText {
			clean, _ := Redact([]byte(text))
			data[key] = string(clean)
		}
	}
}
