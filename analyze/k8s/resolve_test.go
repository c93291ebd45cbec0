package k8s

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResolve(t *testing.T) {
	c := cache(t, demo())
	for _, tt := range []struct {
		word string
		want []string
	}{
		{"pod:demo/client", []string{"pod:demo/client (10.244.1.2)", "pod:demo/client (fd00:1::2)"}},
		{"pod:demo/client:http", []string{"pod:demo/client (10.244.1.2:8080)", "pod:demo/client ([fd00:1::2]:8080)"}},
		{"pod:demo/client:81", []string{"pod:demo/client (10.244.1.2:81)", "pod:demo/client ([fd00:1::2]:81)"}},
		{"pod:demo/agent", []string{"node:n2 (192.168.0.2)"}},
		{"svc:demo/web", []string{"service:demo/web (10.96.0.10)", "service:demo/web (fd00:96::10)"}},
		{"svc:demo/web:80", []string{"service:demo/web (10.96.0.10:80)", "service:demo/web ([fd00:96::10]:80)"}},
		{"svc:demo/web:dns", []string{"service:demo/web (10.96.0.10:53)", "service:demo/web ([fd00:96::10]:53)"}},
		{"svc:demo/web:81", []string{"service:demo/web (10.96.0.10:81)", "service:demo/web ([fd00:96::10]:81)"}},
		{"service:demo/one", []string{"service:demo/one (10.96.0.11:443)"}},
		{"svc:demo/db", []string{"pod:demo/client (10.244.1.2:15432)", "pod:demo/new (10.244.1.4:15432)"}},
		{"svc:demo/db:sql", []string{"pod:demo/client (10.244.1.2:15432)", "pod:demo/new (10.244.1.4:15432)"}},
		{"svc:demo/db:5432", []string{"pod:demo/client (10.244.1.2:5432)", "pod:demo/new (10.244.1.4:5432)"}},
		{"node:n1", []string{"node:n1 (192.168.0.1)"}},
		{"node:n3:22", []string{"node:n3 (192.168.0.3:22)"}},
		{"external:gw", []string{"external:gw (192.168.0.254)"}},
		{"10.244.1.2", []string{"pod:demo/client (10.244.1.2)"}},
		{"10.96.0.10:80", []string{"service:demo/web (10.96.0.10:80)"}},
		{"198.51.100.9:443", []string{"lb:demo/one (198.51.100.9:443)"}},
		{"8.8.8.8:53", []string{"8.8.8.8:53"}},
		{"fd00:1::2", []string{"pod:demo/client (fd00:1::2)"}},
		{"[fd00:1::2]", []string{"pod:demo/client (fd00:1::2)"}},
		{"[fd00:1::2]:80", []string{"pod:demo/client ([fd00:1::2]:80)"}},
	} {
		t.Run(tt.word, func(t *testing.T) {
			got, err := c.Resolve(tt.word)
			require.NoError(t, err)
			var texts []string
			for _, e := range got.Endpoints {
				texts = append(texts, e.String())
			}
			require.Equal(t, tt.want, texts)
			require.Equal(t, got.Endpoints[0], got.Endpoint)
		})
	}
}

func TestResolveNamesObjects(t *testing.T) {
	c := cache(t, demo())
	got, err := c.Resolve("pod:demo/agent")
	require.NoError(t, err)
	require.Equal(t, "agent", got.Pod.Name)
	got, err = c.Resolve("svc:demo/web:dns")
	require.NoError(t, err)
	require.Equal(t, "web", got.Service.Name)
	require.Equal(t, "dns", got.ServicePort.Name)
	got, err = c.Resolve("svc:demo/web")
	require.NoError(t, err)
	require.Nil(t, got.ServicePort, "it has two ports")
}

func TestResolveErrors(t *testing.T) {
	c := cache(t, demo())
	for _, tt := range []struct {
		word, want string
		is         error
	}{
		{"[fd00:1::2", `"[fd00:1::2": not an endpoint: want pod:NAMESPACE/NAME, svc:NAMESPACE/NAME[:PORT], node:NAME, external:NAME or IP[:PORT]`, ErrWord},
		{"pod:demo/clinet", "pod demo/clinet not found; did you mean demo/client?", ErrNotFound},
		{"pod:client", "pod default/client not found; did you mean demo/client?", ErrNotFound},
		{"pod:demo/quite-another", "pod demo/quite-another not found", ErrNotFound},
		{"pod:demo/job", "pod demo/job: no address: it has ended (Succeeded)", ErrNoAddress},
		{"pod:demo/unscheduled", "pod demo/unscheduled: no address: it is Pending", ErrNoAddress},
		{"pod:demo/client:htp", "port htp not found; did you mean http?", ErrNotFound},
		{"svc:demo/wbe", "svc demo/wbe not found; did you mean demo/web?", ErrNotFound},
		{"svc:demo/web:htpt", "svc demo/web: port htpt not found; did you mean http?", ErrNotFound},
		{"svc:demo/web:0", `svc demo/web: not an endpoint: "0" is no port`, ErrWord},
		{"svc:demo/away", "svc demo/away: no address: it is another name of db.example.com; give that host's address", ErrNoAddress},
		{"svc:demo/empty", "svc demo/empty: no address: it is headless and has no ready endpoint", ErrNoAddress},
		{"node:n9", "node n9 not found; did you mean n1 or n2 or n3?", ErrNotFound},
		{"node:n2:99999", `node n2: not an endpoint: "99999" is no port`, ErrWord},
		{"external:fw", "external fw not found; did you mean gw?", ErrNotFound},
		{"pod:", `"pod:": not an endpoint: the name is missing`, ErrWord},
		{"pot:demo/a", `"pot:demo/a": not an endpoint: want pod:NAMESPACE/NAME, svc:NAMESPACE/NAME[:PORT], node:NAME, external:NAME or IP[:PORT]`, ErrWord},
		{"", `"": not an endpoint: want pod:NAMESPACE/NAME, svc:NAMESPACE/NAME[:PORT], node:NAME, external:NAME or IP[:PORT]`, ErrWord},
	} {
		t.Run(tt.word, func(t *testing.T) {
			_, err := c.Resolve(tt.word)
			require.EqualError(t, err, tt.want)
			require.ErrorIs(t, err, tt.is)
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"ab", "xaby", 2}, {"kitten", "sitting", 3}} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
	}
}

func FuzzResolve(f *testing.F) {
	c := cache(f, demo())
	for _, s := range []string{"pod:demo/client:http", "svc:demo/web:80", "[fd00::1]:80", "10.0.0.1:", "node:", "external:gw:1", ":::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		got, err := c.Resolve(word)
		if err == nil && (len(got.Endpoints) == 0 || !got.Endpoint.IP.IsValid()) {
			t.Fatalf("%q: no error and no endpoint", word)
		}
	})
}
