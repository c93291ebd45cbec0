package netns

import (
	"bytes"
	"regexp"
)

// redacted replaces a value that looks like a credential.
const redacted = `"REDACTED"`

// Patterns of credentials in configuration files: a JSON or YAML key that
// sounds like one, with its value.
const (
	secretWord    = `[\w.-]*(?i:token|passw|secret|access_?key|private_?key|client-key-data|credential)[\w.-]*`
	secretInJSON  = `("` + secretWord + `"\s*:\s*)"(?:[^"\\]|\\.)*"`
	secretInYAML  = `(?m)^([ \t-]*` + secretWord + `[ \t]*[:=][ \t]*)[^\s"{\[|>].*$`
	secretInBlock = `-----BEGIN [A-Z ]*PRIVATE KEY-----`
)

// Redact returns text without the values of keys that sound like credentials,
// and whether it may be kept at all: a private key may not.
func Redact(text []byte) (clean []byte, keep bool) {
	if regexp.MustCompile(secretInBlock).Match(text) {
		return nil, false
	}
	clean = regexp.MustCompile(secretInJSON).ReplaceAll(text, []byte("${1}"+redacted))
	clean = regexp.MustCompile(secretInYAML).ReplaceAll(clean, []byte("${1}"+redacted))
	return clean, !bytes.Contains(clean, []byte("client-key-data: |"))
}
