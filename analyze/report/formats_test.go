package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

func TestExitCode(t *testing.T) {
	for outcome, want := range map[model.Outcome]int{
		model.OutcomeReached: 0, model.OutcomeRefused: 3, model.OutcomeUnreachable: 3, model.OutcomeTimeout: 3,
		model.OutcomeStalled: 3, model.OutcomeUnknown: 4, model.OutcomeMixed: 4, "": 4,
	} {
		require.Equal(t, want, ExitCode(outcome), outcome)
	}
}

func TestJSONLine(t *testing.T) {
	var line, pretty bytes.Buffer
	require.NoError(t, WriteJSONLine(&line, dropped()))
	require.NoError(t, WriteJSON(&pretty, dropped()))
	require.Equal(t, 1, strings.Count(line.String(), "\n"))
	require.JSONEq(t, pretty.String(), line.String())
	require.NotContains(t, line.String(), `\u003e`)

	var failed bytes.Buffer
	require.NoError(t, WriteJSONError(&failed, errors.New("no pod demo/x")))
	require.JSONEq(t, `{"error":"no pod demo/x"}`, failed.String())
	require.Equal(t, 1, strings.Count(failed.String(), "\n"))
}

// TestJSONNeverNull demands [] for lists that are empty, at every level.
func TestJSONNeverNull(t *testing.T) {
	for _, d := range []*Diagnosis{{}, {Branches: []Branch{{}}}, {Branches: []Branch{{Request: Direction{Hops: []Hop{{}}}}}}} {
		var b bytes.Buffer
		require.NoError(t, WriteJSON(&b, d))
		var got struct {
			Branches []struct {
				Request, Reply struct{ Hops []struct{ Steps []any } }
			}
		}
		require.NoError(t, json.Unmarshal(b.Bytes(), &got))
		require.NotNil(t, got.Branches)
		for _, list := range []string{"branches", "suspicions", "unknowns", "hops", "steps"} {
			require.NotContains(t, b.String(), `"`+list+`": null`)
		}
	}
}

func TestColorAndWidth(t *testing.T) {
	var plainText, colored, narrow bytes.Buffer
	require.NoError(t, WriteText(&plainText, mixed(), TextOptions{}))
	require.NoError(t, WriteText(&colored, mixed(), TextOptions{Color: true}))
	require.NoError(t, WriteText(&narrow, mixed(), TextOptions{Width: 50}))
	require.NotContains(t, plainText.String(), "\x1b")
	require.Contains(t, colored.String(), "\x1b[1;33mMIXED")
	require.Greater(t, strings.Count(narrow.String(), "\n"), strings.Count(plainText.String(), "\n"))
}

// TestHostile draws names that try to leave their labels.
func TestHostile(t *testing.T) {
	for _, f := range Formats() {
		var b bytes.Buffer
		require.NoError(t, f.Write(context.Background(), &b, hostile(), TextOptions{}), f.Name)
	}
}

func TestTextHasNoControlCharacters(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteText(&b, hostile(), TextOptions{}))
	require.False(t, strings.ContainsAny(b.String(), "\x00\x1b\r"))
}

func TestPNGIsAPicture(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WritePNG(context.Background(), &b, healthy()))
	img, err := png.Decode(&b)
	require.NoError(t, err)
	require.Greater(t, img.Bounds().Dx(), 1000)
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, WriteSVG(ctx, &bytes.Buffer{}, healthy()), context.Canceled)
}

func TestMixture(t *testing.T) {
	require.Equal(t, "MIXED: 67% reached, 33% unreachable (the next hop does not answer to node node2)", mixed().answer())
	require.Len(t, mixed().groups(), 3)
	require.Equal(t, []string{"100%", "<1%", ">99%", "33%", "0%"},
		[]string{percent(1), percent(0.001), percent(0.999), percent(1.0 / 3), percent(0)})
}

func TestElide(t *testing.T) {
	require.Equal(t, "abc…xyz", elide("abcdefghijklmnopqrstuvwxyz", 7))
	require.Equal(t, "abc", elide("abc", 7))
}

func BenchmarkSVG(b *testing.B) {
	for b.Loop() {
		require.NoError(b, WriteSVG(context.Background(), &bytes.Buffer{}, healthy()))
	}
}

func BenchmarkPNG(b *testing.B) {
	for b.Loop() {
		require.NoError(b, WritePNG(context.Background(), &bytes.Buffer{}, healthy()))
	}
}

// TestJSONDocumented demands that docs/json-output.md names every field and
// every word of the output.
func TestJSONDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/json-output.md")
	require.NoError(t, err)
	for _, c := range cases {
		var b bytes.Buffer
		require.NoError(t, WriteJSON(&b, c.d()))
		for _, field := range regexp.MustCompile(`(?m)^ *"(\w+)":`).FindAllStringSubmatch(b.String(), -1) {
			require.Regexp(t, "`"+field[1]+"`", string(doc))
		}
	}
	for d := model.Forwarded; d <= model.Unknown; d++ {
		require.Contains(t, string(doc), "| `"+d.String()+"` |")
	}
	for _, o := range []model.Outcome{model.OutcomeReached, model.OutcomeRefused, model.OutcomeUnreachable, model.OutcomeTimeout,
		model.OutcomeStalled, model.OutcomeUnknown, model.OutcomeMixed} {
		require.Regexp(t, fmt.Sprintf("(?m)^\\| `%s` .*\\| %d \\|$", o, ExitCode(o)), string(doc))
	}
}
