// Package aliyun reads what the API of Alibaba Cloud tells of the network
// between nodes, as its command line prints it. A file is recognised by its
// content; it may hold several documents, such as the pages of one answer.
//
// The fields are those of the public API: ECS 2014-05-26, VPC 2016-04-28 and
// SLB 2014-05-15. Fields that nobody needs are not read.
package aliyun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
)

// Dir is the directory of a bundle that holds the files.
const Dir = "infra/aliyun/"

// ErrUnknown indicates a document that is no response that this package knows.
var ErrUnknown = errors.New("no known response of the API")

// A Place is where an object was read. It is part of every object.
type Place struct {
	File string `json:"-"`
	Line int    `json:"-"` // of the object's first line
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Facts are what several files say together. Objects are in the order of the
// files.
type Facts struct {
	RouteEntries   []RouteEntry
	RouteTables    []RouteTable
	VSwitches      []VSwitch
	Interfaces     []NetworkInterface
	Instances      []Instance
	SecurityGroups []SecurityGroup
	Rules          []Rule
	PrefixLists    []PrefixList
	LoadBalancers  []LoadBalancer
	Listeners      []Listener
	ServerGroups   []ServerGroup

	given  map[string]Place
	open   map[string]Place
	broken map[string]Place         // of an object that cannot be read
	listed map[string]map[int]tally // answers that say how many objects there are, and list fewer
}

// A tally is how many objects the pages of an answer have listed so far.
type tally struct {
	Place // of the last page
	n     int
}

// Given reports whether there is a response to an action, such as
// "DescribeVSwitches", be it an empty one.
func (f *Facts) Given(action string) bool { return f.given[action] != Place{} }

// At is the place of the first response to an action, the zero Place if there
// is none.
func (f *Facts) At(action string) Place { return f.given[action] }

// Cut returns what the last page is missing of, each with the place of the page
// that another one should follow: "DescribeVSwitches", "DescribeRouteEntryList
// of vtb-1". The pages of one answer lie in one file, or in files that follow
// each other by name.
func (f *Facts) Cut() map[string]Place { return f.open }

// Missing returns what is not whole, for want of a page or because an object of it
// cannot be read, each with the place. The keys are those of Cut.
func (f *Facts) Missing() map[string]Place {
	all := maps.Clone(f.broken)
	maps.Copy(all, f.open)
	return all
}

// Add reads a file. An error is about the file as a whole, and then nothing of
// it counts; problems are about single objects, which are left out.
func (f *Facts) Add(name string, data []byte) (problems []error, err error) {
	documents, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		problems = append(problems, f.document(d)...)
	}
	return problems, nil
}

// Actions returns what the documents of a file answer, each once, in their
// order. The error says why the file cannot be read.
func Actions(name string, data []byte) (actions []string, err error) {
	documents, err := parse(name, data)
	for _, d := range documents {
		if !slices.Contains(actions, d.response.action) {
			actions = append(actions, d.response.action)
		}
	}
	return actions, err
}

// document takes over what one response says.
func (f *Facts) document(d *document) []error {
	if f.given == nil {
		f.given, f.open, f.broken, f.listed = map[string]Place{}, map[string]Place{}, map[string]Place{}, map[string]map[int]tally{}
	}
	action := d.response.action
	if !f.Given(action) {
		f.given[action] = d.Place
	}
	key := action
	if id := d.subject(); id != "" {
		key += " of " + id
	}
	f.paged(key, d)
	problems := d.response.take(f, d)
	if len(problems) > 0 {
		f.broken[key] = d.Place
	}
	return problems
}

// paged notes whether another page should follow: a page names the token of the
// next one, or says of how many objects it lists some. Rules are asked for group by
// group, and route entries table by table, so that one answer's last page says
// nothing about another's.
func (f *Facts) paged(key string, d *document) {
	token, total, n := d.text("NextToken"), d.number("TotalCount"), len(d.lists[d.response.mark])
	switch {
	case n > 0 && (total > n || total == n && token == ""):
		f.counted(key, total, tally{d.Place, n})
	case token != "":
		f.open[key] = d.Place
	default:
		delete(f.open, key)
	}
}

// counted is paged of an answer that says how many objects there are. Answers that
// say different numbers are to different questions, and none ends another.
func (f *Facts) counted(key string, total int, page tally) {
	if f.listed[key] == nil {
		f.listed[key] = map[int]tally{}
	}
	page.n += f.listed[key][total].n
	if f.listed[key][total] = page; page.n >= total {
		delete(f.listed[key], total)
	}
	delete(f.open, key)
	for _, open := range slices.Sorted(maps.Keys(f.listed[key])) {
		f.open[key] = f.listed[key][open].Place
	}
}

// subject is the security group or the route table that a document is about, ""
// if it is about all there are.
func (d *document) subject() string {
	if id := d.text("SecurityGroupId"); id != "" {
		return id
	}
	var entry struct {
		RouteTableID string `json:"RouteTableId"`
	}
	if list := d.lists["RouteEntrys"]; len(list) == 0 || json.Unmarshal(list[0].raw, &entry) != nil {
		return ""
	}
	return entry.RouteTableID
}

// A document is one response: its plain members, and its lists.
type document struct {
	Place
	response response
	members  map[string]json.RawMessage
	lists    map[string][]element // by the outer member, such as "VSwitches"
}

// An element is an object of a list.
type element struct {
	Place
	raw json.RawMessage
}

// text returns a member that is a string, "" if there is none.
func (d *document) text(member string) string {
	var s string
	if raw, ok := d.members[member]; !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// number returns a member that is a number, 0 if there is none.
func (d *document) number(member string) int {
	var n Number
	if raw, ok := d.members[member]; !ok || json.Unmarshal(raw, &n) != nil {
		return 0
	}
	return int(n)
}

// parse reads the documents of a file.
func parse(name string, data []byte) (documents []*document, err error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("%s: %w: the text is UTF-16, as > of Windows PowerShell writes it; save it as UTF-8", name, ErrUnknown)
	}
	p := &parser{name: name, d: snapshot.NewLineDecoder(bytes.TrimPrefix(data, []byte("\ufeff")))} // Windows writes the mark
	for p.d.More() {
		d, err := p.document()
		if err == nil {
			if d.response, err = d.recognise(); err != nil {
				return nil, fmt.Errorf("%s: %w", d.Place, err)
			}
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, p.d.Position(), err)
		}
		documents = append(documents, d)
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d: a bracket that nothing opens", name, p.d.Position())
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("%s: %w: the file is empty", name, ErrUnknown)
	}
	return documents, nil
}

// recognise finds out what a document answers.
func (d *document) recognise() (response, error) {
	for _, r := range responses() {
		_, plain := d.members[r.mark]
		if _, list := d.lists[r.mark]; list || plain {
			return r, nil
		}
	}
	if code := d.text("Code"); code != "" {
		return response{}, fmt.Errorf("%w: it is the error %s: %s", ErrUnknown, code, d.text("Message"))
	}
	var names []string
	for _, r := range responses() {
		names = append(names, r.action)
	}
	return response{}, fmt.Errorf("%w: known are %s", ErrUnknown, strings.Join(names, ", "))
}
