package snapshot_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pathsnap/pathsnap/snapshot"
)

func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"token": "abc", "mtu": "1450"}`, `{"token": "REDACTED", "mtu": "1450"}`},
		{`{"name":"cbr0","mtu":1450}`, `{"name":"cbr0","mtu":1450}`},
		{`{"k8s_auth_token": "abc\"d", "policy": {"type":"k8s"}}`, `{"k8s_auth_token": "REDACTED", "policy": {"type":"k8s"}}`},
		{`{"access_key":"LT","access_secret":"x","service_cidr":"10.0.0.0/16"}`,
			`{"access_key":"REDACTED","access_secret":"REDACTED","service_cidr":"10.0.0.0/16"}`},
		{`{"etcdPassword":"a\"b"}`, `{"etcdPassword":"REDACTED"}`},
		{"user: me\npassword: hunter2\n", "user: me\npassword: \"REDACTED\"\n"},
		{"user:\n  token: abc\n  name: x\n", "user:\n  token: \"REDACTED\"\n  name: x\n"},
		{"ACCESS_KEY=abc\nFLANNEL_MTU=1450\n", "ACCESS_KEY=\"REDACTED\"\nFLANNEL_MTU=1450\n"},
		{"secret: {}\n", "secret: {}\n"},
	} {
		got, ok := snapshot.Redact([]byte(c.in))
		require.True(t, ok)
		require.Equal(t, c.want, string(got))
	}
	for _, in := range []string{"-----BEGIN RSA PRIVATE KEY-----\nx\n", "client-key-data: |\n  x\n"} {
		got, ok := snapshot.Redact([]byte(in))
		require.False(t, ok)
		require.Empty(t, got)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"a": "password: x", "b": int64(1)}, "binaryData": map[string]any{}}}
	snapshot.RedactConfigMap(u)
	require.Equal(t, map[string]any{"data": map[string]any{"a": `password: "REDACTED"`, "b": int64(1)}}, u.Object)
}
