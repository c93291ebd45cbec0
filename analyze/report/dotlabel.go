package report

import "strings"

// quote writes s as a DOT string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(s)) + `"`
}

// escape writes s inside an HTML-like label.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(clean(s))
}

// bolded writes s in bold. Graphviz refuses an empty element.
func bolded(s string) string {
	if s = escape(s); s == "" {
		return ""
	}
	return "<b>" + s + "</b>"
}

// label writes a label of escaped lines, "" if there is nothing in them.
func label(lines ...string) string {
	if s := strings.Join(lines, "<br/>"); s != "" {
		return "<font>" + s + "</font>"
	}
	return ""
}

// stacked writes one line of text below the other, but for those that end
// themselves.
func stacked(text []string) string {
	var b strings.Builder
	for i, t := range text {
		b.WriteString(t)
		if i < len(text)-1 && !strings.HasSuffix(t, left) {
			b.WriteString("<br/>")
		}
	}
	return label(b.String())
}

// lines wraps s at width, in at most limit lines joined by sep. A word that
// is too long is elided in its middle.
func lines(s string, width, limit int, sep string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' })
	for i, word := range words {
		words[i] = elide(word, width)
	}
	out := wrap(strings.Join(words, " "), width)
	if len(out) > limit {
		out = out[:limit]
		out[limit-1] += " …"
	}
	for i := range out {
		out[i] = escape(out[i])
	}
	return strings.Join(out, sep)
}
