package calico

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// labels reads "a=1 b=2 c?": c may be there or not.
func labels(text string) Labels {
	return func(name string) (string, netfilter.Answer) {
		for _, word := range strings.Fields(text) {
			if word == name+"?" {
				return "", netfilter.Maybe
			}
			if k, v, ok := strings.Cut(word, "="); ok && k == name {
				return v, netfilter.Yes
			}
		}
		return "", netfilter.No
	}
}

// rows holds what each operator matches; y, n and ? are the answers.
func rows() [][3]string {
	return [][3]string{
		{"", "", "y"},
		{"  \t", "a=1", "y"},
		{"all()", "", "y"},
		{"all( )", "a=1", "y"},
		{"global()", "a=1", "y"},
		{"a == '1'", "a=1", "y"},
		{"a == '1'", "a=2", "n"},
		{"a == '1'", "", "n"},
		{`a=="1"`, "a=1", "y"},
		{"a == ''", "a=", "y"},
		{"a == ''", "", "n"},
		{"a != '1'", "a=2", "y"},
		{"a != '1'", "a=1", "n"},
		{"a != '1'", "", "y"},
		{"a in {'1', '2'}", "a=2", "y"},
		{"a in {'1', '2'}", "a=3", "n"},
		{"a in {'1'}", "", "n"},
		{"a in {}", "a=1", "n"},
		{"a in {'1',}", "a=1", "y"},
		{"a in{'1'}", "a=1", "y"},
		{"a not in {'1', '2'}", "a=3", "y"},
		{"a not in {'1', '2'}", "a=1", "n"},
		{"a not in {'1'}", "", "y"},
		{"a notin {'1'}", "a=1", "n"},
		{"a not in {}", "a=1", "y"},
		{"has(a)", "a=", "y"},
		{"has( a )", "b=1", "n"},
		{"!has(a)", "b=1", "y"},
		{"! has(a)", "a=1", "n"},
		{"a contains 'b'", "a=abc", "y"},
		{"a contains 'x'", "a=abc", "n"},
		{"a contains ''", "", "n"},
		{"a starts with 'ab'", "a=abc", "y"},
		{"a startswith 'bc'", "a=abc", "n"},
		{"a starts with 'bc'", "a=abc", "n"},
		{"a starts  with 'ab'", "", "n"},
		{"a ends with 'bc'", "a=abc", "y"},
		{"a ends with 'ab'", "a=abc", "n"},
		{"a endswith 'bc'", "", "n"},
		{"a == '1' && b == '2'", "a=1 b=2", "y"},
		{"a == '1' && b == '2'", "a=1", "n"},
		{"a == '1' || b == '2'", "b=2", "y"},
		{"a == '1' || b == '2'", "", "n"},
		{"a == '1' || b == '2' && c == '3'", "a=1", "y"},
		{"(a == '1' || b == '2') && c == '3'", "a=1", "n"},
		{"!a == '1'", "", "y"},
		{"!!a == '1'", "a=1", "y"},
		{"!(a == '1' || b == '2')", "b=2", "n"},
		{"!all()", "a=1", "n"},
		{"in in {'in'}", "in=in", "y"},
		{"not not in {'x'}", "not=x", "n"},
		{"contains contains 'x'", "contains=axa", "y"},
		{"all == '1' && has == '2'", "all=1 has=2", "y"},
		{"a.b/c-d_e == '1'", "a.b/c-d_e=1", "y"},
		{`a == "it's"`, "a=it's", "y"},
		{"a == '1'", "a?", "?"},
		{"a != '1'", "a?", "?"},
		{"has(a)", "a?", "?"},
		{"!has(a)", "a?", "?"},
		{"a == '1' && b == '2'", "a? b=1", "n"},
		{"a == '1' && b == '2'", "a? b=2", "?"},
		{"a == '1' || b == '2'", "a? b=2", "y"},
		{"a == '1' || b == '2'", "a? b=1", "?"},
	}
}

func TestMatch(t *testing.T) {
	answers := map[string]netfilter.Answer{"y": netfilter.Yes, "n": netfilter.No, "?": netfilter.Maybe}
	for _, tt := range rows() {
		s, err := Parse(tt[0])
		require.NoError(t, err, tt[0])
		require.Equal(t, answers[tt[2]], s.Match(labels(tt[1])), "%s of %s", tt[0], tt[1])
		again, err := Parse(s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s.String(), again.String())
		require.Equal(t, answers[tt[2]], again.Match(labels(tt[1])), "%s of %s", again, tt[1])
	}
}

// Every operator has a row that matches and one that does not.
func TestEveryOperatorHasRows(t *testing.T) {
	want := []string{" == ", " != ", "has(", "all()", "!", "&&", "||"}
	for _, words := range wordedOperators() {
		want = append(want, " "+strings.Join(words, " ")+" ")
	}
	for _, op := range want {
		for _, answer := range []string{"y", "n"} {
			require.True(t, slices.ContainsFunc(rows(), func(r [3]string) bool { return strings.Contains(r[0], op) && r[2] == answer }), "%s %s", op, answer)
		}
	}
}

func TestErrorsHaveAPlace(t *testing.T) {
	for _, tt := range []struct {
		selector string
		at       int
		problem  string
	}{
		{"a", 1, "want an operator behind the label"},
		{"a b", 2, "want an operator behind the label"},
		{"a =", 2, "want an operator"},
		{"a = 'b'", 2, "want an operator"},
		{"a == b", 5, "want a string in quotes"},
		{"a == ", 5, "want a string in quotes"},
		{"a == 'b", 5, "the string has no end"},
		{"a in 'b'", 5, "want {"},
		{"a in {'b'", 9, "want }"},
		{"a in {b}", 6, "want }"},
		{"a in {'b' 'c'}", 10, "want }"},
		{"a incorrect 'b'", 2, "want an operator"},
		{"a starts 'b'", 2, "want an operator"},
		{"has(", 4, "want a label"},
		{"has(a", 5, "want ) to end has()"},
		{"all(a)", 4, "want ) to end all()"},
		{"all ()", 4, "want an operator"},
		{"(a == 'b'", 9, "want )"},
		{"a == 'b')", 8, "want && or || or the end"},
		{"a == 'b' & c == 'd'", 9, "want a label"},
		{"a == 'b' &&", 11, "want a label, has(), all() or ("},
		{"a == 'b' c == 'd'", 9, "want && or || or the end"},
		{"!", 1, "want a label, has(), all() or ("},
		{"a ==\n'b'", 4, "want a label"},
		{"ä == 'b'", 0, "want a label"},
		{strings.Repeat("a", 513) + " == 'b'", 0, "the label has 513 characters, at most 512 are allowed"},
		{strings.Repeat("(", 600) + "has(a)" + strings.Repeat(")", 600), 512, "more than 512 parentheses are nested"},
	} {
		_, err := Parse(tt.selector)
		var e *Error
		require.ErrorAs(t, err, &e, tt.selector)
		require.Equal(t, tt.at, e.At, "%s: %v", tt.selector, err)
		require.Contains(t, e.Problem, tt.problem, tt.selector)
	}
}

func TestRewritten(t *testing.T) {
	s, err := Parse("a == '1' && all() || global() && !has(b)")
	require.NoError(t, err)
	require.Equal(t, "((pcns.a == '1' && all()) || (global() && !has(pcns.b)))", s.Prefixed("pcns.").String())
	require.Equal(t, "((a == '1' && has(n)) || (!has(n) && !has(b)))", s.Within("n").String())
	require.Equal(t, "all()", (&Selector{}).Prefixed("x").Within("n").String())
	require.True(t, And(&Selector{}, nil).IsEmpty())
	require.Equal(t, "(n in {'x', 'y'} && !has(b))", And(&Selector{}, Equal("n", "x", "y"), Not(&Selector{leaf{label: "b", op: "has"}})).String())
	require.Equal(t, "n in {'x'}", And(Equal("n", "x")).String())
	require.Equal(t, netfilter.No, Not(&Selector{}).Match(labels("")))
}

func FuzzParse(f *testing.F) {
	for _, r := range rows() {
		f.Add(r[0], r[1])
	}
	f.Fuzz(func(t *testing.T, text, has string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())
		require.Equal(t, s.Match(labels(has)), again.Match(labels(has)))
	})
}
