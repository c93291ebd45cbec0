package report

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	draws  = flag.String("draw", "", "directory to write pictures of the golden cases to")
)

var cases = []struct {
	name string
	d    func() *Diagnosis
}{
	{"healthy", healthy},
	{"dropped", dropped},
	{"mixed", mixed},
	{"routeless", routeless},
	{"unknown", unknown},
	{"refused", refused},
	{"hairpin", hairpin},
	{"outside", outside},
	{"crowd", crowd},
	{"empty", func() *Diagnosis { return &Diagnosis{} }},
}

func TestGolden(t *testing.T) {
	for _, c := range cases {
		for _, f := range Formats()[:3] {
			t.Run(c.name+"/"+f.Name, func(t *testing.T) {
				var b, again bytes.Buffer
				require.NoError(t, f.Write(context.Background(), &b, c.d(), TextOptions{}))
				require.NoError(t, f.Write(context.Background(), &again, c.d(), TextOptions{}))
				require.Equal(t, b.String(), again.String())
				file := filepath.Join("testdata", c.name+"."+f.Name)
				if *update {
					require.NoError(t, os.MkdirAll("testdata", 0o755))
					require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), b.String())
			})
		}
	}
}

func TestPictures(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range Formats()[3:] {
				var b bytes.Buffer
				require.NoError(t, f.Write(context.Background(), &b, c.d(), TextOptions{}))
				require.NotEmpty(t, b.Bytes())
				if *draws != "" {
					require.NoError(t, os.WriteFile(filepath.Join(*draws, c.name+"."+f.Name), b.Bytes(), 0o644))
				}
			}
		})
	}
}
